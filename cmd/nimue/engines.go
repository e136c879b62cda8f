package main

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/status"
)

// postgresSettings are read from pg_settings, where a duration is in milliseconds.
// A server too old or too different for one of them has no such row.
const postgresSettings = `SELECT name, setting FROM pg_settings WHERE name IN
	('max_connections', 'superuser_reserved_connections', 'reserved_connections', 'idle_session_timeout', 'server_version', 'transaction_read_only')`

// postgresUse counts the sessions of others. Who may not see the kind of a foreign
// session counts every session that has a database.
const postgresUse = `SELECT count(*) FROM pg_stat_activity
	WHERE pid <> pg_backend_pid() AND datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'`

// askPostgres asks on the one session that is leased for it, by the simple protocol,
// which every pooler passes on.
func askPostgres(ctx context.Context, conn *sql.Conn, f *serverFacts) error {
	return nimue.Raw(conn, func(inner driver.Conn) error {
		c, ok := inner.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a connection of pgx was expected, not a %T", inner)
		}
		return askPgx(ctx, c.Conn(), f)
	})
}

func askPgx(ctx context.Context, c *pgx.Conn, f *serverFacts) error {
	scan := func(query string, to ...any) error {
		return c.QueryRow(ctx, query, pgx.QueryExecModeSimpleProtocol).Scan(to...)
	}
	var version string
	if err := scan("SELECT version()", &version); err != nil {
		return err
	}
	f.TLS = "no"
	if secured, ok := c.PgConn().Conn().(*tls.Conn); ok {
		f.TLS = tls.VersionName(secured.ConnectionState().Version)
	}
	f.Product, f.Version, _ = strings.Cut(version, " ")

	settings := map[string]string{}
	var name, value string
	rows, err := c.Query(ctx, postgresSettings, pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error { settings[name] = value; return nil })
	}
	number := func(name string) int { n, _ := strconv.Atoi(settings[name]); return n } // 0: not known
	if text := settings["server_version"]; text != "" && f.Product == "PostgreSQL" {
		f.Version = text
	}
	f.MaxConnections = number("max_connections")
	f.Reserved = number("superuser_reserved_connections") + number("reserved_connections")
	f.IdleTimeout = status.Seconds(time.Duration(number("idle_session_timeout")) * time.Millisecond)
	f.Role = map[string]string{"on": roleReadOnly, "off": roleReadWrite}[settings["transaction_read_only"]]

	var used, pid int
	var superuser bool
	err = errors.Join(err,
		scan("SELECT pg_backend_pid()", &pid),
		scan(postgresUse, &used),
		scan("SELECT rolsuper, rolconnlimit FROM pg_roles WHERE rolname = session_user", &superuser, &f.RoleLimit),
		scan("SELECT datconnlimit FROM pg_database WHERE datname = current_database()", &f.DatabaseLimit))
	if ctx.Err() != nil {
		return err // otherwise it is something that this server does not know
	}
	f.Pooler = f.Product == "PostgreSQL" && pid != 0 && pid != int(c.PgConn().PID())
	if used > 0 || err == nil {
		f.InUse = &used
	}
	if superuser { // whom no limit but the first one concerns
		f.Reserved, f.RoleLimit, f.DatabaseLimit = 0, 0, 0
	}
	f.RoleLimit, f.DatabaseLimit = max(f.RoleLimit, 0), max(f.DatabaseLimit, 0) // -1: none
	return nil
}

// askMySQL asks MySQL or MariaDB.
func askMySQL(ctx context.Context, conn *sql.Conn, f *serverFacts) error {
	if err := conn.QueryRowContext(ctx, "SELECT @@version").Scan(&f.Version); err != nil {
		return err
	}
	f.Product = "MySQL"
	if strings.Contains(f.Version, "MariaDB") {
		f.Product = "MariaDB"
	}
	number := func(query string) (n int, known bool) {
		err := conn.QueryRowContext(ctx, query).Scan(&n)
		return n, err == nil
	}
	var name, text string
	f.MaxConnections, _ = number("SELECT @@max_connections")
	f.RoleLimit, _ = number("SELECT @@max_user_connections")
	if seconds, ok := number("SELECT @@wait_timeout"); ok {
		f.IdleTimeout = status.Seconds(time.Duration(seconds) * time.Second)
	}
	if readOnly, ok := number("SELECT @@global.read_only"); ok {
		f.Role = [...]string{roleReadWrite, roleReadOnly}[min(readOnly, 1)]
	}
	if conn.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Threads_connected'").Scan(&name, &text) == nil {
		if n, err := strconv.Atoi(text); err == nil {
			others := max(n-1, 0)
			f.InUse = &others
		}
	}
	if conn.QueryRowContext(ctx, "SHOW SESSION STATUS LIKE 'Ssl_version'").Scan(&name, &text) == nil {
		f.TLS = strings.Replace(text, "TLSv", "TLS ", 1)
		if text == "" {
			f.TLS = "no"
		}
	}
	return ctx.Err()
}

// askSQLite asks the library, and how the file is used.
func askSQLite(ctx context.Context, conn *sql.Conn, f *serverFacts) error {
	f.Product = "SQLite"
	if err := conn.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&f.Version); err != nil {
		return err
	}
	var wait int64
	if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&wait); err != nil {
		return err
	}
	busy := status.Seconds(time.Duration(wait) * time.Millisecond)
	f.BusyTimeout = &busy
	return conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&f.JournalMode)
}
