package query

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
)

// Execer is where statements are executed: a *sql.DB, a *sql.Conn or a *sql.Tx.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Preparer is where statements are prepared: a *sql.DB, a *sql.Conn or a *sql.Tx.
type Preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// Statement is a declared statement that has no rows.
type Statement struct{ declaration }

// DeclareExec declares a statement, for a variable of a package. It executes nothing
// yet.
//
//go:noinline
func DeclareExec(text string) *Statement { return &Statement{declared(text)} }

// Exec executes the statement and returns the number of rows that it affected.
func (s *Statement) Exec(ctx context.Context, db Execer, args ...any) (int64, error) {
	if err := s.check(args); err != nil {
		return 0, s.fail(err)
	}
	result, err := db.ExecContext(ctx, s.text, args...)
	if err != nil {
		return 0, s.failed(args, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, s.fail(err)
	}
	return n, nil
}

// check is tooMany, but for texts without any placeholder: COPY of lib/pq and INSERT of
// ClickHouse take arguments all the same.
func (s *Statement) check(args []any) error {
	if mostPlaceholders(s.text) == 0 {
		return nil
	}
	return tooMany(s.text, args)
}

// ExecMany is the function [ExecMany] for a declared statement.
func (s *Statement) ExecMany(ctx context.Context, db Preparer, args iter.Seq[[]any]) (int64, error) {
	if pool, ok := db.(interface {
		Conn(ctx context.Context) (*sql.Conn, error)
	}); ok {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return 0, s.fail(err)
		}
		defer conn.Close() // gives it back, and has nothing to report
		db = conn
	}
	stmt, err := db.PrepareContext(ctx, s.text)
	if err != nil {
		return 0, s.fail(err)
	}
	n, err := s.executeAll(ctx, stmt, args)
	if closing := stmt.Close(); err == nil && closing != nil {
		err = s.fail(closing)
	}
	return n, err
}

func (s *Statement) executeAll(ctx context.Context, stmt *sql.Stmt, args iter.Seq[[]any]) (sum int64, err error) {
	index := 0
	for list := range args {
		n, err := s.executeOne(ctx, stmt, list)
		if err != nil {
			return sum, &ListError{s.place, index, err}
		}
		sum += n
		index++
	}
	return sum, nil
}

func (s *Statement) executeOne(ctx context.Context, stmt *sql.Stmt, args []any) (int64, error) {
	// Drivers call the connection bad if the context has ended before.
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := s.check(args); err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// ExecMany executes a statement once for each list of arguments, prepared once and
// all on one connection, and returns the sum of the rows affected. It stops at the
// first error, a [*ListError], and returns the sum until then: unless db is a
// *sql.Tx, that much is done.
func ExecMany(ctx context.Context, db Preparer, text string, args iter.Seq[[]any]) (int64, error) {
	return (&Statement{declared(text)}).ExecMany(ctx, db, args)
}

// ListError is the error of one list of ExecMany's arguments.
type ListError struct {
	Statement string // where it was declared, such as orders.go:52
	Index     int    // the list's, counted from 0
	Err       error
}

// Error tells the list's index and the cause.
func (e *ListError) Error() string {
	return fmt.Sprintf("query: %s: argument list %d: %v", e.Statement, e.Index, e.Err)
}

// Unwrap returns Err.
func (e *ListError) Unwrap() error { return e.Err }
