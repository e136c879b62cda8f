package status

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

func TestSecondsAreExactInJSON(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1: "0.000000001", time.Second: "1", 90 * time.Minute: "5400", 1500 * time.Millisecond: "1.5", -250 * time.Millisecond: "-0.25",
		10 * time.Second: "10", 292 * 365 * 24 * time.Hour: "9208512000", 290*365*24*time.Hour + 1: "9145440000.000000001",
	} {
		text, err := json.Marshal(Seconds(d))
		if err != nil || string(text) != want {
			t.Errorf("%v is %s, %v, want %s", d, text, err, want)
		}
		var back Seconds
		if err := json.Unmarshal(text, &back); err != nil || back.Duration() != d {
			t.Errorf("%s is read as %v, %v", text, back.Duration(), err)
		}
	}
	var s Seconds
	if err := json.Unmarshal([]byte("1.5e-3"), &s); err != nil || s.Duration() != 1500*time.Microsecond {
		t.Errorf("1.5e-3 is read as %v, %v", s.Duration(), err)
	}
	if err := json.Unmarshal([]byte(`"1s"`), &s); err == nil {
		t.Errorf("a text is read as %v", s.Duration())
	}
}

func TestReportSurvivesJSON(t *testing.T) {
	r := sampleReport()
	r.Pools[0].Outage = &Outage{Failures: 3, Since: noon, NextProbe: noon.Add(time.Second)}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, back) {
		t.Errorf("got back\n%+v\nof\n%+v", back, r)
	}
}

// filled sets every field of v to something, so that nothing is left out of its JSON.
func filled(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(noon))
			return
		}
		for i := range v.NumField() {
			filled(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled(v.Index(0))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]uint64{"lifetime": 1}))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint64:
		v.SetUint(1)
	default:
		v.SetInt(1)
	}
}

// The file is the promise of version 1: what it has must stay. It grows when a
// field is added.
func TestShapeOfTheJSONIsStable(t *testing.T) {
	var r Report
	filled(reflect.ValueOf(&r).Elem())
	got, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) {
		t.Errorf("the shape is now\n%s", got)
	}
}

// numbered sets every field of v to something else.
func numbered(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("text " + strconv.Itoa(i))
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int, reflect.Int64:
			f.SetInt(int64(i + 1))
		case reflect.Uint64:
			f.SetUint(uint64(i + 1))
		case reflect.Struct:
			f.Set(reflect.ValueOf(noon))
		}
	}
}

// What a pool tells is all in the report, under the same names: a counter that is
// added there must be added here.
func TestReportLeavesNothingOut(t *testing.T) {
	var counters pool.Counters
	var sample pool.Sample
	var conn pool.ConnInfo
	numbered(reflect.ValueOf(&counters).Elem())
	numbered(reflect.ValueOf(&sample).Elem())
	numbered(reflect.ValueOf(&conn).Elem())
	for _, pair := range [][2]any{{counters, readCounters(&counters)}, {sample, readSample(sample)}, {conn, readConn(conn)}} {
		from, to := reflect.ValueOf(pair[0]), reflect.ValueOf(pair[1])
		for i := range from.NumField() {
			name := from.Type().Field(i).Name
			if name == "Retired" { // by name here
				continue
			}
			shown := to.FieldByName(name)
			if !shown.IsValid() {
				t.Errorf("%T.%s is not in %T", pair[0], name, pair[1])
				continue
			}
			if got, want := fmt.Sprint(shown.Interface()), fmt.Sprint(from.Field(i).Interface()); shown.Kind() != reflect.Int64 && got != want {
				t.Errorf("%T.%s is shown as %s, want %s", pair[0], name, got, want)
			} else if shown.Kind() == reflect.Int64 && shown.Int() != from.Field(i).Int() {
				t.Errorf("%T.%s is shown as %d, want %d", pair[0], name, shown.Int(), from.Field(i).Int())
			}
		}
	}
	counters.Retired[pool.ReasonLifetime] = 7
	if retired := readCounters(&counters).Retired; len(retired) != 1 || retired[pool.ReasonLifetime.String()] != 7 {
		t.Errorf("retirements are %v", retired)
	}
}

func TestLongTextsAreClipped(t *testing.T) {
	short, long := strings.Repeat("ä", longest/2), "x"+strings.Repeat("ä", longest)
	if clip(short) != short {
		t.Error("a text was clipped that needs not be")
	}
	if got := readConn(pool.ConnInfo{Statement: long}).Statement; len(got) > longest+len("…") || !utf8.ValidString(got) || !strings.HasSuffix(got, "ä…") {
		t.Errorf("%d bytes became %d, with %q at the end", len(long), len(got), got[len(got)-8:])
	}
}

func TestJSONTellsOfARunningPool(t *testing.T) {
	b := newPool(t, scripted.Hooks{}, pool.Config{Name: "b", MaxConns: 3})
	a := newPool(t, scripted.Hooks{}, pool.Config{Name: "a"})
	for range 2 {
		l, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release(pool.Clean)
	}
	w := get(t, Handler(only(b, a)), "/status.json")
	var r Report
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || w.Code != http.StatusOK {
		t.Fatal(w.Code, err)
	}
	if r.Version != 1 || r.Process.PID != os.Getpid() || len(r.Pools) != 2 || r.Pools[0].Name != "a" {
		t.Errorf("got version %d, pid %d, %d pools, the first of them %q", r.Version, r.Process.PID, len(r.Pools), r.Pools[0].Name)
	}
	p := r.Pools[1]
	if p.Conns.Max != 3 || p.Conns.InUse != 2 || p.Counters.Acquires != 2 || p.Counters.Connects != 2 || len(p.Connections) != 2 {
		t.Errorf("got %+v, %d acquires, %d connects, %d connections", p.Conns, p.Counters.Acquires, p.Counters.Connects, len(p.Connections))
	}
	w = get(t, Handler(only(b, a)), "/status.json?pool=b")
	r = Report{}
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || len(r.Pools) != 1 || r.Pools[0].Name != "b" {
		t.Errorf("asked for b, got %+v, %v", r.Pools, err)
	}
}
