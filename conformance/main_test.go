package conformance_test

import (
	"testing"

	"github.com/nimue-go/nimue/conformance/servers"
	"go.uber.org/goleak"
)

// tests stops the shared servers before goleak looks for goroutines.
type tests struct{ *testing.M }

func (m tests) Run() int {
	defer servers.StopShared()
	return m.M.Run()
}

// TestMain does not count the connections that database/sql itself forgets after a
// panic, each with a goroutine of go-sql-driver/mysql's; through nimue there are none.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(tests{m}, goleak.IgnoreTopFunction("github.com/go-sql-driver/mysql.(*mysqlConn).startWatcher.func1"))
}
