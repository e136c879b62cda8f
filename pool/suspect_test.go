package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// warm fills the pool with n idle connections.
func warm(t *testing.T, p *Pool, n int) {
	t.Helper()
	releaseAll(acquireN(t, p, n))
	wantStats(t, p, n, 0, n)
}

func TestOneDeathPutsAllUnderSuspicion(t *testing.T) {
	var restarted atomic.Int64 // connections up to this one are dead
	hooks := scripted.Hooks{Ping: func(_ context.Context, c *scripted.Conn) error {
		if int64(c.ID) <= restarted.Load() {
			return driver.ErrBadConn
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 16}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 16)
		restarted.Store(16)
		mustAcquire(t, p).Release(Dead) // one caller's error
		for range 20 {
			l := mustAcquire(t, p)
			if id(l) <= 16 {
				t.Fatalf("the dead connection %d was lent", id(l))
			}
			l.Release(Clean)
		}
		// The idle ones that died are replaced, the one that had a holder is not.
		wantStats(t, p, 15, 0, 15)
		if s := p.Stats(); s.Retired[ReasonUnhealthy] != 15 || s.Retired[ReasonBroken] != 1 {
			t.Errorf("retired %v", s.Retired)
		}
	})
}

func TestSuspicionOfSoundConnectionsCostsOneVerificationEach(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 8}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 8)
		mustAcquire(t, p).Release(Dead)
		wantStats(t, p, 7, 0, 7)
		for range 50 {
			mustAcquire(t, p).Release(Clean)
		}
		if n := d.Count("ping"); n != 7 {
			t.Errorf("%d pings, want 7", n)
		}
	})
}

// A timeout says nothing about connections that answered others meanwhile.
func TestTimeoutCastsNoDoubtOnThoseThatWorkedMeanwhile(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 3}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 3)
		leases[0].Release(Clean) // 1 rests from before the slow one began
		leases[2].Release(Clean)
		slow := mustAcquire(t, p)
		busy := leases[1]
		busy.Release(Clean) // 2 worked since
		slow.Release(TimedOut)
		synctest.Wait()
		pinged := map[string]bool{"1 ping": false, "2 ping": false, "3 ping": false}
		for _, call := range d.Log() {
			if _, ok := pinged[call]; ok {
				pinged[call] = true
			}
		}
		if !pinged["1 ping"] || pinged["2 ping"] || !pinged["3 ping"] {
			t.Errorf("pinged %v, want the slow one and the one that rested", pinged)
		}
	})
}

// The connection that was returned last before the slow one was lent has proved
// nothing since.
func TestTimeoutCastsDoubtOnTheOneReturnedJustBefore(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 2)
		last := leases[0]
		leases[1].Release(Clean)
		last.Release(Clean)
		slow, err := p.Reacquire(context.Background(), leases[1]) // not the one on top
		if err != nil || slow.conn == last.conn {
			t.Fatal(err)
		}
		slow.Release(TimedOut)
		synctest.Wait()
		if d.Count("ping") != 2 {
			t.Errorf("calls %q, want both verified", d.Log())
		}
	})
}

// Standing connections have gone silent, new ones work. The pool is full.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	hooks := scripted.Hooks{Ping: func(ctx context.Context, c *scripted.Conn) error {
		if c.ID <= 16 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 16}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 16)
		mustAcquire(t, p).Release(TimedOut)
		for i := range 20 {
			l, err := p.Acquire(within(t, time.Second))
			if err != nil {
				t.Fatalf("caller %d: %v", i, err)
			}
			if id(l) <= 16 {
				t.Fatalf("the silent connection %d was lent", id(l))
			}
			l.Release(Clean)
		}
		time.Sleep(DefaultPingTimeout)
		if d.Most() > 16 {
			t.Errorf("%d connections at a time", d.Most())
		}
		wantStats(t, p, 15, 0, 15) // all but the one that had a holder
	})
}

// With a health check between the failure and the callers, none sees it, even
// though only some of the connections are checked at a time.
func TestSilenceFoundByTheHealthCheck(t *testing.T) {
	var silent atomic.Bool
	hooks := scripted.Hooks{Ping: func(ctx context.Context, c *scripted.Conn) error {
		if c.ID <= 16 && silent.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 16, HealthCheckPeriod: time.Second, CheckOnAcquire: CheckNever}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 16)
		silent.Store(true)
		time.Sleep(time.Second + hedgeAfter)
		synctest.Wait()
		for range 20 {
			l, err := p.Acquire(within(t, time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if id(l) <= 16 {
				t.Fatalf("the silent connection %d was lent", id(l))
			}
			l.Release(Clean)
		}
	})
}

// A way to the server that is slow by nature must not make every check an alarm.
func TestLongRoundTripsAreNotSuspicious(t *testing.T) {
	hooks := scripted.Hooks{Ping: func(context.Context, *scripted.Conn) error { time.Sleep(400 * time.Millisecond); return nil }}
	inBubble(t, hooks, Config{MaxConns: 8, HealthCheckPeriod: time.Minute, CheckOnAcquire: CheckNever}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 8)
		for range 3 { // it learns
			time.Sleep(2 * time.Minute)
		}
		var doubt uint64
		p.locked(func() { doubt = p.doubt })
		time.Sleep(time.Hour)
		p.locked(func() {
			if p.doubt != doubt {
				t.Error("a slow answer is still taken for a bad sign")
			}
		})
	})
}

func TestReplacementIdlesNoLongerThanTheLost(t *testing.T) {
	var dead atomic.Int64
	hooks := scripted.Hooks{Ping: func(_ context.Context, c *scripted.Conn) error {
		if int64(c.ID) <= dead.Load() {
			return driver.ErrBadConn
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 2, MaxConnIdleTime: time.Minute}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 2)
		for range 3 { // the server ends idle sessions again and again
			time.Sleep(16 * time.Second)
			dead.Store(int64(d.Opened()))
		}
		wantStats(t, p, 2, 0, 2)
		time.Sleep(time.Minute)
		wantStats(t, p, 0, 0, 0)
	})
}

func TestHealthFunction(t *testing.T) {
	var sick atomic.Bool
	var asked atomic.Int64
	cfg := Config{MinConns: 1, HealthQuery: "never asked", Health: func(_ context.Context, c driver.Conn) error {
		asked.Add(1)
		if sick.CompareAndSwap(true, false) {
			panic("sick")
		}
		return nil
	}}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		time.Sleep(DefaultHealthCheckPeriod)
		synctest.Wait()
		sick.Store(true)
		time.Sleep(DefaultHealthCheckPeriod)
		wantStats(t, p, 1, 0, 1)
		if asked.Load() != 2 || d.Opened() != 2 || d.Count("ping")+d.Count("never asked") != 0 {
			t.Errorf("asked %d times, %d opened, calls %q", asked.Load(), d.Opened(), d.Log())
		}
	})
}

func TestDemotedServer(t *testing.T) {
	var demoted atomic.Bool
	cfg := Config{MaxConns: 4, CheckRole: func(context.Context, driver.Conn) (bool, error) { return demoted.Load(), nil }}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 4)
		mustAcquire(t, p).Release(RoleDoubt) // a read-only transaction of the user's own
		wantStats(t, p, 4, 0, 4)
		demoted.Store(true)
		other := mustAcquire(t, p)
		mustAcquire(t, p).Release(RoleDoubt)
		synctest.Wait()
		other.Release(Clean)
		for range 3 {
			l := mustAcquire(t, p)
			if id(l) <= 4 {
				t.Errorf("connection %d is from before the failover", id(l))
			}
			l.Release(Clean)
		}
		if s := p.Stats(); s.Retired[ReasonDemoted]+s.Retired[ReasonReset] != 4 {
			t.Errorf("retired %v", s.Retired)
		}
	})
}

// A pool that is given nothing but read-only servers must not dial for ever.
func TestDemotionsAreLimited(t *testing.T) {
	cfg := Config{MaxConns: 4, CheckRole: func(context.Context, driver.Conn) (bool, error) { return true, nil }}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 4)
		for range 100 {
			mustAcquire(t, p).Release(RoleDoubt)
			time.Sleep(100 * time.Millisecond)
		}
		// One for each refused write, and the other idle ones for each renewal.
		if n := d.Opened(); n > 100+4+4*6 {
			t.Errorf("%d connections were opened for 100 refused writes", n)
		}
	})
}

func TestFailingRoleCheck(t *testing.T) {
	cfg := Config{CheckRole: func(context.Context, driver.Conn) (bool, error) { return false, errors.New("no answer") }}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		mustAcquire(t, p).Release(RoleDoubt)
		wantStats(t, p, 0, 0, 0)
	})
}

// TestBehaviour6HungCheckDelaysNobody: one connection does not answer its health
// check; all callers are served by the others at once.
func TestBehaviour6HungCheckDelaysNobody(t *testing.T) {
	var hung atomic.Bool
	hooks := scripted.Hooks{Ping: func(ctx context.Context, c *scripted.Conn) error {
		if c.ID == 1 && hung.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 4}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 4)
		hung.Store(true)
		deadline := time.Now().Add(3 * DefaultHealthCheckPeriod)
		checks := 0 // how often all of the others were taken while the check hung
		for time.Now().Before(deadline) {
			n := 1
			synctest.Wait()
			if s := p.Stats(); s.Verifying == 1 && s.Idle == 3 {
				n = 3
				checks++
			}
			start := time.Now()
			leases := acquireN(t, p, n)
			if took := time.Since(start); took != 0 {
				t.Fatalf("%d acquires waited %v", n, took)
			}
			releaseAll(leases)
			time.Sleep(50 * time.Millisecond)
		}
		if checks < 10 {
			t.Errorf("the check was seen to hang %d times only", checks)
		}
		if s := p.Stats(); s.Retired[ReasonUnhealthy] != 1 || s.Total != 4 {
			t.Errorf("%+v", s)
		}
	})
}

// A connection whose peer answers a verification and closes right after is
// replaced like one that closed while it was idle.
func TestHangUpDuringAVerificationIsALoss(t *testing.T) {
	hooks := scripted.Hooks{Ping: func(_ context.Context, c *scripted.Conn) error { time.Sleep(100 * time.Millisecond); return nil }}
	inBubble(t, hooks, Config{MaxConns: 4, CheckOnAcquire: CheckNever}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		warm(t, p, 4)
		time.Sleep(DefaultHealthCheckPeriod + 50*time.Millisecond)
		var victims []*conn
		p.locked(func() {
			for _, c := range p.all {
				if c.state == verifying {
					victims = append(victims, c)
				}
			}
		})
		if len(victims) == 0 {
			t.Fatal("none is being verified")
		}
		p.hungUp(victims)
		time.Sleep(time.Second)
		wantStats(t, p, 4, 0, 4)
		if s := p.Stats(); s.Retired[ReasonPeerClosed] != uint64(len(victims)) {
			t.Errorf("retired %v", s.Retired)
		}
	})
}
