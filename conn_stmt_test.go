package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// Statements over changing connections, what the handle passes through as it is,
// and the behaviours of SEEDS that are the handle's.

// TestTwoQueriesOfOneTextAtOnce: the same inner statement must not serve both.
// The scripted driver refuses a statement whose rows are open.
func TestTwoQueriesOfOneTextAtOnce(t *testing.T) {
	type preparer interface {
		PrepareContext(context.Context, string) (*sql.Stmt, error)
	}
	check := func(t *testing.T, f fixture, on preparer) {
		t.Helper()
		stmt, err := on.PrepareContext(t.Context(), "SELECT")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		for range 3 { // the two inner statements serve again
			var open []*sql.Rows
			for range 2 {
				rows, err := stmt.QueryContext(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, rows)
			}
			for i, rows := range open {
				n := 0
				for rows.Next() {
					n++
				}
				if err := errors.Join(rows.Err(), rows.Close()); n != 1 || err != nil {
					t.Errorf("query %d has %d rows and %v, want 1", i+1, n, err)
				}
			}
		}
	}
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		tx, err := f.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		check(t, f, tx)
		if n := f.Count("prepare SELECT"); n != 2 {
			t.Errorf("prepared %d times in a transaction, want twice", n)
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
	})
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		c, err := f.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		check(t, f, c)
		if n := f.Count("prepare SELECT"); n > 3 { // the first one counts as busy to the end
			t.Errorf("prepared %d times on a *sql.Conn, want three times at most", n)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestFiveHundredUsesOfOneStatement: a statement is prepared once, however it is
// used, and at most twice on a *sql.Conn, whose first query is not watched.
func TestFiveHundredUsesOfOneStatement(t *testing.T) {
	const uses = 500
	use := func(t *testing.T, stmt *sql.Stmt) {
		t.Helper()
		for i := range uses {
			if i%2 == 0 {
				if err := stmt.QueryRowContext(t.Context()).Scan(new(int)); err != nil {
					t.Fatal(err)
				}
			} else if _, err := stmt.ExecContext(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	prepare := func(t *testing.T, stmt *sql.Stmt, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		use(t, stmt)
		if err := stmt.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		name string
		most int
		run  func(*testing.T, fixture)
	}{
		{"database", 1, func(t *testing.T, f fixture) {
			stmt, err := f.db.PrepareContext(t.Context(), "SELECT")
			prepare(t, stmt, err)
		}},
		{"transaction", 1, func(t *testing.T, f fixture) {
			tx, err := f.db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			stmt, err := tx.PrepareContext(t.Context(), "SELECT")
			prepare(t, stmt, err)
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
		}},
		{"statement of the database in a transaction", 1, func(t *testing.T, f fixture) {
			stmt, err := f.db.PrepareContext(t.Context(), "SELECT")
			if err != nil {
				t.Fatal(err)
			}
			tx, err := f.db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			prepare(t, tx.StmtContext(t.Context(), stmt), nil)
			if err := errors.Join(tx.Commit(), stmt.Close()); err != nil {
				t.Error(err)
			}
		}},
		{"conn", 2, func(t *testing.T, f fixture) {
			conn, err := f.db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stmt, err := conn.PrepareContext(t.Context(), "SELECT")
			prepare(t, stmt, err)
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
				c.run(t, f)
				if n := f.Count("prepare SELECT"); n < 1 || n > c.most {
					t.Errorf("prepared %d times, want %d at most", n, c.most)
				}
				if s := f.stats(); s.InUse != 0 || f.Opened() != 1 {
					t.Errorf("%d in use of %d opened, want 0 of 1", s.InUse, f.Opened())
				}
			})
		})
	}
}

// TestFailedStatementIsPreparedAgain, so that a stale plan never survives.
func TestFailedStatementIsPreparedAgain(t *testing.T) {
	bubble(t, pool.Config{}, badOnceOn(errTest), func(t *testing.T, f fixture) {
		stmt, err := f.db.PrepareContext(t.Context(), "bad plan")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		if _, err := stmt.ExecContext(t.Context()); err != errTest {
			t.Errorf("%v, want the driver's error as it is", err)
		}
		if _, err := stmt.ExecContext(t.Context()); err != nil {
			t.Error(err)
		}
		if n := f.Count("prepare bad plan"); n != 2 {
			t.Errorf("prepared %d times, want twice", n)
		}
	})
}

// The inner driver's transaction is what database/sql gets.
func TestInnerTxIsNotWrapped(t *testing.T) {
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		h := f.handle(t)
		tx, err := h.BeginTx(t.Context(), driver.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := tx.(*scripted.Tx); !ok {
			t.Errorf("the transaction is a %T", tx)
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		h.IsValid()
	})
}

func TestBehaviour9CloseThenAcquireBringsTheSameConnection(t *testing.T) {
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		// Two idle connections, so that there is a choice.
		rows, err := f.db.QueryContext(t.Context(), "open")
		if err != nil {
			t.Fatal(err)
		}
		f.exec(t, "second connection")
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		last := 0
		for i := range 5 {
			f.raw(t, func(c *scripted.Conn) {
				if i > 0 && c.ID != last {
					t.Errorf("lease %d has connection %d, want %d again", i, c.ID, last)
				}
				last = c.ID
			})
		}
		if f.Opened() != 2 {
			t.Errorf("%d connections were opened, want 2", f.Opened())
		}
	})
}

func TestBehaviour12TwentyStatementsOfThreeUsesTakeSevenConnections(t *testing.T) {
	bubble(t, pool.Config{MaxConnUses: 3}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		for range 20 {
			f.exec(t, "statement")
		}
		if f.Opened() != 7 {
			t.Errorf("%d connections, want 7", f.Opened())
		}
	})
}

func TestBehaviour12TransactionBegunAtTheLastUseFinishesOnItsConnection(t *testing.T) {
	bubble(t, pool.Config{MaxConnUses: 3}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		f.exec(t, "first use")
		f.exec(t, "second use")
		tx, err := f.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if _, err := tx.ExecContext(t.Context(), "inside"); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if in, commits := f.Count("1 exec inside"), f.Count("1 commit"); in != 10 || commits != 1 || f.Opened() != 1 {
			t.Errorf("%d statements and %d commits on connection 1, %d opened", in, commits, f.Opened())
		}
		if f.Open() != 0 {
			t.Error("the worn-out connection is still open")
		}
	})
}

func TestBehaviour18SyntaxErrorAfterAReconnectIsReportedAsItself(t *testing.T) {
	syntax := errors.New("syntax error at or near SELEKT")
	hooks := scripted.Hooks{Exec: func(_ context.Context, c *scripted.Conn, query string, _ []driver.NamedValue) error {
		switch {
		case query != "SELEKT":
			return nil
		case c.ID == 1:
			return driver.ErrBadConn
		}
		return syntax
	}}
	bubble(t, pool.Config{}, hooks, func(t *testing.T, f fixture) {
		f.exec(t, "SELECT")
		for range 2 { // after the reconnect, and where none is needed
			if _, err := f.db.ExecContext(t.Context(), "SELEKT"); err != syntax {
				t.Errorf("%v, want %v", err, syntax)
			}
		}
		f.exec(t, "SELECT")
		if s := f.stats(); f.Opened() != 2 || s.Idle != 1 {
			t.Errorf("%d connections were opened and %d are idle; want 2 and 1: a syntax error is no reason to reconnect", f.Opened(), s.Idle)
		}
	})
}

func TestBehaviour28CancelledPreparedQueriesHoldNoLease(t *testing.T) {
	var cancel context.CancelFunc
	hooks := scripted.Hooks{Query: func(ctx context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) ([][]driver.Value, error) {
		if strings.Contains(query, "during") {
			cancel()
			return nil, ctx.Err()
		}
		return [][]driver.Value{{int64(1)}, {int64(2)}}, nil
	}}
	bubble(t, pool.Config{MaxConns: 4}, hooks, func(t *testing.T, f fixture) {
		for _, text := range []string{"cancelled during the query", "cancelled with rows open"} {
			stmt, err := f.db.PrepareContext(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			for range 200 {
				var ctx context.Context
				ctx, cancel = context.WithCancel(t.Context())
				rows, err := stmt.QueryContext(ctx)
				if err == nil {
					rows.Next()
				}
				cancel()
				synctest.Wait() // database/sql closes the rows by itself
				if err != nil && err != context.Canceled || err == nil && rows.Err() != context.Canceled {
					t.Fatalf("%s: %v", text, err)
				}
			}
			if s := f.stats(); s.InUse != 0 || s.Total > 1 {
				t.Errorf("%s: %d in use, %d connections in all; want 0 and 1", text, s.InUse, s.Total)
			}
			if err := stmt.Close(); err != nil {
				t.Error(err)
			}
		}
		f.exec(t, "still there")
	})
}
