//go:build unix

package servers

import (
	"context"
	"database/sql"
	"syscall"
	"testing"
	"time"
)

// session opens one connection to the server and returns its backend's process.
func session(tb testing.TB, server *PostgresServer) (*sql.Conn, int) {
	tb.Helper()
	db, err := sql.Open("pgx", server.URL("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn, query[int](tb, conn, "SELECT pg_backend_pid()")
}

func query[T any](tb testing.TB, conn *sql.Conn, text string) (value T) {
	tb.Helper()
	if err := conn.QueryRowContext(tb.Context(), text).Scan(&value); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return value
}

func execute(tb testing.TB, conn *sql.Conn, text string) {
	tb.Helper()
	if _, err := conn.ExecContext(tb.Context(), text); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			tb.Fatalf("still not so: %s", what)
		case <-ticker.C:
		}
	}
}

func TestPostgresComesBackOnItsPortWithItsData(t *testing.T) {
	server := Postgres(t)
	port := server.Port()
	first, _ := session(t, server)
	execute(t, first, "CREATE TABLE kept (n int)")
	for i, mode := range []StopMode{Fast, Immediate, Kill} {
		conn, _ := session(t, server)
		execute(t, conn, "SET synchronous_commit = on")
		execute(t, conn, "INSERT INTO kept VALUES (1)")
		if err := server.Shutdown(mode); err != nil {
			t.Fatal(err)
		}
		if err := server.Shutdown(mode); err == nil {
			t.Error("a second shutdown found something to do")
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := server.Start(t.Context()); err == nil {
			t.Error("a second start started something")
		}
		if server.Port() != port {
			t.Errorf("on port %d, was on %d", server.Port(), port)
		}
		conn, _ = session(t, server)
		if n := query[int](t, conn, "SELECT count(*) FROM kept"); n != i+1 {
			t.Errorf("after mode %d %d rows, want %d", mode, n, i+1)
		}
	}
}

func TestPostgresSurvivesTheDeathOfABackend(t *testing.T) {
	server := Postgres(t)
	other, _ := session(t, server)
	_, pid := session(t, server)
	if err := server.SignalBackend(1, syscall.SIGKILL); err == nil {
		t.Fatal("a process of somebody else's was signalled")
	}
	if err := server.SignalBackend(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other session has ended", func() bool { return other.PingContext(t.Context()) != nil })
	eventually(t, "the server has recovered", func() bool {
		db, err := sql.Open("pgx", server.URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		return db.PingContext(t.Context()) == nil
	})
}

func TestPostgresHangsUntilItIsWoken(t *testing.T) {
	server := Postgres(t)
	conn, _ := session(t, server)
	if err := server.SignalAll(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := conn.ExecContext(ctx, "SELECT 1"); err == nil {
		t.Error("a halted server answers")
	}
	if err := server.SignalAll(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	session(t, server)
	if err := server.SignalAll(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	server.Stop()
	if took := time.Since(began); took >= stopPatience {
		t.Errorf("stopping a halted server took %v", took)
	}
}

func TestPostgresStandbyIsPromotedAndFollowed(t *testing.T) {
	first := Postgres(t)
	second := PostgresStandby(t, first)
	onFirst, _ := session(t, first)
	execute(t, onFirst, "CREATE TABLE replicated (n int)")
	onSecond, _ := session(t, second)
	if !query[bool](t, onSecond, "SELECT pg_is_in_recovery()") {
		t.Fatal("the standby is none")
	}
	eventually(t, "the table is on the standby", func() bool {
		return query[bool](t, onSecond, "SELECT to_regclass('replicated') IS NOT NULL")
	})
	if err := first.Shutdown(Fast); err != nil {
		t.Fatal(err)
	}
	if err := second.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, onSecond, "INSERT INTO replicated VALUES (7)")
	if err := first.Follow(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	onFirst, _ = session(t, first)
	eventually(t, "the row is on the old primary", func() bool {
		return query[int](t, onFirst, "SELECT count(*) FROM replicated") == 1
	})
}
