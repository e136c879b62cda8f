package rows

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat"
)

// inParallel shares b.N operations out among a number of goroutines. It is for
// operations so short that a count in common, or a look at the clock, would be
// most of what is measured.
func inParallel(b *testing.B, workers int, op func(context.Context) error) {
	b.Helper()
	ctx := b.Context()
	if err := op(ctx); err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for w := range workers {
		n := b.N / workers
		if w < b.N%workers {
			n++
		}
		wg.Go(func() {
			<-begin
			for range n {
				if err := op(ctx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	close(begin)
	wg.Wait()
}

// load is a number of workers that do one operation after the other.
//
// They work before the measurement begins, until each has done at least one
// operation or warmUp has passed (a pool may leave some callers waiting for very
// long), and go on without a pause into it. Of the measured operations each
// worker takes the next, so that all are busy until the last one has begun: with
// fixed shares a pool that is unfair would have less and less to do.
type load struct {
	workers int
	think   time.Duration // after each operation
	op      func(ctx context.Context, n int) error
	lenient bool // errors are counted, and do not end the benchmark
	endless bool // the context cannot be cancelled, as that of db.QueryRow
}

const warmUp = time.Second

// worker is what one of them has seen of the measured operations.
type worker struct {
	took   []time.Duration // of those that succeeded
	errors int
}

// running is a load under way.
type running struct {
	load
	b         *testing.B
	warm      sync.WaitGroup
	measuring atomic.Bool
	taken     atomic.Int64 // of the b.N operations
	stop      atomic.Bool  // because of an error
}

// run does b.N operations and reports how many succeeded per second, how long they
// took, and how many failed.
func (l load) run(b *testing.B) {
	b.Helper()
	r := &running{load: l, b: b}
	r.warm.Add(l.workers)
	seen := make([]worker, l.workers)
	var wg sync.WaitGroup
	for w := range l.workers {
		wg.Go(func() { r.work(&seen[w], w) })
	}
	r.warmUp()
	b.ReportAllocs()
	b.ResetTimer()
	r.measuring.Store(true)
	wg.Wait()
	b.StopTimer()
	if !b.Failed() {
		report(b, seen)
	}
}

// warmUp returns when the measurement may begin.
func (r *running) warmUp() {
	all := make(chan struct{})
	go func() {
		r.warm.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(warmUp):
	}
}

func (r *running) work(seen *worker, number int) {
	ctx := r.b.Context()
	if r.endless {
		ctx = context.Background()
	}
	first := true
	for n := number; !r.stop.Load(); n += r.workers {
		counts := !first && r.measuring.Load()
		if counts && r.taken.Add(1) > int64(r.b.N) {
			return
		}
		began := time.Now()
		err := r.op(ctx, n)
		took := time.Since(began)
		if err != nil && !r.lenient {
			r.b.Error(err)
			r.stop.Store(true)
		}
		switch {
		case !counts:
		case err != nil:
			seen.errors++
		default:
			seen.took = append(seen.took, took)
		}
		if first {
			first = false
			r.warm.Done()
		}
		if r.think > 0 {
			time.Sleep(r.think)
		}
	}
	if first {
		r.warm.Done()
	}
}

// report sums the workers up. Quantiles are those of all operations together.
func report(b *testing.B, seen []worker) {
	var took []float64
	failed := 0
	for _, w := range seen {
		failed += w.errors
		for _, d := range w.took {
			took = append(took, milliseconds(d))
		}
	}
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "op/s")
	b.ReportMetric(float64(failed)/float64(b.N), "errors/op")
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	quantile := func(p float64) float64 { return stat.Quantile(p, stat.Empirical, took, nil) }
	b.ReportMetric(quantile(0.5), "p50-ms")
	b.ReportMetric(quantile(0.9), "p90-ms")
	b.ReportMetric(quantile(0.99), "p99-ms")
	b.ReportMetric(quantile(0.999), "p99.9-ms")
	b.ReportMetric(took[len(took)-1], "max-ms")
	b.ReportMetric(quantile(0.99)/quantile(0.5), "p99/p50")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
