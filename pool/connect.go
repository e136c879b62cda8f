package pool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// wanted is how many connects should be under way for waiters and floors.
//
// One quarter of Config.MaxConnecting is not used for waiters while connections
// are out: those will come back and serve some of them, and a burst should not
// take every slot from the floors.
func (p *Pool) wanted(cfg *Config) int {
	usable := cfg.MaxConnecting
	if p.leasedN > 0 {
		usable -= cfg.MaxConnecting / 4
	}
	waiting := p.queue.len
	if p.suspended != running {
		waiting = 0
	}
	return max(
		min(waiting-p.serving, usable),
		cfg.MinConns-p.standing(),
		cfg.MinIdleConns-p.idle.len-p.verifyingN+min(p.queue.len, p.connecting),
		p.replacing,
		p.initial,
		p.wishes,
		len(p.lost),
	)
}

// dial begins the connects that are wanted, as far as the limits allow. In an
// outage that is one at a time, when the prober's time has come.
func (p *Pool) dial() {
	if p.closed {
		return
	}
	cfg := p.settings.Load()
	wanted := p.wanted(cfg)
	if p.outage.failures > 0 {
		if !p.outage.permanent {
			wanted = max(wanted, 1) // so that it is known when it ends
		}
		if wanted <= 0 || p.connecting+p.proving > 0 {
			return
		}
		// Without a grace, a caller with nothing else to hope for asks the server.
		forced := cfg.OutageGrace <= 0 && !p.outage.permanent && p.queue.len > 0 && p.standing() == 0
		if at := p.outage.probeAt(p.queue.len > 0); !forced && p.now() < at {
			p.wakeBy(at)
			return
		}
		wanted = 1
	}
	n := min(wanted, cfg.MaxConnecting) - p.connecting
	room := cfg.MaxConns - p.total()
	if room < n && p.queue.len > p.serving {
		p.sacrifice(n - room)
	}
	waiting, gen, era := p.queue.front, p.gen, p.era
	for range min(n, room) {
		values := context.Background()
		if waiting != nil {
			values, waiting = waiting.of.values, waiting.next
		}
		p.connecting++
		p.seen.peakTotal.reach(p.total(), p)
		p.tell(Event{Kind: EventConnecting})
		p.work.Go(func() { p.connect(values, cfg, gen, era) })
	}
}

// dialContext is a connect's context: ended by the pool, never by the caller on
// whose behalf it was begun, but with that caller's values, for tracing drivers.
type dialContext struct {
	context.Context
	values  context.Context
	dialled *socketNote
}

// Value returns the caller's value for key.
func (d dialContext) Value(key any) any {
	if _, ok := key.(socketKey); ok {
		return d.dialled
	}
	if v := d.Context.Value(key); v != nil {
		return v
	}
	return d.values.Value(key)
}

// connect makes one connection and delivers it. A connect that outlives its
// context is given up, so that a driver that hangs never keeps a slot; what it
// returns later is closed.
func (p *Pool) connect(values context.Context, cfg *Config, gen, era uint64) {
	ctx, cancel := context.WithTimeout(p.ctx, cfg.ConnectTimeout)
	defer cancel()
	began := p.now()
	settled := false // guarded by mu
	defer onceOverdue(ctx, func() {
		err := &ConnectError{Pool: p.name, Step: fmt.Sprintf("connect timed out after %v", cfg.ConnectTimeout), Err: errHung}
		p.locked(func() {
			if !settled {
				settled = true
				p.dialled(era, nil)
				p.connectFailed(err, false, p.now()-began)
			}
		})
		p.log.connectFailed(err)
	})()

	c, err := p.establish(dialContext{ctx, values, &socketNote{}}, cfg)
	permanent := err != nil && ctx.Err() == nil && p.permanentError(err)
	if err != nil && cfg.Redact != nil {
		err = redactSafely(cfg.Redact, err)
	}
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		err = &ConnectError{Pool: p.name, Step: fmt.Sprintf("connect timed out after %v", cfg.ConnectTimeout), Err: err}
	}
	if err != nil && p.ctx.Err() == nil {
		p.log.connectFailed(err)
	}
	if err == nil {
		p.log.connected()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case settled && c != nil:
		p.closeLate(c.inner)
	case settled:
	case err != nil:
		settled = true
		p.dialled(era, nil)
		p.connectFailed(err, permanent, p.now()-began)
	default:
		settled = true
		c.gen = gen
		p.dialled(era, c)
		p.connected(c, p.now()-began)
	}
}

// establish connects and initialises the session; on failure nothing is left open.
func (p *Pool) establish(ctx dialContext, cfg *Config) (*conn, error) {
	connector, err := beforeConnect(ctx, cfg, p.connector)
	if err != nil {
		return nil, &ConnectError{Pool: p.name, Step: "before connecting", Err: err}
	}
	inner, err := connect(ctx, connector)
	if err != nil {
		return nil, err
	}
	heard, err := p.hear(inner, cfg)
	if err == nil {
		err = p.initialise(ctx, inner, cfg, heard)
	}
	var c *conn
	if err == nil {
		c, err = newConn(inner, cfg, ctx.dialled)
	}
	if err != nil {
		_ = closeInner(inner) // what went wrong before is the news
		return nil, err
	}
	c.noticed = heard
	p.watch(c)
	return c, nil
}

// connected takes a new connection into the pool.
func (p *Pool) connected(c *conn, took time.Duration) {
	cfg := p.settings.Load()
	p.lastConn++
	c.id = p.lastConn
	c.noticed.entered(c.id)
	p.seen.connect.record(took, 1)
	p.tell(Event{Kind: EventConnected, Conn: c.id, Took: took})
	p.connecting--
	p.initial = max(p.initial-1, 0)
	p.wishes = max(p.wishes-1, 0)
	// Where new connections have died at once, a connect proves little: a proxy may
	// let clients in and have no server for them.
	c.unproved = (cfg.CheckOnAcquire == CheckAlways || p.outage.early) && c.canVerify(cfg)
	if c.unproved {
		p.proving++
	} else {
		p.outageEnded()
	}
	p.counters.Connects++
	now := p.now()
	c.born, c.lastUsed, c.verified = now, now, now
	c.stamp = p.tick - 1 // so that its first return reads the clock
	if cfg.MaxConnLifetime > 0 {
		c.expires = now + cfg.MaxConnLifetime
		if cfg.MaxConnLifetimeJitter > 0 {
			c.expires += rand.N(cfg.MaxConnLifetimeJitter + 1)
		}
	}
	c.order = p.moment.Add(1)
	c.proof = c.order
	p.replaces(c)
	c.at = len(p.all)
	p.all = append(p.all, c)
	p.offer(c)
	if p.replacing > 0 && !c.replace {
		p.retireReplaced()
	}
	p.serve()
	p.wakeBy(p.due(c, cfg, now))
}

// connectFailed accounts for a connect that failed.
func (p *Pool) connectFailed(err error, permanent bool, took time.Duration) {
	p.seen.connect.record(took, 1)
	p.connecting--
	p.initial = max(p.initial-1, 0)
	p.wishes = 0 // whoever still wants one says so again
	p.counters.ConnectErrors++
	if p.closed {
		p.finish()
		return
	}
	p.lastErr = err
	p.failed(ErrorConnect, err)
	p.tell(Event{Kind: EventConnectFailed, Took: took, Err: err})
	now := p.now()
	p.probeFailed(err, permanent)
	p.answerHopeless(now) // with this error, and not with the next probe's
	p.serve()
}
