package pgx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

func init() { sql.Register("renamed", stdlib.GetDefaultDriver()) }

func TestDSNKeepsTheDriversName(t *testing.T) {
	server := servers.SharedPostgres(t)
	for _, name := range []string{"pgx", "pgx/v5", "renamed"} {
		dsn := name + ":" + server.URL("postgres") + "&pool_max_conns=1"
		parsed, err := nimue.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Driver != name {
			t.Errorf("the DSN names %q, want %q", parsed.Driver, name)
		}
		db := adaptertest.Open(t, "nimue", dsn)
		if got := adaptertest.Query[int](t, db, "SELECT 1"); got != 1 {
			t.Errorf("%s: got %d", name, got)
		}
		inner, err := nimue.InnerConnector(name, server.URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		if _, ours := inner.(*connector); !ours {
			t.Errorf("%s: the connector is a %T", name, inner)
		}
	}
}

// idleTrips counts the round trips of one statement after 1.3 s of idleness.
func idleTrips(t *testing.T, driver, dsn string, proxy *adaptertest.Proxy) int {
	t.Helper()
	db := adaptertest.Open(t, driver, dsn)
	for range 2 { // pgx prepares at the first
		adaptertest.Exec(t, db, "SELECT 1")
	}
	<-time.After(1300 * time.Millisecond) // pgx pings after a second
	before := proxy.Trips()
	adaptertest.Exec(t, db, "SELECT 1")
	return proxy.Trips() - before
}

func TestStatementAfterIdleTimeCostsOneRoundTrip(t *testing.T) {
	server := servers.SharedPostgres(t)
	proxy := adaptertest.NewProxy(t, server.Address())
	dsn := fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable", servers.PostgresUser, proxy.Address())
	if n := idleTrips(t, "pgx", dsn, proxy); n != 2 {
		t.Errorf("pgx alone took %d round trips; the test counts on its ping", n)
	}
	if n := idleTrips(t, "nimue", "pgx:"+dsn+"&pool_health_check_period=1h", proxy); n != 1 {
		t.Errorf("nimue took %d round trips, want 1", n)
	}
}

func TestSessionTerminatedWhileIdleIsReplacedUnnoticed(t *testing.T) {
	const n = 8
	db, watch, app := onPostgres(t, servers.SharedPostgres(t), "pool_max_conns=8&pool_health_check_period=1h")
	adaptertest.Warm(t, db, n)
	old := sessions(t, watch, app)
	terminate(t, watch, app)
	// Nobody asks for a connection meanwhile.
	adaptertest.Eventually(t, "eight new sessions", func() bool { return allNew(sessions(t, watch, app), old, n) })
	adaptertest.Settled(t, db, n)

	failed := make(chan error, 2*n)
	var callers sync.WaitGroup
	for range 2 * n {
		callers.Go(func() {
			if _, err := db.ExecContext(t.Context(), "SELECT 1"); err != nil {
				failed <- err
			}
		})
	}
	callers.Wait()
	close(failed)
	for err := range failed {
		t.Errorf("a caller saw %v", err)
	}
	s := adaptertest.Stats(t, db)
	if s.Retries != 0 || s.Retired[pool.ReasonPeerClosed] == 0 {
		t.Errorf("%d retries, retired %v: want no retries and the watch's doing", s.Retries, s.Retired)
	}
}

func TestWatchNeedsNoPing(t *testing.T) {
	server := servers.SharedPostgres(t)
	proxy := adaptertest.NewProxy(t, server.Address())
	watch := adaptertest.Open(t, "pgx", server.URL("postgres"))
	db := adaptertest.Open(t, "nimue", fmt.Sprintf(
		"pgx:postgres://%s@%s/postgres?sslmode=disable&application_name=unpinged&pool_health_check_period=1h&pool_max_conns=1",
		servers.PostgresUser, proxy.Address()))
	connect := proxy.Trips()
	adaptertest.Warm(t, db, 1)
	connect = proxy.Trips() - connect - 2 // prepare and execute
	old := sessions(t, watch, "unpinged")
	before := proxy.Trips()
	terminate(t, watch, "unpinged")
	adaptertest.Eventually(t, "a new session", func() bool { return allNew(sessions(t, watch, "unpinged"), old, 1) })
	adaptertest.Settled(t, db, 1)
	adaptertest.Exec(t, db, "SELECT 1")
	if got, want := proxy.Trips()-before, connect+2; got != want {
		t.Errorf("%d round trips, want %d for the connect and 2 for the statement", got, connect)
	}
	if s := adaptertest.Stats(t, db); s.Retries != 0 {
		t.Errorf("%d retries", s.Retries)
	}
}

func TestBehaviour16KilledInsideATransaction(t *testing.T) {
	db, watch, app := onPostgres(t, servers.SharedPostgres(t), "pool_max_conns=2")
	adaptertest.Exec(t, watch, "DROP TABLE IF EXISTS killed", "CREATE TABLE killed (n int)")
	adaptertest.KilledInsideATransaction(t, db, watch, func() { terminate(t, watch, app) })
}

func TestBehaviour17CommitOnADeadConnection(t *testing.T) {
	db, watch, app := onPostgres(t, servers.SharedPostgres(t), "pool_max_conns=2")
	adaptertest.Exec(t, watch, "DROP TABLE IF EXISTS committed", "CREATE TABLE committed (n int)")
	adaptertest.CommitOnADeadConnection(t, db, watch, func() { terminate(t, watch, app) })
}

func TestBehaviour19WrongPasswordFailsWithinOneDial(t *testing.T) {
	const secret, wrong = "right-word-7", "wrong-word-9"
	server, err := servers.StartPostgres(t.Context(), servers.PostgresOptions{Password: secret})
	servers.Require(t, err)
	t.Cleanup(server.Stop)
	dsn := strings.Replace(server.URL("postgres"), secret, wrong, 1)
	for _, dsn := range []string{dsn, strings.Replace(dsn, "127.0.0.1", "localhost", 1), strings.Replace(dsn, "sslmode=disable", "sslmode=prefer", 1)} {
		db := adaptertest.Open(t, "nimue", "pgx:"+dsn+"&pool_acquire_timeout=1m&pool_outage_grace=1m")
		began := time.Now()
		_, err := db.ExecContext(within(t, time.Minute), "SELECT 1")
		if took := time.Since(began); err == nil || took > 5*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		if err == nil || !strings.Contains(err.Error(), "password authentication failed") || strings.Contains(fmt.Sprintf("%+v %#v", err, err), wrong) {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestUnreadableDSNIsRefusedAtOpenWithoutItsPassword(t *testing.T) {
	for _, inner := range []string{
		"postgres://app:hidden-word@db.internal/shop?sslmode=sometimes",
		"host=db.internal password=hidden-word port=none",
	} {
		db, err := sql.Open("nimue", "pgx:"+inner)
		if err == nil {
			_ = db.Close()
			t.Errorf("%s was accepted", inner)
			continue
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "hidden-word") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestRegisteredConfigurationsWork(t *testing.T) {
	config, err := pgx.ParseConfig(servers.SharedPostgres(t).URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = "registered"
	name := stdlib.RegisterConnConfig(config)
	defer stdlib.UnregisterConnConfig(name)
	db := adaptertest.Open(t, "nimue", "pgx:"+name+"?pool_max_conns=1")
	if got := adaptertest.Query[string](t, db, "SHOW application_name"); got != "registered" {
		t.Errorf("application_name = %q", got)
	}
}

func TestForeignConnectorIsWatched(t *testing.T) {
	server := servers.SharedPostgres(t)
	config, err := pgx.ParseConfig(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = "foreign"
	own := errors.New("the application's own")
	connector, err := nimue.NewConnector(stdlib.GetConnector(*config), pool.Config{
		MaxConns:  1,
		Permanent: func(err error) bool { return errors.Is(err, own) },
	})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	watch := adaptertest.Open(t, "pgx", server.URL("postgres"))
	adaptertest.Warm(t, db, 1)
	old := sessions(t, watch, "foreign")
	terminate(t, watch, "foreign")
	adaptertest.Eventually(t, "a new session", func() bool { return allNew(sessions(t, watch, "foreign"), old, 1) })
	if s := adaptertest.Stats(t, db); s.Retired[pool.ReasonPeerClosed] != 1 {
		t.Errorf("retired %v", s.Retired)
	}
}

func TestConfigureKeepsWhatIsSet(t *testing.T) {
	given := pool.Config{
		Classify:  func(error) pool.Verdict { return pool.Suspect },
		Permanent: func(error) bool { return true },
	}
	if err := configure(&connector{}, &given); err != nil {
		t.Fatal(err)
	}
	if given.Classify(nil) != pool.Suspect || !given.Permanent(nil) {
		t.Error("a function of the application's was replaced")
	}
	if given.NetConn == nil || given.CheckRole == nil || given.Health != nil {
		t.Error("what was open was not filled in, or Health was")
	}
}

func TestCancelledQueryCostsItsConnectionOnly(t *testing.T) {
	db, watch, app := onPostgres(t, servers.SharedPostgres(t), "pool_max_conns=4&pool_health_check_period=1h")
	adaptertest.Warm(t, db, 4)
	old := sessions(t, watch, app)
	verified := adaptertest.Stats(t, db).Verifications
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for adaptertest.Stats(t, db).InUse == 0 && ctx.Err() == nil {
			<-time.After(time.Millisecond)
		}
	}()
	if _, err := db.ExecContext(ctx, "SELECT pg_sleep(30)"); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	adaptertest.Eventually(t, "nothing is under way", func() bool {
		s := adaptertest.Stats(t, db)
		return s.Total == s.Idle
	})
	for range 8 {
		adaptertest.Exec(t, db, "SELECT 1")
	}
	kept := 0
	for pid := range sessions(t, watch, app) {
		if old[pid] {
			kept++
		}
	}
	if s := adaptertest.Stats(t, db); kept < 3 || s.Verifications-verified > 1 {
		t.Errorf("%d of 4 sessions kept, %d verified", kept, s.Verifications-verified)
	}
}

// A DSN that wants nothing prepared at the server, as behind PgBouncer, and
// pool_auto_prepare cannot both be had.
func TestAutoPrepareContradictsTheExecMode(t *testing.T) {
	for _, mode := range []string{"exec", "simple_protocol", "cache_describe", "describe_exec"} {
		_, err := sql.Open("nimue", "pgx:postgres://app:secret@db.internal/shop?default_query_exec_mode="+mode+"&pool_auto_prepare=on")
		if err == nil || !strings.Contains(err.Error(), "default_query_exec_mode="+mode) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", mode, err)
		}
	}
	db, err := sql.Open("nimue", "pgx:postgres://app@db.internal/shop?pool_auto_prepare=on")
	if err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
}
