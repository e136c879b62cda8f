package conformance_test

import (
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue/conformance"
	"github.com/nimue-go/nimue/conformance/servers"
)

func TestPostgres(t *testing.T) {
	server := servers.SharedPostgres(t)
	own := func(testing.TB) string { return server.URL("postgres") }
	hold(t, conformance.Postgres(), own,
		direct("pgx"),
		way{name: "again", driver: "pgx", dsn: unchanged},
		throughNimue("nimue", "pgx", "pool_max_conns=8"),
		throughNimue("nimue checking always", "pgx", "pool_max_conns=8&pool_check_on_acquire=always&pool_order=fifo"),
		throughNimue("nimue preparing by itself", "pgx", "pool_max_conns=8&pool_auto_prepare=on"),
		// Without a cache the statement is prepared anew after the change, and knows of it.
		throughNimue("nimue without a statement cache", "pgx", "pool_max_conns=8&pool_stmt_cache=0&pool_max_conn_uses=2",
			"statements/after the table changed"),
	)
}
