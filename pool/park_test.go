package pool

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// parkedLease returns a lease that has been parked, with its connection.
func parkedLease(t *testing.T, p *Pool) (last Lease, connection int) {
	t.Helper()
	last = mustAcquire(t, p)
	connection = id(last)
	last.Park(Clean)
	wantStats(t, p, 1, 0, 1)
	return last, connection
}

func mustReacquire(t *testing.T, p *Pool, last Lease) Lease {
	t.Helper()
	l, err := p.Reacquire(context.Background(), last)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestParkedConnectionComesBackToItsHolder(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 3}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		last, connection := parkedLease(t, p)
		for range 5 {
			last = mustReacquire(t, p, last)
			if id(last) != connection || !last.Reused() {
				t.Errorf("connection %d, reused %v", id(last), last.Reused())
			}
			wantStats(t, p, 1, 1, 0)
			last.Park(Clean)
			wantStats(t, p, 1, 0, 1)
		}
		if s := p.Stats(); s.Acquires != 6 || d.Opened() != 1 {
			t.Errorf("%d acquires, %d opened", s.Acquires, d.Opened())
		}
		if n := d.Count("reset"); n != 5 { // ResetSession, as database/sql would have it
			t.Errorf("%d resets", n)
		}
	})
}

func TestParkedConnectionServesAnybody(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 3}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		last, connection := parkedLease(t, p)
		other := mustAcquire(t, p)
		if id(other) != connection || d.Opened() != 1 {
			t.Errorf("connection %d, %d opened", id(other), d.Opened())
		}
		again := mustReacquire(t, p, last)
		if id(again) == connection || d.Opened() != 2 {
			t.Errorf("connection %d, %d opened", id(again), d.Opened())
		}
		last.Release(Clean) // an old lease gives nothing back
		last.Park(Clean)
		wantStats(t, p, 2, 2, 0)
		other.Release(Clean)
		again.Release(Clean)
	})
}

func TestParkServesAWaiter(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		last, connection := parkedLease(t, p)
		last = mustReacquire(t, p, last)
		waiter := asyncAcquire(context.Background(), p)
		synctest.Wait()
		last.Park(Clean)
		got := received(t, waiter).lease
		if id(got) != connection {
			t.Errorf("connection %d", id(got))
		}
		// The holder stands in the queue now, like everybody.
		mine := asyncReacquire(context.Background(), p, last)
		synctest.Wait()
		if s := p.Stats(); s.Waiting != 1 {
			t.Errorf("%d waiting", s.Waiting)
		}
		got.Release(Clean)
		received(t, mine).lease.Release(Clean)
	})
}

// What the pool does to idle connections it does to parked ones.
func TestParkedConnectionsAreKeptLikeIdleOnes(t *testing.T) {
	retired := func(want Reason) func(*testing.T, *Pool, *scripted.Driver) {
		return func(t *testing.T, p *Pool, d *scripted.Driver) {
			synctest.Wait()
			if s := p.Stats(); s.Retired[want] != 1 || d.Open() != s.Total {
				t.Errorf("%d retired for %q of %d, %d open of %d", s.Retired[want], want, s.Retired.Total(), d.Open(), s.Total)
			}
		}
	}
	cases := map[string]struct {
		cfg   Config
		do    func(*testing.T, *Pool)
		check func(*testing.T, *Pool, *scripted.Driver)
	}{
		"idle time": {Config{MaxConnIdleTime: time.Minute, HealthCheckPeriod: None},
			func(*testing.T, *Pool) { time.Sleep(time.Minute + 2*freshFor) }, retired(ReasonIdleTime)},
		"lifetime": {Config{MaxConnLifetime: time.Minute, MaxConnLifetimeJitter: None},
			func(*testing.T, *Pool) { time.Sleep(time.Minute) }, retired(ReasonLifetime)},
		"reset":  {Config{}, func(_ *testing.T, p *Pool) { p.Reset() }, retired(ReasonReset)},
		"closed": {Config{}, func(_ *testing.T, p *Pool) { _ = p.Close() }, retired(ReasonClosed)},
		"peer closed": {Config{}, func(_ *testing.T, p *Pool) {
			var c *conn
			p.locked(func() { c = p.all[0] })
			p.hungUp([]*conn{c})
		}, retired(ReasonPeerClosed)},
		"settings": {Config{}, func(t *testing.T, p *Pool) {
			if err := p.Update(func(c *Config) { c.MaxIdleConns = None }); err != nil {
				t.Error(err)
			}
		}, retired(ReasonIdleLimit)},
		"verification": {Config{HealthCheckPeriod: 10 * time.Second}, func(*testing.T, *Pool) { time.Sleep(time.Minute) },
			func(t *testing.T, p *Pool, d *scripted.Driver) {
				if n := d.Count("ping"); n < 5 {
					t.Errorf("%d pings in a minute", n)
				}
			}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, scripted.Hooks{}, c.cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
				last, _ := parkedLease(t, p)
				last = mustReacquire(t, p, last)
				last.Park(Clean)
				c.do(t, p)
				c.check(t, p, d)
			})
		})
	}
}

// A death elsewhere puts parked connections under suspicion, and one that is lent
// the short way at that moment.
func TestSuspicionReachesParkedConnections(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 3}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 3)
		leases[0].Park(Clean)
		leases[1].Park(Clean)
		leases[1] = mustReacquire(t, p, leases[1])
		leases[2].Release(Dead)
		synctest.Wait()
		if n := d.Count("ping"); n != 1 {
			t.Errorf("%d pings for the parked one", n)
		}
		leases[1].Park(Suspicious)
		synctest.Wait()
		if n := d.Count("ping"); n != 2 {
			t.Errorf("%d pings in all", n)
		}
	})
}

func TestShutdownByForceTakesParkedAndLent(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 2)
		for i := range leases {
			leases[i].Park(Clean)
		}
		held := mustReacquire(t, p, leases[0])
		if !held.Leave() {
			t.Error("the lease is over")
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.Shutdown(ctx); err == nil {
			t.Error("no error though a lease was taken away")
		}
		if d.Open() != 0 || held.Enter() {
			t.Errorf("%d open", d.Open())
		}
		held.Park(Clean)
	})
}

// The short way takes no lock of the pool's and allocates nothing.
func TestParkingTakesNoLock(t *testing.T) {
	p, err := New(bare{scripted.New(scripted.Hooks{})}, Config{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	last := mustAcquire(t, p)
	last.Park(Clean)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p.mu.Lock() // whoever needs it now is found by the test's deadline
	n := testing.AllocsPerRun(1000, func() {
		l, err := p.Reacquire(ctx, last)
		if err != nil {
			t.Fatal(err)
		}
		l.Park(Clean)
		last = l
	})
	p.mu.Unlock()
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestParkingUnderContention has holders and passers-by fight for few connections
// while the pool's own work goes on. Nobody may be forgotten, and no connection
// may be in two hands.
func TestParkingUnderContention(t *testing.T) {
	const max, workers, rounds = 3, 16, 3000
	d := scripted.New(scripted.Hooks{})
	p, err := New(d, Config{MaxConns: max, AcquireTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	held := map[int]bool{}
	use := func(l Lease) {
		mu.Lock()
		if held[id(l)] {
			t.Errorf("connection %d is in two leases", id(l))
		}
		held[id(l)] = true
		mu.Unlock()
		mu.Lock()
		delete(held, id(l))
		mu.Unlock()
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var last Lease
			for range rounds {
				l, err := p.Reacquire(context.Background(), last)
				if err != nil {
					t.Error(err)
					return
				}
				use(l)
				switch r := rand.IntN(50); {
				case r == 0:
					l.Release(Broken)
				case r == 1:
					l.Release(Dead)
				case w%4 == 0:
					l.Release(Clean)
				default:
					l.Park(Clean)
				}
				last = l
			}
		})
	}
	done := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			if s := p.Stats(); s.Total > max || s.Idle < 0 || s.InUse < 0 {
				t.Errorf("%+v", s)
			}
			if n%100 == 0 {
				p.Reset()
			}
		}
	})
	wg.Wait()
	close(done)
	others.Wait()
	if s := p.Stats(); s.InUse != 0 || s.Waiting != 0 || s.Acquires != workers*rounds || d.Most() > max {
		t.Errorf("%d in use, %d waiting, %d acquires, %d connections at a time", s.InUse, s.Waiting, s.Acquires, d.Most())
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
