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

// Acquire lends a connection: an idle one if there is one, else the first that
// comes back or is connected, in the order of asking. It ends by ctx or by
// Config.AcquireTimeout, whichever comes first, with an *AcquireError, or at
// once where ctx has already ended. Where nothing could be connected and nothing
// can come back either, the connect's error is returned as it is.
func (p *Pool) Acquire(ctx context.Context) (Lease, error) { return p.Reacquire(ctx, Lease{}) }

// Reacquire is Acquire with a preference for the connection of an earlier lease,
// if that is idle and as good as any other. Under FIFO order it has no effect.
func (p *Pool) Reacquire(ctx context.Context, last Lease) (Lease, error) {
	if err := p.Renew(ctx, &last); err != nil {
		return Lease{}, err
	}
	return last, nil
}

// Renew is Reacquire in place, which is faster: l becomes the new lease. With an
// error it is over, as it was.
func (p *Pool) Renew(ctx context.Context, l *Lease) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c := l.conn; l.pool == p && c.lease.unpark(l.seq+1) { // nobody has asked for it since it was parked
		l.seq++
		c.used++
		if c.itsTurn() { // where all leases are timed, nothing is parked
			p.timeLease(c)
		}
		c.lentAt, c.passedOn = p.moment.Load(), false
		reason, err := p.makeReady(ctx, c)
		if err == nil {
			return nil
		}
		p.reject(c, l.seq, reason, p.Classify(err) == Discard)
		if ctx.Err() != nil {
			return p.gaveUp(ctx, nil)
		}
	}
	next, err := p.acquire(ctx, preference{conn: l.conn})
	if err == nil {
		*l = next
	}
	return err
}

// acquire lends what take finds, as soon as it is ready.
func (p *Pool) acquire(ctx context.Context, prefer preference) (Lease, error) {
	var w *waiter
	for {
		c, seq, err := p.take(ctx, prefer, &w)
		if err != nil {
			p.discard(w)
			p.log.refused(err)
			return Lease{}, err
		}
		reason, err := p.makeReady(ctx, c)
		if err == nil {
			p.tell(Event{Kind: EventAcquired, Conn: c.id, Took: w.waited()})
			p.discard(w)
			if p.tracking.Load() {
				p.trackLease(c)
			}
			return Lease{p, c, seq}, nil
		}
		p.reject(c, seq, reason, p.Classify(err) == Discard)
		if ctx.Err() != nil {
			err := p.gaveUp(ctx, w)
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
		p.leaseEnded(c)
		p.counters.Acquires--
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
func (p *Pool) take(ctx context.Context, prefer preference, again **waiter) (*conn, uint64, error) {
	p.mu.Lock()
	cfg := p.settings.Load()
	if err := p.turnedAway(*again); err != nil {
		p.mu.Unlock()
		return nil, 0, err
	}
	if c, seq := p.lendIdle(prefer, cfg); c != nil {
		p.mu.Unlock()
		return c, seq, nil
	}
	w := *again
	if w == nil {
		if p.refuses(cfg) {
			err := p.exhausted(ErrExhausted)
			p.mu.Unlock()
			return nil, 0, err
		}
		w = p.newWaiter(ctx, cfg)
		*again = w
		w.key = prefer.key
		p.counters.Waits++
		p.queue.pushBack(&w.link)
		p.seen.peakWaiting.reach(p.queue.len, p)
		p.tell(Event{Kind: EventWaiting, Count: p.queue.len})
	} else {
		if next := p.queue.front; next != nil && next.of.deadline < w.deadline {
			p.mixed = true // AcquireTimeout was lowered meanwhile
		}
		p.queue.pushFront(&w.link)
	}
	p.collect() // after it is in the queue: see park.go
	p.serve()
	if w.link.in != nil && w.deadline != 0 {
		p.wakeBy(w.deadline)
	}
	p.mu.Unlock()
	return p.await(ctx, w)
}

// turnedAway is the error for a caller whom the pool serves neither now nor later;
// again is the waiter of one who comes once more.
func (p *Pool) turnedAway(again *waiter) error {
	switch {
	case p.closed:
		err := p.acquireError(ErrClosed, 0, nil)
		if again != nil {
			p.tell(Event{Kind: EventRefused, Took: again.counted, Err: err})
		}
		return err
	case p.suspended == refusing:
		return p.exhausted(ErrSuspended)
	}
	return nil
}

// exhausted accounts for a caller who is refused at once.
func (p *Pool) exhausted(reason error) error {
	p.counters.Exhausted++
	err := p.acquireError(reason, 0, nil)
	p.failed(ErrorAcquire, err)
	p.tell(Event{Kind: EventExhausted, Err: err})
	return err
}

// lendIdle lends an idle connection, if there is one and nobody waits for it.
func (p *Pool) lendIdle(prefer preference, cfg *Config) (*conn, uint64) {
	if p.queue.len > 0 || p.suspended != running {
		return nil, 0
	}
	if prefer.key != nil {
		prefer.conn = p.ownOf(prefer.key, cfg)
	}
	c := p.choose(cfg, prefer)
	if c == nil && len(p.parked) > 0 {
		p.collect()
		c = p.choose(cfg, prefer)
	}
	if c == nil {
		return nil, 0
	}
	seq := p.lend(c, false)
	if prefer.key != nil {
		p.served(c, prefer.key, cfg)
	}
	if cfg.MinIdleConns > 0 || p.wishes > 0 {
		p.dial()
	}
	return c, seq
}

// choose takes the idle connection to be lent off the list, nil if there is none
// that can be lent as it is.
func (p *Pool) choose(cfg *Config, prefer preference) *conn {
	c := p.nextIdle(cfg)
	if c != nil && p.mustCheck(c, cfg) {
		c = p.nextSound(cfg)
	}
	if c == nil {
		return nil
	}
	if own := prefer.conn; own != nil && own != c && (cfg.Order == LIFO || prefer.key != nil) &&
		own.link.in == &p.idle && !p.mustCheck(own, cfg) && !own.replace {
		c = own
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
	if c.proof < p.doubt || c.unproved {
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
	c.lentAt, c.passedOn = p.moment.Load(), passedOn
	c.used++
	p.leasedN++
	p.counters.Acquires++
	c.booked = seq
	p.busiest()
	if c.itsTurn() || p.timesAll() {
		p.timeLease(c)
	}
	return seq
}

// resetWithin bounds ResetSession between two borrowers.
func (p *Pool) resetWithin() time.Duration {
	cfg := p.settings.Load()
	if cfg.AcquireTimeout > 0 {
		return min(cfg.PingTimeout, cfg.AcquireTimeout)
	}
	return cfg.PingTimeout
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
		c.limit = &lazyTimeout{after: p.resetWithin}
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
