package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// badPassword is what PostgreSQL says.
type badPassword struct{}

func (badPassword) Error() string    { return "password authentication failed" }
func (badPassword) SQLState() string { return "28P01" }

// rotating is a server whose password changes, with a connector for each password.
type rotating struct {
	*scripted.Driver
	accepted atomic.Int32 // the password, as the server has it
	known    atomic.Int32 // as the application has it
	refused  atomic.Int32
}

func newRotating() *rotating {
	s := &rotating{}
	s.Driver = scripted.New(scripted.Hooks{Connect: func(ctx context.Context, _ int) error {
		if ctx.Value(s) != s.accepted.Load() {
			s.refused.Add(1)
			return badPassword{}
		}
		time.Sleep(5 * time.Millisecond)
		return nil
	}})
	return s
}

// withPassword is a connector for one password.
type withPassword struct {
	*rotating
	password int32
}

func (c withPassword) Connect(ctx context.Context) (driver.Conn, error) {
	return c.rotating.Driver.Connect(context.WithValue(ctx, c.rotating, c.password))
}

func (c withPassword) Driver() driver.Driver { return c.rotating.Driver.Driver() }

func (s *rotating) beforeConnect(context.Context, driver.Connector) (driver.Connector, error) {
	return withPassword{s, s.known.Load()}, nil
}

// rotatingPool has callers work all the time, and none of them may fail.
func rotatingPool(t *testing.T, cfg Config, f func(p *Pool, s *rotating)) {
	synctest.Test(t, func(t *testing.T) {
		s := newRotating()
		cfg.BeforeConnect = s.beforeConnect
		p, err := New(withPassword{s, -1}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 4)
		for range cap(ended) {
			go func() {
				for ctx.Err() == nil {
					l, err := p.Acquire(context.Background())
					if err != nil {
						ended <- err
						return
					}
					time.Sleep(30 * time.Millisecond)
					l.Release(Clean)
					time.Sleep(10 * time.Millisecond)
				}
				ended <- nil
			}()
		}
		time.Sleep(100 * time.Millisecond)
		f(p, s)
		time.Sleep(100 * time.Millisecond)
		stop()
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Errorf("a caller failed: %v", err)
			}
		}
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// The password changes at the server and in the application. Connections that are
// there go on; Drain renews them with the new one, a few at a time, and no caller
// fails, in a pool with room for replacements and in a full one.
func TestCredentialsRotateWithoutARestart(t *testing.T) {
	for _, limit := range []int{6, 12} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			cfg := Config{MaxConns: limit, MinConns: 6, MaxConnecting: 2, MaxIdleConns: limit}
			rotatingPool(t, cfg, func(p *Pool, s *rotating) {
				for password := range int32(3) {
					opened, least := s.Opened(), p.Stats().Total
					s.accepted.Store(password + 1)
					s.known.Store(password + 1)
					drained := make(chan error, 1)
					go func() { drained <- p.Drain(context.Background()) }()
					for done := false; !done; {
						time.Sleep(5 * time.Millisecond)
						least = min(least, p.Stats().Total)
						select {
						case err := <-drained:
							done = true
							if err != nil {
								t.Error(err)
							}
						default:
						}
					}
					p.locked(func() {
						for _, c := range p.all {
							if id := c.inner.(*scripted.Conn).ID; id <= opened {
								t.Errorf("password %d: connection %d is still there", password, id)
							}
						}
					})
					if s.refused.Load() != 0 || least < 4 {
						t.Errorf("%d refused, at least %d connections", s.refused.Load(), least)
					}
				}
			})
		})
	}
}

// Where the server knows the new password first, connects fail for a while. Those
// who have a connection keep it, and when the application knows it too, it is at
// work with the next connect.
func TestCredentialsThatComeLate(t *testing.T) {
	rotatingPool(t, Config{MaxConns: 8, MinConns: 8}, func(p *Pool, s *rotating) {
		s.accepted.Store(1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain: %v", err)
		}
		if s := p.Stats(); s.Total < 7 || !s.Outage.Permanent {
			t.Errorf("%d connections; %+v", s.Total, s.Outage)
		}
		if n := s.refused.Load(); n == 0 || n > 3 { // accounts get locked by less
			t.Errorf("%d attempts with the old password", n)
		}
		s.known.Store(1)
		time.Sleep(2 * permanentEvery)
		if s := p.Stats(); s.Retired[ReasonDrained] < 8 || s.Total != 8 || s.Outage.Failures != 0 {
			t.Errorf("%d renewed, %d connections, %+v", s.Retired[ReasonDrained], s.Total, s.Outage)
		}
	})
}

// A connect that is under way with the old password when Drain is called is renewed
// as well.
func TestDrainRenewsWhatIsBeingMade(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(context.Context, int) error { time.Sleep(time.Second); return nil }}
	listened(t, hooks, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver, r *record) {
		waiter := asyncAcquire(context.Background(), p)
		drained := make(chan error, 1)
		go func() { drained <- p.Drain(context.Background()) }()
		time.Sleep(2 * time.Second)
		l := received(t, waiter).lease
		select {
		case err := <-drained:
			t.Errorf("drained too early: %v", err)
		default:
		}
		l.Release(Clean)
		time.Sleep(5 * time.Second)
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if s := p.Stats(); s.Retired[ReasonDrained] != 1 || d.Opened() != 2 || s.Idle != 1 {
			t.Errorf("%+v; %d opened", s.Retired, d.Opened())
		}
		if e := r.last(t, EventDrained); e.Count != 1 {
			t.Errorf("%+v", e)
		}
	})
}

// One that fails leaves nothing to wait for.
func TestDrainOfAConnectThatFails(t *testing.T) {
	hooks := scripted.Hooks{Connect: func(context.Context, int) error { time.Sleep(time.Second); return errRefused }}
	inBubble(t, hooks, Config{MaxConns: 1, InitConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		if err := p.Drain(t.Context()); err != nil || d.Opened() != 1 {
			t.Errorf("%v after %d connects", err, d.Opened())
		}
	})
}
