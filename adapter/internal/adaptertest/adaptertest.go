// Package adaptertest holds what the tests of the adapters have in common.
package adaptertest

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
	"go.uber.org/goleak"
)

// Main is the TestMain of every adapter.
func Main(m *testing.M) { goleak.VerifyTestMain(servers.Tests{M: m}) }

// Patience bounds every wait for a condition.
const Patience = 20 * time.Second

// Eventually waits for something that happens in its own time.
func Eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(Patience)
	for !holds() {
		select {
		case <-deadline:
			tb.Fatalf("not within %v: %s", Patience, what)
		case <-ticker.C:
		}
	}
}

// Open opens a database of one driver's and closes it at the end of the test.
func Open(tb testing.TB, driver, dsn string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// OpenConnector opens a nimue database with a changed configuration.
func OpenConnector(tb testing.TB, dsn string, change func(*pool.Config)) *sql.DB {
	tb.Helper()
	connector, err := nimue.OpenConnector(dsn, change)
	if err != nil {
		tb.Fatal(err)
	}
	db := sql.OpenDB(connector)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// Execer is what statements can be executed on.
type Execer interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}

// Exec executes statements that must succeed.
func Exec(tb testing.TB, db Execer, statements ...string) {
	tb.Helper()
	for _, text := range statements {
		if _, err := db.ExecContext(tb.Context(), text); err != nil {
			tb.Fatalf("%s: %v", text, err)
		}
	}
}

// Queryer is what can be asked.
type Queryer interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// Query returns the one value that a query must have.
func Query[T any](tb testing.TB, db Queryer, text string, args ...any) (value T) {
	tb.Helper()
	if err := db.QueryRowContext(tb.Context(), text, args...).Scan(&value); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return value
}

// Stats are those of the pool beneath db.
func Stats(tb testing.TB, db *sql.DB) pool.Stats {
	tb.Helper()
	p := nimue.PoolOf(db)
	if p == nil {
		tb.Fatal("no pool")
	}
	return p.Stats()
}

// Settled waits until n connections are idle and nothing is under way.
func Settled(tb testing.TB, db *sql.DB, n int) {
	tb.Helper()
	Eventually(tb, "the pool has settled", func() bool {
		s := Stats(tb, db)
		return s.Idle == n && s.Total == n
	})
}

// Warm opens n connections, all at a time, and leaves them idle.
func Warm(tb testing.TB, db *sql.DB, n int) {
	tb.Helper()
	var conns []*sql.Conn
	for range n {
		conn, err := db.Conn(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		conns = append(conns, conn)
		Exec(tb, conn, "SELECT 1")
	}
	for _, conn := range conns {
		if err := conn.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	Settled(tb, db, n)
}
