package query

import (
	"context"
	"fmt"
	"io"
)

// Cursor is all rows of a query, and a place among them. It holds no connection. It
// is for one goroutine at a time.
type Cursor[T any] struct {
	rows []T
	next int // the index of the row that Next moves to
	on   bool
}

// Collect reads all rows, and returns them as a cursor that stands before the first.
func (q *Query[T]) Collect(ctx context.Context, db Queryer, args ...any) (*Cursor[T], error) {
	rows, err := q.All(ctx, db, args...)
	if err != nil {
		return nil, err
	}
	return &Cursor[T]{rows: rows}, nil
}

// Len is the number of rows.
func (c *Cursor[T]) Len() int { return len(c.rows) }

// Next moves to the next row and tells whether there was one.
func (c *Cursor[T]) Next() bool {
	c.on = c.next < len(c.rows)
	if c.on {
		c.next++
	}
	return c.on
}

// Row is the row that Next has moved to. It panics if there is none: before the first
// Next, after one that returned false, and after a Seek or a Take.
func (c *Cursor[T]) Row() T {
	if !c.on {
		panic("query: Cursor.Row without a Next that returned true")
	}
	return c.rows[c.next-1]
}

// Take returns the next n rows, or as many as there are, and moves behind them. A
// negative n is taken for 0.
func (c *Cursor[T]) Take(n int) []T {
	n = min(max(n, 0), len(c.rows)-c.next)
	taken := c.rows[c.next : c.next+n : c.next+n]
	c.next, c.on = c.next+n, false
	return taken
}

// Seek sets the place before the row with an index, counted from 0, so that Next moves
// to that row: offset counts from the start (io.SeekStart), from the row that Next
// would move to (io.SeekCurrent), or from behind the last row (io.SeekEnd). It returns
// the index. A place before the first row or behind that after the last is an error,
// and so is another whence; the cursor stays where it was then.
func (c *Cursor[T]) Seek(offset int64, whence int) (int64, error) {
	from := int64(0)
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		from = int64(c.next)
	case io.SeekEnd:
		from = int64(len(c.rows))
	default:
		return int64(c.next), fmt.Errorf("query: Cursor.Seek: whence %d: want io.SeekStart, io.SeekCurrent or io.SeekEnd", whence)
	}
	if offset < -from || offset > int64(len(c.rows))-from {
		return int64(c.next), fmt.Errorf("query: Cursor.Seek: offset %d from row %d: want %d to %d, as there are %d rows",
			offset, from, -from, int64(len(c.rows))-from, len(c.rows))
	}
	c.next, c.on = int(from+offset), false
	return from + offset, nil
}
