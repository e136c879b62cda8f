package pool

import (
	"context"
	"sync"
	"time"
)

// lazyTimeout is a context that ends with its parent or after a time that counts
// from the first call of Done or Deadline. Whoever never asks costs no timer, which
// matters where it is made for every acquire.
type lazyTimeout struct {
	context.Context // the parent
	after           time.Duration

	mu     sync.Mutex // guards what is below; a leaf lock
	real   context.Context
	cancel context.CancelFunc
}

func (l *lazyTimeout) timed() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.real == nil {
		l.real, l.cancel = context.WithTimeout(l.Context, l.after)
	}
	return l.real
}

// Done, Err and Deadline are the timed context's.
func (l *lazyTimeout) Done() <-chan struct{}       { return l.timed().Done() }
func (l *lazyTimeout) Deadline() (time.Time, bool) { return l.timed().Deadline() }
func (l *lazyTimeout) Err() error {
	l.mu.Lock()
	real := l.real
	l.mu.Unlock()
	if real == nil {
		return l.Context.Err()
	}
	return real.Err()
}

// stop frees the timer, if there is one, and tells whether the context may serve
// again: nobody has asked for its end, so no other context hangs on it.
func (l *lazyTimeout) stop() (again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.real == nil {
		return true
	}
	l.cancel()
	return false
}
