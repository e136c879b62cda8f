package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"sync/atomic"

	"github.com/nimue-go/nimue"
)

// way is one way to open a database.
type way struct {
	name   string
	open   func() (*opened, error)
	redact func(error) error
}

// opened is a database with what is known of its connections.
type opened struct {
	db    *sql.DB
	count func() int64 // of those opened so far
	now   func() int   // open
	close func()
}

func throughNimue(e *nimue.Explanation) way {
	return way{"nimue", func() (*opened, error) {
		connector, err := nimue.OpenConnector(e.DSN.Format(), nil)
		if err != nil {
			return nil, err
		}
		db, p := sql.OpenDB(connector), connector.Pool()
		return &opened{
			db:    db,
			count: func() int64 { return int64(p.Stats().Connects) },
			now:   func() int { return p.Stats().Total },
			close: func() { closePool(db, p) },
		}, nil
	}, e.DSN.RedactError}
}

// plainTuned is database/sql with the pool's number of connections.
func plainTuned(e *nimue.Explanation) way {
	n := e.Config.MaxConns
	return plain(e, fmt.Sprintf("database/sql, %d open, %[1]d idle", n), func(db *sql.DB) {
		db.SetMaxOpenConns(n)
		db.SetMaxIdleConns(n)
	})
}

// plainDefault is database/sql as it comes.
func plainDefault(e *nimue.Explanation) way {
	return plain(e, "database/sql, default settings", func(*sql.DB) {})
}

// plain is the inner driver beneath database/sql alone, as sql.Open has it, so
// without the adapter.
func plain(e *nimue.Explanation, name string, tune func(*sql.DB)) way {
	return way{name, func() (*opened, error) {
		inner, err := plainConnector(e.DSN.Driver, e.DSN.Inner)
		if err != nil {
			return nil, e.DSN.RedactError(err)
		}
		counting := &countingConnector{Connector: inner}
		db := sql.OpenDB(counting)
		tune(db)
		return &opened{
			db:    db,
			count: counting.opened.Load,
			now:   func() int { return db.Stats().OpenConnections },
			close: func() { _ = db.Close() },
		}, nil
	}, e.DSN.RedactError}
}

// plainConnector makes the connector that sql.Open would make.
func plainConnector(name, dsn string) (driver.Connector, error) {
	db, err := sql.Open(name, dsn)
	if err != nil {
		return nil, err
	}
	defer db.Close() // it has opened nothing
	if d, ok := db.Driver().(driver.DriverContext); ok {
		return d.OpenConnector(dsn)
	}
	return oldConnector{db.Driver(), dsn}, nil
}

// oldConnector is the connector of a driver that has only Open.
type oldConnector struct {
	driver driver.Driver
	dsn    string
}

func (c oldConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c oldConnector) Driver() driver.Driver                        { return c.driver }

// countingConnector counts the connections that it opens. They themselves are the
// driver's own, so that nothing is measured but the driver.
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
