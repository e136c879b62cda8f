package tx_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue/conformance/servers"
	_ "modernc.org/sqlite"
)

// A database is a real one, reached plainly or through nimue, with a table of its
// own for one test.
type database struct {
	*sql.DB
	kind  string // "sqlite", "postgres", "mariadb"
	nimue bool
	table string // with a column id, the primary key
}

var tables atomic.Int64

// onDatabases runs f on the given kinds of databases, or on the usual three, plainly
// and with nimue beneath, or only so if a kind ends in /nimue.
func onDatabases(t *testing.T, f func(t *testing.T, db database), kinds ...string) {
	open := map[string]func(*testing.T) (driver, dsn string){
		"sqlite":           func(t *testing.T) (string, string) { return "sqlite", sqliteFile(t) },
		"sqlite immediate": func(t *testing.T) (string, string) { return "sqlite", sqliteFile(t) + "&_txlock=immediate" },
		"postgres":         func(t *testing.T) (string, string) { return "pgx", servers.SharedPostgres(t).URL("postgres") },
		"mariadb": func(t *testing.T) (string, string) {
			return "mysql", servers.SharedMariaDB(t).DSN(servers.MariaDBDatabase)
		},
	}
	if len(kinds) == 0 {
		kinds = []string{"sqlite", "postgres", "mariadb"}
	}
	for _, kind := range kinds {
		kind, only, _ := strings.Cut(kind, "/")
		for _, through := range []string{"plain", "nimue"} {
			if only != "" && through != only {
				continue
			}
			t.Run(kind+" "+through, func(t *testing.T) {
				driver, dsn := open[kind](t)
				if through == "nimue" {
					driver, dsn = "nimue", driver+":"+dsn
				}
				db := mustOpen(t, driver, dsn)
				d := database{DB: db, kind: kind, nimue: through == "nimue", table: fmt.Sprintf("t%d", tables.Add(1))}
				mustExec(t, db, "CREATE TABLE "+d.table+" (id INTEGER PRIMARY KEY, v INTEGER)")
				f(t, d)
				if n := db.Stats().InUse; n != 0 {
					t.Errorf("%d connections are still in use", n)
				}
			})
		}
	}
}

func sqliteFile(t *testing.T) string {
	return "file:" + filepath.ToSlash(t.TempDir()) + "/db?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"
}

func mustOpen(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func mustExec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, text := range statements {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// insert returns a function for Run that inserts the ids.
func (d database) insert(ids ...int) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, t *sql.Tx) error {
		for _, id := range ids {
			if _, err := t.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s (id, v) VALUES (%d, 0)", d.table, id)); err != nil {
				return err
			}
		}
		return nil
	}
}

// wantIDs checks what is in the table.
func (d database) wantIDs(t *testing.T, want ...int) {
	t.Helper()
	rows, err := d.QueryContext(t.Context(), "SELECT id FROM "+d.table+" ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []int
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		got = append(got, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
}

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one that says %q", err, text)
	}
}
