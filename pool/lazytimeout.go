package pool

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// lazyTimeout is a context that ends with its parent or after a time that counts
// from the first call of Done or Deadline. Whoever never asks costs no timer, which
// matters where it is made for every acquire.
type lazyTimeout struct {
	context.Context // the parent
	after           func() time.Duration

	mu   sync.Mutex // one goroutine at a time sets real; a leaf lock
	real atomic.Pointer[realTimeout]
}

type realTimeout struct {
	context.Context
	cancel context.CancelFunc
}

func (l *lazyTimeout) timed() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	real := l.real.Load()
	if real == nil {
		ctx, cancel := context.WithTimeout(l.Context, l.after())
		real = &realTimeout{ctx, cancel}
		l.real.Store(real)
	}
	return real
}

// Done, Err and Deadline are the timed context's.
func (l *lazyTimeout) Done() <-chan struct{}       { return l.timed().Done() }
func (l *lazyTimeout) Deadline() (time.Time, bool) { return l.timed().Deadline() }
func (l *lazyTimeout) Err() error {
	if real := l.real.Load(); real != nil {
		return real.Err()
	}
	return l.Context.Err()
}

// stop frees the timer, if there is one, and tells whether the context may serve
// again: nobody has asked for its end, so no other context hangs on it.
func (l *lazyTimeout) stop() (again bool) {
	real := l.real.Load()
	if real == nil {
		return true
	}
	real.cancel()
	return false
}
