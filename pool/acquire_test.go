package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

func TestBehaviour5ExhaustedTimeoutAndFreed(t *testing.T) {
	t.Run("exhausted", func(t *testing.T) {
		inBubble(t, scripted.Hooks{}, Config{MaxConns: 5, MaxWaiters: None}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			leases := acquireN(t, p, 5)
			_, err := p.Acquire(context.Background())
			if !errors.Is(err, ErrExhausted) || !strings.Contains(err.Error(), "5 in use, 0 idle, 0 waiting") {
				t.Errorf("error %v", err)
			}
			wantStats(t, p, 5, 5, 0)
			releaseAll(leases)
		})
	})
	t.Run("gives up", func(t *testing.T) {
		inBubble(t, scripted.Hooks{}, Config{MaxConns: 5}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			leases := acquireN(t, p, 5)
			ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := p.Acquire(ctx)
			if took := time.Since(start); took != 250*time.Millisecond {
				t.Errorf("gave up after %v", took)
			}
			if !errors.Is(err, ErrAcquireTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			wantStats(t, p, 5, 5, 0)
			releaseAll(leases)
		})
	})
	t.Run("gets the freed one", func(t *testing.T) {
		inBubble(t, scripted.Hooks{}, Config{MaxConns: 5}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			leases := acquireN(t, p, 5)
			sixth := asyncAcquire(context.Background(), p)
			time.Sleep(time.Second)
			freed := id(leases[2])
			leases[2].Release(Clean)
			got := received(t, sixth)
			if got.err != nil || id(got.lease) != freed || got.after != time.Second {
				t.Errorf("got %+v, want connection %d after 1s", got, freed)
			}
			wantStats(t, p, 5, 5, 0)
			leases[2] = got.lease
			releaseAll(leases)
		})
	})
}

func TestAcquireTimeoutSaysWhy(t *testing.T) {
	var refuse atomic.Bool
	hooks := scripted.Hooks{Connect: func(ctx context.Context, n int) error {
		if refuse.Load() {
			return errors.New("connection refused")
		}
		return nil
	}}
	cfg := Config{Name: "orders", MaxConns: 3, AcquireTimeout: 2 * time.Second}
	inBubble(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 2)
		refuse.Store(true)
		start := time.Now()
		_, err := p.Acquire(context.Background())
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("ended after %v, want 2s", took)
		}
		const want = "nimue: orders: no connection after 2s (2 in use, 0 idle, 0 waiting): last connect error: connection refused"
		if err == nil || err.Error() != want || !errors.Is(err, ErrAcquireTimeout) {
			t.Errorf("error %q\nwant  %q", err, want)
		}
		releaseAll(leases)
	})
}

func TestBehaviour9SameConnectionComesBack(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		releaseAll(acquireN(t, p, 5))
		l := mustAcquire(t, p)
		for range 10 {
			was := id(l)
			l.Release(Clean)
			if l = mustAcquire(t, p); id(l) != was {
				t.Fatalf("connection %d after %d", id(l), was)
			}
		}
		l.Release(Clean)
	})
}

func TestReacquirePrefersTheSameConnection(t *testing.T) {
	for _, order := range []Order{LIFO, FIFO} {
		inBubble(t, scripted.Hooks{}, Config{Order: order}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			leases := acquireN(t, p, 3)
			releaseAll(leases) // 3 on top, 1 at the bottom
			l, err := p.Reacquire(context.Background(), leases[1])
			if err != nil {
				t.Fatal(err)
			}
			want := map[Order]int{LIFO: 2, FIFO: 1}[order]
			if id(l) != want {
				t.Errorf("order %d: connection %d, want %d", order, id(l), want)
			}
			l.Release(Clean)
		})
	}
}

func TestOrder(t *testing.T) {
	for order, want := range map[Order]string{LIFO: "[3 3 3]", FIFO: "[1 2 3]"} {
		inBubble(t, scripted.Hooks{}, Config{Order: order}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			releaseAll(acquireN(t, p, 3))
			var got []int
			for range 3 {
				l := mustAcquire(t, p)
				got = append(got, id(l))
				l.Release(Clean)
			}
			if fmt.Sprint(got) != want {
				t.Errorf("order %d: %v, want %s", order, got, want)
			}
		})
	}
}

func TestBehaviour11WaitersAreServedInOrder(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		waiter := asyncAcquire(context.Background(), p)
		time.Sleep(100 * time.Millisecond)
		if n := p.Stats().Waiting; n != 1 {
			t.Fatalf("%d waiting at 100 ms, want 1", n)
		}
		l.Release(Clean)
		got := received(t, waiter)
		if got.err != nil || got.after != 100*time.Millisecond {
			t.Errorf("served %+v", got)
		}
		got.lease.Release(Clean)
	})
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 2)
		var queue []<-chan acquired
		for range 3 {
			queue = append(queue, asyncAcquire(context.Background(), p))
		}
		leases[0].Release(Clean)
		first := received(t, queue[0])
		leases[1].Release(Clean)
		second := received(t, queue[1])
		first.lease.Release(Clean)
		third := received(t, queue[2])
		second.lease.Release(Clean)
		third.lease.Release(Clean)
	})
}

func TestBehaviour27ExpiredWaitersLeaveNothing(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, AcquireTimeout: time.Second}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		var wg sync.WaitGroup
		var failed atomic.Int32
		for i := range 1000 {
			ctx, cancel := context.Background(), context.CancelFunc(func() {})
			if i%2 == 0 { // half by their context, half by the pool's timeout
				ctx, cancel = context.WithTimeout(ctx, time.Second)
			}
			wg.Go(func() {
				defer cancel()
				if _, err := p.Acquire(ctx); errors.Is(err, ErrAcquireTimeout) {
					failed.Add(1)
				}
			})
		}
		synctest.Wait()
		if n := p.Stats().Waiting; n != 1000 {
			t.Fatalf("%d waiting, want 1000", n)
		}
		time.Sleep(time.Second)
		wg.Wait()
		if n := failed.Load(); n != 1000 {
			t.Errorf("%d timed out, want 1000", n)
		}
		if s := p.Stats(); s.Waiting != 0 || s.Timeouts != 1000 {
			t.Errorf("waiting %d, timeouts %d", s.Waiting, s.Timeouts)
		}
		l.Release(Clean)
		wantStats(t, p, 1, 0, 1)
	})
}

func TestBehaviour27NothingIsHandedToAnExpiredWaiter(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		expiring := asyncAcquire(within(t, 100*time.Millisecond), p)
		patient := asyncAcquire(context.Background(), p)
		time.Sleep(100 * time.Millisecond)
		if a := received(t, expiring); !errors.Is(a.err, ErrAcquireTimeout) {
			t.Errorf("the first waiter: %v", a.err)
		}
		if n := p.Stats().Waiting; n != 1 {
			t.Errorf("%d waiting, want the second alone", n)
		}
		l.Release(Clean)
		a := received(t, patient)
		if a.err != nil || a.after != 100*time.Millisecond {
			t.Fatalf("the second waiter: %+v", a)
		}
		a.lease.Release(Clean)
		if s := p.Stats(); s.Acquires != 2 || d.Opened() != 1 {
			t.Errorf("%d leases of %d connections, want 2 of 1", s.Acquires, d.Opened())
		}
	})
}

func TestConnectionGrantedToAWaiterThatLeavesGoesToTheNext(t *testing.T) {
	// Cancel and release race on real threads: whatever the outcome of each,
	// the connection must come out free.
	d := scripted.New(scripted.Hooks{})
	p, err := New(d, Config{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		l, err := p.Acquire(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			if l, err := p.Acquire(ctx); err == nil {
				l.Release(Clean)
			}
		})
		wg.Go(cancel)
		wg.Go(func() { l.Release(Clean) })
		wg.Wait()
	}
	if s := p.Stats(); s.InUse != 0 || s.Waiting != 0 || d.Most() != 1 {
		t.Errorf("in use %d, waiting %d, most %d", s.InUse, s.Waiting, d.Most())
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestBehaviour21AcquireAndEvict(t *testing.T) {
	d := scripted.New(scripted.Hooks{})
	p, err := New(d, Config{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 10_000 {
				l, err := p.Acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				l.Release(Broken)
			}
		})
	}
	for range 20 {
		wg.Go(func() {
			for range 500 {
				l, err := p.Acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				l.Release(Clean)
			}
		})
	}
	wg.Wait()
	if d.Most() > 4 {
		t.Errorf("%d connections at the server at a time, want at most 4", d.Most())
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestBehaviour22Spike(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(ctx context.Context, n int) error {
		time.Sleep(150 * time.Millisecond)
		return nil
	}}
	for name, warm := range map[string]bool{"cold": false, "with the floor already there": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, hooks, Config{MinConns: 5, MaxConns: 50}, func(t *testing.T, p *Pool, d *scripted.Driver) {
				if warm {
					time.Sleep(time.Second)
				}
				var served atomic.Int32
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() {
						l, err := p.Acquire(context.Background())
						if err != nil {
							t.Error(err)
							return
						}
						served.Add(1)
						time.Sleep(2 * time.Millisecond)
						l.Release(Clean)
					})
				}
				wg.Wait()
				time.Sleep(time.Second)
				if served.Load() != 50 || d.Opened() > 8 {
					t.Errorf("%d served, %d connections opened; want 50 and at most 8", served.Load(), d.Opened())
				}
			})
		})
	}
}

// TestBehaviour23OverloadEnds: two connections serve forty callers a second. A
// hundred arrive, and then, with the queue full, thirty-three.
func TestBehaviour23OverloadEnds(t *testing.T) {
	const patience = 100 * time.Millisecond
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2, AcquireTimeout: patience}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		arrivals := func(every, span time.Duration) {
			for start := time.Now(); time.Since(start) < span; time.Sleep(every) {
				go func() {
					l, err := p.Acquire(context.Background())
					if err != nil {
						return // counted by the pool
					}
					time.Sleep(50 * time.Millisecond)
					l.Release(Clean)
				}()
			}
		}
		arrivals(10*time.Millisecond, 5*time.Second)
		overload := p.Stats()
		if overload.Timeouts == 0 || overload.Waiting == 0 {
			t.Errorf("%d timeouts and %d waiting under overload", overload.Timeouts, overload.Waiting)
		}
		arrivals(30*time.Millisecond, patience) // who was in the queue may still time out
		settled := p.Stats()
		arrivals(30*time.Millisecond, 5*time.Second)
		time.Sleep(patience)
		after := p.Stats()
		if n := after.Timeouts - settled.Timeouts; n != 0 || after.Acquires-settled.Acquires < 160 {
			t.Errorf("%d timeouts and %d served below capacity", n, after.Acquires-settled.Acquires)
		}
		wantStats(t, p, 2, 0, 2)
	})
}

func TestMaxWaitersCountsOnlyThoseWhoNeedAReturn(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(ctx context.Context, n int) error { time.Sleep(time.Second); return nil }}
	inBubble(t, hooks, Config{MaxConns: 2, MaxWaiters: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		var waiting []<-chan acquired
		for range 3 { // two will be connected, one waits
			waiting = append(waiting, asyncAcquire(context.Background(), p))
		}
		if _, err := p.Acquire(context.Background()); !errors.Is(err, ErrExhausted) {
			t.Errorf("the fourth: %v", err)
		}
		time.Sleep(time.Second)
		for _, w := range waiting {
			a := received(t, w)
			if a.err != nil {
				t.Fatal(a.err)
			}
			a.lease.Release(Clean)
		}
	})
}

func TestAcquireWithAnEndedContext(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := p.Acquire(ctx); err != context.Canceled {
			t.Errorf("error %v, want context.Canceled itself", err)
		}
		if d.Opened() != 0 {
			t.Error("a connection was dialled")
		}
	})
}

func TestUncontendedAcquireAllocatesNothing(t *testing.T) {
	d := scripted.New(scripted.Hooks{})
	p, err := New(bare{d}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := testing.AllocsPerRun(1000, func() {
		l, err := p.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		l.Release(Clean)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
