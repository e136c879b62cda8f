package chaos

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nimue-go/nimue/conformance/servers"
)

// ordinary is a PostgreSQL server that trusts everybody, and whose applications are
// no superusers, for whom it would keep connections.
type ordinary struct{ postgres }

func (o ordinary) admit(tb testing.TB, app string) {
	tb.Helper()
	o.exec(tb, fmt.Sprintf("CREATE ROLE %s LOGIN; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO %[1]s", app))
}

func (o ordinary) target(tb testing.TB, address, app string) target {
	tb.Helper()
	to := o.postgres.target(tb, address, app)
	u, err := url.Parse(to.dsn)
	if err != nil {
		tb.Fatal(err)
	}
	u.User = url.User(app)
	to.dsn = u.String()
	return to
}

// TestTooManyConnections leaves the application six of the connections that it may
// have, until others give up theirs. It does with what it gets, and takes the rest
// as soon as it can.
func TestTooManyConnections(t *testing.T) {
	const most, reserved, left = 20, 3, 6
	server := ordinary{startPostgres(t, servers.PostgresOptions{MaxConnections: most})}
	var others []*pgx.Conn
	leave := func(s *scene) {
		for _, c := range others {
			if err := c.Close(context.Background()); err != nil {
				s.Error(err)
			}
		}
		others = nil
	}
	fault{
		name: "too many connections at the server: 6 left for the application, until others leave",
		cold: true,
		before: func(s *scene) {
			s.Cleanup(func() { leave(s) })
			name := "others_of_" + s.app
			server.admit(s, name)
			for len(others) < most-reserved-left {
				c, err := pgx.Connect(context.Background(), server.target(s, server.address(), name).dsn)
				if err != nil {
					s.Fatal(err)
				}
				others = append(others, c)
			}
		},
		strike: func(s *scene) {
			time.Sleep(time.Second)
			leave(s)
			s.cut()
		},
		allowed: 0,
	}.run(t, onPostgresFaults, server, postgresContenders)
}
