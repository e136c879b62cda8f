package nimueprom_test

import (
	"database/sql"
	"fmt"
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/nimueprom"
	"github.com/nimue-go/nimue/pool"
)

// A program's own registry and handler. With the default registry it is
// prometheus.MustRegister(nimueprom.NewCollector()) alone.
func ExampleNewCollector() {
	inner := scripted.New(scripted.Hooks{}) // any driver's connector
	connector, err := nimue.NewConnector(inner, pool.Config{Name: "orders", MaxConns: 8})
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()

	registry := prometheus.NewRegistry()
	registry.MustRegister(nimueprom.NewCollector(connector.Pool()))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	text, err := testutil.CollectAndFormat(nimueprom.NewCollector(connector.Pool()), expfmt.TypeTextPlain, "nimue_connections_max")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", text)
	// Output:
	// # HELP nimue_connections_max pool_max_conns: most connections, all states counted.
	// # TYPE nimue_connections_max gauge
	// nimue_connections_max{pool="orders"} 8
}
