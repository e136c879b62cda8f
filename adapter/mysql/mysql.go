// Package mysql lets nimue do more with github.com/go-sql-driver/mysql, with MySQL
// and MariaDB servers alike. It is used by importing it, once, anywhere in the
// program:
//
//	import (
//		_ "github.com/go-sql-driver/mysql"
//		_ "github.com/nimue-go/nimue/adapter/mysql"
//	)
//
//	db, err := sql.Open("nimue", "mysql:app@tcp(db.internal:3306)/shop?parseTime=true&pool_max_conns=20")
//
// The DSN stays what it was, and so does the driver that it names. What changes:
//
//   - The pool watches the socket of every connection, beneath TLS too. A session
//     that the server ends, when its wait_timeout is over or by KILL, is replaced at
//     once, before anybody asks for it. The driver's own check before the first
//     statement of a lease (checkConnLiveness) is left out then, unless the DSN asks
//     for it.
//   - Errors are read by their numbers: which end the session, which are the
//     statement's own, and which say that the server has become read-only.
//   - A connect that fails for good, because of a wrong password, say, is told from
//     one that may succeed later.
//   - After an error that says "read-only", the server is asked whether it is so, as
//     after a failover. If it is, the pool is renewed.
//
// The driver does not show its socket, so the pool learns of it from the dialer. A
// DSN whose network was registered with mysql.RegisterDialContext keeps that dialer,
// which can tell the pool by pool.NoteSocket; without that, connections are verified
// as with any other driver. A dialer that is registered under the name tcp or unix
// itself is not used: give it a name of its own.
//
// For a connector of mysql.NewConnector that is given to nimue.NewConnector, the
// same holds of its Config.DialFunc.
package mysql

import (
	"context"
	"database/sql/driver"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

func init() {
	nimue.RegisterAdapter(nimue.Adapter{
		Name:      "mysql",
		Serves:    serves,
		Open:      open,
		Configure: configure,
	})
}

func serves(d driver.Driver) bool {
	_, ok := d.(*mysql.MySQLDriver)
	return ok
}

// open makes the connector of a DSN, with a dialer that tells the pool of the
// socket where the driver would use the plain one.
func open(_ driver.Driver, dsn string) (driver.Connector, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	switch cfg.Net {
	case "tcp", "tcp4", "tcp6", "unix":
		cfg.DialFunc = dial
		if !strings.Contains(dsn, "checkConnLiveness=") {
			cfg.CheckConnLiveness = false
		}
	}
	connector, err := mysql.NewConnector(cfg)
	if err == nil && cfg.InterpolateParams {
		connector = interpolating{connector}
	}
	return connector, err
}

// interpolating is a connector whose DSN says interpolateParams=true.
type interpolating struct{ driver.Connector }

// constrain refuses pool_auto_prepare beside interpolateParams: one asks for the
// binary protocol, the other for text, and results come in other types by either.
func constrain(c *pool.Config) error {
	if !c.AutoPrepare {
		return nil
	}
	return &pool.ConfigError{Pool: c.Name, Problems: []pool.Problem{{Field: "AutoPrepare", Value: true,
		Want: "false, since the DSN says interpolateParams=true, by which nothing is prepared"}}}
}

// dial is the driver's own way to dial, and tells the pool.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err == nil {
		pool.NoteSocket(ctx, conn)
	}
	return conn, err
}

// configure fills in what was left open.
func configure(inner driver.Connector, cfg *pool.Config) error {
	if _, ok := inner.(interpolating); ok && cfg.Constrain == nil {
		cfg.Constrain = constrain
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
