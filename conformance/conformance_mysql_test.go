package conformance_test

import (
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/nimue-go/nimue/conformance"
	"github.com/nimue-go/nimue/conformance/servers"
)

func TestMariaDB(t *testing.T) {
	server := servers.SharedMariaDB(t)
	own := func(testing.TB) string {
		return server.DSN(servers.MariaDBDatabase) + "?parseTime=true&clientFoundRows=true&multiStatements=true"
	}
	dialect := conformance.MySQL()
	// The server goes on sleeping when the client has gone, and its transaction with
	// it, whose locks the next case waits for.
	dialect.SlowQuery = "SELECT SLEEP(1)"
	hold(t, dialect, own,
		direct("mysql"),
		throughNimue("nimue", "mysql", "pool_max_conns=8"),
		sharing(throughNimue("nimue sharing connections", "mysql", "pool_max_conns=8&pool_lease=transaction")),
		throughNimue("nimue preparing by itself", "mysql", "pool_max_conns=8&pool_auto_prepare=on"),
		throughNimue("nimue checking always", "mysql", "pool_max_conns=8&pool_check_on_acquire=always&pool_order=fifo"),
	)
}
