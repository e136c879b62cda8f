package pool

import (
	"context"
	"database/sql/driver"
	"io"
	"time"
)

// Lease is the right to use one physical connection until Release. It is a small
// value; copies stand for the same lease. One goroutine at a time may use it.
type Lease struct {
	pool *Pool
	conn *conn
	seq  uint64
}

// Conn returns the inner driver's connection. It must not be used after Release.
func (l Lease) Conn() driver.Conn { return l.conn.inner }

// Reused tells whether the connection had served an earlier lease.
func (l Lease) Reused() bool { return l.conn.used > 1 }

// Enter must be called before the holder calls into the driver again after
// Leave; false says that the lease is over: released, or taken away by Shutdown.
// A new lease has been entered already.
func (l Lease) Enter() bool { return l.conn.lease.enter(l.seq) }

// Leave says that the holder is not inside a driver call, so that a Shutdown
// that ran out of time may close the connection beneath it. It is optional;
// false says that the lease was taken away and that Release must follow.
func (l Lease) Leave() bool { return l.conn.lease.leave(l.seq) }

// maxSpares bounds the free list of waiters.
const maxSpares = 1024

// waiter is a caller in the queue. ready has room for one value, so that whoever
// grants never blocks. The other fields are guarded by Pool.mu while it is queued
// and belong to the caller afterwards.
type waiter struct {
	ready    chan struct{}
	link     node[waiter]
	conn     *conn // granted, or nil and err is set
	seq      uint64
	err      error
	values   context.Context // the caller's, whose values a connect may be given
	since    time.Duration
	counted  time.Duration // of its wait, in Counters.WaitTime
	deadline time.Duration
	next     *waiter // in the free list
}

// Acquire lends a connection: an idle one if there is one, else the first that
// comes back or is connected, in the order of asking. It ends by ctx or by
// Config.AcquireTimeout, whichever comes first, with an *AcquireError, or at
// once where ctx has already ended. Where nothing could be connected and nothing
// can come back either, the connect's error is returned as it is.
func (p *Pool) Acquire(ctx context.Context) (Lease, error) { return p.Reacquire(ctx, Lease{}) }

// Reacquire is Acquire with a preference for the connection of an earlier lease,
// if that is idle and as good as any other. Under FIFO order it has no effect.
func (p *Pool) Reacquire(ctx context.Context, last Lease) (Lease, error) {
	if err := ctx.Err(); err != nil {
		return Lease{}, err
	}
	var w *waiter
	for {
		c, seq, err := p.take(ctx, last.conn, &w)
		if err != nil {
			p.discard(w)
			p.log.refused(err)
			return Lease{}, err
		}
		reason, err := p.makeReady(ctx, c)
		if err == nil {
			p.discard(w)
			return Lease{p, c, seq}, nil
		}
		p.reject(c, seq, reason, p.Classify(err) == Discard)
		if err := ctx.Err(); err != nil {
			p.discard(w)
			return Lease{}, err
		}
	}
}

// reject retires a connection that proved bad on its way to its borrower.
func (p *Pool) reject(c *conn, seq uint64, reason Reason, dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case c.lease.end(seq):
		p.leasedN--
		p.retire(c, reason)
		if dead {
			p.suspectAll()
		}
		p.serve()
	case c.lease.endRevoked(seq):
		p.closeRevoked(c)
	}
}

// take returns a leased connection: an idle one, or what the queue brings. A
// caller whose connection proved bad comes again with its waiter and goes to the
// head of the queue, where it was.
func (p *Pool) take(ctx context.Context, prefer *conn, again **waiter) (*conn, uint64, error) {
	p.mu.Lock()
	if p.closed {
		err := p.acquireError(ErrClosed, 0, nil)
		p.mu.Unlock()
		return nil, 0, err
	}
	cfg := p.settings.Load()
	if p.queue.len == 0 {
		if c := p.choose(cfg, prefer); c != nil {
			seq := p.lend(c, false)
			if cfg.MinIdleConns > 0 {
				p.dial()
			}
			p.mu.Unlock()
			return c, seq, nil
		}
	}
	w := *again
	if w == nil {
		if p.refuses(cfg) {
			p.counters.Exhausted++
			err := p.acquireError(ErrExhausted, 0, nil)
			p.mu.Unlock()
			return nil, 0, err
		}
		w = p.newWaiter(ctx, cfg)
		*again = w
		p.counters.Waits++
		p.queue.pushBack(&w.link)
	} else {
		if next := p.queue.front; next != nil && next.of.deadline < w.deadline {
			p.mixed = true // AcquireTimeout was lowered meanwhile
		}
		p.queue.pushFront(&w.link)
	}
	p.serve()
	if w.link.in != nil && w.deadline != 0 {
		p.wakeBy(w.deadline)
	}
	p.mu.Unlock()
	return p.await(ctx, w)
}

// choose takes the idle connection to be lent off the list, nil if there is none
// that can be lent as it is.
func (p *Pool) choose(cfg *Config, prefer *conn) *conn {
	c := p.nextIdle(cfg)
	if c != nil && p.mustCheck(c, cfg) {
		c = p.nextSound(cfg)
	}
	if c == nil {
		return nil
	}
	if prefer != nil && prefer != c && cfg.Order == LIFO &&
		prefer.link.in == &p.idle && !p.mustCheck(prefer, cfg) && !prefer.replace {
		c = prefer
	}
	p.idle.remove(&c.link)
	return c
}

// nextIdle returns the idle connection whose turn it is, without taking it.
func (p *Pool) nextIdle(cfg *Config) *conn {
	n := p.idle.front
	if cfg.Order == FIFO {
		n = p.idle.back
	}
	if n == nil {
		return nil
	}
	return n.of
}

// looksPast is how many idle connections that must be verified first are passed
// over in search of one that need not be.
const looksPast = 16

// nextSound returns an idle connection near its turn that can be lent as it is.
func (p *Pool) nextSound(cfg *Config) *conn {
	if cfg.CheckOnAcquire == CheckAlways {
		return nil
	}
	n := p.idle.front
	if cfg.Order == FIFO {
		n = p.idle.back
	}
	for range looksPast {
		if n == nil {
			return nil
		}
		if !p.mustCheck(n.of, cfg) {
			return n.of
		}
		if cfg.Order == FIFO {
			n = n.prev
		} else {
			n = n.next
		}
	}
	return nil
}

// mustCheck tells whether c must be verified before it may be lent.
func (p *Pool) mustCheck(c *conn, cfg *Config) bool {
	if c.proof < p.doubt {
		return c.canVerify(cfg)
	}
	switch cfg.CheckOnAcquire {
	case CheckNever:
		return false
	case CheckAlways:
		return c.canVerify(cfg)
	default:
		return c.stale && c.watcher == nil && c.canVerify(cfg)
	}
}

// lend starts a lease of c, which is in no list. passedOn says that it was at work
// just now.
func (p *Pool) lend(c *conn, passedOn bool) uint64 {
	seq := c.lease.seq()
	c.state = leased
	c.lentAt, c.passedOn = p.moment, passedOn
	c.used++
	p.leasedN++
	p.counters.Acquires++
	return seq
}

// refuses tells whether one more caller may not wait. Callers that a connection
// can be opened for don't count: only those who need somebody else's.
func (p *Pool) refuses(cfg *Config) bool {
	if cfg.MaxWaiters == 0 {
		return false
	}
	return p.queue.len+1-max(cfg.MaxConns-p.leasedN, 0) > max(cfg.MaxWaiters, 0)
}

func (p *Pool) newWaiter(ctx context.Context, cfg *Config) *waiter {
	w := p.spare
	if w == nil {
		w = &waiter{ready: make(chan struct{}, 1)}
		w.link.of = w
	} else {
		p.spare, w.next = w.next, nil
		p.spares--
	}
	w.values = ctx
	w.since, w.counted = p.now(), 0
	w.deadline = 0
	if cfg.AcquireTimeout > 0 {
		w.deadline = w.since + cfg.AcquireTimeout
	}
	return w
}

// discard puts a waiter that is in no queue and will be granted nothing any more
// into the free list.
func (p *Pool) discard(w *waiter) {
	if w == nil {
		return
	}
	w.conn, w.values, w.err = nil, nil, nil
	p.mu.Lock()
	if p.spares < maxSpares {
		w.next, p.spare = p.spare, w
		p.spares++
	}
	p.mu.Unlock()
}

// await waits for what the queue brings.
func (p *Pool) await(ctx context.Context, w *waiter) (*conn, uint64, error) {
	select {
	case <-w.ready:
		return w.conn, w.seq, w.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	if w.link.in != nil {
		p.queue.remove(&w.link)
		err := p.waitEnded(ctx, w)
		p.mu.Unlock()
		return nil, 0, err
	}
	p.mu.Unlock()
	<-w.ready // answered in the same moment
	if w.conn == nil {
		return nil, 0, w.err
	}
	return nil, 0, p.handBack(ctx, w)
}

// waitEnded accounts for a wait that the caller's context ended.
func (p *Pool) waitEnded(ctx context.Context, w *waiter) error {
	waited := p.now() - w.since
	p.countWait(w)
	var kind error
	if ctx.Err() == context.DeadlineExceeded {
		p.counters.Timeouts++
		kind = ErrAcquireTimeout
	} else {
		p.counters.Canceled++
	}
	return p.acquireError(kind, waited, ctx.Err())
}

// handBack returns the connection that was granted to a caller who has gone: it
// goes to the next.
func (p *Pool) handBack(ctx context.Context, w *waiter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := w.conn
	switch {
	case c.lease.end(w.seq):
		c.used--
		p.leasedN--
		p.counters.Acquires--
		p.offer(c)
	case c.lease.endRevoked(w.seq):
		p.closeRevoked(c)
	}
	return p.waitEnded(ctx, w)
}

// acquireError describes the pool as it is now.
func (p *Pool) acquireError(kind error, waited time.Duration, ctxErr error) *AcquireError {
	return &AcquireError{Pool: p.name, Kind: kind, Waited: waited, InUse: p.leasedN,
		Idle: p.idle.len, Waiting: p.queue.len, Context: ctxErr, Connect: p.lastErr}
}

// grant gives c, which is in no list, to the longest waiting caller.
func (p *Pool) grant(c *conn, passedOn bool) {
	w := p.queue.front.of
	p.queue.remove(&w.link)
	w.conn, w.seq, w.err = c, p.lend(c, passedOn), nil
	p.countWait(w)
	w.ready <- struct{}{}
}

// countWait adds the time that w has waited since it was last counted.
func (p *Pool) countWait(w *waiter) {
	waited := p.now() - w.since
	p.counters.WaitTime += waited - w.counted
	w.counted = waited
}

// refuse ends the wait of w with err.
func (p *Pool) refuse(w *waiter, err error) {
	p.queue.remove(&w.link)
	w.conn, w.err = nil, err
	p.countWait(w)
	w.ready <- struct{}{}
}

// serve is called after every change that could help a waiter: it hands out idle
// connections, starts the verifications that they need first, and begins the
// connects for whoever is left and for the floors.
func (p *Pool) serve() {
	cfg := p.settings.Load()
	for p.queue.len > 0 {
		c := p.nextIdle(cfg)
		if c == nil {
			break
		}
		if !p.mustCheck(c, cfg) {
			p.idle.remove(&c.link)
			p.grant(c, false)
			continue
		}
		if p.serving >= p.queue.len {
			break
		}
		p.check(c, cfg, true)
	}
	p.dial()
	if p.outage.failures > 0 && p.queue.len > 0 {
		now := p.now()
		p.answerHopeless(now)
		if ends := p.outage.graceEnds(cfg); ends > now {
			p.wakeBy(ends)
		}
	}
}

// makeReady does what is due on a connection between two borrowers, on the time
// of the new one: a look whether the peer is still there, unless the connection
// comes straight from the one before, and ResetSession, as database/sql does. With
// an error, c is to be retired for the reason given.
func (p *Pool) makeReady(ctx context.Context, c *conn) (Reason, error) {
	if c.socket != nil && !c.passedOn && peerClosed(c.socket) {
		return ReasonPeerClosed, io.EOF
	}
	if c.resetter == nil || c.clean || c.used == 1 {
		c.clean = false
		return 0, nil
	}
	if c.limit == nil {
		c.limit = &lazyTimeout{}
		if cfg := p.settings.Load(); cfg.AcquireTimeout > 0 {
			c.limit.after = min(cfg.PingTimeout, cfg.AcquireTimeout)
		} else {
			c.limit.after = cfg.PingTimeout
		}
	}
	c.limit.Context = ctx
	err := resetSession(c.limit, c.resetter)
	if c.limit.stop() {
		c.limit.Context = context.Background() // so that nothing of the caller is kept alive
	} else {
		c.limit = nil
	}
	if err != nil {
		p.log.resetFailed("ResetSession", err)
	}
	return ReasonResetFailed, err
}
