package main

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// mostFailures end a run: by then its errors are known.
	mostFailures = 1000
	// lateBy is how long what is under way at a run's end may still take.
	lateBy = 5 * time.Second
	// failurePause keeps workers from spinning where all fails at once.
	failurePause = time.Millisecond
)

// load is one run of all workers.
type load struct {
	db    *sql.DB
	query string

	done   atomic.Uint64
	failed atomic.Uint64
	once   sync.Once
	first  error // of the failures

	mu        sync.Mutex // guards latencies while workers end
	latencies histogram
	took      time.Duration
	cut       bool
}

func newLoad(db *sql.DB, query string) *load { return &load{db: db, query: query} }

// run has the workers work for some time. show is called now and then with how long
// it has lasted.
func (l *load) run(ctx context.Context, workers int, length time.Duration, show func(*load, time.Duration)) {
	ctx, stop := context.WithTimeout(ctx, length+lateBy)
	defer stop()
	began := time.Now()
	end := began.Add(length)
	var working sync.WaitGroup
	for range workers {
		working.Go(func() { l.work(ctx, stop, end) })
	}
	finished := make(chan struct{})
	go func() {
		working.Wait()
		close(finished)
	}()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			show(l, time.Since(began))
			continue
		case <-finished:
		}
		break
	}
	l.took = time.Since(began)
	l.cut = time.Now().Before(end)
}

// work is one worker. An operation that the end of the run cut off counts as
// neither done nor failed, unless it was late itself.
func (l *load) work(ctx context.Context, stop func(), end time.Time) {
	var mine histogram
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
		err := l.operation(ctx)
		then := time.Now()
		switch {
		case err == nil:
			mine.record(then.Sub(now))
			l.done.Add(1)
		case ctx.Err() == nil || context.Cause(ctx) == context.DeadlineExceeded:
			l.once.Do(func() { l.first = err })
			if l.failed.Add(1) >= mostFailures {
				stop()
			}
			time.Sleep(failurePause)
			then = time.Now()
		}
		now = then
	}
	l.mu.Lock()
	l.latencies.add(&mine)
	l.mu.Unlock()
}

// operation sends the query and reads its rows.
func (l *load) operation(ctx context.Context) error {
	rows, err := l.db.QueryContext(ctx, l.query)
	if err != nil {
		return err
	}
	for rows.Next() {
		continue
	}
	_ = rows.Close() // what is wrong with it, Err tells
	return rows.Err()
}
