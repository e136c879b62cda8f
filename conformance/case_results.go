package conformance

import (
	"database/sql"
	"fmt"
)

func resultCases() []testCase {
	return []testCase{
		{"results/RowsAffected", resultsAffected},
		{"results/LastInsertId", resultsInsertID},
		{"results/LastInsertId where there is none", resultsNoInsertID},
		{"results/read later", resultsLater},
		{"results/prepared and in a transaction", resultsPrepared},
	}
}

func (c *trial) affected(what string, result sql.Result, want int64) {
	c.Helper()
	got, err := result.RowsAffected()
	c.must(what+": RowsAffected", err)
	equal(c, what, got, want)
}

func resultsAffected(c *trial) {
	table := c.keyed("rows", c.d.Types.Int)
	for i := range 5 {
		c.insert(c.db, table, i, i)
	}
	c.affected("INSERT", c.exec(c.db, c.sql("INSERT INTO %s (id, v) VALUES (?, 7), (?, 8)", table), 10, 11), 2)
	c.affected("UPDATE of three", c.exec(c.db, c.sql("UPDATE %s SET v = v + 100 WHERE id < ?", table), 3), 3)
	c.affected("UPDATE of none", c.exec(c.db, c.sql("UPDATE %s SET v = 0 WHERE id = ?", table), 99), 0)
	c.affected("DELETE", c.exec(c.db, c.sql("DELETE FROM %s WHERE v >= ?", table), 100), 3)
	equal(c, "rows left", c.count(c.db, table), 4)
}

// numbered makes a table that numbers its rows by itself.
func (c *trial) numbered() (table, insert string) {
	c.Helper()
	table = c.table("numbered", fmt.Sprintf("id %s, v %s", c.d.AutoIncrement, c.d.Types.Text))
	return table, c.sql("INSERT INTO %s (v) VALUES (?)", table)
}

func (c *trial) insertID(what string, result sql.Result, want int64) {
	c.Helper()
	got, err := result.LastInsertId()
	c.must(what+": LastInsertId", err)
	equal(c, what, got, want)
}

func resultsInsertID(c *trial) {
	c.skipUnless(c.d.LastInsertID, "has no LastInsertId")
	table, insert := c.numbered()
	for want := int64(1); want <= 3; want++ {
		c.insertID("INSERT", c.exec(c.db, insert, "row"), want)
	}
	c.exec(c.db, c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table), 1000, "numbered by hand")
	c.insertID("INSERT after 1000", c.exec(c.db, insert, "row"), 1001)
}

func resultsNoInsertID(c *trial) {
	c.skipUnless(!c.d.LastInsertID, "has LastInsertId")
	table, insert := c.numbered()
	_, err := c.exec(c.db, insert, "row").LastInsertId()
	c.refused("LastInsertId", err)
	equal(c, "the row's number", one[int](c, c.db, "SELECT id FROM "+table), 1)
}

// A result belongs to its statement. It must not change when the connection, back
// in the pool, does other work, nor when the connection is closed.
func resultsLater(c *trial) {
	table, insert := c.numbered()
	c.db.SetMaxOpenConns(1) // so that the other work is on the same connection
	first := c.exec(c.db, insert, "first")
	second := c.exec(c.db, insert, "second")
	update := c.exec(c.db, "UPDATE "+table+" SET v = 'both'")
	c.exec(c.db, insert, "third")
	c.exec(c.db, insert, "fourth")
	other := c.keyed("other", c.d.Types.Text)
	c.insert(c.db, other, 50, "unrelated")
	c.exec(c.db, "DELETE FROM "+table)
	c.db.SetMaxIdleConns(-1) // closes it
	for i, result := range []sql.Result{first, second} {
		c.affected("INSERT", result, 1)
		if c.d.LastInsertID {
			c.insertID("INSERT", result, int64(i+1))
		}
	}
	c.affected("UPDATE", update, 2)
}

func resultsPrepared(c *trial) {
	table, insert := c.numbered()
	stmt, err := c.db.PrepareContext(c.ctx, insert)
	c.must("Prepare", err)
	defer stmt.Close()
	var results []sql.Result
	for range 3 {
		result, err := stmt.ExecContext(c.ctx, "prepared")
		c.must("Stmt.Exec", err)
		results = append(results, result)
	}
	tx, err := c.db.BeginTx(c.ctx, nil)
	c.must("BeginTx", err)
	defer tx.Rollback()
	results = append(results, c.exec(tx, insert, "in the transaction"))
	update := c.exec(tx, "UPDATE "+table+" SET v = 'all'")
	c.must("Commit", tx.Commit())
	for i, result := range results {
		c.affected("INSERT", result, 1)
		if c.d.LastInsertID {
			c.insertID("INSERT", result, int64(i+1))
		}
	}
	c.affected("UPDATE", update, 4)
}
