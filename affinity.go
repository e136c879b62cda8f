package nimue

import (
	"context"
	"sync/atomic"

	"github.com/nimue-go/nimue/pool"
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

// acquire leases a connection for an operation.
func (c *Conn) acquire(ctx context.Context) (pool.Lease, error) {
	if affinityUsed.Load() {
		if key := ctx.Value(affinityKey{}); key != nil {
			return c.pool.AcquireFor(ctx, key)
		}
	}
	return c.pool.Reacquire(ctx, c.lease)
}
