package nimue_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// The statements and rows of the differential's inner driver.

// testStmt is a statement with nothing but what every statement has.
type testStmt struct {
	conn   *testConn
	text   string
	closed bool
}

func (s *testStmt) note(format string, args ...any) {
	if s.closed {
		s.conn.driver.misused("statement %q after its close: %s", s.text, fmt.Sprintf(format, args...))
	}
	s.conn.note(noContext, format, args...)
}

func (s *testStmt) Close() error {
	s.note("close statement %s", s.text)
	s.closed = true
	return nil
}

// NumInput counts the question marks, if any; otherwise it does not know.
func (s *testStmt) NumInput() int {
	s.note("inputs %s", s.text)
	if strings.Contains(s.text, "uncounted") {
		return -1
	}
	return strings.Count(s.text, "?")
}

func (s *testStmt) Exec(args []driver.Value) (driver.Result, error) { return s.exec(noContext, args) }

func (s *testStmt) Query(args []driver.Value) (driver.Rows, error) { return s.query(noContext, args) }

func (s *testStmt) exec(ctx context.Context, args any) (driver.Result, error) {
	s.note("use %s", s.text)
	return s.conn.exec(ctx, "run", s.text, args)
}

func (s *testStmt) query(ctx context.Context, args any) (driver.Rows, error) {
	s.note("use %s", s.text)
	return s.conn.query(ctx, "run", s.text, args)
}

type (
	stmtExec      struct{ stmt *testStmt }
	stmtQuery     struct{ stmt *testStmt }
	stmtChecker   struct{ stmt *testStmt }
	stmtConverter struct{ stmt *testStmt }
)

func (m stmtExec) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return m.stmt.exec(ctx, args)
}

func (m stmtQuery) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return m.stmt.query(ctx, args)
}

func (m stmtChecker) CheckNamedValue(nv *driver.NamedValue) error {
	return m.stmt.conn.check("statement", nv)
}

func (m stmtConverter) ColumnConverter(i int) driver.ValueConverter {
	m.stmt.note("converter %d", i)
	switch {
	case strings.Contains(m.stmt.text, "narrow"):
		return driver.Int32
	case strings.Contains(m.stmt.text, "strange"):
		return strangeConverter{}
	}
	return driver.DefaultParameterConverter
}

// strangeConverter converts to what no driver may.
type strangeConverter struct{}

func (strangeConverter) ConvertValue(any) (driver.Value, error) { return []string{"strange"}, nil }

// testRows is one result set or several with two rows each, and nothing but what
// all rows have.
type testRows struct {
	conn *testConn
	text string
	echo string
	set  int
	row  int
}

func (r *testRows) Columns() []string {
	r.conn.note(noContext, "columns")
	return []string{"set", "row", "echo"}
}

func (r *testRows) Close() error {
	r.conn.note(noContext, "close rows")
	return r.conn.driver.act(noContext, "close", r.text)
}

func (r *testRows) Next(dest []driver.Value) error {
	r.conn.note(noContext, "next")
	if r.row == 1 {
		if err := r.conn.driver.act(noContext, "next", r.text); err != nil {
			return err
		}
	}
	if r.row == 2 {
		return io.EOF
	}
	r.row++
	dest[0], dest[1], dest[2] = int64(r.set), int64(r.row), r.echo
	return nil
}

type (
	rowsSets     struct{ rows *testRows }
	rowsScanType struct{ rows *testRows }
	rowsTypeName struct{ rows *testRows }
	rowsLength   struct{ rows *testRows }
	rowsNullable struct{ rows *testRows }
	rowsDecimal  struct{ rows *testRows }
)

func (m rowsSets) HasNextResultSet() bool {
	m.rows.conn.note(noContext, "has next set")
	return m.rows.set < strings.Count(m.rows.text, "another-set")
}

func (m rowsSets) NextResultSet() error {
	m.rows.conn.note(noContext, "next set")
	if m.rows.set >= strings.Count(m.rows.text, "another-set") {
		return io.EOF
	}
	m.rows.set++
	m.rows.row = 0
	return m.rows.conn.driver.act(noContext, "set", m.rows.text)
}

func (rowsScanType) ColumnTypeScanType(i int) reflect.Type {
	return []reflect.Type{reflect.TypeFor[int64](), reflect.TypeFor[*int64](), reflect.TypeFor[string]()}[i]
}

func (rowsTypeName) ColumnTypeDatabaseTypeName(i int) string { return fmt.Sprintf("TYPE%d", i) }

func (rowsLength) ColumnTypeLength(i int) (int64, bool) { return int64(100 + i), i > 0 }

func (rowsNullable) ColumnTypeNullable(i int) (nullable, ok bool) { return i == 1, i > 0 }

func (rowsDecimal) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	return int64(10 + i), int64(i), i > 0
}
