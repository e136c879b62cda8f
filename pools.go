package nimue

import "github.com/nimue-go/nimue/pool"

// Pools returns the pools of the process that are not closed, sorted by name:
// those that sql.Open made, and all others of package pool.
func Pools() []*pool.Pool { return pool.Pools() }
