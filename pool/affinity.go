package pool

import (
	"context"
	"fmt"
	"reflect"
)

// Affinity: callers who give the same key prefer the same connection, so that a
// worker may have one of its own as long as there are enough. It is a preference
// and no more: nobody waits for a connection while another is idle.

// preference is which connection a caller would like: its last one, or that of a
// key.
type preference struct {
	conn *conn
	key  any
}

// AcquireFor is Acquire with a preference for the connection that last served an
// acquire with the same key, which must be comparable. Where there is none, one
// that is nobody's own is preferred, and where there is none of those either and
// Config.MaxConns allows, one is made in the background for the next time. With a
// nil key it is Acquire. The pool remembers at most one key for each connection.
func (p *Pool) AcquireFor(ctx context.Context, key any) (Lease, error) {
	if err := ctx.Err(); err != nil {
		return Lease{}, err
	}
	if key != nil && !reflect.ValueOf(key).Comparable() {
		return Lease{}, fmt.Errorf("nimue: %s: affinity key of type %T, which cannot be compared", p.name, key)
	}
	return p.acquire(ctx, preference{key: key})
}

// ownOf returns the idle connection that a key's owner should get, or nil. Where
// the owner has none and none is free, it wishes for one.
func (p *Pool) ownOf(key any, cfg *Config) *conn {
	if c := p.byKey[key]; c != nil {
		p.collectOne(c)
		return c
	}
	if len(p.parked) > 0 {
		p.collect()
	}
	n := p.idle.front
	for range looksPast {
		if n == nil {
			break
		}
		if n.of.key == nil {
			return n.of
		}
		n = n.next
	}
	if p.idle.len > 0 && p.live() < owned(cfg) && p.total() < cfg.MaxConns && p.outage.failures == 0 {
		p.wishes = 1 // one at a time: the next caller may find it
	}
	return nil
}

// owned is how many connections are made for affinity's sake: those that can be
// kept.
func owned(cfg *Config) int { return min(cfg.MaxConns, max(cfg.MaxIdleConns, 0)) }

// served notes that c was lent to a key's owner. It becomes the owner's own if it
// is nobody's, or if there can be no other.
func (p *Pool) served(c *conn, key any, cfg *Config) {
	if c.key == key || p.byKey[key] != nil {
		return
	}
	if c.key != nil && p.live() < owned(cfg) {
		return
	}
	p.disown(c)
	if p.byKey == nil {
		p.byKey = make(map[any]*conn)
	}
	c.key, p.byKey[key] = key, c
}

// disown makes c nobody's own.
func (p *Pool) disown(c *conn) {
	if c.key != nil {
		delete(p.byKey, c.key)
		c.key = nil
	}
}
