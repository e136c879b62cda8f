//go:build !go1.27

package nimue

import "database/sql/driver"

// asInner is r in the form that database/sql expects of its inner rows.
func asInner(r *handedRows) driver.Rows { return r }
