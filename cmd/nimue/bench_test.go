package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/servers"
)

func TestBench(t *testing.T) {
	for name, dsn := range map[string]func(t *testing.T) string{
		"sqlite": func(t *testing.T) string { return sqliteFile(t) + "&pool_max_conns=3" },
		"postgres": func(t *testing.T) string {
			return "pgx:" + servers.SharedPostgres(t).URL("postgres") + "&pool_max_conns=3"
		},
		"mariadb": func(t *testing.T) string {
			return "mysql:" + servers.SharedMariaDB(t).DSN(servers.MariaDBDatabase) + "?pool_max_conns=3"
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := runWith(t, "bench", "-d", "100ms", "-c", "5", "-json", dsn(t))
			d := decode[benchDocument](t, r)
			r.wants(t, exitFine)
			if d.Workers != 5 || d.Length.Duration() != 100*time.Millisecond || len(d.Runs) != 3 || d.Error != "" {
				t.Fatalf("%s", r.out)
			}
			for _, run := range d.Runs {
				checkRun(t, run)
			}
			for _, i := range []int{0, 1} {
				if n := d.Runs[i].Opened; n < 1 || n > 3 {
					t.Errorf("%s has opened %d connections where 3 are the limit", d.Runs[i].Name, n)
				}
			}
		})
	}
}

// checkRun holds a run's numbers against each other.
func checkRun(t *testing.T, r benchRun) {
	t.Helper()
	var counted uint64
	last := time.Duration(0)
	for _, b := range r.Histogram {
		counted += b.Count
		if b.Below.Duration() <= last || b.Count == 0 {
			t.Errorf("%s: bucket %+v after %v", r.Name, b, last)
		}
		last = b.Below.Duration()
	}
	l := r.Latency
	if r.Operations == 0 || counted != r.Operations || r.Errors != 0 || r.Cut || r.PerSecond <= 0 || r.Took <= 0 {
		t.Errorf("%+v, %d counted", r, counted)
	}
	if l.P50 <= 0 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.Max || l.Mean > l.Max {
		t.Errorf("%s: %+v", r.Name, l)
	}
}

func TestBenchText(t *testing.T) {
	r := runWith(t, "bench", "-d", "50ms", "-c", "4", sqliteFile(t)+"&pool_max_conns=2")
	r.wants(t, exitFine, "4 workers, 50ms each, pool_max_conns=2, SELECT 1\n", "op/s", "nimue", "database/sql, 2 open, 2 idle",
		"database/sql, default settings", "\n   latency  nimue", "█", "%")
	if r.messages != "" || strings.Contains(r.out, "\x1b") {
		t.Errorf("without a terminal: %q", r.all())
	}
	r = runWith(t, "bench", "-d", "50ms", "-compare=false", "-query", "SELECT 'hunter2'", sqliteFile(t))
	r.wants(t, exitFine, "the query given")
	if strings.Contains(r.all(), "database/sql") || strings.Contains(r.all(), "hunter2") {
		t.Errorf("%s", r.all())
	}
}

func TestBenchKeepsOpenWhatADatabaseInMemoryNeeds(t *testing.T) {
	runWith(t, "bench", "-d", "50ms", "-compare=false", "sqlite::memory:").wants(t, exitFine, "pool_max_conns=1")
}

func TestBenchOfAWrongQueryIsNoLoad(t *testing.T) {
	began := time.Now()
	r := runWith(t, "bench", "-query", "SELECT nonsense", sqliteFile(t))
	r.wants(t, exitBad, "nimue bench: the query fails: ", "no such column: nonsense")
	if time.Since(began) > 4*time.Second || strings.Contains(r.out, "op/s") {
		t.Errorf("after %v: %s", time.Since(began), r.out)
	}
	r = runWith(t, "bench", "-json", "-query", "SELECT nonsense", sqliteFile(t))
	if d := decode[benchDocument](t, r); r.code != exitBad || !strings.Contains(d.Error, "nonsense") || d.Runs == nil {
		t.Errorf("%d %s", r.code, r.out)
	}
}

func TestBenchUnreachable(t *testing.T) {
	began := time.Now()
	runWith(t, "bench", "pgx:postgres://u:hunter2@127.0.0.1:1/x").wants(t, exitBad, "nimue bench: ", "connection refused")
	if took := time.Since(began); took > 4*time.Second { // less than pool_outage_grace
		t.Errorf("it took %v to find out", took)
	}
}

// TestBenchTellsErrors: a query that fails only now and then is a load, and what
// failed is in the report.
func TestBenchTellsErrors(t *testing.T) {
	// The first query passes, so that the load is begun. 64 fails as an argument of
	// abs alone.
	const query = "SELECT abs(CASE WHEN abs(random()) % 8 = 0 THEN -9223372036854775808 ELSE 1 END)"
	const tries = 20 // each may fail at the first query
	for range tries {
		r := runWith(t, "bench", "-d", "100ms", "-c", "2", "-compare=false", "-json", "-query", query, sqliteFile(t))
		d := decode[benchDocument](t, r)
		if d.Error != "" {
			continue
		}
		run := d.Runs[0]
		if r.code != exitBad || run.Errors == 0 || run.Operations == 0 || !strings.Contains(run.FirstError, "integer overflow") {
			t.Errorf("%d %s", r.code, r.out)
		}
		return
	}
	t.Fatalf("the first query failed %d times", tries)
}

func TestBenchStopsWhereAllFails(t *testing.T) {
	d := benchRun{Name: "nimue", Errors: 1000, FirstError: "dial\nrefused", Cut: true, latencies: &histogram{}}
	r := rendered(func(c *console) { showRuns(c, []benchRun{d}) })
	for _, text := range []string{"nimue     0    –    –    –    –   1,000       0", "nimue was cut short after 0s: 1,000 errors, the first: dial refused"} {
		if !strings.Contains(r, text) {
			t.Errorf("%q is missing in\n%s", text, r)
		}
	}
	if strings.Contains(r, "latency") {
		t.Errorf("a histogram of nothing:\n%s", r)
	}
}

// rendered is what a function prints.
func rendered(f func(*console)) string {
	var b strings.Builder
	f(&console{out: &b, messages: &b, env: func(string) string { return "" }})
	return b.String()
}

func TestBenchInterrupted(t *testing.T) {
	for after, text := range map[time.Duration]string{
		50 * time.Millisecond: "",
		3 * time.Second:       "nimue was cut short after ", // the warm-up takes one second
	} {
		r := program{ctx: cancelled(t, after)}.run(t, "bench", "-d", "20s", "-c", "4", sqliteFile(t))
		r.wants(t, exitInterrupted, "nimue bench: interrupted", text)
	}
	r := program{ctx: cancelled(t, 3*time.Second)}.run(t, "bench", "-d", "20s", "-c", "4", "-json", sqliteFile(t))
	if !strings.Contains(r.out, `"cut_short": true`) || r.code != exitInterrupted {
		t.Errorf("%d %s", r.code, r.all())
	}
}

// TestHistogram compares with sorted values.
func TestHistogram(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h, other histogram
	var values []time.Duration
	for i := range 20_000 {
		d := time.Duration(r.ExpFloat64() * float64(time.Millisecond))
		values = append(values, d)
		if i%2 == 0 {
			h.record(d)
		} else {
			other.record(d)
		}
	}
	h.add(&other)
	slices.Sort(values)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 1} {
		exact := values[min(int(q*float64(len(values))), len(values)-1)]
		if got := h.quantile(q); got < exact || got > exact+exact/parts+1 {
			t.Errorf("quantile %v: %v, but %v is exact", q, got, exact)
		}
	}
	if h.count != 20_000 || h.most != values[len(values)-1] || h.quantile(1) != h.most {
		t.Errorf("count %d, most %v", h.count, h.most)
	}
	if empty := new(histogram); empty.quantile(0.5) != 0 || empty.mean() != 0 {
		t.Error("an empty histogram has values")
	}
}

func TestBucketsAreWithoutGaps(t *testing.T) {
	for _, n := range []uint64{0, 1, 15, 16, 17, 31, 32, 33, 1000, 1 << 40, 1<<62 + 12345} {
		i := bucketing.Bucket(time.Duration(n))
		if uint64(bucketing.Bound(i)) <= n || i > 0 && uint64(bucketing.Bound(i-1)) > n {
			t.Errorf("%d is in bucket %d, which ends at %d", n, i, bucketing.Bound(i))
		}
	}
}

func TestBar(t *testing.T) {
	for part, want := range map[float64]string{0.0001: "▏   ", 0.5: "██  ", 1: "████", 0.3: "█▎  "} {
		if got := bar(part, 4); got != want {
			t.Errorf("%v: %q, want %q", part, got, want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
