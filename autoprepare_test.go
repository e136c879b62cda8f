package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

func TestAutoPrepareUsesTheCache(t *testing.T) {
	bubble(t, pool.Config{MaxConns: 1, AutoPrepare: true}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		for i := range 5 {
			if _, err := f.db.Exec("UPDATE t SET a = ?", i); err != nil {
				t.Fatal(err)
			}
		}
		if n, execs := f.Count("prepare UPDATE t SET a = ?"), f.Count(" exec "); n != 1 || execs != 0 {
			t.Errorf("%d prepares, %d plain executions: %q", n, execs, f.Log())
		}
		if s := nimue.PoolOf(f.db).Stats(); s.StmtHits != 4 || s.StmtMisses != 1 {
			t.Errorf("%d hits, %d misses", s.StmtHits, s.StmtMisses)
		}
	})
}

// What may not be the same prepared as it is plain stays plain.
func TestAutoPrepareLeavesPlain(t *testing.T) {
	type mode int32 // as pgx's QueryExecMode
	for name, call := range map[string]struct {
		query string
		args  []any
	}{
		"no arguments":       {"SELECT 1", nil},
		"two statements":     {"UPDATE t SET a = ?; UPDATE t SET b = ?", []any{1, 2}},
		"a semicolon inside": {"UPDATE t SET a = ';' WHERE b = ?", []any{1}},
		"another verb":       {"PRAGMA something(?)", []any{1}},
		"a procedure":        {"CALL p(?)", []any{1}},
		"a driver's type":    {"SELECT ?", []any{mode(1)}},
		"a named argument":   {"SELECT :a", []any{sql.Named("a", 1)}},
		"a very long text":   {"SELECT ?" + strings.Repeat(" ", 9000), []any{1}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, pool.Config{MaxConns: 1, AutoPrepare: true}, scripted.Hooks{}, func(t *testing.T, f fixture) {
				for range 2 {
					if _, err := f.db.Exec(call.query, call.args...); err != nil {
						t.Fatal(err)
					}
				}
				if n, execs := f.Count("prepare "), f.Count(" exec "); n != 0 || execs != 2 {
					t.Errorf("%d prepares, %d plain executions: %q", n, execs, f.Log())
				}
			})
		})
	}
}

func TestAutoPrepareIsOffByDefault(t *testing.T) {
	bubble(t, pool.Config{MaxConns: 1}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		f.exec(t, "UPDATE t SET a = ?", 1)
		if n := f.Count("prepare "); n != 0 {
			t.Errorf("%d prepares", n)
		}
		if err := nimue.PoolOf(f.db).Update(func(c *pool.Config) { c.AutoPrepare = true }); err != nil {
			t.Fatal(err)
		}
		f.exec(t, "UPDATE t SET a = ?", 1)
		if n := f.Count("prepare "); n != 1 {
			t.Errorf("%d prepares once it is on", n)
		}
	})
}

func TestAutoPrepareNeedsACache(t *testing.T) {
	_, err := nimue.ParseDSN("x:y?pool_auto_prepare=on&pool_stmt_cache=0")
	if err == nil || !strings.Contains(err.Error(), "pool_auto_prepare") {
		t.Errorf("error %v", err)
	}
}

// A statement that cannot be prepared is executed plainly, whose error it is that
// the caller sees.
func TestAutoPrepareFallsBack(t *testing.T) {
	hooks := scripted.Hooks{Prepare: func(context.Context, *scripted.Conn, string) error { return errors.New("in other words") }}
	bubble(t, pool.Config{MaxConns: 1, AutoPrepare: true}, hooks, func(t *testing.T, f fixture) {
		f.exec(t, "UPDATE t SET a = ?", 1)
		if n := f.Count(" exec UPDATE"); n != 1 {
			t.Errorf("calls %q", f.Log())
		}
	})
}

// stale is what PostgreSQL says of a statement that it has forgotten.
type stale struct{}

func (stale) Error() string    { return `prepared statement "s" does not exist` }
func (stale) SQLState() string { return "26000" }

func TestStaleStatementsArePreparedAnew(t *testing.T) {
	forgotten := true
	hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
		if strings.HasPrefix(query, "UPDATE") && forgotten {
			forgotten = false
			return stale{}
		}
		return nil
	}}
	for _, auto := range []bool{false, true} {
		bubble(t, pool.Config{MaxConns: 1, AutoPrepare: auto}, hooks, func(t *testing.T, f fixture) {
			stmt, err := f.db.Prepare("UPDATE t SET a = ?")
			if err != nil {
				t.Fatal(err)
			}
			defer stmt.Close()
			use := func() error { _, err := stmt.Exec(1); return err }
			if auto {
				use = func() error { _, err := f.db.Exec("UPDATE t SET a = ?", 1); return err }
			}
			forgotten = true
			if err := use(); err != nil {
				t.Errorf("auto %v: %v", auto, err)
			}
			if n := f.Count("prepare "); n != 2 {
				t.Errorf("auto %v: %d prepares", auto, n)
			}
			tx, err := f.db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			forgotten = true // what the server does to the transaction is not known
			if _, err := tx.Exec("UPDATE t SET a = ?", 1); auto && err != (stale{}) {
				t.Errorf("in a transaction: %v", err)
			}
			if err := tx.Rollback(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The server forgets the session's statements, and so does the cache.
func TestStatementsEndedBySQL(t *testing.T) {
	for _, text := range []string{"DISCARD ALL", "/* now */ deallocate  all;", "DEALLOCATE PREPARE ALL"} {
		bubble(t, pool.Config{MaxConns: 1, AutoPrepare: true}, scripted.Hooks{}, func(t *testing.T, f fixture) {
			f.exec(t, "UPDATE t SET a = ?", 1)
			f.exec(t, text)
			f.exec(t, "UPDATE t SET a = ?", 1)
			if n, closed := f.Count("prepare "), f.Count("stmt-close"); n != 2 || closed != 1 {
				t.Errorf("%s: %d prepares, %d closed", text, n, closed)
			}
		})
	}
}

// engines are the real databases, each as a DSN without nimue's settings.
func engines(t *testing.T, name string) (driverName, dsn string) {
	t.Helper()
	switch name {
	case "sqlite":
		return name, "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "auto.db")) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"
	case "pgx":
		return name, servers.SharedPostgres(t).URL("postgres")
	default:
		return "mysql", servers.SharedMariaDB(t).DSN(servers.MariaDBDatabase)
	}
}

// TestAutoPrepareSeesSchemaChanges: a query that was prepared before a table
// changed shows the table as it is, on the connection that changed it and on
// another, and so does a statement of db.Prepare.
func TestAutoPrepareSeesSchemaChanges(t *testing.T) {
	for _, engine := range []string{"sqlite", "pgx", "mysql"} {
		for _, elsewhere := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/elsewhere=%v", engine, elsewhere), func(t *testing.T) {
				driverName, dsn := engines(t, engine)
				other, err := sql.Open(driverName, dsn)
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close()
				separator := "?"
				if strings.Contains(dsn, "?") {
					separator = "&"
				}
				db := mustOpen(t, driverName+":"+dsn+separator+"pool_max_conns=1&pool_auto_prepare=on")
				changer := db
				if elsewhere {
					changer = other
				}
				table := fmt.Sprintf("changing_%v", elsewhere)
				run := func(on *sql.DB, query string) {
					t.Helper()
					if _, err := on.Exec(query); err != nil {
						t.Fatal(err)
					}
				}
				run(db, "DROP TABLE IF EXISTS "+table)
				run(db, "CREATE TABLE "+table+" (id INTEGER, a INTEGER)")
				run(db, "INSERT INTO "+table+" VALUES (1, 2)")
				query := "SELECT * FROM " + table + " WHERE id = ?"
				if engine == "pgx" {
					query = "SELECT * FROM " + table + " WHERE id = $1"
				}
				stmt, err := db.Prepare(query)
				if err != nil {
					t.Fatal(err)
				}
				defer stmt.Close()
				plain := func() []string { return columnsOf(t, func() (*sql.Rows, error) { return db.Query(query, 1) }) }
				prepared := func() []string { return columnsOf(t, func() (*sql.Rows, error) { return stmt.Query(1) }) }
				want := "[id a]"
				check := func(change string) {
					t.Helper()
					for range 2 {
						if got := fmt.Sprint(plain()); got != want {
							t.Errorf("%s: columns %s, want %s", change, got, want)
						}
						if got := fmt.Sprint(prepared()); got != want {
							t.Errorf("%s: columns of the statement %s, want %s", change, got, want)
						}
					}
				}
				check("before")
				run(changer, "ALTER TABLE "+table+" ADD COLUMN b INTEGER")
				want = "[id a b]"
				check("a column more")
				run(changer, "DROP TABLE "+table)
				run(changer, "CREATE TABLE "+table+" (c INTEGER, id INTEGER)")
				run(changer, "INSERT INTO "+table+" VALUES (3, 1)")
				want = "[c id]"
				check("another table")
			})
		}
	}
}

// columnsOf reads all rows of a query, which must be one, and returns its columns.
func columnsOf(t *testing.T, query func() (*sql.Rows, error)) []string {
	t.Helper()
	rows, err := query()
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if err := rows.Err(); err != nil || n != 1 {
		t.Fatalf("%d rows: %v", n, err)
	}
	return columns
}

// TestPostgresStatementCache: the server has no more statements than the cache is
// to keep and a batch that waits to be closed, and what the application does to
// them shows as nothing but time.
func TestPostgresStatementCache(t *testing.T) {
	const kept, batch = 16, 16
	for _, auto := range []string{"off", "on"} {
		db, _, _ := onPostgres(t, fmt.Sprintf("pool_max_conns=1&pool_stmt_cache=%d&pool_auto_prepare=%s", kept, auto))
		use := func(i int) {
			t.Helper()
			query := fmt.Sprintf("SELECT $1::int + %d", i)
			if auto == "on" {
				if n := queryInt(t, db, query, 1); n != i+1 {
					t.Errorf("%s: %d", query, n)
				}
				return
			}
			stmt, err := db.Prepare(query)
			if err != nil {
				t.Fatal(err)
			}
			defer stmt.Close()
			var n int
			if err := stmt.QueryRow(1).Scan(&n); err != nil || n != i+1 {
				t.Errorf("%s: %d, %v", query, n, err)
			}
		}
		for i := range 200 {
			use(i)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM pg_prepared_statements"); n > kept+batch {
			t.Errorf("auto %s: %d statements at the server", auto, n)
		}
		before := nimue.PoolOf(db).Stats()
		for _, end := range []string{"DISCARD ALL", "DEALLOCATE ALL", "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"} {
			use(1)
			use(2)
			if _, err := db.Exec(end); err != nil {
				t.Fatal(err)
			}
			use(1) // the last one is unseen: the server says that it does not know the statement
			use(2)
		}
		if after := nimue.PoolOf(db).Stats(); after.Connects != before.Connects {
			t.Errorf("auto %s: %d connections more", auto, after.Connects-before.Connects)
		}
	}
}

// A cached SQLite statement that has been read to the end, or broken off, holds no
// lock and no snapshot.
func TestAutoPrepareHoldsNoLock(t *testing.T) {
	driverName, dsn := engines(t, "sqlite")
	other, err := sql.Open(driverName, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	db := mustOpen(t, driverName+":"+dsn+"&pool_max_conns=2&pool_auto_prepare=on")
	for _, query := range []string{"CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1), (2), (3)"} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if n := queryInt(t, db, "SELECT id FROM t WHERE id > ? ORDER BY id", 0); n != 1 { // breaks off after one
			t.Errorf("%d", n)
		}
		if _, err := other.Exec("INSERT INTO t VALUES (4)"); err != nil {
			t.Fatal(err)
		}
		var busy, log, done int
		if err := other.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done); err != nil || busy != 0 || log != 0 {
			t.Errorf("checkpoint: busy %d, %d frames left: %v", busy, log, err)
		}
	}
	if _, err := other.Exec("DROP TABLE t"); err != nil {
		t.Error(err)
	}
}
