package nimueotel

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T) (*sdk.MeterProvider, *sdk.ManualReader) {
	t.Helper()
	reader := sdk.NewManualReader()
	p := sdk.NewMeterProvider(sdk.WithReader(reader))
	t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	return p, reader
}

// collected is what a reader has, by name.
type collected map[string]metricdata.Metrics

func collect(t *testing.T, reader sdk.Reader) collected {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	c := collected{}
	for _, s := range all.ScopeMetrics {
		if s.Scope.Name != scope || s.Scope.SchemaURL == "" {
			t.Errorf("scope %+v", s.Scope)
		}
		for _, m := range s.Metrics {
			c[m.Name] = m
		}
	}
	return c
}

// sum finds one value of a counter by its attributes.
func (c collected) sum(t *testing.T, name string, attributes ...attribute.KeyValue) int64 {
	t.Helper()
	data, ok := c[name].Data.(metricdata.Sum[int64])
	if !ok {
		t.Fatalf("%s is a %T", name, c[name].Data)
	}
	want := attribute.NewSet(attributes...)
	for _, p := range data.DataPoints {
		if p.Attributes.Equals(&want) {
			return p.Value
		}
	}
	t.Fatalf("no %s with %v among %v", name, attributes, data.DataPoints)
	return 0
}

func (c collected) wantSum(t *testing.T, value int64, name string, attributes ...attribute.KeyValue) {
	t.Helper()
	if got := c.sum(t, name, attributes...); got != value {
		t.Errorf("%s%v is %d, want %d", name, attributes, got, value)
	}
}

// histogram finds one histogram by its attributes; nil if it is not there.
func (c collected) histogram(attributes ...attribute.KeyValue) func(name string) *metricdata.HistogramDataPoint[float64] {
	want := attribute.NewSet(attributes...)
	return func(name string) *metricdata.HistogramDataPoint[float64] {
		data, _ := c[name].Data.(metricdata.Histogram[float64])
		for i, p := range data.DataPoints {
			if p.Attributes.Equals(&want) {
				return &data.DataPoints[i]
			}
		}
		return nil
	}
}

// eventually tries until check is content, or for twenty seconds.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !check(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in twenty seconds: " + what)
		}
	}
}
