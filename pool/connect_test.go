package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

var errRefused = errors.New("connection refused")

func TestConnectErrorReachesTheCallerAsItIs(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(context.Context, int) error { return errRefused }}
	inBubble(t, hooks, Config{OutageGrace: None}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		if _, err := p.Acquire(context.Background()); err != errRefused {
			t.Errorf("error %v, want the driver's own", err)
		}
		wantStats(t, p, 0, 0, 0)
	})
}

// TestBehaviour20CapacityIsWholeInTheEnd: as many dials in a row fail as there are
// slots, and none of them is lost.
func TestBehaviour20CapacityIsWholeInTheEnd(t *testing.T) {
	for name, grace := range map[string]time.Duration{"at the first error": None, "waited out": DefaultOutageGrace} {
		t.Run(name, func(t *testing.T) {
			const most = 5
			cfg := Config{MaxConns: most, MaxConnecting: most, OutageGrace: grace}
			hooks := scripted.Hooks{Connect: func(_ context.Context, n int) error {
				if n <= most {
					return errRefused
				}
				return nil
			}}
			inBubble(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
				for d.Opened() < most {
					if l, err := p.Acquire(context.Background()); err == nil {
						l.Release(Clean)
					} else if !errors.Is(err, errRefused) {
						t.Fatal(err)
					}
				}
				leases := acquireN(t, p, most)
				wantStats(t, p, most, most, 0)
				if d.Open() != most || p.Stats().ConnectErrors != most {
					t.Errorf("%d open at the server, %d connects failed; want %d and %[3]d", d.Open(), p.Stats().ConnectErrors, most)
				}
				releaseAll(leases)
			})
		})
	}
}

func TestBehaviour20CapacityIsWholeAfterFailedConnects(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	hooks := scripted.Hooks{Connect: func(context.Context, int) error {
		if down.Load() {
			return errRefused
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 5, OutageGrace: None}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 20 {
			if _, err := p.Acquire(context.Background()); !errors.Is(err, errRefused) {
				t.Fatal(err)
			}
		}
		down.Store(false)
		start := time.Now()
		leases := acquireN(t, p, 5)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v for a database that is back", waited)
		}
		wantStats(t, p, 5, 5, 0)
		releaseAll(leases)
		if s := p.Stats(); s.LastConnectError != nil || s.ConnectErrors != 20 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWaitersDoNotFailWhileAConnectionCanComeBack(t *testing.T) {
	var down atomic.Bool
	hooks := scripted.Hooks{Connect: func(context.Context, int) error {
		if down.Load() {
			return errRefused
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 5}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		down.Store(true)
		waiting := asyncAcquire(context.Background(), p)
		time.Sleep(3 * time.Second)
		tries := d.Opened()
		if tries < 5 || tries > 15 {
			t.Errorf("%d connects tried in 3s of outage, want backoff", tries)
		}
		l.Release(Clean)
		a := received(t, waiting)
		if a.err != nil {
			t.Fatal(a.err)
		}
		a.lease.Release(Clean)
	})
}

func TestFloorIsFilledWhenTheDatabaseReturns(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	hooks := scripted.Hooks{Connect: func(context.Context, int) error {
		if down.Load() {
			return errRefused
		}
		return nil
	}}
	inBubble(t, hooks, Config{MinConns: 3}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		time.Sleep(time.Hour)
		if n := d.Opened(); n < 3600/6 || n > 4*3600/2 {
			t.Errorf("%d connects tried in an hour", n)
		}
		down.Store(false)
		time.Sleep(lastBackoff)
		wantStats(t, p, 3, 0, 3)
	})
}

func TestConnectIsNotCancelledByItsCaller(t *testing.T) {
	type key struct{}
	var value any
	hooks := scripted.Hooks{Connect: func(ctx context.Context, n int) error {
		value = ctx.Value(key{})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
			return nil
		}
	}}
	inBubble(t, hooks, Config{}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), key{}, "trace"), 100*time.Millisecond)
		defer cancel()
		if _, err := p.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		wantStats(t, p, 1, 0, 1)
		if value != "trace" {
			t.Errorf("the connect saw the value %v of its caller's context", value)
		}
	})
}

func TestConnectsAreBounded(t *testing.T) {
	var under, most atomic.Int32
	hooks := scripted.Hooks{Connect: func(context.Context, int) error {
		most.Store(max(most.Load(), under.Add(1)))
		time.Sleep(100 * time.Millisecond)
		under.Add(-1)
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 30, MaxConnecting: 6}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				l, err := p.Acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Minute)
				l.Release(Clean)
			})
		}
		wg.Wait()
		if most.Load() != 6 || d.Opened() != 30 {
			t.Errorf("%d connects at a time, %d in all; want 6 and 30", most.Load(), d.Opened())
		}
	})
}

func TestConnectTimesOut(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(ctx context.Context, n int) error { <-ctx.Done(); return ctx.Err() }}
	inBubble(t, hooks, Config{Name: "orders", OutageGrace: None}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		start := time.Now()
		_, err := p.Acquire(context.Background())
		if took := time.Since(start); took != DefaultConnectTimeout {
			t.Errorf("after %v", took)
		}
		if err == nil || !strings.Contains(err.Error(), "orders: connect timed out after 10s") {
			t.Errorf("error %v", err)
		}
	})
}

func TestHungConnectLosesNoSlot(t *testing.T) {
	// A driver that ignores its context: the slot is free again soon after the
	// timeout, and what the driver delivers later is closed.
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		d := scripted.New(scripted.Hooks{Connect: func(_ context.Context, n int) error {
			if n == 1 {
				<-release
			}
			return nil
		}})
		p, err := New(d, Config{MaxConns: 1, OutageGrace: None})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Acquire(context.Background()); !errors.Is(err, errHung) {
			t.Fatalf("error %v", err)
		}
		l := mustAcquire(t, p)
		l.Release(Clean)
		close(release)
		synctest.Wait()
		if d.Open() != 1 {
			t.Errorf("%d open, want 1", d.Open())
		}
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestPanickingDriver(t *testing.T) {
	boom := func() { panic(errRefused) }
	t.Run("Connect", func(t *testing.T) {
		hooks := scripted.Hooks{Connect: func(_ context.Context, n int) error {
			if n == 1 {
				boom()
			}
			return nil
		}}
		inBubble(t, hooks, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			_, err := p.Acquire(context.Background())
			var pe *PanicError
			if !errors.As(err, &pe) || pe.In != "Connect" || !errors.Is(err, errRefused) || len(pe.Stack) == 0 {
				t.Errorf("error %v", err)
			}
			time.Sleep(firstBackoff)
			mustAcquire(t, p).Release(Clean)
			d.Script(func(h *scripted.Hooks) { h.Connect = nil })
			d.Forget(1) // it panicked half-way and nobody can close it
		})
	})
	t.Run("Ping", func(t *testing.T) {
		hooks := scripted.Hooks{Ping: func(_ context.Context, c *scripted.Conn) error {
			if c.ID == 1 {
				boom()
			}
			return nil
		}}
		inBubble(t, hooks, Config{MinConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			time.Sleep(DefaultHealthCheckPeriod + time.Second)
			wantStats(t, p, 1, 0, 1)
			if d.Opened() != 2 {
				t.Errorf("%d opened, want 2", d.Opened())
			}
		})
	})
	t.Run("Close", func(t *testing.T) {
		hooks := scripted.Hooks{Close: func(c *scripted.Conn) error {
			if c.ID == 1 {
				boom()
			}
			return nil
		}}
		inBubble(t, hooks, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			mustAcquire(t, p).Release(Broken)
			mustAcquire(t, p).Release(Clean)
			wantStats(t, p, 1, 0, 1)
			d.Forget(1)
		})
	})
	t.Run("IsValid", func(t *testing.T) {
		hooks := scripted.Hooks{Valid: func(*scripted.Conn) bool { boom(); return true }}
		inBubble(t, hooks, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			mustAcquire(t, p).Release(Clean)
			wantStats(t, p, 0, 0, 0)
		})
	})
}

func TestAfterConnect(t *testing.T) {
	var seen int
	cfg := Config{AfterConnect: func(ctx context.Context, c driver.Conn) error {
		seen = c.(*scripted.Conn).ID
		if seen == 1 {
			return errRefused
		}
		return nil
	}}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		if _, err := p.Acquire(context.Background()); !errors.Is(err, errRefused) {
			t.Errorf("error %v", err)
		}
		if d.Open() != 0 {
			t.Error("left open")
		}
		time.Sleep(firstBackoff)
		mustAcquire(t, p).Release(Clean)
		if seen != 2 {
			t.Errorf("called with %d", seen)
		}
	})
}
