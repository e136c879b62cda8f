package pool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inBubble runs f with a pool of cfg over d inside a synctest bubble: time is
// fake. Afterwards the pool is shut down, and the bubble's end shows that no
// goroutine is left.
func inBubble(t *testing.T, hooks scripted.Hooks, cfg Config, f func(t *testing.T, p *Pool, d *scripted.Driver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := scripted.New(hooks)
		p, err := New(d, cfg)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f(t, p, d)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if n := d.Open(); n != 0 {
			t.Errorf("%d connections open after Shutdown", n)
		}
	})
}

func mustAcquire(t *testing.T, p *Pool) Lease {
	t.Helper()
	l, err := p.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func acquireN(t *testing.T, p *Pool, n int) []Lease {
	t.Helper()
	leases := make([]Lease, n)
	for i := range leases {
		leases[i] = mustAcquire(t, p)
	}
	return leases
}

func releaseAll(leases []Lease) {
	for _, l := range leases {
		l.Release(Clean)
	}
}

// wantStats checks total, in use and idle at rest.
func wantStats(t *testing.T, p *Pool, total, inUse, idle int) {
	t.Helper()
	synctest.Wait()
	s := p.Stats()
	if s.Total != total || s.InUse != inUse || s.Idle != idle {
		t.Errorf("total %d, in use %d, idle %d; want %d, %d, %d (%+v)", s.Total, s.InUse, s.Idle, total, inUse, idle, s)
	}
}

func id(l Lease) int { return l.Conn().(*scripted.Conn).ID }

// asyncAcquire acquires in a goroutine of its own and delivers what comes.
type acquired struct {
	lease Lease
	err   error
	after time.Duration
}

func asyncAcquire(ctx context.Context, p *Pool) <-chan acquired {
	return asyncReacquire(ctx, p, Lease{})
}

func asyncReacquire(ctx context.Context, p *Pool, last Lease) <-chan acquired {
	ch := make(chan acquired, 1)
	start := time.Now()
	go func() {
		l, err := p.Reacquire(ctx, last)
		ch <- acquired{l, err, time.Since(start)}
	}()
	synctest.Wait() // it has its connection, or its place in the queue
	return ch
}

func received(t *testing.T, ch <-chan acquired) acquired {
	t.Helper()
	synctest.Wait()
	select {
	case a := <-ch:
		return a
	default:
		t.Fatal("the acquire has not ended")
		panic("unreachable")
	}
}

func TestBehaviour1FloorsAndGrowth(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MinConns: 2, MaxConns: 4}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		wantStats(t, p, 2, 0, 2)
		leases := acquireN(t, p, 4)
		wantStats(t, p, 4, 4, 0)
		if d.Open() != 4 {
			t.Errorf("%d open at the server, want 4", d.Open())
		}
		releaseAll(leases)
	})
	inBubble(t, scripted.Hooks{}, Config{MinConns: 2, MaxConns: 4, InitConns: 3}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		wantStats(t, p, 3, 0, 3)
		if d.Open() != 3 {
			t.Errorf("%d open at the server, want 3", d.Open())
		}
		leases := acquireN(t, p, 4)
		wantStats(t, p, 4, 4, 0)
		if d.Open() != 4 || d.Opened() != 4 {
			t.Errorf("%d open at the server, %d opened in all; want 4 and 4", d.Open(), d.Opened())
		}
		releaseAll(leases)
	})
}

func TestBehaviour2IdleTimeEndsAtTheFloorAndCloses(t *testing.T) {
	cfg := Config{MinConns: 2, MaxConns: 4, MaxConnIdleTime: time.Minute, HealthCheckPeriod: None}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		releaseAll(acquireN(t, p, 4))
		wantStats(t, p, 4, 0, 4)
		time.Sleep(time.Minute - time.Millisecond)
		wantStats(t, p, 4, 0, 4)
		time.Sleep(2 * time.Millisecond)
		wantStats(t, p, 2, 0, 2)
		if d.Open() != 2 {
			t.Errorf("%d connections open at the server, want 2", d.Open())
		}
		if n := p.Stats().Retired[ReasonIdleTime]; n != 2 {
			t.Errorf("%d retired for idleness, want 2", n)
		}
	})
}

func TestBehaviour3LoweringMaxSparesLeasedConnections(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 10}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 10)
		if err := p.Update(func(c *Config) { c.MaxConns = 4 }); err != nil {
			t.Fatal(err)
		}
		wantStats(t, p, 10, 10, 0)
		time.Sleep(time.Hour) // however long they are out
		wantStats(t, p, 10, 10, 0)
		for i, l := range leases {
			l.Release(Clean)
			out := 9 - i
			wantStats(t, p, max(out, 4), out, max(4-out, 0))
		}
		wantStats(t, p, 4, 0, 4)
		if d.Open() != 4 {
			t.Errorf("%d open at the server, want 4", d.Open())
		}
	})
}

func TestLoweringMaxClosesIdleConnections(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 10}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		releaseAll(acquireN(t, p, 10))
		if err := p.Update(func(c *Config) { c.MaxConns = 3 }); err != nil {
			t.Fatal(err)
		}
		wantStats(t, p, 3, 0, 3)
		if d.Open() != 3 {
			t.Errorf("%d open at the server, want 3", d.Open())
		}
	})
}

func TestRejectedUpdateChangesNothing(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 10, MinConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		before := p.Config()
		err := p.Update(func(c *Config) { c.MaxConns, c.PingTimeout, c.MaxWaiters = 1, time.Hour, 7 })
		var ce *ConfigError
		if !errors.As(err, &ce) || ce.Problems[0].Field != "MinConns" {
			t.Fatalf("error %v, want one about MinConns", err)
		}
		after := p.Config()
		if after.MaxConns != before.MaxConns || after.PingTimeout != before.PingTimeout || after.MaxWaiters != before.MaxWaiters {
			t.Errorf("configuration changed to %+v", after)
		}
		wantStats(t, p, 2, 0, 2)
	})
}

func TestUpdateTakesEffectForWaiters(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		first := mustAcquire(t, p)
		waiting := asyncAcquire(context.Background(), p)
		if err := p.Update(func(c *Config) { c.MaxConns = 2 }); err != nil {
			t.Fatal(err)
		}
		second := received(t, waiting)
		if second.err != nil {
			t.Fatal(second.err)
		}
		first.Release(Clean)
		second.lease.Release(Clean)
	})
}

func TestBehaviour4InvalidConfigurations(t *testing.T) {
	for name, c := range map[string]struct {
		cfg   Config
		field string
	}{
		"min -1":            {Config{MinConns: -1}, "MinConns"},
		"min above max":     {Config{MinConns: 11, MaxConns: 10}, "MinConns"},
		"max negative":      {Config{MaxConns: -1}, "MaxConns"},
		"init above max":    {Config{InitConns: 5, MaxConns: 4}, "InitConns"},
		"negative duration": {Config{PingTimeout: -time.Second}, "PingTimeout"},
		"negative lifetime": {Config{MaxConnLifetime: -time.Hour}, "MaxConnLifetime"},
		"negative idleness": {Config{MaxConnIdleTime: -time.Second}, "MaxConnIdleTime"},
		"negative patience": {Config{AcquireTimeout: -time.Second}, "AcquireTimeout"},
		"negative period":   {Config{HealthCheckPeriod: -time.Second}, "HealthCheckPeriod"},
		"negative grace":    {Config{OutageGrace: -time.Second}, "OutageGrace"},
		"endless connect":   {Config{ConnectTimeout: None}, "ConnectTimeout"},
		"min above idle":    {Config{MinConns: 3, MaxIdleConns: 2}, "MinConns"},
		"idle above max":    {Config{MaxConns: 3, MaxIdleConns: 4}, "MaxIdleConns"},
		"min idle":          {Config{MinIdleConns: 30}, "MinIdleConns"},
		"order":             {Config{Order: 7}, "Order"},
		"check":             {Config{CheckOnAcquire: 7}, "CheckOnAcquire"},
	} {
		t.Run(name, func(t *testing.T) {
			d := scripted.New(scripted.Hooks{})
			p, err := New(d, c.cfg)
			var ce *ConfigError
			if p != nil || !errors.As(err, &ce) {
				t.Fatalf("New returned %v, %v", p, err)
			}
			if len(ce.Problems) != 1 || ce.Problems[0].Field != c.field {
				t.Errorf("problems %+v, want one of %s", ce.Problems, c.field)
			}
			if d.Opened() != 0 {
				t.Error("a connection was dialled")
			}
		})
	}
}

func TestNewRefusesANilConnector(t *testing.T) {
	if p, err := New(nil, Config{}); p != nil || err == nil {
		t.Errorf("New(nil) = %v, %v", p, err)
	}
}

func TestBehaviour25BothFloors(t *testing.T) {
	cfg := Config{MinConns: 5, MaxConns: 10, MinIdleConns: 3}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 7)
		wantStats(t, p, 10, 7, 3)
		if d.Open() != 10 {
			t.Errorf("%d open at the server, want 10", d.Open())
		}
		releaseAll(leases)
	})
}
