package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

func TestBehaviour8Close(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 2)
		leases[0].Release(Clean)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Acquire(context.Background()); !errors.Is(err, ErrClosed) {
			t.Errorf("acquire after Close: %v", err)
		}
		// The idle one is closed; the leased one works until it is returned.
		wantStats(t, p, 1, 1, 0)
		if err := exec(context.Background(), leases[1].Conn(), "still here"); err != nil {
			t.Error(err)
		}
		leases[1].Release(Clean)
		wantStats(t, p, 0, 0, 0)
		if err := p.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if d.Count("close") != 2 {
			t.Errorf("%d closes, want 2", d.Count("close"))
		}
		if err := p.Update(func(c *Config) { c.MaxConns = 9 }); !errors.Is(err, ErrClosed) {
			t.Errorf("Update after Close: %v", err)
		}
		p.Reset()
	})
}

func TestCloseAnswersWaitersAndConnects(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(ctx context.Context, n int) error {
		if n == 1 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	inBubble(t, hooks, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		var waiters []<-chan acquired
		for range 3 {
			waiters = append(waiters, asyncAcquire(context.Background(), p))
		}
		_ = p.Close()
		for _, w := range waiters {
			if a := received(t, w); !errors.Is(a.err, ErrClosed) {
				t.Errorf("waiter: %v", a.err)
			}
		}
		l.Release(Clean)
		wantStats(t, p, 0, 0, 0)
	})
}

func TestConnectThatEndsAfterCloseIsClosed(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(context.Context, int) error { time.Sleep(time.Second); return nil }}
	inBubble(t, hooks, Config{MinConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		if d.Open() != 2 {
			t.Fatalf("%d under way", d.Open())
		}
		_ = p.Close()
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if d.Open() != 0 {
			t.Errorf("%d open", d.Open())
		}
	})
}

func TestShutdownWaitsForLeases(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		go func() {
			time.Sleep(3 * time.Second)
			l.Release(Clean)
		}()
		start := time.Now()
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestShutdownByForce(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{Name: "orders"}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		l.Leave() // its holder is not in a driver call
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := p.Shutdown(ctx)
		const want = "nimue: orders: shutdown: 1 connections were still in use and were taken away: context deadline exceeded"
		if err == nil || err.Error() != want || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if d.Open() != 0 {
			t.Error("still open")
		}
		if l.Enter() {
			t.Error("the lease can still be entered")
		}
		l.Release(Clean)
		if n := d.Count("close"); n != 1 {
			t.Errorf("closed %d times", n)
		}
	})
}

func TestShutdownByForceNeverOverlapsADriverCall(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p) // inside a call until Leave
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		if err := p.Shutdown(ctx); err == nil {
			t.Error("no error")
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		if d.Count("close") != 0 {
			t.Error("closed beneath a call")
		}
		if l.Leave() {
			t.Error("the holder was not told")
		}
		l.Release(Clean)
		synctest.Wait()
		if d.Open() != 0 {
			t.Error("still open")
		}
	})
}

func TestShutdownByForceCutsTheSocket(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer server.Close()
	client, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d := scripted.New(scripted.Hooks{})
	p, err := New(d, Config{NetConn: func(driver.Conn) net.Conn { return client }})
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket is not closed: %v", err)
	}
	l.Release(Clean)
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestSlowCloseKeepsItsPlaceForAWhileOnly(t *testing.T) {
	hooks := scripted.Hooks{Close: func(c *scripted.Conn) error {
		if c.ID == 1 {
			time.Sleep(time.Minute)
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		mustAcquire(t, p).Release(Broken)
		start := time.Now()
		l := mustAcquire(t, p)
		if took := time.Since(start); took != closeTimeout {
			t.Errorf("the slot was free after %v, want %v", took, closeTimeout)
		}
		l.Release(Clean)
		time.Sleep(time.Minute)
	})
}
