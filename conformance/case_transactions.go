package conformance

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

func transactionCases() []testCase {
	return []testCase{
		{"transactions/commit", transactionsCommit},
		{"transactions/rollback", transactionsRollback},
		{"transactions/ended twice", transactionsTwice},
		{"transactions/one after another", transactionsOften},
		{"transactions/two at once", transactionsTwo},
		{"transactions/error inside", transactionsError},
		{"transactions/rows open at commit", transactionsOpenRows},
		{"transactions/second query while rows are open", transactionsBusy},
		{"transactions/rolled back when the context ends", transactionsContext},
		{"transactions/context ends after commit", transactionsContextLater},
	}
}

// begin begins a transaction. The caller ends it, at the latest by a deferred
// Rollback.
func (c *trial) begin() *sql.Tx {
	c.Helper()
	tx, err := c.db.BeginTx(c.ctx, nil)
	c.must("BeginTx", err)
	return tx
}

func transactionsCommit(c *trial) {
	table := c.keyed("kept", c.d.Types.Text)
	tx := c.begin()
	defer tx.Rollback()
	c.insert(tx, table, 1, "one")
	c.insert(tx, table, 2, "two")
	equal(c, "inside", c.count(tx, table), 2)
	equal(c, "outside before", c.count(c.db, table), 0)
	c.must("Commit", tx.Commit())
	equal(c, "outside after", c.count(c.db, table), 2)
}

func transactionsRollback(c *trial) {
	table := c.keyed("undone", c.d.Types.Text)
	c.insert(c.db, table, 1, "before")
	tx := c.begin()
	defer tx.Rollback()
	c.exec(tx, "UPDATE "+table+" SET v = 'changed'")
	c.insert(tx, table, 2, "new")
	c.must("Rollback", tx.Rollback())
	equal(c, "rows", c.count(c.db, table), 1)
	equal(c, "text", one[string](c, c.db, "SELECT v FROM "+table), "before")
}

func transactionsTwice(c *trial) {
	table := c.keyed("ended", c.d.Types.Text)
	for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
		tx := c.begin()
		defer tx.Rollback()
		c.must("the first end", end(tx))
		c.wantErr("Commit", tx.Commit(), sql.ErrTxDone)
		c.wantErr("Rollback", tx.Rollback(), sql.ErrTxDone)
		_, err := tx.ExecContext(c.ctx, "DELETE FROM "+table)
		c.wantErr("Exec", err, sql.ErrTxDone)
		_, err = tx.QueryContext(c.ctx, "SELECT 1")
		c.wantErr("Query", err, sql.ErrTxDone)
		_, err = tx.PrepareContext(c.ctx, "SELECT 1")
		c.wantErr("Prepare", err, sql.ErrTxDone)
	}
}

func transactionsOften(c *trial) {
	table := c.keyed("often", c.d.Types.Int)
	c.insert(c.db, table, 1, 0)
	c.db.SetMaxOpenConns(2)
	for i := range 3 * manyTimes {
		tx := c.begin()
		defer tx.Rollback()
		c.exec(tx, "UPDATE "+table+" SET v = v + 1")
		if i%3 == 0 {
			c.must("Commit", tx.Commit())
		} else {
			c.must("Rollback", tx.Rollback())
		}
	}
	equal(c, "commits", one[int](c, c.db, "SELECT v FROM "+table), manyTimes)
}

// What one transaction wrote, another must not see before the commit. The second
// only reads, for databases with a single writer.
func transactionsTwo(c *trial) {
	table := c.keyed("two", c.d.Types.Text)
	writer, reader := c.begin(), c.begin()
	defer writer.Rollback()
	defer reader.Rollback()
	c.insert(writer, table, 1, "uncommitted")
	equal(c, "the other's view", c.count(reader, table), 0)
	equal(c, "its own view", c.count(writer, table), 1)
	c.must("Commit", writer.Commit())
	c.must("Rollback", reader.Rollback())
	equal(c, "afterwards", c.count(c.db, table), 1)
}

// After an error some databases go on with the transaction, and some refuse
// everything but its end. In both a rollback undoes all of it.
func transactionsError(c *trial) {
	table := c.keyed("errors", c.d.Types.Text)
	c.insert(c.db, table, 1, "before")
	insert := c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table)
	tx := c.begin()
	defer tx.Rollback()
	c.insert(tx, table, 2, "inside")
	_, err := tx.ExecContext(c.ctx, insert, 1, "again")
	c.wantClass("a key that exists", err, UniqueViolation)
	_, err = tx.ExecContext(c.ctx, insert, 3, "after the error")
	c.noteErr("then", err)
	c.must("Rollback", tx.Rollback())
	equal(c, "rows", c.count(c.db, table), 1)

	tx = c.begin()
	defer tx.Rollback()
	c.insert(tx, table, 2, "inside")
	_, err = tx.ExecContext(c.ctx, insert, 1, "again")
	c.wantClass("a key that exists", err, UniqueViolation)
	c.noteErr("Commit after an error", tx.Commit())
	c.note("rows: %d", c.count(c.db, table))
	c.usable("a commit after an error")
}

// A commit closes what rows are still open, and works.
func transactionsOpenRows(c *trial) {
	table := c.keyed("open", c.d.Types.Text)
	for range manyTimes {
		tx := c.begin()
		defer tx.Rollback()
		c.exec(tx, "DELETE FROM "+table)
		c.insert(tx, table, 1, "kept")
		rows, err := tx.QueryContext(c.ctx, c.d.Series(3000))
		c.must("query", err)
		defer rows.Close()
		if !rows.Next() {
			c.Fatalf("no row: %v", rows.Err())
		}
		c.must("Commit", tx.Commit())
		if rows.Next() {
			c.Errorf("rows of a finished transaction go on")
		}
	}
	equal(c, "rows in the table", c.count(c.db, table), 1)
}

func transactionsBusy(c *trial) {
	tx := c.begin()
	defer tx.Rollback()
	outer, err := tx.QueryContext(c.ctx, c.d.Series(3))
	c.must("query", err)
	defer outer.Close()
	equal(c, "Next", outer.Next(), true)
	inner, err := tx.QueryContext(c.ctx, c.d.Series(2))
	if c.d.OverlappingQueries {
		equal(c, "second result", len(column[int](c, inner, err)), 2)
	} else {
		if err == nil {
			_ = inner.Close() // what matters is whether the first result is still right
		}
		c.noteErr("second query", err)
		if errors.Is(err, driver.ErrBadConn) {
			return // the driver has given the connection up, and all that was open on it
		}
	}
	equal(c, "the first result goes on", len(column[int](c, outer, nil)), 2)
	equal(c, "then another", one[int](c, tx, "SELECT 41 + 1"), 42)
	c.must("Commit", tx.Commit())
}

// The end of BeginTx's context rolls back, without anybody calling Rollback, and
// gives the connection back.
func transactionsContext(c *trial) {
	table := c.keyed("cancelled", c.d.Types.Text)
	c.db.SetMaxOpenConns(2)
	for range manyTimes {
		ctx, cancel := context.WithCancel(c.ctx)
		defer cancel()
		tx, err := c.db.BeginTx(ctx, nil)
		c.must("BeginTx", err)
		c.insert(tx, table, 1, "never kept")
		cancel()
		c.eventually("the connection comes back", func() bool { return c.db.Stats().InUse == 0 })
		// database/sql answers with the one or the other, depending on how far
		// its own goroutine has come.
		if err := tx.Commit(); !isAny(err, sql.ErrTxDone, context.Canceled) {
			c.Errorf("Commit: %v, want sql.ErrTxDone or context.Canceled", err)
		}
		if n := c.count(c.db, table); n != 0 {
			c.Fatalf("%d rows of a cancelled transaction", n)
		}
	}
	c.note("rolled back %d times", manyTimes)
}

func transactionsContextLater(c *trial) {
	table := c.keyed("committed", c.d.Types.Text)
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	tx, err := c.db.BeginTx(ctx, nil)
	c.must("BeginTx", err)
	defer tx.Rollback()
	c.insert(tx, table, 1, "kept")
	c.must("Commit", tx.Commit())
	cancel()
	c.usable("the end of a finished transaction's context")
	equal(c, "rows", c.count(c.db, table), 1)
	c.wantErr("Rollback", tx.Rollback(), sql.ErrTxDone)
}
