package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
	"pgregory.net/rapid"
)

func TestBehaviour7DeadConnectionReturned(t *testing.T) {
	hooks := scripted.Hooks{
		Valid: func(c *scripted.Conn) bool { return c.ID > 2 },
		Close: func(c *scripted.Conn) error { return errors.New("already dead") },
	}
	inBubble(t, hooks, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 2)
		wantStats(t, p, 2, 2, 0)
		leases[0].Release(Clean) // its IsValid is false
		wantStats(t, p, 1, 1, 0)
		leases[1].Release(Broken) // its borrower knows
		wantStats(t, p, 0, 0, 0)
		if n := p.Stats().Retired[ReasonBroken]; n != 2 {
			t.Errorf("%d retired as broken, want 2", n)
		}
		releaseAll(acquireN(t, p, 2)) // the capacity is whole
		wantStats(t, p, 2, 0, 2)
	})
}

func TestSecondReleaseDoesNothing(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		first := mustAcquire(t, p)
		first.Release(Clean)
		second := mustAcquire(t, p)
		first.Release(Clean)
		first.Release(Broken)
		wantStats(t, p, 1, 1, 0)
		if first.Enter() {
			t.Error("an ended lease could be entered")
		}
		second.Release(Clean)
		Lease{}.Release(Clean)
	})
}

func TestBehaviour10IdleLimit(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 10, MaxIdleConns: 3}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		releaseAll(acquireN(t, p, 6))
		wantStats(t, p, 3, 0, 3)
		if d.Open() != 3 || p.Stats().Retired[ReasonIdleLimit] != 3 {
			t.Errorf("%d open, %+v", d.Open(), p.Stats().Retired)
		}
	})
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 10, MaxIdleConns: None}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		releaseAll(acquireN(t, p, 6))
		wantStats(t, p, 0, 0, 0)
		if d.Open() != 0 {
			t.Errorf("%d open at the server, want none", d.Open())
		}
	})
}

func TestBehaviour12UsesRetireAConnection(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, MaxConnUses: 3}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 20 {
			mustAcquire(t, p).Release(Clean)
			synctest.Wait()
		}
		if d.Opened() != 7 || p.Stats().Retired[ReasonUses] != 6 {
			t.Errorf("%d opened, %d retired for their uses; want 7 and 6", d.Opened(), p.Stats().Retired[ReasonUses])
		}
	})
}

func TestBehaviour13FreshSessions(t *testing.T) {
	cfg := Config{MaxConns: 1, InitSQL: []string{"SET a", "SET b"}}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		if err := exec(context.Background(), l.Conn(), "SET of the borrower"); err != nil {
			t.Fatal(err)
		}
		l.Release(Broken)
		mustAcquire(t, p).Release(Clean)
		got := strings.Join(d.Log(), ", ")
		want := "1 connect, 1 exec SET a, 1 exec SET b, 1 exec SET of the borrower, 1 close, " +
			"2 connect, 2 exec SET a, 2 exec SET b"
		if got != want {
			t.Errorf("calls %s\nwant  %s", got, want)
		}
	})
}

func TestBehaviour13FailingInitSQL(t *testing.T) {
	cause := errors.New("no such setting")
	hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, q string, _ []driver.NamedValue) error {
		if q == "SET b" {
			return cause
		}
		return nil
	}}
	cfg := Config{Name: "orders", InitSQL: []string{"SET a", "SET b"}}
	inBubble(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		_, err := p.Acquire(context.Background())
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "orders: InitSQL statement 2 of 2") {
			t.Errorf("error %v", err)
		}
		wantStats(t, p, 0, 0, 0)
		if d.Open() != 0 {
			t.Error("the connection was left open")
		}
	})
}

func TestBehaviour14OpenTransactionIsRolledBack(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		c := l.Conn().(*scripted.Conn)
		if err := exec(context.Background(), c, "BEGIN"); err != nil {
			t.Fatal(err)
		}
		l.Release(OpenTx)
		l = mustAcquire(t, p)
		if id(l) != c.ID || c.InTx {
			t.Errorf("connection %d, in a transaction: %v", id(l), c.InTx)
		}
		l.Release(Clean)
		if d.Opened() != 1 {
			t.Errorf("%d connections opened while one was being rolled back", d.Opened())
		}
	})
}

func TestFailedRollbackRetires(t *testing.T) {
	for text, kept := range map[string]bool{"connection reset": false, "cannot rollback - no transaction is active": true} {
		hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, q string, _ []driver.NamedValue) error {
			if q == "ROLLBACK" {
				return errors.New(text)
			}
			return nil
		}}
		inBubble(t, hooks, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			mustAcquire(t, p).Release(OpenTx)
			if kept {
				wantStats(t, p, 1, 0, 1)
			} else {
				wantStats(t, p, 0, 0, 0)
			}
			mustAcquire(t, p).Release(Clean) // the slot is not lost
		})
	}
}

func TestResetSQLRunsBeforeTheNextLease(t *testing.T) {
	cfg := Config{MaxConns: 2, ResetSQL: []string{"DISCARD ALL"}}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 3 {
			mustAcquire(t, p).Release(Clean)
		}
		synctest.Wait()
		want := "1 connect, 1 exec DISCARD ALL, 1 reset, 1 exec DISCARD ALL, 1 reset, 1 exec DISCARD ALL"
		if got := strings.Join(d.Log(), ", "); got != want {
			t.Errorf("calls %s\nwant  %s", got, want)
		}
	})
}

func TestSlowResetIsNoReasonToDialUntilItIsVerySlow(t *testing.T) {
	hooks := scripted.Hooks{Exec: func(ctx context.Context, c *scripted.Conn, q string, _ []driver.NamedValue) error {
		if c.ID > 1 {
			return nil
		}
		<-ctx.Done() // a server that went silent
		return ctx.Err()
	}}
	cfg := Config{MaxConns: 2, ResetSQL: []string{"DISCARD ALL"}}
	inBubble(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		mustAcquire(t, p).Release(Clean)
		next := asyncAcquire(context.Background(), p)
		if d.Opened() != 1 {
			t.Error("a connect was begun at once")
		}
		time.Sleep(hedgeAfter)
		got := received(t, next)
		if got.err != nil || id(got.lease) != 2 {
			t.Fatalf("got %+v, want connection 2", got)
		}
		got.lease.Release(Clean)
		time.Sleep(DefaultPingTimeout)
		wantStats(t, p, 1, 0, 1)
		if n := p.Stats().Retired[ReasonResetFailed]; n != 1 {
			t.Errorf("%d retired for a failed reset, want 1", n)
		}
	})
}

func TestSuspiciousConnectionIsVerified(t *testing.T) {
	var dead atomic.Bool
	hooks := scripted.Hooks{Ping: func(context.Context, *scripted.Conn) error {
		if dead.Load() {
			return errors.New("dead")
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		mustAcquire(t, p).Release(Suspicious)
		wantStats(t, p, 1, 0, 1)
		dead.Store(true)
		mustAcquire(t, p).Release(Suspicious)
		wantStats(t, p, 0, 0, 0)
		if d.Count("ping") != 2 {
			t.Errorf("%d pings, want 2", d.Count("ping"))
		}
	})
}

func TestSessionIsResetOncePerReuse(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 3 {
			mustAcquire(t, p).Release(Clean)
		}
		if n := d.Count("reset"); n != 2 {
			t.Errorf("%d resets for 3 leases, want 2", n)
		}
	})
}

func TestFailingSessionResetTakesAnother(t *testing.T) {
	for name, fail := range map[string]func(){
		"error": nil,
		"panic": func() { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			hooks := scripted.Hooks{Reset: func(_ context.Context, c *scripted.Conn) error {
				if c.ID > 2 {
					return nil
				}
				if fail != nil {
					fail()
				}
				return driver.ErrBadConn
			}}
			inBubble(t, hooks, Config{MaxConns: 3}, func(t *testing.T, p *Pool, d *scripted.Driver) {
				releaseAll(acquireN(t, p, 2))
				l := mustAcquire(t, p)
				if id(l) < 3 {
					t.Errorf("connection %d, want a new one", id(l))
				}
				l.Release(Clean)
				if n := p.Stats().Retired[ReasonResetFailed]; n == 0 {
					t.Error("none retired for a failed reset")
				}
			})
		})
	}
}

func TestBehaviour15CheckOnAcquire(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{CheckOnAcquire: CheckNever, HealthCheckPeriod: None}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 5 {
			mustAcquire(t, p).Release(Clean)
			time.Sleep(time.Minute)
		}
		if n := d.Count("ping"); n != 0 {
			t.Errorf("never: %d pings", n)
		}
	})
	inBubble(t, scripted.Hooks{}, Config{CheckOnAcquire: CheckAlways, HealthCheckPeriod: None}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 5 {
			mustAcquire(t, p).Release(Clean)
		}
		if n := d.Count("ping"); n != 5 || d.Opened() != 1 {
			t.Errorf("always: %d pings for 5 acquires, %d connections", n, d.Opened())
		}
		// A connection handed over from borrower to borrower is verified too.
		l := mustAcquire(t, p)
		if err := p.Update(func(c *Config) { c.MaxConns = 1 }); err != nil {
			t.Fatal(err)
		}
		next := asyncAcquire(context.Background(), p)
		l.Release(Clean)
		received(t, next).lease.Release(Clean)
		if n := d.Count("ping"); n != 7 {
			t.Errorf("always: %d pings for 7 acquires", n)
		}
	})
}

func TestBehaviour15UnhealthyConnectionIsReplaced(t *testing.T) {
	var dead atomic.Bool
	hooks := scripted.Hooks{Ping: func(_ context.Context, c *scripted.Conn) error {
		if c.ID == 1 && dead.Load() {
			return errors.New("dead")
		}
		return nil
	}}
	cfg := Config{CheckOnAcquire: CheckAlways, HealthCheckPeriod: None}
	inBubble(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		mustAcquire(t, p).Release(Clean)
		dead.Store(true)
		l := mustAcquire(t, p)
		if id(l) != 2 || p.Stats().Retired[ReasonUnhealthy] != 1 {
			t.Errorf("connection %d, %+v", id(l), p.Stats())
		}
		l.Release(Clean)
		wantStats(t, p, 1, 0, 1)
		if once, failed := d.Count("1 ping"), d.Count("1 close"); once != 2 || failed != 1 {
			t.Errorf("the unhealthy one was pinged %d times and closed %d times; want 2 and 1", once, failed)
		}
	})
}

func TestCheckAutoVerifiesOnlyAfterAQuietSecond(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{HealthCheckPeriod: None}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		mustAcquire(t, p).Release(Clean)
		time.Sleep(freshFor - time.Millisecond)
		mustAcquire(t, p).Release(Clean)
		if n := d.Count("ping"); n != 0 {
			t.Errorf("%d pings of a fresh connection", n)
		}
		time.Sleep(freshFor + time.Millisecond)
		synctest.Wait()
		mustAcquire(t, p).Release(Clean)
		if n := d.Count("ping"); n != 1 || d.Opened() != 1 {
			t.Errorf("%d pings, %d connections opened; want 1 and 1", n, d.Opened())
		}
	})
}

func TestHungCheckOfTheHottestIsHedged(t *testing.T) {
	// Connection 2, the freshest, has gone silent: the caller gets another
	// after the hedge, and the hung one costs the pool nothing in the end.
	hooks := scripted.Hooks{Ping: func(ctx context.Context, c *scripted.Conn) error {
		if c.ID == 2 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 2, HealthCheckPeriod: None}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		releaseAll(acquireN(t, p, 2))
		time.Sleep(time.Minute)
		got := asyncAcquire(context.Background(), p)
		time.Sleep(hedgeAfter)
		a := received(t, got)
		if a.err != nil || id(a.lease) != 1 || a.after != hedgeAfter {
			t.Fatalf("%+v, want connection 1 after %v", a, hedgeAfter)
		}
		a.lease.Release(Clean)
		time.Sleep(DefaultPingTimeout)
		releaseAll(acquireN(t, p, 2))
	})
}

// Whatever the order in which connections come back from verifications, the idle
// list stays in that of their last returns.
func TestIdleOrderAfterVerifications(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(rt, "connections")
		back := rapid.Permutation(upTo(n)).Draw(rt, "the order of coming back")
		p := &Pool{}
		cfg := Config{}.WithDefaults()
		for _, order := range back {
			c := &conn{order: uint64(order)}
			c.link.of = c
			p.keepIdle(c, &cfg)
		}
		want := uint64(n)
		for node := p.idle.front; node != nil; node = node.next {
			if node.of.order != want {
				rt.Fatalf("order %d where %d belongs", node.of.order, want)
			}
			want--
		}
		if want != 0 {
			rt.Fatalf("%d are missing", want)
		}
	})
}

// upTo returns the numbers from 1 to n.
func upTo(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i + 1
	}
	return numbers
}
