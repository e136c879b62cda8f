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

// noticesPerInterval is how many of the server's notices are logged in as long: a
// statement may send a few, and a loop a million.
const noticesPerInterval = 20

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
	began   time.Time // of the interval
	logged  int       // in it
	skipped int       // since the last that was logged
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

// told logs the events that nothing else logs.
func (l *logger) told(e Event) {
	level, args := slog.LevelInfo, []any(nil)
	switch e.Kind {
	case EventLeakFound, EventLeakReclaimed:
		level, args = slog.LevelWarn, []any{"connection", e.Conn, "held", e.Took, "statement", e.Statement, "stack", e.Stack}
	case EventLeakReturned:
		args = []any{"connection", e.Conn, "held", e.Took}
	case EventRowsCollected:
		level, args = slog.LevelWarn, []any{"connection", e.Conn, "statement", e.Statement}
	case EventOutageBegan:
		level = slog.LevelWarn
	case EventOutageEnded:
		args = []any{"after", e.Took}
	case EventDemoted:
		level = slog.LevelWarn
	case EventDrained:
		args = []any{"renewed", e.Count}
	case EventDied:
		level, args = slog.LevelDebug, []any{"connection", e.Conn, "error", e.Err}
	case EventNotice:
		if l.enabled(e.level) && l.due(e.Kind.String(), noticesPerInterval, &args) {
			l.event(e.level, "server notice", append([]any{"connection", e.Conn, "notice", e.Err, "statement", e.Statement}, args...)...)
		}
		return
	case EventSuspended, EventResumed:
	default:
		return
	}
	if level == slog.LevelWarn {
		l.failure(level, e.Kind.String(), args...)
		return
	}
	l.event(level, e.Kind.String(), args...)
}

// statement logs a statement with its literals masked. Arguments are never logged.
func (l *logger) statement(conn uint64, text string) {
	if l.enabled(slog.LevelDebug) {
		l.event(slog.LevelDebug, "statement", "connection", conn, "sql", MaskSQL(text))
	}
}

func (l *logger) event(level slog.Level, msg string, args ...any) {
	if l == nil {
		return
	}
	defer func() { _ = recover() }() // a handler's panic is its own affair
	l.to.Log(context.Background(), level, msg, append([]any{"pool", l.name}, args...)...)
}

// failure logs what went wrong, each kind at most once per logEvery.
func (l *logger) failure(level slog.Level, msg string, args ...any) {
	if l == nil || !l.due(msg, 1, &args) {
		return
	}
	for i, arg := range args {
		if err, ok := arg.(error); ok && l.redact != nil {
			args[i] = l.redact(err)
		}
	}
	l.event(level, msg, args...)
}

// due tells whether a message may be logged of which there are to be at most so
// many in logEvery. It adds to args how many were left out since the last one.
func (l *logger) due(msg string, most int, args *[]any) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.kind[msg]
	if r == nil {
		r = &rate{}
		l.kind[msg] = r
	}
	if now := time.Now(); now.Sub(r.began) >= logEvery {
		r.began, r.logged = now, 0
	}
	if r.logged >= most {
		r.skipped++
		return false
	}
	r.logged++
	if r.skipped > 0 {
		*args = append(*args, "unreported", r.skipped)
		r.skipped = 0
	}
	return true
}
