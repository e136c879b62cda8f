package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nimue-go/nimue/status"
)

// progress is the line that tells how far a run is, on a terminal.
type progress struct {
	c      *console
	name   string
	opened *opened
	shown  bool
	live   bool
}

func newProgress(c *console, name string, o *opened) *progress {
	_, _, live := c.size(c.messages)
	return &progress{c: c, name: name, opened: o, live: live}
}

func (p *progress) warming(*load, time.Duration) { p.show("%s: warming up", p.name) }

func (p *progress) running(l *load, lasted time.Duration) {
	done := l.done.Load()
	line := fmt.Sprintf("%s: %.1fs, %s operations, %s/s, %d connections", p.name, lasted.Seconds(),
		grouped(done), grouped(uint64(float64(done)/lasted.Seconds())), p.opened.now())
	if n := l.failed.Load(); n > 0 {
		line += fmt.Sprintf(", %d errors", n)
	}
	p.show("%s", line)
}

func (p *progress) show(format string, args ...any) {
	if !p.live {
		return
	}
	width, _, _ := p.c.size(p.c.messages)
	p.shown = true
	fmt.Fprint(p.c.messages, "\r"+clip(fmt.Sprintf(format, args...), width-1)+"\x1b[K")
}

func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.c.messages, "\r\x1b[K")
	}
}

// showRuns prints the table, the histograms and what went wrong.
func showRuns(c *console, runs []benchRun) {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\t\top/s\tp50\tp90\tp99\tmax\terrors\topened\t")
	for _, r := range runs {
		fmt.Fprintf(w, "\t%s\t%s\t", r.Name, grouped(uint64(r.PerSecond+0.5)))
		for _, latency := range []status.Seconds{r.Latency.P50, r.Latency.P90, r.Latency.P99, r.Latency.Max} {
			text := "–" // no operation succeeded
			if r.Operations > 0 {
				text = threeDigits(latency.Duration())
			}
			fmt.Fprintf(w, "%s\t", text)
		}
		fmt.Fprintf(w, "%s\t%d\t\n", grouped(r.Errors), r.Opened)
	}
	_ = w.Flush()
	showHistograms(c, runs)
	s := c.style(c.out)
	for _, r := range runs {
		cut := ""
		if r.Cut {
			cut = fmt.Sprintf(" was cut short after %s", threeDigits(r.Took.Duration()))
		}
		switch {
		case r.Errors > 0:
			fmt.Fprintln(c.out)
			c.indented("", fmt.Sprintf("%s%s: %s errors, the first: %s", s.red(r.Name), cut, grouped(r.Errors), printable(r.FirstError)), 0)
		case r.Cut:
			fmt.Fprintf(c.out, "\n%s%s.\n", r.Name, cut)
		}
	}
}

// steps are the bounds of the histograms' rows: 1, 2 and 5 of each power of ten.
func steps() []time.Duration {
	var list []time.Duration
	for unit := time.Microsecond; unit <= time.Minute; unit *= 10 {
		list = append(list, unit, 2*unit, 5*unit)
	}
	return list
}

// barWidth is the longest bar of a histogram.
const barWidth = 16

// showHistograms draws the runs' latencies side by side, in rows of equal width on a
// logarithmic scale.
func showHistograms(c *console, runs []benchRun) {
	bounds := steps()
	counts := make([][]uint64, len(runs))
	first, last := len(bounds), -1
	for i, r := range runs {
		counts[i] = make([]uint64, len(bounds)+1)
		for below, n := range r.latencies.all() {
			row := rowOf(bounds, below)
			counts[i][row] += n
			first, last = min(first, row), max(last, row)
		}
	}
	if last < 0 {
		return
	}
	header := fmt.Sprintf("  %8s", "latency")
	for _, r := range runs {
		header += fmt.Sprintf("  %-*s", barWidth+7, clip(strings.TrimPrefix(r.Name, "database/sql, "), barWidth+7))
	}
	fmt.Fprintf(c.out, "\n%s\n", strings.TrimRight(header, " "))
	for row := first; row <= last; row++ {
		line := fmt.Sprintf("  %8s", "more")
		if row < len(bounds) {
			line = fmt.Sprintf("  ≤ %6s", bounds[row])
		}
		for i, r := range runs {
			line += "  " + histogramCell(counts[i][row], most(counts[i]), r.latencies.count)
		}
		fmt.Fprintln(c.out, strings.TrimRight(line, " "))
	}
}

func rowOf(bounds []time.Duration, below time.Duration) int {
	for row, bound := range bounds {
		if below <= bound {
			return row
		}
	}
	return len(bounds)
}

func most(counts []uint64) uint64 {
	var n uint64
	for _, c := range counts {
		n = max(n, c)
	}
	return n
}

// histogramCell is a bar and a percentage.
func histogramCell(n, most, all uint64) string {
	if n == 0 {
		return strings.Repeat(" ", barWidth+7)
	}
	percent := strconv.FormatFloat(100*float64(n)/float64(all), 'f', 1, 64) + "%"
	if percent == "0.0%" {
		percent = "<0.1%"
	}
	return bar(float64(n)/float64(most), barWidth) + " " + fmt.Sprintf("%6s", percent)
}

// bar fills a part of a width, in eighths of a character. What is there at all shows.
func bar(part float64, width int) string {
	eighths := max(int(part*float64(width)*8+0.5), 1)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text + strings.Repeat(" ", width-len([]rune(text)))
}

// grouped writes a number with a comma at every third digit.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
