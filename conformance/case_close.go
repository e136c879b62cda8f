package conformance

func closeCases() []testCase {
	return []testCase{
		{"close/everything after", closeAfter},
		{"close/with rows open", closeOpenRows},
		{"close/with a transaction open", closeOpenTx},
		{"close/with a Conn held", closeHeldConn},
		{"close/with a Conn held that was never used", closeUnusedConn},
		{"close/never used", closeUnused},
	}
}

const databaseClosed = "sql: database is closed"

// shut closes the database. The cases that do it make no tables, since nobody
// could drop them.
func (c *trial) shut() {
	c.Helper()
	c.unusable = true
	c.must("Close", c.db.Close())
}

func closeAfter(c *trial) {
	stmt := c.prepare(c.db, "SELECT 41 + 1")
	equal(c, "before", c.ask(stmt), 42)
	c.shut()
	c.must("second Close", c.db.Close())
	c.wantText("Ping", c.db.PingContext(c.ctx), databaseClosed)
	_, err := c.db.ExecContext(c.ctx, "SELECT 1")
	c.wantText("Exec", err, databaseClosed)
	_, err = c.db.QueryContext(c.ctx, "SELECT 1")
	c.wantText("Query", err, databaseClosed)
	_, err = c.db.PrepareContext(c.ctx, "SELECT 1")
	c.wantText("Prepare", err, databaseClosed)
	_, err = c.db.BeginTx(c.ctx, nil)
	c.wantText("BeginTx", err, databaseClosed)
	_, err = c.db.Conn(c.ctx)
	c.wantText("Conn", err, databaseClosed)
	_, err = stmt.QueryContext(c.ctx)
	c.wantText("Stmt.Query", err, databaseClosed)
	c.must("Stmt.Close", stmt.Close())
}

// Rows that were open before stay readable to their end.
func closeOpenRows(c *trial) {
	rows, err := c.db.QueryContext(c.ctx, c.d.Series(2000))
	c.must("query", err)
	defer rows.Close()
	equal(c, "Next", rows.Next(), true)
	c.shut()
	equal(c, "rows read after Close", len(column[int](c, rows, nil)), 1999)
	equal(c, "connections", c.db.Stats().OpenConnections, 0)
}

func closeOpenTx(c *trial) {
	tx := c.begin()
	defer tx.Rollback()
	equal(c, "before", one[int](c, tx, "SELECT 41 + 1"), 42)
	c.shut()
	equal(c, "after", one[int](c, tx, "SELECT 41 + 1"), 42)
	c.must("Commit", tx.Commit())
	equal(c, "connections", c.db.Stats().OpenConnections, 0)
}

func closeHeldConn(c *trial) {
	c.pin()
	conn := c.conn()
	defer conn.Close()
	equal(c, "before", one[int](c, conn, "SELECT 41 + 1"), 42)
	c.shut()
	equal(c, "after", one[int](c, conn, "SELECT 41 + 1"), 42)
	c.must("Conn.Close", conn.Close())
	equal(c, "connections", c.db.Stats().OpenConnections, 0)
}

// A driver that takes its connections late has none for a Conn that was never
// used. It may refuse, and must not hang, dial or lose count.
func closeUnusedConn(c *trial) {
	conn := c.conn()
	defer conn.Close()
	c.shut()
	var n int
	err := conn.QueryRowContext(c.ctx, "SELECT 41 + 1").Scan(&n)
	c.note("refused: %v", err != nil)
	if err == nil {
		equal(c, "after", n, 42)
	}
	c.must("Conn.Close", conn.Close())
	equal(c, "connections", c.db.Stats().OpenConnections, 0)
}

func closeUnused(c *trial) {
	c.shut()
	_, err := c.db.BeginTx(c.ctx, nil)
	c.wantText("BeginTx", err, databaseClosed)
}
