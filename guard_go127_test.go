//go:build go1.27

package nimue_test

import (
	"database/sql"
	"database/sql/driver"
	"testing"
)

// scanningRows scan their columns themselves, as drivers may from Go 1.27 on.
type scanningRows struct{ troubledRows }

func (r *scanningRows) Next([]driver.Value) error { panic("database/sql calls NextRow") }

func (r *scanningRows) NextRow() error { return r.troubledRows.Next(make([]driver.Value, 1)) }

func (r *scanningRows) ScanColumn(ctx driver.ScanContext, _ int, dest any) error {
	return sql.ConvertAssign(ctx, dest, int64(r.set))
}

func TestGuardSeesErrorsOfScanningRows(t *testing.T) {
	for _, place := range []string{"", "next", "set", "close"} {
		t.Run("at "+place, func(t *testing.T) {
			checkGuarded(t, place, func() driver.Rows { return &scanningRows{troubledRows{place: place}} })
		})
	}
}
