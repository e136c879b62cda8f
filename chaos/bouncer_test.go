package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nimue-go/nimue/conformance/servers"
)

// bouncer is a PgBouncer in transaction mode in front of a PostgreSQL server. The
// application has its connections at the former.
type bouncer struct {
	postgres
	*servers.PgBouncerServer
}

func startBouncer(t *testing.T, server postgres, options servers.PgBouncerOptions) bouncer {
	t.Helper()
	b, err := servers.StartPgBouncer(t.Context(), server.PostgresServer, options)
	servers.Require(t, err)
	t.Cleanup(b.Stop)
	return bouncer{server, b}
}

func (b bouncer) address() string { return b.PgBouncerServer.Address() }

// target asks pgx for no prepared statements that outlive a transaction: the next
// one may run on another of the bouncer's connections.
func (b bouncer) target(tb testing.TB, address, app string) target {
	to := b.postgres.target(tb, address, app)
	to.dsn = withSettings(tb, to.dsn, "default_query_exec_mode", "exec")
	return to
}

// sessions counts the bouncer's clients, which its console lists.
func (b bouncer) sessions(tb testing.TB, _ string) (clients []int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, withSettings(tb, b.PgBouncerServer.URL("pgbouncer"), "default_query_exec_mode", "simple_protocol"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	rows, err := c.Query(ctx, "SHOW CLIENTS")
	if err != nil {
		tb.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		tb.Fatal(err)
	}
	for _, client := range all {
		if client["database"] == "postgres" {
			port, _ := client["port"].(int32) // any number will do
			clients = append(clients, int(port))
		}
	}
	return clients
}

func (b bouncer) stopFor(s *scene, d time.Duration) {
	s.Helper()
	if err := b.PgBouncerServer.Shutdown(servers.Immediate); err != nil {
		s.Fatal(err)
	}
	s.cut()
	time.Sleep(d)
	if err := b.PgBouncerServer.Start(context.Background()); err != nil {
		s.Fatal(err)
	}
}

// TestBehindPgBouncer is the load through PgBouncer in transaction mode, and what
// that does to its clients when it restarts, is full, or has no server behind it.
func TestBehindPgBouncer(t *testing.T) {
	server := startPostgres(t, servers.PostgresOptions{})
	plain := startBouncer(t, server, servers.PgBouncerOptions{})
	// 8 server connections for 16 clients and 32 workers.
	narrow := startBouncer(t, server, servers.PgBouncerOptions{PoolSize: 4})
	full := startBouncer(t, server, servers.PgBouncerOptions{Settings: map[string]string{"max_client_conn": "10"}})
	quiet := func(s *scene) { time.Sleep(time.Second); s.cut() }
	for _, test := range []struct {
		bouncer bouncer
		fault   fault
	}{
		{plain, fault{
			name:    "PgBouncer stopped, started after 0.8 s",
			strike:  func(s *scene) { plain.stopFor(s, 800*time.Millisecond) },
			allowed: conns,
		}},
		{plain, fault{
			name: "immediate restart of the server behind PgBouncer, 0.8 s down",
			strike: func(s *scene) {
				server.shutdown(s, servers.Immediate)
				time.Sleep(800 * time.Millisecond)
				server.start(s)
				s.cut()
			},
			// PgBouncer lets clients in that it has no server for, and down at their
			// first statement: each caller may meet that, but not one after the other.
			allowed: workers,
			kinds:   anyOf(broken, func(kind string) bool { return kind == "refused by the bouncer" }),
		}},
		{narrow, fault{name: "4 server connections for 16 clients", strike: quiet, allowed: 0}},
		{full, fault{name: "max_client_conn = 10, below what the application wants", cold: true, strike: quiet, allowed: 0, capacity: 10}},
	} {
		test.fault.run(t, onBouncer, test.bouncer, postgresContenders)
	}
}
