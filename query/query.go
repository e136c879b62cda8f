package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"reflect"
	"runtime"
)

// Queryer is what can be asked: a *sql.DB, a *sql.Conn or a *sql.Tx.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

var (
	// ErrTooManyRows is the error of [Query.Unique] and [Query.Value] for a query
	// with more than one row.
	ErrTooManyRows = errors.New("more than one row")
	// ErrMismatch is an error of columns that do not fit the declared type.
	ErrMismatch = errors.New("the columns do not fit the declared type")
)

// Query is a declared query, whose rows are T's. [Declare] makes it.
type Query[T any] struct {
	declaration
	shape shape
}

// declaration is an SQL text and where it was declared.
type declaration struct{ text, place string }

// declared is called by the exported function that declares. That must not be
// inlined: in a package's initialisation, the place of the call would be lost.
func declared(text string) declaration {
	place := "unknown place"
	if _, file, line, ok := runtime.Caller(2); ok {
		place = fmt.Sprintf("%s:%d", filepath.Base(file), line)
	}
	return declaration{text, place}
}

// fail names the declaration in an error.
func (d *declaration) fail(err error) error {
	return fmt.Errorf("query: %s: %w", d.place, err)
}

// failed does the same for an error of the driver's, which may come from the
// number of the arguments.
func (d *declaration) failed(args []any, err error) error {
	s := "s"
	if len(args) == 1 {
		s = ""
	}
	return fmt.Errorf("query: %s: with %d argument%s: %w", d.place, len(args), s, err)
}

// Declare declares a query, for a variable of a package. It asks nothing yet. It
// panics if rows can never be scanned into a T: a channel, a function, a pointer to
// a struct (declare the struct itself), a map without string keys, sql.RawBytes.
//
//go:noinline
func Declare[T any](text string) *Query[T] {
	d, t := declared(text), reflect.TypeFor[T]()
	if problem := unscannable(t); problem != "" {
		panic(fmt.Sprintf("query: %s: Declare[%v]: %s", d.place, t, problem))
	}
	return &Query[T]{d, shapeOf(t)}
}

// All returns all rows, an empty slice if there are none.
func (q *Query[T]) All(ctx context.Context, db Queryer, args ...any) ([]T, error) {
	return q.all(q.ask(ctx, db, anyColumns, args))
}

// Flat is All for a query of a single column.
func (q *Query[T]) Flat(ctx context.Context, db Queryer, args ...any) ([]T, error) {
	return q.all(q.ask(ctx, db, oneColumn, args))
}

// Unique returns the only row. If there is none, the error is sql.ErrNoRows to
// errors.Is; if there are more, it is [ErrTooManyRows].
func (q *Query[T]) Unique(ctx context.Context, db Queryer, args ...any) (T, error) {
	return q.unique(q.ask(ctx, db, anyColumns, args))
}

// Value is Unique for a query of a single column.
func (q *Query[T]) Value(ctx context.Context, db Queryer, args ...any) (T, error) {
	return q.unique(q.ask(ctx, db, oneColumn, args))
}

// Iter returns the rows one by one, as they arrive:
//
//	for c, err := range customers.Iter(ctx, db) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// The query is asked when the loop begins, and once more for every loop. An error
// comes as the last pair, with T's zero value. The connection is in use until the loop
// is left, and free then, however it was left.
func (q *Query[T]) Iter(ctx context.Context, db Queryer, args ...any) iter.Seq2[T, error] {
	return q.ask(ctx, db, anyColumns, args)
}

func (q *Query[T]) all(rows iter.Seq2[T, error]) ([]T, error) {
	values := []T{}
	for value, err := range rows {
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

func (q *Query[T]) unique(rows iter.Seq2[T, error]) (T, error) {
	var found, none T
	n := 0
	for value, err := range rows {
		if err != nil {
			return none, err
		}
		if n++; n > 1 {
			return none, q.fail(ErrTooManyRows)
		}
		found = value
	}
	if n == 0 {
		return none, q.fail(sql.ErrNoRows)
	}
	return found, nil
}

// ask is what all ways to ask are made of.
func (q *Query[T]) ask(ctx context.Context, db Queryer, width width, args []any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := q.each(ctx, db, width, args, func(value T) bool { return yield(value, nil) }); err != nil {
			var none T
			yield(none, err)
		}
	}
}

// each calls f with each row until that returns false. The rows are closed when it
// returns, and when f panics.
func (q *Query[T]) each(ctx context.Context, db Queryer, width width, args []any, f func(T) bool) error {
	if err := tooMany(q.text, args); err != nil {
		return q.fail(err)
	}
	rows, err := db.QueryContext(ctx, q.text, args...)
	if err != nil {
		return q.failed(args, err)
	}
	defer rows.Close() // a second Close does nothing
	scan, err := newScanner[T](rows, q.shape, width)
	if err != nil {
		return q.fail(err)
	}
	for rows.Next() {
		var value T
		if err := scan.row(&value); err != nil {
			return q.fail(err)
		}
		if !f(value) {
			return nil
		}
	}
	if err := rows.Err(); err != nil {
		return q.failed(args, err)
	}
	if err := rows.Close(); err != nil {
		return q.fail(err)
	}
	return nil
}
