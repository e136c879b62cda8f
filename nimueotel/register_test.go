package nimueotel

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/internal/testdb"
	"github.com/nimue-go/nimue/pool"
)

func named(name string) attribute.KeyValue {
	return attribute.String("db.client.connection.pool.name", name)
}

func inState(state string) attribute.KeyValue {
	return attribute.String("db.client.connection.state", state)
}

// The conventions, written out: what dashboards and backends rely on.
// https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
var conventions = map[string]struct {
	unit      string
	monotonic bool
}{
	"db.client.connection.count":            {"{connection}", false},
	"db.client.connection.max":              {"{connection}", false},
	"db.client.connection.idle.max":         {"{connection}", false},
	"db.client.connection.idle.min":         {"{connection}", false},
	"db.client.connection.pending_requests": {"{request}", false},
	"db.client.connection.timeouts":         {"{timeout}", true},
}

func TestConventions(t *testing.T) {
	testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders"})
	mp, reader := provider(t)
	if _, err := Register(mp); err != nil {
		t.Fatal(err)
	}
	got := collect(t, reader)
	if len(got) != len(conventions) {
		t.Errorf("%d metrics, want %d", len(got), len(conventions))
	}
	for name, want := range conventions {
		m := got[name]
		data, ok := m.Data.(metricdata.Sum[int64])
		if !ok || m.Unit != want.unit || data.IsMonotonic != want.monotonic || m.Description == "" {
			t.Errorf("%s: %T in %q, monotonic: %v, %q", name, m.Data, m.Unit, data.IsMonotonic, m.Description)
		}
	}
}

func TestValuesOfAPoolUnderWork(t *testing.T) {
	ctx := t.Context()
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders", MaxConns: 2, MinIdleConns: 1, AcquireTimeout: pool.None})
	p := nimue.PoolOf(db)
	mp, reader := provider(t)
	system := attribute.String("db.system.name", "postgresql")
	if _, err := Register(mp, WithPools(p), WithAttributes(system)); err != nil {
		t.Fatal(err)
	}
	a, errA := db.Conn(ctx)
	b, errB := db.Conn(ctx)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.PingContext(ctx), b.PingContext(ctx)); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- db.PingContext(ctx) }()
	eventually(t, "a caller waits", func() bool { return p.Stats().Waiting == 1 })

	c := collect(t, reader)
	c.wantSum(t, 2, "db.client.connection.count", named("orders"), system, inState("used"))
	c.wantSum(t, 0, "db.client.connection.count", named("orders"), system, inState("idle"))
	c.wantSum(t, 0, "db.client.connection.count", named("orders"), system, inState("connecting"))
	c.wantSum(t, 2, "db.client.connection.max", named("orders"), system)
	c.wantSum(t, 2, "db.client.connection.idle.max", named("orders"), system)
	c.wantSum(t, 1, "db.client.connection.idle.min", named("orders"), system)
	c.wantSum(t, 1, "db.client.connection.pending_requests", named("orders"), system)
	c.wantSum(t, 0, "db.client.connection.timeouts", named("orders"), system)

	if err := p.Update(func(c *pool.Config) { c.AcquireTimeout = 1 }); err != nil {
		t.Fatal(err)
	}
	if err := db.PingContext(ctx); !errors.Is(err, pool.ErrAcquireTimeout) {
		t.Fatalf("got %v, want a timeout", err)
	}
	if err := errors.Join(a.Close(), b.Close(), <-served); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is idle", func() bool { return p.Stats().Idle == 2 })
	c = collect(t, reader)
	c.wantSum(t, 2, "db.client.connection.count", named("orders"), system, inState("idle"))
	c.wantSum(t, 0, "db.client.connection.pending_requests", named("orders"), system)
	c.wantSum(t, 1, "db.client.connection.timeouts", named("orders"), system)
}

func TestUnregister(t *testing.T) {
	testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders"})
	mp, reader := provider(t)
	registration, err := Register(mp)
	if err != nil {
		t.Fatal(err)
	}
	if len(collect(t, reader)) == 0 {
		t.Fatal("nothing is observed")
	}
	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	for name, m := range collect(t, reader) {
		if data := m.Data.(metricdata.Sum[int64]); len(data.DataPoints) > 0 {
			t.Errorf("%s is still observed: %v", name, data.DataPoints)
		}
	}
}

func TestPoolsOfOneNameAndClosedOnes(t *testing.T) {
	a := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "twin", MaxConns: 3})
	testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "twin", MaxConns: 4})
	mp, reader := provider(t)
	if _, err := Register(mp); err != nil {
		t.Fatal(err)
	}
	c := collect(t, reader)
	if n := c.sum(t, "db.client.connection.max", named("twin")) + c.sum(t, "db.client.connection.max", named("twin#2")); n != 7 {
		t.Errorf("limits of %d together, want 7", n)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(collect(t, reader)["db.client.connection.max"].Data.(metricdata.Sum[int64]).DataPoints); n != 1 {
		t.Errorf("%d pools are left, want 1", n)
	}
}

// Without a provider, the global one is meant, even where that is set later.
func TestGlobalProvider(t *testing.T) {
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders", MaxConns: 5})
	before := otel.GetMeterProvider()
	t.Cleanup(func() { otel.SetMeterProvider(before) })
	registration, err := Register(nil, WithPools(nimue.PoolOf(db)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = registration.Unregister() }()
	mp, reader := provider(t)
	otel.SetMeterProvider(mp)
	collect(t, reader).wantSum(t, 5, "db.client.connection.max", named("orders"))
}

// As Prometheus sees it, by way of OpenTelemetry's exporter.
func TestScrape(t *testing.T) {
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders", MaxConns: 5})
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	mp := sdk.NewMeterProvider(sdk.WithReader(exporter))
	defer func() { _ = mp.Shutdown(t.Context()) }()
	if _, err := Register(mp, WithPools(nimue.PoolOf(db))); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`^db_client_connection_max\{.*db_client_connection_pool_name="orders".*\} 5$`,
		`^db_client_connection_count\{.*db_client_connection_state="idle".*\} 1$`,
		`^db_client_connection_timeouts_total\{.*\} 0$`,
	} {
		if !regexp.MustCompile("(?m)" + want).Match(body) {
			t.Errorf("nothing like %s in\n%s", want, strings.TrimSpace(string(body)))
		}
	}
}
