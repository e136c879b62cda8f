package nimue

import "github.com/nimue-go/nimue/pool"

// Pools returns the pools of the process that are not closed, sorted by name.
func Pools() []*pool.Pool { return pool.Pools() }
