package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// mostFailures is how many failed orders end a run: by then its errors are known.
const mostFailures = 1000

// load is one run of all the workers over one shop.
type load struct {
	shop   *shop
	orders int
	ctx    context.Context
	stop   context.CancelFunc // ends the run before its last order

	next   atomic.Int64 // the last order number that a worker took
	placed atomic.Int64
	failed atomic.Int64
	once   sync.Once
	first  error // of the failures
}

// outcome is what a run came to.
type outcome struct {
	placed    int
	failed    int
	first     error // of the failures
	elapsed   time.Duration
	latencies []time.Duration // of the orders placed, sorted
	reports   int
	reportErr error
}

// drive has the workers place and confirm the orders, while a reporter holds one
// connection. A failed order is counted and not repeated.
func (l *load) drive(workers int) (out outcome, err error) {
	conn, err := l.shop.db.Conn(l.ctx)
	if err != nil {
		return out, fmt.Errorf("a connection for the reports: %w", err)
	}
	defer conn.Close()
	done := make(chan struct{})
	var reporter, working sync.WaitGroup
	reporter.Go(func() { out.reports, out.reportErr = l.shop.report(l.ctx, conn, done) })

	perWorker := make([][]time.Duration, workers)
	start := time.Now()
	for i := range workers {
		working.Go(func() { perWorker[i] = l.work(i) })
	}
	working.Wait()
	out.elapsed = time.Since(start)
	close(done)
	reporter.Wait()

	if l.ctx.Err() != nil {
		out.reportErr = nil // cut short like the rest
	}
	out.placed, out.failed, out.first = int(l.placed.Load()), int(l.failed.Load()), l.first
	out.latencies = slices.Concat(perWorker...)
	slices.Sort(out.latencies)
	return out, nil
}

// work is one worker: it takes the next order until there is none. It returns
// how long each order took, from the beginning of its transaction to the end of
// reading it back.
func (l *load) work(worker int) (latencies []time.Duration) {
	for l.ctx.Err() == nil {
		no := int(l.next.Add(1))
		if no > l.orders {
			break
		}
		o := makeOrder(no)
		start := time.Now()
		err := l.shop.place(l.ctx, worker, o)
		if err == nil {
			err = l.shop.confirm(l.ctx, worker, o)
		}
		switch {
		case err == nil:
			latencies = append(latencies, time.Since(start))
			l.placed.Add(1)
		case l.ctx.Err() == nil: // otherwise the run's end is all that was wrong
			l.fail(err)
		}
	}
	return latencies
}

func (l *load) fail(err error) {
	l.once.Do(func() { l.first = err })
	if l.failed.Add(1) >= mostFailures {
		l.stop()
	}
}

// result is an outcome with what was seen of its connections.
type result struct {
	name string
	outcome
	planned int
	opened  int64 // connections
	most    int   // connections seen at a time
	booked  books
	audited bool        // booked has been read
	stats   *pool.Stats // nil without a pool
}

// fault says what is wrong with a result, or nil. Only a run without a failed
// order can be compared with what it should have come to: a COMMIT that failed
// may have been one or not.
func (r *result) fault() error {
	var errs []error
	if r.failed > 0 {
		errs = append(errs, fmt.Errorf("%d orders failed, the first: %w", r.failed, r.first))
	} else if r.placed < r.planned {
		errs = append(errs, fmt.Errorf("stopped after %d of %d orders", r.placed, r.planned))
	} else if r.audited {
		errs = append(errs, r.booked.complete(r.planned))
	}
	if r.audited {
		errs = append(errs, r.booked.balance())
	}
	return errors.Join(append(errs, r.reportErr)...)
}

// compete does the whole work once, in one way, on fresh tables. limit ends it
// early; nil means none.
func compete(ctx context.Context, w way, dsn string, opts options, prog *progress, limit *time.Duration) (_ *result, err error) {
	db, tally, err := w.open(dsn)
	if err != nil {
		return nil, usageError{err}
	}
	defer func() { err = errors.Join(err, tally.close()) }()
	if err := ping(ctx, db); err != nil {
		return nil, err
	}
	s, err := openShop(ctx, db)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.drop(ctx)) }()

	r := &result{name: w.name, planned: opts.orders}
	l := &load{shop: s, orders: opts.orders}
	l.ctx, l.stop = context.WithCancel(ctx)
	if limit != nil {
		l.ctx, l.stop = context.WithTimeout(ctx, *limit)
	}
	defer l.stop()
	stopWatching := prog.watch(r, l, tally)
	r.outcome, err = l.drive(opts.workers)
	stopWatching()
	if err != nil {
		return nil, err
	}
	r.opened = tally.opened()
	if tally.stats != nil {
		r.stats = tally.stats() // now: closing the database would add to them
	}
	r.booked, err = s.readBooks(ctx, db)
	r.audited = err == nil
	return r, err
}

// reachPatience is how long an unreachable server is waited for.
const reachPatience = 10 * time.Second

func ping(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	return db.PingContext(ctx)
}
