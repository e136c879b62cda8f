package bench

import (
	"testing"

	"github.com/nimue-go/nimue/conformance/servers"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(serverStopper{m}) }

// serverStopper stops the benchmarks' servers before goroutines are counted.
type serverStopper struct{ *testing.M }

func (s serverStopper) Run() int {
	defer servers.StopShared()
	return s.M.Run()
}
