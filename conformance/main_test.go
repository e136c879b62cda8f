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

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }
