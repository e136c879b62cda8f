package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/nimue-go/nimue"
	_ "github.com/nimue-go/nimue/adapter/mysql"
	_ "github.com/nimue-go/nimue/adapter/pgx"
	"github.com/nimue-go/nimue/pool"
)

// conns is how many connections every contender may have: what "tuned" means.
const conns = 16

// The names of the contenders, as the results table shows them.
const (
	isNimue    = "nimue"
	isTuned    = "database/sql tuned"
	isFromPool = "stdlib.OpenDBFromPool"
	isPgxpool  = "pgxpool"
)

// contender is a pool under test, reduced to what the load does with it.
type contender struct {
	name  string
	exec  func(ctx context.Context, query string, args ...any) error
	count func(ctx context.Context, query string, args ...any) (int64, error)
	// hold takes a connection, proves it with one query, and keeps it.
	hold  func(ctx context.Context) (release func(), err error)
	close func()
	pool  *pool.Pool // nimue's; nil for its peers
	db    *sql.DB    // nil for pgxpool
}

// target is where a contender connects to.
type target struct {
	driver string // as registered with database/sql
	dsn    string // the driver's own
	params string // nimue's, as in "pool_health_check_period=1s&..."
}

// opener opens one contender. Nothing is dialled yet.
type opener struct {
	name string
	open func(tb testing.TB, to target) *contender
}

// postgresContenders are those of a test on PostgreSQL, nimue first.
var postgresContenders = []opener{
	{isNimue, openNimue},
	{isTuned, openTuned},
	{isFromPool, openFromPool},
	{isPgxpool, openPgxpool},
}

// each runs a subtest for each contender; for nimue alone where time is short.
func each(t *testing.T, contenders []opener, f func(t *testing.T, o opener)) {
	for _, o := range contenders {
		if o.name == isNimue || !testing.Short() {
			t.Run(slug(o.name), func(t *testing.T) { f(t, o) })
		}
	}
}

// sqlContenders are those of any driver.
var sqlContenders = []opener{{isNimue, openNimue}, {isTuned, openTuned}}

// nimueDSN is the line that an application would change.
func nimueDSN(to target) string {
	separator := "?"
	if strings.Contains(to.dsn, "?") {
		separator = "&"
	}
	dsn := fmt.Sprintf("%s:%s%spool_max_conns=%d", to.driver, to.dsn, separator, conns)
	if to.params != "" {
		dsn += "&" + to.params
	}
	return dsn
}

func openNimue(tb testing.TB, to target) *contender {
	tb.Helper()
	db, err := sql.Open("nimue", nimueDSN(to))
	if err != nil {
		tb.Fatal(err)
	}
	return overSQL(isNimue, db)
}

func openTuned(tb testing.TB, to target) *contender {
	tb.Helper()
	db, err := sql.Open(to.driver, to.dsn)
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return overSQL(isTuned, db)
}

func newPgxpool(tb testing.TB, to target) *pgxpool.Pool {
	tb.Helper()
	cfg, err := pgxpool.ParseConfig(to.dsn)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.MaxConns = conns
	p, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func openFromPool(tb testing.TB, to target) *contender {
	tb.Helper()
	p := newPgxpool(tb, to)
	c := overSQL(isFromPool, stdlib.OpenDBFromPool(p))
	closeDB := c.close
	c.close = func() { closeDB(); p.Close() }
	return c
}

func openPgxpool(tb testing.TB, to target) *contender {
	tb.Helper()
	return overPgxpool(newPgxpool(tb, to))
}

// overPgxpool reduces a pgxpool.Pool to a contender.
func overPgxpool(p *pgxpool.Pool) *contender {
	return &contender{
		name: isPgxpool,
		exec: func(ctx context.Context, query string, args ...any) error {
			_, err := p.Exec(ctx, query, args...)
			return err
		},
		count: func(ctx context.Context, query string, args ...any) (n int64, err error) {
			err = p.QueryRow(ctx, query, args...).Scan(&n)
			return n, err
		},
		hold: func(ctx context.Context) (func(), error) {
			c, err := p.Acquire(ctx)
			if err != nil {
				return nil, err
			}
			if _, err := c.Exec(ctx, "SELECT 1"); err != nil {
				c.Release()
				return nil, err
			}
			return c.Release, nil
		},
		close: p.Close,
	}
}

// overSQL reduces a *sql.DB to a contender.
func overSQL(name string, db *sql.DB) *contender {
	return &contender{
		name: name,
		db:   db,
		pool: nimue.PoolOf(db),
		exec: func(ctx context.Context, query string, args ...any) error {
			_, err := db.ExecContext(ctx, query, args...)
			return err
		},
		count: func(ctx context.Context, query string, args ...any) (n int64, err error) {
			err = db.QueryRowContext(ctx, query, args...).Scan(&n)
			return n, err
		},
		hold: func(ctx context.Context) (func(), error) {
			c, err := db.Conn(ctx)
			if err != nil {
				return nil, err
			}
			release := func() { _ = c.Close() } // the test looks at what is left, not at this
			var n int
			if err := c.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil {
				release()
				return nil, err
			}
			return release, nil
		},
		close: func() { _ = db.Close() },
	}
}

// withSettings adds parameters to a URL of PostgreSQL's.
func withSettings(tb testing.TB, dsn string, settings ...string) string {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	q := u.Query()
	for i := 0; i < len(settings); i += 2 {
		q.Set(settings[i], settings[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// at is a URL with another address in it: that of a proxy.
func at(tb testing.TB, dsn, address string) string {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	u.Host = address
	return u.String()
}
