package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/servers"
)

// quietFault strikes while connections are warm and nobody uses them; the callers
// come afterwards.
type quietFault struct {
	name    string
	path    path
	params  string
	strike  func(s *scene)
	callers func(c *contender) outcome
	allowed int
}

// TestFirstCallersAfterwards is the table, but for its fourth row, which
// is TestUnderLoad's "immediate restart".
func TestFirstCallersAfterwards(t *testing.T) {
	server := startPostgres(t, servers.PostgresOptions{})
	terminateAll := func(s *scene) { s.backend.terminate(s, s.backend.sessions(s, s.app)...) }
	silence := func(s *scene) { s.relay.silence(false) }
	atOnce := func(c *contender) outcome { return ask(c, conns, 10*time.Second) }
	inTurn := func(c *contender) outcome { return askInTurn(c, 20, time.Second) }
	for _, f := range []quietFault{
		{"all backends terminated, then 16 callers at once", direct, "", terminateAll, atOnce, 0},
		{"all backends terminated, then one caller 20 times", direct, "", terminateAll, inTurn, 0},
		{"standing connections silent, one caller 20 times, 1 s deadline", viaRelay, "", silence, inTurn, 1},
		{"the same, after a health check", viaRelay, "pool_health_check_period=500ms&pool_ping_timeout=500ms", func(s *scene) {
			silence(s)
			p := s.c.pool
			failed := p.Stats().VerifyErrors
			mustBecome(s, "a failed health check of each connection", func() bool {
				return p.Stats().VerifyErrors >= failed+conns
			})
		}, inTurn, 0},
	} {
		t.Run(slug(f.name), func(t *testing.T) {
			contenders := postgresContenders
			if f.params != "" {
				contenders = contenders[:1] // what the parameters ask for, the peers have not
			}
			each(t, contenders, func(t *testing.T, o opener) { f.run(t, server, o) })
		})
	}
}

func (f quietFault) run(t *testing.T, b backend, o opener) {
	s := openWarm(t, b, o, f.path, f.params)
	f.strike(s)
	seen := f.callers(s.c)
	results.add(onPostgres, f.name, o.name, cell(seen.report()))
	t.Logf("%s: %s", o.name, cell(seen.report()))
	if o.name != isNimue {
		return
	}
	if len(seen.failures) > f.allowed {
		t.Errorf("%d failures, of at most %d: %v%s", len(seen.failures), f.allowed, seen.failures, poolState(s.c))
	}
	verifyCapacity(t, s.c, conns)
	verifyAtRest(t, s.c)
}

// openWarm opens a contender, and has it open all its connections. What it leaves
// behind is verified when the test has ended.
func openWarm(t *testing.T, b backend, o opener, by path, params string) *scene {
	t.Helper()
	s := &scene{TB: t, backend: b, app: nextApp()}
	address := b.address()
	if by == viaRelay {
		s.relay = newRelay(t, address)
		address = s.relay.address()
	}
	base := takeBaseline(t)
	to := b.target(t, address, s.app)
	to.params = params
	s.c = o.open(t, to)
	t.Cleanup(func() { s.end(o.name, base) })
	s.warmUp()
	return s
}

// TestFirstQueryAfterAQuietWhile counts round trips on the wire: those of the query
// itself and none besides, however long the connection was idle.
func TestFirstQueryAfterAQuietWhile(t *testing.T) {
	const quiet, delay = 1300 * time.Millisecond, 2 * time.Millisecond
	server := startPostgres(t, servers.PostgresOptions{})
	each(t, postgresContenders, func(t *testing.T, o opener) {
		s := openWarm(t, server, o, viaRelay, "")
		s.relay.delay.Store(int64(delay))
		ask(s.c, 1, time.Second) // and its statement is prepared
		time.Sleep(quiet)
		before := s.relay.roundTrips.Load()
		seen := ask(s.c, 1, time.Second)
		trips := s.relay.roundTrips.Load() - before
		results.add(onPostgres, "first query after a quiet 1.3 s, over a network of 4 ms", o.name,
			fmt.Sprintf("round trips: %d; %s", trips, roundWait(seen.longest)))
		t.Logf("%s: %d round trips, %v", o.name, trips, seen.longest)
		if o.name == isNimue && (trips != 1 || len(seen.failures) > 0) {
			t.Errorf("%d round trips, want 1; failures %v", trips, seen.failures)
		}
	})
}
