package conformance

import "database/sql"

// syntaxError is no statement of any database.
const syntaxError = "SELEC 1"

func errorCases() []testCase {
	return []testCase{
		{"errors/no rows", errorsNoRows},
		{"errors/syntax", errorsSyntax},
		{"errors/missing table", errorsMissing},
		{"errors/unique violation", errorsUnique},
		{"errors/leave the connection usable", errorsUsable},
	}
}

func errorsNoRows(c *trial) {
	table, query := c.tens()
	c.wantErr("QueryRow", c.db.QueryRowContext(c.ctx, query, 77).Scan(new(int)), sql.ErrNoRows)
	c.wantErr("QueryRow of nothing", c.db.QueryRowContext(c.ctx, "SELECT v FROM "+table+" WHERE 1 = 0").Scan(new(int)), sql.ErrNoRows)
	stmt := c.prepare(c.db, query)
	defer stmt.Close()
	c.wantErr("Stmt.QueryRow", stmt.QueryRowContext(c.ctx, 77).Scan(new(int)), sql.ErrNoRows)
	tx := c.begin()
	defer tx.Rollback()
	c.wantErr("Tx.QueryRow", tx.QueryRowContext(c.ctx, query, 77).Scan(new(int)), sql.ErrNoRows)
	equal(c, "then", one[int](c, tx, query, 7), 70)
	c.must("Commit", tx.Commit())
}

func errorsSyntax(c *trial) {
	_, err := c.db.ExecContext(c.ctx, syntaxError)
	c.wantClass("Exec", err, SyntaxError)
	c.wantClass("Query", drain(c.db.QueryContext(c.ctx, syntaxError)), SyntaxError)
	tx := c.begin()
	defer tx.Rollback()
	_, err = tx.ExecContext(c.ctx, syntaxError)
	c.wantClass("Tx.Exec", err, SyntaxError)
	c.must("Rollback", tx.Rollback())
}

func errorsMissing(c *trial) {
	table := c.prefix + "missing"
	_, err := c.db.ExecContext(c.ctx, "DELETE FROM "+table)
	c.refused("Exec", err)
	// SQLite has one code for this and for a syntax error.
	if class := c.d.Classify(err); class != MissingTable && class != SyntaxError {
		c.Errorf("error %v is classified as %q", err, class)
	}
	c.refused("Query", drain(c.db.QueryContext(c.ctx, "SELECT v FROM "+table)))
}

func errorsUnique(c *trial) {
	table := c.keyed("unique", c.d.Types.Text)
	insert := c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table)
	c.exec(c.db, insert, 1, "first")
	_, err := c.db.ExecContext(c.ctx, insert, 1, "second")
	c.wantClass("Exec", err, UniqueViolation)
	stmt := c.prepare(c.db, insert)
	defer stmt.Close()
	_, err = stmt.ExecContext(c.ctx, 1, "second")
	c.wantClass("Stmt.Exec", err, UniqueViolation)
	_, err = stmt.ExecContext(c.ctx, 2, "another")
	c.must("then", err)
	equal(c, "text", one[string](c, c.db, "SELECT v FROM "+table+" WHERE id = 1"), "first")
	equal(c, "rows", c.count(c.db, table), 2)
}

func errorsUsable(c *trial) {
	table := c.keyed("usable", c.d.Types.Text)
	insert := c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table)
	c.insert(c.db, table, 1, "first")
	conn := c.conn()
	defer conn.Close()
	for range manyTimes {
		_, err := conn.ExecContext(c.ctx, syntaxError)
		c.wantClass("syntax", err, SyntaxError)
		_, err = conn.ExecContext(c.ctx, insert, 1, "again")
		c.wantClass("unique", err, UniqueViolation)
		if n := c.count(conn, table); n != 1 {
			c.Fatalf("%d rows", n)
		}
	}
}
