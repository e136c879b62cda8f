package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// failures collects what a listener is told of operations that failed.
type failures struct {
	mu     sync.Mutex
	events []pool.Event
}

func (f *failures) PoolEvent(e pool.Event) {
	if e.Kind == pool.EventOperationFailed {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = append(f.events, e)
	}
}

// take returns the events since the last call, at rest.
func (f *failures) take() []pool.Event {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	events := f.events
	f.events = nil
	return events
}

// TestListenerSeesEveryError: wherever the driver answers with an error, the
// listener is told it, once, with the statement.
func TestListenerSeesEveryError(t *testing.T) {
	var fails string // the operation that does
	failing := func(operation string) error {
		if operation == fails {
			return errTest
		}
		return nil
	}
	hooks := scripted.Hooks{
		Ping: func(context.Context, *scripted.Conn) error { return failing("ping") },
		Exec: func(context.Context, *scripted.Conn, string, []driver.NamedValue) error { return failing("exec") },
		Query: func(context.Context, *scripted.Conn, string, []driver.NamedValue) ([][]driver.Value, error) {
			return [][]driver.Value{{int64(1)}, {int64(2)}}, failing("query")
		},
		Prepare: func(context.Context, *scripted.Conn, string) error { return failing("prepare") },
		Begin:   func(context.Context, *scripted.Conn, driver.TxOptions) error { return failing("begin") },
		Next: func(_ *scripted.Conn, left int) error {
			if left == 1 {
				return failing("next")
			}
			return nil
		},
		End: func(_ *scripted.Conn, commit bool) error {
			if commit {
				return failing("commit")
			}
			return failing("rollback")
		},
	}
	const text, masked = "SELECT 'hunter2'", "SELECT '#####'"
	read := func(rows *sql.Rows, err error) error {
		if err != nil {
			return err
		}
		for rows.Next() {
		}
		return errors.Join(rows.Err(), rows.Close())
	}
	in := func(ctx context.Context, db *sql.DB, end func(*sql.Tx) error) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		return end(tx)
	}
	for _, mode := range []pool.LeaseMode{pool.LeaseSession, pool.LeaseTransaction} {
		for _, c := range []struct {
			name, fails, statement string
			do                     func(context.Context, *sql.DB) error
		}{
			{"ping", "ping", "", func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) }},
			{"exec", "exec", masked, func(ctx context.Context, db *sql.DB) error { _, err := db.ExecContext(ctx, text); return err }},
			{"query", "query", masked, func(ctx context.Context, db *sql.DB) error { return read(db.QueryContext(ctx, text)) }},
			{"rows", "next", masked, func(ctx context.Context, db *sql.DB) error { return read(db.QueryContext(ctx, text)) }},
			{"prepare", "prepare", masked, func(ctx context.Context, db *sql.DB) error {
				stmt, err := db.PrepareContext(ctx, text)
				if err != nil {
					return err
				}
				return stmt.Close()
			}},
			{"statement", "exec", masked, func(ctx context.Context, db *sql.DB) error {
				stmt, err := db.PrepareContext(ctx, text)
				if err != nil {
					return err
				}
				defer stmt.Close()
				_, err = stmt.ExecContext(ctx)
				return err
			}},
			{"rows of a statement", "next", masked, func(ctx context.Context, db *sql.DB) error {
				stmt, err := db.PrepareContext(ctx, text)
				if err != nil {
					return err
				}
				defer stmt.Close()
				return read(stmt.QueryContext(ctx))
			}},
			{"begin", "begin", "", func(ctx context.Context, db *sql.DB) error { return in(ctx, db, (*sql.Tx).Commit) }},
			{"commit", "commit", "", func(ctx context.Context, db *sql.DB) error { return in(ctx, db, (*sql.Tx).Commit) }},
			{"rollback", "rollback", "", func(ctx context.Context, db *sql.DB) error { return in(ctx, db, (*sql.Tx).Rollback) }},
		} {
			t.Run(c.name, func(t *testing.T) {
				var heard failures
				fails = ""
				bubble(t, pool.Config{Listener: &heard, LeaseMode: mode, StmtCache: pool.None, MaxConns: 1}, hooks, func(t *testing.T, f fixture) {
					if err := c.do(t.Context(), f.db); err != nil {
						t.Fatal(err)
					}
					if events := heard.take(); len(events) != 0 {
						t.Errorf("told %v of what went well", events)
					}
					f.exec(t, "earlier")
					fails = c.fails
					if err := c.do(t.Context(), f.db); !errors.Is(err, errTest) {
						t.Fatalf("error %v", err)
					}
					events := heard.take()
					if len(events) != 1 || !errors.Is(events[0].Err, errTest) || events[0].Conn == 0 || events[0].Statement != c.statement {
						t.Errorf("told %+v", events)
					}
					fails = ""
				})
			})
		}
	}
}
