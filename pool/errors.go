package pool

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// The errors an acquire can end with, for errors.Is. An *AcquireError says more.
var (
	// ErrExhausted: every connection is in use and no more callers may wait.
	ErrExhausted = errors.New("nimue: pool exhausted")
	// ErrAcquireTimeout: no connection became free in time.
	ErrAcquireTimeout = errors.New("nimue: acquire timeout")
	// ErrClosed: the pool is closed.
	ErrClosed = errors.New("nimue: pool closed")
	// ErrUnavailable: the database has been out of reach for longer than
	// Config.OutageGrace.
	ErrUnavailable = errors.New("nimue: database unavailable")
)

// AcquireError says why a caller got no connection, with the pool's state at
// that moment. It unwraps to one of the sentinels (unless the caller cancelled),
// to the error of the caller's context if that is what ended the wait, and to
// the last connect error if the pool has connected nothing since, but for a
// driver.ErrBadConn, which would make database/sql wait all over again.
type AcquireError struct {
	Pool    string
	Kind    error         // ErrExhausted, ErrAcquireTimeout, ErrClosed, ErrUnavailable, ErrSuspended, or nil: cancelled
	Waited  time.Duration // how long the caller waited
	InUse   int
	Idle    int
	Waiting int           // callers still in the queue
	Outage  time.Duration // with ErrUnavailable: since when no connect has succeeded
	Context error         // the caller's context error, or nil
	Connect error         // the last connect error, or nil

	Suspended bool // the pool was suspended
}

// Error says it all on one line.
func (e *AcquireError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "nimue: %s: ", e.Pool)
	counts := fmt.Sprintf("(%d in use, %d idle, %d waiting)", e.InUse, e.Idle, e.Waiting)
	switch e.Kind {
	case ErrClosed:
		b.WriteString("pool closed")
	case ErrSuspended:
		b.WriteString("pool suspended, and callers are refused")
	case ErrExhausted:
		fmt.Fprintf(&b, "pool exhausted: no connection free and no more callers may wait %s", counts)
	case ErrUnavailable:
		fmt.Fprintf(&b, "database unavailable for %v %s", roundWait(e.Outage), counts)
	default:
		fmt.Fprintf(&b, "no connection after %v %s", roundWait(e.Waited), counts)
		if e.Suspended {
			b.WriteString(", since the pool is suspended")
		}
	}
	if e.Context != nil {
		fmt.Fprintf(&b, ": %v", e.Context)
	}
	if e.Connect != nil {
		fmt.Fprintf(&b, ": last connect error: %v", e.Connect)
	}
	return b.String()
}

// Unwrap returns the sentinel and the causes.
func (e *AcquireError) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Context, e.Connect} {
		if err != nil && !errors.Is(err, driver.ErrBadConn) {
			errs = append(errs, err)
		}
	}
	return errs
}

// roundWait keeps three digits or so: nobody reads nanoseconds in an incident.
func roundWait(d time.Duration) time.Duration {
	for unit := time.Duration(1); unit < time.Second; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second)
}

// ConnectError wraps the failure of a connect where nimue has something to add
// to the driver's own error: that a statement of Config.InitSQL failed, that the
// connect timed out, that the driver panicked or returned nothing. A plain error
// of the driver's Connect is passed on as it is.
type ConnectError struct {
	Pool string
	Step string // what was being done
	Err  error

	setup bool // the connection itself could be made
}

// Error names the pool and the step.
func (e *ConnectError) Error() string {
	return fmt.Sprintf("nimue: %s: %s: %v", e.Pool, e.Step, e.Err)
}

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// PanicError is a panic of the inner driver (or of a hook), caught in a
// goroutine of the pool's and turned into an error.
type PanicError struct {
	In    string // the call that panicked
	Value any
	Stack []byte
}

// Error tells the call and the panic's value; the stack is in Stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("nimue: panic in the driver's %s: %v", e.In, e.Value)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// catch turns a panic into a PanicError; it must be deferred itself.
func catch(in string, err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{In: in, Value: v, Stack: debug.Stack()}
	}
}
