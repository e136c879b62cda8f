package nimueotel

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

// scope is the instrumentation scope of all that is recorded here.
const scope = "github.com/nimue-go/nimue/nimueotel"

// Option changes what is recorded.
type Option func(*settings)

type settings struct {
	pools      func() []*pool.Pool
	attributes []attribute.KeyValue
}

// WithPools observes these pools in place of all that the process has at the time. It
// means nothing to NewListener, which hears of the pools that it is given to.
func WithPools(pools ...*pool.Pool) Option {
	given := slices.Clone(pools)
	return func(s *settings) { s.pools = func() []*pool.Pool { return given } }
}

// WithAttributes adds attributes to every metric, such as db.system.name or
// server.address, which nimue does not know.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	given := slices.Clone(attributes)
	return func(s *settings) { s.attributes = append(s.attributes, given...) }
}

func apply(options []Option) settings {
	s := settings{pools: nimue.Pools}
	for _, o := range options {
		o(&s)
	}
	return s
}

// meter returns the meter of a provider, or of the global one for nil.
func meter(provider metric.MeterProvider) metric.Meter {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	return provider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
}

// bounds are the buckets of the histograms, unless a view says otherwise. Those that
// OpenTelemetry has by default are made for milliseconds; these are in seconds.
var bounds = metric.WithExplicitBucketBoundaries(func() (seconds []float64) {
	for _, d := range []time.Duration{
		100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
		time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
		10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second,
		10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
	} {
		seconds = append(seconds, d.Seconds())
	}
	return seconds
}()...)
