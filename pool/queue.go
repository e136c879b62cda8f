package pool

import (
	"context"
	"errors"
	"time"
)

// This file is the queue of callers who wait: first in, first out.

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
	key      any     // affinity, or nil
	next     *waiter // in the free list
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
	p.seen.wait.record(w.counted, 1)
	w.conn, w.values, w.err, w.key = nil, nil, nil, nil
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

// gaveUp accounts for an acquire that its caller's context ended while a connection
// was made ready for it. w is nil where it had not waited.
func (p *Pool) gaveUp(ctx context.Context, w *waiter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waitEnded(ctx, w)
}

// waitEnded accounts for an acquire that the caller's context ended.
func (p *Pool) waitEnded(ctx context.Context, w *waiter) error {
	var waited time.Duration
	if w != nil {
		waited = p.waited(w)
	}
	if ctx.Err() == context.DeadlineExceeded {
		p.counters.Timeouts++
		err := p.acquireError(ErrAcquireTimeout, waited, ctx.Err())
		p.failed(ErrorAcquire, err)
		p.tell(Event{Kind: EventTimedOut, Took: waited, Err: err})
		return err
	}
	p.counters.Canceled++
	p.tell(Event{Kind: EventCanceled, Took: waited})
	return p.acquireError(nil, waited, ctx.Err())
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
		p.leaseEnded(c)
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
		Idle: p.idle.len, Waiting: p.queue.len, Context: ctxErr, Connect: p.lastErr, Suspended: p.suspended != running}
}

// grant gives c, which is in no list, to the longest waiting caller.
func (p *Pool) grant(c *conn, passedOn bool) {
	w := p.queue.front.of
	p.queue.remove(&w.link)
	w.conn, w.seq, w.err = c, p.lend(c, passedOn), nil
	if w.key != nil {
		p.served(c, w.key, p.settings.Load())
	}
	p.waited(w)
	w.ready <- struct{}{}
}

// waited returns how long w has waited when it was granted something; nil has not.
func (w *waiter) waited() time.Duration {
	if w == nil {
		return 0
	}
	return w.counted
}

// waited adds the time that w has waited since it was last counted, and returns
// all of it.
func (p *Pool) waited(w *waiter) time.Duration {
	waited := p.now() - w.since
	p.counters.WaitTime += waited - w.counted
	w.counted = waited
	return waited
}

// refuse ends the wait of w with err.
func (p *Pool) refuse(w *waiter, err error) {
	p.queue.remove(&w.link)
	w.conn, w.err = nil, err
	waited := p.waited(w)
	p.failed(ErrorAcquire, err)
	kind := EventRefused
	switch {
	case errors.Is(err, ErrAcquireTimeout):
		kind = EventTimedOut
	case errors.Is(err, ErrSuspended):
		p.counters.Exhausted++
		kind = EventExhausted
	}
	p.tell(Event{Kind: kind, Took: waited, Err: err})
	w.ready <- struct{}{}
}

// serve is called after every change that could help a waiter: it hands out idle
// connections, starts the verifications that they need first, and begins the
// connects for whoever is left and for the floors.
func (p *Pool) serve() {
	cfg := p.settings.Load()
	for p.queue.len > 0 && p.suspended == running {
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
