package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

// poolSize is how many connections the pool has if no DSN says it.
const poolSize = 8

// way is one way to open a database.
type way struct {
	name string
	open func(dsn string) (*sql.DB, tally, error)
}

// tally tells of the physical connections of a database.
type tally struct {
	opened func() int64       // so far
	open   func() int         // at this moment
	stats  func() *pool.Stats // nil without a pool
	close  func() error       // closes the database and waits for its connections to be closed
}

var throughNimue = way{"nimue", func(dsn string) (*sql.DB, tally, error) {
	db, err := sql.Open(nimue.DriverName, dsn)
	if err != nil {
		return nil, tally{}, err
	}
	p := nimue.PoolOf(db)
	stats := func() *pool.Stats { s := p.Stats(); return &s }
	return db, tally{
		opened: func() int64 { return int64(stats().Connects) },
		open:   func() int { return stats().Total },
		stats:  stats,
		close:  func() error { return shutDown(db, p) },
	}, nil
}}

// closePatience is how long the last connections have to come back.
const closePatience = 10 * time.Second

// shutDown waits, which (*sql.DB).Close alone would not: SQLite's files cannot be
// removed everywhere while they are open.
func shutDown(db *sql.DB, p *pool.Pool) error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	return errors.Join(p.Shutdown(ctx), db.Close())
}

// plain opens the inner driver with database/sql alone, and then tunes it.
func plain(name string, tune func(*sql.DB)) way {
	return way{name, func(dsn string) (*sql.DB, tally, error) {
		parsed, err := nimue.ParseDSN(dsn)
		if err != nil {
			return nil, tally{}, err
		}
		inner, err := innerConnector(parsed)
		if err != nil {
			return nil, tally{}, err
		}
		counting := &countingConnector{Connector: inner}
		db := sql.OpenDB(counting)
		tune(db)
		return db, tally{
			opened: counting.opened.Load,
			open:   func() int { return db.Stats().OpenConnections },
			close:  db.Close,
		}, nil
	}}
}

// comparePlain does the same work with plain database/sql, as it comes and with
// the same number of connections as the pool. A run that takes several times as
// long as the first is ended, so that the program ends; the table then shows it.
func comparePlain(ctx context.Context, place *place, opts options, prog *progress, first time.Duration) ([]*result, error) {
	parsed, err := nimue.ParseDSN(place.dsn("nimue"))
	if err != nil {
		return nil, err
	}
	size := parsed.Pool.WithDefaults().MaxConns
	limit := max(10*time.Second, 4*first)
	var results []*result
	for _, w := range []way{
		plain("database/sql, default settings", func(*sql.DB) {}),
		plain(fmt.Sprintf("database/sql, %d open, %[1]d idle", size), func(db *sql.DB) {
			db.SetMaxOpenConns(size)
			db.SetMaxIdleConns(size)
		}),
	} {
		r, err := compete(ctx, w, place.dsn(fmt.Sprint("plain", len(results))), opts, prog, &limit)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if r == nil {
			r = &result{name: w.name, planned: opts.orders}
		}
		if err != nil { // the comparison's trouble is not the program's: it is shown
			r.reportErr = errors.Join(r.reportErr, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// innerConnector makes the connector that sql.Open would make.
func innerConnector(dsn nimue.DSN) (driver.Connector, error) {
	db, err := sql.Open(dsn.Driver, dsn.Inner)
	if err != nil {
		return nil, err
	}
	defer db.Close() // it has opened nothing
	if d, ok := db.Driver().(driver.DriverContext); ok {
		return d.OpenConnector(dsn.Inner)
	}
	return oldConnector{db.Driver(), dsn.Inner}, nil
}

// oldConnector is the connector of a driver that has only Open.
type oldConnector struct {
	driver driver.Driver
	dsn    string
}

func (c oldConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c oldConnector) Driver() driver.Driver                        { return c.driver }

// countingConnector counts the connections that it opens. Those themselves are
// the driver's own, so that nothing is measured but the driver.
type countingConnector struct {
	driver.Connector
	opened atomic.Int64
}

func (c *countingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err == nil {
		c.opened.Add(1)
	}
	return conn, err
}

// place is where the databases are.
type place struct {
	dsn    func(run string) string
	shown  string // without secrets
	remove func() error
}

// newPlace makes a place of the user's DSN, or a temporary directory in which
// every run has a database of its own.
func newPlace(dsn string) (*place, error) {
	if dsn != "" {
		parsed, err := nimue.ParseDSN(dsn)
		if err != nil {
			return nil, usageError{err}
		}
		if parsed.Pool.WithDefaults().MaxConns < 2 {
			return nil, usageError{errors.New("pool_max_conns: want 2 or more, since the reporter holds one connection all the time")}
		}
		return &place{
			dsn:    func(string) string { return dsn },
			shown:  parsed.Redacted(),
			remove: func() error { return nil },
		}, nil
	}
	dir, err := os.MkdirTemp("", "nimue-quickstart-")
	if err != nil {
		return nil, err
	}
	return &place{
		dsn:    func(run string) string { return sqliteDSN(filepath.Join(dir, run+".db")) },
		shown:  fmt.Sprintf("SQLite in a temporary directory, pool_max_conns=%d", poolSize),
		remove: func() error { return os.RemoveAll(dir) },
	}, nil
}

// sqliteDSN names a database file. A writing transaction takes SQLite's one write
// lock when it begins: one that only found out later that it needs it could not
// wait for it.
func sqliteDSN(path string) string {
	file := url.URL{Path: filepath.ToSlash(path)}
	return "sqlite:file:" + file.EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_txlock=immediate" +
		fmt.Sprintf("&pool_max_conns=%d", poolSize)
}
