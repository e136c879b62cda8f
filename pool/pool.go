package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Pool keeps physical connections to one database and lends them. All methods
// may be called by any number of goroutines at a time.
type Pool struct {
	connector driver.Connector
	name      string
	log       *logger
	epoch     time.Time

	// settings is what the pool runs with: the configuration with its
	// defaults filled in. It is replaced under mu and never modified, so that
	// driver calls can read it without mu.
	settings atomic.Pointer[Config]

	bulletin *bulletin   // of events
	tracking atomic.Bool // holders are recorded: see track.go
	noting   atomic.Bool // somebody wants to know of statements: tracking, or the log at debug level

	ctx    context.Context // ends with Close; parent of all background work
	cancel context.CancelFunc
	kick   chan struct{}  // wakes the keeper before its time
	work   sync.WaitGroup // the keeper and all background calls

	// updating guards given and is taken before mu: one Update at a time.
	updating  sync.Mutex
	given     Config // as the user gave it, defaults open
	initGiven int    // InitConns, as given to New

	// watching guards the making of watcher. It is taken alone.
	watching sync.Mutex
	watcher  *watcher // nil until a connection has a socket

	// mu guards everything below and the second group of conn's fields. No
	// lock is taken and no driver is called while it is held, but for the leaf
	// locks of the bulletin and of noticed.
	mu       sync.Mutex
	closed   bool
	drained  chan struct{} // closed when the pool is closed and no connection is left
	quiet    chan struct{} // closed when the pool is closed and all is leased or gone; nil: nobody asked
	gen      uint64        // Reset increments it; older connections are retired
	era      uint64        // Drain increments it
	moment   atomic.Uint64 // counts returns and verifications: the order of the idle list, and what is compared for suspicion
	doubt    uint64        // what has not proved itself since then is under suspicion
	tick     uint64        // counts the keeper's rounds
	wakeAt   time.Duration // when the keeper wakes next
	tending  bool          // the keeper is at work
	recycle  time.Duration // when RecycleAt is next; never: never
	roundAt  time.Duration // when the keeper may look at every connection again
	overdue  bool          // verifications are due that had to be put off
	all      []*conn       // every connection in idle, leased, verifying or closing
	parked   []*conn       // leased in the books, but perhaps parked: see park.go
	draining []*drainCall  // that wait for connects, too
	evict    int           // the place in parked that is given to another next
	idle     list[conn]    // most recently returned first
	queue    list[waiter]  // waiting callers, the longest waiting first
	spare    *waiter       // free list of waiters
	spares   int
	mixed    bool // waiters' deadlines may be out of order: AcquireTimeout was changed

	parkRoom   int // most in parked
	connecting int // connects under way
	leasedN    int
	verifyingN int
	closingN   int
	serving    int           // verifications that waiters count on
	proving    int           // connections with unproved set
	replacing  int           // connections with replace set
	initial    int           // connects still to be made for InitConns
	wishes     int           // connects wanted for affinity's sake
	byKey      map[any]*conn // connections that are somebody's own
	lost       []lost

	outage    outage
	lastErr   error         // of the last connect, nil once one succeeds
	pingTime  time.Duration // of a successful verification, smoothed
	demotions int           // renewals because of a role failure, of late
	demoteAt  time.Duration // no other one before then
	counters  Counters
	seen      observed
	lastConn  uint64 // id of the latest connection
	leaked    int    // leases out that were reported as leaks

	observeUntil time.Duration // holders are recorded until then: see track.go
	suspended    suspension
	samples      []Sample
	sampledAt    time.Duration
}

// New makes a pool over an inner driver's connector. It dials nothing itself;
// Config.InitConns connections are begun in the background. The configuration is
// validated first, and its error is a *ConfigError. The pool must be closed.
func New(connector driver.Connector, cfg Config) (*Pool, error) {
	if connector == nil {
		return nil, errors.New("nimue: the inner driver.Connector is nil")
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.clone()
	p := &Pool{
		connector: connector,
		epoch:     time.Now(),
		kick:      make(chan struct{}, 1),
		drained:   make(chan struct{}),
		given:     cfg,
		initGiven: cfg.InitConns,
		wakeAt:    never,
		parkRoom:  parkRoom(),
	}
	settings := cfg.WithDefaults()
	p.settings.Store(&settings)
	p.name = settings.Name
	p.log = newLogger(settings.Name, cfg.Logger, cfg.Redact)
	p.bulletin = newBulletin(p, cfg.Listener)
	p.initial = max(settings.InitConns, 0)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.Lock()
	p.setTracking(&settings)
	p.recycle = p.nextRecycling(&settings)
	p.dial()
	p.mu.Unlock()
	register(p)
	p.work.Go(p.keep)
	if cfg.Listener != nil || p.log != nil {
		p.work.Go(p.bulletin.deliver)
	}
	p.log.opened()
	return p, nil
}

// Name returns Config.Name.
func (p *Pool) Name() string { return p.name }

// Config returns the settings in force, every default filled in.
func (p *Pool) Config() Config { return p.settings.Load().clone() }

// AutoPrepare returns Config.AutoPrepare, at the price of one load.
func (p *Pool) AutoPrepare() bool { return p.settings.Load().AutoPrepare }

// Update changes settings of the running pool: change edits a copy of the
// configuration as it was given (a zero field means the default), the result is
// validated as a whole, and either all of it takes effect or, with an error, none.
// Name, InitConns, LeaseMode, Logger, Listener and the functions cannot be changed:
// another value is an error, and the zero value leaves them. A lower limit never
// touches a leased connection: idle ones go at once, leased ones when they return.
// A new lifetime applies to connections made from then on.
func (p *Pool) Update(change func(*Config)) error {
	p.updating.Lock()
	defer p.updating.Unlock()
	cfg := p.given.clone()
	change(&cfg)
	if problems := cfg.changesOfFixed(&p.given, p.initGiven); problems != nil {
		return &ConfigError{Pool: p.name, Problems: problems}
	}
	cfg.Name, cfg.InitConns = p.given.Name, p.given.InitConns
	cfg.keepFunctions(&p.given)
	cfg = cfg.clone() // what change was given may be kept
	if cfg.InitConns > 0 {
		cfg.InitConns = None // it has had its effect; a lower limit must not trip over it
	}
	if err := cfg.check(); err != nil {
		return err
	}
	settings := cfg.WithDefaults()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return &AcquireError{Pool: p.name, Kind: ErrClosed}
	}
	p.mixed = p.mixed || settings.AcquireTimeout != p.settings.Load().AcquireTimeout && p.queue.len > 0
	p.collect()
	p.given = cfg
	p.settings.Store(&settings)
	p.setTracking(&settings)
	p.recycle = p.nextRecycling(&settings)
	p.trim(&settings)
	p.serve()
	p.wakeBy(0)
	return nil
}

// trim retires idle connections above the limits, the coldest first.
func (p *Pool) trim(cfg *Config) {
	for p.idle.len > 0 && p.live() > cfg.MaxConns {
		p.retireIdle(p.idle.back.of, ReasonLimit)
	}
	for p.idle.len > max(cfg.MaxIdleConns, 0) {
		p.retireIdle(p.idle.back.of, ReasonIdleLimit)
	}
}

// total counts every physical connection there is or is about to be.
func (p *Pool) total() int { return p.live() + p.closingN }

// live counts those that are not on their way out.
func (p *Pool) live() int { return p.idle.len + p.leasedN + p.verifyingN + p.connecting }

// now is the monotonic time since the pool was made: half the price of time.Now.
func (p *Pool) now() time.Duration { return time.Since(p.epoch) }

// String names the pool. No other verb of fmt shows more: what lies beneath may
// hold a DSN.
func (p *Pool) String() string { return "nimue pool " + p.name }

// GoString is String.
func (p *Pool) GoString() string { return p.String() }

// Format writes String for every verb.
func (p *Pool) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }
