package tx_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/tx"
)

func TestNestedRunsKeepOrUndoTheirOwn(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		err := tx.Run(t.Context(), db.DB, func(ctx context.Context, outer *sql.Tx) error {
			if err := db.insert(1)(ctx, outer); err != nil {
				return err
			}
			if err := tx.Run(ctx, db.DB, func(ctx context.Context, inner *sql.Tx) error {
				if inner != outer {
					t.Error("the nested function has another transaction")
				}
				if err := tx.Run(ctx, db.DB, db.insert(2)); err != nil {
					return err
				}
				if err := tx.Run(ctx, db.DB, db.insert(3, 3)); tx.ClassOf(err) != tx.Integrity {
					t.Errorf("a key twice: %v", err)
				}
				return db.insert(4)(ctx, inner)
			}); err != nil {
				return err
			}
			if err := tx.Run(ctx, db.DB, func(ctx context.Context, inner *sql.Tx) error {
				if err := tx.Run(ctx, db.DB, db.insert(5)); err != nil {
					t.Error(err)
				}
				return errTest
			}); err != errTest {
				t.Errorf("error %v, want the nested function's own", err)
			}
			return db.insert(6)(ctx, outer)
		})
		if err != nil {
			t.Fatal(err)
		}
		db.wantIDs(t, 1, 2, 4, 6)
	})
}

// A function that hides a failure is undone where it is nested, and the outer one
// may go on.
func TestNestedRunHidesAFailure(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		err := tx.Run(t.Context(), db.DB, func(ctx context.Context, outer *sql.Tx) error {
			err := tx.Run(ctx, db.DB, func(ctx context.Context, inner *sql.Tx) error {
				_ = db.insert(1, 1)(ctx, inner)
				return nil
			})
			if !errors.Is(err, tx.ErrAborted) {
				t.Errorf("error %v", err)
			}
			return db.insert(2)(ctx, outer)
		})
		if err != nil {
			t.Fatal(err)
		}
		db.wantIDs(t, 2)
	}, "sqlite/nimue", "mariadb/nimue", "postgres") // elsewhere it cannot be seen
}

// The outer function recovers from the panic of a nested one, of which nothing must
// be kept.
func TestNestedPanic(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		err := tx.Run(t.Context(), db.DB, func(ctx context.Context, outer *sql.Tx) error {
			func() {
				defer func() {
					if v := recover(); v != errTest {
						t.Errorf("recovered %v", v)
					}
				}()
				_ = tx.Run(ctx, db.DB, func(ctx context.Context, inner *sql.Tx) error {
					if err := db.insert(1)(ctx, inner); err != nil {
						t.Error(err)
					}
					panic(errTest)
				})
			}()
			if err := tx.Run(ctx, db.DB, db.insert(2)); err != nil {
				t.Error(err)
			}
			return db.insert(3)(ctx, outer)
		})
		if err != nil {
			t.Fatal(err)
		}
		db.wantIDs(t, 2, 3)
	}, "sqlite", "postgres")
}

func TestNestedCalls(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		err := tx.Run(t.Context(), db, func(ctx context.Context, _ *sql.Tx) error {
			if err := tx.Run(ctx, db, insert); err != nil {
				return err
			}
			if err := tx.Run(ctx, db, func(context.Context, *sql.Tx) error { return errTest }); err != errTest {
				t.Error(err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		wantCalls(t, d, "1 begin", "1 exec SAVEPOINT nimue_1", "1 exec INSERT", "1 exec RELEASE SAVEPOINT nimue_1",
			"1 exec SAVEPOINT nimue_2", "1 exec ROLLBACK TO SAVEPOINT nimue_2", "1 exec RELEASE SAVEPOINT nimue_2", "1 commit")
	})
}

// Only the outermost Run repeats, and all of it, whatever the nested one asks for.
func TestNestedRunIsNotRetriedByItself(t *testing.T) {
	fails := 0
	hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
		if query == "INSERT" && fails > 0 {
			fails--
			return conflict
		}
		return nil
	}}
	bubble(t, hooks, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		fails = 2
		outer, inner := 0, 0
		err := tx.Run(t.Context(), db, func(ctx context.Context, _ *sql.Tx) error {
			outer++
			return tx.Run(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
				inner++
				return insert(ctx, tx)
			}, tx.Retries(9))
		}, tx.Retries(2))
		if err != nil || outer != 3 || inner != 3 || d.Count("begin") != 3 {
			t.Errorf("%v after %d and %d calls in %d transactions", err, outer, inner, d.Count("begin"))
		}
	})
}

// Where the savepoint has gone, the database has rolled back everything.
func TestNestedRunThatCannotBeUndone(t *testing.T) {
	gone := errors.New("no such savepoint")
	hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
		if query == "ROLLBACK TO SAVEPOINT nimue_1" {
			return gone
		}
		return nil
	}}
	bubble(t, hooks, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		err := tx.Run(t.Context(), db, func(ctx context.Context, _ *sql.Tx) error {
			if err := tx.Run(ctx, db, func(context.Context, *sql.Tx) error { return errTest }); err != errTest {
				t.Error(err)
			}
			return nil
		})
		if !errors.Is(err, tx.ErrAborted) || !errors.Is(err, errTest) || !errors.Is(err, gone) || d.Count("commit") != 0 {
			t.Errorf("error %v, calls %q", err, d.Log())
		}
	})
}

func TestNestedOptions(t *testing.T) {
	for name, test := range map[string]struct {
		outer, inner tx.Option
		refused      string
	}{
		"same level":      {tx.Isolation(sql.LevelSerializable), tx.Isolation(sql.LevelSerializable), ""},
		"none":            {tx.Isolation(sql.LevelSerializable), tx.Retries(1), ""},
		"both read-only":  {tx.ReadOnly(), tx.ReadOnly(), ""},
		"in a read-only":  {tx.ReadOnly(), tx.Retries(1), ""},
		"another level":   {tx.Isolation(sql.LevelReadCommitted), tx.Isolation(sql.LevelSerializable), "tx: nested Run: Isolation(Serializable) inside a transaction with Read Committed: want the same, or none"},
		"a level at all":  {tx.Retries(1), tx.Isolation(sql.LevelSerializable), "tx: nested Run: Isolation(Serializable) inside a transaction with Default: want the same, or none"},
		"read-only":       {tx.Retries(1), tx.ReadOnly(), "tx: nested Run: ReadOnly inside a transaction that is not"},
		"impossible ones": {tx.Retries(1), tx.Retries(-1), "tx: Retries(-1): want 0 or more"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
				err := tx.Run(t.Context(), db, func(ctx context.Context, _ *sql.Tx) error {
					err := tx.Run(ctx, db, insert, test.inner)
					if test.refused == "" && err != nil || test.refused != "" && (err == nil || err.Error() != test.refused) {
						t.Errorf("error %v, want %q", err, test.refused)
					}
					return nil
				}, test.outer)
				if err != nil {
					t.Error(err)
				}
				if executed := d.Count("exec") > 0; executed == (test.refused != "") {
					t.Errorf("calls %q", d.Log())
				}
			})
		})
	}
}

// Another database, or a connection of its own, has a transaction of its own.
func TestRunWithinARunOfAnotherDatabase(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		other := scripted.New(scripted.Hooks{})
		second := sql.OpenDB(other)
		defer second.Close()
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		err = tx.Run(t.Context(), db, func(ctx context.Context, first *sql.Tx) error {
			if err := tx.Run(ctx, conn, insert); err != nil {
				t.Error(err)
			}
			return tx.Run(ctx, second, func(ctx context.Context, t *sql.Tx) error {
				if err := insert(ctx, t); err != nil {
					return err
				}
				return tx.Run(ctx, db, func(_ context.Context, nested *sql.Tx) error {
					if nested != first {
						return errors.New("the first database's transaction was not found")
					}
					return nil
				})
			})
		})
		if err != nil {
			t.Error(err)
		}
		wantCalls(t, other, "1 begin", "1 exec INSERT", "1 commit")
		if begun, saved := d.Count("begin"), d.Count("exec SAVEPOINT"); begun != 2 || saved != 1 {
			t.Errorf("calls %q", d.Log())
		}
	})
}

// What another database has repeated in vain is not repeated as a whole.
func TestRetriesAreNotMultiplied(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		other := scripted.New(scripted.Hooks{End: func(*scripted.Conn, bool) error { return conflict }})
		second := sql.OpenDB(other)
		defer second.Close()
		err := tx.Run(t.Context(), db, func(ctx context.Context, _ *sql.Tx) error { return tx.Run(ctx, second, insert) })
		if !errors.Is(err, conflict) || d.Count("begin") != 1 || other.Count("begin") != 4 {
			t.Errorf("%v after %d and %d attempts", err, d.Count("begin"), other.Count("begin"))
		}
	})
}

func TestTwoNestedRunsAtATime(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, _ *scripted.Driver) {
		err := tx.Run(t.Context(), db, func(ctx context.Context, _ *sql.Tx) error {
			return tx.Run(ctx, db, func(context.Context, *sql.Tx) error {
				err := tx.Run(ctx, db, insert) // the outer function's context
				wantError(t, err, "another one is under way at this level")
				return nil
			})
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A goroutine of the function's is still in a nested Run when that returns: to
// commit would be to commit half of it.
func TestNestedRunOutlivesItsFunction(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		var wg sync.WaitGroup
		var late error
		release := make(chan bool)
		err := tx.Run(t.Context(), db, func(ctx context.Context, _ *sql.Tx) error {
			inside := make(chan bool)
			wg.Go(func() {
				late = tx.Run(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
					close(inside)
					<-release
					return insert(ctx, tx)
				})
			})
			<-inside
			return nil
		})
		close(release)
		wg.Wait()
		wantError(t, err, "still under way in another goroutine")
		if !errors.Is(late, sql.ErrTxDone) || d.Count("commit") != 0 {
			t.Errorf("the late one: %v; calls %q", late, d.Log())
		}
	})
}

func TestNestedRunAfterTheEnd(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		var kept context.Context
		for _, end := range []func() error{func() error { return nil }, func() error { runtime.Goexit(); return nil }} {
			var wg sync.WaitGroup
			wg.Go(func() {
				_ = tx.Run(t.Context(), db, func(ctx context.Context, _ *sql.Tx) error { kept = ctx; return end() })
			})
			wg.Wait()
			wantError(t, tx.Run(kept, db, insert), "has ended")
		}
		if d.Count("exec") != 0 {
			t.Errorf("calls %q", d.Log())
		}
	})
}
