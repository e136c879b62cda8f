package status

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

func render(t *testing.T, p page) string {
	t.Helper()
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The page without scripts says all that there is.
func TestPageShowsEverything(t *testing.T) {
	html := render(t, newPage(sampleReport()))
	for what, want := range map[string]string{
		"health":               "degraded</strong> 17 callers have waited",
		"the queue":            `<dt>waiting</dt><dd><b>17</b>`,
		"in use":               `<b>17</b> <span>of 20</span>`,
		"a leak":               `▲ leaked</span> 39s`,
		"its holder":           `main.(*shop).checkout <small>checkout.go:88</small>`,
		"its stack":            "main.(*server).handleOrder\n\t/src/shop/server.go:141",
		"its statement":        "UPDATE items SET stock = stock - ? WHERE item_no = ?",
		"a tile's numbers":     "age 26m · 1,204 uses · ok 3s",
		"a verifying one":      "</span> verifying</span>",
		"a doubted one":        "must be verified before it is lent",
		"an error":             "dial tcp 10.0.0.7:5432: connect: connection refused",
		"an event":             `<td class="worse">leak found</td>`,
		"a retirement":         "lifetime, aged 1h00m",
		"a setting":            "<code>pool_max_waiters</code></th><td>unlimited",
		"a setting's note":     "<td>0 <small>off</small>",
		"a counter":            "<dt>acquires</dt><dd>12,345,678</dd>",
		"a hit rate":           "99.9 %",
		"a histogram's text":   "90,000 counted, half of them up to 8.1ms, 90 % up to 32ms, 99 % up to 131ms, at most 524ms",
		"a plot's text":        "in use: now 16, at most 20 at",
		"the table of minutes": `<th scope="col" class="n">in use, most</th>`,
		"a way to reload":      `<a href="">Reload</a>`,
		"title":                "<title>degraded: nimue · shop</title>",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("%s: %q is missing", what, want)
		}
	}
	if strings.Contains(html, "<form") || strings.Contains(html, `http-equiv="refresh"`) {
		t.Error("controls or a refresh that nobody asked for")
	}
}

// Names, statements, errors and stacks come from outside.
func TestPageEscapes(t *testing.T) {
	const evil = `<script>alert("x")</script>'"><img src=x onerror=alert(1)>`
	r := sampleReport()
	p := &r.Pools[0]
	p.Name, p.Health.Reason, r.Process.Program = evil, evil, evil
	p.Connections[0].Statement, p.Connections[0].Stack = evil, evil+"\n\tx.go:1"
	p.LastErrors[0].Error, p.Events[0].Error, p.Settings[0].Value = evil, evil, evil
	p.Counters.Retired[evil] = 1
	v := newPage(r)
	v.Control, v.Only, v.Token = true, evil, "t"
	v.Actions = []action{{At: noon, Pool: evil, Did: evil}}
	html := render(t, v)
	if n := strings.Count(html, "<script"); n != 1 {
		t.Errorf("%d script elements, want the page's own", n)
	}
	if strings.Contains(html, "<img") {
		t.Error("an element from outside got through")
	}
	if !strings.Contains(html, "&lt;script&gt;alert(") {
		t.Error("the text itself is not shown")
	}
}

var (
	idAttribute = regexp.MustCompile(`\sid="([^"]*)"`)
	reference   = regexp.MustCompile(`\s(?:aria-labelledby|for)="([^"]*)"|\shref="#([^"]*)"`)
	inline      = regexp.MustCompile(`\son\w+=|\sstyle=|<style|javascript:`)
	outside     = regexp.MustCompile(`(?:href|src|action)="(?:https?:)?/`)
)

// The script finds elements by their ids, and labels theirs; the policy allows
// nothing inline, and a prefix nothing absolute.
func TestPageIsSound(t *testing.T) {
	r := sampleReport()
	second := r.Pools[0]
	second.Since = second.Since.Add(time.Second) // of the same name
	r.Pools = append(r.Pools, second)
	second.Events = append(second.Events, second.Events...)
	r.Pools = append(r.Pools, Pool{Name: "empty", At: noon})
	p := newPage(r)
	p.Control, p.Refresh = true, 5
	html := render(t, p)
	ids := map[string]bool{}
	for _, m := range idAttribute.FindAllStringSubmatch(html, -1) {
		if ids[m[1]] {
			t.Errorf("id %q occurs twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range reference.FindAllStringSubmatch(html, -1) {
		for id := range strings.FieldsSeq(m[1] + m[2]) {
			if !ids[id] {
				t.Errorf("id %q is referred to and missing", id)
			}
		}
	}
	if found := inline.FindString(html); found != "" {
		t.Errorf("%q would break the policy", found)
	}
	if found := outside.FindString(html); found != "" {
		t.Errorf("%q would leave the prefix", found)
	}
	if !strings.Contains(html, `<noscript><meta http-equiv="refresh" content="5"></noscript>`) {
		t.Error("no refresh though it was asked for")
	}
}

// A thousand connections are still a page, which shows those that matter.
func TestPageOfAThousandConnections(t *testing.T) {
	r := sampleReport()
	p := &r.Pools[0]
	p.Conns = Conns{Max: 1000, Total: 1000, InUse: 200, Idle: 800}
	p.Connections = nil
	for id := uint64(1); id <= 1000; id++ {
		c := Conn{ID: id, State: "idle", Idle: Seconds(time.Second)}
		if id%5 == 0 {
			c = Conn{ID: id, State: "leased", Held: Seconds(id) * Seconds(time.Millisecond)}
		}
		p.Connections = append(p.Connections, c)
	}
	v := newPage(r)
	html := render(t, v)
	if got := strings.Count(html, `<li id="`); got != mostTiles {
		t.Errorf("%d tiles, want %d", got, mostTiles)
	}
	if !strings.Contains(html, "… and 850 more: 50 in use, 800 idle.") {
		t.Errorf("what is left out is not summed up: %q", v.Views[0].More)
	}
	if held := v.Views[0].Holders[0]; held.Conn.ID != 1000 || held.For != "1.0s" {
		t.Errorf("held longest: %+v", held)
	}
	last := uint64(0)
	for _, tile := range v.Views[0].Tiles {
		if tile.Conn.ID <= last {
			t.Fatalf("tile %d comes after %d", tile.Conn.ID, last)
		}
		last = tile.Conn.ID
	}
	if len(html) > 400_000 {
		t.Errorf("the page has %d bytes", len(html))
	}
}

func TestHeadline(t *testing.T) {
	for want, p := range map[string]Pool{
		"the server refuses": {Health: Health{"down", "the server refuses"}, Waiting: 1},
		"callers are served, and some of them wait for it": {Waiting: 1, Conns: Conns{Total: 1}},
		"no connection is open, since none was needed":     {},
		"callers are served at once":                       {Conns: Conns{Total: 1}},
	} {
		if got := headline(&p); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBarIsAsLongAsItsParts(t *testing.T) {
	p := Pool{Conns: Conns{Max: 4, Total: 9, InUse: 4, Idle: 2, Verifying: 1, Connecting: 1, Closing: 1}}
	x := 0
	for _, s := range barOf(&p) {
		if s.X != x {
			t.Errorf("%s begins at %d, want %d", s.Class, s.X, x)
		}
		x += s.Wide
	}
	if size := (view{Pool: p}).Size(); x != 9 || size != 9 {
		t.Errorf("the parts make up %d, the bar has %d", x, size)
	}
}

func TestPoolsAreListedWhereThereAreSeveral(t *testing.T) {
	r := sampleReport()
	for i := range 3 {
		r.Pools = append(r.Pools, Pool{Name: fmt.Sprint("more", i), At: noon})
	}
	if html := render(t, newPage(r)); strings.Count(html, `-row"><th scope="row">`) != 4 {
		t.Error("not every pool is in the list")
	}
}
