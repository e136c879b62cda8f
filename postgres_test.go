package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

var loadTime = flag.Duration("load", 2*time.Second, "how long TestPostgresBehaviour21ThousandGoroutines works")

// onPostgres opens nimue over the tests' PostgreSQL server, and a plain database
// to watch from. The application name tells the pool's sessions from others.
func onPostgres(t *testing.T, settings string) (db, watch *sql.DB, app string) {
	t.Helper()
	server := servers.SharedPostgres(t)
	app = fmt.Sprintf("test%d", time.Now().UnixNano())
	watch, err := sql.Open("pgx", server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { watch.Close() })
	if settings != "" {
		settings = "?" + settings
	}
	return mustOpen(t, "pgx:"+server.DSN("postgres")+" application_name="+app+settings), watch, app
}

// sessions counts the pool's sessions as the server sees them.
func sessions(t *testing.T, watch *sql.DB, app string) int {
	t.Helper()
	return queryInt(t, watch, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", app)
}

// eventually waits for something that the server does in its own time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not in twenty seconds: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func terminate(t *testing.T, watch *sql.DB, app string) {
	t.Helper()
	queryInt(t, watch, "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = $1", app)
}

func TestPostgresBehaviour1Floor(t *testing.T) {
	db, watch, app := onPostgres(t, "pool_min_conns=2&pool_max_conns=4")
	eventually(t, "two sessions", func() bool { return sessions(t, watch, app) == 2 })
	var conns []*sql.Conn
	for range 4 {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, c, "SELECT 1")
		conns = append(conns, c)
	}
	if n := sessions(t, watch, app); n != 4 {
		t.Errorf("%d sessions with four leases", n)
	}
	for _, c := range conns {
		c.Close()
	}
}

func TestPostgresBehaviour2IdleConnectionsAreClosedAtTheServer(t *testing.T) {
	db, watch, app := onPostgres(t, "pool_min_conns=2&pool_max_conns=4&pool_max_conn_idle_time=1s")
	var conns []*sql.Conn
	for range 4 {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, c, "SELECT 1")
		conns = append(conns, c)
	}
	if n := sessions(t, watch, app); n != 4 {
		t.Errorf("%d sessions with four leases", n)
	}
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "two sessions", func() bool { return sessions(t, watch, app) == 2 })
	if s := nimue.PoolOf(db).Stats(); s.Total != 2 || s.Retired[pool.ReasonIdleTime] != 2 {
		t.Errorf("%+v", s)
	}
}

func TestPostgresBehaviour8RowsOutliveClose(t *testing.T) {
	db, watch, app := onPostgres(t, "")
	rows, err := db.Query("SELECT generate_series(1, 100000)")
	if err != nil {
		t.Fatal(err)
	}
	rows.Next()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := nimue.PoolOf(db).Acquire(t.Context()); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("acquire after Close: %v", err)
	}
	if n := sessions(t, watch, app); n != 1 {
		t.Errorf("%d sessions while the rows are open, want theirs", n)
	}
	n := 1
	for rows.Next() {
		n++
	}
	if n != 100000 || rows.Err() != nil {
		t.Errorf("%d rows, %v", n, rows.Err())
	}
	rows.Close()
	eventually(t, "the session's end", func() bool { return sessions(t, watch, app) == 0 })
	if err := db.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestPostgresBehaviour13ReplacementHasInitOnly(t *testing.T) {
	db, watch, app := onPostgres(t, "pool_max_conns=1&pool_init_sql=SET+statement_timeout%3D54321")
	setting := func(name string) (v string) {
		if err := db.QueryRow("SELECT current_setting($1)", name).Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	mustExec(t, db, "SET work_mem = '12345kB'")
	if setting("work_mem") != "12345kB" || setting("statement_timeout") != "54321ms" {
		t.Fatalf("%s, %s", setting("work_mem"), setting("statement_timeout"))
	}
	terminate(t, watch, app)
	eventually(t, "a working connection", func() bool { return db.Ping() == nil })
	if got := setting("work_mem"); got == "12345kB" {
		t.Error("a SET of the earlier borrower is still there")
	}
	if got := setting("statement_timeout"); got != "54321ms" {
		t.Errorf("init SQL was not replayed: %s", got)
	}
}

func TestPostgresBehaviour13FailingInitSQL(t *testing.T) {
	db, watch, app := onPostgres(t, "pool_init_sql=SET+nonsense")
	err := db.Ping()
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "42601" {
		t.Errorf("error %v", err)
	}
	eventually(t, "no session", func() bool { return sessions(t, watch, app) == 0 })
}

func TestPostgresBehaviour14RawTransactionIsRolledBack(t *testing.T) {
	db, _, app := onPostgres(t, "pool_max_conns=1")
	mustExec(t, db, "CREATE TABLE "+app+" (id int)")
	defer mustExec(t, db, "DROP TABLE "+app)
	for _, begin := range []string{"BEGIN", "start transaction", "/* now */ begin", "SELECT 1; BEGIN"} {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, conn, begin)
		mustExec(t, conn, "INSERT INTO "+app+" VALUES (1)")
		conn.Close()
		if n := queryInt(t, db, "SELECT count(*) FROM "+app); n != 0 {
			t.Errorf("%s: %d rows persisted", begin, n)
		}
		if conn, err = db.Conn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := nimue.Raw(conn, func(inner driver.Conn) error {
			if status := inner.(*stdlib.Conn).Conn().PgConn().TxStatus(); status != 'I' {
				return fmt.Errorf("transaction status %c", status)
			}
			return nil
		}); err != nil {
			t.Errorf("%s: the next lease: %v", begin, err)
		}
		conn.Close()
	}
}

func TestPostgresBehaviour18ErrorsAreThemselves(t *testing.T) {
	db, watch, app := onPostgres(t, "pool_max_conns=1")
	mustExec(t, db, "SELECT 1")
	terminate(t, watch, app)
	eventually(t, "a working connection", func() bool { return db.Ping() == nil })
	before := nimue.PoolOf(db).Stats().Connects
	for range 5 {
		_, err := db.Exec("SELEKT 1")
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42601" {
			t.Errorf("error %v, want a syntax error", err)
		}
	}
	if after := nimue.PoolOf(db).Stats().Connects; after != before {
		t.Errorf("%d reconnects for syntax errors", after-before)
	}
}

func TestPostgresBehaviour28CancelledStatementsLeaveNothing(t *testing.T) {
	db, watch, app := onPostgres(t, "pool_max_conns=8")
	stmt, err := db.Prepare("SELECT pg_sleep($1)")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			limit := time.Duration(1+i%20) * time.Millisecond
			parent, leave := context.WithCancel(t.Context())
			defer leave()
			if i%2 == 0 { // half are cancelled, half run into their deadline
				defer time.AfterFunc(limit, leave).Stop()
				limit = time.Minute
			}
			ctx, cancel := context.WithTimeout(parent, limit)
			defer cancel()
			// A cancel request that reaches the server before the statement has
			// begun is lost, and only the statement's end ends it: 3 s at most.
			rows, err := stmt.QueryContext(ctx, 3.0)
			if err == nil {
				rows.Next()
				err = errors.Join(rows.Err(), rows.Close())
			}
			if err == nil {
				t.Error("three seconds' sleep ended in 20 ms")
			}
		})
	}
	wg.Wait()
	p := nimue.PoolOf(db)
	eventually(t, "no lease", func() bool { return p.Stats().InUse == 0 })
	eventually(t, "no sleeping session", func() bool {
		return queryInt(t, watch, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active'", app) == 0
	})
	// pgx closes a connection whose statement was cancelled in its own time.
	eventually(t, "at most 8 sessions", func() bool { return sessions(t, watch, app) <= 8 })
	stmt.Close()
	db.Close()
	eventually(t, "no session", func() bool { return sessions(t, watch, app) == 0 })
}

func TestPostgresBehaviour19NoSuchDatabase(t *testing.T) {
	server := servers.SharedPostgres(t)
	db := mustOpen(t, "pgx:"+server.DSN("no_such_database")+"?pool_acquire_timeout=1m&pool_outage_grace=1m")
	start := time.Now()
	err := db.Ping()
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "3D000" {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > pool.DefaultConnectTimeout {
		t.Errorf("the caller waited %v for a connect that failed for good", took)
	}
}

func TestPostgresShutdownByForce(t *testing.T) {
	db, watch, app := onPostgres(t, "")
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "SELECT 1")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := nimue.PoolOf(db).Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	eventually(t, "no session", func() bool { return sessions(t, watch, app) == 0 })
	if _, err := conn.ExecContext(t.Context(), "SELECT 1"); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("the holder's next call: %v", err)
	}
	conn.Close()
}

func TestPostgresPreparedOncePerConnection(t *testing.T) {
	db, _, _ := onPostgres(t, "pool_max_conns=4")
	stmt, err := db.Prepare("SELECT $1::int + 1")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range 100 {
				var n int
				if err := stmt.QueryRow(i).Scan(&n); err != nil || n != i+1 {
					t.Errorf("%d, %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	if s := nimue.PoolOf(db).Stats(); s.StmtMisses > s.Connects {
		t.Errorf("%d prepares on %d connections", s.StmtMisses, s.Connects)
	}
}

// TestPostgresBehaviour21ThousandGoroutines has 1,000 goroutines work over 8 connections, while the
// server is asked again and again how many sessions there are. With -load=1m it
// does so for a minute.
func TestPostgresBehaviour21ThousandGoroutines(t *testing.T) {
	db, watch, app := onPostgres(t, "pool_max_conns=8&pool_acquire_timeout=2m")
	ctx, cancel := context.WithTimeout(t.Context(), *loadTime)
	defer cancel()
	var wg sync.WaitGroup
	var done, failed atomic.Int64
	for i := range 1000 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				var got int
				err := db.QueryRowContext(t.Context(), "SELECT $1::int", i+n).Scan(&got)
				if err != nil || got != i+n {
					failed.Add(1)
					t.Errorf("%d: %d, %v", i+n, got, err)
					return
				}
				done.Add(1)
			}
		})
	}
	most := 0
	for ctx.Err() == nil {
		most = max(most, sessions(t, watch, app))
	}
	wg.Wait()
	if most > 8 || failed.Load() > 0 {
		t.Errorf("%d sessions at most, %d errors", most, failed.Load())
	}
	t.Logf("%d queries in %v, at most %d sessions, %d errors; %d connections made", done.Load(), *loadTime, most, failed.Load(), nimue.PoolOf(db).Stats().Connects)
}
