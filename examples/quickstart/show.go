package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/nimue-go/nimue/pool"
)

const (
	sampleEvery  = 5 * time.Millisecond // the number of connections
	redrawEvery  = 100 * time.Millisecond
	newLineEvery = time.Second
	clearToEnd   = "\x1b[K"
)

// progress shows how far a run is: in place on a terminal, otherwise in a line
// now and then.
type progress struct {
	to      io.Writer
	inPlace bool
}

// watch shows the run's progress and notes the most connections that it sees,
// until the function that it returns is called.
func (p *progress) watch(r *result, l *load, t tally) (stop func()) {
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		every := newLineEvery
		if p.inPlace {
			every = redrawEvery
		}
		shown := time.Now()
		for {
			open := t.open()
			r.most = max(r.most, open)
			if time.Since(shown) >= every {
				shown = time.Now()
				p.show("%s: %d of %d orders, %d connections", r.name, l.placed.Load(), l.orders, open)
			}
			if pause(sampleEvery, done, nil) {
				break
			}
		}
		if p.inPlace {
			fmt.Fprint(p.to, "\r"+clearToEnd)
		}
	})
	return func() {
		close(done)
		watching.Wait()
	}
}

func (p *progress) show(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if p.inPlace {
		fmt.Fprint(p.to, "\r"+line+clearToEnd)
		return
	}
	fmt.Fprintln(p.to, line)
}

func showBooks(out io.Writer, b books) {
	w := newTable(out, tabwriter.AlignRight)
	fmt.Fprintln(out, "Read back from the database:")
	fmt.Fprintf(w, "\torders\t%d\t\n", b.orders)
	fmt.Fprintf(w, "\tdifferent order numbers\t%d\t\n", b.numbers)
	fmt.Fprintf(w, "\torder lines\t%d\t\n", b.lines)
	fmt.Fprintf(w, "\tsum of the orders\t%d\t\n", b.revenue)
	fmt.Fprintf(w, "\tquantity sold\t%d\t\n", b.sold)
	fmt.Fprintf(w, "\ttaken from stock\t%d\t\n", itemCount*startingStock-b.stock)
	w.Flush()
	fmt.Fprintln(out)
}

func showPool(out io.Writer, r *result) {
	s := r.stats
	average := time.Duration(0)
	if s.Waits > 0 {
		average = s.WaitTime / time.Duration(s.Waits)
	}
	fmt.Fprintln(out, "The pool:")
	w := newTable(out, 0)
	fmt.Fprintf(w, "  connects\t%d (%d failed), %d seen at a time, of %d allowed\n", s.Connects, s.ConnectErrors, r.most, s.MaxConns)
	fmt.Fprintf(w, "  acquires\t%d, of which %d waited, %v on average\n", s.Acquires, s.Waits, average.Round(time.Microsecond))
	fmt.Fprintf(w, "  retirements\t%s\n", retirements(s.Retired))
	fmt.Fprintf(w, "  statement cache\t%d hits, %d misses\n", s.StmtHits, s.StmtMisses)
	fmt.Fprintf(w, "  reports\t%d, from one held connection\n", r.reports)
	w.Flush()
	fmt.Fprintln(out)
}

func retirements(retired pool.Retirements) string {
	var parts []string
	for reason, n := range retired {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%v: %d", pool.Reason(reason), n))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// showTable shows the runs side by side, and beneath what went wrong in them.
func showTable(out io.Writer, results ...*result) {
	if len(results) > 1 {
		fmt.Fprintln(out, "The same work, one after the other, each on fresh tables (an order is written and read back):")
	}
	w := newTable(out, tabwriter.AlignRight)
	fmt.Fprintln(w, "\t\torders\tseconds\torders/s\topened\tat a time\tp50\tp99\terrors\t")
	for _, r := range results {
		rate := 0.0
		if r.elapsed > 0 {
			rate = float64(r.placed) / r.elapsed.Seconds()
		}
		fmt.Fprintf(w, "\t%s\t%d\t%.2f\t%.0f\t%d\t%d\t%v\t%v\t%d\t\n", r.name, r.placed, r.elapsed.Seconds(), rate,
			r.opened, r.most, percentile(r.latencies, 50), percentile(r.latencies, 99), r.failed)
	}
	w.Flush()
	for _, r := range results {
		if err := r.fault(); err != nil {
			fmt.Fprintf(out, "%s: %s\n", r.name, oneLine(err))
		}
	}
}

// percentile returns the value below which p per cent of the sorted ones are.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)].Round(10 * time.Microsecond)
}

func newTable(out io.Writer, flags uint) *tabwriter.Writer {
	return tabwriter.NewWriter(out, 0, 0, 2, ' ', flags)
}
