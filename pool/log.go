package pool

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// logEvery is how often one kind of failure is logged; what came between is
// counted and told with the next. An outage must not fill the disk.
const logEvery = time.Second

// logger tells a slog.Logger what the pool does, its name first. A nil *logger
// is silent. It is never called under Pool.mu.
type logger struct {
	to     *slog.Logger
	name   string
	redact func(error) error // or nil

	mu   sync.Mutex // guards kind; a leaf lock
	kind map[string]*rate
}

type rate struct {
	last    time.Time
	skipped int
}

func newLogger(name string, to *slog.Logger, redact func(error) error) *logger {
	if to == nil {
		return nil
	}
	return &logger{to: to, name: name, redact: redact, kind: make(map[string]*rate)}
}

func (l *logger) connectFailed(err error) {
	l.failure(slog.LevelError, "connect failed", "error", err)
}

func (l *logger) closeFailed(err error) {
	l.failure(slog.LevelWarn, "close failed", "error", err)
}

// refused tells that a caller got no connection, if that says something of the
// pool and not only of the caller.
func (l *logger) refused(err error) {
	switch {
	case l == nil:
	case errors.Is(err, ErrAcquireTimeout):
		l.failure(slog.LevelWarn, "acquire timeout", "error", err)
	case errors.Is(err, ErrExhausted):
		l.failure(slog.LevelWarn, "exhausted", "error", err)
	}
}

func (l *logger) resetFailed(what string, err error) {
	l.failure(slog.LevelWarn, "reset failed", "step", what, "error", err)
}

func (l *logger) examined(reason Reason, err error) {
	l.failure(slog.LevelWarn, "connection "+reason.String(), "error", err)
}

func (l *logger) connected() { l.event(slog.LevelDebug, "connected") }

func (l *logger) retired(reason Reason) {
	l.event(slog.LevelDebug, "retired", "reason", reason.String())
}

func (l *logger) opened() { l.event(slog.LevelInfo, "opened") }
func (l *logger) closed() { l.event(slog.LevelInfo, "closed") }

func (l *logger) event(level slog.Level, msg string, args ...any) {
	if l == nil {
		return
	}
	l.to.Log(context.Background(), level, msg, append([]any{"pool", l.name}, args...)...)
}

// failure logs what went wrong, each kind at most once per logEvery.
func (l *logger) failure(level slog.Level, msg string, args ...any) {
	if l == nil {
		return
	}
	l.mu.Lock()
	r := l.kind[msg]
	if r == nil {
		r = &rate{}
		l.kind[msg] = r
	}
	now := time.Now()
	if now.Sub(r.last) < logEvery {
		r.skipped++
		l.mu.Unlock()
		return
	}
	skipped := r.skipped
	r.last, r.skipped = now, 0
	l.mu.Unlock()
	for i, arg := range args {
		if err, ok := arg.(error); ok && l.redact != nil {
			args[i] = l.redact(err)
		}
	}
	if skipped > 0 {
		args = append(args, "unreported", skipped)
	}
	l.event(level, msg, args...)
}
