package conformance_test

import (
	"testing"

	"github.com/nimue-go/nimue/conformance/servers"
	"go.uber.org/goleak"
)

// TestMain does not count the connections that database/sql itself forgets after a
// panic, each with a goroutine of go-sql-driver/mysql's; through nimue there are none.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(servers.Tests{M: m}, goleak.IgnoreTopFunction("github.com/go-sql-driver/mysql.(*mysqlConn).startWatcher.func1"))
}
