//go:build unix

package servers

import (
	"context"
	"database/sql"
	"testing"
)

// throughPgBouncer opens a database whose driver asks for nothing that
// transaction mode cannot do.
func throughPgBouncer(tb testing.TB, server *PgBouncerServer, database string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("pgx", server.URL(database)+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func TestPgBouncerLendsServerConnectionsByTransaction(t *testing.T) {
	for _, password := range []string{"", `it's "secret"`} {
		postgres, err := StartPostgres(t.Context(), PostgresOptions{Password: password})
		Require(t, err)
		t.Cleanup(postgres.Stop)
		server, err := StartPgBouncer(t.Context(), postgres, PgBouncerOptions{PoolSize: 1})
		Require(t, err)
		t.Cleanup(server.Stop)
		db := throughPgBouncer(t, server, "postgres")
		var pids [2]int
		var conns [2]*sql.Conn
		for i := range pids {
			if conns[i], err = db.Conn(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer conns[i].Close()
			pids[i] = query[int](t, conns[i], "SELECT pg_backend_pid()")
		}
		if pids[0] != pids[1] {
			t.Errorf("two clients have backends %v, want one", pids)
		}
	}
}

func TestPgBouncerComesBackOnItsPort(t *testing.T) {
	server := PgBouncer(t, SharedPostgres(t))
	db := throughPgBouncer(t, server, "postgres")
	for _, mode := range []StopMode{Fast, Kill} {
		if err := db.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the old connections are gone", func() bool { return db.PingContext(t.Context()) == nil })
	}
}

func TestPgBouncerRidesOutARestartOfPostgres(t *testing.T) {
	postgres := Postgres(t)
	server := PgBouncer(t, postgres)
	db := throughPgBouncer(t, server, "postgres")
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Restart(context.Background(), Immediate); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it leads to the new server", func() bool { return db.PingContext(t.Context()) == nil })
}
