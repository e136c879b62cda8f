package chaos

import (
	"syscall"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/servers"
)

// controlled is a backend whose processes the test can stop, start and signal.
type controlled interface {
	backend
	shutdown(tb testing.TB, mode servers.StopMode)
	start(tb testing.TB)
	signalAll(tb testing.TB, signal syscall.Signal)
}

// grace is how long nimue's callers wait out an outage by default.
const grace = 5 * time.Second

// noConnection tells whether a kind is nimue's own answer that the database has
// been out of reach for longer than the grace.
func noConnection(kind string) bool { return kind == "unavailable" }

// anyOf allows the kinds that one of the functions does.
func anyOf(functions ...func(string) bool) func(string) bool {
	return func(kind string) bool {
		for _, f := range functions {
			if f(kind) {
				return true
			}
		}
		return false
	}
}

func deadlines(kind string) bool { return kind == "deadline" }

// TestUnderLoad is the faults of a PostgreSQL server and of the way to it, under a
// load. A statement that is in flight when its connection breaks fails, since it
// cannot be known whether it was executed; there are never more of them than
// connections. Everything else is waited out.
func TestUnderLoad(t *testing.T) {
	server := startPostgres(t, servers.PostgresOptions{})
	all := faults(append(append(serverFaults(server), backendFaults(server)...), networkFaults()...))
	all.run(t, onPostgresFaults, server, postgresContenders)
}

// serverFaults are those of the server's processes, of any server.
func serverFaults(server controlled) []fault {
	down := func(mode servers.StopMode, d time.Duration) func(s *scene) {
		return func(s *scene) {
			began := time.Now()
			server.shutdown(s, mode)
			s.cut()
			time.Sleep(d)
			server.start(s)
			s.outlast = time.Since(began) > grace-time.Second
		}
	}
	faults := []fault{
		{
			name: "one connection terminated",
			strike: func(s *scene) {
				s.backend.terminate(s, s.backend.sessions(s, s.app)[0])
				s.cut()
			},
			allowed: 1,
		},
		{
			name: "all connections terminated",
			strike: func(s *scene) {
				s.backend.terminate(s, s.backend.sessions(s, s.app)...)
				s.cut()
			},
			allowed: conns,
		},
		{
			name:    "immediate restart, 0.8 s down",
			strike:  down(servers.Immediate, 800*time.Millisecond),
			allowed: conns,
		},
		{
			name:    "stopped, started after 3 s",
			strike:  down(servers.Fast, 3*time.Second),
			allowed: conns,
		},
		{
			name: "the whole server halted for 2 s (SIGSTOP)",
			strike: func(s *scene) {
				server.signalAll(s, syscall.SIGSTOP)
				s.cut()
				time.Sleep(2 * time.Second)
				server.signalAll(s, syscall.SIGCONT)
			},
			allowed: 0, // ten seconds are a statement's time
		},
	}
	if long() {
		faults = append(faults, fault{
			name:    "stopped, started after 20 s",
			strike:  down(servers.Fast, 20*time.Second),
			allowed: 1 << 30, // past the grace everybody is told at once, as often as they ask
			kinds:   anyOf(broken, noConnection),
			after:   verifyAtMostGrace,
		})
	}
	return faults
}

// verifyAtMostGrace makes sure that nobody waited for an outage longer than its
// grace, and that in flight no more broke than connections there were.
func verifyAtMostGrace(s *scene, r *report) {
	s.Helper()
	const margin = 2 * time.Second
	inFlight := 0
	for _, f := range r.failures {
		if broken(f.kind) {
			inFlight++
		} else if f.took > grace+margin {
			s.Errorf("waited %v for an outage whose grace is %v", f.took, grace)
			break
		}
	}
	if inFlight > conns {
		s.Errorf("%d statements broken, of %d connections", inFlight, conns)
	}
}

// backendFaults is what only the process of a PostgreSQL session can suffer.
func backendFaults(server postgres) faults {
	return faults{
		{
			name: "kill -9 of one backend: the server recovers",
			strike: func(s *scene) {
				all := server.sessions(s, s.app)
				server.signalBackend(s, all[0], syscall.SIGKILL)
				waitGone(s, all)
				s.cut()
			},
			allowed: conns,
		},
		{
			name:     "one backend halted while idle (SIGSTOP), 1 s deadline",
			deadline: time.Second,
			before: func(s *scene) {
				all := server.sessions(s, s.app)
				server.signalBackend(s, all[len(all)-1], syscall.SIGSTOP)
				s.Cleanup(func() { _ = server.SignalBackend(all[len(all)-1], syscall.SIGCONT) }) // if it is still there
			},
			strike:  func(s *scene) { time.Sleep(2 * time.Second) },
			allowed: 1, // the one who met it
			kinds:   deadlines,
		},
	}
}

type faults []fault

func (all faults) run(t *testing.T, section string, b backend, contenders []opener) {
	for _, f := range all {
		f.run(t, section, b, contenders)
	}
}

// networkFaults are those of the way to the server, whatever the server.
func networkFaults() []fault {
	return []fault{
		{
			name: "connections cut and refused for 1.5 s",
			path: viaToxic,
			strike: func(s *scene) {
				s.toxic.refuse()
				s.cut()
				time.Sleep(1500 * time.Millisecond)
				s.toxic.listen()
			},
			allowed: conns,
		},
		{
			name: "connections reset by the peer for 1 s",
			path: viaToxic,
			strike: func(s *scene) {
				s.toxic.add("reset_peer", `{"timeout": 0}`)
				time.Sleep(time.Second)
				s.toxic.clear()
				s.cut()
			},
			allowed: conns,
		},
		{
			name:     "standing connections silent, 1 s deadline",
			path:     viaRelay,
			deadline: time.Second,
			strike:   func(s *scene) { s.relay.silence(false) },
			allowed:  workers, // who had a connection, and who waited for one of those
			kinds:    deadlines,
		},
		{
			name: "new connections silent for 2 s, one standing terminated",
			path: viaRelay,
			strike: func(s *scene) {
				s.relay.silenceNew()
				s.backend.terminate(s, s.backend.sessions(s, s.app)[0])
				s.cut()
				time.Sleep(2 * time.Second)
				s.relay.heal()
			},
			allowed: 1,
		},
		{
			name: "all connections silent for 2 s",
			path: viaRelay,
			strike: func(s *scene) {
				s.relay.silence(true)
				s.cut()
				time.Sleep(2 * time.Second)
				s.relay.heal()
			},
			allowed: 0, // ten seconds are a statement's time, and what was lost is sent again
		},
		{
			name: "latency of 40 ms for 2 s",
			path: viaToxic,
			strike: func(s *scene) {
				s.toxic.add("latency", `{"latency": 20, "jitter": 5}`)
				s.cut()
				time.Sleep(2 * time.Second)
				s.toxic.clear()
			},
			allowed: 0,
		},
		{
			name: "bandwidth of 2 KB/s each for 2 s",
			path: viaToxic,
			strike: func(s *scene) {
				s.toxic.add("bandwidth", `{"rate": 2}`)
				s.cut()
				time.Sleep(2 * time.Second)
				s.toxic.clear()
			},
			allowed: 0,
		},
	}
}
