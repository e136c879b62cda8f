package nimueotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"

	"github.com/nimue-go/nimue/internal/poolnames"
	"github.com/nimue-go/nimue/pool"
)

// The states of a connection. The conventions name the first two and leave others to
// the pool; together they are all connections that the server sees.
var (
	stateIdle       = dbconv.ClientConnectionStateIdle
	stateUsed       = dbconv.ClientConnectionStateUsed
	stateConnecting = dbconv.ClientConnectionStateAttr("connecting")
	stateVerifying  = dbconv.ClientConnectionStateAttr("verifying")
	stateClosing    = dbconv.ClientConnectionStateAttr("closing")
)

// Register has the pools observed by a provider's readers until the registration's
// Unregister is called; nil stands for the global provider. A pool that is closed is
// left out. It is to be called once for a provider.
func Register(provider metric.MeterProvider, options ...Option) (metric.Registration, error) {
	s := apply(options)
	m := meter(provider)
	o, err := newObserver(m)
	if err != nil {
		return nil, err
	}
	return m.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		for _, p := range poolnames.Of(s.pools()) {
			o.observe(to, p, s.attributes)
		}
		return nil
	}, o.count.Inst(), o.max.Inst(), o.idleMax.Inst(), o.idleMin.Inst(), o.pending.Inst(), o.timeouts.Inst())
}

// observer holds the instruments.
type observer struct {
	count    dbconv.ClientConnectionCountObservable
	max      dbconv.ClientConnectionMaxObservable
	idleMax  dbconv.ClientConnectionIdleMaxObservable
	idleMin  dbconv.ClientConnectionIdleMinObservable
	pending  dbconv.ClientConnectionPendingRequestsObservable
	timeouts dbconv.ClientConnectionTimeoutsObservable
}

func newObserver(m metric.Meter) (o observer, err error) {
	var errs [6]error
	o.count, errs[0] = dbconv.NewClientConnectionCountObservable(m)
	o.max, errs[1] = dbconv.NewClientConnectionMaxObservable(m)
	o.idleMax, errs[2] = dbconv.NewClientConnectionIdleMaxObservable(m)
	o.idleMin, errs[3] = dbconv.NewClientConnectionIdleMinObservable(m)
	o.pending, errs[4] = dbconv.NewClientConnectionPendingRequestsObservable(m)
	o.timeouts, errs[5] = dbconv.NewClientConnectionTimeoutsObservable(m)
	return o, errors.Join(errs[:]...)
}

// observe reads a pool once, so that what is told of it was true at one moment.
func (o observer) observe(to metric.Observer, p poolnames.Labelled, attributes []attribute.KeyValue) {
	stats, config := p.Pool.Stats(), p.Pool.Config()
	own := append(attributes[:len(attributes):len(attributes)], o.count.AttrClientConnectionPoolName(p.Label))
	of := metric.WithAttributeSet(attribute.NewSet(own...))
	to.ObserveInt64(o.max.Inst(), int64(config.MaxConns), of)
	to.ObserveInt64(o.idleMax.Inst(), int64(max(config.MaxIdleConns, 0)), of)
	to.ObserveInt64(o.idleMin.Inst(), int64(config.MinIdleConns), of)
	to.ObserveInt64(o.pending.Inst(), int64(stats.Waiting), of)
	to.ObserveInt64(o.timeouts.Inst(), int64(stats.Timeouts), of)
	for _, c := range counts(&stats) {
		state := o.count.AttrClientConnectionState(c.state)
		to.ObserveInt64(o.count.Inst(), int64(c.n), metric.WithAttributeSet(attribute.NewSet(append(own[:len(own):len(own)], state)...)))
	}
}

type count struct {
	state dbconv.ClientConnectionStateAttr
	n     int
}

func counts(s *pool.Stats) [5]count {
	return [5]count{
		{stateIdle, s.Idle}, {stateUsed, s.InUse}, {stateConnecting, s.Connecting},
		{stateVerifying, s.Verifying}, {stateClosing, s.Closing},
	}
}
