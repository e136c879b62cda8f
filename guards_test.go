package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// Guards of speed that count and never time: allocations, driver calls, prepares
// and connects for a given work. That the short way between two leases takes no
// lock is in package pool: TestParkingTakesNoLock.

// silent is an inner driver that does nothing and allocates nothing.
type silent struct{}

func (silent) Connect(context.Context) (driver.Conn, error) { return silentConn{}, nil }
func (silent) Driver() driver.Driver                        { return nil }

type silentConn struct{}

func (silentConn) Prepare(string) (driver.Stmt, error) { return silentStmt{}, nil }
func (silentConn) Close() error                        { return nil }
func (silentConn) Begin() (driver.Tx, error)           { return silentTx{}, nil }
func (silentConn) ResetSession(context.Context) error  { return nil }
func (silentConn) IsValid() bool                       { return true }
func (silentConn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, nil
}
func (silentConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return silentRows{}, nil
}

type silentTx struct{}

func (silentTx) Commit() error   { return nil }
func (silentTx) Rollback() error { return nil }

type silentStmt struct{}

func (silentStmt) Close() error                               { return nil }
func (silentStmt) NumInput() int                              { return -1 }
func (silentStmt) Exec([]driver.Value) (driver.Result, error) { return driver.ResultNoRows, nil }
func (silentStmt) Query([]driver.Value) (driver.Rows, error)  { return silentRows{}, nil }

type silentRows struct{}

func (silentRows) Columns() []string {
	return nil
}
func (silentRows) Close() error              { return nil }
func (silentRows) Next([]driver.Value) error { return driver.ErrSkip }

// TestGuardAllocations: an operation allocates through nimue what it allocates
// without it.
func TestGuardAllocations(t *testing.T) {
	c, err := nimue.NewConnector(silent{}, pool.Config{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	through, direct := sql.OpenDB(c), sql.OpenDB(silent{})
	defer through.Close()
	defer direct.Close()
	ctx := context.Background() // which needs no watch, whose goroutine would allocate at any time
	args := []any{1, "two"}
	for _, op := range []struct {
		name string
		run  func(db *sql.DB) error
	}{
		{"exec", func(db *sql.DB) error { _, err := db.ExecContext(ctx, "UPDATE t"); return err }},
		{"exec with arguments", func(db *sql.DB) error { _, err := db.ExecContext(ctx, "UPDATE t SET a = ?", args...); return err }},
		{"query", func(db *sql.DB) error {
			rows, err := db.QueryContext(ctx, "SELECT 1")
			if err == nil {
				err = rows.Close()
			}
			return err
		}},
		{"ping", func(db *sql.DB) error { return db.PingContext(ctx) }},
		{"conn", func(db *sql.DB) error {
			conn, err := db.Conn(ctx)
			if err == nil {
				err = conn.Close()
			}
			return err
		}},
	} {
		count := func(db *sql.DB) float64 {
			least := math.Inf(1) // other goroutines allocate, too, now and then
			for range 5 {
				least = min(least, testing.AllocsPerRun(200, func() {
					if err := op.run(db); err != nil {
						t.Fatal(err)
					}
				}))
			}
			return least
		}
		if direct, through := count(direct), count(through); through > direct {
			t.Errorf("%s: %v allocations, %v without nimue", op.name, through, direct)
		}
	}
}

// TestGuardDriverCalls: what the inner driver is called for in a statement of a
// warm pool is what database/sql would call it for.
func TestGuardDriverCalls(t *testing.T) {
	bubble(t, pool.Config{MaxConns: 2}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		f.exec(t, "warm")
		f.exec(t, "warm")
		before := len(f.Log())
		f.exec(t, "work")
		if got, want := f.Log()[before:], []string{"1 reset", "1 exec work"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// TestGuardPrepares: a statement that many goroutines use over many connections is
// prepared once on each connection.
func TestGuardPrepares(t *testing.T) {
	const uses, workers, conns = 500, 16, 8
	for _, auto := range []bool{false, true} {
		d := scripted.New(scripted.Hooks{})
		db := sql.OpenDB(newConnector(t, d, pool.Config{MaxConns: conns, AutoPrepare: auto}))
		const text = "UPDATE t SET a = ?"
		stmt, err := db.Prepare(text)
		if err != nil {
			t.Fatal(err)
		}
		inParallel(t, workers, uses/workers, func() error {
			var err error
			if auto {
				_, err = db.Exec(text, 1)
			} else {
				_, err = stmt.Exec(1)
			}
			return err
		})
		if prepares := d.Count("prepare " + text); prepares > d.Opened() || d.Opened() > conns {
			t.Errorf("auto %v: %d prepares on %d connections", auto, prepares, d.Opened())
		}
		_ = stmt.Close()
		_ = db.Close()
	}
}

// TestGuardConnects: with defaults, no work dials more than twenty connections,
// and it keeps them.
func TestGuardConnects(t *testing.T) {
	d := scripted.New(scripted.Hooks{})
	db := sql.OpenDB(newConnector(t, d, pool.Config{}))
	defer db.Close()
	for round := range 3 {
		inParallel(t, 64, 50, func() error { _, err := db.Exec("work"); return err })
		if n := d.Opened(); n > pool.DefaultMaxConns || d.Most() > pool.DefaultMaxConns {
			t.Errorf("round %d: %d connections made, %d at a time", round, n, d.Most())
		}
	}
	if n := d.Count("close"); n != 0 {
		t.Errorf("%d closed", n)
	}
}

// inParallel has each of so many workers do something so many times.
func inParallel(t *testing.T, workers, times int, do func() error) {
	t.Helper()
	failed := make(chan error, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for n := range times {
				if err := do(); err != nil {
					failed <- fmt.Errorf("time %d: %w", n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
}
