package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"
)

// Suspicion: a connection that died says something about the others, which may
// sit behind the same dead link. What has not proved since then that it works is
// verified before it is lent. Moments are compared by Pool.moment, a clock that
// advances with every return and verification and costs nothing to read.

// suspectAll puts every connection under suspicion that proves nothing from now on.
func (p *Pool) suspectAll() {
	p.suspect(p.moment.Add(1))
}

// suspect doubts every connection that has not proved itself since the moment,
// and verifies all idle ones among them at once. Waiters count on as many as they
// are.
func (p *Pool) suspect(since uint64) {
	if p.closed || since <= p.doubt {
		return
	}
	p.doubt = since
	p.collect()
	p.tell(Event{Kind: EventSuspected, Count: p.idle.len})
	cfg := p.settings.Load()
	for n := p.idle.front; n != nil; {
		c := n.of
		n = n.next
		if c.proof < p.doubt && c.canVerify(cfg) {
			p.check(c, cfg, p.serving < p.queue.len)
		}
	}
}

// patience is how long a verification may take before it counts as slow: longer
// where the way to the server is long.
func (p *Pool) patience() time.Duration {
	return max(hedgeAfter, 4*p.pingTime)
}

// provedAlive notes a successful verification that took so long.
func (p *Pool) provedAlive(c *conn, took time.Duration) {
	c.proof = p.moment.Add(1)
	if p.pingTime == 0 {
		p.pingTime = took
	}
	p.pingTime += (took - p.pingTime) / 8 // the smoothing of TCP's round-trip time (RFC 6298)
}

// sacrifice gives up slow verifications, so that callers whom only a new
// connection can serve get the room for one.
func (p *Pool) sacrifice(n int) {
	for _, c := range p.all {
		if n <= 0 {
			return
		}
		if c.slow && c.state == verifying && c.giveUp != nil {
			c.giveUp()
			c.giveUp = nil
			n--
		}
	}
}

// lost is an idle connection that died and is to be replaced.
type lost struct{ lastUsed time.Duration }

// lose notes that c died while nobody used it, so that another takes its place,
// which is to idle no longer than c would have.
func (p *Pool) lose(c *conn) {
	cfg := p.settings.Load()
	if len(p.lost) < min(cfg.MaxConns, max(cfg.MaxIdleConns, 0)) {
		p.lost = append(p.lost, lost{c.lastUsed})
	}
}

// replaces lets a new connection, which nobody waits for, take a lost one's place.
func (p *Pool) replaces(c *conn) {
	last := len(p.lost) - 1
	if last < 0 {
		return
	}
	if p.queue.len == 0 {
		c.lastUsed = p.lost[last].lastUsed
	}
	p.lost = p.lost[:last]
}

// forgetLost drops the lost connections that would have gone for their idleness
// by now, and those beyond the limits.
func (p *Pool) forgetLost(now time.Duration, cfg *Config) {
	kept := p.lost[:0]
	for _, l := range p.lost {
		if (cfg.MaxConnIdleTime <= 0 || now-l.lastUsed < cfg.MaxConnIdleTime) && len(kept) < min(cfg.MaxConns, max(cfg.MaxIdleConns, 0)) {
			kept = append(kept, l)
		}
	}
	p.lost = kept
}

// errDemoted is a confirmed role failure.
var errDemoted = errors.New("the server has become read-only")

// The intervals between two renewals of the pool because of a server's role. A
// pool that is given nothing but read-only servers must not dial for ever.
const (
	firstDemotion = time.Second
	lastDemotion  = time.Minute
)

// checkRole asks whether c's server was demoted.
func checkRole(ctx context.Context, cfg *Config, inner driver.Conn) (err error) {
	if cfg.CheckRole == nil {
		return nil
	}
	defer catch("CheckRole", &err)
	demoted, err := cfg.CheckRole(ctx, inner)
	if err == nil && demoted {
		err = errDemoted
	}
	return err
}

// demoted renews the pool, since the server that its connections lead to does not
// accept writes any more.
func (p *Pool) demoted() {
	now := p.now()
	if p.closed || now < p.demoteAt {
		return
	}
	if now > p.demoteAt+lastDemotion {
		p.demotions = 0
	}
	p.demoteAt = now + min(firstDemotion<<min(p.demotions, 16), lastDemotion)
	p.demotions++
	p.tell(Event{Kind: EventDemoted})
	p.renew(ReasonDemoted)
}
