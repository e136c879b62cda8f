package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Tests{M: m}) }

// mustOpen opens a nimue database that is closed at the test's end.
func mustOpen(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("nimue", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// sqliteDSN is a fresh database file behind nimue, with more settings appended.
func sqliteDSN(t testing.TB, settings string) string {
	return "sqlite:file:" + filepath.Join(t.TempDir(), "test.db") +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" + settings
}

func mustExec(t testing.TB, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, query string, args ...any) sql.Result {
	t.Helper()
	r, err := db.ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return r
}

func queryInt(t testing.TB, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestOpenOneLineChange(t *testing.T) {
	db := mustOpen(t, sqliteDSN(t, "&pool_max_conns=4&pool_name=shop"))
	mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
	r := mustExec(t, db, "INSERT INTO t (name) VALUES (?), (?)", "a", "b")
	if id, err := r.LastInsertId(); id != 2 || err != nil {
		t.Errorf("LastInsertId %d, %v", id, err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, tx, "DELETE FROM t")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 2 {
		t.Errorf("%d rows", n)
	}
	p := nimue.PoolOf(db)
	if p == nil || p.Name() != "shop" || p.Config().MaxConns != 4 {
		t.Errorf("PoolOf: %+v", p)
	}
	if s := p.Stats(); s.InUse != 0 || s.Connects == 0 {
		t.Errorf("%+v", s)
	}
}

func TestOpenDialsNothing(t *testing.T) {
	d := scripted.New(scripted.Hooks{})
	name := register("scripted-open", d.Driver())
	db := mustOpen(t, name+":x")
	if nimue.PoolOf(db) == nil || d.Opened() != 0 {
		t.Errorf("%d dialled", d.Opened())
	}
	if err := db.Ping(); err != nil || d.Opened() != 1 {
		t.Errorf("%d dialled by Ping, %v", d.Opened(), err)
	}
}

func TestBehaviour4NothingIsDialledForABadDSN(t *testing.T) {
	d := scripted.New(scripted.Hooks{})
	name := register("scripted-bad", d.Driver())
	for _, settings := range []string{"pool_min_conns=-1", "pool_min_conns=11&pool_max_conns=10",
		"pool_max_conns=0", "pool_init_conns=5&pool_max_conns=4", "pool_ping_timeout=-1s", "pool_acquire_timeout=-250ms",
		"pool_max_conn_lifetime=-1h", "pool_max_conn_lifetime_jitter=-1s", "pool_max_conn_idle_time=-30m",
		"pool_connect_timeout=-10s", "pool_outage_grace=-5s", "pool_health_check_period=-15s"} {
		db, err := sql.Open("nimue", name+":x?"+settings)
		if err == nil {
			db.Close()
			t.Errorf("%s was accepted", settings)
			continue
		}
		key, _, _ := strings.Cut(settings, "=")
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s: the error does not name it: %v", settings, err)
		}
	}
	if d.Opened() != 0 {
		t.Errorf("%d dialled", d.Opened())
	}
}

func TestOpenErrors(t *testing.T) {
	for dsn, wants := range map[string][]string{
		"nosuch:x": {`unknown driver "nosuch"`, "registered:", "sqlite", "import"},
		"postgres://app:hunter2@db.internal/shop": {"pgx:postgres://app:xxxxx@db.internal/shop"},
		"sqlite:x\x00y":                            {"NUL"},
		"nimue:sqlite::memory:":                    {"nimue cannot be its own inner driver"},
		"pgx:postgres://app:hunter2@h:notaport/db": {"refuses its DSN", "pgx"},
	} {
		db, err := sql.Open("nimue", dsn)
		if err == nil { // pgx reads its DSN only when it connects
			err = db.Ping()
			db.Close()
			wants = nil
		}
		if err == nil {
			t.Errorf("%q was accepted", dsn)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: no %q in %v", dsn, want, err)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the password is in %v", dsn, err)
		}
	}
}

func TestEmptyDSNOpensAndFailsAtItsFirstUse(t *testing.T) {
	db := mustOpen(t, "")
	if _, ok := db.Driver().(*nimue.Driver); !ok || nimue.PoolOf(db) != nil {
		t.Errorf("driver %T, pool %v", db.Driver(), nimue.PoolOf(db))
	}
	if err := db.Ping(); err == nil || !strings.Contains(err.Error(), "pool_") {
		t.Errorf("error %v, want the grammar", err)
	}
}

func TestOldDriverWithoutConnector(t *testing.T) {
	d := scripted.New(scripted.Hooks{})
	name := register("scripted-openonly", struct{ driver.Driver }{d.Driver()})
	db := mustOpen(t, name+":x")
	mustExec(t, db, "x")
	if d.Count("exec x") != 1 {
		t.Errorf("calls %v", d.Log())
	}
}

// panicking is a driver whose every entrance panics.
type panicking struct{}

func (panicking) Open(string) (driver.Conn, error)               { panic("boom") }
func (panicking) OpenConnector(string) (driver.Connector, error) { panic("boom") }

func TestInnerDriverThatPanics(t *testing.T) {
	name := register("panics", panicking{})
	later := register("panics-later", struct{ driver.Driver }{panicking{}})
	if _, err := sql.Open("nimue", name+":x"); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("OpenConnector: %v", err)
	}
	err := mustOpen(t, later+":x").Ping()
	var pe *pool.PanicError
	if !errors.As(err, &pe) || !strings.Contains(err.Error(), "boom") {
		t.Errorf("Connect: %v", err)
	}
}

func TestUseAfterClose(t *testing.T) {
	db := mustOpen(t, sqliteDSN(t, ""))
	p := nimue.PoolOf(db)
	stmt, err := db.Prepare("SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	p.Close() // beneath database/sql, which still believes in it
	if _, err := stmt.Query(); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("statement: %v", err)
	}
	if err := db.Ping(); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("Ping: %v", err)
	}
	db.Close()
	if err := db.Ping(); err == nil || err.Error() != "sql: database is closed" {
		t.Errorf("after Close: %v", err)
	}
}

func TestNewConnector(t *testing.T) {
	if c, err := nimue.NewConnector(nil, pool.Config{}); c != nil || err == nil {
		t.Errorf("a nil connector: %v, %v", c, err)
	}
	d := scripted.New(scripted.Hooks{})
	if c, err := nimue.NewConnector(d, pool.Config{MaxConns: -3}); c != nil || err == nil {
		t.Errorf("a bad configuration: %v, %v", c, err)
	}
	c, err := nimue.NewConnector(d, pool.Config{MaxConns: 3, Name: "by hand"})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	if nimue.PoolOf(db) != c.Pool() || c.Pool().Name() != "by hand" {
		t.Error("PoolOf finds another pool")
	}
	mustExec(t, db, "x")
}

func TestPoolOfAForeignDatabase(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if p := nimue.PoolOf(db); p != nil {
		t.Errorf("a pool: %v", p)
	}
}

func TestImportGraph(t *testing.T) {
	for _, pkg := range []string{"github.com/nimue-go/nimue", "github.com/nimue-go/nimue/pool"} {
		out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			if !strings.HasPrefix(path, "github.com/nimue-go/nimue") && !strings.HasPrefix(path, "golang.org/x/sys") {
				t.Errorf("%s imports %s", pkg, path)
			}
			if pkg != "github.com/nimue-go/nimue" && path == "github.com/nimue-go/nimue" {
				t.Errorf("%s imports the root", pkg)
			}
		}
	}
}

func ExampleRaw() {
	db, _ := sql.Open("nimue", "sqlite::memory:?pool_max_conns=1")
	defer db.Close()
	conn, _ := db.Conn(context.Background())
	defer conn.Close()
	err := nimue.Raw(conn, func(inner driver.Conn) error {
		_, ok := inner.(driver.Pinger) // or the driver's own type
		fmt.Println("pings:", ok)
		return nil
	})
	fmt.Println(err)
	// Output:
	// pings: true
	// <nil>
}

// TestCloseClosesWhatNobodyUses: who closes a database may remove its files next.
func TestCloseClosesWhatNobodyUses(t *testing.T) {
	slow := scripted.Hooks{Close: func(*scripted.Conn) error { time.Sleep(100 * time.Millisecond); return nil }}
	bubble(t, pool.Config{MaxConns: 3, MinConns: 3}, slow, func(t *testing.T, f fixture) {
		synctest.Wait()
		held, err := f.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := held.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := f.db.Close(); err != nil {
			t.Error(err)
		}
		if n := f.Open(); n != 1 {
			t.Errorf("%d connections are open after Close, want the held one", n)
		}
		_ = held.Close()
		time.Sleep(100 * time.Millisecond)
	})
}

// TestCloseGivesUpOnADriverThatHangs after a second.
func TestCloseGivesUpOnADriverThatHangs(t *testing.T) {
	slow := scripted.Hooks{Close: func(*scripted.Conn) error { time.Sleep(time.Minute); return nil }}
	synctest.Test(t, func(t *testing.T) {
		db := sql.OpenDB(newConnector(t, scripted.New(slow), pool.Config{MinConns: 1}))
		synctest.Wait()
		start := time.Now()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("Close took %v", took)
		}
		time.Sleep(time.Minute)
	})
}

func TestUnknownDriverAndBadParametersInOneError(t *testing.T) {
	_, err := sql.Open("nimue", "nosuch:x?pool_max_conns=0&pool_foo=1")
	for _, want := range []string{"nosuch", "pool_max_conns", "pool_foo"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in: %v", want, err)
		}
	}
}
