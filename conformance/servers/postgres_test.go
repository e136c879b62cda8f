//go:build unix

package servers

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib"
)

// setting reads one run-time parameter through a connection of its own.
func setting(tb testing.TB, dsn, name string) string {
	tb.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	var value string
	if err := db.QueryRowContext(tb.Context(), "SELECT current_setting($1)", name).Scan(&value); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return value
}

func TestPostgresAnswersOnEveryAddressItNames(t *testing.T) {
	server := SharedPostgres(t)
	socket := fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", server.SocketDir(), server.Port(), PostgresUser)
	addresses := map[string]string{"URL": server.URL("postgres"), "DSN": server.DSN("postgres")}
	if server.SocketDir() != "" {
		addresses["socket"] = socket
	}
	for name, dsn := range addresses {
		if got := setting(t, dsn, "data_directory"); got != server.DataDir() {
			t.Errorf("%s leads to the server of %s, not of %s", name, got, server.DataDir())
		}
	}
	if got := setting(t, server.URL("postgres"), "is_superuser"); got != "on" {
		t.Errorf("the user is no superuser: %q", got)
	}
}

func TestPostgresTakesItsOptions(t *testing.T) {
	server, err := StartPostgres(t.Context(), PostgresOptions{
		MaxConnections: 17,
		Password:       `it's a "pass\word"`,
		Settings:       map[string]string{"application_name": "given", "fsync": "on"},
	})
	Require(t, err)
	t.Cleanup(server.Stop)
	for _, dsn := range []string{server.URL("postgres"), server.DSN("postgres")} {
		for name, want := range map[string]string{"max_connections": "17", "fsync": "on", "synchronous_commit": "off"} {
			if got := setting(t, dsn, name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
	}
	// The password must be asked for, not merely accepted.
	wrong := strings.Replace(server.DSN("postgres"), "password='it", "password='xx", 1)
	db, err := sql.Open("pgx", wrong)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var pgErr *pgconn.PgError
	if err := db.PingContext(t.Context()); !errors.As(err, &pgErr) || pgErr.Code != "28P01" {
		t.Errorf("with a wrong password: %v, want an authentication failure", err)
	}
}

func TestPostgresStopEndsTheProcessAndRemovesItsFiles(t *testing.T) {
	server, err := StartPostgres(t.Context(), PostgresOptions{})
	Require(t, err)
	// A client that stays must not hold the stop up.
	db, err := sql.Open("pgx", server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	server.Stop()
	if err := syscall.Kill(server.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Stop: %v, want none", server.PID(), err)
	}
	if _, err := os.Stat(server.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory %s after Stop: %v, want none", server.dir, err)
	}
	if err := db.PingContext(t.Context()); err == nil {
		t.Error("the server still answers after Stop")
	}
}

func TestPostgresFailureShowsTheLogAndLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	if err := os.Chmod(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", temp)
	_, err := StartPostgres(t.Context(), PostgresOptions{Settings: map[string]string{"work_mem": "nonsense"}})
	if errors.Is(err, ErrNotInstalled) {
		Require(t, err)
	}
	if err == nil || !strings.Contains(err.Error(), "work_mem") {
		t.Errorf("error %v, want one that shows the log about work_mem", err)
	}
	entries, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestSharedPostgresIsOneServer(t *testing.T) {
	first, second := SharedPostgres(t), SharedPostgres(t)
	if first != second {
		t.Errorf("two servers, on ports %d and %d", first.Port(), second.Port())
	}
}
