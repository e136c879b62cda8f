package chaos

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

// TestNameResolvesToAnotherAddress moves the database: its name leads elsewhere,
// and nobody answers at the old address. It takes no restart of the application,
// since every connect asks the resolver again.
func TestNameResolvesToAnotherAddress(t *testing.T) {
	server := startPostgres(t, servers.PostgresOptions{})
	var address atomic.Value // what the test's own resolver answers
	lookup := func(context.Context, string) ([]string, error) { return []string{address.Load().(string)}, nil }
	old, next := newToxic(t, server.address()), newToxic(t, server.address())
	resolved := func(tb testing.TB, to target) *pgx.ConnConfig {
		tb.Helper()
		if !old.proxy.Enabled { // since the contender before
			old.listen()
		}
		address.Store(old.address())
		cfg, err := pgx.ParseConfig(at(tb, to.dsn, "db.internal:5432"))
		if err != nil {
			tb.Fatal(err)
		}
		cfg.LookupFunc = lookup
		return cfg
	}
	openers := []opener{
		{isNimue, func(tb testing.TB, to target) *contender {
			inner := stdlib.GetConnector(*resolved(tb, to))
			connector, err := nimue.NewConnector(inner, pool.Config{Name: "moving", MaxConns: conns})
			if err != nil {
				tb.Fatal(err)
			}
			return overSQL(isNimue, sql.OpenDB(connector))
		}},
		{isTuned, func(tb testing.TB, to target) *contender {
			db := sql.OpenDB(stdlib.GetConnector(*resolved(tb, to)))
			db.SetMaxOpenConns(conns)
			db.SetMaxIdleConns(conns)
			return overSQL(isTuned, db)
		}},
		{isFromPool, func(tb testing.TB, to target) *contender {
			p := resolvedPgxpool(tb, resolved(tb, to))
			c := overSQL(isFromPool, stdlib.OpenDBFromPool(p))
			closeDB := c.close
			c.close = func() { closeDB(); p.Close() }
			return c
		}},
		{isPgxpool, func(tb testing.TB, to target) *contender {
			return overPgxpool(resolvedPgxpool(tb, resolved(tb, to)))
		}},
	}
	fault{
		name: "the server's name leads to another address, 0.5 s after the old one has gone",
		strike: func(s *scene) {
			old.refuse()
			s.cut()
			time.Sleep(500 * time.Millisecond)
			address.Store(next.address())
		},
		allowed: conns,
	}.run(t, onPostgresFaults, server, openers)
}

func resolvedPgxpool(tb testing.TB, inner *pgx.ConnConfig) *pgxpool.Pool {
	tb.Helper()
	cfg, err := pgxpool.ParseConfig(inner.ConnString())
	if err != nil {
		tb.Fatal(err)
	}
	cfg.MaxConns = conns
	cfg.ConnConfig.LookupFunc = inner.LookupFunc
	p, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}
