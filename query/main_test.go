package query_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/servers"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Tests{M: m}) }

// onDatabases runs f on SQLite and PostgreSQL, through nimue, with a table of three
// customers. Afterwards no connection may be on lease.
func onDatabases(t *testing.T, f func(t *testing.T, db *sql.DB)) {
	for name, dsn := range map[string]func(*testing.T) string{
		"sqlite": func(t *testing.T) string {
			return "sqlite:file:" + filepath.ToSlash(t.TempDir()) + "/db?pool_max_conns=4"
		},
		"postgres": func(t *testing.T) string { return "pgx:" + servers.SharedPostgres(t).URL("postgres") },
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sql.Open("nimue", dsn(t))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for _, text := range []string{
				"DROP TABLE IF EXISTS customers",
				"CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT)",
				"INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com'), (2, 'Bob', NULL), (3, 'Cleo', NULL)",
			} {
				if _, err := db.ExecContext(t.Context(), text); err != nil {
					t.Fatal(err)
				}
			}
			f(t, db)
			wantNoLease(t, db)
		})
	}
}

// wantNoLease checks that nothing holds a connection. Rows that their context closes
// take a moment.
func wantNoLease(t *testing.T, db *sql.DB) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for nimue.PoolOf(db).Stats().InUse > 0 || db.Stats().InUse > 0 {
		select {
		case <-deadline:
			t.Fatalf("%d leases, %d handles in use", nimue.PoolOf(db).Stats().InUse, db.Stats().InUse)
		case <-ticker.C:
		}
	}
}

// wantError checks an error's text, after the place that it must name.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), "query: ") || !strings.Contains(err.Error(), "_test.go:") || !strings.HasSuffix(err.Error(), text) {
		t.Errorf("error %v\nwant query: file:line: … %s", err, text)
	}
}

// counting is a Queryer that counts.
type counting struct {
	*sql.DB
	asked int
}

func (c *counting) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	c.asked++
	return c.DB.QueryContext(ctx, text, args...)
}

func p[T any](v T) *T { return &v }
