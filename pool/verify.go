package pool

import (
	"context"
	"errors"
	"time"
)

const (
	// freshFor is how long a connection that was used or verified counts as
	// alive under CheckAuto. pgx's own rule is the same second; HikariCP's is half.
	freshFor = time.Second
	// hedgeAfter is how long waiters rely on a verification. Past it they get
	// another connection verified, or a new one, beside it.
	hedgeAfter = 250 * time.Millisecond
	// abandonAfter is how much longer than its context a driver call may take
	// before the pool goes on without it.
	abandonAfter = time.Second
)

// errHung is why a connection was given up whose driver did not return.
var errHung = errors.New("the driver did not return after its context had ended")

// examination is work on a connection between two borrowers.
type examination struct {
	serving bool                        // waiters may count on it
	checked bool                        // it is a verification, and success means that it may be lent
	proves  bool                        // success proves that it works
	reason  Reason                      // for retiring it on failure
	work    func(context.Context) error // driver calls; the connection is its own
	done    func(ok bool)               // under mu, once, with the result
}

// check verifies c, on behalf of a waiter or of the keeper.
func (p *Pool) check(c *conn, cfg *Config, serving bool) { p.checkThen(c, cfg, serving, nil) }

// checkThen is check for somebody who wants to know the result, and is told it under
// mu.
func (p *Pool) checkThen(c *conn, cfg *Config, serving bool, then func(ok bool)) {
	if c.link.in != nil {
		p.idle.remove(&c.link)
	}
	p.examine(c, cfg, examination{
		serving: serving,
		checked: true,
		proves:  true,
		reason:  ReasonUnhealthy,
		work: func(ctx context.Context) error {
			c.stmts.trim(cfg.StmtCache)
			c.stmts.sweep()
			return p.verifyInner(ctx, c, cfg, serving && c.used > 0)
		},
		done: func(ok bool) {
			p.counters.Verifications++
			if !ok {
				p.counters.VerifyErrors++
			}
			if then != nil {
				then(ok)
			}
		},
	})
}

// examining is an examination under way. All but the first group is guarded by
// Pool.mu.
type examining struct {
	examination
	pool  *Pool
	conn  *conn
	began time.Duration
	died  bool // of a cause that may concern the others; set before its end

	settled bool
	slow    bool // waiters do not count on it any more
}

// examine runs x in the background within Config.PingTimeout and offers c, or
// retires it. c is in no list. A call that outlives its context is given up: its
// place is freed, and the connection is closed when the driver returns, since
// no two driver calls on one connection may overlap.
func (p *Pool) examine(c *conn, cfg *Config, x examination) {
	c.state = verifying
	if x.checked {
		p.tell(Event{Kind: EventVerifying, Conn: c.id})
	}
	p.verifyingN++
	if x.serving {
		p.serving++
	}
	e := &examining{examination: x, pool: p, conn: c, began: p.now()}
	ctx, cancel := context.WithTimeout(p.ctx, cfg.PingTimeout)
	c.giveUp = func() {
		cancel()
		if c.socket != nil {
			p.cutOff(c)
		}
	}
	patience := p.patience()
	p.work.Go(func() {
		defer cancel()
		defer time.AfterFunc(patience, func() { p.locked(e.tooSlow) }).Stop()
		defer time.AfterFunc(2*patience, func() { p.locked(e.offerUp) }).Stop()
		defer onceOverdue(ctx, func() {
			p.locked(e.abandon)
			p.log.examined(x.reason, errHung)
		})()
		err := x.work(ctx)
		if err != nil && p.ctx.Err() == nil {
			p.log.examined(x.reason, err)
		}
		e.died = err != nil && p.Classify(err).doubtful()
		if err != nil && err != errDemoted && cfg.Redact != nil {
			err = redactSafely(cfg.Redact, err) // it may become the last connect error
		}
		p.locked(func() { e.ended(err) })
	})
}

// onceOverdue calls abandon if the returned function has not been called by
// abandonAfter from the end of ctx, be that its timeout or the end of the pool.
func onceOverdue(ctx context.Context, abandon func()) (done func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(abandonAfter)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
			abandon()
		}
	})
	return func() {
		stop()
		close(ended)
	}
}

// stopServing takes back that waiters may count on it.
func (e *examining) stopServing() {
	if e.serving && !e.slow {
		e.pool.serving--
	}
	e.slow = true
}

// tooSlow has waiters served by others. What does not answer may be the first
// sign that the way to the server is dead.
func (e *examining) tooSlow() {
	if e.settled {
		return
	}
	e.stopServing()
	if e.checked {
		e.pool.suspectAll()
	}
	e.pool.serve()
}

// offerUp lets the connection be given up for callers who need its room.
func (e *examining) offerUp() {
	if e.settled {
		return
	}
	e.conn.slow = true
	e.pool.serve()
}

// settle ends the examination in the pool's books.
func (e *examining) settle(ok bool) {
	p := e.pool
	e.settled = true
	if e.checked {
		took := p.now() - e.began
		p.seen.verify.record(took, 1)
		if ok {
			p.tell(Event{Kind: EventVerified, Conn: e.conn.id, Took: took})
		}
	}
	e.stopServing()
	e.conn.slow, e.conn.giveUp = false, nil
	p.verifyingN--
	e.done(ok)
	if p.overdue {
		p.wakeBy(0)
	}
}

// abandon gives up a connection whose driver hangs.
func (e *examining) abandon() {
	if e.settled {
		return
	}
	e.settle(false)
	e.failed(errHung)
	e.pool.giveUp(e.conn, e.reason)
}

// ended takes the result of the driver calls.
func (e *examining) ended(err error) {
	p, c := e.pool, e.conn
	switch {
	case e.settled:
		p.closeLate(c.inner)
	case err == nil:
		e.settle(true)
		if c.unproved {
			p.proved(c)
			p.outageEnded()
		}
		if e.proves {
			p.provedAlive(c, p.now()-e.began)
		}
		p.examined(c, e.checked)
		p.dial() // an outage may be over
	case errors.Is(err, errDemoted):
		e.settle(false)
		p.retire(c, ReasonDemoted)
		p.demoted()
		p.serve()
	default:
		e.settle(false)
		e.failed(err)
		p.retire(c, e.reason)
		p.serve()
	}
}

// failed draws the conclusions from a failure: an idle connection is to be
// replaced, and the others may be as bad.
func (e *examining) failed(err error) {
	p := e.pool
	kind := ErrorReset
	if e.checked {
		kind = ErrorVerify
	}
	p.failed(kind, err)
	if p.closed {
		return
	}
	if e.checked && e.conn.unproved { // a connect that led to nothing
		p.lastErr = &ConnectError{Pool: p.name, Step: "verifying a new connection", Err: err}
		p.counters.ConnectErrors++
		p.outage.early = true
		p.probeFailed(p.lastErr, false)
		return
	}
	if e.checked && !e.serving {
		p.lose(e.conn)
	}
	if e.checked && (e.died || err == errHung) {
		p.tell(Event{Kind: EventDied, Conn: e.conn.id, Err: err})
		p.suspectAll()
	}
}

// proved notes that c, a new connection, has been verified or is gone.
func (p *Pool) proved(c *conn) {
	if c.unproved {
		c.unproved = false
		p.proving--
	}
}

// examined makes c available after a successful examination.
func (p *Pool) examined(c *conn, checked bool) {
	if !checked {
		p.offer(c)
		return
	}
	c.verified = p.now()
	c.stale = false
	cfg := p.settings.Load()
	if c.hungUp {
		p.lose(c) // its peer answered and closed right after
	}
	if p.unfit(c, cfg) {
		return
	}
	if p.queue.len > 0 && p.suspended == running {
		p.grant(c, true)
		return
	}
	p.keepIdle(c, cfg)
	p.wakeBy(p.due(c, cfg, c.verified))
}

// locked runs f under mu.
func (p *Pool) locked(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}
