package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// sharing is a pool of one connection whose *sql.Conn share it.
var sharing = pool.Config{MaxConns: 1, LeaseMode: pool.LeaseTransaction}

func mustConn(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func inUse(f fixture) int { return nimue.PoolOf(f.db).Stats().InUse }

// A *sql.Conn has a connection while something of its session is open, and no
// longer.
func TestSharedLeaseLastsAsLongAsSomethingIsOpen(t *testing.T) {
	ctx := context.Background()
	for name, step := range map[string]func(t *testing.T, conn *sql.Conn, held func(bool)) error{
		"exec": func(t *testing.T, conn *sql.Conn, held func(bool)) error {
			_, err := conn.ExecContext(ctx, "work")
			return err
		},
		"rows": func(t *testing.T, conn *sql.Conn, held func(bool)) error {
			rows, err := conn.QueryContext(ctx, "work")
			if err != nil {
				return err
			}
			held(true)
			return rows.Close()
		},
		"two rows": func(t *testing.T, conn *sql.Conn, held func(bool)) error {
			first, err := conn.QueryContext(ctx, "work")
			if err != nil {
				return err
			}
			second, err := conn.QueryContext(ctx, "work")
			if err != nil {
				return err
			}
			held(true)
			if err := first.Close(); err != nil {
				return err
			}
			held(true)
			return second.Close()
		},
		"commit": func(t *testing.T, conn *sql.Conn, held func(bool)) error {
			tx, err := conn.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			held(true)
			if _, err := tx.Exec("work"); err != nil {
				return err
			}
			held(true)
			return tx.Commit()
		},
		"rollback": func(t *testing.T, conn *sql.Conn, held func(bool)) error {
			tx, err := conn.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			held(true)
			return tx.Rollback()
		},
		"statement": func(t *testing.T, conn *sql.Conn, held func(bool)) error {
			stmt, err := conn.PrepareContext(ctx, "work")
			if err != nil {
				return err
			}
			held(false)
			rows, err := stmt.Query()
			if err != nil {
				return err
			}
			held(true)
			return errors.Join(rows.Close(), stmt.Close())
		},
		"transaction in SQL text": func(t *testing.T, conn *sql.Conn, held func(bool)) error {
			for _, query := range []string{"BEGIN", "work"} {
				if _, err := conn.ExecContext(ctx, query); err != nil {
					return err
				}
				held(true)
			}
			_, err := conn.ExecContext(ctx, "COMMIT")
			return err
		},
		"ping": func(t *testing.T, conn *sql.Conn, held func(bool)) error { return conn.PingContext(ctx) },
		"raw": func(t *testing.T, conn *sql.Conn, held func(bool)) error {
			return nimue.Raw(conn, func(driver.Conn) error { held(true); return nil })
		},
		"pinned": func(t *testing.T, conn *sql.Conn, held func(bool)) error {
			pinned := nimue.Pin(ctx)
			for range 2 {
				if _, err := conn.ExecContext(pinned, "SET x = 1"); err != nil {
					return err
				}
				held(true)
			}
			_, err := conn.ExecContext(ctx, "work")
			return err
		},
		"failure": func(t *testing.T, conn *sql.Conn, held func(bool)) error {
			if _, err := conn.ExecContext(ctx, "fails"); err == nil {
				return errors.New("no error")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
				if query == "fails" {
					return errors.New("a mistake")
				}
				return nil
			}}
			bubble(t, sharing, hooks, func(t *testing.T, f fixture) {
				conn, other := mustConn(t, f.db), mustConn(t, f.db)
				held := func(want bool) {
					t.Helper()
					if got := inUse(f) == 1; got != want {
						t.Errorf("a connection is held: %v", got)
					}
				}
				for range 2 {
					if err := step(t, conn, held); err != nil {
						t.Fatal(err)
					}
					held(false)
					if _, err := other.ExecContext(ctx, "work"); err != nil { // on the same connection
						t.Fatal(err)
					}
				}
				_, _ = conn.Close(), other.Close()
				if f.Opened() != 1 {
					t.Errorf("%d connections", f.Opened())
				}
			})
		})
	}
}

// A held *sql.Conn survives the loss of its connection between two operations. In a
// transaction the loss is an error, and nothing is sent again.
func TestSharedConnSurvivesTheLossOfItsConnection(t *testing.T) {
	broken := false
	hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
		if broken {
			broken = false
			if query == "unsent" {
				return driver.ErrBadConn
			}
			return io.ErrUnexpectedEOF
		}
		return nil
	}}
	bubble(t, sharing, hooks, func(t *testing.T, f fixture) {
		ctx := t.Context()
		conn := mustConn(t, f.db)
		defer conn.Close()
		exec := func(query string) error { _, err := conn.ExecContext(ctx, query); return err }
		if err := exec("work"); err != nil {
			t.Fatal(err)
		}
		broken = true
		if err := exec("unsent"); err != nil {
			t.Errorf("what was not sent is not sent again: %v", err)
		}
		broken = true
		if err := exec("sent"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v", err)
		}
		if err := exec("work"); err != nil {
			t.Errorf("the next statement: %v", err)
		}
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		broken = true
		if _, err := tx.Exec("inside"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("inside a transaction: %v", err)
		}
		_ = tx.Rollback()
		synctest.Wait()
		if err := exec("work"); err != nil {
			t.Errorf("after the transaction: %v", err)
		}
		if n := f.Count("exec inside"); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
}

// A transaction whose context ends does not end the *sql.Conn.
func TestSharedConnOutlivesACancelledTransaction(t *testing.T) {
	bubble(t, sharing, scripted.Hooks{}, func(t *testing.T, f fixture) {
		conn := mustConn(t, f.db)
		defer conn.Close()
		ctx, cancel := context.WithCancel(t.Context())
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		if _, err := tx.Exec("late"); err == nil {
			t.Error("a transaction goes on after its context")
		}
		if _, err := conn.ExecContext(t.Context(), "work"); err != nil {
			t.Error(err)
		}
		if n := inUse(f); n != 0 {
			t.Errorf("%d in use", n)
		}
	})
}

// A commit that fails may leave the transaction open; nobody else gets it.
func TestSharedCommitThatFails(t *testing.T) {
	hooks := scripted.Hooks{End: func(_ *scripted.Conn, commit bool) error {
		if commit {
			return errors.New("busy")
		}
		return nil
	}}
	bubble(t, sharing, hooks, func(t *testing.T, f fixture) {
		conn := mustConn(t, f.db)
		defer conn.Close()
		tx, err := conn.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err == nil {
			t.Error("no error")
		}
		f.exec(t, "work")
		if n := f.Count("exec ROLLBACK"); n != 1 {
			t.Errorf("calls %q", f.Log())
		}
	})
}

// TestManyConnsShareFewConnections: 500 held *sql.Conn work over 5 connections,
// with transactions among their work, and every result is what it must be.
func TestManyConnsShareFewConnections(t *testing.T) {
	const conns, rounds, limit = 500, 6, 5
	for _, mode := range []string{"transaction", "session"} {
		workers := conns
		if mode == "session" {
			workers = limit // as many as can hold one
		}
		db, watch, app := onPostgres(t, fmt.Sprintf("pool_max_conns=%d&pool_lease=%s", limit, mode))
		table := "shared_" + mode
		for _, query := range []string{"DROP TABLE IF EXISTS " + table, "CREATE TABLE " + table + " (worker int, round int)"} {
			if _, err := watch.Exec(query); err != nil {
				t.Fatal(err)
			}
		}
		most := 0
		var wg sync.WaitGroup
		for w := range workers {
			conn := mustConn(t, db)
			wg.Go(func() {
				defer conn.Close()
				for round := range rounds {
					if err := shareWork(t.Context(), conn, table, w, round); err != nil {
						t.Errorf("%s: worker %d: %v", mode, w, err)
						return
					}
				}
			})
			if w%50 == 0 {
				most = max(most, sessions(t, watch, app))
			}
		}
		wg.Wait()
		if n := queryInt(t, watch, "SELECT count(DISTINCT (worker, round)) FROM "+table); n != workers*rounds {
			t.Errorf("%s: %d rows of %d", mode, n, workers*rounds)
		}
		if most = max(most, sessions(t, watch, app)); most > limit {
			t.Errorf("%s: %d sessions", mode, most)
		}
	}
}

// shareWork is a transaction, a query with its rows open for a while, and a
// prepared statement.
func shareWork(ctx context.Context, conn *sql.Conn, table string, worker, round int) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "INSERT INTO "+table+" VALUES ($1, $2)", worker, round); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+table+" WHERE worker = $1", worker).Scan(&n); err != nil || n != round+1 {
		return fmt.Errorf("round %d: %d rows: %w", round, n, err)
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	rows, err := conn.QueryContext(ctx, "SELECT i FROM generate_series(1, 50) AS i")
	if err != nil {
		return err
	}
	defer rows.Close()
	sum := 0
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			return err
		}
		sum += i
	}
	if err := rows.Err(); err != nil || sum != 1275 {
		return fmt.Errorf("sum %d: %w", sum, err)
	}
	stmt, err := conn.PrepareContext(ctx, "SELECT $1::int + 1")
	if err != nil {
		return err
	}
	defer stmt.Close()
	if err := stmt.QueryRowContext(ctx, worker).Scan(&n); err != nil || n != worker+1 {
		return fmt.Errorf("%d, want %d: %w", n, worker+1, err)
	}
	return nil
}

// Operations whose contexts have one key are served by one connection, and those of
// another by another, whatever the order; without a key there is no such preference.
func TestAffinityOfAContext(t *testing.T) {
	served := map[string]map[int]bool{}
	hooks := scripted.Hooks{Exec: func(_ context.Context, c *scripted.Conn, query string, _ []driver.NamedValue) error {
		if served[query] == nil {
			served[query] = map[int]bool{}
		}
		served[query][c.ID] = true
		return nil
	}}
	bubble(t, pool.Config{MaxConns: 2}, hooks, func(t *testing.T, f fixture) {
		work := func(key string) {
			t.Helper()
			if _, err := f.db.ExecContext(nimue.Affinity(t.Context(), key), key); err != nil {
				t.Fatal(err)
			}
		}
		work("a")
		f.raw(t, func(*scripted.Conn) { work("b") }) // while the first connection is taken
		clear(served)
		for _, key := range []string{"a", "b", "b", "a", "a", "b", "a"} {
			work(key)
		}
		if len(served["a"]) != 1 || len(served["b"]) != 1 || f.Opened() != 2 {
			t.Errorf("served by %v, %d connections", served, f.Opened())
		}
		for id := range served["a"] {
			if served["b"][id] {
				t.Errorf("both by connection %d", id)
			}
		}
		clear(served)
		for range 4 {
			f.exec(t, "nobody")
			if _, err := f.db.ExecContext(nimue.Affinity(nimue.Affinity(t.Context(), "b"), nil), "nobody"); err != nil {
				t.Fatal(err)
			}
		}
		if len(served["nobody"]) != 1 {
			t.Errorf("without a key served by %v, want the one used last", served["nobody"])
		}
	})
}
