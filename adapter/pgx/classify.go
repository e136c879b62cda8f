package pgx

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue/pool"
)

// readOnly is the SQLSTATE read_only_sql_transaction: of a standby, of a server
// that was made read-only, and of a transaction that asked for it itself.
const readOnly = "25006"

// sessionEnds lists the SQLSTATEs that come with the end of the session. Servers
// say so by the severity, too; proxies do not always.
var sessionEnds = map[string]bool{
	"57P01": true, // admin_shutdown: pg_terminate_backend, a fast shutdown
	"57P02": true, // crash_shutdown: another backend died
	"57P03": true, // cannot_connect_now
	"57P04": true, // database_dropped
	"57P05": true, // idle_session_timeout
	"25P03": true, // idle_in_transaction_session_timeout
	"25P04": true, // transaction_timeout
}

// classify judges an operation's error. What it does not know is left to the
// generic rules: timeouts, cancelled contexts and network errors.
func classify(err error) pool.Verdict {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return verdict(pgErr)
	}
	switch {
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, pgconn.ErrConnClosed):
		return pool.Discard
	case pgconn.Timeout(err) && pgconn.SafeToRetry(err):
		return pool.Keep // the context had ended before anything was sent
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return pool.Discard
	}
	return pool.Unknown
}

func verdict(err *pgconn.PgError) pool.Verdict {
	switch severityOf(err) {
	case "FATAL", "PANIC":
		return pool.Discard
	}
	switch {
	case err.Code == readOnly:
		return pool.Demoted
	case len(err.Code) == 5 && err.Code[:2] == "08", sessionEnds[err.Code]:
		return pool.Discard
	}
	return pool.Keep
}

// roleQuery asks whether the server accepts no writes, from whomever. A session
// that has set default_transaction_read_only itself (source session), or asked for
// it in its DSN (client), says nothing about the server.
const roleQuery = `SELECT pg_is_in_recovery() OR EXISTS (` +
	`SELECT FROM pg_settings WHERE name = 'default_transaction_read_only' AND setting = 'on' AND source NOT IN ('session', 'client'))`

// checkRole runs roleQuery. By the simple protocol, it leaves no prepared
// statement behind, and passes through PgBouncer.
func checkRole(ctx context.Context, conn driver.Conn) (demoted bool, err error) {
	c, ok := conn.(*stdlib.Conn)
	if !ok {
		return false, nil // somebody's wrapper, which cannot be asked
	}
	results, err := c.Conn().PgConn().Exec(ctx, roleQuery).ReadAll()
	if err != nil {
		return false, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		return false, errors.New("no answer to the question for the server's role")
	}
	return string(results[0].Rows[0][0]) == "t", nil
}

// severityOf is the severity in English, which servers before 9.6 and some proxies
// tell only in the session's language.
func severityOf(err *pgconn.PgError) string {
	if err.SeverityUnlocalized != "" {
		return err.SeverityUnlocalized
	}
	return err.Severity
}
