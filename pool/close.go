package pool

import (
	"context"
	"fmt"
	"time"
)

// Reset renews the pool: idle connections are closed now, leased ones when they
// come back, connects under way when they end, and new ones take their place.
// Callers notice nothing but the time of a connect.
func (p *Pool) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.renew(ReasonReset)
	}
}

// renew begins a new generation of connections.
func (p *Pool) renew(reason Reason) {
	p.gen++
	p.collect()
	for p.idle.len > 0 {
		c := p.idle.back.of
		if reason == ReasonDemoted {
			p.lose(c) // nobody asked for it to go
		}
		p.retireIdle(c, reason)
	}
	p.serve()
}

// Close ends the pool without waiting: idle connections are closed, callers in
// the queue get ErrClosed, leased connections are closed when they come back.
// A second Close does nothing. It returns nil, always, as io.Closer wants.
func (p *Pool) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	unregister(p)
	p.tell(Event{Kind: EventClosed})
	p.collect()
	for p.queue.len > 0 {
		w := p.queue.front.of
		err := p.acquireError(ErrClosed, p.now()-w.since, nil)
		err.Waiting--
		p.refuse(w, err)
	}
	for p.idle.len > 0 {
		p.retireIdle(p.idle.back.of, ReasonClosed)
	}
	p.finish()
	p.mu.Unlock()
	p.cancel()
	p.log.closed()
	return nil
}

// Closed tells whether Close or Shutdown was called.
func (p *Pool) Closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// finish notes that a closed pool has no connection left, or none but leased ones.
func (p *Pool) finish() {
	if p.total() > p.leasedN {
		return
	}
	if p.quiet != nil {
		close(p.quiet)
		p.quiet = nil
	}
	if p.leasedN == 0 {
		closeOnce(p.drained)
	}
}

func closeOnce(ch chan struct{}) {
	select {
	case <-ch:
	default:
		close(ch)
	}
}

// Shutdown closes the pool and waits until every lease has been returned and
// every connection closed. Where ctx ends first, it closes the leased
// connections by force and returns an error that says how many and unwraps to
// the context's: one whose holder is not inside a driver call is closed at once;
// one that is, or whose rows or transaction are open, is cut off at its socket
// where Config.NetConn tells it, so that whatever is under way ends with the
// driver's error, and closed when its holder gives it back, since no two calls on
// a driver's connection may overlap.
func (p *Pool) Shutdown(ctx context.Context) error {
	_ = p.Close()
	select {
	case <-p.drained:
		p.awaitWork(ctx)
		return nil
	case <-ctx.Done():
	}
	n := p.force()
	p.mu.Lock()
	others := p.total() - p.leasedN
	p.mu.Unlock()
	bound, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if p.Settle(bound) != nil && n == 0 {
		return fmt.Errorf("nimue: %s: shutdown: %d connections whose driver hangs were given up: %w", p.name, others, context.Cause(ctx))
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("nimue: %s: shutdown: %d connections were still in use and were taken away: %w",
		p.name, n, context.Cause(ctx))
}

// force takes every lease away and returns how many there were.
func (p *Pool) force() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for i := len(p.all) - 1; i >= 0; i-- {
		c := p.all[i]
		if c.state != leased {
			continue
		}
		n++
		if busy := c.lease.revoke(); busy {
			if c.socket != nil {
				p.cutOff(c)
			}
			continue
		}
		p.closeRevoked(c)
	}
	return n
}

// closeRevoked closes a leased connection whose lease was taken away.
func (p *Pool) closeRevoked(c *conn) {
	p.forgetParked(c)
	p.leasedN--
	p.retire(c, ReasonForced)
}

// cutOff closes the socket beneath c, which any goroutine may do at any time, so
// that the driver call under way on it ends.
func (p *Pool) cutOff(c *conn) {
	p.work.Go(func() { _ = c.wire.Close() })
}

// Settle waits until a closed pool has no connection left but leased ones, or
// until ctx ends. Then, unless something hangs, the files and sockets of all the
// others are closed. A pool that is not closed never settles.
func (p *Pool) Settle(ctx context.Context) error {
	select {
	case <-p.settled():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settled returns a channel that is closed when the pool is closed and nothing
// but leases is left.
func (p *Pool) settled() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	quiet := p.quiet
	if quiet == nil {
		quiet = make(chan struct{})
		p.quiet = quiet
	}
	if p.closed {
		p.finish()
	}
	return quiet
}

// awaitWork waits for the goroutines of a drained pool. They are about to end,
// except those whose driver hangs in a call and that were given up.
func (p *Pool) awaitWork(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		p.work.Wait()
		close(ended)
	}()
	timer := time.NewTimer(abandonAfter)
	defer timer.Stop()
	select {
	case <-ended:
	case <-ctx.Done():
	case <-timer.C:
	}
}
