//go:build go1.27

package nimue

import "database/sql/driver"

// asInner is r in the form that database/sql expects of its inner rows. Those that
// scan their columns themselves need a wrapper that does too, since database/sql
// goes another way with those, and one that does not for the others.
func asInner(r *handedRows) driver.Rows {
	if scanner, ok := r.Rows.(driver.RowsColumnScanner); ok {
		return &handedScanner{r, scanner}
	}
	return r
}

type handedScanner struct {
	*handedRows
	scanner driver.RowsColumnScanner
}

// NextRow is the inner rows'.
func (r *handedScanner) NextRow() error { return r.open.note(r.scanner.NextRow()) }

// ScanColumn is the inner rows'. What it cannot convert, the database has delivered.
func (r *handedScanner) ScanColumn(ctx driver.ScanContext, index int, dest any) error {
	return r.scanner.ScanColumn(ctx, index, dest)
}
