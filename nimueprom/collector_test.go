package nimueprom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/internal/testdb"
	"github.com/nimue-go/nimue/pool"
)

// A pool with one connection in use, one idle and callers who wait, give up and are
// refused is what the scrape says.
func TestScrapeOfAPoolUnderWork(t *testing.T) {
	ctx := t.Context()
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders", MaxConns: 2, MinConns: 1, MaxWaiters: 1, AcquireTimeout: pool.None})
	p := nimue.PoolOf(db)
	url := server(t, NewCollector())

	first, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	second, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.PingContext(ctx), second.PingContext(ctx)); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- db.PingContext(ctx) }()
	waitFor(t, p, func(s pool.Stats) bool { return s.Waiting == 1 })
	if err := db.PingContext(ctx); !errors.Is(err, pool.ErrExhausted) {
		t.Fatalf("one waiter too many got %v", err)
	}

	s := scrape(t, url)
	s.want(t, 2, "nimue_connections", "pool", "orders", "state", "in_use")
	s.want(t, 0, "nimue_connections", "pool", "orders", "state", "idle")
	s.want(t, 2, "nimue_connections_max", "pool", "orders")
	s.want(t, 1, "nimue_connections_min", "pool", "orders")
	s.want(t, 1, "nimue_waiters", "pool", "orders")
	s.want(t, 1, "nimue_waiters_max", "pool", "orders")
	s.want(t, math.Inf(1), "nimue_acquire_timeout_seconds", "pool", "orders")
	s.want(t, 1, "nimue_acquire_failures_total", "pool", "orders", "reason", "exhausted")

	time.Sleep(20 * time.Millisecond) // which the waiter's wait must show
	if err := errors.Join(first.Close(), <-served, second.Close()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, p, func(s pool.Stats) bool { return s.InUse == 0 })
	s, stats := scrape(t, url), p.Stats()
	s.want(t, 2, "nimue_connections", "pool", "orders", "state", "idle")
	s.want(t, 0, "nimue_waiters", "pool", "orders")
	s.want(t, 1, "nimue_waiters_peak", "pool", "orders")
	s.want(t, 2, "nimue_connections_in_use_peak", "pool", "orders")
	s.want(t, 2, "nimue_connects_total", "pool", "orders")
	s.want(t, float64(stats.Acquires), "nimue_acquires_total", "pool", "orders")
	s.want(t, 1, "nimue_health", "pool", "orders", "state", "degraded") // a caller was refused just now
	s.want(t, 0, "nimue_health", "pool", "orders", "state", "ready")
	waited := s.metric(t, "nimue_acquire_wait_seconds", "pool", "orders").GetHistogram()
	if waited.GetSampleCount() != stats.Waits || waited.GetSampleSum() < 0.02 {
		t.Errorf("%d waits of %v s together; the statistics have %d", waited.GetSampleCount(), waited.GetSampleSum(), stats.Waits)
	}
	if n := s.metric(t, "nimue_connect_seconds", "pool", "orders").GetHistogram().GetSampleCount(); n != 2 {
		t.Errorf("%d connects timed, want 2", n)
	}
}

// Nothing that the statistics hold is forgotten: every counter shows its own value.
func TestEveryCounterIsExported(t *testing.T) {
	r := &reading{}
	counters := reflect.ValueOf(&r.Counters).Elem()
	wanted := map[float64]string{}
	n := 1000.0
	for i := range counters.NumField() {
		name, field := counters.Type().Field(i).Name, counters.Field(i)
		switch field.Kind() {
		case reflect.Uint64:
			n++
			field.SetUint(uint64(n))
			wanted[n] = name
		case reflect.Int64: // a duration
			n++
			field.SetInt(int64(n) * int64(time.Second))
			wanted[n] = name
		case reflect.Array:
			for j := range field.Len() {
				n++
				field.Index(j).SetUint(uint64(n))
				wanted[n] = fmt.Sprint(name, j)
			}
		default:
			t.Fatalf("%s is a %v", name, field.Kind())
		}
	}
	for _, f := range families {
		f.read(r, func(value float64, _ ...string) {
			if f.kind == prometheus.CounterValue {
				delete(wanted, value)
			}
		})
	}
	if len(wanted) > 0 {
		t.Errorf("not exported: %v", wanted)
	}
}

// Two pools of one name must not make the scrape fail, nor their numbers mix.
func TestPoolsOfOneName(t *testing.T) {
	a := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "twin", MaxConns: 3})
	testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "twin", MaxConns: 4})
	url := server(t, NewCollector())
	both := scrape(t, url)
	one, other := both.value(t, "nimue_connections_max", "pool", "twin"), both.value(t, "nimue_connections_max", "pool", "twin#2")
	if one+other != 7 || one == other {
		t.Errorf("limits %v and %v, want 3 and 4", one, other)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(scrape(t, url)["nimue_connections_max"].GetMetric()); n != 1 {
		t.Errorf("%d pools are left, want 1", n)
	}
}

func TestGivenPoolsOnly(t *testing.T) {
	testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "others"})
	mine := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "mine", MaxConns: 3})
	s := scrape(t, server(t, NewCollector(nimue.PoolOf(mine))))
	s.want(t, 3, "nimue_connections_max", "pool", "mine")
	if n := len(s["nimue_connections_max"].GetMetric()); n != 1 {
		t.Errorf("%d pools, want 1", n)
	}
}

func TestLint(t *testing.T) {
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{})
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector())
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if n, err := testutil.GatherAndCount(registry); err != nil || n < len(families)+len(times) {
		t.Errorf("%d metrics, %v", n, err)
	}
}

// In OpenMetrics, a counter's family is named without _total. None may then be called
// as another.
func TestOpenMetrics(t *testing.T) {
	testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders"})
	text := get(t, server(t, NewCollector()), "application/openmetrics-text; version=1.0.0")
	if !strings.HasSuffix(text, "# EOF\n") {
		t.Fatalf("not OpenMetrics:\n%s", text)
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(text, -1) {
		if seen[m[1]] {
			t.Errorf("two families are called %s", m[1])
		}
		seen[m[1]] = true
	}
	if len(seen) != len(families)+len(times)-1 { // there has been no error
		t.Errorf("%d families, want %d", len(seen), len(families)+len(times)-1)
	}
}

// Counters carry the time since which they count.
func TestCreatedTimestamp(t *testing.T) {
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "orders"})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector())
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	since, dated := nimue.PoolOf(db).Stats().Since, 0
	for _, f := range gathered {
		m := f.GetMetric()[0]
		created := m.GetCounter().GetCreatedTimestamp()
		if m.Histogram != nil {
			created = m.GetHistogram().GetCreatedTimestamp()
		}
		if (m.Counter != nil || m.Histogram != nil) && !created.AsTime().Equal(since) {
			t.Errorf("%s was created %v, want %v", f.GetName(), created.AsTime(), since)
		}
		if created != nil {
			dated++
		}
	}
	if dated < len(times)+10 {
		t.Errorf("only %d metrics are dated", dated)
	}
}

// Scrapes of many at once, while the pool is at work and another comes and goes.
func TestScrapesUnderLoad(t *testing.T) {
	db := testdb.Open(t, scripted.Hooks{}, pool.Config{Name: "busy", MaxConns: 2})
	url := server(t, NewCollector())
	ctx, stop := context.WithCancel(t.Context())
	var work, scrapes sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for ctx.Err() == nil {
				_ = db.PingContext(ctx)
			}
		})
	}
	work.Go(func() {
		for ctx.Err() == nil {
			p, err := pool.New(scripted.New(scripted.Hooks{}), pool.Config{Name: "busy"})
			if err != nil {
				t.Error(err)
				return
			}
			_ = p.Shutdown(context.Background())
		}
	})
	for range 4 {
		scrapes.Go(func() {
			for range 50 {
				parser := expfmt.NewTextParser(model.UTF8Validation)
				if _, err := parser.TextToMetricFamilies(strings.NewReader(get(t, url, "text/plain"))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	scrapes.Wait()
	stop()
	work.Wait()
	s := scrape(t, url)
	s.want(t, float64(nimue.PoolOf(db).Stats().Acquires), "nimue_acquires_total", "pool", "busy")
}

// No text of an error leaves by way of the metrics.
func TestNoSecretInAScrape(t *testing.T) {
	const secret = "hunter2"
	db := testdb.Open(t, scripted.Hooks{Connect: func(context.Context, int) error {
		return fmt.Errorf("password=%s refused: %w", secret, io.EOF)
	}}, pool.Config{Name: "locked", OutageGrace: pool.None})
	if err := db.PingContext(t.Context()); err == nil {
		t.Fatal("a connect succeeded")
	}
	url := server(t, NewCollector())
	if text := get(t, url, "text/plain"); strings.Contains(text, secret) {
		t.Errorf("the scrape shows the secret:\n%s", text)
	}
	s := scrape(t, url)
	s.want(t, 1, "nimue_outage_active", "pool", "locked")
	s.want(t, 1, "nimue_acquire_failures_total", "pool", "locked", "reason", "connect")
	if at := s.value(t, "nimue_last_error_timestamp_seconds", "pool", "locked", "kind", "connect"); time.Since(time.Unix(int64(at), 0)) > time.Minute {
		t.Errorf("the last connect error was at %v", at)
	}
}
