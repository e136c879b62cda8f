package pool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// The backoff between connects that nobody would notice the lack of.
const (
	firstBackoff = 10 * time.Millisecond
	lastBackoff  = 5 * time.Second
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
	standing := p.idle.len + p.leasedN + p.verifyingN
	return max(
		min(p.queue.len-p.serving, usable),
		cfg.MinConns-standing,
		cfg.MinIdleConns-p.idle.len-p.verifyingN+min(p.queue.len, p.connecting),
		p.replacing,
		p.initial,
	)
}

// dial begins the connects that are wanted, as far as the limits allow.
func (p *Pool) dial() {
	if p.closed {
		return
	}
	cfg := p.settings.Load()
	n := min(p.wanted(cfg), cfg.MaxConnecting) - p.connecting
	n = min(n, cfg.MaxConns-p.total())
	if n <= 0 {
		return
	}
	if p.failures > 0 && p.now() < p.retryAt {
		// After a failure only a caller who has nothing else to wait for is
		// worth a dial at once; the keeper will try for all others.
		if p.queue.len == 0 || p.live() > 0 {
			p.wakeBy(p.retryAt)
			return
		}
		n = 1
	}
	waiting, gen := p.queue.front, p.gen
	for range n {
		values := context.Background()
		if waiting != nil {
			values, waiting = waiting.of.values, waiting.next
		}
		p.connecting++
		p.work.Go(func() { p.connect(values, cfg, gen) })
	}
}

// dialContext is a connect's context: ended by the pool, never by the caller on
// whose behalf it was begun, but with that caller's values, for tracing drivers.
type dialContext struct {
	context.Context
	values context.Context
}

// Value returns the caller's value for key.
func (d dialContext) Value(key any) any {
	if v := d.Context.Value(key); v != nil {
		return v
	}
	return d.values.Value(key)
}

// connect makes one connection and delivers it. A connect that outlives its
// context is given up, so that a driver that hangs never keeps a slot; what it
// returns later is closed.
func (p *Pool) connect(values context.Context, cfg *Config, gen uint64) {
	ctx, cancel := context.WithTimeout(p.ctx, cfg.ConnectTimeout)
	defer cancel()
	settled := false // guarded by mu
	watchdog := time.AfterFunc(cfg.ConnectTimeout+abandonAfter, func() {
		err := &ConnectError{Pool: p.name, Step: fmt.Sprintf("connect timed out after %v", cfg.ConnectTimeout), Err: errHung}
		p.locked(func() {
			if !settled {
				settled = true
				p.connectFailed(err)
			}
		})
		p.log.connectFailed(err)
	})
	defer watchdog.Stop()

	c, err := p.establish(dialContext{ctx, values}, cfg)
	if err != nil && cfg.Redact != nil {
		err = cfg.Redact(err)
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
		p.connectFailed(err)
	default:
		settled = true
		c.gen = gen
		p.connected(c)
	}
}

// establish connects and initialises the session; on failure nothing is left open.
func (p *Pool) establish(ctx context.Context, cfg *Config) (*conn, error) {
	inner, err := connect(ctx, p.connector)
	if err != nil {
		return nil, err
	}
	if err := p.initialise(ctx, inner, cfg); err != nil {
		_ = closeInner(inner) // what went wrong before is the news
		return nil, err
	}
	return newConn(inner, cfg), nil
}

// connected takes a new connection into the pool.
func (p *Pool) connected(c *conn) {
	cfg := p.settings.Load()
	p.connecting--
	p.initial = max(p.initial-1, 0)
	p.failures, p.lastErr = 0, nil
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
	p.returns++
	c.order = p.returns
	c.at = len(p.all)
	p.all = append(p.all, c)
	p.offer(c)
	if p.replacing > 0 {
		p.retireReplaced()
	}
	p.serve()
	p.wakeBy(p.due(c, cfg, now))
}

// connectFailed accounts for a connect that failed, and answers the callers who
// have nothing left to wait for: no connection is out that could come back.
func (p *Pool) connectFailed(err error) {
	p.connecting--
	p.initial = max(p.initial-1, 0)
	p.counters.ConnectErrors++
	if p.closed {
		p.finish()
		return
	}
	p.lastErr = err
	p.failures++
	backoff := min(firstBackoff<<min(p.failures-1, 16), lastBackoff)
	p.retryAt = p.now() + backoff/2 + rand.N(backoff/2+1)
	if p.live() == 0 {
		for p.queue.len > 0 {
			p.counters.Failed++
			p.refuse(p.queue.front.of, err)
		}
	}
	p.dial()
	p.wakeBy(p.retryAt)
}
