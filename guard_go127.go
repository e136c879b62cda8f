//go:build go1.27

package nimue

import "database/sql/driver"

// guardRows has the transaction's guard, if there is one, see the errors of rows.
// As in watchRows, there is a second wrapper for rows that scan their columns.
func (c *Conn) guardRows(rows driver.Rows) driver.Rows {
	if c.use.guard == nil {
		return rows
	}
	guarded := &guardedRows{watchedRows{Rows: rows}, c.use.guard.Note}
	if scanner, ok := rows.(driver.RowsColumnScanner); ok {
		return &guardedScanner{guarded, scanner}
	}
	return guarded
}

type guardedScanner struct {
	*guardedRows
	scanner driver.RowsColumnScanner
}

// NextRow is the inner rows'.
func (r *guardedScanner) NextRow() error { return r.note(r.scanner.NextRow()) }

// ScanColumn is the inner rows'. What it cannot convert, the database has delivered.
func (r *guardedScanner) ScanColumn(ctx driver.ScanContext, index int, dest any) error {
	return r.scanner.ScanColumn(ctx, index, dest)
}
