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
	// toxiproxy leaves the goroutine of a link behind where both of its ends go while
	// it is handing something on. Each fault's own count of goroutines sees to nimue's.
	goleak.VerifyTestMain(tests{m},
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"))
}

// long tells whether the faults that last are wanted too.
func long() bool { return os.Getenv("NIMUE_CHAOS_LONG") != "" || *update }
