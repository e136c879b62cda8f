package nimueexpvar

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/internal/testdb"
	"github.com/nimue-go/nimue/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// published reads the variable as whoever fetches /debug/vars.
func published(t *testing.T) (pools map[string]map[string]any, text string) {
	t.Helper()
	text = expvar.Get("nimue").String()
	if err := json.Unmarshal([]byte(text), &pools); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return pools, text
}

// at follows a path such as "connections.idle".
func at(t *testing.T, in map[string]any, path string) any {
	t.Helper()
	var v any = in
	for step := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%s: nothing at %s", path, step)
		}
		if v, ok = m[step]; !ok {
			t.Fatalf("%s: no %s", path, step)
		}
	}
	return v
}

func want(t *testing.T, in map[string]any, path string, value any) {
	t.Helper()
	if got := at(t, in, path); got != value {
		t.Errorf("%s is %v, want %v", path, got, value)
	}
}

func TestPublished(t *testing.T) {
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders", MaxConns: 4, MaxWaiters: pool.None, AcquireTimeout: 2500 * time.Millisecond})
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := errors.Join(conn.PingContext(t.Context()), db.PingContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	pools, _ := published(t)
	p := pools["orders"]
	want(t, p, "connections.in_use", 1.0)
	want(t, p, "connections.idle", 1.0)
	want(t, p, "connections.total", 2.0)
	want(t, p, "limits.max_conns", 4.0)
	want(t, p, "limits.max_waiters", 0.0)
	want(t, p, "limits.acquire_timeout_seconds", 2.5)
	want(t, p, "counters.acquires", 2.0)
	want(t, p, "counters.connects", 2.0)
	want(t, p, "counters.retired.peer_closed", 0.0)
	want(t, p, "peaks.in_use.n", 2.0)
	want(t, p, "times.connect.count", 2.0)
	want(t, p, "health.state", "ready")
	want(t, p, "outage", nil)
	if since, err := time.Parse(time.RFC3339Nano, at(t, p, "since").(string)); err != nil || time.Since(since) > time.Minute {
		t.Errorf("since %v, %v", since, err)
	}
}

func TestNoLimitIsNull(t *testing.T) {
	testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "patient", AcquireTimeout: pool.None})
	pools, _ := published(t)
	want(t, pools["patient"], "limits.max_waiters", nil)
	want(t, pools["patient"], "limits.acquire_timeout_seconds", nil)
}

// Where a DSN and its password are in the driver's error, they are masked.
func TestAnOutageWithoutItsSecrets(t *testing.T) {
	const secret = "hunter2"
	open := func(context.Context, int) error {
		return fmt.Errorf("postgres://app:%s@db.internal/shop: connection refused", secret)
	}
	inner := scripted.New(scripted.Hooks{Connect: open})
	sql.Register("refusing", inner.Driver())
	db, err := sql.Open("nimue", "refusing:postgres://app:"+secret+"@db.internal/shop?pool_name=locked&pool_outage_grace=0")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.PingContext(t.Context()); err == nil {
		t.Fatal("a connect succeeded")
	}
	pools, text := published(t)
	if strings.Contains(text, secret) {
		t.Errorf("the secret is published: %s", text)
	}
	p := pools["locked"]
	if shown := at(t, p, "last_errors.connect.error"); !strings.Contains(shown.(string), "connection refused") {
		t.Errorf("the error is %q", shown)
	}
	if n := at(t, p, "outage.failures"); n.(float64) < 1 {
		t.Errorf("an outage with %v failures", n)
	}
	want(t, p, "counters.failed", 1.0)
}

// Nothing that the statistics count is forgotten or mixed up.
func TestEveryCounter(t *testing.T) {
	var from pool.Counters
	v := reflect.ValueOf(&from).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Uint64:
			f.SetUint(uint64(i + 1))
		case reflect.Int64: // a duration
			f.SetInt(int64(i+1) * int64(time.Second))
		case reflect.Array:
			for j := range f.Len() {
				f.Index(j).SetUint(uint64(100 + j))
			}
		default:
			t.Fatalf("%s is a %v", v.Type().Field(i).Name, f.Kind())
		}
	}
	to := reflect.ValueOf(counters(&from))
	renamed := map[string]string{"LeaksTaken": "LeaksReclaimed"}
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if other, ok := renamed[name]; ok {
			name = other
		}
		f := to.FieldByName(name)
		switch {
		case !f.IsValid():
			t.Errorf("%s is not published", name)
		case f.Kind() == reflect.Map:
			if n := f.MapIndex(reflect.ValueOf("demoted")).Uint(); n != 100+uint64(pool.ReasonDemoted) || f.Len() != pool.NumReasons {
				t.Errorf("%d demoted of %d reasons", n, f.Len())
			}
		case f.CanFloat() && f.Float() != float64(i+1), f.CanUint() && f.Uint() != uint64(i+1):
			t.Errorf("%s is %v, want %d", name, f, i+1)
		}
	}
}
