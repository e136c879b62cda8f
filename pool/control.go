package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// suspension says what becomes of callers who want a connection.
type suspension uint8

const (
	running suspension = iota
	waiting
	refusing
)

// ErrSuspended: the pool was told to refuse callers, by Suspend.
var ErrSuspended = errors.New("nimue: pool suspended")

// Suspend keeps callers from getting connections until Resume: they wait, within
// their deadlines and Config.AcquireTimeout, or with refuse are refused at once with
// ErrSuspended, those in the queue too. What is leased is not touched, and
// connections are kept and verified as ever. It is for a planned moment: a
// restart of the database, say.
func (p *Pool) Suspend(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if p.suspended == running {
		p.tell(Event{Kind: EventSuspended})
	}
	p.suspended = waiting
	p.collect() // nobody may take a connection the short way
	if refuse {
		p.suspended = refusing
		for p.queue.len > 0 {
			w := p.queue.front.of
			err := p.acquireError(ErrSuspended, p.now()-w.since, nil)
			err.Waiting--
			p.counters.Exhausted++
			p.tell(Event{Kind: EventExhausted, Err: err})
			p.refuse(w, err)
		}
	}
}

// Resume ends Suspend. Who waits is served in the order of asking.
func (p *Pool) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.suspended == running || p.closed {
		return
	}
	p.suspended = running
	p.tell(Event{Kind: EventResumed})
	p.serve()
}

// drainCall is one call of Drain, which waits for connections to go.
type drainCall struct {
	left, all int
	done      chan struct{}
}

// Drain renews every connection that there is, gracefully: a few at a time, with
// replacements made first where MaxConns leaves room, and leased ones once they
// have come back. Callers notice nothing. It returns when the last of them is gone,
// or with ctx; the renewal goes on then. Use it after credentials or addresses have
// changed, or parameters of the server's sessions.
func (p *Pool) Drain(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return &AcquireError{Pool: p.name, Kind: ErrClosed}
	}
	d := p.renewAll()
	p.roundAt = 0
	p.wakeBy(0) // a full pool has to make room first
	p.serve()
	p.mu.Unlock()
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("nimue: %s: drain: %d of %d connections are still to be renewed: %w", p.name, d.left, d.all, context.Cause(ctx))
}

// renewAll has every connection that there is replaced.
func (p *Pool) renewAll() *drainCall {
	p.collect()
	d := &drainCall{left: len(p.all), all: len(p.all), done: make(chan struct{})}
	for _, c := range p.all {
		c.drains = append(c.drains, d)
		p.markReplaced(c)
	}
	if d.left == 0 {
		p.drainEnded(d)
	}
	return d
}

// drainGone notes that c has gone.
func (p *Pool) drainGone(c *conn) {
	for _, d := range c.drains {
		if d.left--; d.left == 0 {
			p.drainEnded(d)
		}
	}
	c.drains = nil
}

func (p *Pool) drainEnded(d *drainCall) {
	p.tell(Event{Kind: EventDrained, Count: d.all})
	close(d.done)
}

// Verify verifies every idle connection now, and waits for the results or for ctx.
// Those that fail are closed and replaced, as by the periodic health check.
func (p *Pool) Verify(ctx context.Context) (verified, failed int, err error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return 0, 0, &AcquireError{Pool: p.name, Kind: ErrClosed}
	}
	p.collect()
	cfg := p.settings.Load()
	left, done := 1, make(chan struct{}) // guarded by mu; one for the loop itself
	end := func() {
		if left--; left == 0 {
			close(done)
		}
	}
	for n := p.idle.front; n != nil; {
		c := n.of
		n = n.next
		if c.canVerify(cfg) {
			left++
			p.checkThen(c, cfg, false, func(ok bool) {
				if ok {
					verified++
				} else {
					failed++
				}
				end()
			})
		}
	}
	end()
	p.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("nimue: %s: verify: %w", p.name, context.Cause(ctx))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return verified, failed, err
}

// registry holds the pools of the process that are not closed.
var registry struct {
	mu    sync.Mutex // a leaf lock
	pools map[*Pool]struct{}
}

func register(p *Pool) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if registry.pools == nil {
		registry.pools = make(map[*Pool]struct{})
	}
	registry.pools[p] = struct{}{}
}

func unregister(p *Pool) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	delete(registry.pools, p)
}

// Pools returns the pools of the process that are not closed, sorted by name.
func Pools() []*Pool {
	registry.mu.Lock()
	pools := make([]*Pool, 0, len(registry.pools))
	for p := range registry.pools {
		pools = append(pools, p)
	}
	registry.mu.Unlock()
	slices.SortFunc(pools, func(a, b *Pool) int {
		if a.name != b.name {
			return strings.Compare(a.name, b.name)
		}
		return a.epoch.Compare(b.epoch)
	})
	return pools
}
