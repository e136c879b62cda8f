package nimueotel

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/internal/testdb"
	"github.com/nimue-go/nimue/pool"
)

// The times of a lease that lasts, and of a caller who waits for it, are recorded, and
// the application's own listener hears of both too.
func TestTimes(t *testing.T) {
	const held = 30 * time.Millisecond
	ctx := t.Context()
	mp, reader := provider(t)
	system := attribute.String("db.system.name", "postgresql")
	times, err := NewListener(mp, WithAttributes(system))
	if err != nil {
		t.Fatal(err)
	}
	var heard atomic.Int64
	own := pool.ListenerFunc(func(pool.Event) { heard.Add(1) })
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders", MaxConns: 1, Listener: pool.Listeners(own, times)})
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.PingContext(ctx); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- db.PingContext(ctx) }()
	eventually(t, "a caller waits", func() bool { return nimue.PoolOf(db).Stats().Waiting == 1 })
	time.Sleep(held)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}

	var create, wait, use *metricdata.HistogramDataPoint[float64]
	eventually(t, "two leases are recorded", func() bool {
		find := collect(t, reader).histogram(named("orders"), system)
		create, wait, use = find("db.client.connection.create_time"), find("db.client.connection.wait_time"), find("db.client.connection.use_time")
		return create != nil && wait != nil && use != nil && use.Count == 2
	})
	if create.Count != 1 || wait.Count != 2 {
		t.Errorf("%d connects and %d waits, want 1 and 2", create.Count, wait.Count)
	}
	if wait.Sum < held.Seconds() || use.Sum < held.Seconds() {
		t.Errorf("waited %v s, used %v s: both lasted %v at least", wait.Sum, use.Sum, held)
	}
	if heard.Load() < 5 {
		t.Errorf("the application's own listener heard %d events", heard.Load())
	}
}

// The pool times only a sample of the leases for its own statistics. A listener is told
// of each how long it was.
func TestEveryLeaseIsTimed(t *testing.T) {
	const leases, each = 150, time.Millisecond
	mp, reader := provider(t)
	times, err := NewListener(mp)
	if err != nil {
		t.Fatal(err)
	}
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders", MaxConns: 1, Listener: times})
	for range leases {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(each)
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var use *metricdata.HistogramDataPoint[float64]
	eventually(t, "all leases are recorded", func() bool {
		use = collect(t, reader).histogram(named("orders"))("db.client.connection.use_time")
		return use != nil && use.Count == leases
	})
	if least, _ := use.Min.Value(); least < each.Seconds() {
		t.Errorf("a lease of %v s was recorded, though each lasted %v", least, each)
	}
}

func TestTimesByConvention(t *testing.T) {
	mp, reader := provider(t)
	times, err := NewListener(mp)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []pool.EventKind{pool.EventConnected, pool.EventAcquired, pool.EventReleased, pool.EventTimedOut} {
		times.PoolEvent(pool.Event{Kind: kind, Pool: "orders", Took: 3 * time.Millisecond})
	}
	c := collect(t, reader)
	if len(c) != 3 {
		t.Errorf("%d metrics, want 3", len(c))
	}
	for _, name := range []string{"db.client.connection.create_time", "db.client.connection.wait_time", "db.client.connection.use_time"} {
		h := c.histogram(named("orders"))(name)
		if h == nil || c[name].Unit != "s" {
			t.Errorf("no %s in seconds", name)
			continue
		}
		if h.Count != 1 || h.Sum != 0.003 || h.Bounds[0] != 0.0001 {
			t.Errorf("%s is %+v", name, h)
		}
	}
}

// A provider that is shut down must not disturb the pool.
func TestListenerOutlivesItsProvider(t *testing.T) {
	mp, _ := provider(t)
	times, err := NewListener(mp)
	if err != nil {
		t.Fatal(err)
	}
	if err := mp.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{Listener: times})
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
}
