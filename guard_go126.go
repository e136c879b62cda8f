//go:build !go1.27

package nimue

import "database/sql/driver"

// guardRows has the transaction's guard, if there is one, see the errors of rows.
func (c *Conn) guardRows(rows driver.Rows) driver.Rows {
	if c.use.guard == nil {
		return rows
	}
	return &guardedRows{watchedRows{Rows: rows}, c.use.guard.Note}
}
