package pool

import (
	"context"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// serverDown returns hooks by which connects are refused while down is true.
func serverDown(down *atomic.Bool) scripted.Hooks {
	return scripted.Hooks{Connect: func(context.Context, int) error {
		if down.Load() {
			return errRefused
		}
		return nil
	}}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestBehaviour24TimeoutInsideTheGrace(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	inBubble(t, serverDown(&down), Config{AcquireTimeout: 2 * time.Second}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for name, test := range map[string]struct {
			own, want time.Duration
		}{
			"the pool's": {time.Hour, 2 * time.Second},
			"its own":    {time.Second, time.Second},
		} {
			start := time.Now()
			_, err := p.Acquire(within(t, test.own))
			if took := time.Since(start); took != test.want || !errors.Is(err, ErrAcquireTimeout) || !errors.Is(err, errRefused) {
				t.Errorf("%s: after %v: %v", name, took, err)
			}
		}
	})
}

func TestBehaviour24BackInsideTheGrace(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	inBubble(t, serverDown(&down), Config{MaxConns: 4}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		time.AfterFunc(300*time.Millisecond, func() { down.Store(false) })
		var waiting []<-chan acquired
		for range 4 {
			waiting = append(waiting, asyncAcquire(context.Background(), p))
		}
		time.Sleep(time.Second)
		for _, ch := range waiting {
			a := received(t, ch)
			if a.err != nil || a.after < 300*time.Millisecond || a.after > 700*time.Millisecond {
				t.Errorf("after %v: %v", a.after, a.err)
				continue
			}
			a.lease.Release(Clean)
		}
		if s := p.Stats(); s.LastConnectError != nil || s.Total != 4 {
			t.Errorf("the pool is not filled: %+v", s)
		}
	})
}

func TestBehaviour24ReturnServesAWaiterInAnOutage(t *testing.T) {
	var down atomic.Bool
	inBubble(t, serverDown(&down), Config{MaxConns: 4, OutageGrace: 100 * time.Millisecond}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		down.Store(true)
		time.AfterFunc(800*time.Millisecond, func() { l.Release(Clean) })
		waiting := asyncAcquire(context.Background(), p)
		time.Sleep(850 * time.Millisecond)
		a := received(t, waiting)
		if a.err != nil || a.after != 800*time.Millisecond {
			t.Fatalf("after %v: %v", a.after, a.err)
		}
		a.lease.Release(Clean)
	})
}

// Back shortly before the grace ends: the prober's distances have outgrown it by
// then, and still nobody is refused.
func TestBackRightBeforeTheGraceEnds(t *testing.T) {
	for range 20 {
		var down atomic.Bool
		down.Store(true)
		inBubble(t, serverDown(&down), Config{MaxConns: 4}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			time.AfterFunc(4*time.Second, func() { down.Store(false) })
			l, err := p.Acquire(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			l.Release(Clean)
		})
	}
}

// TestAnHourOfOutage: the prober's schedule, and failure at once past the grace.
func TestAnHourOfOutage(t *testing.T) {
	var down atomic.Bool
	var probing sync.Mutex // several are under way when the outage begins
	var probes []time.Time
	hooks := scripted.Hooks{Connect: func(_ context.Context, n int) error {
		if !down.Load() {
			return nil
		}
		probing.Lock()
		defer probing.Unlock()
		probes = append(probes, time.Now())
		return errRefused
	}}
	inBubble(t, hooks, Config{Name: "orders", MinConns: 8, MaxConns: 8}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		down.Store(true)
		start := time.Now()
		for _, l := range acquireN(t, p, 8) {
			l.Release(Broken)
		}
		waiting := asyncAcquire(context.Background(), p)
		time.Sleep(DefaultOutageGrace)
		if a := received(t, waiting); a.after != DefaultOutageGrace || !errors.Is(a.err, ErrUnavailable) || !errors.Is(a.err, errRefused) {
			t.Errorf("after %v: %v", a.after, a.err)
		}
		for range 12 {
			time.Sleep(5 * time.Minute)
			asked := time.Now()
			_, err := p.Acquire(context.Background())
			if took := time.Since(asked); took != 0 || !errors.Is(err, ErrUnavailable) {
				t.Errorf("after %v: %v", took, err)
			}
		}
		checkSchedule(t, start, probes)
		down.Store(false)
		time.Sleep(lastBackoff)
		wantStats(t, p, 8, 0, 8)
	})
}

// checkSchedule: 10 ms doubling to 5 s, each with a jitter of at most its half.
func checkSchedule(t *testing.T, start time.Time, probes []time.Time) {
	t.Helper()
	first := 0
	for first < len(probes) && probes[first].Equal(start) {
		first++ // those under way together when the outage began
	}
	if first > DefaultMaxConnecting {
		t.Errorf("%d connects at once", first)
	}
	last, backoff := start, firstBackoff
	for i, at := range probes[first:] {
		lastOfGrace := at.Sub(start) == DefaultOutageGrace-beforeGraceEnds
		if gap := at.Sub(last); gap < backoff/2 && !lastOfGrace || gap > backoff {
			t.Fatalf("probe %d came %v after the one before, want %v to %v", i, gap, backoff/2, backoff)
		}
		last, backoff = at, min(2*backoff, lastBackoff)
	}
	if n := len(probes); n < 3600/5 || n > 2*3600/5+30 {
		t.Errorf("%d probes in an hour", n)
	}
}

func TestBehaviour19PermanentErrorIsNotWaitedFor(t *testing.T) {
	refusal := sqlStateError("28P01")
	hooks := scripted.Hooks{Connect: func(context.Context, int) error { time.Sleep(20 * time.Millisecond); return refusal }}
	inBubble(t, hooks, Config{}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		start := time.Now()
		_, err := p.Acquire(context.Background())
		if took := time.Since(start); err != error(refusal) || took != 20*time.Millisecond {
			t.Errorf("after %v: %v, want the refusal within one dial", took, err)
		}
		for range 1000 {
			if _, err := p.Acquire(context.Background()); err != error(refusal) {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if n := d.Opened(); n > 20 {
			t.Errorf("%d tries of a wrong password in a second: the account will be locked", n)
		}
		tries := d.Opened()
		time.Sleep(time.Hour)
		if n := d.Opened() - tries; n > 61 {
			t.Errorf("%d tries in an hour in which nobody asked", n)
		}
	})
}

type sqlStateError string

func (e sqlStateError) Error() string    { return "server error " + string(e) }
func (e sqlStateError) SQLState() string { return string(e) }

func TestPermanentErrors(t *testing.T) {
	own := errors.New("the driver's own")
	p, err := New(scripted.New(scripted.Hooks{}), Config{Permanent: func(err error) bool { return errors.Is(err, own) }})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	for _, test := range []struct {
		err  error
		want bool
	}{
		{own, true},
		{fmt.Errorf("wrapped: %w", sqlStateError("28P01")), true},
		{sqlStateError("28000"), true},
		{errors.Join(sqlStateError("28000"), errRefused), false}, // one of two servers is only down
		{errors.Join(sqlStateError("28000"), sqlStateError("3D000")), true},
		{sqlStateError("3D000"), true},
		{sqlStateError("57P03"), false}, // starting up
		{sqlStateError("53300"), false}, // too many connections
		{x509.UnknownAuthorityError{}, true},
		{x509.CertificateInvalidError{Reason: x509.Expired}, true},
		{errRefused, false},
		{context.DeadlineExceeded, false},
		{&PanicError{}, true},
		{&ConnectError{setup: true, Err: sqlStateError("42601")}, true},
		{&ConnectError{setup: true, Err: driver.ErrBadConn}, false},
	} {
		if got := p.permanentError(test.err); got != test.want {
			t.Errorf("%v: %v, want %v", test.err, got, test.want)
		}
	}
}

func TestBeforeConnect(t *testing.T) {
	first, second := scripted.New(scripted.Hooks{}), scripted.New(scripted.Hooks{})
	calls := 0
	cfg := Config{MaxConns: 1, OutageGrace: None, BeforeConnect: func(_ context.Context, c driver.Connector) (driver.Connector, error) {
		calls++
		switch calls {
		case 1:
			return c, nil
		case 2:
			return second, nil
		case 3:
			panic("no token")
		}
		return nil, nil
	}}
	synctest.Test(t, func(t *testing.T) {
		p, err := New(first, cfg)
		if err != nil {
			t.Fatal(err)
		}
		mustAcquire(t, p).Release(Broken)
		mustAcquire(t, p).Release(Broken)
		if first.Opened() != 1 || second.Opened() != 1 {
			t.Errorf("%d and %d opened", first.Opened(), second.Opened())
		}
		_, err = p.Acquire(context.Background())
		if pe := new(PanicError); !errors.As(err, &pe) || pe.In != "BeforeConnect" {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Second)
		if _, err = p.Acquire(context.Background()); err == nil {
			t.Error("neither a connector nor an error was accepted")
		}
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A proxy lets everybody in and has no server: connects succeed, and what they
// lead to dies at its first use, or when it is verified.
func TestProxyWithoutAServer(t *testing.T) {
	var down atomic.Bool
	hooks := scripted.Hooks{Ping: func(context.Context, *scripted.Conn) error {
		if down.Load() {
			return driver.ErrBadConn
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 8, OutageGrace: 10 * time.Second}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 8)
		down.Store(true)
		errs := 0
		for _, l := range acquireN(t, p, 8) {
			l.Release(Dead)
			errs++
		}
		time.AfterFunc(time.Second, func() { down.Store(false) })
		for start := time.Now(); time.Since(start) < 2*time.Second; time.Sleep(time.Millisecond) {
			l := mustAcquire(t, p)
			if !down.Load() {
				l.Release(Clean)
				continue
			}
			l.Release(Dead)
			errs++
		}
		if errs > 8+DefaultMaxConnecting {
			t.Errorf("%d callers got a dead connection", errs)
		}
		if n := d.Opened(); n > 40 {
			t.Errorf("%d connects", n)
		}
		if s := p.Stats(); s.LastConnectError != nil {
			t.Errorf("the outage has not ended: %v", s.LastConnectError)
		}
	})
}
