package pgx

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

func TestErrorsAreClassified(t *testing.T) {
	pgErr := func(severity, code string) error {
		return &pgconn.PgError{Severity: severity, SeverityUnlocalized: severity, Code: code, Message: "m"}
	}
	for _, test := range []struct {
		err  error
		want pool.Verdict
	}{
		{pgErr("FATAL", "57P01"), pool.Discard},
		{pgErr("FATAL", "57P02"), pool.Discard},
		{pgErr("FATAL", "57P05"), pool.Discard},
		{pgErr("FATAL", "25P03"), pool.Discard},
		{pgErr("FATAL", "XX000"), pool.Discard},
		{pgErr("PANIC", "XX000"), pool.Discard},
		{&pgconn.PgError{Severity: "FATAL", Code: "08P01"}, pool.Discard}, // PgBouncer
		{&pgconn.PgError{Severity: "FATAL", Code: ""}, pool.Discard},
		{&pgconn.PgError{Severity: "SCHWERWIEGEND", SeverityUnlocalized: "FATAL", Code: "58000"}, pool.Discard},
		{pgErr("ERROR", "08006"), pool.Discard},
		{pgErr("ERROR", "57P01"), pool.Discard},
		{pgErr("ERROR", "25006"), pool.Demoted},
		{fmt.Errorf("wrapped: %w", pgErr("ERROR", "25006")), pool.Demoted},
		{pgErr("ERROR", "42601"), pool.Keep},
		{pgErr("ERROR", "23505"), pool.Keep},
		{pgErr("ERROR", "40001"), pool.Keep},
		{pgErr("ERROR", "40P01"), pool.Keep},
		{pgErr("ERROR", "53200"), pool.Keep},
		{pgErr("ERROR", "57014"), pool.Keep}, // query_canceled: the server has answered
		{pgErr("ERROR", ""), pool.Keep},
		{driver.ErrBadConn, pool.Discard},
		{fmt.Errorf("wrapped: %w", pgconn.ErrConnClosed), pool.Discard},
		{context.Canceled, pool.Unknown},
		{context.DeadlineExceeded, pool.Unknown},
		{errors.New("cannot scan"), pool.Unknown},
	} {
		if got := classify(test.err); got != test.want {
			t.Errorf("%v: verdict %d, want %d", test.err, got, test.want)
		}
	}
}

// TestDriversErrorsAreClassified takes the errors from pgx itself.
func TestDriversErrorsAreClassified(t *testing.T) {
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), servers.SharedPostgres(t).URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	conn := connect()
	_, err := conn.PgConn().Exec(ended, "SELECT 1").ReadAll()
	if got := classify(err); got != pool.Keep || conn.IsClosed() {
		t.Errorf("nothing sent: %v: verdict %d, closed %t", err, got, conn.IsClosed())
	}

	closed := connect()
	if err := closed.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err = closed.Exec(t.Context(), "SELECT 1"); classify(err) != pool.Discard {
		t.Errorf("closed: %v: verdict %d", err, classify(err))
	}

	killed := connect()
	if _, err = killed.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())"); classify(err) != pool.Discard {
		t.Errorf("killed: %v: verdict %d", err, classify(err))
	}
}

func TestRoleOfForeignConnections(t *testing.T) {
	var conn driver.Conn = struct{ *stdlib.Conn }{}
	if demoted, err := checkRole(t.Context(), conn); demoted || err != nil {
		t.Errorf("a wrapper's connection: %t, %v", demoted, err)
	}
	if nc := netConn(conn); nc != nil {
		t.Errorf("a wrapper's socket: %v", nc)
	}
}
