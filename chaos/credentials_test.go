package chaos

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

// The passwords before and after a rotation.
const firstPassword, secondPassword = "first-secret", "second-secret"

// guarded is a PostgreSQL server that asks for passwords, of applications that are
// no superusers.
type guarded struct{ postgres }

func (g guarded) admit(tb testing.TB, app string) {
	tb.Helper()
	g.exec(tb, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'; GRANT CREATE ON SCHEMA public TO %[1]s", app, firstPassword))
	g.exec(tb, fmt.Sprintf("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO %s", app))
}

func (g guarded) target(tb testing.TB, address, app string) target {
	return g.targetWith(tb, address, app, firstPassword)
}

func (g guarded) targetWith(tb testing.TB, address, app, password string) target {
	tb.Helper()
	to := g.postgres.target(tb, address, app)
	u, err := url.Parse(to.dsn)
	if err != nil {
		tb.Fatal(err)
	}
	u.User = url.UserPassword(app, password)
	to.dsn = u.String()
	return to
}

// rotate changes the application's password and ends its sessions, as a security
// incident would have it.
func (g guarded) rotate(s *scene, password string) {
	g.exec(s, fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", s.app, password))
	g.terminate(s, g.sessions(s, s.app)...)
	s.cut()
}

// TestPasswordRotation changes the password at the server. Where the DSN keeps the
// old one, the application is told so at once, nobody waits, and the server is not
// stormed with it; where a BeforeConnect function has the new one, nothing is seen
// but statements in flight.
func TestPasswordRotation(t *testing.T) {
	server := guarded{startPostgres(t, servers.PostgresOptions{Password: "nimue-secret"})}
	wrong := func(kind string) bool { return kind == "wrong password" }
	var tried uint64
	fault{
		name: "password changed at the server, back after 2 s",
		strike: func(s *scene) {
			server.rotate(s, secondPassword)
			tried = connectErrors(s.c)
			time.Sleep(2 * time.Second)
			tried = connectErrors(s.c) - tried
			server.exec(s, fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", s.app, firstPassword))
		},
		allowed: 1 << 30,
		kinds:   anyOf(broken, wrong),
		after: func(s *scene, r *report) {
			if r.kinds()["wrong password"] == 0 {
				s.Error("nobody was told of the wrong password")
			}
			// 10, 20, 40, ... ms apart: accounts are locked for a storm of them.
			if tried > 15 {
				s.Errorf("the wrong password was tried %d times in 2 s", tried)
			}
		},
	}.run(t, onPostgresFaults, server, postgresContenders)

	var current atomic.Value
	rotating := opener{isNimue, func(tb testing.TB, to target) *contender {
		tb.Helper()
		current.Store(to.dsn)
		connector, err := nimue.OpenConnector(nimueDSN(to), func(c *pool.Config) {
			c.BeforeConnect = func(context.Context, driver.Connector) (driver.Connector, error) {
				return nimue.InnerConnector(to.driver, current.Load().(string))
			}
		})
		if err != nil {
			tb.Fatal(err)
		}
		return overSQL(isNimue, sql.OpenDB(connector))
	}}
	fault{
		name: "the same for good, and BeforeConnect knows the new one",
		strike: func(s *scene) {
			current.Store(server.targetWith(s, server.address(), s.app, secondPassword).dsn)
			server.rotate(s, secondPassword)
		},
		allowed: conns,
	}.run(t, onPostgresFaults, server, []opener{rotating})
}

// connectErrors is how many connects of nimue's have failed.
func connectErrors(c *contender) uint64 {
	if c.pool == nil {
		return 0
	}
	return c.pool.Stats().ConnectErrors
}
