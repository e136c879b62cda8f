package pool

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// The tests of this file: whatever a driver does, every call ends by its bound and
// the books stay right.

func TestForcedShutdownAgainstReleases(t *testing.T) {
	for range 300 {
		p, err := New(scripted.New(scripted.Hooks{Valid: func(*scripted.Conn) bool { return true }}), Config{MaxConns: 4})
		if err != nil {
			t.Fatal(err)
		}
		var work sync.WaitGroup
		for _, l := range acquireN(t, p, 4) {
			work.Go(func() { l.Release(Clean) })
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Shutdown(ctx)
		work.Wait()
		if err := p.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := p.Stats(); s.Total != 0 || s.InUse != 0 {
			t.Fatalf("%+v", s)
		}
	}
}

func TestSlowResetEndsByTheAcquireTimeout(t *testing.T) {
	hooks := scripted.Hooks{Reset: func(ctx context.Context, _ *scripted.Conn) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(15 * time.Minute):
			return errors.New("network timeout")
		}
	}}
	inBubble(t, hooks, Config{MaxConns: 1, CheckOnAcquire: CheckNever, AcquireTimeout: time.Second}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		mustAcquire(t, p).Release(Clean)
		start := time.Now()
		mustAcquire(t, p).Release(Clean)
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestShutdownEndsThoughADriverHangs(t *testing.T) {
	for name, hang := range map[string]func(*scripted.Hooks, chan struct{}){
		"in Connect": func(h *scripted.Hooks, end chan struct{}) {
			h.Connect = func(context.Context, int) error { <-end; return errRefused }
		},
		"in Ping": func(h *scripted.Hooks, end chan struct{}) {
			h.Ping = func(context.Context, *scripted.Conn) error { <-end; return errRefused }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hooks scripted.Hooks
				end := make(chan struct{})
				hang(&hooks, end)
				p, err := New(scripted.New(hooks), Config{MinConns: 1, ConnectTimeout: time.Hour, PingTimeout: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				start := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				defer cancel()
				_ = p.Shutdown(ctx)
				if took := time.Since(start); took > closeTimeout+2*abandonAfter {
					t.Errorf("took %v", took)
				}
				close(end)
			})
		})
	}
}

// A health query with a mistake in it must not make the pool dial without end.
func TestNewConnectionsThatFailTheirVerification(t *testing.T) {
	hooks := scripted.Hooks{Ping: func(context.Context, *scripted.Conn) error { return errors.New("syntax error") }}
	inBubble(t, hooks, Config{CheckOnAcquire: CheckAlways}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		start := time.Now()
		_, err := p.Acquire(context.Background())
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "syntax error") || time.Since(start) != DefaultOutageGrace {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if n := d.Opened(); n > 30 {
			t.Errorf("%d connects in five seconds", n)
		}
	})
}

func TestLoweredAcquireTimeoutBehindAnOlderWaiter(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		older := asyncAcquire(context.Background(), p)
		if err := p.Update(func(c *Config) { c.AcquireTimeout = 100 * time.Millisecond }); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := p.Acquire(context.Background()); !errors.Is(err, ErrAcquireTimeout) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		l.Release(Clean)
		received(t, older).lease.Release(Clean)
	})
}

// database/sql would repeat the wait for a driver.ErrBadConn.
func TestAcquireErrorIsNoBadConn(t *testing.T) {
	err := &AcquireError{Kind: ErrAcquireTimeout, Connect: fmt.Errorf("handshake: %w", driver.ErrBadConn)}
	if errors.Is(err, driver.ErrBadConn) || !strings.Contains(err.Error(), "handshake") {
		t.Errorf("%v", err)
	}
}

func TestNetConnThatPanics(t *testing.T) {
	var calls atomic.Int64
	cfg := Config{OutageGrace: None, NetConn: func(c driver.Conn) net.Conn {
		if calls.Add(1) == 1 {
			panic("not what I know")
		}
		return nil
	}}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		_, err := p.Acquire(context.Background())
		if pe := new(PanicError); !errors.As(err, &pe) || pe.In != "NetConn" || d.Open() != 0 {
			t.Errorf("%d open, %v", d.Open(), err)
		}
	})
}

func TestResetThatEndsStatementsEndsThoseOfTheCache(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, ResetSQL: []string{" discard all"}}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 2 {
			l := mustAcquire(t, p)
			use(t, l, "a")
			l.Release(Clean)
			synctest.Wait()
		}
		if d.Count("prepare a") != 2 || d.Count("stmt-close a") != 2 {
			t.Errorf("calls %q", d.Log())
		}
	})
}

// A sound connection near its turn is lent before one that must be verified.
func TestSoundConnectionIsLentPastAStaleOne(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2, Order: FIFO}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 2)
		leases[0].Release(Clean)
		time.Sleep(2 * freshFor)
		leases[1].Release(Clean)
		l := mustAcquire(t, p)
		if l.conn != leases[1].conn || d.Count("ping") != 0 {
			t.Errorf("lent %d after %d pings", id(l), d.Count("ping"))
		}
		l.Release(Clean)
	})
}

func TestPoolPrintsItsNameOnly(t *testing.T) {
	p, err := New(scripted.New(scripted.Hooks{}), Config{Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		if s := fmt.Sprintf(verb, p); s != "nimue pool orders" {
			t.Errorf("%s: %s", verb, s)
		}
	}
}

func TestWaitIsCountedOnce(t *testing.T) {
	hooks := scripted.Hooks{Reset: func(_ context.Context, c *scripted.Conn) error {
		if c.ID == 1 {
			return errors.New("reset failed")
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 1, CheckOnAcquire: CheckNever}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		next := asyncAcquire(context.Background(), p)
		time.Sleep(3 * time.Second)
		l.Release(Clean) // granted, found bad, and so the wait begins again
		a := received(t, next)
		if a.err != nil || id(a.lease) != 2 {
			t.Fatalf("%+v", a)
		}
		if s := p.Stats(); s.WaitTime != a.after {
			t.Errorf("a wait of %v counts as %v", a.after, s.WaitTime)
		}
		a.lease.Release(Clean)
	})
}

func TestLoggedErrorsAreRedacted(t *testing.T) {
	secret := errors.New("ping of postgres://app:hunter2@h/d failed")
	var log bytes.Buffer
	cfg := Config{
		MinConns: 1,
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
		Redact: func(err error) error {
			if errors.Is(err, secret) {
				return errors.New("redacted")
			}
			return err
		},
	}
	hooks := scripted.Hooks{
		Ping:  func(context.Context, *scripted.Conn) error { return secret },
		Close: func(*scripted.Conn) error { return secret },
	}
	inBubble(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		time.Sleep(2 * DefaultHealthCheckPeriod)
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if text := log.String(); strings.Contains(text, "hunter2") || strings.Count(text, "redacted") < 2 {
			t.Errorf("the log says\n%s", text)
		}
	})
}

func TestJitterWithoutALifetimeIsAContradiction(t *testing.T) {
	err := Config{MaxConnLifetime: None, MaxConnLifetimeJitter: time.Second}.Validate()
	if err == nil || !strings.Contains(err.Error(), "MaxConnLifetimeJitter") {
		t.Errorf("error %v", err)
	}
	if err := (Config{MaxConnLifetime: None}).Validate(); err != nil {
		t.Error(err)
	}
}
