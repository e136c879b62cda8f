package tx_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nimue-go/nimue/tx"
)

// TestHiddenFailure: a statement fails, the function goes on and returns nil.
func TestHiddenFailure(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		refused := 0
		err := tx.Run(t.Context(), db.DB, func(ctx context.Context, tr *sql.Tx) error {
			if err := db.insert(1)(ctx, tr); err != nil {
				return err
			}
			_ = db.insert(1)(ctx, tr) // a key that exists
			if err := db.insert(2)(ctx, tr); errors.Is(err, tx.ErrAborted) {
				refused++
			}
			return nil
		})
		if !db.nimue && db.kind != "postgres" {
			if err != nil {
				t.Errorf("error %v, but a failure that leaves the transaction as it was cannot be seen here", err)
			}
			db.wantIDs(t, 1, 2)
			return
		}
		if !errors.Is(err, tx.ErrAborted) {
			t.Errorf("error %v, want ErrAborted", err)
		}
		if db.nimue && (refused != 1 || tx.ClassOf(err) != tx.Integrity) {
			t.Errorf("%d statements refused; error %v, want the statement's own in it", refused, err)
		}
		db.wantIDs(t)
		if err := tx.Run(t.Context(), db.DB, db.insert(3)); err != nil {
			t.Errorf("the next transaction: %v", err)
		}
	})
}

// TestHiddenErrorOfRows: the query succeeds, and its rows end with an error that a
// loop without rows.Err does not notice.
func TestHiddenErrorOfRows(t *testing.T) {
	queries := map[string]string{
		"sqlite":   "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c LIMIT 9) SELECT abs(CASE i WHEN 5 THEN -9223372036854775808 ELSE i END) FROM c",
		"postgres": "SELECT 1 / (5 - i) FROM generate_series(1, 9) AS i",
	}
	onDatabases(t, func(t *testing.T, db database) {
		err := tx.Run(t.Context(), db.DB, func(ctx context.Context, tr *sql.Tx) error {
			if err := db.insert(1)(ctx, tr); err != nil {
				return err
			}
			rows, err := tr.QueryContext(ctx, queries[db.kind])
			if err != nil {
				return err
			}
			defer rows.Close()
			n := 0
			for rows.Next() {
				n++
			}
			if n != 4 || rows.Err() == nil {
				t.Errorf("%d rows, then %v", n, rows.Err())
			}
			return nil
		})
		if !errors.Is(err, tx.ErrAborted) {
			t.Errorf("error %v, want ErrAborted", err)
		}
		db.wantIDs(t)
	}, "sqlite/nimue", "postgres") // elsewhere it cannot be seen
}

// TestHiddenRollbackOfSQLite: the failure rolls back the transaction, and what
// follows would be committed statement by statement.
func TestHiddenRollbackOfSQLite(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		err := tx.Run(t.Context(), db.DB, func(ctx context.Context, tr *sql.Tx) error {
			if err := db.insert(1)(ctx, tr); err != nil {
				return err
			}
			if _, err := tr.ExecContext(ctx, "INSERT OR ROLLBACK INTO "+db.table+" (id) VALUES (1)"); err == nil {
				t.Error("no error")
			}
			_ = db.insert(2)(ctx, tr)
			return nil
		})
		if !errors.Is(err, tx.ErrAborted) {
			t.Errorf("error %v, want ErrAborted", err)
		}
		if db.nimue {
			db.wantIDs(t)
		} else {
			db.wantIDs(t, 2) // which is why the error matters
		}
	}, "sqlite")
}

// TestHiddenDeadlock: a deadlock of InnoDB's rolls the victim's transaction back,
// and what follows would be committed statement by statement.
func TestHiddenDeadlock(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		mustExec(t, db.DB, fmt.Sprintf("INSERT INTO %s (id, v) VALUES (1, 0), (2, 0)", db.table))
		victim := func(ctx context.Context, tr *sql.Tx) error {
			if err := db.insert(3)(ctx, tr); err != nil {
				return err
			}
			err := deadlock(t, ctx, db, tr)
			if tx.ClassOf(err) != tx.Conflict {
				t.Errorf("error %v, want a deadlock", err)
			}
			_ = db.insert(4)(ctx, tr)
			return nil
		}
		err := tx.Run(t.Context(), db.DB, victim, tx.Retries(0))
		if !errors.Is(err, tx.ErrAborted) {
			t.Errorf("error %v, want ErrAborted", err)
		}
		if db.nimue {
			db.wantIDs(t, 1, 2)
		} else {
			db.wantIDs(t, 1, 2, 4) // which is why the error matters
		}

		// What was hidden is a conflict, so it is repeated as one.
		if !db.nimue {
			return
		}
		attempts := 0
		err = tx.Run(t.Context(), db.DB, func(ctx context.Context, tr *sql.Tx) error {
			if attempts++; attempts == 1 {
				return victim(ctx, tr)
			}
			return db.insert(5)(ctx, tr)
		})
		if err != nil || attempts != 2 {
			t.Errorf("%v after %d attempts", err, attempts)
		}
		db.wantIDs(t, 1, 2, 5)
	}, "mariadb")
}

// A nested Run cannot contain such a deadlock, whatever the outer function makes of
// it.
func TestDeadlockInANestedRun(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		mustExec(t, db.DB, fmt.Sprintf("INSERT INTO %s (id, v) VALUES (1, 0), (2, 0)", db.table))
		err := tx.Run(t.Context(), db.DB, func(ctx context.Context, outer *sql.Tx) error {
			if err := db.insert(3)(ctx, outer); err != nil {
				return err
			}
			if err := tx.Run(ctx, db.DB, func(ctx context.Context, inner *sql.Tx) error {
				return deadlock(t, ctx, db, inner)
			}); tx.ClassOf(err) != tx.Conflict {
				t.Errorf("the nested Run: %v", err)
			}
			return nil
		}, tx.Retries(0))
		if !errors.Is(err, tx.ErrAborted) || tx.ClassOf(err) != tx.Conflict {
			t.Errorf("error %v, want ErrAborted because of a conflict", err)
		}
		db.wantIDs(t, 1, 2)
	}, "mariadb")
}

// With innodb_snapshot_isolation, MariaDB does not let a transaction change a row that
// has been changed since it read it: error 1020, which rolls it back like a deadlock.
func TestHiddenSnapshotConflict(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		mustExec(t, db.DB, fmt.Sprintf("INSERT INTO %s (id, v) VALUES (1, 0)", db.table))
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.ExecContext(t.Context(), "SET SESSION innodb_snapshot_isolation = ON"); err != nil {
			t.Skip(err) // older than 10.6.18
		}
		attempts := 0
		err = tx.Run(t.Context(), conn, func(ctx context.Context, tr *sql.Tx) error {
			attempts++
			var v int
			if err := tr.QueryRowContext(ctx, "SELECT v FROM "+db.table).Scan(&v); err != nil {
				return err
			}
			if attempts == 1 {
				mustExec(t, db.DB, "UPDATE "+db.table+" SET v = 10")
			}
			_, err := tr.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET v = %d", db.table, v+1))
			if attempts == 1 && tx.ClassOf(err) != tx.Conflict {
				t.Errorf("error %v, want a conflict", err)
			}
			return nil
		})
		if !db.nimue {
			if !errors.Is(err, tx.ErrAborted) || attempts != 1 {
				t.Errorf("%v after %d attempts, want ErrAborted", err, attempts)
			}
			return
		}
		var v int
		if scan := db.QueryRowContext(t.Context(), "SELECT v FROM "+db.table).Scan(&v); err != nil || scan != nil || attempts != 2 || v != 11 {
			t.Errorf("%v after %d attempts; v is %d, %v", err, attempts, v, scan)
		}
	}, "mariadb")
}

// deadlock makes tr the victim of a deadlock over the rows 1 and 2, and returns its
// error. InnoDB chooses the transaction that has changed fewer rows.
func deadlock(t *testing.T, ctx context.Context, db database, tr *sql.Tx) error {
	t.Helper()
	change := "UPDATE " + db.table + " SET v = v + 1 WHERE id = "
	if _, err := tr.ExecContext(ctx, change+"1"); err != nil {
		t.Error(err)
	}
	other, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Error(err)
		return err
	}
	defer other.Rollback()
	if err := db.insert(11, 12, 13, 14, 15, 16, 17, 18, 19)(ctx, other); err != nil {
		t.Error(err)
	}
	if _, err := other.ExecContext(ctx, change+"2"); err != nil {
		t.Error(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := other.ExecContext(ctx, change+"1") // waits for tr
		done <- err
	}()
	eventually(t, "the other transaction waits", func() bool {
		var name string
		var n int
		err := db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'").Scan(&name, &n)
		return err == nil && n > 0
	})
	_, err = tr.ExecContext(ctx, change+"2")
	if err := <-done; err != nil {
		t.Errorf("the other transaction: %v", err)
	}
	return err
}

// eventually waits for something that happens in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-ticker.C:
		}
	}
}

// The marker tells that a transaction has ended unawares.
func TestMarker(t *testing.T) {
	for name, test := range map[string]struct {
		opts    []tx.Option
		aborted bool
	}{
		"where there is none beneath": {nil, true},
		"without":                     {[]tx.Option{tx.Marker(false)}, false},
		"on demand":                   {[]tx.Option{tx.Marker(true)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			onDatabases(t, func(t *testing.T, db database) {
				create := func(ctx context.Context, tr *sql.Tx) error {
					_, err := tr.ExecContext(ctx, "CREATE TABLE "+db.table+"_x (id INTEGER)")
					return err
				}
				aborted := test.aborted && (!db.nimue || test.opts != nil)
				if err := tx.Run(t.Context(), db.DB, create, test.opts...); errors.Is(err, tx.ErrAborted) != aborted || !aborted && err != nil {
					t.Errorf("error %v, want ErrAborted: %t", err, aborted)
				}
				conn, err := db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if err := tx.Run(t.Context(), conn, db.insert(1), test.opts...); err != nil {
					t.Error(err)
				}
			}, "mariadb")
		})
	}
}

// A savepoint in SQL text contains a failure as a nested Run does.
func TestSavepointOfTheFunctionsOwn(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		err := tx.Run(t.Context(), db.DB, func(ctx context.Context, tr *sql.Tx) error {
			for _, text := range []string{"SAVEPOINT mine", "", "ROLLBACK TO mine"} {
				if text == "" {
					if err := db.insert(1, 1)(ctx, tr); tx.ClassOf(err) != tx.Integrity {
						t.Errorf("a key twice: %v", err)
					}
				} else if _, err := tr.ExecContext(ctx, text); err != nil {
					return err
				}
			}
			return db.insert(2)(ctx, tr)
		})
		if err != nil {
			t.Fatal(err)
		}
		db.wantIDs(t, 2)
	})
}
