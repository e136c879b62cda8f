package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
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
			"sicken", "slow", "release dead", "release timed out", "release role doubt", "demote", "hang", "hang up",
			"suspend", "resume", "resume", "drain", "verify", "leave", "late", "observe", "settings", "settings", "bad settings"}).Draw(t, "do"),
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
		listens := rapid.SampledFrom([]listening{deaf, deaf, attentive, attentive, panicking, blocking}).Draw(rt, "listener")
		reclaim := rapid.SampledFrom([]time.Duration{0, 0, 5 * time.Minute}).Draw(rt, "reclaim")
		script := rapid.SliceOfN(steps, 1, 60).Draw(rt, "steps")
		var problem error
		synctest.Test(t, func(t *testing.T) {
			m := newModel(Config{MaxConns: 4, CheckOnAcquire: check, Order: order, AcquireTimeout: None,
				MaxConnLifetime: time.Hour, MaxConnIdleTime: 10 * time.Minute, MaxConnUses: uses,
				InitSQL: []string{"SET a"}, LeakThreshold: reclaim / 5, LeakReclaim: reclaim}, listens)
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
	told    *modelListener // nil: deaf
	max     int
	highest int // the highest limit so far
	leases  []modelLease
	taken   []modelLease // by LeakReclaim, and not given back yet
	hanging int          // the most of those ever whose holder was inside a call

	suspended   suspension
	drains      []*modelDrain
	verifies    []<-chan error
	got, failed int // acquires that have ended
	drained     int // calls of Drain that have

	broken  error         // what a step found
	past    []Lease       // given back by Park
	waiters []modelWaiter // in the order of asking
	refuse  atomic.Bool   // connects fail
	sick    atomic.Int32  // this connection's pings fail
	hung    atomic.Int32  // this connection's pings do not return before their context ends
	demoted atomic.Bool   // what CheckRole says
	slow    atomic.Int64  // a connect takes this long
}

type modelWaiter struct {
	result  <-chan acquired
	cancel  context.CancelFunc
	gone    bool // cancelled by the model
	asked   time.Time
	timeout time.Duration // AcquireTimeout at that moment
}

type modelLease struct {
	Lease
	since   time.Time
	tracked bool // the pool knows since when
	left    bool // its holder is not inside a call
}

// modelDrain is a call of Drain and how many connects had begun before.
type modelDrain struct {
	begun  int
	result chan error
}

func newModel(cfg Config, listens listening) *model {
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
		Reset: func(_ context.Context, c *scripted.Conn) error {
			if int32(c.ID) == m.sick.Load() {
				return errors.New("sick")
			}
			return nil
		},
	})
	if listens != deaf {
		m.told = &modelListener{how: listens, unblock: make(chan struct{})}
		cfg.Listener = m.told
	}
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
		m.acquire(Lease{})
	case "reacquire":
		var last Lease
		if len(m.past) > 0 {
			last = m.past[s.n%len(m.past)]
		}
		m.acquire(last)
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
		m.update(func(c *Config) { c.MinConns, c.MinIdleConns, c.MaxIdleConns = min(s.n, m.max), min(s.n/3, m.max), 0 })
	case "suspend":
		m.suspended = waiting
		if s.n%2 == 0 {
			m.suspended = refusing
		}
		m.pool.Suspend(m.suspended == refusing)
	case "resume":
		m.suspended = running
		m.pool.Resume()
	case "drain":
		m.drain()
	case "verify":
		m.verify()
	case "leave":
		if len(m.leases) > 0 {
			l := &m.leases[s.n%len(m.leases)]
			l.left = l.left || l.Leave()
		}
	case "late":
		m.late(s.n)
	case "observe":
		m.pool.Observe(time.Duration(s.n) * 20 * time.Second)
	case "settings":
		m.update(modelSettings[s.n])
	case "bad settings":
		m.badSettings(s.n)
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

func (m *model) acquire(last Lease) {
	ctx, cancel := context.WithCancel(context.Background())
	w := modelWaiter{cancel: cancel, asked: time.Now(), timeout: m.pool.Config().AcquireTimeout}
	w.result = asyncReacquire(ctx, m.pool, last)
	m.waiters = append(m.waiters, w)
}

// drain renews all that is there, and what is being connected.
func (m *model) drain() {
	d := &modelDrain{begun: m.driver.Opened(), result: make(chan error, 1)}
	m.drains = append(m.drains, d)
	go func() { d.result <- m.pool.Drain(context.Background()) }()
}

func (m *model) verify() {
	result := make(chan error, 1)
	m.verifies = append(m.verifies, result)
	all := m.pool.Stats().Total
	go func() {
		verified, failed, err := m.pool.Verify(context.Background())
		if err == nil && verified+failed > all {
			err = fmt.Errorf("%d verified, %d failed, of %d", verified, failed, all)
		}
		result <- err
	}()
}

// late gives back a lease that was taken away long ago. Nothing comes of it but that
// its connection can be closed now.
func (m *model) late(n int) {
	if len(m.taken) == 0 {
		return
	}
	i := n % len(m.taken)
	l := m.taken[i]
	m.taken = append(m.taken[:i], m.taken[i+1:]...)
	switch n % 3 {
	case 0:
		l.Release(Clean)
	case 1:
		l.Park(Clean)
	default:
		l.Release(Dead)
	}
	m.past = append(m.past, l.Lease)
}

// modelSettings are changes that any state of the model allows.
var modelSettings = [...]func(*Config){
	func(c *Config) { c.AcquireTimeout = 90 * time.Second },
	func(c *Config) { c.AcquireTimeout, c.MaxWaiters = None, 2 },
	func(c *Config) { c.LeakThreshold, c.LeakReclaim = time.Minute, 5*time.Minute },
	func(c *Config) { c.LeakThreshold, c.LeakReclaim, c.MaxWaiters = 0, 0, 0 },
	func(c *Config) { c.MaxConnIdleTime, c.MaxConnLifetime = time.Minute, 20*time.Minute },
	func(c *Config) { c.HealthCheckPeriod, c.PingTimeout = 5*time.Second, 2*time.Second },
	func(c *Config) { c.HealthCheckPeriod, c.MaxConnUses, c.StmtCache = None, 3, None },
	func(c *Config) { c.MinConns, c.MinIdleConns, c.MaxIdleConns = 0, 0, 1 },
	func(c *Config) { c.CheckOnAcquire, c.Order, c.MaxConnecting = CheckNever, 1-c.Order, 1 },
	func(c *Config) { c.OutageGrace, c.ConnectTimeout, c.MaxConnUses, c.StmtCache = None, time.Second, 0, 0 },
}

// badSettings are refused, and change nothing.
func (m *model) badSettings(n int) {
	before := m.pool.Config()
	err := m.pool.Update(func(c *Config) {
		modelSettings[n](c)
		c.InitSQL[0] = "SET b"
		switch n {
		case 0:
			c.MaxConns = -5
		case 1:
			c.PingTimeout = -time.Second
		case 2:
			c.MinConns = 1000
		case 3:
			c.Name = "another"
		case 4:
			c.InitConns = 3
		case 5:
			c.LeaseMode = LeaseTransaction
		case 6:
			c.Redact = func(err error) error { return err }
		case 7:
			c.Listener = ListenerFunc(func(Event) {})
		case 8:
			c.RecycleAt = "25:00"
		case 9:
			c.MaxConnLifetime, c.MaxConnLifetimeJitter = None, time.Second
		}
	})
	after := m.pool.Config()
	before.CheckRole, after.CheckRole = nil, nil // functions equal nothing
	if invalid := new(ConfigError); !errors.As(err, &invalid) || !reflect.DeepEqual(before, after) {
		m.broken = fmt.Errorf("an update that was to be refused: %v\nbefore %+v\nafter  %+v", err, before, after)
	}
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
	m.past = append(m.past, l.Lease)
}
