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
	"pgregory.net/rapid"
)

// step is one action of a random sequence. Which lease, waiter or limit it is
// about follows from n.
type step struct {
	do string
	n  int
}

func (s step) String() string { return fmt.Sprintf("%s(%d)", s.do, s.n) }

var steps = rapid.Custom(func(t *rapid.T) step {
	return step{
		do: rapid.SampledFrom([]string{"acquire", "acquire", "reacquire", "release", "park", "park", "release broken",
			"release suspicious", "release open tx", "cancel", "sleep", "limit", "floor", "reset", "refuse",
			"sicken", "slow", "release dead", "release timed out", "release role doubt", "demote", "hang", "hang up"}).Draw(t, "do"),
		n: rapid.IntRange(0, 9).Draw(t, "n"),
	}
})

// TestModel runs random sequences of actions against a simple model: a set of
// leases, a queue of waiters and a limit. After each action, at rest, the
// invariants must hold.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		check := rapid.SampledFrom([]Check{CheckAuto, CheckAlways, CheckNever}).Draw(rt, "check")
		order := rapid.SampledFrom([]Order{LIFO, FIFO}).Draw(rt, "order")
		uses := rapid.SampledFrom([]int{0, 7}).Draw(rt, "uses") // with a limit, nothing is parked
		script := rapid.SliceOfN(steps, 1, 60).Draw(rt, "steps")
		var problem error
		synctest.Test(t, func(t *testing.T) {
			m := newModel(Config{MaxConns: 4, CheckOnAcquire: check, Order: order, AcquireTimeout: None,
				MaxConnLifetime: time.Hour, MaxConnIdleTime: 10 * time.Minute, MaxConnUses: uses})
			for i, s := range script {
				m.run(s)
				if problem = m.settle(); problem != nil {
					problem = fmt.Errorf("after step %d of %v: %w", i, script, problem)
					break
				}
			}
			if problem == nil {
				if err := m.finish(); err != nil {
					problem = fmt.Errorf("after %v: %w", script, err)
				}
			}
			m.abandon()
		})
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

type model struct {
	pool    *Pool
	driver  *scripted.Driver
	max     int
	highest int // the highest limit so far
	leases  []Lease
	past    []Lease       // given back by Park
	waiters []modelWaiter // in the order of asking
	refuse  atomic.Bool   // connects fail
	sick    atomic.Int32  // this connection's pings fail
	hung    atomic.Int32  // this connection's pings do not return before their context ends
	demoted atomic.Bool   // what CheckRole says
	slow    atomic.Int64  // a connect takes this long
}

type modelWaiter struct {
	result <-chan acquired
	cancel context.CancelFunc
	gone   bool // cancelled by the model
}

func newModel(cfg Config) *model {
	m := &model{max: cfg.MaxConns, highest: cfg.MaxConns}
	m.driver = scripted.New(scripted.Hooks{
		Connect: func(ctx context.Context, n int) error {
			time.Sleep(time.Duration(m.slow.Load()))
			if m.refuse.Load() {
				return errRefused
			}
			return nil
		},
		Ping: func(ctx context.Context, c *scripted.Conn) error {
			if int32(c.ID) == m.sick.Load() {
				return errors.New("sick")
			}
			if int32(c.ID) == m.hung.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		},
	})
	cfg.CheckRole = func(context.Context, driver.Conn) (bool, error) { return m.demoted.Load(), nil }
	p, err := New(m.driver, cfg)
	if err != nil {
		panic(err)
	}
	m.pool = p
	return m
}

func (m *model) run(s step) {
	switch s.do {
	case "acquire":
		ctx, cancel := context.WithCancel(context.Background())
		m.waiters = append(m.waiters, modelWaiter{result: asyncAcquire(ctx, m.pool), cancel: cancel})
	case "reacquire":
		ctx, cancel := context.WithCancel(context.Background())
		var last Lease
		if len(m.past) > 0 {
			last = m.past[s.n%len(m.past)]
		}
		m.waiters = append(m.waiters, modelWaiter{result: asyncReacquire(ctx, m.pool, last), cancel: cancel})
	case "park":
		m.park(s.n)
	case "release":
		m.release(s.n, Clean)
	case "release broken":
		m.release(s.n, Broken)
	case "release suspicious":
		m.release(s.n, Suspicious)
	case "release open tx":
		m.release(s.n, OpenTx)
	case "release dead":
		m.release(s.n, Dead)
	case "release timed out":
		m.release(s.n, TimedOut)
	case "release role doubt":
		m.release(s.n, RoleDoubt)
	case "demote":
		m.demoted.Store(s.n%2 == 0)
	case "hang":
		m.hung.Store(int32(s.n))
	case "hang up":
		m.hangUp(s.n)
	case "cancel":
		if len(m.waiters) > 0 {
			w := &m.waiters[s.n%len(m.waiters)]
			w.gone = true
			w.cancel()
		}
	case "sleep":
		time.Sleep([]time.Duration{time.Millisecond, 100 * time.Millisecond, time.Second, 20 * time.Second, 40 * time.Minute}[s.n%5])
	case "limit":
		m.max = 1 + s.n
		m.highest = max(m.highest, m.max)
		m.update(func(c *Config) { c.MaxConns, c.MinConns, c.MinIdleConns = m.max, 0, 0 })
	case "floor":
		m.update(func(c *Config) { c.MinConns, c.MinIdleConns = min(s.n, m.max), min(s.n/3, m.max) })
	case "reset":
		m.pool.Reset()
	case "refuse":
		m.refuse.Store(s.n%2 == 0)
	case "sicken":
		m.sick.Store(int32(s.n))
	case "slow":
		m.slow.Store(int64(time.Duration(s.n/2) * 50 * time.Millisecond))
	}
}

// hangUp has the kernel say that a connection's peer has closed.
func (m *model) hangUp(n int) {
	var victim []*conn
	m.pool.locked(func() {
		if len(m.pool.all) > 0 {
			victim = append(victim, m.pool.all[n%len(m.pool.all)])
		}
	})
	m.pool.hungUp(victim)
}

func (m *model) update(change func(*Config)) {
	if err := m.pool.Update(change); err != nil {
		panic(err)
	}
}

func (m *model) release(n int, o Outcome) {
	if len(m.leases) == 0 {
		return
	}
	i := n % len(m.leases)
	l := m.leases[i]
	m.leases = append(m.leases[:i], m.leases[i+1:]...)
	l.Release(o)
	l.Release(o) // and nothing comes of the second one
}

// park gives a lease back by Park. What comes after it with the same lease does
// nothing.
func (m *model) park(n int) {
	if len(m.leases) == 0 {
		return
	}
	i := n % len(m.leases)
	l := m.leases[i]
	m.leases = append(m.leases[:i], m.leases[i+1:]...)
	l.Park(Clean)
	l.Park(Clean)
	l.Release(Clean)
	m.past = append(m.past, l)
}

// settle waits for rest, takes in what the waiters got and checks the invariants.
func (m *model) settle() error {
	synctest.Wait()
	var waiting []modelWaiter
	for _, w := range m.waiters {
		select {
		case a := <-w.result:
			w.cancel()
			if a.err == nil {
				if len(waiting) > 0 {
					return errors.New("a waiter was served before an older one")
				}
				m.leases = append(m.leases, a.lease)
			} else if !w.gone && !errors.Is(a.err, errRefused) && !errors.Is(a.err, ErrUnavailable) {
				return fmt.Errorf("a waiter got %w", a.err)
			}
		default:
			if w.gone {
				return errors.New("a cancelled waiter still waits")
			}
			waiting = append(waiting, w)
		}
	}
	m.waiters = waiting
	return m.invariants()
}

func (m *model) invariants() error {
	ids := map[int]bool{}
	for _, l := range m.leases {
		if ids[id(l)] {
			return fmt.Errorf("connection %d is leased twice", id(l))
		}
		ids[id(l)] = true
	}
	s := m.pool.Stats()
	switch {
	case s.InUse != len(m.leases):
		return fmt.Errorf("%d in use, the model has %d", s.InUse, len(m.leases))
	case s.Waiting != len(m.waiters):
		return fmt.Errorf("%d waiting, the model has %d", s.Waiting, len(m.waiters))
	case s.Waiting > 0 && s.Idle > 0 && s.Verifying == 0: // a verification gets a moment before another is begun
		return fmt.Errorf("%d wait while %d connections are idle", s.Waiting, s.Idle)
	case s.Waiting > 0 && s.Total < m.max && s.Connecting+s.Verifying == 0 && !m.refuse.Load() && s.LastConnectError == nil:
		return fmt.Errorf("%d wait and nothing is being done: %+v", s.Waiting, s)
	case m.driver.Most() > m.highest:
		return fmt.Errorf("%d connections at the server, the limit was never above %d", m.driver.Most(), m.highest)
	case s.Total != s.Idle+s.InUse+s.Connecting+s.Verifying+s.Closing:
		return fmt.Errorf("the states do not add up: %+v", s)
	}
	return nil
}

// finish lets everything be well again: the whole capacity must be there, and
// nothing must be left after Shutdown.
func (m *model) finish() error {
	m.refuse.Store(false)
	m.sick.Store(-1)
	m.hung.Store(-1)
	m.demoted.Store(false)
	m.slow.Store(0)
	for len(m.waiters)+len(m.leases) > 0 {
		for len(m.leases) > 0 {
			m.release(0, Clean)
		}
		time.Sleep(time.Minute)
		if err := m.settle(); err != nil {
			return err
		}
	}
	time.Sleep(time.Minute)
	for range m.max {
		l, err := m.pool.Acquire(context.Background())
		if err != nil {
			return err
		}
		m.leases = append(m.leases, l)
	}
	if err := m.settle(); err != nil {
		return err
	}
	releaseAll(m.leases)
	if err := m.pool.Shutdown(context.Background()); err != nil {
		return err
	}
	if n := m.driver.Open(); n != 0 {
		return fmt.Errorf("%d connections open after Shutdown", n)
	}
	return nil
}

// abandon ends everything after a failed check, so that the bubble can end too.
func (m *model) abandon() {
	_ = m.pool.Close()
	synctest.Wait()
	for _, w := range m.waiters {
		if a := <-w.result; a.err == nil {
			a.lease.Release(Clean)
		}
	}
	releaseAll(m.leases)
	_ = m.pool.Shutdown(context.Background())
}
