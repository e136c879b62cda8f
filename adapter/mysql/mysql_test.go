package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

func init() { sql.Register("renamed", &mysql.MySQLDriver{}) }

func TestDSNKeepsTheDriversName(t *testing.T) {
	server := servers.SharedMariaDB(t)
	for _, name := range []string{"mysql", "renamed"} {
		for _, inner := range []string{server.DSN(servers.MariaDBDatabase), server.SocketDSN(servers.MariaDBDatabase)} {
			parsed, err := nimue.ParseDSN(name + ":" + inner + "?pool_max_conns=1")
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Driver != name || parsed.Inner != inner {
				t.Errorf("the DSN names %q and %q", parsed.Driver, parsed.Inner)
			}
			db := adaptertest.Open(t, "nimue", name+":"+inner+"?pool_max_conns=1")
			if got := adaptertest.Query[int](t, db, "SELECT 1"); got != 1 {
				t.Errorf("%s: got %d", name, got)
			}
		}
	}
}

func TestSessionKilledWhileIdleIsReplacedUnnoticed(t *testing.T) {
	const n = 8
	db, watch, user := onMariaDB(t, servers.SharedMariaDB(t), "pool_max_conns=8&pool_health_check_period=1h")
	adaptertest.Warm(t, db, n)
	old := sessions(t, watch, user)
	terminate(t, watch, user)
	// Nobody asks for a connection meanwhile.
	adaptertest.Eventually(t, "eight new sessions", func() bool { return allNew(sessions(t, watch, user), old, n) })
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

func TestStatementAfterIdleTimeCostsOneRoundTrip(t *testing.T) {
	server := servers.SharedMariaDB(t)
	proxy := adaptertest.NewProxy(t, server.Address())
	db := adaptertest.Open(t, "nimue", fmt.Sprintf("mysql:%s@tcp(%s)/?pool_health_check_period=1h", servers.MariaDBUser, proxy.Address()))
	adaptertest.Exec(t, db, "SELECT 1")
	<-time.After(1300 * time.Millisecond) // longer than what counts as fresh without a watch
	before := proxy.Trips()
	adaptertest.Exec(t, db, "SELECT 1")
	if n := proxy.Trips() - before; n != 1 {
		t.Errorf("%d round trips, want 1", n)
	}
}

// A statement with arguments costs the driver two round trips, one to prepare and
// one to execute. Found in the cache it costs one, prepared by db.Prepare, by
// pool_auto_prepare or by database/sql itself.
func TestStatementWithArgumentsCostsOneRoundTrip(t *testing.T) {
	server := servers.SharedMariaDB(t)
	for _, settings := range []string{"", "&pool_auto_prepare=on"} {
		proxy := adaptertest.NewProxy(t, server.Address())
		db := adaptertest.Open(t, "nimue", fmt.Sprintf("mysql:%s@tcp(%s)/?pool_health_check_period=1h%s",
			servers.MariaDBUser, proxy.Address(), settings))
		if n := adaptertest.Query[int](t, db, "SELECT ?", 1); n != 1 {
			t.Errorf("got %d", n)
		}
		before := proxy.Trips()
		for i := range 10 {
			if n := adaptertest.Query[int](t, db, "SELECT ?", i); n != i {
				t.Errorf("got %d, want %d", n, i)
			}
		}
		if n := proxy.Trips() - before; n != 10 {
			t.Errorf("%q: %d round trips for 10 statements", settings, n)
		}
	}
}

func TestBehaviour16KilledInsideATransaction(t *testing.T) {
	db, watch, user := onMariaDB(t, servers.SharedMariaDB(t), "pool_max_conns=2")
	adaptertest.Exec(t, watch, "DROP TABLE IF EXISTS killed", "CREATE TABLE killed (n INT)")
	adaptertest.KilledInsideATransaction(t, db, watch, func() { terminate(t, watch, user) })
}

func TestBehaviour17CommitOnADeadConnection(t *testing.T) {
	db, watch, user := onMariaDB(t, servers.SharedMariaDB(t), "pool_max_conns=2")
	adaptertest.Exec(t, watch, "DROP TABLE IF EXISTS committed", "CREATE TABLE committed (n INT)")
	adaptertest.CommitOnADeadConnection(t, db, watch, func() { terminate(t, watch, user) })
}

func TestBehaviour19WrongPasswordFailsWithinOneDial(t *testing.T) {
	const secret, wrong = "right-word-7", "wrong-word-9"
	server := servers.SharedMariaDB(t)
	watch := adaptertest.Open(t, "mysql", server.DSN(servers.MariaDBDatabase))
	user := newUser(t, watch, secret)
	db := adaptertest.Open(t, "nimue", "mysql:"+user+":"+wrong+"@tcp("+server.Address()+")/?pool_acquire_timeout=1m&pool_outage_grace=1m")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	_, err := db.ExecContext(ctx, "SELECT 1")
	if took := time.Since(began); err == nil || took > 5*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	if myErr, ok := errors.AsType[*mysql.MySQLError](err); !ok || myErr.Number != 1045 || strings.Contains(fmt.Sprintf("%+v %#v", err, err), wrong) {
		t.Errorf("the error is %v", err)
	}
}

// TestBehaviour26Keepalive lets the server end sessions that are idle for 2 s.
func TestBehaviour26Keepalive(t *testing.T) {
	server, err := servers.StartMariaDB(t.Context(), servers.MariaDBOptions{Settings: map[string]string{"wait-timeout": "2"}})
	servers.Require(t, err)
	t.Cleanup(server.Stop)
	run := func(period string) (db *sql.DB, kept int) {
		db, watch, user := onMariaDB(t, server, "pool_max_conns=4&pool_health_check_period="+period)
		adaptertest.Warm(t, db, 4)
		old := sessions(t, watch, user)
		<-time.After(4 * time.Second) // twice the server's patience
		adaptertest.Settled(t, db, 4)
		for id := range sessions(t, watch, user) {
			if old[id] {
				kept++
			}
		}
		for range 8 {
			adaptertest.Exec(t, db, "SELECT 1")
		}
		if s := adaptertest.Stats(t, db); s.Retries != 0 {
			t.Errorf("period %s: %d retries", period, s.Retries)
		}
		return db, kept
	}
	var both sync.WaitGroup
	both.Go(func() {
		db, kept := run("500ms")
		if s := adaptertest.Stats(t, db); kept != 4 || s.Retired.Total() != 0 {
			t.Errorf("with a shorter period %d of 4 survived, retired %v", kept, s.Retired)
		}
	})
	both.Go(func() {
		db, kept := run("1h")
		// One that dies has the others verified, which the server counts as use.
		if s := adaptertest.Stats(t, db); kept == 4 || s.Retired[pool.ReasonPeerClosed] == 0 {
			t.Errorf("with a longer period %d of 4 are the old ones, retired %v", kept, s.Retired)
		}
	})
	both.Wait()
}

func TestUnreadableDSNIsRefusedAtOpenWithoutItsPassword(t *testing.T) {
	for _, inner := range []string{
		"app:hidden-word@tcp(db.internal:3306)",
		"app:hidden-word@tcp(db.internal:3306)/shop?parseTime=perhaps",
		"app:hidden-word@tcp(db.internal:3306/shop",
		"app:hidden-word@ipx(db.internal)/shop?tls=unknown",
	} {
		db, err := sql.Open("nimue", "mysql:"+inner)
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

func TestRegisteredDialerIsKept(t *testing.T) {
	server := servers.SharedMariaDB(t)
	var mu sync.Mutex
	var asked []string
	mysql.RegisterDialContext("ownnet", func(ctx context.Context, address string) (net.Conn, error) {
		mu.Lock()
		asked = append(asked, address)
		mu.Unlock()
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", address)
	})
	defer mysql.DeregisterDialContext("ownnet")
	db := adaptertest.Open(t, "nimue", "mysql:"+servers.MariaDBUser+"@ownnet("+server.Address()+")/")
	adaptertest.Exec(t, db, "SELECT 1")
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 1 || asked[0] != server.Address() {
		t.Errorf("the registered dialer was asked for %q", asked)
	}
}

func TestConnectorOfTheApplicationsKeepsItsDialer(t *testing.T) {
	cfg, err := mysql.ParseDSN(servers.SharedMariaDB(t).DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	dialled := 0
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled++
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, address)
	}
	inner, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	connector, err := nimue.NewConnector(inner, pool.Config{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	adaptertest.Exec(t, db, "SELECT 1")
	if dialled != 1 {
		t.Errorf("the dialer was asked %d times", dialled)
	}
}

func TestTooManyConnectionsAreRiddenOut(t *testing.T) {
	server, err := servers.StartMariaDB(t.Context(), servers.MariaDBOptions{MaxConnections: 10}) // the least
	servers.Require(t, err)
	t.Cleanup(server.Stop)
	db, _, _ := onMariaDB(t, server, "pool_max_conns=30")
	var callers sync.WaitGroup
	for range 30 {
		callers.Go(func() {
			for range 10 {
				if _, err := db.ExecContext(t.Context(), "SELECT SLEEP(0.01)"); err != nil {
					t.Errorf("a caller saw %v", err)
				}
			}
		})
	}
	callers.Wait()
	if s := adaptertest.Stats(t, db); s.ConnectErrors == 0 {
		t.Error("the limit was never met")
	}
}

func TestAutoPrepareContradictsInterpolation(t *testing.T) {
	_, err := sql.Open("nimue", "mysql:app:secret@tcp(db.internal)/shop?interpolateParams=true&pool_auto_prepare=on")
	if err == nil || !strings.Contains(err.Error(), "interpolateParams") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	db, err := sql.Open("nimue", "mysql:app@tcp(db.internal)/shop?interpolateParams=true")
	if err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
}
