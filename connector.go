package nimue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// Connector is a driver.Connector whose connections come from one pool. It serves
// one *sql.DB: closing that closes the connector and with it the pool, or gives
// up its part of a pool that others share by name.
type Connector struct {
	pool  *pool.Pool
	close func() error
}

var (
	_ driver.Connector = (*Connector)(nil)
	_ io.Closer        = (*Connector)(nil)
)

// NewConnector puts a pool over any inner driver.Connector, for sql.OpenDB:
//
//	connector, err := nimue.NewConnector(inner, pool.Config{MaxConns: 8})
//	db := sql.OpenDB(connector)
//
// It dials nothing itself. A nil inner connector and an invalid configuration are
// errors. Closing it closes inner too, if that is an io.Closer. Where an [Adapter]
// for the inner driver is imported, it takes part.
func NewConnector(inner driver.Connector, cfg pool.Config) (*Connector, error) {
	if err := adapt(inner, &cfg); err != nil {
		return nil, err
	}
	p, err := pool.New(inner, cfg)
	if err != nil {
		return nil, err
	}
	return &Connector{pool: p, close: func() error { return closePool(p, inner) }}, nil
}

// OpenConnector makes the connector of a nimue DSN, as sql.Open does, with what a
// DSN cannot say: change, if not nil, edits the configuration that the DSN gives.
//
//	connector, err := nimue.OpenConnector(dsn, func(c *pool.Config) {
//		c.BeforeConnect = freshCredentials
//	})
//	db := sql.OpenDB(connector)
//
// A pool that is shared by its pool_name keeps the configuration that it was made
// with. The empty DSN gives a connector without a pool.
func OpenConnector(dsn string, change func(*pool.Config)) (*Connector, error) {
	if dsn == "" {
		return &Connector{}, nil
	}
	parsed, err := parseRegistered(dsn)
	if err != nil {
		return nil, err
	}
	key := ""
	if parsed.Named {
		key = parsed.Pool.Name
	}
	return openShared(key, parsed, change)
}

// InnerConnector makes an inner driver's connector from that driver's registered
// name and its own DSN, as nimue does for "driver:dsn". It is for BeforeConnect
// functions that have a new DSN for every connect, because of a short-lived
// password, say. Errors carry no password.
func InnerConnector(driverName, dsn string) (driver.Connector, error) {
	return innerConnector(DSN{Driver: driverName, Inner: dsn, Pool: pool.Config{Name: driverName}})
}

// Connect returns a handle. It acquires no connection: that happens at the
// handle's first operation, with that operation's context.
func (c *Connector) Connect(context.Context) (driver.Conn, error) {
	if c.pool == nil {
		_, err := ParseDSN("")
		return nil, err
	}
	return c.handle(), nil
}

func (c *Connector) handle() *Conn {
	cfg := c.pool.Config()
	return &Conn{pool: c.pool, sent: cfg.Sent, shares: cfg.LeaseMode == pool.LeaseTransaction, heard: cfg.Listener != nil}
}

// Driver returns a Driver through which PoolOf finds the pool.
func (c *Connector) Driver() driver.Driver { return &Driver{connector: c} }

// Pool returns the pool, or nil for the empty DSN.
func (c *Connector) Pool() *pool.Pool { return c.pool }

// Close closes the pool. Connections that nobody uses are closed when it returns,
// unless that takes longer than a second. It does not wait for leased ones: they
// are closed when they are returned. To wait for them, call Shutdown on the Pool
// first.
func (c *Connector) Close() error {
	if c.pool == nil {
		return nil
	}
	return c.close()
}

// settleWithin is how long Connector.Close waits for connections that nobody uses.
const settleWithin = time.Second

// closePool closes a pool and then the inner connector, if that can be closed. Who
// closes a *sql.DB may go on to remove its file or to stop its server, so what is
// not leased is closed by then, if it closes in good time.
func closePool(p *pool.Pool, inner driver.Connector) error {
	err := p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), settleWithin)
	defer cancel()
	_ = p.Settle(ctx) // whatever hangs goes on being closed in the background
	return errors.Join(err, closeConnector(inner))
}

func closeConnector(inner driver.Connector) error {
	if closer, ok := inner.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// innerConnector finds the inner driver by its registered name and makes its
// connector. database/sql tells a driver only of an opened *sql.DB, so one is
// opened for the moment; sql.Open dials nothing.
func innerConnector(dsn DSN) (c driver.Connector, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("nimue: %s: panic in the inner driver's OpenConnector: %v", dsn.Pool.Name, v)
		}
		err = redactError(err, dsn)
	}()
	db, err := sql.Open(dsn.Driver, dsn.Inner)
	if err != nil {
		return nil, fmt.Errorf("nimue: %s: the inner driver %q refuses its DSN: %w", dsn.Pool.Name, dsn.Driver, err)
	}
	d := db.Driver()
	if err := db.Close(); err != nil {
		return nil, fmt.Errorf("nimue: %s: %w", dsn.Pool.Name, err)
	}
	if a := adapterOf(d); a != nil && a.Open != nil {
		inner, err := a.Open(d, dsn.Inner)
		if err != nil {
			return nil, fmt.Errorf("nimue: %s: the inner driver %q refuses its DSN: %w", dsn.Pool.Name, dsn.Driver, err)
		}
		return inner, nil
	}
	if dc, ok := d.(driver.DriverContext); ok {
		inner, err := dc.OpenConnector(dsn.Inner)
		if err != nil {
			return nil, fmt.Errorf("nimue: %s: the inner driver %q refuses its DSN: %w", dsn.Pool.Name, dsn.Driver, err)
		}
		return inner, nil
	}
	return oldConnector{d, func() (driver.Conn, error) { return d.Open(dsn.Inner) }}, nil
}

// oldConnector is the connector of a driver that has only Open. The DSN is in a
// closure, where no verb of fmt can reach it.
type oldConnector struct {
	driver driver.Driver
	open   func() (driver.Conn, error)
}

func (c oldConnector) Connect(context.Context) (driver.Conn, error) { return c.open() }
func (c oldConnector) Driver() driver.Driver                        { return c.driver }

// defaultLog is a slog.Handler that passes records of a level on to whatever
// slog's default is at the time.
type defaultLog struct{ least slog.Level }

func (h defaultLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.least && slog.Default().Enabled(ctx, level)
}

func (h defaultLog) Handle(ctx context.Context, r slog.Record) error {
	return slog.Default().Handler().Handle(ctx, r)
}

func (h defaultLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return slog.Default().Handler().WithAttrs(attrs)
}

func (h defaultLog) WithGroup(name string) slog.Handler {
	return slog.Default().Handler().WithGroup(name)
}
