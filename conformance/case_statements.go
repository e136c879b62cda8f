package conformance

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
)

func statementCases() []testCase {
	return []testCase{
		{"statements/used again and again", statementsReused},
		{"statements/on many goroutines", statementsConcurrent},
		{"statements/while the preparing connection is in use", statementsOtherConn},
		{"statements/after the preparing connection is gone", statementsConnGone},
		{"statements/prepared in a transaction", statementsTxPrepare},
		{"statements/taken into a transaction", statementsTxStmt},
		{"statements/two open queries in a transaction", statementsOverlapping},
		{"statements/prepared on a Conn", statementsOnConn},
		{"statements/closed while its rows are open", statementsClosedEarly},
		{"statements/many texts", statementsManyTexts},
		{"statements/with a syntax error", statementsSyntax},
		{"statements/after the table changed", statementsTableChanged},
	}
}

// prepare prepares a statement that must be valid. The caller closes it.
func (c *trial) prepare(q querier, query string) *sql.Stmt {
	c.Helper()
	stmt, err := q.PrepareContext(c.ctx, query)
	c.must("Prepare", err)
	return stmt
}

// ask runs a prepared query of one number.
func (c *trial) ask(stmt *sql.Stmt, args ...any) int {
	c.Helper()
	var n int
	c.must("Stmt.QueryRow", stmt.QueryRowContext(c.ctx, args...).Scan(&n))
	return n
}

// tens makes a table in which v is ten times the id, from 0 to 9, and the query
// for one of them.
func (c *trial) tens() (table, query string) {
	c.Helper()
	table = c.keyed("tens", c.d.Types.Int)
	for i := range 10 {
		c.insert(c.db, table, i, 10*i)
	}
	return table, c.sql("SELECT v FROM %s WHERE id = ?", table)
}

func statementsReused(c *trial) {
	_, query := c.tens()
	stmt := c.prepare(c.db, query)
	for i := range 50 {
		if got := c.ask(stmt, i%10); got != 10*(i%10) {
			c.Fatalf("use %d: got %d", i, got)
		}
	}
	c.must("Close", stmt.Close())
	c.must("second Close", stmt.Close())
	_, err := stmt.QueryContext(c.ctx, 1)
	c.wantText("after Close", err, "sql: statement is closed")
}

func statementsConcurrent(c *trial) {
	_, query := c.tens()
	stmt := c.prepare(c.db, query)
	defer stmt.Close()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 40 {
				id := (worker + i) % 10
				var got int
				if err := stmt.QueryRowContext(c.ctx, id).Scan(&got); err != nil || got != 10*id {
					c.Errorf("id %d: got %d, %v", id, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	c.note("8 goroutines, 40 queries each")
}

// With its own connection taken by somebody else, a statement must find another.
func statementsOtherConn(c *trial) {
	_, query := c.tens()
	stmt := c.prepare(c.db, query)
	defer stmt.Close()
	var held []*sql.Conn
	for range 3 {
		conn, err := c.db.Conn(c.ctx)
		c.must("Conn", err)
		defer conn.Close()
		held = append(held, conn)
		equal(c, fmt.Sprintf("with %d connections held", len(held)), c.ask(stmt, len(held)), 10*len(held))
	}
	rows, err := stmt.QueryContext(c.ctx, 4)
	c.must("query", err)
	defer rows.Close()
	equal(c, "while its own rows are open", c.ask(stmt, 5), 50)
}

func statementsConnGone(c *trial) {
	table, query := c.tens()
	stmt := c.prepare(c.db, query)
	defer stmt.Close()
	insert := c.prepare(c.db, c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table))
	defer insert.Close()

	for i := range 3 {
		conn, err := c.db.Conn(c.ctx)
		c.must("Conn", err)
		// This is how a user makes database/sql throw a connection away.
		err = conn.Raw(func(any) error { return driver.ErrBadConn })
		if !errors.Is(err, driver.ErrBadConn) {
			c.Errorf("Raw: %v, want driver.ErrBadConn", err)
		}
		_ = conn.Close() // says that the connection is gone, or nothing
		equal(c, "query after a connection was thrown away", c.ask(stmt, i), 10*i)
	}
	c.db.SetMaxIdleConns(-1)
	equal(c, "query without idle connections", c.ask(stmt, 7), 70)
	result, err := insert.ExecContext(c.ctx, 100, 1000)
	c.must("insert without idle connections", err)
	c.affected("INSERT", result, 1)
}

func statementsTxPrepare(c *trial) {
	table, query := c.tens()
	tx, err := c.db.BeginTx(c.ctx, nil)
	c.must("BeginTx", err)
	defer tx.Rollback()
	insert := c.prepare(tx, c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table))
	for i := range 5 {
		_, err := insert.ExecContext(c.ctx, 100+i, 0)
		c.must("Stmt.Exec", err)
	}
	stmt := c.prepare(tx, query)
	equal(c, "its own row", c.ask(stmt, 102), 0)
	c.must("Close", stmt.Close())
	c.must("Rollback", tx.Rollback())
	equal(c, "rows after the rollback", c.count(c.db, table), 10)
	_, err = insert.ExecContext(c.ctx, 200, 0)
	c.refused("after the rollback", err)
	c.must("Close after the rollback", insert.Close())
}

func statementsTxStmt(c *trial) {
	table, query := c.tens()
	insert := c.prepare(c.db, c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table))
	defer insert.Close()
	stmt := c.prepare(c.db, query)
	defer stmt.Close()
	for i, commit := range []bool{true, false} {
		id := 100 + i
		tx, err := c.db.BeginTx(c.ctx, nil)
		c.must("BeginTx", err)
		defer tx.Rollback()
		_, err = tx.StmtContext(c.ctx, insert).ExecContext(c.ctx, id, 5)
		c.must("Stmt.Exec", err)
		inTx := tx.Stmt(stmt)
		equal(c, "inside", c.ask(inTx, id), 5)
		err = stmt.QueryRowContext(c.ctx, id).Scan(new(int))
		c.wantErr("outside", err, sql.ErrNoRows)
		if commit {
			c.must("Commit", tx.Commit())
			equal(c, "after the commit", c.ask(stmt, id), 5)
		} else {
			c.must("Rollback", tx.Rollback())
			c.wantErr("after the rollback", stmt.QueryRowContext(c.ctx, id).Scan(new(int)), sql.ErrNoRows)
		}
		c.refused("the transaction's statement after its end", inTx.QueryRowContext(c.ctx, id).Scan(new(int)))
	}
}

// Two results of one statement open at once must not disturb each other.
func statementsOverlapping(c *trial) {
	c.skipUnless(c.d.OverlappingStatements, "allows one open result per statement and connection")
	table, _ := c.tens()
	tx, err := c.db.BeginTx(c.ctx, nil)
	c.must("BeginTx", err)
	defer tx.Rollback()
	stmt := c.prepare(tx, c.sql("SELECT id FROM %s WHERE id >= ? ORDER BY id", table))
	outer, err := stmt.QueryContext(c.ctx, 7)
	c.must("query", err)
	defer outer.Close()
	for outer.Next() {
		var a int
		c.must("Scan", outer.Scan(&a))
		inner, err := stmt.QueryContext(c.ctx, a-1)
		for _, b := range column[int](c, inner, err) {
			c.note("%d %d", a, b)
			if b < a-1 {
				c.Errorf("the inner result of %d has %d", a, b)
			}
		}
	}
	c.must("Rows.Err", outer.Err())
	equal(c, "pairs", len(c.result.Lines), 4+3+2)
	c.must("Commit", tx.Commit())
}

func statementsOnConn(c *trial) {
	_, query := c.tens()
	conn, err := c.db.Conn(c.ctx)
	c.must("Conn", err)
	defer conn.Close()
	stmt := c.prepare(conn, query)
	equal(c, "on the Conn", c.ask(stmt, 3), 30)
	tx, err := conn.BeginTx(c.ctx, nil)
	c.must("BeginTx", err)
	defer tx.Rollback()
	equal(c, "in the Conn's transaction", c.ask(tx.Stmt(stmt), 4), 40)
	c.must("Commit", tx.Commit())
	c.must("Conn.Close", conn.Close())
	c.wantErr("after the Conn's Close", stmt.QueryRowContext(c.ctx, 3).Scan(new(int)), sql.ErrConnDone)
	c.must("Close", stmt.Close())
}

func statementsClosedEarly(c *trial) {
	table, _ := c.tens()
	stmt := c.prepare(c.db, c.sql("SELECT v FROM %s WHERE id >= ? ORDER BY id", table))
	rows, err := stmt.QueryContext(c.ctx, 0)
	c.must("query", err)
	defer rows.Close()
	equal(c, "Next", rows.Next(), true)
	c.must("Stmt.Close", stmt.Close())
	rest := column[int](c, rows, nil)
	equal(c, "rows read after the statement's Close", fmt.Sprint(rest), "[10 20 30 40 50 60 70 80 90]")
	_, err = stmt.QueryContext(c.ctx, 0)
	c.wantText("after Close", err, "sql: statement is closed")
}

// More texts than a cache of statements is likely to hold, each used twice.
func statementsManyTexts(c *trial) {
	table, _ := c.tens()
	conn, err := c.db.Conn(c.ctx)
	c.must("Conn", err)
	defer conn.Close()
	sum := 0
	for range 2 {
		for i := range 200 {
			stmt := c.prepare(conn, c.sql("SELECT v + %d FROM %s WHERE id = ?", i, table))
			sum += c.ask(stmt, i%10)
			c.must("Close", stmt.Close())
		}
	}
	equal(c, "sum", sum, 2*(199*200/2+20*450))
}

// A driver may parse at Prepare or at the first use. Either must say so, and
// neither may harm the connection.
func statementsSyntax(c *trial) {
	for range manyTimes {
		stmt, err := c.db.PrepareContext(c.ctx, syntaxError)
		if err == nil {
			_, err = stmt.ExecContext(c.ctx)
			c.must("Close", stmt.Close())
		}
		c.wantClass("Prepare or Exec", err, SyntaxError)
	}
	c.usable("syntax errors")
}

// A plan must not outlive the table that it was made for unnoticed. A use after
// the change answers rightly or with an error; preparing again helps.
func statementsTableChanged(c *trial) {
	table, _ := c.tens()
	query := c.sql("SELECT * FROM %s WHERE id = ?", table)
	stmt := c.prepare(c.db, query)
	defer stmt.Close()
	n, err := c.width(stmt)
	c.must("query", err)
	equal(c, "columns before", n, 2)
	c.exec(c.db, fmt.Sprintf("ALTER TABLE %s ADD COLUMN extra %s", table, c.d.Types.Text))
	n, err = c.width(stmt)
	if c.noteErr("first use", err); err == nil {
		equal(c, "columns after", n, 3)
	}
	c.must("Close", stmt.Close())
	again := c.prepare(c.db, query)
	defer again.Close()
	n, err = c.width(again)
	c.must("query prepared again", err)
	equal(c, "columns when prepared again", n, 3)
}

// width is the number of columns in the first row of a query for one id.
func (c *trial) width(stmt *sql.Stmt) (int, error) {
	rows, err := stmt.QueryContext(c.ctx, 1)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	if !rows.Next() {
		return 0, rows.Err()
	}
	names, err := rows.Columns()
	return len(names), err
}
