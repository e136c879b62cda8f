package pool

import (
	"context"
	"fmt"
	"slices"
)

// Outcome is what a borrower knows about a connection that it gives back: any
// of the flags, or Clean.
type Outcome uint8

// What a lease can leave behind.
const (
	// Clean: nothing but an ordinary session.
	Clean Outcome = 0
	// Suspicious: it must be verified before it is lent again.
	Suspicious Outcome = 1 << iota
	// OpenTx: a transaction may be open; it is rolled back.
	OpenTx
	// Broken: it is unusable and must be closed.
	Broken
	// Dead: it is unusable, of a cause that may concern the others too. In a
	// connection's first lease that is as bad as a connect that fails.
	Dead
	// BadConn: the same, but the driver said driver.ErrBadConn, which is no more
	// than a request to take another connection.
	BadConn
	// TimedOut: the server did not answer in time. It is verified before it is
	// lent again, and so are all that proved nothing since this lease began.
	TimedOut
	// RoleDoubt: the server said that it is read-only. Config.CheckRole decides.
	RoleDoubt
)

const unusable = Broken | Dead | BadConn

// Release gives the connection back. It is quick: what needs the server (a
// rollback, Config.ResetSQL, a verification) is done in the background before
// the connection is lent again. A second Release of the same lease does nothing.
func (l Lease) Release(o Outcome) { l.giveBack(o, false) }

// giveBack is Release, or Park by way of the pool's books.
func (l Lease) giveBack(o Outcome, park bool) {
	if l.conn == nil {
		return
	}
	p, c := l.pool, l.conn
	if !c.lease.enter(l.seq) { // so that a forced Shutdown leaves the connection to us
		p.finishRevoked(l)
		return
	}
	if o&unusable == 0 && c.validator != nil && !isValid(c.validator) {
		o |= Broken
	}
	held := p.leaseTimed(c)
	cfg := p.settings.Load()
	work := o&^Clean != 0 || len(cfg.ResetSQL) > 0 || c.stmts.needsSweep(cfg.StmtCache)
	p.mu.Lock()
	if !c.lease.end(l.seq) {
		p.mu.Unlock()
		p.finishRevoked(l)
		return
	}
	c.clean = false
	p.leaseEnded(c)
	p.trackReturned(c)
	p.tell(Event{Kind: EventReleased, Conn: c.id, Took: held})
	p.returned(c, o)
	if o&TimedOut != 0 {
		p.suspect(c.lentAt + 1) // later proofs are of later moments
	}
	switch {
	case o&unusable != 0:
		p.retire(c, ReasonBroken)
		if o&(Dead|BadConn) != 0 {
			p.tell(Event{Kind: EventDied, Conn: c.id})
			p.suspectAll()
		}
		if o&Dead != 0 {
			p.diedEarly(c)
		}
		p.serve()
	case park && !work && p.park(c, cfg):
	case !work:
		p.offer(c)
	case !p.unfit(c, cfg):
		p.cleanUp(c, cfg, o)
	}
	p.mu.Unlock()
}

// finishRevoked closes the connection of a lease that Shutdown took away while its
// holder was busy. Nothing happens if somebody else did, or if the lease was
// simply over.
func (p *Pool) finishRevoked(l Lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !l.conn.lease.endRevoked(l.seq):
	case l.conn.track.reclaimed:
		inner := l.conn.inner // its place was freed long ago
		p.inBackground(func() { _ = closeInner(inner) })
	default:
		p.closeRevoked(l.conn)
	}
}

// returned notes that c was used. It reads the clock only at a connection's first
// return since the keeper's last round; later ones are stamped by the keeper, who
// is therefore to come soon.
func (p *Pool) returned(c *conn, o Outcome) {
	c.order = p.moment.Add(1)
	c.stale = false
	if o&^OpenTx == Clean {
		c.proof = c.order
	}
	if c.stamp == p.tick {
		c.touched = true
	} else {
		c.stamp, c.lastUsed, c.touched = p.tick, p.now(), false
		p.wakeBy(c.lastUsed + freshFor)
	}
}

// unfit retires c, which is in no list, if it must not be lent again.
func (p *Pool) unfit(c *conn, cfg *Config) bool {
	switch {
	case p.closed:
		p.retire(c, ReasonClosed)
	case c.hungUp:
		p.retire(c, ReasonPeerClosed)
	case c.gen != p.gen:
		p.retire(c, ReasonReset)
	case c.expired:
		if c.owed {
			p.lose(c)
		}
		p.retire(c, c.endOf())
	case cfg.MaxConnUses > 0 && c.used >= uint64(cfg.MaxConnUses):
		p.retire(c, ReasonUses)
	case p.live() >= cfg.MaxConns: // c itself is counted nowhere at this moment
		p.retire(c, ReasonLimit)
	default:
		return false
	}
	p.serve()
	return true
}

// offer gives c, which is in no list and ready to be lent, to the longest
// waiting caller, or keeps it idle, or retires it.
func (p *Pool) offer(c *conn) {
	cfg := p.settings.Load()
	if p.unfit(c, cfg) {
		return
	}
	if p.queue.len > 0 && p.suspended == running {
		if (cfg.CheckOnAcquire == CheckAlways || c.proof < p.doubt || c.unproved) && c.canVerify(cfg) {
			p.check(c, cfg, true)
			return
		}
		p.grant(c, true)
		return
	}
	if c.unproved && p.outage.failures > 0 {
		p.check(c, cfg, false) // which ends the outage, or does not
		return
	}
	p.keepIdle(c, cfg)
}

// keepIdle puts c among the idle connections, at the place that its last return
// gives it, so that a verification does not make a cold connection hot. A return
// finds its place at the front. What comes from a verification looks from both
// ends, since many are verified at a time, and come back nearly in their order or
// against it.
func (p *Pool) keepIdle(c *conn, cfg *Config) {
	if p.idle.len >= max(cfg.MaxIdleConns, 0) {
		p.retire(c, ReasonIdleLimit)
		p.dial()
		return
	}
	c.state = idle
	if f := p.idle.front; f == nil || f.of.order <= c.order {
		p.idle.pushFront(&c.link)
		return
	}
	hot, cold := p.idle.front, p.idle.back // c belongs behind the one, and before or behind the other
	for hot.next != nil && hot.next.of.order > c.order && cold.of.order < c.order {
		hot, cold = hot.next, cold.prev
	}
	if cold.of.order >= c.order {
		hot = cold
	}
	p.idle.insertAfter(&c.link, hot)
}

// cleanUp does in the background what a return left to do, then offers c.
func (p *Pool) cleanUp(c *conn, cfg *Config, o Outcome) {
	verify := o&(Suspicious|TimedOut) != 0
	reason := ReasonResetFailed
	if o&^(Suspicious|TimedOut) == 0 && len(cfg.ResetSQL) == 0 {
		reason = ReasonUnhealthy
	}
	p.examine(c, cfg, examination{
		serving: true,
		proves:  verify,
		reason:  reason,
		work: func(ctx context.Context) error {
			c.stmts.trim(cfg.StmtCache)
			c.stmts.sweep()
			if slices.ContainsFunc(cfg.ResetSQL, EndsStmts) {
				c.stmts.closeAll()
			}
			if o&OpenTx != 0 {
				if err := rollback(ctx, c.inner); err != nil {
					return err
				}
			}
			for i, sql := range cfg.ResetSQL {
				c.noticed.says(sql)
				if err := exec(ctx, c.inner, sql); err != nil {
					return fmt.Errorf("ResetSQL statement %d of %d: %w", i+1, len(cfg.ResetSQL), err)
				}
			}
			if o&RoleDoubt != 0 {
				if err := checkRole(ctx, cfg, c.inner); err != nil {
					return err
				}
			}
			if verify {
				return p.verifyInner(ctx, c, cfg, true)
			}
			return nil
		},
		done: func(bool) { p.counters.Resets++ },
	})
}
