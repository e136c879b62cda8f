//go:build !go1.27

package nimue

import (
	"database/sql/driver"

	"github.com/nimue-go/nimue/pool"
)

// watchRows wraps rows to see when they are closed.
func watchRows(rows driver.Rows, lease pool.Lease, s *pool.Stmt) driver.Rows {
	return &watchedRows{rows, lease, s}
}

// shareRows wraps rows to see when a handle that shares may let go.
func (c *Conn) shareRows(rows driver.Rows) driver.Rows {
	return &sharedRows{watchedRows{Rows: rows}, c}
}
