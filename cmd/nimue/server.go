package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
	"github.com/nimue-go/nimue/status"
)

// serverFacts are what a server says of itself. What it does not say stays zero.
type serverFacts struct {
	Product string `json:"product"` // PostgreSQL, MariaDB, MySQL, SQLite
	Version string `json:"version"`
	TLS     string `json:"tls,omitempty"`    // the version in use, or "no"
	Role    string `json:"role,omitempty"`   // "read-write" or "read-only"
	Pooler  bool   `json:"pooler,omitempty"` // something stands between

	MaxConnections int  `json:"max_connections,omitempty"`
	Reserved       int  `json:"reserved_connections,omitempty"` // of them, for administrators
	RoleLimit      int  `json:"role_limit,omitempty"`           // for this user
	DatabaseLimit  int  `json:"database_limit,omitempty"`       // for this database
	InUse          *int `json:"in_use,omitempty"`               // by others

	IdleTimeout status.Seconds  `json:"idle_timeout_seconds,omitempty"` // at which the server ends a session
	JournalMode string          `json:"journal_mode,omitempty"`         // of SQLite, as the next
	BusyTimeout *status.Seconds `json:"busy_timeout_seconds,omitempty"`
}

// The roles of a server.
const (
	roleReadWrite = "read-write"
	roleReadOnly  = "read-only"
)

// questions ask a server for its facts, by the name of the adapter. Every question
// that a server does not know how to answer leaves its facts unknown: databases that
// only speak another one's protocol have not all of its tables.
var questions = map[string]func(context.Context, *sql.Conn, *serverFacts) error{
	"pgx":    askPostgres,
	"mysql":  askMySQL,
	"sqlite": askSQLite,
}

// limit is the most connections that this user can have, with the reason; 0 where
// that is not known.
func (f *serverFacts) limit() (most int, why string) {
	if f.MaxConnections > 0 {
		most = f.MaxConnections - f.Reserved
		why = fmt.Sprintf("the server's max_connections is %d", f.MaxConnections)
		if f.Reserved > 0 {
			why += fmt.Sprintf(", of which %d are reserved for administrators", f.Reserved)
		}
	}
	for _, l := range []struct {
		n    int
		what string
	}{{f.RoleLimit, "user"}, {f.DatabaseLimit, "database"}} {
		if l.n > 0 && (most == 0 || l.n < most) {
			most, why = l.n, fmt.Sprintf("the server allows this %s %d connections", l.what, l.n)
		}
	}
	return most, why
}

// askServer opens one connection, asks, and closes it.
func askServer(ctx context.Context, e *nimue.Explanation, timeout time.Duration) (*serverFacts, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	one, err := openOne(e, timeout)
	if err != nil {
		return nil, err
	}
	defer one.close()
	conn, err := one.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return ask(ctx, conn, e)
}

// ask asks over a connection.
func ask(ctx context.Context, conn *sql.Conn, e *nimue.Explanation) (*serverFacts, error) {
	question := questions[e.Adapter]
	if question == nil {
		return nil, conn.PingContext(ctx)
	}
	f := &serverFacts{}
	if err := question(ctx, conn, f); err != nil {
		return nil, e.DSN.RedactError(err)
	}
	return f, nil
}

// single is a pool of one connection, as the DSN has it otherwise.
type single struct {
	db   *sql.DB
	pool *pool.Pool
	// began and ready are when the first connect began and was done.
	began, ready time.Time
}

// openOne opens a DSN for one connection, which a command needs at most, so that
// it takes no more from a server that may be short of them. A connect that fails is
// an error at once.
func openOne(e *nimue.Explanation, timeout time.Duration) (*single, error) {
	s := &single{}
	dsn := e.DSN
	dsn.Pool.Name, dsn.Named = e.DSN.Pool.Name, false // shares with nobody
	connector, err := nimue.OpenConnector(dsn.Format(), func(c *pool.Config) {
		c.MaxConns, c.MinConns, c.MinIdleConns, c.MaxIdleConns, c.InitConns = 1, 0, 0, 0, pool.None
		c.MaxWaiters, c.OutageGrace = 0, pool.None
		c.ConnectTimeout = min(c.WithDefaults().ConnectTimeout, timeout)
		c.CheckOnAcquire = pool.CheckNever
		s.time(c)
	})
	if err != nil {
		return nil, err
	}
	s.db, s.pool = sql.OpenDB(connector), connector.Pool()
	return s, nil
}

// closeWithin is how long a command waits for its connections to be closed.
const closeWithin = 5 * time.Second

func (s *single) close() { closePool(s.db, s.pool) }

// closePool closes a pool and waits until the connections are gone.
func closePool(db *sql.DB, p *pool.Pool) {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	_ = p.Shutdown(ctx) // what hangs ends with the process
	_ = db.Close()
}

// showServer prints the facts in lines, with the labels in a column of a width.
func showServer(c *console, f *serverFacts, indent int) {
	line := func(label, text string) {
		if text != "" {
			c.indented("  "+label, text, indent)
		}
	}
	line("server", printable(f.Product+" "+f.Version))
	line("TLS", f.TLS)
	line("role", f.Role)
	if most, why := f.limit(); most > 0 {
		if f.InUse != nil {
			why += fmt.Sprintf("; others use %d now", *f.InUse)
		}
		line("limit", why)
	}
	if f.IdleTimeout > 0 {
		line("idle limit", "the server ends sessions that are idle for "+shortDuration(f.IdleTimeout.Duration()))
	}
	if f.Pooler {
		line("pooler", "one stands between, such as PgBouncer")
	}
	if f.JournalMode != "" {
		line("journal", f.JournalMode)
	}
}

// shortDuration writes a duration without the zero units of Duration.String.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
