package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

func TestLifetimeRetiresIdleAndLeased(t *testing.T) {
	cfg := Config{MaxConns: 2, MaxConnLifetime: time.Minute, MaxConnLifetimeJitter: None}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 2)
		leases[0].Release(Clean)
		time.Sleep(time.Minute - time.Millisecond)
		wantStats(t, p, 2, 1, 1)
		time.Sleep(2 * time.Millisecond)
		wantStats(t, p, 1, 1, 0)
		leases[1].Release(Clean)
		wantStats(t, p, 0, 0, 0)
		if n := p.Stats().Retired[ReasonLifetime]; n != 2 {
			t.Errorf("%d retired for their age, want 2", n)
		}
	})
}

func TestLifetimeJitterIsDrawnOnceAndSpreads(t *testing.T) {
	cfg := Config{MaxConns: 100, MaxConnLifetime: time.Hour, MaxConnLifetimeJitter: 10 * time.Minute, MaxConnecting: 100}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 100)
		ends := map[time.Duration]bool{}
		p.locked(func() {
			for _, c := range p.all {
				if c.expires < time.Hour || c.expires > 70*time.Minute+time.Second {
					t.Errorf("a lifetime of %v", c.expires)
				}
				ends[c.expires] = true
			}
		})
		if len(ends) < 95 {
			t.Errorf("only %d different ends of 100", len(ends))
		}
		releaseAll(leases)
		p.locked(func() {
			for _, c := range p.all {
				if !ends[c.expires] {
					t.Errorf("drawn again at a release: %v", c.expires)
				}
			}
		})
	})
}

func TestExpiredFloorIsReplacedBeforeItGoes(t *testing.T) {
	for name, max := range map[string]int{"with room": 4, "full": 2} {
		t.Run(name, func(t *testing.T) {
			var least atomic.Int32
			least.Store(100)
			hooks := scripted.Hooks{Connect: func(ctx context.Context, n int) error { time.Sleep(time.Second); return nil }}
			cfg := Config{MaxConns: max, MinConns: 2, MaxConnLifetime: time.Minute, MaxConnLifetimeJitter: None}
			inBubble(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
				time.Sleep(10 * time.Second)
				wantStats(t, p, 2, 0, 2)
				for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
					synctest.Wait()
					s := p.Stats()
					least.Store(min(least.Load(), int32(s.Idle)))
				}
				want := int32(2)
				if max == 2 {
					want = 1 // no room for both: one by one
				}
				if least.Load() != want {
					t.Errorf("idle fell to %d, want %d at least", least.Load(), want)
				}
				if d.Opened() != 4 || d.Most() > max {
					t.Errorf("%d opened, %d at most at a time", d.Opened(), d.Most())
				}
				wantStats(t, p, 2, 0, 2)
			})
		})
	}
}

func TestVerificationInTheBackground(t *testing.T) {
	var dead atomic.Int32
	hooks := scripted.Hooks{Ping: func(_ context.Context, c *scripted.Conn) error {
		if int32(c.ID) == dead.Load() {
			return errors.New("dead")
		}
		return nil
	}}
	inBubble(t, hooks, Config{MinConns: 4}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		time.Sleep(DefaultHealthCheckPeriod + time.Millisecond)
		synctest.Wait()
		if n := d.Count("ping"); n != 4 {
			t.Errorf("%d pings after one period, want 4", n)
		}
		dead.Store(3)
		time.Sleep(DefaultHealthCheckPeriod + time.Millisecond)
		synctest.Wait()
		wantStats(t, p, 4, 0, 4)
		s := p.Stats()
		if s.Retired[ReasonUnhealthy] != 1 || s.VerifyErrors != 1 || d.Opened() != 5 {
			t.Errorf("%+v, %d opened", s, d.Opened())
		}
	})
}

func TestVerificationKeepsTheIdleOrder(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 6}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		releaseAll(acquireN(t, p, 6))
		time.Sleep(10 * DefaultHealthCheckPeriod)
		synctest.Wait()
		if d.Count("ping") < 6*9 {
			t.Fatalf("only %d pings", d.Count("ping"))
		}
		var order []int
		p.locked(func() {
			for n := p.idle.front; n != nil; n = n.next {
				order = append(order, n.of.inner.(*scripted.Conn).ID)
			}
		})
		if !slices.Equal(order, []int{6, 5, 4, 3, 2, 1}) {
			t.Errorf("idle order %v", order)
		}
	})
}

func TestVerificationLeavesConnectionsToLend(t *testing.T) {
	// Every ping hangs: half of the idle connections are out, the rest is lent.
	hooks := scripted.Hooks{Ping: func(ctx context.Context, _ *scripted.Conn) error { <-ctx.Done(); return ctx.Err() }}
	inBubble(t, hooks, Config{MinConns: 4, MaxConns: 4, CheckOnAcquire: CheckNever}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		time.Sleep(DefaultHealthCheckPeriod + time.Millisecond)
		synctest.Wait()
		if s := p.Stats(); s.Verifying != 2 || s.Idle != 2 {
			t.Fatalf("verifying %d, idle %d", s.Verifying, s.Idle)
		}
		got := received(t, asyncAcquire(context.Background(), p))
		if got.err != nil || got.after != 0 {
			t.Errorf("%+v", got)
		}
		got.lease.Release(Clean)
	})
}

func TestHealthQuery(t *testing.T) {
	cfg := Config{MinConns: 1, HealthQuery: "SELECT health"}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		time.Sleep(DefaultHealthCheckPeriod + time.Millisecond)
		synctest.Wait()
		if d.Count("query SELECT health") != 1 || d.Count("ping") != 0 {
			t.Errorf("calls %v", d.Log())
		}
	})
}

func TestHungPingCostsTheSlotOnlyForAWhile(t *testing.T) {
	// The driver ignores its context: the connection is given up, its slot is
	// free again, and it is closed when the driver returns at last.
	release := make(chan struct{})
	var hang atomic.Bool
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		d := scripted.New(scripted.Hooks{Ping: func(ctx context.Context, _ *scripted.Conn) error {
			if hang.Load() {
				<-release
			}
			return nil
		}})
		p, err := New(d, Config{MaxConns: 1, MinConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		hang.Store(true)
		time.Sleep(DefaultHealthCheckPeriod + time.Millisecond)
		wantStats(t, p, 1, 0, 0)
		hang.Store(false)
		time.Sleep(DefaultPingTimeout + abandonAfter + closeTimeout)
		wantStats(t, p, 1, 0, 1)
		if d.Open() != 2 { // one hangs in the driver, which alone could close it
			t.Errorf("%d open, want 2", d.Open())
		}
		mustAcquire(t, p).Release(Clean)
		close(release)
		synctest.Wait()
		if d.Open() != 1 {
			t.Errorf("%d open after the driver returned, want 1", d.Open())
		}
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestBusyKeeperNeverSpins(t *testing.T) {
	// A day with traffic now and then: the keeper may wake for what is due, a
	// few times for each thing, but not in a loop.
	cfg := Config{MinConns: 3, MaxConns: 6, MaxConnLifetime: 20 * time.Minute, MaxConnIdleTime: 5 * time.Minute}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 24 * 6 {
			releaseAll(acquireN(t, p, 6))
			time.Sleep(10 * time.Minute)
		}
		var rounds uint64
		p.locked(func() { rounds = p.tick })
		if most := uint64(24 * 3600); rounds > most {
			t.Errorf("%d rounds in a day, more than one a second", rounds)
		}
		t.Log(rounds, "rounds")
	})
}

func TestReset(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MinConns: 2, MaxConns: 4}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 3)
		leases[0].Release(Clean)
		p.Reset()
		wantStats(t, p, 2, 2, 0)
		leases[1].Release(Clean)
		leases[2].Release(Clean)
		wantStats(t, p, 2, 0, 2)
		if n := p.Stats().Retired[ReasonReset]; n != 3 {
			t.Errorf("%d retired by Reset, want 3", n)
		}
		for _, l := range acquireN(t, p, 2) {
			if id(l) <= 3 {
				t.Errorf("connection %d survived", id(l))
			}
			l.Release(Clean)
		}
	})
}

func TestResetDuringConnectLeavesNoOldConnection(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(ctx context.Context, n int) error { time.Sleep(time.Second); return nil }}
	inBubble(t, hooks, Config{}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		got := asyncAcquire(context.Background(), p)
		p.Reset()
		time.Sleep(time.Second)
		synctest.Wait()
		time.Sleep(time.Second)
		a := received(t, got)
		if a.err != nil || id(a.lease) != 2 {
			t.Errorf("%+v, want connection 2", a)
		}
		a.lease.Release(Clean)
	})
}

func TestReasonsAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for r := range reasons {
		name := r.String()
		if name == "" || name == "unknown" || seen[name] {
			t.Errorf("reason %d is called %q", r, name)
		}
		seen[name] = true
	}
	if fmt.Sprint(reasons) != "unknown" {
		t.Error("a reason that is none has a name")
	}
}

// A connect under way is no connection: the floor must not be given up for it.
func TestFloorIsNotGivenUpForAConnectUnderWay(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(ctx context.Context, n int) error {
		if n == 1 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	cfg := Config{MinConns: 1, MaxConns: 2, MaxConnIdleTime: time.Second, ConnectTimeout: time.Hour, HealthCheckPeriod: None}
	inBubble(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		if _, err := p.Acquire(within(t, time.Second)); err == nil {
			t.Fatal("a second connection")
		}
		l.Release(Clean)
		time.Sleep(time.Minute)
		if s := p.Stats(); s.Idle != 1 || s.Retired.Total() != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// In a large pool, connections that come due one by one are looked at together.
func TestRoundsOfALargePool(t *testing.T) {
	const conns = 500
	cfg := Config{MaxConns: conns, MinConns: conns, MaxConnecting: conns, HealthCheckPeriod: 10 * time.Second}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, conns)
		for i, l := range leases { // so that each has its own time
			time.Sleep(time.Duration(i%7) * 100 * time.Microsecond)
			l.Release(Clean)
		}
		var before uint64
		p.locked(func() { before = p.tick })
		time.Sleep(30 * time.Second)
		if n := d.Count("ping"); n < 2*conns || n > 3*conns {
			t.Errorf("%d verifications of %d connections in three periods", n, conns)
		}
		p.locked(func() {
			if rounds := p.tick - before; rounds > 2*conns/5 {
				t.Errorf("%d rounds", rounds)
			}
		})
	})
}

// Every connection is replaced at a time of day, whoever has it, and again the next
// day.
func TestRecycleAtATimeOfDay(t *testing.T) {
	cfg := Config{MaxConns: 4, MinConns: 3, MaxConnLifetime: None, MaxConnIdleTime: None, RecycleAt: "03:30"}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		now := time.Now()
		at := time.Date(now.Year(), now.Month(), now.Day(), 3, 30, 0, 0, time.Local)
		if !at.After(now) {
			at = at.AddDate(0, 0, 1)
		}
		held := mustAcquire(t, p)
		time.Sleep(at.Sub(now) - time.Second)
		if s := p.Stats(); s.Retired.Total() != 0 {
			t.Errorf("%v retired before their time", s.Retired)
		}
		time.Sleep(time.Minute)
		if s := p.Stats(); s.Retired[ReasonDrained] != 2 || s.Total < 3 {
			t.Errorf("%d renewed, %d there", s.Retired[ReasonDrained], s.Total)
		}
		held.Release(Clean)
		synctest.Wait()
		if s := p.Stats(); s.Retired[ReasonDrained] != 3 {
			t.Errorf("%d renewed", s.Retired[ReasonDrained])
		}
		time.Sleep(24 * time.Hour)
		if s := p.Stats(); s.Retired[ReasonDrained] < 6 {
			t.Errorf("%d renewed after a day", s.Retired[ReasonDrained])
		}
	})
	for _, text := range []string{"3:30", "24:00", "12:60", "noon", "12:00:00"} {
		if err := (Config{RecycleAt: text}).Validate(); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
