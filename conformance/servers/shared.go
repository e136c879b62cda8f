package servers

import (
	"context"
	"sync"
	"testing"
)

// shared holds the servers that the tests of one process have in common.
var shared struct {
	mu       sync.Mutex
	postgres common[PostgresServer]
	mariadb  common[MariaDBServer]
}

// common is one of them. Once it was asked for, its outcome stands: a start that
// failed is not tried again by every test.
type common[S any] struct {
	tried  bool
	server *S
	err    error
}

func (c *common[S]) get(tb testing.TB, start func() (*S, error)) *S {
	tb.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !c.tried {
		c.server, c.err = start()
		c.tried = true
	}
	Require(tb, c.err)
	return c.server
}

func (c *common[S]) end(stop func(*S)) {
	if c.server != nil {
		stop(c.server)
	}
	*c = common[S]{}
}

// SharedPostgres returns a server with default options that all tests of the
// process share, starting it at the first call. Tests that use it must not
// depend on being alone, and TestMain must call [StopShared]. See [Require] for
// what happens where PostgreSQL is not installed.
func SharedPostgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	return shared.postgres.get(tb, func() (*PostgresServer, error) {
		// Not the test's context: the server outlives the test that asked first.
		return StartPostgres(context.Background(), PostgresOptions{})
	})
}

// SharedMariaDB is [SharedPostgres] for MariaDB.
func SharedMariaDB(tb testing.TB) *MariaDBServer {
	tb.Helper()
	return shared.mariadb.get(tb, func() (*MariaDBServer, error) {
		return StartMariaDB(context.Background(), MariaDBOptions{})
	})
}

// StopShared stops the shared servers, if any was started. It is for the end of
// TestMain; a later call of [SharedPostgres] starts a new one.
func StopShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.postgres.end((*PostgresServer).Stop)
	shared.mariadb.end((*MariaDBServer).Stop)
}

// Tests runs a package's tests and then stops the shared servers, before goroutines
// that are left are looked for:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Tests{M: m}) }
type Tests struct{ M *testing.M }

// Run runs the tests and returns the exit code.
func (t Tests) Run() int {
	defer StopShared()
	return t.M.Run()
}
