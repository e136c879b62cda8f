package report

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/nimue-go/nimue/bench/rows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// results writes ten rounds in which nimue takes half of the time that a tuned
// database/sql takes, and the rounds themselves are slower and slower.
func results() string {
	var b strings.Builder
	b.WriteString("cores: 2\ncpu: a test's\n")
	for round := 1; round <= 10; round++ {
		slow := float64(round)
		fmt.Fprintf(&b, "%s: %d\n", RoundKey, round)
		fmt.Fprintf(&b, "BenchmarkNoop/serial/sql-default-2 100 %v ns/op 32 B/op 1 allocs/op\n", 100*slow)
		fmt.Fprintf(&b, "BenchmarkNoop/serial/nimue-2 100 %v ns/op 32 B/op 1 allocs/op\n", 130*slow)
		fmt.Fprintf(&b, "BenchmarkNoop/contended/sql-tuned-2 100 %v ns/op 170 B/op 3 allocs/op\n", 1000*slow)
		fmt.Fprintf(&b, "BenchmarkNoop/contended/nimue-2 100 %v ns/op 32 B/op 1 allocs/op\n", 500*slow)
		fmt.Fprintf(&b, "BenchmarkPostgres/overload/nimue-2 100 9 ns/op 50 p50-ms 51 p90-ms 54 p99-ms 55 p99.9-ms 56 max-ms 1.08 p99/p50 7000 op/s 0 errors/op\n")
		for _, n := range []int{0, 1, 10, 100, 1000, 10000, 100000} {
			fmt.Fprintf(&b, "BenchmarkGrowth/enter/nimue/n=%d-2 100 %v ns/op\n", n, 100*math.Sqrt(float64(n)+1))
		}
	}
	return b.String()
}

func read(t *testing.T, text string) *Measured {
	t.Helper()
	m, err := Read(strings.NewReader(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMedians(t *testing.T) {
	m := read(t, results())
	if m.Rounds() != 10 || m.Config("cores") != "2" || m.Config("cpu") != "a test's" {
		t.Errorf("%d rounds on %s cores, %q", m.Rounds(), m.Config("cores"), m.Config("cpu"))
	}
	s, ok := m.Median(Key{"Noop/serial", rows.Nimue, 0, "ns/op"})
	if !ok || s.Center != 130*5.5 || s.Lo >= s.Center || s.Hi <= s.Center {
		t.Errorf("median %v, found %v, want %v within an interval", s, ok, 130*5.5)
	}
	if _, ok := m.Median(Key{"Noop/serial", rows.SQLTuned, 0, "ns/op"}); ok {
		t.Error("a median of what was not measured")
	}
}

// TestRatioIsWithinTheRound has rounds so different that medians alone would hide
// how steady the ratio is.
func TestRatioIsWithinTheRound(t *testing.T) {
	m := read(t, results())
	r, ok := m.Ratio(Key{"Noop/contended", rows.Nimue, 0, "ns/op"}, Key{"Noop/contended", rows.SQLTuned, 0, "ns/op"})
	if !ok || r.Center != 0.5 || r.Least != 0.5 || r.Most != 0.5 || r.Rounds != 10 {
		t.Errorf("ratio %+v, found %v, want 0.5 in ten rounds", r, ok)
	}
	if _, ok := m.Ratio(Key{"Postgres/overload", rows.Nimue, 0, "op/s"}, Key{"Postgres/overload", rows.Nimue, 0, "errors/op"}); ok {
		t.Error("a ratio by nothing")
	}
}

// TestDiffers looks at few rounds and at many.
func TestDiffers(t *testing.T) {
	for _, c := range []struct {
		ratio Ratio
		want  bool
	}{
		{Ratio{Rounds: 10, P: 0.01, Least: 0.9, Most: 1.2}, true},
		{Ratio{Rounds: 10, P: 0.2, Least: 1.01, Most: 1.2}, false},
		{Ratio{Rounds: 3, P: 0.1, Least: 1.01, Most: 1.2}, true},
		{Ratio{Rounds: 3, P: 0.1, Least: 0.99, Most: 1.2}, false},
	} {
		if got := c.ratio.Differs(); got != c.want {
			t.Errorf("%+v differs: %v", c.ratio, got)
		}
	}
}

func TestReadRefusesWhatIsNone(t *testing.T) {
	for _, text := range []string{
		"BenchmarkNoop/serial/nimue-2 100 what ns/op\n",
		"BenchmarkNoop/serial-2 100 5 ns/op\n",
		RoundKey + ": last\nBenchmarkNoop/serial/nimue-2 100 5 ns/op\n",
		"BenchmarkGrowth/enter/nimue/n=many-2 100 5 ns/op\n",
	} {
		if _, err := Read(strings.NewReader(text), "test"); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
}

// TestExponents are those of functions that are known. Only the upper half counts,
// so that a cost that begins to grow late is seen.
func TestExponents(t *testing.T) {
	sizes := []float64{1, 10, 100, 1000, 10000, 100000}
	for name, c := range map[string]struct {
		cost func(n float64) float64
		want float64
		text string
	}{
		"constant": {func(float64) float64 { return 7 }, 0, "O(1)"},
		"linear":   {func(n float64) float64 { return 3 * n }, 1, ": O(n)"},
		"square":   {func(n float64) float64 { return n * n }, 2, "worse than O(n)"},
		"late":     {func(n float64) float64 { return max(1000, n) }, 1, ": O(n)"},
	} {
		var points []point
		for _, n := range sizes {
			points = append(points, point{n, c.cost(n)})
		}
		k, ok := exponent(points)
		if !ok || math.Abs(k-c.want) > 0.01 {
			t.Errorf("%s: n^%.3f, want n^%.0f", name, k, c.want)
		}
		if !strings.HasSuffix(orderOf(k), c.text) {
			t.Errorf("%s is called %q", name, orderOf(k))
		}
	}
	if _, ok := exponent([]point{{1, 1}}); ok {
		t.Error("one point has an exponent")
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{170.4, "ns/op", "170 ns"}, {1450, "ns/op", "1.45 µs"}, {12_000_000, "ns/op", "12 ms"},
		{60_000, "cpu-ns/op", "60 µs"}, {56.2, "p99-ms", "56.2 ms"}, {80123, "op/s", "80.1 k"},
		{446, "B/conn", "446 B"}, {2048, "B/op", "2 KiB"}, {3, "allocs/op", "3"}, {0.0072, "errors/op", "0.0072"},
		{0, "ns/op", "0 s"}, {501, "prepares/op", "501"}, {1, "turns/op", "1"}, {16, "conns/op", "16"},
	} {
		if got := format(c.value, c.unit); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}
