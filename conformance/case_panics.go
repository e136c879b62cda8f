package conformance

import (
	"database/sql"
	"database/sql/driver"
)

// There is no case for a panic in a Scanner: Rows.Scan keeps a lock then, and
// Rows.Close waits for it for ever, whatever the driver.
func panicCases() []testCase {
	return []testCase{
		{"panics/in a Valuer", panicsValuer},
		{"panics/in a Valuer of a query", panicsValuerQuery},
		{"panics/in a Valuer, in a transaction", panicsValuerTx},
		{"panics/in Raw", panicsRaw},
	}
}

// itself is what the panics of these cases are called with, to be recognised.
var itself = new(int)

type panickingValuer struct{}

func (panickingValuer) Value() (driver.Value, error) { panic(itself) }

// panics expects the panic to come through unchanged.
func (c *trial) panics(what string, do func()) {
	c.Helper()
	var recovered any
	func() {
		defer func() { recovered = recover() }()
		do()
	}()
	if recovered != any(itself) {
		c.Errorf("%s: recovered %v, want the panic's own value", what, recovered)
	}
}

// A panic in Exec gives the connection back.
func panicsValuer(c *trial) {
	table := c.keyed("panics", c.d.Types.Text)
	c.db.SetMaxOpenConns(2)
	insert := c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table)
	for range manyTimes {
		c.panics("Exec", func() { _, _ = c.db.ExecContext(c.ctx, insert, 1, panickingValuer{}) })
		c.usable("a panic")
	}
	equal(c, "rows", c.count(c.db, table), 0)
}

// After a panic in Query, or in a statement, database/sql itself forgets to give
// the connection back, and counts it as in use for ever. So there is no limit
// here: what is below it must go on.
func panicsValuerQuery(c *trial) {
	c.losesConns = true
	table := c.keyed("panics", c.d.Types.Text)
	query := c.sql("SELECT v FROM %s WHERE v = ?", table)
	stmt := c.prepare(c.db, query)
	defer stmt.Close()
	for range manyTimes / 2 {
		c.panics("Query", func() { _ = drain(c.db.QueryContext(c.ctx, query, panickingValuer{})) })
		c.panics("Stmt.Query", func() { _ = drain(stmt.QueryContext(c.ctx, panickingValuer{})) })
		c.usable("a panic")
	}
	equal(c, "rows", c.count(c.db, table), 0)
}

func panicsValuerTx(c *trial) {
	table := c.keyed("panics", c.d.Types.Text)
	c.db.SetMaxOpenConns(2)
	insert := c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table)
	for range manyTimes {
		tx := c.begin()
		defer tx.Rollback()
		c.insert(tx, table, 1, "never kept")
		c.panics("Tx.Exec", func() { _, _ = tx.ExecContext(c.ctx, insert, 2, panickingValuer{}) })
		c.must("Rollback", tx.Rollback())
	}
	equal(c, "rows", c.count(c.db, table), 0)
}

func panicsRaw(c *trial) {
	c.db.SetMaxOpenConns(2)
	for range manyTimes {
		conn := c.conn()
		c.panics("Raw", func() { _ = conn.Raw(func(any) error { panic(itself) }) })
		// database/sql cannot know what the function did, and gives the
		// connection up.
		c.wantErr("Close", conn.Close(), sql.ErrConnDone)
		c.usable("a panic in Raw")
	}
}
