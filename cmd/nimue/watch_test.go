package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
	"github.com/nimue-go/nimue/status"
)

const sampleStack = `github.com/nimue-go/nimue.(*Conn).lease
	/src/nimue/conn.go:101
main.(*shop).checkout
	/src/shop/checkout.go:88
net/http.HandlerFunc.ServeHTTP
	/go/src/net/http/server.go:2322`

// noon is the moment that the sample shows.
var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.Local)

// sample is a report of a pool in trouble and of one that has none.
func sample() status.Report {
	return status.Report{
		Version: status.Version, At: noon, Process: status.Process{Program: "shop", PID: 4711, Host: "web-3"},
		Health: status.Health{State: "degraded", Reason: "orders: 7 callers wait"},
		Pools: []status.Pool{{
			Name: "orders", Health: status.Health{State: "degraded", Reason: "7 callers wait, the first for 4s"}, Since: noon.Add(-time.Hour), At: noon,
			Waiting: 7, Conns: status.Conns{Max: 8, Total: 8, InUse: 6, Idle: 1, Verifying: 1},
			Peaks:    status.Peaks{Waiting: status.Peak{N: 14, At: noon.Add(-time.Minute)}},
			Counters: status.Counters{Acquires: 60_000, Waits: 900, Timeouts: 5, Connects: 20},
			Wait:     status.Histogram{Count: 900, P99: status.Seconds(4 * time.Second)},
			Hold:     status.Histogram{Count: 60_000, P99: status.Seconds(1234 * time.Microsecond)},
			Connections: []status.Conn{
				{ID: 1, State: "leased", Held: status.Seconds(20 * time.Millisecond), Stack: sampleStack},
				{ID: 2, State: "leased", Held: status.Seconds(39 * time.Second), Leaked: true, Stack: sampleStack,
					Statement: "UPDATE items SET stock = stock - ? WHERE item_no = ?"},
				{ID: 3, State: "leased"},
				{ID: 4, State: "idle"},
			},
			History: []status.Sample{{At: noon.Add(-2 * time.Second), Acquires: 57_600, Waits: 895, Timeouts: 5, Connects: 20}, {At: noon, Acquires: 60_000}},
			Events: []status.Event{
				{At: noon.Add(-9 * time.Second), Kind: "leak found", Conn: 2, Took: status.Seconds(30 * time.Second), Stack: sampleStack},
				{At: noon.Add(-time.Minute), Kind: "retired", Conn: 9, Reason: "lifetime", Took: status.Seconds(time.Hour)},
			},
		}, {
			Name: "reports", Health: status.Health{State: "ready"}, Since: noon, At: noon, Conns: status.Conns{Max: 2},
		}},
	}
}

// serve is a status page of what next returns, at /debug/nimue/.
func serve(t *testing.T, next func(*http.Request) (int, any)) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != mountPoint+document {
			http.NotFound(w, r)
			return
		}
		code, body := next(r)
		w.WriteHeader(code)
		if text, ok := body.(string); ok {
			_, _ = io.WriteString(w, text)
			return
		}
		_ = json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func serveSample(t *testing.T, change func(*status.Report)) (address string) {
	r := sample()
	if change != nil {
		change(&r)
	}
	return serve(t, func(*http.Request) (int, any) { return 200, r })
}

const wantSample = `shop on web-3, process 4711, at 12:00:00

orders  degraded
  7 callers wait, the first for 4s
  conns    █████████████████████████████████████▒▒▒▒▒▒──────· 6 in use, 1 idle, 1 busy of 8
  waiting  █████████████████████████························· 7 waiting, at most 14 at 11:59:00
  rates    1,200 acquires/s, 2.5 waits/s, 0 timeouts/s, 0 connects/s
  p99      wait 4s, hold 1.23ms, connect –, verify –
  holders  39s    main.(*shop).checkout checkout.go:88 (leaked)
                  UPDATE items SET stock = stock - ? WHERE item_no = ?
           20ms   main.(*shop).checkout checkout.go:88
  events   11:59:51 leak found held 30s, by main.(*shop).checkout checkout.go:88
           11:59:00 retired lifetime, aged 1h00m

reports  ready
  conns    ·················································· 0 in use, 0 idle of 2
  waiting  ·················································· 0 waiting
  rates    not known yet
  p99      wait –, hold –, connect –, verify –
`

func TestWatchOnce(t *testing.T) {
	r := runWith(t, "watch", "-once", serveSample(t, nil))
	r.wants(t, exitFine)
	if r.out != wantSample || r.messages != "" {
		t.Errorf("%s\nwant\n%s", r.all(), wantSample)
	}
	narrow := program{env: map[string]string{"COLUMNS": "60"}}.run(t, "watch", "-once", serveSample(t, nil))
	for line := range strings.Lines(narrow.out) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 60 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}

func TestWatchExitCodes(t *testing.T) {
	for _, test := range []struct {
		state  string
		strict bool
		code   int
	}{
		{"ready", false, exitFine}, {"ready", true, exitFine},
		{"degraded", false, exitFine}, {"degraded", true, exitBad},
		{"down", false, exitBad}, {"down", true, exitBad},
	} {
		address := serveSample(t, func(r *status.Report) { r.Health.State = test.state })
		for _, how := range []string{"-once", "-json"} {
			r := runWith(t, "watch", how, fmt.Sprintf("-strict=%v", test.strict), address)
			if r.code != test.code || r.messages != "" {
				t.Errorf("%+v %s: %d %s", test, how, r.code, r.messages)
			}
		}
	}
}

func TestWatchJSONIsThePages(t *testing.T) {
	const text = `{"version": 1, "health": {"state": "ready"}, "pools": [], "new": {"field": 1}}`
	address := serve(t, func(*http.Request) (int, any) { return 200, text + "\n\n" })
	if r := runWith(t, "watch", "-json", address); r.out != text+"\n" || r.code != exitFine {
		t.Errorf("%d %s", r.code, r.all())
	}
}

func TestWatchAddresses(t *testing.T) {
	for path, want := range map[string]string{
		"":                         "/debug/nimue/status.json",
		"/":                        "/status.json",
		"/x":                       "/x/status.json",
		"/x/":                      "/x/status.json",
		"/x/status.json":           "/x/status.json",
		"/x/ready":                 "/x/status.json",
		"/x/?refresh=5#orders":     "/x/status.json",
		"/a%2Fb/?pool=a%20b":       "/a/b/status.json?pool=a+b",
		"/debug/nimue/?pool=other": "/debug/nimue/status.json?pool=other",
	} {
		for _, prefix := range []string{"http://h:1", "h:1", "https://h:1"} {
			p, err := newPage(prefix+path, "", time.Second)
			if err != nil {
				t.Fatal(err)
			}
			scheme, _, _ := strings.Cut(prefix, "h:1")
			if scheme == "" {
				scheme = "http://"
			}
			if got := p.address.String(); got != scheme+"h:1"+want {
				t.Errorf("%s leads to %s", prefix+path, got)
			}
		}
	}
}

func TestWatchAsks(t *testing.T) {
	var asked *http.Request
	address := serve(t, func(r *http.Request) (int, any) { asked = r; return 200, sample() })
	runWith(t, "watch", "-once", "-pool", "a b", "http://op:s3cret@"+address).wants(t, exitFine)
	user, password, ok := asked.BasicAuth()
	if !ok || user != "op" || password != "s3cret" || asked.URL.Query().Get("pool") != "a b" {
		t.Errorf("asked %v with %v", asked.URL, asked.Header)
	}
	program{env: map[string]string{"NIMUE_URL": address}}.run(t, "watch", "-once").wants(t, exitFine, "orders")
}

func TestWatchFails(t *testing.T) {
	longAgo := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(longAgo.Close)
	for _, test := range []struct{ address, says string }{
		{serve(t, func(*http.Request) (int, any) { return 401, "" }), "the answer is 401 Unauthorized"},
		{serve(t, func(*http.Request) (int, any) { return 200, "<html>" }), "is the address that of nimue's status page?"},
		{serve(t, func(*http.Request) (int, any) { return 200, "{}" }), "is the address that of nimue's status page?"},
		{serve(t, func(*http.Request) (int, any) { return 200, `{"version": 2}` }), "the document has version 2, and this command reads version 1"},
		{strings.TrimPrefix(longAgo.URL, "http://"), "404"},
		{"127.0.0.1:1", "connection refused"},
		{silentServer(t), "deadline exceeded"},
	} {
		for _, how := range []string{"-once=true", "-once=false"} {
			r := runWith(t, "watch", "-timeout", "500ms", how, "http://op:s3cret@"+test.address+"/debug/nimue/?token=t0ken")
			r.wants(t, exitBad, "nimue watch: http://"+test.address+"/debug/nimue/status.json: ", test.says)
			if strings.Contains(r.all(), "s3cret") || strings.Contains(r.all(), "t0ken") || r.out != "" {
				t.Errorf("%s", r.all())
			}
		}
		r := runWith(t, "watch", "-timeout", "500ms", "-json", "http://op:s3cret@"+test.address+"/debug/nimue/?token=t0ken")
		if d := decode[watchError](t, r); r.code != exitBad || !strings.Contains(d.Error, test.says) || strings.Contains(r.all(), "s3cret") {
			t.Errorf("%d %s", r.code, r.out)
		}
	}
}

// TestWatchWithoutATerminal: a line for each pool and interval, also while the page
// does not answer, until it is interrupted.
func TestWatchWithoutATerminal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int32
	address := serve(t, func(*http.Request) (int, any) {
		switch asked.Add(1) {
		case 2:
			return 503, ""
		case 4:
			cancel()
		}
		return 200, sample()
	})
	r := program{ctx: ctx}.run(t, "watch", "-interval", "100ms", address)
	r.wants(t, exitFine)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	const orders = `12:00:00 pool="orders" health=degraded in_use=6 idle=1 max=8 waiting=7 acquires=60000 timeouts=5 connect_errors=0 wait_p99=4s reason="7 callers wait, the first for 4s"`
	if len(lines) < 5 || lines[0] != orders || !strings.HasPrefix(lines[1], `12:00:00 pool="reports" health=ready`) ||
		!strings.Contains(lines[2], "no answer: http://"+address+mountPoint+document+": the answer is 503") || lines[3] != orders {
		t.Errorf("%s", r.out)
	}
	if strings.Contains(r.all(), "\x1b") || r.messages != "" {
		t.Errorf("%q", r.all())
	}
}

func TestWatchInterruptedWhileNothingAnswers(t *testing.T) {
	r := program{ctx: cancelled(t, 200*time.Millisecond)}.run(t, "watch", "-timeout", "1m", silentServer(t))
	if r.code != exitInterrupted || r.messages != "nimue watch: interrupted\n" {
		t.Errorf("%d %s", r.code, r.all())
	}
}

func TestWatchNoPool(t *testing.T) {
	address := serveSample(t, func(r *status.Report) { r.Pools = nil })
	runWith(t, "watch", "-once", address).wants(t, exitFine, "no pool is open")
	program{until: "no pool is open"}.run(t, "watch", address).wants(t, exitFine, "12:00:00 no pool is open")
}

// TestWatchIsNotCommanded: what comes over the network cannot command the terminal.
func TestWatchIsNotCommanded(t *testing.T) {
	const evil = "a\x1b[2Jb\nc\rd\u009b31m\u202ee"
	address := serveSample(t, func(r *status.Report) {
		p := &r.Pools[0]
		r.Process.Program, r.Process.Host, r.Health.Reason = evil, evil, evil
		p.Name, p.Health.Reason, p.Connections[0].Stack, p.Connections[1].Statement = evil, evil, evil+" x.go:1", evil
		p.Events[0].Kind, p.Events[0].Error, p.Events[1].Reason = evil, evil, evil
	})
	for _, args := range [][]string{{"-once"}, {"-interval", "1h"}} {
		r := program{until: "\n"}.run(t, append(append([]string{"watch"}, args...), address)...)
		if !strings.Contains(r.out, "a") || strings.ContainsAny(r.all(), "\x1b\r\u009b\u202e") {
			t.Errorf("%q", r.all())
		}
	}
}

// TestRatesAfterARestart: a pool that was made anew counts from nothing.
func TestRatesAfterARestart(t *testing.T) {
	before, now := sample(), sample()
	v := view{report: &now, before: &before, width: 100}
	p := &now.Pools[0]
	p.At = noon.Add(4 * time.Second)
	p.Counters.Acquires += 40
	if got := v.rates(p); got != "10 acquires/s, 0 waits/s, 0 timeouts/s, 0 connects/s" {
		t.Error(got)
	}
	p.Counters.Acquires = 7 // fewer than before: should not be, but must not overflow
	if got := v.rates(p); !strings.HasPrefix(got, "0 acquires/s") {
		t.Error(got)
	}
	p.Since = noon.Add(time.Second)
	p.Counters.Acquires, p.History = 60_000, nil
	if got := v.rates(p); got != "not known yet" {
		t.Error(got)
	}
}

// TestWatchARealPool goes all the way: a pool in use, its status page, the command.
func TestWatchARealPool(t *testing.T) {
	db, err := sql.Open("nimue", sqliteFile(t)+"&pool_max_conns=3&pool_name=real")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mux := http.NewServeMux()
	mux.Handle("/ops/", status.Handler(status.Pools(func() []*pool.Pool { return []*pool.Pool{nimue.PoolOf(db)} })))
	server := httptest.NewServer(mux)
	defer server.Close()
	runWith(t, "watch", "-once", server.URL+"/ops/").wants(t, exitFine, "\nreal  ready\n", " 0 in use, 0 idle of 3", "0 waiting")

	// From here on somebody watches, so that holders are known.
	rows, err := db.QueryContext(t.Context(), "SELECT 'hunter2' UNION ALL SELECT 'x'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	r := runWith(t, "watch", "-once", server.URL+"/ops/")
	r.wants(t, exitFine, " 1 in use, 0 idle of 3", "nimue.TestWatchARealPool watch_test.go:", "SELECT '#####' UNION ALL SELECT", "connected in ")
	if strings.Contains(r.out, "hunter2") {
		t.Errorf("a literal is shown:\n%s", r.out)
	}
	var report status.Report
	r = runWith(t, "watch", "-json", server.URL+"/ops")
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || report.Pools[0].Name != "real" {
		t.Errorf("%v in %s", err, r.all())
	}
}

// TestWatchEndsWhereNobodyReads: a closed pipe is the end, and no success.
func TestWatchEndsWhereNobodyReads(t *testing.T) {
	var messages bytes.Buffer
	code := run(t.Context(), []string{"watch", "-interval", "100ms", serveSample(t, nil)}, nil, closedPipe{}, &messages, func(string) string { return "" })
	if code != exitBad || !strings.Contains(messages.String(), "closed pipe") {
		t.Errorf("%d %s", code, messages.String())
	}
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errors.New("closed pipe") }
