package nimueotel_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/nimueotel"
	"github.com/nimue-go/nimue/pool"
)

// All pools of the process are observed, until the registration is undone.
func ExampleRegister() {
	reader := sdk.NewManualReader() // or a periodic one with an exporter
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))

	registration, err := nimueotel.Register(provider)
	if err != nil {
		log.Fatal(err)
	}
	defer registration.Unregister()

	connector, err := nimue.NewConnector(scripted.New(scripted.Hooks{}), pool.Config{Name: "orders", MaxConns: 8})
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()

	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		log.Fatal(err)
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if m.Name == "db.client.connection.max" {
			fmt.Println(m.Name, m.Data.(metricdata.Sum[int64]).DataPoints[0].Value, m.Unit)
		}
	}
	// Output: db.client.connection.max 8 {connection}
}

// Times are recorded by a listener, which stands beside the program's own.
func ExampleNewListener() {
	provider := sdk.NewMeterProvider()
	times, err := nimueotel.NewListener(provider)
	if err != nil {
		log.Fatal(err)
	}
	own := pool.ListenerFunc(func(e pool.Event) {
		if e.Kind == pool.EventConnected {
			fmt.Println(e.Pool, e.Kind)
		}
	})
	connector, err := nimue.NewConnector(scripted.New(scripted.Hooks{}), pool.Config{
		Name:     "orders",
		Listener: pool.Listeners(own, times),
	})
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(connector)
	if err := db.Ping(); err != nil {
		log.Fatal(err)
	}
	if err := connector.Pool().Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	if err := db.Close(); err != nil {
		log.Fatal(err)
	}
	// Output: orders connected
}
