package browsertest

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/nimue-go/nimue/conformance/servers"
)

// tests stops the server that tests share before goleak looks.
type tests struct{ *testing.M }

func (m tests) Run() int {
	defer servers.StopShared()
	return m.M.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }
