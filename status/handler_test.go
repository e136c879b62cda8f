package status

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// Whatever stands before it, the page is found, and so is all that it links to.
func TestMountedUnderAnyPrefix(t *testing.T) {
	h := Handler(only())
	stripped, plain := http.NewServeMux(), http.NewServeMux()
	stripped.Handle("/debug/nimue/", http.StripPrefix("/debug/nimue", h))
	plain.Handle("/debug/nimue/", h)
	for name, mounted := range map[string]struct {
		mux  http.Handler
		page string
	}{"at the root": {h, "/"}, "stripped": {stripped, "/debug/nimue/"}, "unstripped": {plain, "/debug/nimue/"}} {
		base, _ := url.Parse(mounted.page)
		for link, kind := range map[string]string{
			"./": "text/html", "?pool=x": "text/html", "style.css": "text/css", "script.js": "text/javascript",
			"status.json": "application/json", "ready": "text/plain",
		} {
			to, err := base.Parse(link)
			if err != nil {
				t.Fatal(err)
			}
			w := get(t, mounted.mux, to.String())
			if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
				t.Errorf("%s, %s: %d %s", name, to, w.Code, w.Header().Get("Content-Type"))
			}
		}
		if w := get(t, mounted.mux, mounted.page+"favicon.ico"); w.Code != http.StatusNotFound {
			t.Errorf("%s: an unknown name is answered with %d", name, w.Code)
		}
	}
	for _, mux := range []http.Handler{stripped, plain, http.StripPrefix("/debug/nimue", h)} {
		w := get(t, mux, "/debug/nimue")
		at, _ := url.Parse("/debug/nimue")
		to, err := at.Parse(w.Header().Get("Location"))
		if err != nil || w.Code/100 != 3 || to.Path != "/debug/nimue/" {
			t.Errorf("without its slash: %d, to %v, %v", w.Code, to, err)
		}
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	for _, path := range []string{"/", "/status.json", "/ready", "/script.js", "/control", "/nothing"} {
		w := get(t, Handler(only()), path)
		h := w.Header()
		policy := h.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || h.Get("X-Frame-Options") != "DENY" ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestOnlyReadingIsAllowed(t *testing.T) {
	for _, path := range []string{"/", "/status.json", "/ready", "/style.css"} {
		if w := send(t, Handler(only()), httptest.NewRequest(http.MethodPost, path, nil)); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, allowed %q", path, w.Code, w.Header().Get("Allow"))
		}
		if w := send(t, Handler(only()), httptest.NewRequest(http.MethodHead, path, nil)); w.Code != http.StatusOK {
			t.Errorf("HEAD %s: %d", path, w.Code)
		}
	}
	if w := get(t, Handler(AllowControl(), only()), "/control"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET control: %d, allowed %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestWithoutPools(t *testing.T) {
	h := Handler(only())
	if w := get(t, h, "/"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "There is no open pool in this process") {
		t.Errorf("the page: %d\n%s", w.Code, w.Body)
	}
	if w := get(t, h, "/?pool=orders"); !strings.Contains(w.Body.String(), "There is no open pool named “orders”") {
		t.Errorf("the page of a pool that is not there:\n%s", w.Body)
	}
	if w := get(t, h, "/status.json"); !strings.Contains(w.Body.String(), `"pools": []`) {
		t.Errorf("the JSON: %s", w.Body)
	}
	if w := get(t, h, "/ready"); w.Code != http.StatusOK || w.Body.String() != "ready\n" {
		t.Errorf("ready: %d %q", w.Code, w.Body)
	}
	w := get(t, h, "/ready?pool=orders")
	if w.Code != http.StatusServiceUnavailable || w.Body.String() != "down\nthere is no open pool named \"orders\"\n" {
		t.Errorf("ready for a pool that is not there: %d %q", w.Code, w.Body)
	}
}

func TestHandlerShowsTheProcessesPools(t *testing.T) {
	p := newPool(t, scripted.Hooks{}, pool.Config{Name: "of the process"})
	var r Report
	if err := json.Unmarshal(get(t, Handler(), "/status.json").Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, shown := range r.Pools {
		found = found || shown.Name == p.Name()
	}
	if !found {
		t.Errorf("%q is not among %d pools", p.Name(), len(r.Pools))
	}
}

// A pool whose server cannot be reached is down once the grace is over; another
// one beside it stays ready.
func TestReadiness(t *testing.T) {
	well := newPool(t, scripted.Hooks{}, pool.Config{Name: "well"})
	refused := errors.New("connection refused")
	ill := newPool(t, scripted.Hooks{Connect: func(context.Context, int) error { return refused }}, pool.Config{Name: "ill", OutageGrace: pool.None})
	if l, err := well.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	} else {
		l.Release(pool.Clean)
	}
	if _, err := ill.Acquire(t.Context()); err == nil {
		t.Fatal("a connection to nowhere")
	}
	deadline := time.Now().Add(10 * time.Second)
	for ill.Health().State != pool.Down && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	h := Handler(only(well, ill))
	w := get(t, h, "/ready")
	lines := strings.Split(w.Body.String(), "\n")
	if w.Code != http.StatusServiceUnavailable || lines[0] != "down" || lines[1] != "well: ready" || !strings.HasPrefix(lines[2], "ill: down: ") ||
		!strings.Contains(lines[2], "connection refused") {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	if w := get(t, h, "/ready?pool=well"); w.Code != http.StatusOK || w.Body.String() != "ready\nwell: ready\n" {
		t.Errorf("the one that is well: %d %q", w.Code, w.Body)
	}
	r := httptest.NewRequest(http.MethodGet, "/ready", nil)
	r.Header.Set("Accept", "application/json")
	w = send(t, h, r)
	var ready Readiness
	if err := json.Unmarshal(w.Body.Bytes(), &ready); err != nil || w.Code != http.StatusServiceUnavailable || ready.State != "down" ||
		len(ready.Pools) != 2 || ready.Pools[1].Reason == "" || !strings.HasPrefix(ready.Reason, "ill: ") {
		t.Errorf("as JSON: %d %+v %v", w.Code, ready, err)
	}
}

// Holders are recorded for who looks, and not for an orchestrator that asks every
// second for years.
func TestOnlyWhoLooksHasHoldersRecorded(t *testing.T) {
	for path, want := range map[string]bool{"/": true, "/status.json": true, "/ready": false, "/style.css": false} {
		p := newPool(t, scripted.Hooks{}, pool.Config{Name: "orders"})
		h := Handler(only(p))
		get(t, h, path)
		l, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		var r Report
		if err := json.Unmarshal(get(t, h, "/status.json").Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		c := r.Pools[0].Connections[0]
		if recorded := c.Held > 0 && strings.Contains(c.Stack, "TestOnlyWhoLooksHasHoldersRecorded"); recorded != want {
			t.Errorf("after %s: held %v, taken by\n%s", path, c.Held.Duration(), c.Stack)
		}
		l.Release(pool.Clean)
	}
}

func TestWorst(t *testing.T) {
	ready, degraded, down := Pool{Name: "a", Health: Health{State: "ready"}}, Pool{Name: "b", Health: Health{"degraded", "slow"}}, Pool{Name: "c", Health: Health{"down", "gone"}}
	for _, c := range []struct {
		pools []Pool
		want  Health
	}{
		{nil, Health{"ready", ""}},
		{[]Pool{ready, ready}, Health{"ready", ""}},
		{[]Pool{degraded, ready}, Health{"degraded", "b: slow"}},
		{[]Pool{ready, degraded, down}, Health{"down", "b: slow; c: gone"}},
		{[]Pool{down, degraded}, Health{"down", "c: gone; b: slow"}},
	} {
		if got := worst(c.pools); got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
	if text := (Readiness{Health: Health{State: "down"}, Pools: []PoolHealth{{"a\nb: ready", Health{"down", "two\nlines"}}}}).text(); text != "down\na b: ready: down: two lines\n" {
		t.Errorf("line breaks get through: %q", text)
	}
}
