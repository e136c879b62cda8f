package rows

import (
	"context"
	"fmt"
	"testing"
	"time"
)

const (
	echo  = "select $1::int"
	sleep = "select $1::int from pg_sleep(0.002)"
)

// ask runs a query that answers with its argument, and compares.
func (c *client) ask(query string) func(context.Context, int) error {
	return func(ctx context.Context, n int) error {
		got, err := c.number(ctx, query, n)
		if err == nil && got != n {
			err = fmt.Errorf("%s: asked for %d, got %d", query, n, got)
		}
		return err
	}
}

func postgresSelect(b *testing.B, contender string, _ int)   { postgresEcho(b, contender, true) }
func postgresRequests(b *testing.B, contender string, _ int) { postgresEcho(b, contender, false) }

func postgresEcho(b *testing.B, contender string, endless bool) {
	c := openPostgres(b, contender, postgresURL(b))
	defer c.close()
	c.fill(b, Conns)
	load{workers: 32, op: c.ask(echo), lenient: contender == SQLDefault, endless: endless}.run(b)
}

func postgresDefaults(b *testing.B, contender string, _ int) {
	url := postgresURL(b)
	c, conns := openPostgres(b, contender, url), Conns
	switch contender {
	case Nimue:
		c.close()
		c = overSQL(openSQL(b, "nimue", "pgx:"+url), func() {})
	case FromPoolDefault, PgxpoolDefault:
		conns = 4
	}
	defer c.close()
	c.fill(b, conns)
	load{workers: 32, think: 3 * time.Millisecond, op: c.ask(sleep), lenient: contender == SQLDefault}.run(b)
}

func postgresOverload(b *testing.B, contender string, _ int) {
	c := openPostgres(b, contender, postgresURL(b))
	defer c.close()
	c.fill(b, Conns)
	load{workers: 400, op: c.ask(sleep), lenient: contender == SQLDefault}.run(b)
}
