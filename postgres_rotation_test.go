package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

// TestPostgresCredentialsRotate changes the password of a role, twice, with callers
// at work: BeforeConnect knows the new one, the server refuses the old one, and Drain
// has every session log in anew. No caller fails.
func TestPostgresCredentialsRotate(t *testing.T) {
	server, err := servers.StartPostgres(t.Context(), servers.PostgresOptions{Password: "the superuser's"})
	servers.Require(t, err)
	t.Cleanup(server.Stop)
	admin, err := sql.Open("pgx", server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	mustExec(t, admin, "CREATE ROLE app LOGIN PASSWORD 'password 0'")
	dsn := func(password string) string {
		u, err := url.Parse(server.URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("app", password)
		return u.String()
	}
	var known atomic.Value
	known.Store(dsn("password 0"))
	connector, err := nimue.OpenConnector("pgx:"+dsn("never right")+"&pool_max_conns=6&pool_min_conns=4", func(c *pool.Config) {
		c.BeforeConnect = func(context.Context, driver.Connector) (driver.Connector, error) {
			return nimue.InnerConnector("pgx", known.Load().(string))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()

	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for ctx.Err() == nil {
				if _, err := db.ExecContext(context.Background(), "SELECT pg_sleep(0.001)"); err != nil {
					t.Errorf("a caller failed: %v", err)
					return
				}
			}
		})
	}
	for n := 1; n <= 2; n++ {
		eventually(t, "four connections", func() bool { s := connector.Pool().Stats(); return s.Idle+s.InUse >= 4 })
		changed := queryString(t, admin, "SELECT clock_timestamp()::text")
		password := fmt.Sprintf("password %d", n)
		known.Store(dsn(password)) // an instant before the server, or callers would have to wait
		mustExec(t, admin, "ALTER ROLE app PASSWORD '"+password+"'")
		bound, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := connector.Pool().Drain(bound); err != nil {
			t.Error(err)
		}
		cancel()
		eventually(t, "no session of the old password", func() bool { // a backend takes a moment to end
			return queryInt(t, admin, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND backend_start < $1::timestamptz", changed) == 0
		})
	}
	stop()
	work.Wait()
	// The server means it.
	before, err := sql.Open("pgx", dsn("password 1"))
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := before.Ping(); err == nil {
		t.Error("the old password is accepted")
	}
	if s := connector.Pool().Stats(); s.Retired[pool.ReasonDrained] < 8 || s.Total < 4 {
		t.Errorf("%+v", s)
	}
}

func queryString(t *testing.T, db *sql.DB, query string) (s string) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}
