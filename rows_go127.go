//go:build go1.27

package nimue

import (
	"database/sql/driver"

	"github.com/nimue-go/nimue/pool"
)

// watchRows wraps rows to see when they are closed. Rows that scan their columns
// themselves need a wrapper that does too, since database/sql goes another way
// with those, and one that does not for the others.
func watchRows(rows driver.Rows, lease pool.Lease, s *pool.Stmt) driver.Rows {
	watched := &watchedRows{rows, lease, s}
	if scanner, ok := rows.(driver.RowsColumnScanner); ok {
		return &watchedScanner{watched, scanner}
	}
	return watched
}

type watchedScanner struct {
	*watchedRows
	scanner driver.RowsColumnScanner
}

// NextRow is the inner rows'.
func (r *watchedScanner) NextRow() error { return r.scanner.NextRow() }

// ScanColumn is the inner rows'.
func (r *watchedScanner) ScanColumn(ctx driver.ScanContext, index int, dest any) error {
	return r.scanner.ScanColumn(ctx, index, dest)
}

// shareRows wraps rows to see when a handle that shares may let go. As in watchRows,
// there is a second wrapper for rows that scan their columns.
func (c *Conn) shareRows(rows driver.Rows) driver.Rows {
	shared := &sharedRows{watchedRows{Rows: rows}, c}
	if scanner, ok := rows.(driver.RowsColumnScanner); ok {
		return &sharedScanner{shared, scanner}
	}
	return shared
}

type sharedScanner struct {
	*sharedRows
	scanner driver.RowsColumnScanner
}

// NextRow is the inner rows'.
func (r *sharedScanner) NextRow() error { return r.scanner.NextRow() }

// ScanColumn is the inner rows'.
func (r *sharedScanner) ScanColumn(ctx driver.ScanContext, index int, dest any) error {
	return r.scanner.ScanColumn(ctx, index, dest)
}
