package tx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nimue-go/nimue/internal/txguard"
)

// Beginner is where transactions are begun: a *sql.DB or a *sql.Conn.
type Beginner interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// Run calls fn with a transaction of db's. If fn returns nil, it commits;
// otherwise, and if fn panics or ends its goroutine, it rolls back. A panic goes on.
//
// If the attempt failed because other transactions were in the way (see [ClassOf]),
// Run begins a new transaction and calls fn again, so fn must have no effects
// outside of the database that it may not have twice. An ambiguous commit is never
// repeated.
//
// fn must neither commit nor roll back itself, nor use the transaction after it has
// returned. It passes its context on: to statements, and to a nested Run. The end of
// ctx rolls the transaction back and ends the waits between attempts.
//
// Errors: fn's own is returned as it is, unless it was to be retried and could not,
// which is a [*RetryError]. A COMMIT that failed is a [*CommitError], and a function
// that returned nil after a failure gets an [*AbortedError].
//
// Run may be called from any goroutine, and on a *sql.Conn from one at a time.
func Run(ctx context.Context, db Beginner, fn func(ctx context.Context, tx *sql.Tx) error, opts ...Option) error {
	s, err := newSettings(opts)
	if err != nil {
		return err
	}
	if outer := levelOf(ctx, db); outer != nil {
		return outer.nest(ctx, &s, fn)
	}
	for attempt := 1; ; attempt++ {
		err := runOnce(ctx, db, &s, fn)
		if err == nil || !s.retryable(err) {
			return err
		}
		if attempt > s.retries {
			if attempt == 1 {
				return err // nobody asked for retries
			}
			return &RetryError{Attempts: attempt, Err: err}
		}
		if s.onRetry != nil {
			s.onRetry(attempt, err)
		}
		if ended := wait(ctx, s.delay(attempt)); ended != nil {
			return &RetryError{Attempts: attempt, Err: err, Ended: ended}
		}
	}
}

// Value is [Run] for a function that returns a value, which is that of the attempt
// that was committed. With an error, the value is T's zero.
func Value[T any](ctx context.Context, db Beginner, fn func(ctx context.Context, tx *sql.Tx) (T, error), opts ...Option) (T, error) {
	var value T
	err := Run(ctx, db, func(ctx context.Context, tx *sql.Tx) (err error) {
		value, err = fn(ctx, tx)
		return err
	}, opts...)
	if err != nil {
		value = *new(T)
	}
	return value, err
}

// retryable tells whether another attempt may succeed. What has been retried by a
// Run on another database, and may have been committed there, is not.
func (s *settings) retryable(err error) bool {
	if errors.Is(err, ErrAmbiguousCommit) {
		return false
	}
	if _, again := errors.AsType[*RetryError](err); again {
		return false
	}
	class := Unknown
	if s.classify != nil {
		class = s.classify(err)
	}
	if class == Unknown {
		class = ClassOf(err)
	}
	return class == Conflict || class == Integrity && s.integrity
}

// delay draws the wait after an attempt, counted from 1.
func (s *settings) delay(attempt int) time.Duration {
	limit := s.backoff
	for range attempt - 1 {
		if limit >= s.maxBackoff/2 {
			limit = s.maxBackoff
			break
		}
		limit *= 2
	}
	if limit <= 0 {
		return 0
	}
	return rand.N(limit) + 1
}

// wait sleeps, or returns the error of the context that ends first.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// runOnce is one attempt.
func runOnce(ctx context.Context, db Beginner, s *settings, fn func(context.Context, *sql.Tx) error) (err error) {
	guard := txguard.New(func(cause error) error { return &AbortedError{Cause: cause, statement: true} })
	tx, err := db.BeginTx(txguard.With(ctx, guard), s.txOptions())
	if err != nil {
		return fmt.Errorf("tx: begin: %w", err)
	}
	t := &transaction{db: db, tx: tx, ctx: ctx, guard: guard, settings: s}
	defer t.guard.End()
	committing := false
	defer func() {
		if !committing { // fn's error, a panic, runtime.Goexit
			t.rollback()
		}
	}()
	if err := t.mark(); err != nil {
		return err
	}
	outer, _ := ctx.Value(levelKey{}).(*level) // of another database
	if err := (&level{t: t, outer: outer}).call(ctx, fn); err != nil {
		return err
	}
	if err := t.ready(); err != nil {
		return err
	}
	committing = true
	if err := commitError(ctx, tx.Commit()); err != nil {
		return err
	}
	// Commit closes rows that fn has left open, and that may end with an error: of one
	// row, or a deadlock that has undone everything.
	if cause := guard.Cause(); cause != nil {
		return &CommitError{Err: cause, Ambiguous: true}
	}
	return nil
}
