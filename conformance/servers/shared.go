package servers

import (
	"context"
	"sync"
	"testing"
)

// shared is the server that the tests of one process have in common. Once it
// was asked for, its outcome stands: a start that failed is not tried again by
// every test.
var shared struct {
	mu       sync.Mutex
	tried    bool
	postgres *PostgresServer
	err      error
}

// SharedPostgres returns a server with default options that all tests of the
// process share, starting it at the first call. Tests that use it must not
// depend on being alone, and TestMain must call [StopShared]. See [Require] for
// what happens where PostgreSQL is not installed.
func SharedPostgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.tried {
		// Not the test's context: the server outlives the test that asked first.
		shared.postgres, shared.err = StartPostgres(context.Background(), PostgresOptions{})
		shared.tried = true
	}
	Require(tb, shared.err)
	return shared.postgres
}

// StopShared stops the shared servers, if any was started. It is for the end of
// TestMain; a later call of [SharedPostgres] starts a new one.
func StopShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.postgres != nil {
		shared.postgres.Stop()
	}
	shared.postgres, shared.err, shared.tried = nil, nil, false
}
