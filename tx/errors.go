package tx

import (
	"errors"
	"fmt"
)

var (
	// ErrAmbiguousCommit is what a [CommitError] is if nobody can tell whether the
	// transaction was committed.
	ErrAmbiguousCommit = errors.New("it is not known whether the transaction was committed")
	// ErrAborted is what every [AbortedError] is.
	ErrAborted = errors.New("the transaction was aborted")
)

// CommitError is a COMMIT that failed, or may have.
type CommitError struct {
	// Err is why.
	Err error
	// Ambiguous is true if the transaction may have been committed nevertheless:
	// the connection broke, or the context ended, before the answer came; or rows that
	// the function had left open ended with an error then. Run never repeats it. The caller can find out by looking for what was written. If
	// false, nothing was committed.
	Ambiguous bool
}

// Error tells the cause, and whether the commit is ambiguous.
func (e *CommitError) Error() string {
	if e.Ambiguous {
		return "tx: commit: " + ErrAmbiguousCommit.Error() + ": " + e.Err.Error()
	}
	return "tx: commit: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *CommitError) Unwrap() error { return e.Err }

// Is makes an ambiguous one ErrAmbiguousCommit.
func (e *CommitError) Is(target error) bool { return e.Ambiguous && target == ErrAmbiguousCommit }

// AbortedError is a transaction that was not committed although its function
// returned nil, because something in it had failed. Statements after the failure
// are refused with one, too.
type AbortedError struct {
	// Cause is the failure; where only the database's final word on it is known,
	// that.
	Cause error

	statement bool // the error is that of a statement that was refused
}

// Error tells the cause.
func (e *AbortedError) Error() string {
	if e.statement {
		return "tx: not executed, since an earlier statement of the transaction failed (a nested Run, or a savepoint, could contain that): " + e.Cause.Error()
	}
	return "tx: rolled back, though the function returned no error: " + e.Cause.Error()
}

// Unwrap returns Cause.
func (e *AbortedError) Unwrap() error { return e.Cause }

// Is makes it ErrAborted.
func (e *AbortedError) Is(target error) bool { return target == ErrAborted }

// RetryError says that an error would have been retried, but for the number of
// attempts or the context.
type RetryError struct {
	// Attempts is how often the function was tried.
	Attempts int
	// Err is the last attempt's error.
	Err error
	// Ended is the context's error if that ended before the next attempt, or nil.
	Ended error
}

// Error tells the number of attempts, and why there was no other.
func (e *RetryError) Error() string {
	attempts := "1 attempt"
	if e.Attempts != 1 {
		attempts = fmt.Sprintf("%d attempts", e.Attempts)
	}
	if e.Ended != nil {
		return fmt.Sprintf("tx: %s, and no other (%v): %v", attempts, e.Ended, e.Err)
	}
	return fmt.Sprintf("tx: %s: %v", attempts, e.Err)
}

// Unwrap returns Err, and Ended if there is one.
func (e *RetryError) Unwrap() []error {
	if e.Ended == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Ended}
}

func notCommitted(err error) error { return fmt.Errorf("tx: not committed: %w", err) }
