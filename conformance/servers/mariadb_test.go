//go:build unix

package servers

import (
	"database/sql"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
)

func mariaDBVariable(tb testing.TB, dsn, name string) string {
	tb.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	var value string
	if err := db.QueryRowContext(tb.Context(), "SELECT @@global."+name).Scan(&value); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return value
}

func TestMariaDBAnswersOnEveryAddressItNames(t *testing.T) {
	server := SharedMariaDB(t)
	for _, dsn := range []string{server.DSN(MariaDBDatabase), server.SocketDSN(MariaDBDatabase)} {
		if got, want := mariaDBVariable(t, dsn, "datadir"), server.DataDir()+"/"; got != want {
			t.Errorf("%s leads to the server of %s, not of %s", dsn, got, want)
		}
	}
}

func TestMariaDBTakesItsOptionsAndComesBackWithItsData(t *testing.T) {
	server, err := StartMariaDB(t.Context(), MariaDBOptions{
		MaxConnections: 17,
		Password:       `it's a "pass\word"`,
		Settings:       map[string]string{"wait-timeout": "77"},
	})
	Require(t, err)
	t.Cleanup(server.Stop)
	dsn := server.DSN(MariaDBDatabase)
	for name, want := range map[string]string{"max_connections": "17", "wait_timeout": "77"} {
		if got := mariaDBVariable(t, dsn, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE kept (n INT)"); err != nil {
		t.Fatal(err)
	}
	port := server.Port()
	for i, mode := range []StopMode{Fast, Immediate, Kill} {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO kept VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		if server.Port() != port {
			t.Errorf("on port %d, was on %d", server.Port(), port)
		}
		eventually(t, "the old connections are gone", func() bool { return db.PingContext(t.Context()) == nil })
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM kept").Scan(&n); err != nil || n != i+1 {
			t.Errorf("after mode %d %d rows (%v), want %d", mode, n, err, i+1)
		}
	}
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	server.Stop()
	if took := time.Since(began); took >= stopPatience {
		t.Errorf("stopping a halted server took %v", took)
	}
}
