package nimue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nimue-go/nimue/pool"
)

// DriverName is the name under which the driver is registered with database/sql.
const DriverName = "nimue"

// ErrUnanswered is why an operation failed whose connection broke after something
// had been sent for it and before the answer came: it may have been executed, or
// not. It is told where an adapter knows, in place of a driver.ErrBadConn that
// would have the operation sent again.
var ErrUnanswered = errors.New("the connection broke before the answer came, and whether the statement was executed is not known")

func unanswered(pool string) error { return fmt.Errorf("nimue: %s: %w", pool, ErrUnanswered) }

func init() { sql.Register(DriverName, &Driver{}) }

// Driver is the driver registered as "nimue". It is also what (*sql.DB).Driver
// returns for a database that nimue serves, however that was opened.
type Driver struct {
	connector *Connector // nil in the registered one
}

var (
	_ driver.Driver        = (*Driver)(nil)
	_ driver.DriverContext = (*Driver)(nil)
)

// OpenConnector is what sql.Open calls: it reads the DSN, finds the inner driver
// and makes the pool, or finds the pool of that name, without dialling. All that
// is wrong with a DSN is told in one error.
//
// The empty DSN opens without a pool: tools that wrap drivers open one only to
// reach the Driver. Its first use fails, with the grammar in the error.
func (d *Driver) OpenConnector(dsn string) (driver.Connector, error) {
	c, err := OpenConnector(dsn, nil)
	if err != nil {
		return nil, err // not a nil *Connector in an interface
	}
	return c, nil
}

// Open returns one connection handle, for wrappers that know only the old
// driver.Driver. Handles opened with one DSN share one pool, which lives as long
// as any of them is open.
func (d *Driver) Open(dsn string) (driver.Conn, error) {
	parsed, err := parseRegistered(dsn)
	if err != nil {
		return nil, err
	}
	key := "\x00" + parsed.Format() // no pool_name can be that
	if parsed.Named {
		key = parsed.Pool.Name
	}
	c, err := openShared(key, parsed, nil)
	if err != nil {
		return nil, err
	}
	h := c.handle()
	h.onClose = func() { _ = c.Close() }
	return h, nil
}

func parseRegistered(dsn string) (DSN, error) {
	parsed, err := ParseDSN(dsn)
	if bad, ok := errors.AsType[*DSNError](err); ok {
		return DSN{}, withDriver(bad, dsn)
	}
	if err != nil {
		return DSN{}, err
	}
	return parsed, checkDriver(dsn, parsed.Driver, sql.Drivers())
}

// withDriver adds to a DSN's problems that its driver is unknown, if that much can
// be told.
func withDriver(bad *DSNError, dsn string) error {
	for _, p := range bad.Problems {
		if p.Key == "" { // the DSN's shape
			return bad
		}
	}
	body, _ := splitPairs(dsn)
	name, _, _ := strings.Cut(body, ":")
	if unknown, ok := errors.AsType[*DSNError](checkDriver(dsn, name, sql.Drivers())); ok {
		bad.Problems = append(slices.Clone(unknown.Problems), bad.Problems...)
	}
	return bad
}

// PoolOf returns the pool beneath a database that nimue serves, without taking a
// connection; nil if nimue does not serve it or it was opened with an empty DSN.
func PoolOf(db *sql.DB) *pool.Pool {
	d, ok := db.Driver().(*Driver)
	if !ok || d.connector == nil {
		return nil
	}
	return d.connector.pool
}

// Raw calls f with the inner driver's connection beneath conn, which is what
// conn.Raw itself would pass without nimue. f must not keep it, close it or use
// it after it has returned. f's error is returned as it is.
func Raw(conn *sql.Conn, f func(inner driver.Conn) error) error {
	return conn.Raw(func(dc any) error {
		for {
			switch c := dc.(type) {
			case *Conn:
				return c.Raw(context.Background(), f)
			case interface{ Raw() driver.Conn }: // a wrapper around the driver, as otelsql's
				dc = c.Raw()
			default:
				return fmt.Errorf("nimue: Raw: the connection is a %T, not one of nimue's", dc)
			}
		}
	})
}
