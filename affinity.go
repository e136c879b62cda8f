package nimue

import (
	"context"
	"sync/atomic"
)

type affinityKey struct{}

// affinityUsed spares everybody who never uses Affinity the look into the context.
var affinityUsed atomic.Bool

// Affinity returns a context with which operations prefer, for the same key, the
// connection that served it last: a worker may so have a connection of its own,
// with what the database keeps warm for it. Where there is none yet, a connection
// that is nobody's own is taken, and one is made if pool_max_conns allows. It is a
// preference: when that connection is busy or gone, another one serves, and nobody
// ever waits for it while another is idle. A *sql.Conn or a transaction has its
// connection anyway. The key must be comparable; a nil key takes affinity away.
func Affinity(ctx context.Context, key any) context.Context {
	affinityUsed.Store(true)
	return context.WithValue(ctx, affinityKey{}, key)
}

// acquireFor leases a connection for an operation whose context may have a key.
func (c *Conn) acquireFor(ctx context.Context) error {
	key := ctx.Value(affinityKey{})
	if key == nil {
		return c.pool.Renew(ctx, &c.lease)
	}
	lease, err := c.pool.AcquireFor(ctx, key)
	if err == nil {
		c.lease = lease
	}
	return err
}
