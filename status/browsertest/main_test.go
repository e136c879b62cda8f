package browsertest

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/nimue-go/nimue/conformance/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Tests{M: m}) }
