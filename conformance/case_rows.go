package conformance

import (
	"fmt"
	"strings"
)

func rowsCases() []testCase {
	return []testCase{
		{"rows/empty", rowsEmpty},
		{"rows/large result", rowsLarge},
		{"rows/wide rows", rowsWide},
		{"rows/closed early", rowsClosedEarly},
		{"rows/nested queries", rowsNested},
		{"rows/error at run time", rowsFail},
		{"rows/error at run time leaves the connection usable", rowsFailOften},
		{"rows/multiple result sets", rowsMultiple},
		{"rows/Scan errors", rowsScanErrors},
	}
}

func rowsEmpty(c *trial) {
	table := c.keyed("empty", c.d.Types.Text)
	rows, err := c.db.QueryContext(c.ctx, "SELECT id, v FROM "+table)
	c.must("query", err)
	defer rows.Close()
	columns, err := rows.Columns()
	c.must("Columns", err)
	equal(c, "columns", strings.Join(columns, " "), "id v")
	equal(c, "Next", rows.Next(), false)
	c.must("Err", rows.Err())
}

func rowsLarge(c *trial) {
	const n = 20_000
	rows, err := c.db.QueryContext(c.ctx, c.d.Series(n))
	got := column[int](c, rows, err)
	equal(c, "rows", len(got), n)
	for i, v := range got {
		if v != i+1 {
			c.Fatalf("row %d is %d", i, v)
		}
	}
}

func rowsWide(c *trial) {
	table := c.keyed("wide", c.d.Types.Text)
	var want []string
	for i := range 20 {
		want = append(want, strings.Repeat(fmt.Sprintf("%02d ", i), 10_000))
		c.insert(c.db, table, i, want[i])
	}
	rows, err := c.db.QueryContext(c.ctx, "SELECT v FROM "+table+" ORDER BY id")
	got := column[string](c, rows, err)
	equal(c, "rows", len(got), len(want))
	equal(c, "text", strings.Join(got, ""), strings.Join(want, ""))
}

// A result that is closed after its first rows gives its connection back, as
// often as one likes.
func rowsClosedEarly(c *trial) {
	c.db.SetMaxOpenConns(2)
	for range manyTimes {
		rows, err := c.db.QueryContext(c.ctx, c.d.Series(5000))
		c.must("query", err)
		if !rows.Next() {
			c.Fatalf("no row: %v", rows.Err())
		}
		c.must("Close", rows.Close())
		c.must("second Close", rows.Close())
		if rows.Next() {
			c.Errorf("Next after Close is true")
		}
		c.must("Err after Close", rows.Err())
	}
	c.note("closed %d results", manyTimes)
}

func rowsNested(c *trial) {
	rows, err := c.db.QueryContext(c.ctx, c.d.Series(5))
	c.must("query", err)
	defer rows.Close()
	sum := 0
	for rows.Next() {
		var n int
		c.must("Scan", rows.Scan(&n))
		inner, err := c.db.QueryContext(c.ctx, c.d.Series(n))
		for _, m := range column[int](c, inner, err) {
			sum += m
		}
	}
	c.must("Rows.Err", rows.Err())
	equal(c, "sum", sum, 1+3+6+10+15)
}

// failing runs the failing query to its end and returns the error, which may come
// at once or after some rows.
func (c *trial) failing(q querier) error {
	rows, err := q.QueryContext(c.ctx, c.d.FailingQuery)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var v any
		c.must("Scan", rows.Scan(&v))
	}
	return rows.Err()
}

func rowsFail(c *trial) {
	c.skipUnless(c.d.FailingQuery != "", "has no query that fails at run time")
	c.refused("on the database", c.failing(c.db))
	tx, err := c.db.BeginTx(c.ctx, nil)
	c.must("BeginTx", err)
	defer tx.Rollback()
	c.refused("in a transaction", c.failing(tx))
	c.must("Rollback", tx.Rollback())
}

func rowsFailOften(c *trial) {
	c.skipUnless(c.d.FailingQuery != "", "has no query that fails at run time")
	conn, err := c.db.Conn(c.ctx)
	c.must("Conn", err)
	defer conn.Close()
	for range manyTimes {
		if c.failing(conn) == nil {
			c.Fatalf("no error")
		}
		if got := one[int](c, conn, "SELECT 41 + 1"); got != 42 {
			c.Fatalf("then got %d, want 42", got)
		}
	}
	c.note("failed %d times on one connection", manyTimes)
}

func rowsMultiple(c *trial) {
	c.skipUnless(c.d.MultipleResults != "", "has no multiple result sets")
	rows, err := c.db.QueryContext(c.ctx, c.d.MultipleResults)
	c.must("query", err)
	defer rows.Close()
	var number int
	var text string
	equal(c, "Next", rows.Next(), true)
	c.must("Scan", rows.Scan(&number))
	equal(c, "first set", number, 1)
	equal(c, "Next at the end of the first set", rows.Next(), false)
	equal(c, "NextResultSet", rows.NextResultSet(), true)
	equal(c, "Next", rows.Next(), true)
	c.must("Scan", rows.Scan(&text))
	equal(c, "second set", text, "two")
	equal(c, "Next at the end of the second set", rows.Next(), false)
	equal(c, "NextResultSet at the end", rows.NextResultSet(), false)
	c.must("Err", rows.Err())

	// The second set may also be left unread.
	rows, err = c.db.QueryContext(c.ctx, c.d.MultipleResults)
	c.must("query", err)
	c.must("Close", rows.Close())
	c.usable("an unread result set")
}

func rowsScanErrors(c *trial) {
	table := c.keyed("scans", c.d.Types.Text)
	c.insert(c.db, table, 1, "no number")
	rows, err := c.db.QueryContext(c.ctx, "SELECT id, v FROM "+table)
	c.must("query", err)
	defer rows.Close()
	var id, number int
	var text string
	c.wantText("before Next", rows.Scan(&id, &text), "sql: Scan called without calling Next")
	equal(c, "Next", rows.Next(), true)
	c.wantText("too few", rows.Scan(&id), "sql: expected 2 destination arguments in Scan, not 1")
	c.wantText("too many", rows.Scan(&id, &text, &number), "sql: expected 2 destination arguments in Scan, not 3")
	c.wantText("no pointer", rows.Scan(&id, text), "destination not a pointer")
	c.wantText("text into int", rows.Scan(&id, &number), `sql: Scan error on column index 1, name "v"`)
	c.must("then the right way", rows.Scan(&id, &text))
	equal(c, "text", text, "no number")
	c.must("Close", rows.Close())
	c.wantText("after Close", rows.Scan(&id, &text), "sql: Rows are closed")
}
