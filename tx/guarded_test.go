package tx_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
	"github.com/nimue-go/nimue/tx"
)

// Every way to fail is seen, and every way to hide it: rows that end with an error,
// prepared statements, arguments that cannot be converted.
func TestHandleSeesEveryFailure(t *testing.T) {
	hooks := scripted.Hooks{
		Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
			return failOn(query, "FAIL")
		},
		Query: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) ([][]driver.Value, error) {
			return [][]driver.Value{{int64(1)}}, failOn(query, "FAIL")
		},
		Prepare: func(_ context.Context, _ *scripted.Conn, query string) error { return failOn(query, "MISTAKE") },
	}
	for name, hide := range map[string]func(context.Context, *sql.Tx){
		"exec":     func(ctx context.Context, t *sql.Tx) { _, _ = t.ExecContext(ctx, "FAIL") },
		"query":    func(ctx context.Context, t *sql.Tx) { _, _ = t.QueryContext(ctx, "FAIL") },
		"row":      func(ctx context.Context, t *sql.Tx) { _ = t.QueryRowContext(ctx, "FAIL") },
		"prepare":  func(ctx context.Context, t *sql.Tx) { _, _ = t.PrepareContext(ctx, "MISTAKE") },
		"argument": func(ctx context.Context, t *sql.Tx) { _, _ = t.ExecContext(ctx, "INSERT", make(chan int)) },
		"statement": func(ctx context.Context, t *sql.Tx) {
			if s, err := t.PrepareContext(ctx, "FAIL"); err == nil {
				_, _ = s.ExecContext(ctx)
			}
		},
		"query of a statement": func(ctx context.Context, t *sql.Tx) {
			if s, err := t.PrepareContext(ctx, "FAIL"); err == nil {
				_, _ = s.QueryContext(ctx)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubbleOn(t, "nimue", hooks, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
				err := tx.Run(t.Context(), db, func(ctx context.Context, tr *sql.Tx) error {
					hide(ctx, tr)
					for what, err := range map[string]error{
						"exec":    second(tr.ExecContext(ctx, "INSERT")),
						"query":   second(tr.QueryContext(ctx, "SELECT")),
						"prepare": second(tr.PrepareContext(ctx, "SELECT")),
					} {
						if !errors.Is(err, tx.ErrAborted) {
							t.Errorf("%s afterwards: %v", what, err)
						}
					}
					return nil
				})
				if !errors.Is(err, tx.ErrAborted) || d.Count("commit") != 0 || d.Count("rollback") != 1 {
					t.Errorf("error %v, calls %q", err, d.Log())
				}
				if n := d.Count("INSERT") + d.Count("SELECT"); n != 0 {
					t.Errorf("statements were sent after the failure: %q", d.Log())
				}
			})
		})
	}
}

// rowsFail is a scripted driver whose rows end with an error when they are closed.
type rowsFail struct{ to *scripted.Driver }

func (r rowsFail) Driver() driver.Driver { return r.to.Driver() }

func (r rowsFail) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := r.to.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return rowsFailConn{conn.(*scripted.Conn)}, nil
}

type rowsFailConn struct{ *scripted.Conn }

func (c rowsFailConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.QueryContext(ctx, query, args)
	return failingRows{rows}, err
}

type failingRows struct{ driver.Rows }

func (r failingRows) Close() error { return errors.Join(r.Rows.Close(), errTest) }

// What the commit finds out when it closes rows may have undone everything, or
// nothing.
func TestRowsLeftOpenFailAtTheCommit(t *testing.T) {
	d := scripted.New(scripted.Hooks{})
	connector, err := nimue.NewConnector(rowsFail{d}, pool.Config{})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	err = tx.Run(t.Context(), db, func(ctx context.Context, tr *sql.Tx) error {
		_, err := tr.QueryContext(ctx, "SELECT")
		return err
	})
	if !errors.Is(err, tx.ErrAmbiguousCommit) || !errors.Is(err, errTest) || d.Count("commit") != 1 {
		t.Errorf("error %v, calls %q", err, d.Log())
	}
}

func failOn(query, text string) error {
	if query == text {
		return errTest
	}
	return nil
}

func second[T any](_ T, err error) error { return err }

// After the transaction, a *sql.Conn is as it was.
func TestConnAfterAHiddenFailure(t *testing.T) {
	hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
		return failOn(query, "FAIL")
	}}
	bubble(t, hooks, func(t *testing.T, db *sql.DB, _ *scripted.Driver) {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = tx.Run(t.Context(), conn, func(ctx context.Context, t *sql.Tx) error {
			_, _ = t.ExecContext(ctx, "FAIL")
			return nil
		})
		if _, err := conn.ExecContext(t.Context(), "INSERT"); err != nil {
			t.Error(err)
		}
		plain, err := conn.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = plain.ExecContext(t.Context(), "FAIL")
		if _, err := plain.ExecContext(t.Context(), "INSERT"); err != nil {
			t.Errorf("a transaction without Run: %v", err)
		}
		if err := plain.Commit(); err != nil {
			t.Error(err)
		}
	})
}
