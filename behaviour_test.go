package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

func TestBehaviour8RowsOutliveClose(t *testing.T) {
	const n = 1000
	hooks := scripted.Hooks{Query: func(context.Context, *scripted.Conn, string, []driver.NamedValue) ([][]driver.Value, error) {
		rows := make([][]driver.Value, n)
		for i := range rows {
			rows[i] = []driver.Value{int64(i)}
		}
		return rows, nil
	}}
	bubble(t, pool.Config{}, hooks, func(t *testing.T, f fixture) {
		rows, err := f.db.QueryContext(t.Context(), "SELECT")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.db.Close(); err != nil {
			t.Fatal(err)
		}
		if s := f.stats(); f.Open() != 1 || s.InUse != 1 {
			t.Errorf("%d open and %d in use after Close, want 1 and 1", f.Open(), s.InUse)
		}
		for i := range n {
			var got int
			if !rows.Next() {
				t.Fatalf("row %d: %v", i, rows.Err())
			}
			if err := rows.Scan(&got); err != nil || got != i {
				t.Fatalf("row %d: %d, %v", i, got, err)
			}
		}
		if f.Open() != 1 {
			t.Error("the connection was closed before the rows' end")
		}
		if rows.Next() || rows.Err() != nil {
			t.Errorf("after the last row: %v", rows.Err())
		}
		if s := f.stats(); f.Open() != 0 || s.Total != 0 {
			t.Errorf("%d open, %d connections at the rows' end; want none", f.Open(), s.Total)
		}
		calls := len(f.Log())
		if err := errors.Join(f.db.Close(), f.connector.Close()); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if _, err := f.connector.Pool().Acquire(t.Context()); !errors.Is(err, pool.ErrClosed) {
			t.Errorf("acquire after Close: %v", err)
		}
		if len(f.Log()) != calls {
			t.Errorf("the second Close called the driver: %q", f.Log()[calls:])
		}
	})
}

// dies are the errors with which drivers tell that a connection is dead.
var dies = map[string]error{"ErrBadConn": driver.ErrBadConn, "EOF": io.ErrUnexpectedEOF}

func TestBehaviour16KilledInsideATransaction(t *testing.T) {
	for name, death := range dies {
		t.Run(name, func(t *testing.T) {
			hooks := scripted.Hooks{Exec: func(_ context.Context, c *scripted.Conn, query string, _ []driver.NamedValue) error {
				if c.ID == 1 && query == "INSERT" {
					return death
				}
				return nil
			}}
			bubble(t, pool.Config{}, hooks, func(t *testing.T, f fixture) {
				f.exec(t, "earlier use")
				tx, err := f.db.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := tx.ExecContext(t.Context(), "INSERT"); !errors.Is(err, death) {
					t.Errorf("%v, want %v", err, death)
				}
				_ = tx.Rollback() // fails or not, as the driver has it
				if n, s := f.Count("INSERT"), f.stats(); n != 1 || s.Retries != 0 || f.Count("begin") != 1 {
					t.Errorf("sent %d times with %d retries: %q", n, s.Retries, f.Log())
				}
				f.exec(t, "INSERT")
				if n := f.Count("2 exec INSERT"); n != 1 || f.Opened() != 2 || f.Open() != 1 {
					t.Errorf("outside, sent %d times on connection 2; %d opened, %d open", n, f.Opened(), f.Open())
				}
			})
		})
	}
}

func TestBehaviour17CommitOnADeadConnection(t *testing.T) {
	for name, death := range dies {
		t.Run(name, func(t *testing.T) {
			hooks := scripted.Hooks{
				End: func(c *scripted.Conn, _ bool) error {
					if c.ID == 1 {
						return death
					}
					return nil
				},
				Valid: func(c *scripted.Conn) bool { return c.ID != 1 },
			}
			bubble(t, pool.Config{}, hooks, func(t *testing.T, f fixture) {
				run := func() error {
					tx, err := f.db.BeginTx(t.Context(), nil)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := tx.ExecContext(t.Context(), "INSERT"); err != nil {
						t.Fatal(err)
					}
					return tx.Commit()
				}
				if err := run(); !errors.Is(err, death) {
					t.Errorf("the commit: %v, want %v", err, death)
				}
				if err := run(); err != nil {
					t.Errorf("the next transaction: %v", err)
				}
				if s := f.stats(); f.Count("commit") != 2 || f.Count("2 commit") != 1 || s.Total != 1 || f.Open() != 1 {
					t.Errorf("%d connections, %d of them open: %q", s.Total, f.Open(), f.Log())
				}
			})
		})
	}
}

// TestBehaviour26Keepalive: a server that closes what was idle for a minute.
func TestBehaviour26Keepalive(t *testing.T) {
	for _, c := range []struct {
		name     string
		period   time.Duration
		check    pool.Check
		survives bool
	}{
		{"shorter", 45 * time.Second, pool.CheckNever, true},
		{"longer", 90 * time.Second, pool.CheckAuto, false},
		{"none", pool.None, pool.CheckAuto, false},
		{"none, and no check on acquire", pool.None, pool.CheckNever, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := scripted.New(closesAfter(time.Minute))
				connector, err := nimue.NewConnector(d, pool.Config{MaxConns: 3, MaxConnLifetime: pool.None,
					MaxConnIdleTime: pool.None, HealthCheckPeriod: c.period, CheckOnAcquire: c.check})
				if err != nil {
					t.Fatal(err)
				}
				db := sql.OpenDB(connector)
				defer db.Close()
				for i := range 5 {
					time.Sleep(time.Duration(i) * 10 * time.Minute)
					useThree(t, db)
				}
				if n := d.Opened(); (n == 3) != c.survives {
					t.Errorf("%d connections were made for the three", n)
				}
			})
		})
	}
}

// closesAfter is a server that closes connections that were idle for longer.
func closesAfter(patience time.Duration) scripted.Hooks {
	var mu sync.Mutex
	used := map[int]time.Time{}
	use := func(id int) error {
		mu.Lock()
		defer mu.Unlock()
		if last, known := used[id]; known && time.Since(last) > patience {
			return driver.ErrBadConn
		}
		used[id] = time.Now()
		return nil
	}
	return scripted.Hooks{
		Connect: func(_ context.Context, n int) error { return use(n) },
		Ping:    func(_ context.Context, c *scripted.Conn) error { return use(c.ID) },
		Exec:    func(_ context.Context, c *scripted.Conn, _ string, _ []driver.NamedValue) error { return use(c.ID) },
	}
}

// useThree has three *sql.Conn at a time execute a statement, where database/sql
// itself repeats nothing.
func useThree(t *testing.T, db *sql.DB) {
	t.Helper()
	for range 3 {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.ExecContext(t.Context(), "statement"); err != nil {
			t.Errorf("a caller saw %v", err)
		}
	}
}
