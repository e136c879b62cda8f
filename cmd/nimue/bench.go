package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/status"
)

// defaultQuery asks for nothing: what is measured is the way to the server and back.
const defaultQuery = "SELECT 1"

var benchCommand = &command{
	name:    "bench",
	operand: "DSN",
	brief:   "a short load through nimue, and beside it through database/sql",
	about: `
Has some workers send one query over and over, for a short time: first through nimue,
then through database/sql alone with the same driver, once with as many connections
(SetMaxOpenConns and SetMaxIdleConns at pool_max_conns) and once with its default
settings, which know no limit and keep two idle connections. A table shows operations
per second, latencies, errors and the connections that were opened; a histogram
beneath, how the latencies are spread. Each way is warmed up for a tenth of its time.

The query is "SELECT 1" unless -query names another one, which should change nothing.
Its rows are read to the end. With no more workers than connections nobody ever
waits: a pool shows what it is worth with -c above pool_max_conns.

It is a load: at most -c connections (pool_max_conns with nimue) at a time, but with
the default settings of database/sql new ones all the time.

The JSON document has the fields dsn, driver, adapter, workers, duration_seconds and
runs: a list of name, operations, operations_per_second, errors, first_error,
connections_opened, latency_seconds (mean, p50, p90, p99, max), histogram (a list of
below_seconds and count), took_seconds and, where it ended early, cut_short; and error
and problems where there are some.

Exit code 1: the DSN has a mistake, or an operation failed.
`,
	prepare: func(f *flags) action {
		length := f.duration("d", 5*time.Second, 10*time.Millisecond, time.Hour, "`time` that each way gets")
		workers := f.number("c", 16, 1, 10_000, "`number` of workers")
		query := f.text("query", "`SQL` to send (default "+defaultQuery+")")
		compare := f.toggle("compare", true, "run database/sql too")
		asJSON := f.toggle("json", false, "print a JSON document")
		return func(ctx context.Context, c *console, dsn string) error {
			return bench(ctx, c, dsn, benchOptions{*length, *workers, cmp.Or(*query, defaultQuery), *compare, *asJSON})
		}
	},
}

type benchOptions struct {
	length  time.Duration
	workers int
	query   string
	compare bool
	json    bool
}

// benchDocument is what bench -json prints.
type benchDocument struct {
	subject
	Workers int            `json:"workers,omitempty"`
	Length  status.Seconds `json:"duration_seconds,omitempty"`
	Runs    []benchRun     `json:"runs"`
}

// benchRun is one way to the database and how it did.
type benchRun struct {
	Name       string         `json:"name"`
	Operations uint64         `json:"operations"`
	PerSecond  float64        `json:"operations_per_second"`
	Errors     uint64         `json:"errors"`
	FirstError string         `json:"first_error,omitempty"`
	Opened     int64          `json:"connections_opened"`
	Latency    benchLatency   `json:"latency_seconds"`
	Histogram  []benchBucket  `json:"histogram"`
	Took       status.Seconds `json:"took_seconds"`
	Cut        bool           `json:"cut_short,omitempty"` // by errors or an interruption

	latencies *histogram
}

type benchLatency struct {
	Mean status.Seconds `json:"mean"`
	P50  status.Seconds `json:"p50"`
	P90  status.Seconds `json:"p90"`
	P99  status.Seconds `json:"p99"`
	Max  status.Seconds `json:"max"`
}

type benchBucket struct {
	Below status.Seconds `json:"below_seconds"`
	Count uint64         `json:"count"`
}

// bench runs the contenders one after the other.
func bench(ctx context.Context, c *console, dsn string, o benchOptions) error {
	d := benchDocument{Workers: o.workers, Length: status.Seconds(o.length), Runs: []benchRun{}}
	e, err := nimue.Explain(dsn)
	if err != nil {
		d.subject = subjectOf(nil, err)
		return c.failed(o.json, d, err)
	}
	if !o.json {
		fmt.Fprintf(c.out, "%s\n", c.style(c.out).bold(e.DSN.Redacted()))
		fmt.Fprintf(c.out, "%d workers, %v each, pool_max_conns=%d, %s\n\n", o.workers, o.length, e.Config.MaxConns, queryShown(o.query))
	}
	d.Runs, err = compete(ctx, c, e, o)
	d.subject = subjectOf(e, err)
	if o.json {
		err = errors.Join(c.printJSON(d), silent(err))
	} else if len(d.Runs) > 0 {
		showRuns(c, d.Runs)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, r := range d.Runs {
		if err == nil && r.Errors > 0 {
			err = errBad
		}
	}
	return err
}

// silent is an error that was told already.
func silent(err error) error {
	if err == nil {
		return nil
	}
	return errBad
}

// queryShown does not show a query of the user's, which may have anything in it.
func queryShown(query string) string {
	if query == defaultQuery {
		return query
	}
	return "the query given"
}

// compete returns the runs as far as they came.
func compete(ctx context.Context, c *console, e *nimue.Explanation, o benchOptions) ([]benchRun, error) {
	if err := reach(ctx, e, o.query); err != nil {
		return []benchRun{}, err
	}
	ways := []way{throughNimue(e)}
	if o.compare {
		ways = append(ways, plainTuned(e), plainDefault(e))
	}
	runs := []benchRun{}
	for _, w := range ways {
		r, err := contend(ctx, c, w, o)
		if err != nil {
			return runs, err
		}
		if r != nil {
			runs = append(runs, *r)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return runs, nil
}

// contend opens the database in one way, warms it up, and measures.
func contend(ctx context.Context, c *console, w way, o benchOptions) (*benchRun, error) {
	opened, err := w.open()
	if err != nil {
		return nil, err
	}
	defer opened.close()
	prog := newProgress(c, w.name, opened)
	defer prog.end()
	warm := newLoad(opened.db, o.query)
	if warm.run(ctx, o.workers, min(o.length/10, time.Second), prog.warming); ctx.Err() != nil {
		return nil, nil // nothing was measured
	}
	l := newLoad(opened.db, o.query)
	l.run(ctx, o.workers, o.length, prog.running)
	return newBenchRun(w, opened, l), nil
}

// reachWithin is how long the first connection and the first query may take.
const reachWithin = 10 * time.Second

// reach tells a database that cannot be reached, and a query that is wrong, from what
// fails under load.
func reach(ctx context.Context, e *nimue.Explanation, query string) error {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	one, err := openOne(e, reachWithin)
	if err != nil {
		return err
	}
	defer one.close()
	if err := one.db.PingContext(ctx); err != nil {
		return err
	}
	if err := newLoad(one.db, query).operation(ctx); err != nil {
		return fmt.Errorf("the query fails: %w", err)
	}
	return nil
}

func newBenchRun(w way, opened *opened, l *load) *benchRun {
	h := &l.latencies
	r := &benchRun{
		Name: w.name, Operations: h.count, Errors: l.failed.Load(), Opened: opened.count(), Took: status.Seconds(l.took),
		Cut: l.cut, latencies: h, Histogram: []benchBucket{},
		Latency: benchLatency{status.Seconds(h.mean()), status.Seconds(h.quantile(0.5)), status.Seconds(h.quantile(0.9)),
			status.Seconds(h.quantile(0.99)), status.Seconds(h.most)},
	}
	if l.took > 0 {
		r.PerSecond = float64(h.count) / l.took.Seconds()
	}
	if l.first != nil {
		r.FirstError = w.redact(l.first).Error()
	}
	for below, n := range h.all() {
		r.Histogram = append(r.Histogram, benchBucket{status.Seconds(below), n})
	}
	return r
}
