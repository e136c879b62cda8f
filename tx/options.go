package tx

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// What Run does without options.
const (
	// DefaultRetries is how often an attempt that failed is repeated.
	DefaultRetries = 3
	// DefaultBackoff is the longest wait before the first retry. It doubles with
	// every further one.
	DefaultBackoff = 10 * time.Millisecond
	// DefaultMaxBackoff is the longest wait before any retry.
	DefaultMaxBackoff = time.Second
)

// Option changes what Run does. Of two that set the same, the latter counts. An
// impossible value is an error of Run, which then begins nothing.
type Option func(*settings)

type settings struct {
	retries         int
	backoff         time.Duration
	maxBackoff      time.Duration
	integrity       bool
	classify        func(error) Class
	onRetry         func(attempt int, err error)
	isolation       sql.IsolationLevel
	readOnly        bool
	marker, marking bool // marker counts if marking
	problems        []error
}

func newSettings(opts []Option) (settings, error) {
	s := settings{retries: DefaultRetries, backoff: DefaultBackoff, maxBackoff: DefaultMaxBackoff}
	for _, opt := range opts {
		opt(&s)
	}
	return s, errors.Join(s.problems...)
}

func (s *settings) refuse(format string, args ...any) {
	s.problems = append(s.problems, fmt.Errorf("tx: "+format, args...))
}

// Retries sets how often an attempt that failed is repeated, so that the function
// is called n+1 times at most; 0: called once. The default is [DefaultRetries].
func Retries(n int) Option {
	return func(s *settings) {
		if n < 0 {
			s.refuse("Retries(%d): want 0 or more", n)
		}
		s.retries = n
	}
}

// Backoff sets the waits before retries. Each is drawn at random, between nothing
// and a limit that is first before the first retry, doubles with every further one
// and never exceeds longest. No connection is held meanwhile, but for a *sql.Conn.
// Backoff(0, 0) does not wait. The default is [DefaultBackoff], [DefaultMaxBackoff].
func Backoff(first, longest time.Duration) Option {
	return func(s *settings) {
		if first < 0 || longest < first {
			s.refuse("Backoff(%v, %v): want 0 or more, and the longest not below the first", first, longest)
		}
		s.backoff, s.maxBackoff = first, longest
	}
}

// Isolation sets the isolation level, as in sql.TxOptions. The default is the
// database's.
func Isolation(level sql.IsolationLevel) Option {
	return func(s *settings) { s.isolation = level }
}

// ReadOnly makes the transaction read-only, as in sql.TxOptions.
func ReadOnly() Option {
	return func(s *settings) { s.readOnly = true }
}

// RetryIntegrity has integrity errors retried, too: a key that exists, a reference
// to a row that is not there. It is for functions that choose a key by what they
// read, where another one may have been faster.
func RetryIntegrity() Option {
	return func(s *settings) { s.integrity = true }
}

// Classify has f judge errors before [ClassOf] does, which gets those of which f
// says Unknown. It is for databases that this package does not know, and for errors
// of the function's own that are worth a retry. Whether a commit is ambiguous is
// not f's to say.
func Classify(f func(error) Class) Option {
	return func(s *settings) { s.classify = f }
}

// OnRetry has f called before the wait for each retry, with the number of the
// attempt that failed, from 1, and its error: for logs and metrics.
func OnRetry(f func(attempt int, err error)) Option {
	return func(s *settings) { s.onRetry = f }
}

// Marker sets whether Run sets a savepoint when it begins, and looks for it before
// it commits. If it has gone, so has the transaction, and Run returns an error that
// is [ErrAborted]. It costs two round trips. Without this option, only a database
// of github.com/go-sql-driver/mysql without nimue beneath has a marker: see "Failures
// that the function hides".
func Marker(on bool) Option {
	return func(s *settings) { s.marker, s.marking = on, true }
}

func (s *settings) txOptions() *sql.TxOptions {
	if s.isolation == sql.LevelDefault && !s.readOnly {
		return nil
	}
	return &sql.TxOptions{Isolation: s.isolation, ReadOnly: s.readOnly}
}

// fits tells whether a nested Run with these settings can be part of a transaction
// with those of outer.
func (s *settings) fits(outer *settings) error {
	if s.isolation != sql.LevelDefault && s.isolation != outer.isolation {
		return fmt.Errorf("tx: nested Run: Isolation(%v) inside a transaction with %v: want the same, or none", s.isolation, outer.isolation)
	}
	if s.readOnly && !outer.readOnly {
		return errors.New("tx: nested Run: ReadOnly inside a transaction that is not")
	}
	return nil
}
