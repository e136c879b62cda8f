package status

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

var tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)

// button is what a form of the page sends for a pool.
func button(t *testing.T, h http.Handler, p *pool.Pool, do string) url.Values {
	t.Helper()
	token := tokenField.FindStringSubmatch(get(t, h, "/").Body.String())
	if token == nil {
		t.Fatal("the page has no form")
	}
	return url.Values{"token": {token[1]}, "pool": {idOf(p.Name(), p.Stats().Since)}, "do": {do}}
}

func TestControlsAreRefusedUnlessAllowed(t *testing.T) {
	p := newPool(t, scripted.Hooks{}, pool.Config{Name: "orders"})
	allowed := Handler(only(p), AllowControl())
	fields := button(t, allowed, p, "reset")
	byProxy := Handler(only(p), AllowControlIf(func(r *http.Request) bool { return r.Header.Get("X-Operator") != "" }))
	without, foreign := url.Values{}, url.Values{}
	for key, value := range fields {
		without[key], foreign[key] = value, value
	}
	without.Del("token")
	foreign.Set("token", "guessed")
	for name, c := range map[string]struct {
		h      http.Handler
		fields url.Values
		header map[string]string
	}{
		"by default":           {Handler(only(p)), fields, nil},
		"without the header":   {byProxy, fields, nil},
		"from another site":    {allowed, fields, map[string]string{"Sec-Fetch-Site": "cross-site"}},
		"from a subdomain":     {allowed, fields, map[string]string{"Sec-Fetch-Site": "same-site"}},
		"from another origin":  {allowed, fields, map[string]string{"Sec-Fetch-Site": "", "Origin": "https://evil.example"}},
		"from nowhere":         {allowed, fields, map[string]string{"Sec-Fetch-Site": "", "Origin": "null"}},
		"without a token":      {allowed, without, nil},
		"with a foreign token": {allowed, foreign, nil},
	} {
		r := form("/control", c.fields)
		for key, value := range c.header {
			r.Header.Set(key, value)
			if value == "" {
				r.Header.Del(key)
			}
		}
		if w := send(t, c.h, r); w.Code != http.StatusForbidden {
			t.Errorf("%s: answered with %d", name, w.Code)
		}
	}
	for name, h := range map[string]http.Handler{"by default": Handler(only(p)), "without the header": byProxy} {
		if body := get(t, h, "/").Body.String(); strings.Contains(body, "<form") || strings.Contains(body, "token") {
			t.Errorf("%s: the page has buttons", name)
		}
	}
}

// On a loopback address, a name other than localhost is that of a site which has
// pointed it there.
func TestControlIsNotForReboundNames(t *testing.T) {
	for _, c := range []struct {
		local, host string
		want        bool
	}{
		{"127.0.0.1:6060", "localhost:6060", true},
		{"127.0.0.1:6060", "127.0.0.1:6060", true},
		{"[::1]:6060", "[::1]:6060", true},
		{"[::1]:80", "[::1]", true},
		{"127.0.0.1:6060", "evil.example:6060", false},
		{"127.0.0.1:80", "evil.example", false},
		{"[::1]:6060", "localhost.evil.example:6060", false},
		{"10.0.0.7:6060", "orders.internal:6060", true},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = c.host
		local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.local))
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
		if got := reachedByItsOwnName(r); got != c.want {
			t.Errorf("%s asked for as %s: %v", c.local, c.host, got)
		}
	}
}

func TestControlOfWhatIsNotThere(t *testing.T) {
	p := newPool(t, scripted.Hooks{}, pool.Config{Name: "orders"})
	h := Handler(only(p), AllowControl())
	fields := button(t, h, p, "explode")
	if w := send(t, h, form("/control", fields)); w.Code != http.StatusBadRequest {
		t.Errorf("an unknown control is answered with %d", w.Code)
	}
	fields = button(t, h, p, "reset")
	fields.Set("pool", "p0")
	if w := send(t, h, form("/control", fields)); w.Code != http.StatusNotFound {
		t.Errorf("an unknown pool is answered with %d", w.Code)
	}
	fields = button(t, h, p, "reset")
	fields.Set("more", strings.Repeat("x", 2*mostForm))
	if w := send(t, h, form("/control", fields)); w.Code != http.StatusForbidden {
		t.Errorf("a huge form is answered with %d", w.Code)
	}
}

// press presses a button and returns what the page says came of it.
func press(t *testing.T, h http.Handler, p *pool.Pool, fields url.Values) action {
	t.Helper()
	w := send(t, h, form("/debug/control", fields))
	if w.Code != http.StatusSeeOther {
		t.Fatalf("answered with %d: %s", w.Code, w.Body)
	}
	if to, want := w.Header().Get("Location"), "./#"+idOf(p.Name(), p.Stats().Since); to != want {
		t.Errorf("sent on to %q, want %q", to, want)
	}
	return h.(*handler).log.list()[0]
}

func TestSuspendAndResume(t *testing.T) {
	p := newPool(t, scripted.Hooks{}, pool.Config{Name: "orders"})
	h := Handler(only(p), AllowControl())
	if done := press(t, h, p, button(t, h, p, "suspend-refuse")); done.Did != "suspended: callers are refused" || !p.Stats().Suspended {
		t.Errorf("%+v, suspended: %v", done, p.Stats().Suspended)
	}
	if _, err := p.Acquire(t.Context()); err == nil {
		t.Error("a suspended pool lends")
	}
	if html := get(t, h, "/").Body.String(); !strings.Contains(html, ">suspended</strong>") || !strings.Contains(html, "suspended: callers are refused</li>") {
		t.Error("the page does not say so")
	}
	press(t, h, p, button(t, h, p, "suspend-wait"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Acquire(ctx); ctx.Err() == nil {
		t.Errorf("the caller did not wait: %v", err)
	}
	if done := press(t, h, p, button(t, h, p, "resume")); done.Did != "resumed" || p.Stats().Suspended {
		t.Errorf("%+v, suspended: %v", done, p.Stats().Suspended)
	}
	l, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Release(pool.Clean)
}

func TestVerifyDrainAndReset(t *testing.T) {
	p := newPool(t, scripted.Hooks{}, pool.Config{Name: "orders", MinConns: 2})
	h := Handler(only(p), AllowControl())
	await(t, "two idle connections", func() bool { return p.Stats().Idle == 2 })
	if done := press(t, h, p, button(t, h, p, "verify")); done.Did != "verified 2 idle connections, 0 failed" || p.Stats().Verifications < 2 {
		t.Errorf("%+v after %d verifications", done, p.Stats().Verifications)
	}
	if done := press(t, h, p, button(t, h, p, "drain")); done.Failed || p.Stats().Connects < 4 {
		t.Errorf("%+v after %d connects", done, p.Stats().Connects)
	}
	before := p.Stats().Retired[pool.ReasonReset]
	if done := press(t, h, p, button(t, h, p, "reset")); done.Failed {
		t.Errorf("%+v", done)
	}
	await(t, "two connections retired", func() bool { return p.Stats().Retired[pool.ReasonReset] >= before+2 })
}

// A lease may last longer than anybody waits for an answer.
func TestDrainGoesOn(t *testing.T) {
	p := newPool(t, scripted.Hooks{}, pool.Config{Name: "orders"})
	h := Handler(only(p), AllowControl())
	l, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := form("/control", button(t, h, p, "drain"))
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Millisecond)
	defer cancel()
	w := send(t, h, r.WithContext(ctx))
	if done := h.(*handler).log.list()[0]; w.Code != http.StatusSeeOther || done.Failed || !strings.HasPrefix(done.Did, "drain has begun, and goes on") {
		t.Errorf("%d, %+v", w.Code, done)
	}
	l.Release(pool.Clean)
	await(t, "the end of it", func() bool { return p.Stats().Retired.Total() == 1 })
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestChangeLimits(t *testing.T) {
	p := newPool(t, scripted.Hooks{}, pool.Config{Name: "orders", MaxConns: 8, AcquireTimeout: time.Second})
	h := Handler(only(p), AllowControl())
	limits := func(edited ...string) url.Values {
		fields := button(t, h, p, "limits")
		for _, s := range limits(readSettings(p.Config())) {
			fields.Set(s.Name, s.Value)
			fields.Set("was."+s.Name, s.Value)
		}
		for i := 0; i < len(edited); i += 2 {
			fields.Set(edited[i], edited[i+1])
		}
		return fields
	}
	if done := press(t, h, p, limits()); done.Did != "nothing was changed" {
		t.Errorf("%+v", done)
	}
	done := press(t, h, p, limits("pool_max_conns", "12", "pool_acquire_timeout", " 250ms ", "pool_max_waiters", "0"))
	cfg := p.Config()
	if done.Failed || done.Did != "set pool_max_conns=12, pool_acquire_timeout=250ms, pool_max_waiters=0" || cfg.MaxConns != 12 ||
		cfg.AcquireTimeout != 250*time.Millisecond || cfg.MaxWaiters != pool.None {
		t.Errorf("%+v; now %d, %v, %d", done, cfg.MaxConns, cfg.AcquireTimeout, cfg.MaxWaiters)
	}
	press(t, h, p, limits("pool_acquire_timeout", "", "pool_max_waiters", "unlimited"))
	if cfg := p.Config(); cfg.AcquireTimeout != pool.DefaultAcquireTimeout || cfg.MaxWaiters != 0 || cfg.MaxConns != 12 {
		t.Errorf("after going back to defaults: %v, %d, %d", cfg.AcquireTimeout, cfg.MaxWaiters, cfg.MaxConns)
	}
	for edited, want := range map[[2]string]string{
		{"pool_max_conns", "many"}:            `pool_max_conns is "many", want a whole number`,
		{"pool_max_conn_lifetime", "an hour"}: `pool_max_conn_lifetime is "an hour", want a duration`,
		{"pool_min_conns", "13"}:              "MinConns is 13, want at most MaxConns",
	} {
		// All or nothing: the other field, which is well, must not be applied.
		done := press(t, h, p, limits(edited[0], edited[1], "pool_max_connecting", "9"))
		if !done.Failed || !strings.Contains(done.Did, want) || p.Config().MaxConnecting == 9 {
			t.Errorf("%v: %+v, MaxConnecting %d", edited, done, p.Config().MaxConnecting)
		}
	}
	fields := limits("pool_order", "fifo")
	press(t, h, p, fields)
	if p.Config().Order != pool.LIFO {
		t.Error("a setting that is no limit was changed")
	}
}

func TestActionsAreFewAndNewestFirst(t *testing.T) {
	var l actionLog
	for i := range mostActions + 3 {
		l.add(action{At: noon.Add(time.Duration(i) * time.Second)})
	}
	list := l.list()
	if len(list) != mostActions || !list[0].At.After(list[1].At) || !list[0].At.Equal(noon.Add((mostActions+2)*time.Second)) {
		t.Errorf("got %v", list)
	}
}
