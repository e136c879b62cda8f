package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// toxic is a toxiproxy of its own, in this process, between a contender and a
// server. Its toxics hold for all links.
type toxic struct {
	tb    testing.TB
	proxy *toxiproxy.Proxy
}

// newToxic starts one in front of the address, for one test.
func newToxic(tb testing.TB, upstream string) *toxic {
	tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	t := &toxic{tb: tb, proxy: toxiproxy.NewProxy(server, "chaos", "127.0.0.1:0", upstream)}
	if err := t.proxy.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(t.proxy.Stop)
	return t
}

func (t *toxic) address() string { return t.proxy.Listen }

// refuse cuts all links and has nobody listen any more, until listen.
func (t *toxic) refuse() { t.proxy.Stop() }

func (t *toxic) listen() {
	t.tb.Helper()
	if err := t.proxy.Start(); err != nil { // on the same port
		t.tb.Fatal(err)
	}
}

// add adds a toxic in both directions, as toxiproxy's API has it: its type and its
// attributes, {"latency": 20} for example.
func (t *toxic) add(kind, attributes string) {
	t.tb.Helper()
	for _, stream := range []string{"upstream", "downstream"} {
		text := fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": %s}`, kind, stream, attributes)
		if _, err := t.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			t.tb.Fatal(err)
		}
	}
}

// clear removes all toxics.
func (t *toxic) clear() { t.proxy.Toxics.ResetToxics(context.Background()) }
