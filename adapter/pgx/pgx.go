// Package pgx lets nimue do more with github.com/jackc/pgx/v5. It is used by
// importing it, once, anywhere in the program:
//
//	import (
//		_ "github.com/jackc/pgx/v5/stdlib"
//		_ "github.com/nimue-go/nimue/adapter/pgx"
//	)
//
//	db, err := sql.Open("nimue", "pgx:postgres://app@db.internal/shop?pool_max_conns=20")
//
// The DSN stays what it was, and so does the driver that it names: pgx, pgx/v5, or
// whatever name the application has registered pgx's driver under. What changes:
//
//   - The pool watches the socket of every connection, beneath TLS too. A session
//     that the server ends is replaced at once, before anybody asks for it, and at no
//     cost per operation. That is why pgx's own ping is off, which costs a round trip
//     at the first statement after a second of idleness.
//   - Errors are read as PostgreSQL means them: which end the session, which are the
//     statement's own, and which say that the server has become read-only.
//   - A connect that fails for good, because of a wrong password, say, is told from
//     one that may succeed later, also where the DSN names several hosts.
//   - After an error that says "read-only", the server is asked whether that is its
//     own state, after a failover, or only the transaction's. If it is the server's,
//     the pool is renewed. With target_session_attrs=read-write and all hosts in the
//     DSN it then finds the new primary.
//   - Notices of the server go to the pool's listener, as pool.EventNotice with the
//     connection and its statement, and to the log.
//
// All of it applies to a connector of stdlib.GetConnector too that is given to
// nimue.NewConnector, but for the notices, and for the ping, which
// stdlib.OptionShouldPing switches off. DSNs of stdlib.RegisterConnConfig work the
// same, with pgx's ping on.
package pgx

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

func init() {
	nimue.RegisterAdapter(nimue.Adapter{
		Name:      "pgx",
		Serves:    serves,
		Open:      open,
		Configure: configure,
	})
}

func serves(d driver.Driver) bool {
	_, ok := d.(*stdlib.Driver)
	return ok
}

// registered begins the DSNs of stdlib.RegisterConnConfig, which only pgx's own
// connector can look up.
const registered = "registeredConnConfig"

// open makes the connector of a DSN. A DSN that pgx cannot read is an error here,
// and not at the first connect.
func open(d driver.Driver, dsn string) (driver.Connector, error) {
	if strings.HasPrefix(dsn, registered) {
		return d.(*stdlib.Driver).OpenConnector(dsn)
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	return &connector{driver: d, dsn: dsn, mode: config.DefaultQueryExecMode}, nil
}

// connector connects as pgx's own does, but for the ping and the notices.
type connector struct {
	driver driver.Driver
	dsn    string
	mode   pgx.QueryExecMode
}

// Connect reads the DSN anew every time, like pgx: the files and environment
// variables that it refers to, a .pgpass or a client certificate, may have changed.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	config, err := pgx.ParseConfig(c.dsn)
	if err != nil {
		return nil, err
	}
	config.DialFunc = counting(config.DialFunc)
	var heard notices
	config.OnNotice = heard.add
	conn, err := stdlib.GetConnector(*config, stdlib.OptionShouldPing(neverPing)).Connect(ctx)
	if c, ok := conn.(*stdlib.Conn); ok && err == nil {
		c.Conn().PgConn().CustomData()[noticesKey] = &heard
	}
	return conn, err
}

// Driver returns the driver that the DSN names.
func (c *connector) Driver() driver.Driver { return c.driver }

func neverPing(context.Context, stdlib.ShouldPingParams) bool { return false }

// configure fills in what was left open.
func configure(inner driver.Connector, cfg *pool.Config) error {
	if c, ours := inner.(*connector); ours {
		if cfg.Notices == nil {
			cfg.Notices = passNotices
		}
		constrain(cfg, c.mode)
	}
	if cfg.NetConn == nil {
		cfg.NetConn = netConn
	}
	if cfg.Sent == nil {
		cfg.Sent = sent
	}
	if cfg.Classify == nil {
		cfg.Classify = classify
	}
	if cfg.Permanent == nil {
		cfg.Permanent = permanent
	}
	if cfg.CheckRole == nil {
		cfg.CheckRole = checkRole
	}
	return nil
}

// constrain refuses pool_auto_prepare where the DSN says that nothing is to be
// prepared at the server, as behind PgBouncer.
func constrain(cfg *pool.Config, mode pgx.QueryExecMode) {
	if mode == pgx.QueryExecModeCacheStatement {
		return
	}
	before := cfg.Constrain
	cfg.Constrain = func(c *pool.Config) error {
		if c.AutoPrepare {
			return &pool.ConfigError{Pool: c.Name, Problems: []pool.Problem{{Field: "AutoPrepare", Value: true,
				Want: fmt.Sprintf("false, since the DSN says default_query_exec_mode=%s, and so that statements are not kept at the server", strings.ReplaceAll(mode.String(), " ", "_"))}}}
		}
		if before != nil {
			return before(c)
		}
		return nil
	}
}

func netConn(conn driver.Conn) net.Conn {
	c, ok := conn.(*stdlib.Conn)
	if !ok {
		return nil
	}
	return c.Conn().PgConn().Conn()
}
