package bench

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue/conformance/servers"
)

// BenchmarkPostgres is the smallest query there is, with an argument, by 32
// workers on 16 connections to a server on the same machine.
func BenchmarkPostgres(b *testing.B) {
	server := servers.SharedPostgres(b)
	config, err := pgx.ParseConfig(server.URL("postgres"))
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range contenders {
		b.Run("select/"+c.name, func(b *testing.B) {
			db := c.open(b, stdlib.GetConnector(*config), 16)
			defer db.Close()
			inParallel(b, 32, func(ctx context.Context) error {
				var n int
				return db.QueryRowContext(ctx, "select $1::int", 42).Scan(&n)
			})
		})
	}
}
