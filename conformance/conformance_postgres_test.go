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
	// What the server refuses to execute because the table has changed is prepared
	// anew, and executed. Directly, that is an error.
	const renewed = "statements/after the table changed"
	hold(t, conformance.Postgres(), own,
		direct("pgx"),
		way{name: "again", driver: "pgx", dsn: unchanged},
		throughNimue("nimue", "pgx", "pool_max_conns=8", renewed),
		throughNimue("nimue checking always", "pgx", "pool_max_conns=8&pool_check_on_acquire=always&pool_order=fifo", renewed),
		sharing(throughNimue("nimue sharing connections", "pgx", "pool_max_conns=8&pool_lease=transaction", renewed)),
		// In a transaction that has failed, pgx wraps the server's error where it had
		// to prepare, and not where it found the statement in its own cache.
		throughNimue("nimue preparing by itself", "pgx", "pool_max_conns=8&pool_auto_prepare=on", renewed, "transactions/error inside"),
		throughNimue("nimue without a statement cache", "pgx", "pool_max_conns=8&pool_stmt_cache=0&pool_max_conn_uses=2", renewed),
	)
}
