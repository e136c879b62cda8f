package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// How a lease ends, and how the inner connection is reached during one.

func TestResultIsTakenWhileLeased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTestDriver(connExecs+connTells, 0, 0)
		db := sql.OpenDB(newConnector(t, d, pool.Config{}))
		defer db.Close()
		result, err := db.ExecContext(t.Context(), "no-id")
		if err != nil {
			t.Fatal(err)
		}
		var calls []string
		for _, c := range d.takeLog() {
			calls = append(calls, c.what)
		}
		if want := []string{"connect", "exec no-id []", "last id", "affected", "valid"}; !slices.Equal(calls, want) {
			t.Errorf("calls %q, want %q", calls, want)
		}
		if _, err := result.LastInsertId(); err != errTest {
			t.Errorf("LastInsertId: %v, want the driver's own error", err)
		}
		if n, err := result.RowsAffected(); n != int64(len("no-id")+1) || err != nil {
			t.Errorf("RowsAffected: %d, %v", n, err)
		}
		stmt, err := db.PrepareContext(t.Context(), "prepared")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		if result, err = stmt.ExecContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.takeLog()
		if id, err := result.LastInsertId(); id != int64(len("prepared")) || err != nil {
			t.Errorf("LastInsertId of a statement: %d, %v", id, err)
		}
		if log := d.takeLog(); len(log) != 0 {
			t.Errorf("the driver was asked after the lease: %v", log)
		}
	})
}

// TestLeaseOfAnEndedContextIsVerified, since rows may have been cut short where
// no error tells of it. All others are lent again as they are.
func TestLeaseOfAnEndedContextIsVerified(t *testing.T) {
	for name, ends := range map[string]bool{"ends": true, "goes on": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				rows, err := f.db.QueryContext(ctx, "SELECT")
				if err != nil {
					t.Fatal(err)
				}
				if ends {
					cancel()
				}
				if err := rows.Close(); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if pinged := f.Count("ping") == 1; pinged != ends {
					t.Errorf("calls: %q", f.Log())
				}
			})
		})
	}
}

// TestBadConnIsNotKept: a rollback that succeeds does not make up for a
// connection that said it is bad, which database/sql would lend again.
func TestBadConnIsNotKept(t *testing.T) {
	bubble(t, pool.Config{}, badOnceOn(driver.ErrBadConn), func(t *testing.T, f fixture) {
		tx, err := f.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "bad"); err != driver.ErrBadConn {
			t.Error(err)
		}
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
		if s := f.stats(); f.Open() != 0 || s.Retired[pool.ReasonBroken] != 1 {
			t.Errorf("%d connections are kept, want none", f.Open())
		}
	})
}

// TestCancelledTransactionTakesItsConnection where the driver has not both
// SessionResetter and Validator, and only there.
func TestCancelledTransactionTakesItsConnection(t *testing.T) {
	for conn, kept := range map[int]bool{0: false, connResets: false, connTells: false, connResets + connTells: true} {
		t.Run("has "+members(subsetOfConn(conn, &testConn{})), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newTestDriver(conn, 0, 0)
				c := newConnector(t, d, pool.Config{})
				db := sql.OpenDB(c)
				defer db.Close()
				ctx, cancel := context.WithCancel(t.Context())
				if _, err := db.BeginTx(ctx, nil); err != nil {
					t.Fatal(err)
				}
				cancel()
				synctest.Wait()
				if idle := c.Pool().Stats().Idle; (idle == 1) != kept {
					t.Errorf("%d connections are kept", idle)
				}
			})
		})
	}
}

// TestBehaviour14RawTransactionIsRolledBack on return, and where that is not possible
// the connection goes.
func TestBehaviour14RawTransactionIsRolledBack(t *testing.T) {
	for name, refuses := range map[string]bool{"rolled back": false, "rollback fails": true} {
		t.Run(name, func(t *testing.T) {
			hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
				if query == "ROLLBACK" && refuses {
					return errTest
				}
				return nil
			}}
			bubble(t, pool.Config{}, hooks, func(t *testing.T, f fixture) {
				c, err := f.db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, query := range []string{"BEGIN", "INSERT"} {
					if _, err := c.ExecContext(t.Context(), query); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if n := f.Count("1 exec ROLLBACK"); n != 1 {
					t.Errorf("rolled back %d times, want once: %q", n, f.Log())
				}
				f.raw(t, func(inner *scripted.Conn) {
					if inner.InTx {
						t.Error("the next lease is in a transaction")
					}
					if (inner.ID == 1) == refuses {
						t.Errorf("the next lease has connection %d", inner.ID)
					}
				})
			})
		})
	}
}

// TestNoRollbackWithoutNeed: what was ended by SQL text, or by the driver's Tx,
// costs nothing.
func TestNoRollbackWithoutNeed(t *testing.T) {
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		c, err := f.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range []string{"BEGIN", "INSERT", "COMMIT"} {
			if _, err := c.ExecContext(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
		tx, err := c.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "SAVEPOINT s"); err != nil {
			t.Error(err)
		}
		if err := errors.Join(tx.Commit(), c.Close()); err != nil {
			t.Error(err)
		}
		if s := f.stats(); s.Resets != 0 || f.Count("ROLLBACK") != 0 {
			t.Errorf("%d clean-ups: %q", s.Resets, f.Log())
		}
	})
}

// raw calls f with the inner connection of a *sql.Conn.
func (f fixture) raw(t *testing.T, use func(*scripted.Conn)) {
	t.Helper()
	c, err := f.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := nimue.Raw(c, func(inner driver.Conn) error { use(inner.(*scripted.Conn)); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestRawReturnsTheErrorAsItIs(t *testing.T) {
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		for _, want := range []error{nil, errTest, driver.ErrSkip, driver.ErrBadConn} {
			c, err := f.db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			opened := f.Opened()
			if err := nimue.Raw(c, func(driver.Conn) error { return want }); err != want {
				t.Errorf("got %v, want %v", err, want)
			}
			_, err = c.ExecContext(t.Context(), "afterwards")
			if done := want == driver.ErrBadConn; done != errors.Is(err, sql.ErrConnDone) {
				t.Errorf("after %v: %v", want, err)
			}
			_ = c.Close() // fails where it is done
			if s := f.stats(); s.Retries != 0 || want == driver.ErrBadConn && s.Retired[pool.ReasonBroken] != 1 || want == errTest && f.Opened() != opened {
				t.Errorf("after %v: %d retries, %d retired, %d opened", want, s.Retries, s.Retired.Total(), f.Opened())
			}
		}
	})
}

func TestRawOnForeignConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := scripted.New(scripted.Hooks{})
		for _, c := range []struct {
			name string
			db   *sql.DB
			want string // of the error; empty: none
		}{
			{"not nimue's", sql.OpenDB(d), "*scripted.Conn, not one of nimue's"},
			{"wrapped", sql.OpenDB(wrapping{newConnector(t, d, pool.Config{})}), ""},
			{"wrapped, not nimue's", sql.OpenDB(wrapping{d}), "*scripted.Conn, not one of nimue's"},
		} {
			conn, err := c.db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			called := false
			err = nimue.Raw(conn, func(driver.Conn) error { called = true; return nil })
			if called != (c.want == "") || called && err != nil || !called && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: called %t, error %v", c.name, called, err)
			}
			if err := errors.Join(conn.Close(), c.db.Close()); err != nil {
				t.Error(err)
			}
		}
	})
}

// wrapping wraps every connection as tracing drivers do.
type wrapping struct{ driver.Connector }

func (w wrapping) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := w.Connector.Connect(ctx)
	return wrapped{c}, err
}

// Close is what such wrappers like to forget: here it ends the pool.
func (w wrapping) Close() error {
	if c, ok := w.Connector.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

type wrapped struct{ driver.Conn }

func (w wrapped) Raw() driver.Conn { return w.Conn }

func TestPoolOf(t *testing.T) {
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		if p := nimue.PoolOf(f.db); p == nil || p != f.connector.Pool() {
			t.Errorf("PoolOf is %p, want %p", p, f.connector.Pool())
		}
		foreign := sql.OpenDB(f.Driver)
		defer foreign.Close()
		if p := nimue.PoolOf(foreign); p != nil {
			t.Errorf("PoolOf a database that is not nimue's is %p", p)
		}
		if s := f.stats(); s.Acquires != 0 {
			t.Error("PoolOf took a connection")
		}
	})
}

// TestForcedShutdownWaitsForRowsAndTransactions: their calls do not go through the
// handle, so nobody knows when one is under way, and a connection must not be
// closed beneath it. What is merely held is closed at once.
func TestForcedShutdownWaitsForRowsAndTransactions(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, c *sql.Conn) (done func()){
		"rows": func(t *testing.T, c *sql.Conn) func() {
			rows, err := c.QueryContext(t.Context(), "SELECT")
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = rows.Close() }
		},
		"rows of a statement": func(t *testing.T, c *sql.Conn) func() {
			stmt, err := c.PrepareContext(t.Context(), "SELECT")
			if err != nil {
				t.Fatal(err)
			}
			rows, err := stmt.QueryContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = rows.Close(); _ = stmt.Close() }
		},
		"a transaction": func(t *testing.T, c *sql.Conn) func() {
			tx, err := c.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = tx.Rollback() }
		},
		"nothing": func(t *testing.T, c *sql.Conn) func() {
			mustExec(t, c, "x")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
				held, err := f.db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				done := use(t, held)
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				if err := nimue.PoolOf(f.db).Shutdown(ctx); err == nil || !errors.Is(err, context.Canceled) {
					t.Errorf("Shutdown: %v", err)
				}
				want := 0
				if done != nil {
					want = 1
				}
				if f.Open() != want {
					t.Errorf("%d connections are open, want %d", f.Open(), want)
				}
				if done != nil {
					done()
				}
				if err := held.PingContext(t.Context()); !errors.Is(err, pool.ErrClosed) {
					t.Errorf("afterwards: %v", err)
				}
				_ = held.Close()
				synctest.Wait()
				if f.Open() != 0 {
					t.Error("left open")
				}
			})
		})
	}
}
