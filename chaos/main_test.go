package chaos

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/nimue-go/nimue/conformance/servers"
)

// tests shows the results and stops what the tests share, before goleak looks.
type tests struct{ *testing.M }

func (m tests) Run() int {
	defer servers.StopShared()
	status := m.M.Run()
	if err := results.finish(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func TestMain(m *testing.M) {
	flag.Parse()
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's toxics write to its global logger
	goleak.VerifyTestMain(tests{m})
}

// long tells whether the faults that last are wanted too.
func long() bool { return os.Getenv("NIMUE_CHAOS_LONG") != "" || *update }
