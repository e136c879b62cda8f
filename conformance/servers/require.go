package servers

import (
	"errors"
	"os"
	"testing"
)

// RequireEnv names the environment variable which, when it is not empty, turns
// the skipping of a test for want of a server into a failure.
const RequireEnv = "NIMUE_REQUIRE_SERVERS"

// ErrNotInstalled says that a server's binaries were not found. The error that
// wraps it says which binaries, and what to install.
var ErrNotInstalled = errors.New("not installed")

// Require ends the test if err, as a Start function of this package returned
// it, is not nil. A server that is not installed skips the test, unless
// [RequireEnv] is set; every other error fails it.
func Require(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrNotInstalled) && os.Getenv(RequireEnv) == "":
		tb.Skip(err)
	default:
		tb.Fatal(err)
	}
}
