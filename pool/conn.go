package pool

import (
	"database/sql/driver"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// state is where a physical connection is. One that is being connected has no
// conn yet; Pool.connecting counts those.
type state uint8

const (
	idle state = iota
	leased
	verifying // a check or the clean-up after a return is under way
	closing
)

// conn is one physical connection.
//
// Fields in the first group never change. Those in the second are guarded by
// Pool.mu. Those in the third belong to whoever has the connection out of the
// idle list: its borrower, its verification, or its close.
type conn struct {
	id        uint64 // counts from 1
	inner     driver.Conn
	resetter  driver.SessionResetter // nil where the driver has none
	validator driver.Validator       // nil where the driver has none
	wire      net.Conn               // the innermost network connection; nil where it cannot be reached
	socket    syscall.RawConn        // beneath wire; nil where it cannot be reached
	watcher   *watcher               // that watches socket; nil where nothing does
	watchID   uint64
	born      time.Duration // since Pool.epoch, as all times here
	gen       uint64        // Pool.gen when its connect began

	state    state
	link     node[conn]    // in Pool.idle while idle
	at       int           // place in Pool.all
	expires  time.Duration // end of its lifetime, jitter included; 0: none
	expired  bool          // to be retired when it is returned
	replace  bool          // expired, but stays until its replacement is there
	used     uint64        // leases so far
	order    uint64        // Pool.returns when it was last returned: the idle order
	stamp    uint64        // Pool.tick when lastUsed was last read off the clock
	touched  bool          // returned again since then
	lastUsed time.Duration
	verified time.Duration // when a verification last succeeded
	stale    bool          // neither used nor verified for freshFor
	proof    uint64        // Pool.moment when it last proved that it works
	lentAt   uint64        // Pool.moment when it was last lent
	passedOn bool          // lent straight from its last borrower or verification
	booked   uint64        // the last lease that Counters.Acquires knows of
	parkAt   int           // place in Pool.parked; -1: not there
	seen     uint64        // lease at the keeper's last round, while in Pool.parked
	hungUp   bool          // its peer has closed; set before it is in Pool.all, too
	unproved bool          // new, and not to be lent before it is verified
	slow     bool          // its verification takes so long that it may be sacrificed
	giveUp   func()        // ends its verification; set while one is under way
	key      any           // whose own connection it is: see affinity.go
	track    track         // who holds it
	noticed  *noticed      // for the server's notices; nil where nobody wants them
	drains   []*drainCall  // that wait for it to go
	owed     bool          // and there was no room for its replacement

	timed     bool          // the lease under way is: see observe.go
	heldSince time.Duration // when it began
	lease     leaseWord
	parks     atomic.Bool // it may be parked; set under Pool.mu
	clean     bool        // ResetSession has been called since the last lease
	stmts     stmtCache
	limit     *lazyTimeout // of ResetSession; nil: to be made
}

// leaseWord says which lease has the connection and whether its holder is inside
// a driver call: sequence number << 3 | parked << 2 | revoked << 1 | busy. The
// holder, whoever wants what is parked, and a forced close race for it, so it is
// atomic; everything else needs Pool.mu.
type leaseWord struct{ atomic.Uint64 }

const (
	busyBit    = 1
	revokedBit = 2
	parkedBit  = 4 // between two leases, the next of which may begin without Pool.mu
	seqShift   = 3
)

func (w *leaseWord) seq() uint64 { return w.Load() >> seqShift }

// enter marks lease seq busy; false if it is over or revoked.
func (w *leaseWord) enter(seq uint64) bool {
	return w.CompareAndSwap(seq<<seqShift, seq<<seqShift|busyBit) ||
		w.Load() == seq<<seqShift|busyBit
}

// leave marks lease seq free again; false if it is over or revoked.
func (w *leaseWord) leave(seq uint64) bool {
	return w.CompareAndSwap(seq<<seqShift|busyBit, seq<<seqShift)
}

// end ends lease seq, for whoever succeeds first; false if it is over or revoked.
// The next one is busy from the beginning, so that lending needs no store.
func (w *leaseWord) end(seq uint64) bool {
	next := (seq+1)<<seqShift | busyBit
	return w.CompareAndSwap(seq<<seqShift|busyBit, next) || w.CompareAndSwap(seq<<seqShift, next)
}

// park ends lease seq and leaves the next one to be begun by whoever is first;
// false if it is over or revoked.
func (w *leaseWord) park(seq uint64) bool {
	old := w.Load()
	return old&^busyBit == seq<<seqShift && w.CompareAndSwap(old, (seq+1)<<seqShift|parkedBit)
}

// unpark begins lease seq if it is parked.
func (w *leaseWord) unpark(seq uint64) bool {
	return w.CompareAndSwap(seq<<seqShift|parkedBit, seq<<seqShift|busyBit)
}

// claim is unpark for whichever lease is next.
func (w *leaseWord) claim() bool {
	old := w.Load()
	return old&parkedBit != 0 && w.CompareAndSwap(old, old&^parkedBit|busyBit)
}

// revoke takes lease seq away. Where its holder is inside a call, busy is true
// and it is the holder that must end the lease when the call ends.
func (w *leaseWord) revoke() (busy bool) {
	for {
		old := w.Load()
		if old&revokedBit != 0 {
			return old&busyBit != 0
		}
		if w.CompareAndSwap(old, old|revokedBit) {
			return old&busyBit != 0
		}
	}
}

// over tells whether lease seq has ended.
func (w *leaseWord) over(seq uint64) bool { return w.seq() != seq }

// endRevoked ends lease seq if it was revoked while its holder was inside a
// call, for whoever succeeds first.
func (w *leaseWord) endRevoked(seq uint64) bool {
	return w.CompareAndSwap(seq<<seqShift|revokedBit|busyBit, (seq+1)<<seqShift)
}

func newConn(inner driver.Conn, cfg *Config, dialled *socketNote) (c *conn, err error) {
	defer catch("NetConn", &err)
	c = &conn{inner: inner, parkAt: -1}
	c.link.of = c
	c.resetter, _ = inner.(driver.SessionResetter)
	c.validator, _ = inner.(driver.Validator)
	tells, ok := inner.(interface{ NetConn() net.Conn })
	switch {
	case cfg.NetConn != nil:
		c.wire, c.socket = rawConn(cfg.NetConn(inner))
	case ok:
		c.wire, c.socket = rawConn(tells.NetConn())
	default:
		c.wire, c.socket = dialled.socket()
	}
	c.lease.Store(1<<seqShift | busyBit)
	return c, nil
}

// Reason says why a connection was retired.
type Reason uint8

// The reasons for which a connection is retired.
const (
	ReasonBroken      Reason = iota // its driver or an error said that it is unusable
	ReasonPeerClosed                // the server has closed its end
	ReasonUnhealthy                 // a verification failed
	ReasonResetFailed               // ResetSession, a rollback or ResetSQL failed
	ReasonLifetime                  // MaxConnLifetime
	ReasonIdleTime                  // MaxConnIdleTime
	ReasonUses                      // MaxConnUses
	ReasonIdleLimit                 // MaxIdleConns
	ReasonLimit                     // MaxConns was lowered
	ReasonReset                     // Pool.Reset: an older generation
	ReasonClosed                    // the pool was closed
	ReasonForced                    // Shutdown ran out of time
	ReasonDemoted                   // its server has become read-only
	ReasonReclaimed                 // its lease was taken back: LeakReclaim
	ReasonDrained                   // Drain
	reasons
)

// NumReasons is the number of reasons there are.
const NumReasons = int(reasons)

// String returns the reason as it appears in logs and statistics.
func (r Reason) String() string {
	names := [...]string{"broken", "peer closed", "unhealthy", "reset failed", "lifetime", "idle time",
		"uses", "idle limit", "limit", "reset", "closed", "forced", "demoted", "reclaimed", "drained"}
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown"
}
