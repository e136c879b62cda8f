package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// panickingOps are the operations that a panic can pass through; database/sql gives
// the connection back after that in some of them only.
var panickingOps = map[string]func(ctx context.Context, db *sql.DB, stmt *sql.Stmt, args ...any) error{
	"Exec": func(ctx context.Context, db *sql.DB, _ *sql.Stmt, args ...any) error {
		_, err := db.ExecContext(ctx, "panic", args...)
		return err
	},
	"Query": func(ctx context.Context, db *sql.DB, _ *sql.Stmt, args ...any) error {
		return db.QueryRowContext(ctx, "panic", args...).Err()
	},
	"Query after ErrSkip": func(ctx context.Context, db *sql.DB, _ *sql.Stmt, args ...any) error {
		return db.QueryRowContext(ctx, "skip once, panic", args...).Err()
	},
	"Stmt.Exec": func(ctx context.Context, _ *sql.DB, stmt *sql.Stmt, args ...any) error {
		_, err := stmt.ExecContext(ctx, args...)
		return err
	},
	"Stmt.Query": func(ctx context.Context, _ *sql.DB, stmt *sql.Stmt, args ...any) error {
		return stmt.QueryRowContext(ctx, args...).Err()
	},
	"Begin": func(ctx context.Context, db *sql.DB, _ *sql.Stmt, _ ...any) error {
		_, err := db.BeginTx(ctx, nil)
		return err
	},
	"Ping": func(ctx context.Context, db *sql.DB, _ *sql.Stmt, _ ...any) error { return db.PingContext(ctx) },
	"Prepare": func(ctx context.Context, db *sql.DB, _ *sql.Stmt, _ ...any) error {
		_, err := db.PrepareContext(ctx, "panic in Prepare")
		return err
	},
	"Raw": func(ctx context.Context, db *sql.DB, _ *sql.Stmt, _ ...any) error {
		c, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		return nimue.Raw(c, func(driver.Conn) error { panic("from the driver") })
	},
}

// TestPanicOfTheDriver: the panic goes on, the connection is closed, and the
// pool's capacity stays whole.
func TestPanicOfTheDriver(t *testing.T) {
	for name, op := range panickingOps {
		t.Run(name, func(t *testing.T) {
			bubble(t, pool.Config{MaxConns: 2}, scripted.Hooks{}, func(t *testing.T, f fixture) {
				stmt, err := f.db.PrepareContext(t.Context(), "panic")
				if err != nil {
					t.Fatal(err)
				}
				defer stmt.Close()
				skip := false
				f.Script(func(h *scripted.Hooks) {
					h.Exec = func(context.Context, *scripted.Conn, string, []driver.NamedValue) error { panic("from the driver") }
					h.Query = func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) ([][]driver.Value, error) {
						if skip = !skip; skip && strings.HasPrefix(query, "skip once") {
							return nil, driver.ErrSkip
						}
						panic("from the driver")
					}
					h.Begin = func(context.Context, *scripted.Conn, driver.TxOptions) error { panic("from the driver") }
					h.Ping = func(context.Context, *scripted.Conn) error { panic("from the driver") }
					h.Prepare = func(_ context.Context, _ *scripted.Conn, query string) error {
						if query == "panic in Prepare" {
							panic("from the driver")
						}
						return nil
					}
				})
				for range 5 {
					func() {
						defer func() {
							if v := recover(); v != "from the driver" {
								t.Errorf("recovered %v, want what the driver panicked with", v)
							}
						}()
						_ = op(t.Context(), f.db, stmt)
					}()
					if s := f.stats(); s.InUse != 0 || s.Total != 0 || f.Open() != 0 {
						t.Fatalf("%d in use and %d connections in all, %d open, want none", s.InUse, s.Total, f.Open())
					}
				}
				f.Script(func(h *scripted.Hooks) { *h = scripted.Hooks{} })
				f.exec(t, "fine")
			})
		})
	}
}

// TestPanicOfAValuer says nothing about the driver: the connection is kept.
func TestPanicOfAValuer(t *testing.T) {
	for _, name := range []string{"Exec", "Query", "Stmt.Exec", "Stmt.Query"} {
		for _, cache := range []int{0, pool.None} {
			t.Run(name, func(t *testing.T) {
				bubble(t, pool.Config{MaxConns: 1, StmtCache: cache}, scripted.Hooks{}, func(t *testing.T, f fixture) {
					stmt, err := f.db.PrepareContext(t.Context(), "?")
					if err != nil {
						t.Fatal(err)
					}
					defer stmt.Close()
					for range 5 {
						func() {
							defer func() {
								if v := recover(); v != "by choice" {
									t.Errorf("recovered %v", v)
								}
							}()
							_ = panickingOps[name](t.Context(), f.db, stmt, &panicky{"by choice"})
						}()
						if s := f.stats(); s.InUse != 0 {
							t.Fatal("the lease is lost")
						}
					}
					f.exec(t, "fine")
					if f.Opened() != 1 {
						t.Errorf("%d connections were opened, want 1", f.Opened())
					}
				})
			})
		}
	}
}

// TestPanicInAHeldSession: what the application may rely on is not pulled away
// beneath it, and where the driver panicked, the connection goes in the end.
func TestPanicInAHeldSession(t *testing.T) {
	hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
		if query == "panic" {
			panic("from the driver")
		}
		return nil
	}}
	for _, c := range []struct {
		name, query string
		args        []any
		kept        bool
	}{
		{"driver", "panic", nil, false},
		{"Valuer", "fine", []any{&panicky{"from a Valuer"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, pool.Config{}, hooks, func(t *testing.T, f fixture) {
				tx, err := f.db.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				func() {
					defer func() {
						if recover() == nil {
							t.Error("no panic")
						}
					}()
					_, _ = tx.ExecContext(t.Context(), c.query, c.args...)
				}()
				if _, err := tx.ExecContext(t.Context(), "goes on"); err != nil {
					t.Error(err)
				}
				if s := f.stats(); s.InUse != 1 || f.Count("1 exec goes on") != 1 {
					t.Errorf("%d in use inside the transaction, want 1; calls %q", s.InUse, f.Log())
				}
				if err := tx.Rollback(); err != nil {
					t.Error(err)
				}
				if s := f.stats(); (s.Idle == 1) != c.kept || s.InUse != 0 || f.Count("1 rollback") != 1 {
					t.Errorf("%d idle, %d in use; calls %q", s.Idle, s.InUse, f.Log())
				}
			})
		})
	}
}

// TestPanicKeepsTheSettingsOfAHeldConn: one lease, from the SET to the end.
func TestPanicKeepsTheSettingsOfAHeldConn(t *testing.T) {
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		c, err := f.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.ExecContext(t.Context(), "SET search_path = shop"); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() { _ = recover() }()
			_, _ = c.ExecContext(t.Context(), "?", &panicky{"by choice"})
		}()
		if _, err := c.ExecContext(t.Context(), "relies on it"); err != nil {
			t.Fatal(err)
		}
		if s := f.stats(); s.Acquires != 1 || s.InUse != 1 {
			t.Errorf("%d leases, %d in use, want one from beginning to end", s.Acquires, s.InUse)
		}
	})
}
