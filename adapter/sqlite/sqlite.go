// Package sqlite lets nimue do more with modernc.org/sqlite. It is used by importing
// it, once, anywhere in the program:
//
//	import (
//		_ "modernc.org/sqlite"
//		_ "github.com/nimue-go/nimue/adapter/sqlite"
//	)
//
//	db, err := sql.Open("nimue", "sqlite:file:shop.db?_pragma=busy_timeout(5000)&pool_max_conns=8")
//
// The DSN stays what it was, and so does the driver that it names. What changes:
//
//   - A private database, one in memory (:memory:, file::memory:, mode=memory) or the
//     temporary one of the empty name, lives and dies with the one connection that
//     opened it. The pool is held to that connection and never retires it. Settings
//     that contradict it are refused, at sql.Open and by Update.
//   - A database in memory that connections share (cache=shared, or vfs=memdb with a
//     name that begins with a slash) ends with the last of them. One more, which is
//     not the pool's and is never used, keeps it for as long as the pool lasts.
//   - Errors are read by their codes: a locked database or an interrupted statement
//     says nothing about the connection, an input/output error does.
//   - A file that cannot be opened fails at once, instead of being waited for.
//
// Of a connector from sqlite.NewConnector, which does not show its DSN, only the last
// two hold.
package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func init() {
	nimue.RegisterAdapter(nimue.Adapter{
		Name:      "sqlite",
		Serves:    serves,
		Open:      open,
		Configure: configure,
	})
}

func serves(d driver.Driver) bool {
	_, ok := d.(*sqlite.Driver)
	return ok
}

// open makes the connector of a DSN, through the driver that it names: an
// application may have registered one with functions of its own.
func open(d driver.Driver, dsn string) (driver.Connector, error) {
	return &connector{driver: d, dsn: dsn, kind: kindOf(dsn)}, nil
}

type connector struct {
	driver driver.Driver
	dsn    string
	kind   kind

	mu     sync.Mutex  // guards what is below
	anchor driver.Conn // keeps a shared database in memory; nil until the first Connect
	closed bool
}

// Connect opens the database. SQLite has no way to interrupt that.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.kind == shared {
		if err := c.dropAnchor(); err != nil {
			return nil, err
		}
	}
	return c.driver.Open(c.dsn)
}

func (c *connector) dropAnchor() (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.anchor == nil && !c.closed {
		c.anchor, err = c.driver.Open(c.dsn)
	}
	return err
}

// Close gives up a shared database in memory. nimue calls it when it closes the
// pool.
func (c *connector) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.anchor == nil {
		return nil
	}
	anchor := c.anchor
	c.anchor = nil
	return anchor.Close()
}

// Driver returns the driver that the DSN names.
func (c *connector) Driver() driver.Driver { return c.driver }

// configure fills in what was left open.
func configure(inner driver.Connector, cfg *pool.Config) error {
	if c, ours := inner.(*connector); ours && c.kind == private {
		keepAlive(cfg)
		cfg.Constrain = holdToOne(cfg.Constrain)
	}
	if cfg.Classify == nil {
		cfg.Classify = classify
	}
	if cfg.Permanent == nil {
		cfg.Permanent = permanent
	}
	return nil
}

// classify judges an operation's error. What it does not know, a cancelled
// context, say, is left to the generic rules.
func classify(err error) pool.Verdict {
	failed, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return pool.Unknown
	}
	if failed.Code() == sqlite3.SQLITE_READONLY_DBMOVED {
		return pool.Discard // the file at that path is another one by now, or gone
	}
	switch primary(failed) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_MISUSE:
		return pool.Suspect
	}
	return pool.Keep // SQLITE_BUSY, SQLITE_LOCKED and SQLITE_INTERRUPT among them
}

// permanent tells that the database will not open however often it is tried.
func permanent(err error) bool {
	failed, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch primary(failed) {
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY:
		return true
	}
	return false
}

// primary is an error's code without its extension.
func primary(err *sqlite.Error) int { return err.Code() & 0xff }
