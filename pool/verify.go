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
	checked bool                        // success means that it has been verified
	reason  Reason                      // for retiring it on failure
	work    func(context.Context) error // driver calls; the connection is its own
	done    func(ok bool)               // under mu, once, with the result
}

// check verifies c, on behalf of a waiter or of the keeper.
func (p *Pool) check(c *conn, cfg *Config, serving bool) {
	if c.link.in != nil {
		p.idle.remove(&c.link)
	}
	p.examine(c, cfg, examination{
		serving: serving,
		checked: true,
		reason:  ReasonUnhealthy,
		work: func(ctx context.Context) error {
			c.stmts.sweep()
			return p.verifyInner(ctx, c, cfg, serving && c.used > 0)
		},
		done: func(ok bool) {
			p.counters.Verifications++
			if !ok {
				p.counters.VerifyErrors++
			}
		},
	})
}

// examine runs x in the background within Config.PingTimeout and offers c, or
// retires it. c is in no list. A call that outlives its context is given up: its
// place is freed, and the connection is closed when the driver returns, since
// no two driver calls on one connection may overlap.
func (p *Pool) examine(c *conn, cfg *Config, x examination) {
	c.state = verifying
	p.verifyingN++
	if x.serving {
		p.serving++
	}
	settled, slow := false, false // guarded by mu
	stopServing := func() {
		if x.serving && !slow {
			slow = true
			p.serving--
		}
	}
	settle := func(err error) {
		settled = true
		stopServing()
		p.verifyingN--
		x.done(err == nil)
		if p.overdue {
			p.wakeBy(0)
		}
	}
	p.work.Go(func() {
		ctx, cancel := context.WithTimeout(p.ctx, cfg.PingTimeout)
		defer cancel()
		hedge := time.AfterFunc(hedgeAfter, func() { p.locked(func() { stopServing(); p.serve() }) })
		defer hedge.Stop()
		watchdog := time.AfterFunc(cfg.PingTimeout+abandonAfter, func() {
			p.locked(func() {
				if !settled {
					settle(errHung)
					p.giveUp(c, x.reason)
				}
			})
			p.log.examined(x.reason, errHung)
		})
		defer watchdog.Stop()
		err := x.work(ctx)
		if err != nil && p.ctx.Err() == nil {
			p.log.examined(x.reason, err)
		}
		p.locked(func() {
			switch {
			case settled:
				p.closeLate(c.inner)
			case err != nil:
				settle(err)
				p.retire(c, x.reason)
				p.serve()
			default:
				settle(nil)
				p.examined(c, x.checked)
			}
		})
	})
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
	if p.unfit(c, cfg) {
		return
	}
	if p.queue.len > 0 {
		p.grant(c)
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
