package conformance_test

import (
	"path/filepath"
	"testing"

	"github.com/nimue-go/nimue/conformance"
	_ "modernc.org/sqlite"
)

// sqliteDSN names a new database file.
func sqliteDSN(tb testing.TB) string {
	tb.Helper()
	return "file:" + filepath.ToSlash(filepath.Join(tb.TempDir(), "conformance.db")) +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_time_format=sqlite"
}

func TestSQLite(t *testing.T) {
	hold(t, conformance.SQLite(), sqliteDSN,
		direct("sqlite"),
		way{name: "wrapped", driver: "faultless", dsn: unchanged},
		throughNimue("nimue", "sqlite", "pool_max_conns=8"),
		throughNimue("nimue checking always", "sqlite", "pool_max_conns=8&pool_check_on_acquire=always&pool_order=fifo"),
		sharing(throughNimue("nimue sharing connections", "sqlite", "pool_max_conns=8&pool_lease=transaction")),
		throughNimue("nimue preparing by itself", "sqlite", "pool_max_conns=8&pool_auto_prepare=on"),
		throughNimue("nimue without a statement cache", "sqlite", "pool_max_conns=8&pool_stmt_cache=0&pool_max_conn_uses=2"),
	)
}
