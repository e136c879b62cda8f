package chaos

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nimue-go/nimue/conformance/servers"
)

// cluster is a primary and its standby as one backend. The standby confirms every
// commit, so that what was acknowledged is on both.
type cluster struct {
	postgres // the present primary
	old      postgres
	hosts    string // both, as a DSN lists them
}

// resumeWithin is the figure: writes go on so long after a promotion.
const resumeWithin = 2 * time.Second

func startCluster(t *testing.T) *cluster {
	t.Helper()
	primary := startPostgres(t, servers.PostgresOptions{})
	standby := postgres{servers.PostgresStandby(t, primary.PostgresServer)}
	primary.exec(t, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	if err := primary.Reload(); err != nil {
		t.Fatal(err)
	}
	mustBecome(t, "a synchronous standby", func() (synchronous bool) {
		primary.do(t, func(ctx context.Context, c *pgx.Conn) error {
			return c.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'").Scan(&synchronous)
		})
		return synchronous
	})
	return &cluster{postgres: primary, old: standby, hosts: primary.address() + "," + standby.address()}
}

func (c *cluster) target(tb testing.TB, _, app string) target {
	return target{driver: "pgx", dsn: fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable&target_session_attrs=read-write&application_name=%s",
		servers.PostgresUser, c.hosts, app)}
}

// promote has the standby take over.
func (c *cluster) promote(s *scene) (at time.Time) {
	s.Helper()
	if err := c.old.Promote(context.Background()); err != nil {
		s.Fatal(err)
	}
	c.postgres, c.old = c.old, c.postgres
	return time.Now()
}

// resumes notes how long after the promotion writes went on, and holds nimue to it.
func (c *cluster) resumes(s *scene, promoted time.Time) {
	s.Helper()
	took, ok := s.load.resumed(promoted)
	s.remark, s.load.hopeless = "no writes afterwards", !ok
	if ok {
		s.remark = fmt.Sprintf("writes %s after the promotion", roundWait(took))
	}
	if s.c.pool != nil && (!ok || took > resumeWithin) {
		s.Errorf("writes resumed %v after the promotion, want at most %v%s", took, resumeWithin, poolState(s.c))
	}
}

// TestFailover kills a primary and promotes its standby, and then, separately, has
// the two switch roles while the old primary lives on, read-only. The DSN names
// both hosts and wants a session that can write.
func TestFailover(t *testing.T) {
	each(t, postgresContenders, func(t *testing.T, o opener) {
		t.Run("killed", func(t *testing.T) {
			c := startCluster(t)
			fault{
				name: "the primary killed, the standby promoted",
				strike: func(s *scene) {
					c.shutdown(s, servers.Kill)
					s.cut()
					c.resumes(s, c.promote(s))
				},
				allowed: conns,
			}.runOne(t, onFailover, c, o)
		})
		t.Run("switched", func(t *testing.T) {
			c := startCluster(t)
			switched(c).runOne(t, onFailover, c, o)
		})
	})
}

// switched makes the primary read-only and promotes the standby. The old one goes
// on answering, so only its refusal to write tells.
func switched(c *cluster) fault {
	return fault{
		name: "roles switched, the old primary lives on read-only",
		strike: func(s *scene) {
			c.exec(s, "ALTER SYSTEM SET default_transaction_read_only = on")
			if err := c.Reload(); err != nil {
				s.Fatal(err)
			}
			// What waits for the standby's word is through before that has another
			// history than this server.
			time.Sleep(100 * time.Millisecond)
			s.cut()
			c.resumes(s, c.promote(s))
			if s.c.pool != nil { // drained, and not one by one as each meets the error
				mustBecome(s, "the end of all sessions at the demoted server", func() bool {
					return len(c.old.sessions(s, s.app)) == 0
				})
			}
		},
		// Each connection may be in use when the server says so, and hear it once.
		allowed: conns,
		kinds:   anyOf(broken, func(kind string) bool { return kind == "read-only server" }),
		after: func(s *scene, r *report) {
			if n := len(c.old.sessions(s, s.app)); n > 0 {
				s.Errorf("%d sessions at the demoted server", n)
			}
		},
	}
}

// sessions are those at both servers that live.
func (c *cluster) sessions(tb testing.TB, app string) []int {
	all := c.postgres.sessions(tb, app)
	if c.twoAlive() {
		all = slices.Concat(all, c.old.sessions(tb, app))
	}
	return all
}

// twoAlive tells whether the server that is not the primary answers.
func (c *cluster) twoAlive() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.old.URL("postgres"))
	if err != nil {
		return false
	}
	return conn.Close(ctx) == nil
}
