package rows

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	pgxpoollib "github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	_ "github.com/nimue-go/nimue"
	_ "github.com/nimue-go/nimue/adapter/mysql"
	_ "github.com/nimue-go/nimue/adapter/pgx"
	_ "github.com/nimue-go/nimue/adapter/sqlite"
)

// bareDriver is the name of pgx's driver as no adapter knows it.
const bareDriver = "pgx-bare"

func init() { sql.Register(bareDriver, bare{}) }

// bare is pgx's driver under another type, so that nimue's adapter, which goes by
// the type, leaves it alone: what an application has that does not import it.
type bare struct{}

func (bare) Open(dsn string) (driver.Conn, error) { return stdlib.GetDefaultDriver().Open(dsn) }

func (bare) OpenConnector(dsn string) (driver.Connector, error) {
	c, err := stdlib.GetDefaultDriver().(driver.DriverContext).OpenConnector(dsn)
	if err != nil {
		return nil, err
	}
	return bareConnector{c}, nil
}

type bareConnector struct{ driver.Connector }

func (bareConnector) Driver() driver.Driver { return bare{} }

// client is a contender on PostgreSQL, reduced to what the workloads do with it.
type client struct {
	db *sql.DB // nil for pgxpool
	// number runs a query of one row and one number, with one argument.
	number func(ctx context.Context, query string, argument int) (int, error)
	// hold takes a connection out of the pool until it is released.
	hold  func(ctx context.Context) (release func(), err error)
	close func()
}

func overSQL(db *sql.DB, closePool func()) *client {
	return &client{
		db: db,
		number: func(ctx context.Context, query string, argument int) (n int, err error) {
			err = db.QueryRowContext(ctx, query, argument).Scan(&n)
			return n, err
		},
		hold: func(ctx context.Context) (func(), error) {
			conn, err := db.Conn(ctx)
			if err != nil {
				return nil, err
			}
			// A handle of nimue's leases a connection at its first operation.
			if err := conn.PingContext(ctx); err != nil {
				_ = conn.Close()
				return nil, err
			}
			return func() { _ = conn.Close() }, nil
		},
		close: func() {
			_ = db.Close()
			closePool()
		},
	}
}

func overPgxpool(p *pgxpoollib.Pool) *client {
	return &client{
		number: func(ctx context.Context, query string, argument int) (n int, err error) {
			err = p.QueryRow(ctx, query, argument).Scan(&n)
			return n, err
		},
		hold: func(ctx context.Context) (func(), error) {
			conn, err := p.Acquire(ctx)
			if err != nil {
				return nil, err
			}
			return conn.Release, nil
		},
		close: p.Close,
	}
}

// openPostgres opens a contender; the settings are those that the catalogue tells.
func openPostgres(b *testing.B, contender, url string, settings ...string) *client {
	b.Helper()
	tuned := withParameters(url, append(settings, fmt.Sprintf("pool_max_conns=%d", Conns))...)
	switch contender {
	case SQLDefault, SQLTuned:
		db := openSQL(b, "pgx", url)
		if contender == SQLTuned {
			tune(db, Conns)
		}
		return overSQL(db, func() {})
	case FromPool, FromPoolDefault, Pgxpool, PgxpoolDefault:
		if contender == FromPoolDefault || contender == PgxpoolDefault {
			tuned = url
		}
		p, err := pgxpoollib.New(context.Background(), tuned)
		if err != nil {
			b.Fatal(err)
		}
		if contender == Pgxpool || contender == PgxpoolDefault {
			return overPgxpool(p)
		}
		return overSQL(stdlib.OpenDBFromPool(p), p.Close)
	case Nimue:
		return overSQL(openSQL(b, "nimue", "pgx:"+tuned), func() {})
	case NimueBare:
		return overSQL(openSQL(b, "nimue", bareDriver+":"+tuned), func() {})
	}
	b.Fatalf("no contender %s", contender)
	return nil
}

func openSQL(b *testing.B, driver, dsn string) *sql.DB {
	b.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// withParameters appends parameters to a DSN in URL form.
func withParameters(dsn string, parameters ...string) string {
	for _, p := range parameters {
		separator := "?"
		if strings.Contains(dsn, "?") {
			separator = "&"
		}
		dsn += separator + p
	}
	return dsn
}

// fill has the pool open n connections, by holding so many at the same moment, and
// gives them back. A contender keeps as many of them as its settings let it.
func (c *client) fill(b *testing.B, n int) {
	b.Helper()
	errs := make(chan error, n)
	var held, released sync.WaitGroup
	held.Add(n)
	for range n {
		released.Go(func() {
			release, err := c.hold(b.Context())
			errs <- err
			held.Done()
			held.Wait()
			if err == nil {
				release()
			}
		})
	}
	released.Wait()
	for range n {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
}
