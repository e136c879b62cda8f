package query

import (
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/georgysavva/scany/v2/dbscan"
)

// width says how many columns a query must have.
type width bool

const (
	anyColumns width = false
	oneColumn  width = true
)

// scany is the library that scans. What it would take apart into fields unless told
// otherwise: a type that scans itself, and time.Time, which has these methods.
var scany = func() *dbscan.API {
	api, err := dbscan.NewAPI(dbscan.WithScannableTypes((*sql.Scanner)(nil), (*interface {
		Zone() (name string, offset int)
		Sub(time.Time) time.Duration
	})(nil)))
	if err != nil {
		panic(err) // an option that it does not know
	}
	return api
}()

// unscannable tells why rows cannot be scanned into a type, or nothing.
func unscannable(t reflect.Type) string {
	if t == reflect.TypeFor[sql.RawBytes]() {
		return "want []byte, since RawBytes are overwritten by the next row"
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Uintptr:
		return "nothing can be scanned into that"
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return "want string keys"
		}
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Struct && shapeOf(t.Elem()) == row {
			return "want the struct itself"
		}
	}
	return ""
}

// shape is how a type takes columns.
type shape bool

const (
	single shape = false // one, as a whole
	row    shape = true  // several, in its fields or keys
)

// shapeOf asks scany: in a type that takes one as a whole, no name is missing.
func shapeOf(t reflect.Type) shape {
	if t.Kind() == reflect.Map || t.Kind() == reflect.Struct && fits(t, "no column has this name") != nil {
		return row
	}
	return single
}

// fits has scany find places for columns in a type, without a row.
func fits(t reflect.Type, columns ...string) error {
	return scany.NewRowScanner(noRows(columns)).Scan(reflect.New(t).Interface())
}

// noRows are columns without rows.
type noRows []string

func (n noRows) Columns() ([]string, error) { return n, nil }
func (noRows) Next() bool                   { return false }
func (noRows) Scan(...any) error            { return nil }
func (noRows) Err() error                   { return nil }
func (noRows) Close() error                 { return nil }
func (noRows) NextResultSet() bool          { return false }

// scanner scans the rows of one query.
type scanner[T any] struct {
	from    watched
	to      *dbscan.RowScanner
	columns []string
}

// newScanner checks that the columns fit, so that it does not depend on the data
// whether a mistake is found.
func newScanner[T any](rows *sql.Rows, shape shape, width width) (*scanner[T], error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	if err := match(reflect.TypeFor[T](), shape, columns, width); err != nil {
		return nil, err
	}
	s := &scanner[T]{from: watched{Rows: rows}, columns: columns}
	s.to = scany.NewRowScanner(&s.from)
	return s, nil
}

// match tells in what way columns do not fit a type.
func match(t reflect.Type, shape shape, columns []string, width width) error {
	switch {
	case width == oneColumn && shape == row:
		return fmt.Errorf("%w %v: it has fields or keys, where a single value is asked for", ErrMismatch, t)
	case shape == single && len(columns) != 1:
		return fmt.Errorf("%w %v: %d columns (%s), want 1", ErrMismatch, t, len(columns), strings.Join(columns, ", "))
	}
	for i, column := range columns {
		if slices.Contains(columns[:i], column) {
			return fmt.Errorf("%w %v: there are two columns %q", ErrMismatch, t, column)
		}
	}
	if fits(t, columns...) == nil {
		return nil
	}
	var homeless []string
	for _, column := range columns {
		if fits(t, column) != nil {
			homeless = append(homeless, fmt.Sprintf("%q", column))
		}
	}
	return fmt.Errorf("%w %v: it has no exported field for %s", ErrMismatch, t, strings.Join(homeless, ", "))
}

// row scans the present row.
func (s *scanner[T]) row(value *T) error {
	err := s.to.Scan(value)
	if err == nil {
		return nil
	}
	if s.from.err == nil {
		return fmt.Errorf("%w %T: %w", ErrMismatch, *value, err)
	}
	return s.explain(reflect.ValueOf(value).Elem(), s.from.err)
}

// watched are rows that remember where they were last scanned to, and the error.
type watched struct {
	*sql.Rows
	dest []any
	err  error
}

// Scan scans the row.
func (w *watched) Scan(dest ...any) error {
	w.dest, w.err = dest, w.Rows.Scan(dest...)
	return w.err
}

// ColumnError is a value that cannot be stored in its field: NULL where that cannot
// be NULL, a text that is no number.
type ColumnError struct {
	Column string       // its name
	Field  string       // where it was to go, such as Customer.Name; the type's own name if it has no fields
	Type   reflect.Type // the field's
	Err    error        // what database/sql or the type's Scan method says
}

// Error names the column, the field and the cause.
func (e *ColumnError) Error() string {
	text := fmt.Sprintf("column %q to %s: %v", e.Column, e.Field, e.Err)
	if strings.Contains(text, "converting NULL to") {
		text += fmt.Sprintf(" (*%v or sql.Null[%v] can hold NULL)", e.Type, e.Type)
	}
	return text
}

// Unwrap returns Err.
func (e *ColumnError) Unwrap() error { return e.Err }

// explain turns an error of (*sql.Rows).Scan, which names the column by its index,
// into a ColumnError; another error stays what it is.
func (s *scanner[T]) explain(value reflect.Value, err error) error {
	var column int
	if _, bad := fmt.Sscanf(err.Error(), "sql: Scan error on column index %d,", &column); bad != nil || column >= len(s.from.dest) {
		return err
	}
	dest := s.from.dest[column]
	e := &ColumnError{Column: s.columns[column], Type: reflect.TypeOf(dest).Elem(), Err: err}
	if cause := errors.Unwrap(err); cause != nil {
		e.Err = cause
	}
	e.Field = value.Type().String()
	if path := fieldAt(value, dest); path != "" {
		e.Field += "." + path
	} else if value.Kind() == reflect.Map {
		e.Field += fmt.Sprintf("[%q]", e.Column)
	}
	return e
}

// fieldAt finds the exported field whose address is dest, in structs within structs.
func fieldAt(value reflect.Value, dest any) string {
	if value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	if value.Kind() != reflect.Struct {
		return ""
	}
	for i := range value.NumField() {
		field, name := value.Field(i), value.Type().Field(i)
		if !name.IsExported() && !name.Anonymous {
			continue
		}
		if name.IsExported() && field.Addr().Interface() == dest {
			return name.Name
		}
		if path := fieldAt(field, dest); path != "" {
			return name.Name + "." + path
		}
	}
	return ""
}
