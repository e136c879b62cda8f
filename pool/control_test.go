package pool

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

func TestSuspendHasCallersWait(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2, AcquireTimeout: time.Minute}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		out, last := mustAcquire(t, p), mustAcquire(t, p)
		last.Park(Clean)
		p.Suspend(false)
		first := asyncReacquire(context.Background(), p, last) // not the short way either
		second := asyncAcquire(context.Background(), p)
		time.Sleep(time.Second)
		out.Release(Clean) // and a return serves nobody
		synctest.Wait()
		if s := p.Stats(); s.Waiting != 2 || s.Idle != 2 || !s.Suspended || s.Connecting != 0 {
			t.Errorf("%d waiting, %d idle, suspended %v", s.Waiting, s.Idle, s.Suspended)
		}
		if h := p.Health(); h.State != Degraded || !strings.Contains(h.Reason, "callers waiting: 2") {
			t.Errorf("%+v", h)
		}
		p.Resume()
		for _, ch := range []<-chan acquired{first, second} {
			a := received(t, ch)
			if a.after != time.Second {
				t.Errorf("served after %v", a.after)
			}
			a.lease.Release(Clean)
		}
		if h := p.Health(); h.State != Ready {
			t.Errorf("%+v", h)
		}
	})
}

func TestSuspendedWaitsEnd(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2, AcquireTimeout: time.Minute}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		p.Suspend(false)
		start := time.Now()
		_, err := p.Acquire(context.Background())
		if !errors.Is(err, ErrAcquireTimeout) || time.Since(start) != time.Minute || !strings.Contains(err.Error(), "suspended") {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if d.Opened() != 0 {
			t.Errorf("%d dialled", d.Opened())
		}
	})
}

func TestSuspendRefuses(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		queued := asyncAcquire(context.Background(), p)
		p.Suspend(true)
		if a := received(t, queued); !errors.Is(a.err, ErrSuspended) {
			t.Errorf("who waited got %v", a.err)
		}
		if _, err := p.Acquire(context.Background()); !errors.Is(err, ErrSuspended) {
			t.Errorf("error %v", err)
		}
		if h := p.Health(); h.State != Down {
			t.Errorf("%+v", h)
		}
		if s := p.Stats(); s.Exhausted != 2 {
			t.Errorf("%d counted, want both who were refused", s.Exhausted)
		}
		l.Release(Clean)
		p.Resume()
		mustAcquire(t, p).Release(Clean)
		if d.Opened() != 1 {
			t.Errorf("%d opened", d.Opened())
		}
	})
}

// Drain renews all, a few at a time, and nobody waits for it: neither in a pool that
// has room for replacements nor in a full one.
func TestDrainRenewsAll(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(context.Context, int) error { time.Sleep(10 * time.Millisecond); return nil }}
	for _, limit := range []int{6, 20} {
		inBubble(t, hooks, Config{MaxConns: limit, MinConns: 6, MaxConnecting: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			leases := acquireN(t, p, 6)
			held := leases[0]
			releaseAll(leases[1:])
			least := 6
			drained := make(chan error, 1)
			go func() { drained <- p.Drain(context.Background()) }()
			for range 50 {
				time.Sleep(5 * time.Millisecond)
				least = min(least, p.Stats().Idle)
				l := mustAcquire(t, p) // served at once
				l.Release(Clean)
			}
			select {
			case err := <-drained:
				t.Errorf("drained though one is out: %v", err)
			default:
			}
			held.Release(Clean)
			if err := <-drained; err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if s := p.Stats(); s.Retired[ReasonDrained] != 6 || d.Opened() < 12 || least < 3 {
				t.Errorf("limit %d: %d retired, %d opened, at least %d idle", limit, s.Retired[ReasonDrained], d.Opened(), least)
			}
			for _, c := range p.Conns() {
				if c.ID <= 6 {
					t.Errorf("connection %d is still there", c.ID)
				}
			}
		})
	}
}

func TestDrainEndsWithItsContext(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 of 1") {
			t.Errorf("error %v", err)
		}
		l.Release(Clean)
		synctest.Wait()
		if s := p.Stats(); s.Retired[ReasonDrained] != 1 {
			t.Errorf("%v", s.Retired)
		}
	})
}

func TestVerifyFindsTheSick(t *testing.T) {
	hooks := scripted.Hooks{Ping: func(_ context.Context, c *scripted.Conn) error {
		if c.ID%2 == 0 {
			return errors.New("sick")
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 4}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 4)
		for i := range leases {
			leases[i].Park(Clean)
		}
		verified, failed, err := p.Verify(context.Background())
		if verified != 2 || failed != 2 || err != nil {
			t.Errorf("%d verified, %d failed: %v", verified, failed, err)
		}
		if last := p.Stats().LastErrors[ErrorVerify]; last.Err == nil || last.Err.Error() != "sick" {
			t.Errorf("%+v", last)
		}
	})
}

func TestPoolsListsThoseThatAreOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pools []*Pool
		for _, name := range []string{"registry b", "registry a"} {
			p, err := New(scripted.New(scripted.Hooks{}), Config{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			pools = append(pools, p)
		}
		a, b := slices.Index(Pools(), pools[1]), slices.Index(Pools(), pools[0])
		if a < 0 || b < a {
			t.Errorf("at %d and %d", a, b)
		}
		for _, p := range pools {
			_ = p.Shutdown(context.Background())
		}
		if slices.Contains(Pools(), pools[0]) {
			t.Error("a closed pool is listed")
		}
	})
}
