package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// record is a listener that keeps what it is told.
type record struct {
	mu     sync.Mutex
	events []Event
}

func (r *record) PoolEvent(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// take returns the kinds of the events since the last call, at rest.
func (r *record) take() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var kinds []string
	for _, e := range r.events {
		kinds = append(kinds, e.Kind.String())
	}
	r.events = nil
	return strings.Join(kinds, ", ")
}

// last returns the latest event of a kind.
func (r *record) last(t *testing.T, kind EventKind) Event {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.events) - 1; i >= 0; i-- {
		if r.events[i].Kind == kind {
			return r.events[i]
		}
	}
	t.Fatalf("no %v among %v", kind, r.events)
	return Event{}
}

func listened(t *testing.T, hooks scripted.Hooks, cfg Config, f func(t *testing.T, p *Pool, d *scripted.Driver, r *record)) {
	t.Helper()
	r := &record{}
	cfg.Listener = r
	inBubble(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) { f(t, p, d, r) })
}

// TestEventsTellEverything takes the pool for a black box: what happens in it is
// told, in order, and nothing else.
func TestEventsTellEverything(t *testing.T) {
	listened(t, scripted.Hooks{}, Config{MaxConns: 1, MaxWaiters: 1, AcquireTimeout: time.Second}, func(t *testing.T, p *Pool, d *scripted.Driver, r *record) {
		want := func(what, kinds string) {
			t.Helper()
			if got := r.take(); got != kinds {
				t.Errorf("%s: %s; want %s", what, got, kinds)
			}
		}
		l := mustAcquire(t, p)
		want("a first acquire", "waiting, connecting, connected, acquired")
		waiter := asyncAcquire(context.Background(), p)
		if _, err := p.Acquire(context.Background()); !errors.Is(err, ErrExhausted) {
			t.Errorf("error %v", err)
		}
		l.Release(Clean)
		l = received(t, waiter).lease
		want("a wait, and one too many", "waiting, exhausted, released, acquired")
		_, err := p.Acquire(context.Background())
		if !errors.Is(err, ErrAcquireTimeout) {
			t.Errorf("error %v", err)
		}
		want("a timeout", "waiting, timed out")
		ctx, cancel := context.WithCancel(context.Background())
		gone := asyncAcquire(ctx, p)
		cancel()
		received(t, gone)
		want("a cancellation", "waiting, canceled")
		l.Park(Clean)
		l = mustReacquire(t, p, l)
		want("a lease more", "released, acquired")
		l.Failed(io.ErrUnexpectedEOF, "SELECT 'x'", true)
		l.Release(Dead)
		want("a death", "operation failed, released, retired, died, suspected")
		l = mustAcquire(t, p)
		l.Release(Clean)
		r.take()
		if verified, failed, err := p.Verify(context.Background()); verified != 1 || failed != 0 || err != nil {
			t.Errorf("%d verified, %d failed: %v", verified, failed, err)
		}
		want("a verification", "verifying, verified")
		if err := p.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want("a drain", "retired, drained, connecting, connected")
		p.Suspend(false)
		waiter = asyncAcquire(context.Background(), p)
		p.Resume()
		l = received(t, waiter).lease
		want("a suspension", "suspended, waiting, resumed, acquired")
		l.Release(Clean)
		r.take()
		_ = p.Close()
		want("the end", "closed, retired")
	})
}

func TestEventsOfAnOutage(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	hooks := scripted.Hooks{Connect: func(context.Context, int) error {
		if down.Load() {
			return errRefused
		}
		return nil
	}}
	listened(t, hooks, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver, r *record) {
		waiter := asyncAcquire(context.Background(), p)
		time.Sleep(100 * time.Millisecond)
		if e := r.last(t, EventOutageBegan); !errors.Is(e.Err, errRefused) || e.Pool != p.Name() {
			t.Errorf("%+v", e)
		}
		if h := p.Health(); h.State != Degraded || !strings.Contains(h.Reason, "connects have failed") {
			t.Errorf("%+v", h)
		}
		if s := p.Stats(); s.Outage.Failures == 0 || s.Outage.Refusing || !errors.Is(s.LastErrors[ErrorConnect].Err, errRefused) {
			t.Errorf("%+v", s.Outage)
		}
		down.Store(false)
		time.Sleep(time.Second)
		received(t, waiter).lease.Release(Clean)
		if e := r.last(t, EventOutageEnded); e.Took <= 0 || e.Took > time.Second {
			t.Errorf("%+v", e)
		}
		if h := p.Health(); h.State != Ready {
			t.Errorf("%+v", h)
		}
	})
}

// A listener that is slow loses events and is told how many; one that panics harms
// nobody; and neither holds up the pool.
func TestListenersThatMisbehave(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	var lost, calls int
	cfg := Config{MaxConns: 1, Listener: ListenerFunc(func(e Event) {
		<-release
		mu.Lock()
		defer mu.Unlock()
		calls++
		if e.Kind == EventsLost {
			lost = e.Count
		}
		if calls%2 == 0 {
			panic("a mistake of the listener's")
		}
	})}
	var events uint64
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		p, err := New(scripted.New(scripted.Hooks{}), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range mostEvents {
			mustAcquire(t, p).Release(Clean)
		}
		if events = p.Stats().EventsLost; events == 0 {
			t.Error("no event was lost")
		}
		close(release)
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if uint64(lost) < events || calls < mostEvents {
			t.Errorf("%d lost, told of %d; %d calls", events, lost, calls)
		}
	})
}

func TestRecentEventsAreThoseOfThePool(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, MaxConnUses: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range recentEvents + 50 {
			mustAcquire(t, p).Release(Clean)
			synctest.Wait()
		}
		events := p.RecentEvents()
		if len(events) != recentEvents {
			t.Fatalf("%d events", len(events))
		}
		for i, e := range events {
			if e.Kind.ofLeases() || i > 0 && e.Time.Before(events[i-1].Time) {
				t.Errorf("%+v", e)
			}
		}
		if e := events[len(events)-1]; e.Kind != EventRetired || e.Reason != ReasonUses {
			t.Errorf("the latest: %+v", e)
		}
	})
}

func TestEventsAreRedacted(t *testing.T) {
	secret := errors.New("password hunter2")
	cfg := Config{MaxConns: 1, OutageGrace: None, Redact: func(err error) error {
		if strings.Contains(err.Error(), "hunter2") {
			return fmt.Errorf("password xxx")
		}
		return err
	}}
	hooks := scripted.Hooks{Connect: func(context.Context, int) error { return secret }}
	listened(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver, r *record) {
		if _, err := p.Acquire(context.Background()); err == nil {
			t.Fatal("no error")
		}
		texts := fmt.Sprint(r.last(t, EventConnectFailed), p.RecentEvents(), p.Stats().LastErrors, p.Health())
		if strings.Contains(texts, "hunter2") || !strings.Contains(texts, "xxx") {
			t.Error(texts)
		}
	})
}

func TestPeaksAndHistograms(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(context.Context, int) error { time.Sleep(20 * time.Millisecond); return nil }}
	inBubble(t, hooks, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		began := time.Now()
		leases := acquireN(t, p, 2)
		waiters := []<-chan acquired{asyncAcquire(context.Background(), p), asyncAcquire(context.Background(), p)}
		time.Sleep(time.Second)
		releaseAll(leases)
		for _, w := range waiters {
			received(t, w).lease.Release(Clean)
		}
		for range 1000 { // leases the short way count, too
			leases[0] = mustReacquire(t, p, leases[0])
			leases[0].Park(Clean)
		}
		s := p.Stats()
		if s.PeakInUse.N != 2 || s.PeakWaiting.N != 2 || s.PeakTotal.N != 2 || !s.PeakWaiting.At.Equal(began.Add(40*time.Millisecond)) {
			t.Errorf("peaks %+v, %+v, %+v", s.PeakTotal, s.PeakInUse, s.PeakWaiting)
		}
		if s.Connect.Count != 2 || s.Connect.Quantile(0.5) < 20*time.Millisecond || s.Connect.Max != 20*time.Millisecond {
			t.Errorf("connects %v, %v", s.Connect.Count, s.Connect.Max)
		}
		if s.Wait.Count != 4 || s.Wait.Max != time.Second {
			t.Errorf("waits %v, %v", s.Wait.Count, s.Wait.Max)
		}
		if s.Hold.Max != time.Second+20*time.Millisecond || s.Hold.Count < s.Acquires-exactLeases || s.Hold.Count > s.Acquires+exactLeases {
			t.Errorf("%d holds of %d leases, the longest %v", s.Hold.Count, s.Acquires, s.Hold.Max)
		}
	})
}

func TestHistoryShowsTheLastTenMinutes(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 1000 {
			mustAcquire(t, p).Release(Clean)
			time.Sleep(time.Second)
		}
		h := p.History()
		if len(h) < 30 || len(h) > mostSamples+1 {
			t.Fatalf("%d samples", len(h))
		}
		if age := time.Since(h[0].At); age > 10*time.Minute || age < 9*time.Minute {
			t.Errorf("the oldest is %v old", age)
		}
		if n := h[len(h)-1].Acquires - h[0].Acquires; n < 500 || n > 600 {
			t.Errorf("%d acquires in that time", n)
		}
	})
}
