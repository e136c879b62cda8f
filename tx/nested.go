package tx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
)

// level is a function under way in a transaction: that of the Run that began it, or
// of a nested one. Its context leads to it.
type level struct {
	t     *transaction
	outer *level // the level that the Run was called in, if any

	busy bool // with a nested Run
	done bool
}

type levelKey struct{}

// levelOf returns the innermost level with a transaction of db's that the context
// leads to, or nil.
func levelOf(ctx context.Context, db Beginner) *level {
	l, _ := ctx.Value(levelKey{}).(*level)
	for l != nil && !same(l.t.db, db) {
		l = l.outer
	}
	return l
}

// same compares what need not be comparable.
func same(a, b Beginner) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}

var (
	errEnded      = errors.New("tx: nested Run: the transaction that the context belongs to, or the nested Run, has ended")
	errConcurrent = errors.New("tx: nested Run: another one is under way at this level of the transaction; " +
		"nest one at a time, and with the context that the innermost function was given")
	errUnfinished = errors.New("tx: a nested Run is still under way in another goroutine, while the function has returned")
)

// nest calls fn between a savepoint and its release.
func (l *level) nest(ctx context.Context, s *settings, fn func(context.Context, *sql.Tx) error) (err error) {
	if err := s.fits(l.t.settings); err != nil {
		return err
	}
	savepoint, err := l.enter()
	if err != nil {
		return err
	}
	defer l.leave()
	t := l.t
	if _, err := t.tx.ExecContext(ctx, "SAVEPOINT "+savepoint); err != nil {
		return fmt.Errorf("tx: nested Run: %w", err)
	}
	kept := false
	defer func() {
		if !kept { // fn's error, a panic, runtime.Goexit
			t.undo(savepoint, err)
		}
	}()
	if err := (&level{t: t, outer: l}).call(ctx, fn); err != nil {
		return err
	}
	if cause := t.failure(); cause != nil {
		return &AbortedError{Cause: cause}
	}
	if _, err := t.tx.ExecContext(ctx, "RELEASE SAVEPOINT "+savepoint); err != nil {
		return &AbortedError{Cause: err}
	}
	kept = true
	return nil
}

// call calls fn as the level's. A nested Run that is still busy afterwards, in a
// goroutine of fn's, is an error.
func (l *level) call(ctx context.Context, fn func(context.Context, *sql.Tx) error) (err error) {
	defer func() { // after a panic, too
		if busy := l.finish(); busy && err == nil {
			err = errUnfinished
		}
	}()
	return fn(context.WithValue(ctx, levelKey{}, l), l.t.tx)
}

// undo rolls back to a savepoint, because of err or a panic. Where that cannot be
// done, the whole transaction must not be committed.
func (t *transaction) undo(savepoint string, err error) {
	// The nested context may have ended. If the transaction's has, so has that.
	_, failed := t.tx.ExecContext(t.ctx, "ROLLBACK TO SAVEPOINT "+savepoint)
	if failed == nil {
		_, failed = t.tx.ExecContext(t.ctx, "RELEASE SAVEPOINT "+savepoint)
	}
	if failed == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken == nil {
		t.broken = fmt.Errorf("a nested Run could not be rolled back: %w", errors.Join(err, failed))
	}
}

// enter makes the level busy and names a savepoint.
func (l *level) enter() (savepoint string, err error) {
	t := l.t
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case l.done:
		return "", errEnded
	case l.busy:
		return "", errConcurrent
	}
	l.busy = true
	t.savepoints++
	return fmt.Sprintf("nimue_%d", t.savepoints), nil
}

func (l *level) leave() {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	l.busy = false
}

// finish ends the level and tells whether a nested Run is still busy there.
func (l *level) finish() (busy bool) {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	l.done = true
	return l.busy
}
