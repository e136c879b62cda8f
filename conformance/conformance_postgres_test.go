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
	)
}
