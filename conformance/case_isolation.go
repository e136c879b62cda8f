package conformance

import "database/sql"

func isolationCases() []testCase {
	return []testCase{
		{"isolation/levels", isolationLevels},
		{"isolation/other levels", isolationOthers},
		{"isolation/is the transaction's only", isolationEnds},
		{"isolation/read-only", isolationReadOnly},
		{"isolation/read-only is the transaction's only", isolationReadOnlyEnds},
	}
}

var everyLevel = []sql.IsolationLevel{
	sql.LevelReadUncommitted,
	sql.LevelReadCommitted,
	sql.LevelWriteCommitted,
	sql.LevelRepeatableRead,
	sql.LevelSnapshot,
	sql.LevelSerializable,
	sql.LevelLinearizable,
}

func isolationLevels(c *trial) {
	c.skipUnless(len(c.d.Isolation) > 0, "has no isolation levels to choose from")
	for _, level := range everyLevel {
		want, ok := c.d.Isolation[level]
		if !ok {
			continue
		}
		tx, err := c.db.BeginTx(c.ctx, &sql.TxOptions{Isolation: level})
		c.must(level.String(), err)
		defer tx.Rollback()
		if c.d.ShowIsolation != "" {
			equal(c, level.String(), one[string](c, tx, c.d.ShowIsolation), want)
		} else {
			equal(c, level.String(), one[int](c, tx, "SELECT 41 + 1"), 42)
		}
		c.must("Commit", tx.Commit())
	}
}

// Whether levels that do not exist are refused or ignored is up to the driver. A
// refusal must leave nothing behind.
func isolationOthers(c *trial) {
	c.db.SetMaxOpenConns(2)
	for _, level := range append(everyLevel, sql.IsolationLevel(100)) {
		if _, ok := c.d.Isolation[level]; ok {
			continue
		}
		for range manyTimes {
			tx, err := c.db.BeginTx(c.ctx, &sql.TxOptions{Isolation: level})
			if err == nil {
				c.must("Rollback", tx.Rollback())
			}
			if err == nil && c.d.RefusesIsolation {
				c.Errorf("%v is not refused", level)
			}
			c.noteErr(level.String(), err)
		}
	}
	c.usable("levels that do not exist")
}

func isolationEnds(c *trial) {
	c.skipUnless(len(c.d.Isolation) > 0 && c.d.ShowIsolation != "", "does not show the isolation level")
	c.db.SetMaxOpenConns(1) // so that the next transaction is on the same connection
	show := func(options *sql.TxOptions) string {
		tx, err := c.db.BeginTx(c.ctx, options)
		c.must("BeginTx", err)
		defer tx.Rollback()
		return one[string](c, tx, c.d.ShowIsolation)
	}
	usual := show(nil)
	for level := range c.d.Isolation {
		show(&sql.TxOptions{Isolation: level})
		if got := show(nil); got != usual {
			c.Errorf("after %v the usual level is %q, want %q", level, got, usual)
		}
	}
	c.note("usual level: %s", usual)
}

func isolationReadOnly(c *trial) {
	table := c.keyed("readonly", c.d.Types.Text)
	c.insert(c.db, table, 1, "before")
	tx, err := c.db.BeginTx(c.ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil && !c.d.ReadOnly {
		c.noteErr("BeginTx", err)
		return
	}
	c.must("BeginTx", err)
	defer tx.Rollback()
	equal(c, "rows", c.count(tx, table), 1)
	_, err = tx.ExecContext(c.ctx, c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table), 2, "no")
	if c.d.ReadOnly {
		c.wantClass("a write", err, ReadOnlyViolated)
	} else {
		c.noteErr("a write", err)
	}
	c.must("Rollback", tx.Rollback())
	equal(c, "rows", c.count(c.db, table), 1)
}

func isolationReadOnlyEnds(c *trial) {
	c.skipUnless(c.d.ReadOnly, "has no read-only transactions")
	table := c.keyed("writable", c.d.Types.Text)
	c.db.SetMaxOpenConns(1)
	tx, err := c.db.BeginTx(c.ctx, &sql.TxOptions{ReadOnly: true})
	c.must("BeginTx", err)
	c.must("Commit", tx.Commit())
	c.insert(c.db, table, 1, "outside")
	tx = c.begin()
	defer tx.Rollback()
	c.insert(tx, table, 2, "in the next transaction")
	c.must("Commit", tx.Commit())
	equal(c, "rows", c.count(c.db, table), 2)
}
