package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/nimue-go/nimue/bench/rows"
)

// TestPage looks for what the results must lead to, line by line.
func TestPage(t *testing.T) {
	page := Page(read(t, results()), rows.All(), []string{"a row, a contender: it broke"})
	for _, line := range []string{
		"- processor: a test's",
		"- rounds: 10",
		"- a row, a contender: it broke",
		"| No-op driver, one goroutine | at most 1.25 times plain database/sql | 1.30 | **missed** |",
		"| No-op driver, 32 goroutines on 16 connections | at most 0.6 times tuned database/sql | 0.50 | kept |",
		"| PostgreSQL, 2 ms query, 400 workers | p99 at most 1.1 times p50 | 1.08 | kept |",
		"| Entering and leaving the queue | does not grow | n^0.50: less than O(n) | **missed** |",
		"| order of growth | n^0.50: less than O(n) |",
		"| 100,000 | 31.6 µs |",
		"![Latency by percentile, 400 workers on 16 connections](charts/latency.svg)",
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(page, "SQLite") {
		t.Error("a row that was not measured is in the page")
	}
	if strings.Contains(page, "%!") {
		t.Error("a format without its value")
	}
}

// TestPageSaysWhereNimueIsSlower has nimue 1.3 times slower, in steady rounds.
func TestPageSaysWhereNimueIsSlower(t *testing.T) {
	var b strings.Builder
	for round := 1; round <= 6; round++ {
		b.WriteString(RoundKey + ": " + string(rune('0'+round)) + "\n" +
			"BenchmarkNoop/serial/sql-default-2 100 100 ns/op\nBenchmarkNoop/serial/nimue-2 100 130 ns/op\n")
	}
	page := Page(read(t, b.String()), rows.All(), nil)
	want := "| No-op driver, one goroutine | time per operation | nimue: 130 ns | database/sql, default: 100 ns | 1.30 |"
	if !strings.Contains(page, want) {
		t.Errorf("the page does not say %s:\n%s", want, page)
	}
}

func TestTablesHaveEqualLines(t *testing.T) {
	page := Page(read(t, results()), rows.All(), nil)
	cells := 0
	for line := range strings.Lines(page) {
		n := strings.Count(line, "|")
		if cells != 0 && n != 0 && n != cells {
			t.Errorf("%d bars in a table of %d: %s", n, cells, line)
		}
		cells = n
	}
}

// TestChartsAreWellFormed reads every chart as the XML that it must be.
func TestChartsAreWellFormed(t *testing.T) {
	charts, err := Charts(read(t, results()), rows.All())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{throughputChart, latencyChart, waitersChart} {
		if len(charts[name]) == 0 {
			t.Errorf("no %s", name)
		}
	}
	if len(charts) != 3 {
		t.Errorf("%d charts, want 3", len(charts))
	}
	for name, svg := range charts {
		if texts := svgTexts(t, name, string(svg)); !strings.Contains(texts, "nimue") {
			t.Errorf("%s does not name nimue", name)
		}
		if !strings.Contains(string(svg), "fill:#FFFFFF") {
			t.Errorf("%s has no ground of its own", name)
		}
	}
}

// svgTexts reads a document to its end and returns its texts.
func svgTexts(t *testing.T, name, svg string) string {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(svg))
	var texts strings.Builder
	root := ""
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if root == "" {
				root = token.Name.Local
			}
		case xml.CharData:
			texts.Write(token)
		}
	}
	if root != "svg" {
		t.Errorf("%s is %q", name, root)
	}
	return texts.String()
}
