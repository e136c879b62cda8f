package nimue

import (
	"database/sql/driver"
	"io"
	"reflect"
)

// handedRows are the rows that database/sql gets: the inner driver's, with what has
// to be known of their end. They answer every optional question as the inner rows
// do or, where those cannot, as database/sql would have taken it.
//
// A handle uses one of them for query after query, and knows it only by a weak
// pointer. So it is collected when the application has dropped its *sql.Rows, and
// if that was not closed, the connection is taken back: see collect.go.
type handedRows struct {
	driver.Rows
	open *openRows
}

var (
	_ driver.RowsNextResultSet              = (*handedRows)(nil)
	_ driver.RowsColumnTypeScanType         = (*handedRows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*handedRows)(nil)
	_ driver.RowsColumnTypeLength           = (*handedRows)(nil)
	_ driver.RowsColumnTypeNullable         = (*handedRows)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*handedRows)(nil)
)

// Next is the inner rows'.
func (r *handedRows) Next(dest []driver.Value) error { return r.open.note(r.Rows.Next(dest)) }

// Close closes the inner rows and tells everybody who has waited for it.
func (r *handedRows) Close() error {
	if !r.open.end() {
		return nil // it was closed before
	}
	err := r.open.note(r.Rows.Close())
	r.Rows = noRows{}
	r.open.closed(err)
	return err
}

// noRows stand for rows that are closed.
type noRows struct{}

func (noRows) Columns() []string         { return nil }
func (noRows) Close() error              { return nil }
func (noRows) Next([]driver.Value) error { return io.EOF }

// HasNextResultSet is false for drivers that know only one.
func (r *handedRows) HasNextResultSet() bool {
	if n, ok := r.Rows.(driver.RowsNextResultSet); ok {
		return n.HasNextResultSet()
	}
	return false
}

// NextResultSet is io.EOF for drivers that know only one.
func (r *handedRows) NextResultSet() error {
	if n, ok := r.Rows.(driver.RowsNextResultSet); ok {
		return r.open.note(n.NextResultSet())
	}
	return io.EOF
}

// ColumnTypeScanType is interface{} where the driver does not say.
func (r *handedRows) ColumnTypeScanType(i int) reflect.Type {
	if t, ok := r.Rows.(driver.RowsColumnTypeScanType); ok {
		return t.ColumnTypeScanType(i)
	}
	return reflect.TypeFor[any]()
}

// ColumnTypeDatabaseTypeName is empty where the driver does not say.
func (r *handedRows) ColumnTypeDatabaseTypeName(i int) string {
	if t, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return t.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

// ColumnTypeLength is not known where the driver does not say.
func (r *handedRows) ColumnTypeLength(i int) (int64, bool) {
	if t, ok := r.Rows.(driver.RowsColumnTypeLength); ok {
		return t.ColumnTypeLength(i)
	}
	return 0, false
}

// ColumnTypeNullable is not known where the driver does not say.
func (r *handedRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if t, has := r.Rows.(driver.RowsColumnTypeNullable); has {
		return t.ColumnTypeNullable(i)
	}
	return false, false
}

// ColumnTypePrecisionScale is not known where the driver does not say.
func (r *handedRows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	if t, has := r.Rows.(driver.RowsColumnTypePrecisionScale); has {
		return t.ColumnTypePrecisionScale(i)
	}
	return 0, 0, false
}
