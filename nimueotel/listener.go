package nimueotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"

	"github.com/nimue-go/nimue/pool"
)

// NewListener returns a listener that records how long connects, waits and leases
// take, in histograms of the provider's; nil stands for the global provider. One
// listener may serve any number of pools. It is told of a pool by [pool.Config]:
//
//	connector, err := nimue.OpenConnector(dsn, func(c *pool.Config) {
//		c.Listener = pool.Listeners(c.Listener, times)
//	})
//
// A listener has its price: with one, every acquire and every return goes by the
// pool's lock, reads the clock and leaves an event, which makes a lease half a
// microsecond longer; and recording the event takes about as long again, in another
// goroutine. Where that is too much, the same times can be had for nothing from
// [pool.Stats] or by package nimueprom; of a connection's leases only a sample is
// timed there. A pool that is busier than its listener can follow, at some hundreds of
// thousands of leases a second, drops events and counts them in EventsLost.
func NewListener(provider metric.MeterProvider, options ...Option) (pool.Listener, error) {
	m := meter(provider)
	l := &listener{attributes: apply(options).attributes}
	var errs [3]error
	l.create, errs[0] = dbconv.NewClientConnectionCreateTime(m, bounds)
	l.wait, errs[1] = dbconv.NewClientConnectionWaitTime(m, bounds)
	l.use, errs[2] = dbconv.NewClientConnectionUseTime(m, bounds)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return l, nil
}

type listener struct {
	attributes []attribute.KeyValue
	create     dbconv.ClientConnectionCreateTime
	wait       dbconv.ClientConnectionWaitTime
	use        dbconv.ClientConnectionUseTime
}

// PoolEvent records what the conventions have a metric for.
func (l *listener) PoolEvent(e pool.Event) {
	ctx := context.Background()
	switch e.Kind {
	case pool.EventConnected:
		l.create.Record(ctx, e.Took.Seconds(), e.Pool, l.attributes...)
	case pool.EventAcquired:
		l.wait.Record(ctx, e.Took.Seconds(), e.Pool, l.attributes...)
	case pool.EventReleased:
		l.use.Record(ctx, e.Took.Seconds(), e.Pool, l.attributes...)
	}
}
