//go:build unix

package pgx

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/conformance/servers"
)

// throughPgBouncer are the parameters that fit its transaction mode. pgx prepares
// nothing on the server that another client's transaction would not find. And since
// PgBouncer welcomes clients while it cannot reach the server, a new connection has
// to prove that it leads somewhere; without that the caller would be the one to find out.
const throughPgBouncer = "default_query_exec_mode=exec&pool_stmt_cache=0&pool_init_sql=SELECT+1"

var rowNumber atomic.Int64

// bouncerLoad runs transactions from several goroutines until the returned function
// is called, which tells how many rows were acknowledged, and the errors.
func bouncerLoad(t *testing.T, db *sql.DB) (stop func() (acknowledged int, failures []error)) {
	t.Helper()
	var (
		done     atomic.Int64
		ending   atomic.Bool
		workers  sync.WaitGroup
		mu       sync.Mutex
		failures []error
	)
	transact := func(n int64) error {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(t.Context(), "INSERT INTO load VALUES ($1)", n); err != nil {
			return err
		}
		return tx.Commit()
	}
	for range 16 {
		workers.Go(func() {
			for !ending.Load() {
				if err := transact(rowNumber.Add(1)); err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
					continue
				}
				done.Add(1)
			}
		})
	}
	return func() (int, []error) {
		ending.Store(true)
		workers.Wait()
		return int(done.Load()), failures
	}
}

// reconcile compares what was acknowledged with what is there.
func reconcile(t *testing.T, watch *sql.DB, acknowledged int, failures []error) {
	t.Helper()
	rows := adaptertest.Query[int](t, watch, "SELECT count(*) FROM load")
	twice := adaptertest.Query[int](t, watch, "SELECT count(*) - count(DISTINCT n) FROM load")
	if rows < acknowledged || rows > acknowledged+len(failures) || twice != 0 {
		t.Errorf("%d rows, %d of them twice, but %d acknowledged and %d failed", rows, twice, acknowledged, len(failures))
	}
	t.Logf("%d acknowledged, %d failed", acknowledged, len(failures))
}

func TestPgBouncerRestartsAreRiddenOut(t *testing.T) {
	postgres, err := servers.StartPostgres(t.Context(), servers.PostgresOptions{Settings: map[string]string{"synchronous_commit": "on"}})
	servers.Require(t, err)
	t.Cleanup(postgres.Stop)
	watch := adaptertest.Open(t, "pgx", postgres.URL("postgres"))
	adaptertest.Exec(t, watch, "CREATE TABLE load (n bigint)")
	bouncer := servers.PgBouncer(t, postgres)
	db := adaptertest.Open(t, "nimue", "pgx:"+bouncer.URL("postgres")+"&"+throughPgBouncer+"&pool_max_conns=16&pool_outage_grace=20s")

	stop := bouncerLoad(t, db)
	progress := func(what string) {
		t.Helper()
		before := adaptertest.Query[int](t, watch, "SELECT count(*) FROM load")
		adaptertest.Eventually(t, what, func() bool {
			var rows int
			err := watch.QueryRowContext(t.Context(), "SELECT count(*) FROM load").Scan(&rows)
			return err == nil && rows > before+100
		})
	}
	progress("the load runs")
	for _, mode := range []servers.StopMode{servers.Fast, servers.Kill} {
		if err := bouncer.Restart(context.Background(), mode); err != nil {
			t.Fatal(err)
		}
		progress("the load runs after a restart of PgBouncer")
	}
	acknowledged, failures := stop()
	if len(failures) > 32 { // those under way, twice
		t.Errorf("%d failures, the first: %v", len(failures), failures[0])
	}
	reconcile(t, watch, acknowledged, failures)

	stop = bouncerLoad(t, db)
	progress("the load runs")
	if err := postgres.Restart(context.Background(), servers.Immediate); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, "PostgreSQL is back", func() bool { return watch.PingContext(t.Context()) == nil })
	progress("the load runs after a restart of PostgreSQL")
	more, failed := stop()
	if len(failed) > 48 { // those under way, and those whose client connection PgBouncer kept
		t.Errorf("%d failures, the first: %v", len(failed), failed[0])
	}
	reconcile(t, watch, acknowledged+more, append(failures, failed...))
}

func TestPgBouncerClientLimitIsRiddenOut(t *testing.T) {
	postgres := servers.SharedPostgres(t)
	bouncer, err := servers.StartPgBouncer(t.Context(), postgres, servers.PgBouncerOptions{
		PoolSize: 2,
		Settings: map[string]string{"max_client_conn": "5"},
	})
	servers.Require(t, err)
	t.Cleanup(bouncer.Stop)
	watch := adaptertest.Open(t, "pgx", postgres.URL("postgres"))
	adaptertest.Exec(t, watch, "DROP TABLE IF EXISTS load", "CREATE TABLE load (n bigint)")
	db := adaptertest.Open(t, "nimue", fmt.Sprintf("pgx:%s&%s&pool_max_conns=20", bouncer.URL("postgres"), throughPgBouncer))
	stop := bouncerLoad(t, db)
	adaptertest.Eventually(t, "the load runs", func() bool {
		return adaptertest.Query[int](t, watch, "SELECT count(*) FROM load") > 500
	})
	acknowledged, failures := stop()
	if len(failures) > 0 {
		t.Errorf("%d failures, the first: %v", len(failures), failures[0])
	}
	reconcile(t, watch, acknowledged, failures)
	if s := adaptertest.Stats(t, db); s.ConnectErrors == 0 {
		t.Error("the limit was never met")
	}
}

func TestRoleIsCheckedThroughPgBouncer(t *testing.T) {
	bouncer := servers.PgBouncer(t, servers.SharedPostgres(t))
	db := adaptertest.Open(t, "nimue", "pgx:"+bouncer.URL("postgres")+"&"+throughPgBouncer+"&pool_max_conns=1")
	adaptertest.Exec(t, db, "CREATE TABLE IF NOT EXISTS roles (n int)")
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	refusedWrite(t, tx)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	adaptertest.Settled(t, db, 1)
	if s := adaptertest.Stats(t, db); s.Retired.Total() != 0 || s.Resets == 0 {
		t.Errorf("retired %v after %d checks", s.Retired, s.Resets)
	}
}
