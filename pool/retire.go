package pool

import (
	"database/sql/driver"
	"time"
)

// closeTimeout is how long a connection that is being closed keeps its place:
// usually the server's side is gone by then, and a driver whose Close hangs must
// not cost the pool a slot for good.
const closeTimeout = 5 * time.Second

// retireIdle retires a connection that is in the idle list.
func (p *Pool) retireIdle(c *conn, reason Reason) {
	p.idle.remove(&c.link)
	p.retire(c, reason)
}

// retire ends a connection that is in no list and no driver call, and closes it
// in the background. It keeps its place in MaxConns until it is closed, or for
// closeTimeout.
func (p *Pool) retire(c *conn, reason Reason) {
	p.forget(c, reason)
	p.closingN++
	p.closeInBackground(c, reason)
}

// giveUp retires a connection whose driver hangs in a call: it counts as closing
// until closeTimeout, and it will be closed when the call returns.
func (p *Pool) giveUp(c *conn, reason Reason) {
	p.forget(c, reason)
	p.drainGone(c)
	p.closingN++
	if c.socket != nil {
		p.cutOff(c)
	}
	// The timer owns nothing that Shutdown would have to wait for.
	time.AfterFunc(closeTimeout, func() { p.locked(p.closedOne) })
	p.serve()
}

// forget takes c out of the pool's books.
func (p *Pool) forget(c *conn, reason Reason) {
	c.state = closing
	p.proved(c)
	p.disown(c)
	if c.replace {
		c.replace = false
		p.replacing--
	}
	last := len(p.all) - 1
	p.all[c.at] = p.all[last]
	p.all[c.at].at = c.at
	p.all[last] = nil
	p.all = p.all[:last]
	p.counters.Retired[reason]++
	p.tell(Event{Kind: EventRetired, Conn: c.id, Reason: reason, Took: p.now() - c.born})
}

// closeInBackground closes c, which nobody else uses any more: its statements
// first, as database/sql does, unless the connection is past talking to.
func (p *Pool) closeInBackground(c *conn, reason Reason) {
	p.work.Go(func() {
		freed := false // guarded by mu
		free := func() {
			if !freed {
				freed = true
				p.drainGone(c)
				p.closedOne()
			}
		}
		timer := time.AfterFunc(closeTimeout, func() {
			if c.wire != nil {
				_ = c.wire.Close() // which ends the call that takes so long
			}
			p.locked(free)
		})
		defer timer.Stop()
		p.log.retired(reason)
		if c.watcher != nil {
			c.watcher.remove(c)
		}
		if reason.healthy() {
			c.stmts.closeAll()
		}
		if err := closeInner(c.inner); err != nil {
			p.log.closeFailed(err)
			p.locked(func() { p.failed(ErrorClose, err) })
		}
		p.locked(free)
	})
}

// healthy tells whether a connection retired for r still answers, so that
// closing its statements one by one cannot take for ever.
func (r Reason) healthy() bool {
	switch r {
	case ReasonBroken, ReasonPeerClosed, ReasonUnhealthy, ReasonResetFailed, ReasonForced, ReasonReclaimed:
		return false
	}
	return true
}

// closedOne frees the place of a connection that has been closed.
func (p *Pool) closedOne() {
	p.closingN--
	if p.closed {
		p.finish()
		return
	}
	p.serve()
}

// inBackground runs f, at the bidding of a holder who may come after the end of the
// pool. Then nobody waits for f. mu must be held.
func (p *Pool) inBackground(f func()) {
	if p.closed {
		go f()
		return
	}
	p.work.Go(f)
}

// closeLate closes a connection that a driver delivered or let go of after the
// pool had given it up. Its place was freed long ago.
func (p *Pool) closeLate(inner driver.Conn) {
	p.work.Go(func() { _ = closeInner(inner) }) // nobody is left to tell
}
