//go:build !unix

package servers

import (
	"os"
	"os/exec"
)

// Without Unix signals a server is killed. Its data directory is thrown away
// right after, so nothing is lost by that.
var interrupt, quit os.Signal = os.Kill, os.Kill

// account is the user who runs the test; there is no other here.
type account struct{}

func unprivileged(...string) (account, error) { return account{}, nil }

func (account) apply(*exec.Cmd) {}

func (account) makeDir(pattern string) (string, error) { return os.MkdirTemp("", pattern) }

func (account) own(string) error { return nil }

// proceed has nothing to do: processes are not halted here.
func proceed(int) {}
