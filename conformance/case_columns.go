package conformance

import (
	"database/sql"
	"fmt"
	"strings"
)

func columnCases() []testCase {
	return []testCase{
		{"columns/names", columnsNames},
		{"columns/types", columnsTypes},
		{"columns/types of a prepared query", columnsPrepared},
		{"columns/after Close", columnsClosed},
	}
}

// everyType makes a table with a column of each type and one row.
func (c *trial) everyType() string {
	c.Helper()
	t := &c.d.Types
	table := c.table("every", fmt.Sprintf("i %s NOT NULL, t %s, b %s, m %s, y %s, f %s", t.Int, t.Text, t.Blob, t.Time, t.Bool, t.Float))
	c.exec(c.db, fmt.Sprintf("INSERT INTO %s (i, t) VALUES (1, 'text')", table))
	return table
}

func columnsNames(c *trial) {
	rows, err := c.db.QueryContext(c.ctx, `SELECT 1 AS one, 2 AS two, 3 AS one`)
	c.must("query", err)
	defer rows.Close()
	names, err := rows.Columns()
	c.must("Columns", err)
	equal(c, "names", strings.Join(names, " "), "one two one")
}

// noteTypes records all that the driver tells of the columns. The only promise is
// one type for each column, in order; the rest may be unknown to the driver.
func (c *trial) noteTypes(rows *sql.Rows, names string) {
	c.Helper()
	types, err := rows.ColumnTypes()
	c.must("ColumnTypes", err)
	var got []string
	for _, t := range types {
		got = append(got, t.Name())
		nullable, hasNullable := t.Nullable()
		length, hasLength := t.Length()
		precision, scale, hasDecimal := t.DecimalSize()
		c.note("%s: %s, scan type %v, nullable %t %t, length %d %t, decimal %d %d %t", t.Name(), t.DatabaseTypeName(),
			t.ScanType(), nullable, hasNullable, length, hasLength, precision, scale, hasDecimal)
	}
	equal(c, "names", strings.Join(got, " "), names)
}

func columnsTypes(c *trial) {
	table := c.everyType()
	rows, err := c.db.QueryContext(c.ctx, "SELECT i, t, b, m, y, f FROM "+table)
	c.must("query", err)
	defer rows.Close()
	c.noteTypes(rows, "i t b m y f")
	equal(c, "Next", rows.Next(), true)
	c.noteTypes(rows, "i t b m y f") // SQLite's depend on the current row
	equal(c, "Next", rows.Next(), false)

	empty, err := c.db.QueryContext(c.ctx, "SELECT t, i FROM "+table+" WHERE i = 0")
	c.must("query", err)
	defer empty.Close()
	c.noteTypes(empty, "t i")
}

func columnsPrepared(c *trial) {
	table := c.everyType()
	stmt, err := c.db.PrepareContext(c.ctx, c.sql("SELECT f, y, m, b, t, i FROM %s WHERE i = ?", table))
	c.must("Prepare", err)
	defer stmt.Close()
	for range 2 { // the second time from whatever was kept of the first
		rows, err := stmt.QueryContext(c.ctx, 1)
		c.must("query", err)
		defer rows.Close()
		c.noteTypes(rows, "f y m b t i")
		c.must("Close", rows.Close())
	}
}

func columnsClosed(c *trial) {
	rows, err := c.db.QueryContext(c.ctx, c.d.Series(3))
	c.must("query", err)
	c.must("Close", rows.Close())
	_, err = rows.Columns()
	c.wantText("Columns", err, "sql: Rows are closed")
	_, err = rows.ColumnTypes()
	c.wantText("ColumnTypes", err, "sql: Rows are closed")
}
