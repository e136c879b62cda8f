package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/internal/txguard"
	"github.com/nimue-go/nimue/pool"
)

// rowsConnector is a scripted driver whose queries have other rows.
type rowsConnector struct {
	to   *scripted.Driver
	rows func() driver.Rows
}

func (c rowsConnector) Driver() driver.Driver { return c.to.Driver() }

func (c rowsConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.to.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return rowsConn{conn.(*scripted.Conn), c.rows}, nil
}

type rowsConn struct {
	*scripted.Conn
	rows func() driver.Rows
}

func (c rowsConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return c.rows(), nil
}

func (c rowsConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return rowsStmt{c.rows}, nil
}

type rowsStmt struct{ rows func() driver.Rows }

func (s rowsStmt) Close() error                               { return nil }
func (s rowsStmt) NumInput() int                              { return -1 }
func (s rowsStmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }
func (s rowsStmt) Query([]driver.Value) (driver.Rows, error)  { return s.rows(), nil }

// troubledRows are two result sets of one row each, with an error at one place.
type troubledRows struct {
	place string
	row   bool // the present set's has been read
	set   int
}

func (r *troubledRows) at(place string) error {
	if r.place == place {
		return errTest
	}
	return nil
}

func (r *troubledRows) Columns() []string { return []string{"a"} }
func (r *troubledRows) Close() error      { return r.at("close") }

func (r *troubledRows) Next(dest []driver.Value) error {
	if r.row {
		if err := r.at("next"); err != nil {
			return err
		}
		return io.EOF
	}
	r.row = true
	dest[0] = int64(r.set)
	return nil
}

func (r *troubledRows) HasNextResultSet() bool { return r.set == 0 }

func (r *troubledRows) NextResultSet() error {
	r.set, r.row = 1, false
	return r.at("set")
}

// read reads all that rows have, and overlooks errors.
func read(rows *sql.Rows) (values []int) {
	for {
		for rows.Next() {
			var n int
			if rows.Scan(&n) == nil {
				values = append(values, n)
			}
		}
		if !rows.NextResultSet() {
			_ = rows.Close()
			return values
		}
	}
}

// checkGuarded queries in a transaction with a guard, which must see the error of
// rows wherever it comes, and in one without.
func checkGuarded(t *testing.T, place string, rows func() driver.Rows) {
	t.Helper()
	connector, err := nimue.NewConnector(rowsConnector{scripted.New(scripted.Hooks{}), rows}, pool.Config{})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for _, prepared := range []bool{false, true} {
		guard := txguard.New(func(cause error) error { return fmt.Errorf("refused: %w", cause) })
		transaction, err := db.BeginTx(txguard.With(t.Context(), guard), nil)
		if err != nil {
			t.Fatal(err)
		}
		query := transaction.QueryContext
		if prepared {
			s, err := transaction.PrepareContext(t.Context(), "SELECT")
			if err != nil {
				t.Fatal(err)
			}
			query = func(ctx context.Context, _ string, args ...any) (*sql.Rows, error) {
				return s.QueryContext(ctx, args...)
			}
		}
		result, err := query(t.Context(), "SELECT")
		if err != nil {
			t.Fatal(err)
		}
		values := read(result)
		if place == "" && (fmt.Sprint(values) != "[0 1]" || guard.Cause() != nil) {
			t.Errorf("values %v, cause %v", values, guard.Cause())
		}
		if place != "" && !errors.Is(guard.Cause(), errTest) {
			t.Errorf("prepared %t: the guard saw %v, want the error of %s", prepared, guard.Cause(), place)
		}
		if _, err := query(t.Context(), "SELECT"); errors.Is(err, errTest) != (place != "") {
			t.Errorf("prepared %t: the next query: %v", prepared, err)
		}
		if err := transaction.Rollback(); err != nil {
			t.Error(err)
		}
	}
}

func TestGuardSeesErrorsOfRows(t *testing.T) {
	for _, place := range []string{"", "next", "set", "close"} {
		t.Run("at "+place, func(t *testing.T) {
			checkGuarded(t, place, func() driver.Rows { return &troubledRows{place: place} })
		})
	}
}

// What follows a failure is refused, but for the way back to a savepoint.
func TestGuardLetsRollbackToPass(t *testing.T) {
	hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
		if query == "FAIL" {
			return errTest
		}
		return nil
	}}
	for text, passes := range map[string]bool{
		"ROLLBACK TO SAVEPOINT a":                  true,
		"rollback to a":                            true,
		" -- back\n ROLLBACK TRANSACTION TO a":     true,
		"/* back */ ROLLBACK\tWORK TO SAVEPOINT a": true,
		"ROLLBACK":         false,
		"ROLLBACK TOTALLY": false,
		"SAVEPOINT b":      false,
		"INSERT":           false,
		"":                 false,
	} {
		d := scripted.New(hooks)
		connector, err := nimue.NewConnector(d, pool.Config{})
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(connector)
		guard := txguard.New(func(cause error) error { return cause })
		transaction, err := db.BeginTx(txguard.With(t.Context(), guard), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transaction.ExecContext(t.Context(), "FAIL"); err != errTest {
			t.Error(err)
		}
		if _, err := transaction.ExecContext(t.Context(), text); (err == nil) != passes {
			t.Errorf("%q: %v", text, err)
		}
		if recovered := guard.Cause() == nil; recovered != passes {
			t.Errorf("%q: the guard's cause is %v", text, guard.Cause())
		}
		if err := transaction.Rollback(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
