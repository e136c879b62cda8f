package query_test

import (
	"database/sql"
	"io"
	"slices"
	"testing"

	"github.com/nimue-go/nimue/query"
)

var digits = query.Declare[int]("WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i < 9) SELECT i FROM c ORDER BY i")

func collect(t *testing.T, db *sql.DB) *query.Cursor[int] {
	t.Helper()
	c, err := digits.Collect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCursorReadsOn(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		c := collect(t, db)
		wantNoLease(t, db)
		var got []int
		for c.Next() {
			got = append(got, c.Row(), c.Row())
		}
		if c.Len() != 10 || !slices.Equal(got[:4], []int{0, 0, 1, 1}) || len(got) != 20 {
			t.Errorf("%d rows: %v", c.Len(), got)
		}
		if c.Next() {
			t.Error("Next after the end")
		}
	})
}

func TestCursorSeek(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		for _, test := range []struct {
			read   int // rows before
			offset int64
			whence int
			want   int64 // the place, and the next row; -1: refused
		}{
			{3, 0, io.SeekStart, 0},
			{3, 9, io.SeekStart, 9},
			{3, 10, io.SeekStart, 10},
			{3, 11, io.SeekStart, -1},
			{3, -1, io.SeekStart, -1},
			{3, 0, io.SeekCurrent, 3},
			{3, 2, io.SeekCurrent, 5},
			{3, -1, io.SeekCurrent, 2},
			{3, -3, io.SeekCurrent, 0},
			{3, -4, io.SeekCurrent, -1},
			{3, 7, io.SeekCurrent, 10},
			{3, 8, io.SeekCurrent, -1},
			{0, 0, io.SeekEnd, 10},
			{0, -1, io.SeekEnd, 9},
			{0, -10, io.SeekEnd, 0},
			{0, -11, io.SeekEnd, -1},
			{0, 1, io.SeekEnd, -1},
			{3, 1<<63 - 1, io.SeekCurrent, -1},
			{3, -1 << 63, io.SeekCurrent, -1},
			{3, 0, 7, -1},
		} {
			c := collect(t, db)
			for range test.read {
				c.Next()
			}
			place, err := c.Seek(test.offset, test.whence)
			want := test.want
			if want < 0 {
				want = int64(test.read)
			}
			if place != want || (err != nil) != (test.want < 0) {
				t.Errorf("Seek(%d, %d) after %d rows: %d, %v", test.offset, test.whence, test.read, place, err)
			}
			if next := c.Next(); next != (want < 10) || next && c.Row() != int(want) {
				t.Errorf("Seek(%d, %d) after %d rows: Next %t", test.offset, test.whence, test.read, next)
			}
		}
	})
}

func TestCursorTake(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		c := collect(t, db)
		first, rest := c.Take(4), c.Take(100)
		if !slices.Equal(first, []int{0, 1, 2, 3}) || !slices.Equal(rest, []int{4, 5, 6, 7, 8, 9}) || len(c.Take(1)) != 0 || len(c.Take(-1)) != 0 {
			t.Errorf("took %v, %v", first, rest)
		}
		_ = append(first, 99) // must not reach into the cursor's rows
		if _, err := c.Seek(4, io.SeekStart); err != nil || !c.Next() || c.Row() != 4 {
			t.Errorf("%v: the rows have changed", err)
		}
	})
}

func TestCursorRowOutOfPlace(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		for name, move := range map[string]func(*query.Cursor[int]){
			"before the first Next": func(*query.Cursor[int]) {},
			"after the last": func(c *query.Cursor[int]) {
				for c.Next() {
				}
			},
			"after a Seek": func(c *query.Cursor[int]) { c.Next(); _, _ = c.Seek(0, io.SeekStart) },
			"after a Take": func(c *query.Cursor[int]) { c.Next(); c.Take(1) },
		} {
			c := collect(t, db)
			move(c)
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: Row did not panic", name)
					}
				}()
				c.Row()
			}()
		}
	})
}

func TestCollectFails(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		if c, err := query.Declare[int]("NONSENSE").Collect(t.Context(), db); c != nil || err == nil {
			t.Errorf("%v, %v", c, err)
		}
	})
}
