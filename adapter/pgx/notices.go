package pgx

import (
	"database/sql/driver"
	"log/slog"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// noticesKey is where a connection's notices are among pgconn's custom data.
const noticesKey = "nimue.notices"

// notices takes the server's notices of one connection, and keeps those of the
// connect itself until the pool says who is to be told.
type notices struct {
	mu   sync.Mutex // guards what follows
	tell func(slog.Level, error)
	kept []*pgconn.Notice
}

// mostKept bounds what a server can have a connection keep that is never told.
const mostKept = 16

// add is the connection's OnNotice.
func (n *notices) add(_ *pgconn.PgConn, notice *pgconn.Notice) {
	n.mu.Lock()
	tell := n.tell
	if tell == nil && len(n.kept) < mostKept {
		n.kept = append(n.kept, notice)
	}
	n.mu.Unlock()
	if tell != nil {
		tell(levelOf(notice), (*pgconn.PgError)(notice))
	}
}

// passTo has notices told from now on, those that came before first.
func (n *notices) passTo(tell func(slog.Level, error)) {
	n.mu.Lock()
	kept := n.kept
	n.tell, n.kept = tell, nil
	n.mu.Unlock()
	for _, notice := range kept {
		tell(levelOf(notice), (*pgconn.PgError)(notice))
	}
}

// passNotices is the pool's Config.Notices, for connections of this package's own
// connector.
func passNotices(conn driver.Conn, tell func(level slog.Level, notice error)) {
	c, ok := conn.(*stdlib.Conn)
	if !ok {
		return
	}
	if n, ok := c.Conn().PgConn().CustomData()[noticesKey].(*notices); ok {
		n.passTo(tell)
	}
}

// levelOf is info for what PostgreSQL sends to every client by default
// (client_min_messages = notice), and debug for what a session must ask for.
func levelOf(n *pgconn.Notice) slog.Level {
	severity := severityOf((*pgconn.PgError)(n))
	if severity == "LOG" || strings.HasPrefix(severity, "DEBUG") {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
