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

// ErrSuspended is the error of callers whom the pool was told to refuse, by Suspend.
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
	connects  int    // of those left, how many were still being made when it began
	era       uint64 // connects of earlier ones count
	done      chan struct{}
}

// Drain renews every connection that there is or is being made, gracefully: a few at a time, with
// replacements made first where MaxConns leaves room, and leased ones once they
// have come back. Callers notice nothing. It returns when the last of them is closed,
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
	p.era++
	n := len(p.all) + p.connecting
	d := &drainCall{left: n, all: n, connects: p.connecting, era: p.era, done: make(chan struct{})}
	if d.connects > 0 {
		p.draining = append(p.draining, d)
	}
	for _, c := range p.all {
		c.drains = append(c.drains, d)
		p.markReplaced(c)
	}
	if d.left == 0 {
		p.drainEnded(d)
	}
	return d
}

// dialled notes that a connect has ended that was begun in an era. What it brought
// goes as all do that were there when Drain began: it may be of old credentials.
func (p *Pool) dialled(era uint64, c *conn) {
	if len(p.draining) == 0 {
		return
	}
	still := p.draining[:0]
	for _, d := range p.draining {
		if d.era > era {
			d.connects--
			if c != nil {
				c.drains = append(c.drains, d)
			} else {
				d.all--
				d.wentOne(p)
			}
		}
		if d.connects > 0 {
			still = append(still, d)
		}
	}
	clear(p.draining[len(still):])
	p.draining = still
	if c != nil && c.drains != nil {
		p.markReplaced(c)
		p.wakeBy(0)
	}
}

func (d *drainCall) wentOne(p *Pool) {
	if d.left--; d.left == 0 {
		p.drainEnded(d)
	}
}

// drainGone notes that c has gone.
func (p *Pool) drainGone(c *conn) {
	for _, d := range c.drains {
		d.wentOne(p)
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
