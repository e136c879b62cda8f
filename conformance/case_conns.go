package conformance

import (
	"context"
	"database/sql"
	"errors"
)

func connCases() []testCase {
	return []testCase{
		{"conns/session state", connsState},
		{"conns/one session", connsOneSession},
		{"conns/two sessions", connsTwoSessions},
		{"conns/closed", connsClosed},
		{"conns/transaction", connsTransaction},
		{"conns/Raw", connsRaw},
		{"conns/ping", connsPing},
	}
}

// conn takes a connection. The caller closes it.
func (c *trial) conn() *sql.Conn {
	c.Helper()
	conn, err := c.db.Conn(c.ctx)
	c.must("Conn", err)
	return conn
}

// What is set on a held connection stays set, through queries, statements and
// transactions, whatever others do meanwhile.
func connsState(c *trial) {
	c.pin()
	c.skipUnless(c.d.GetSession != "", "has no session variable")
	conn := c.conn()
	defer conn.Close()
	c.exec(conn, c.d.SetSession(1234))
	other := c.conn()
	defer other.Close()
	c.exec(other, c.d.SetSession(1111))
	for range 5 {
		c.usable("a held connection")
		if got := one[int](c, conn, c.d.GetSession); got != 1234 {
			c.Fatalf("the session's variable is %d, want 1234", got)
		}
	}
	tx, err := conn.BeginTx(c.ctx, nil)
	c.must("BeginTx", err)
	defer tx.Rollback()
	equal(c, "in a transaction", one[int](c, tx, c.d.GetSession), 1234)
	c.must("Commit", tx.Commit())
	equal(c, "after the transaction", one[int](c, conn, c.d.GetSession), 1234)
	equal(c, "of the other", one[int](c, other, c.d.GetSession), 1111)
}

func connsOneSession(c *trial) {
	c.pin()
	c.skipUnless(c.d.SessionID != "", "has no session id")
	conn := c.conn()
	defer conn.Close()
	first := one[string](c, conn, c.d.SessionID)
	for range 5 {
		c.usable("a held connection")
		if got := one[string](c, conn, c.d.SessionID); got != first {
			c.Fatalf("a held connection is another session now")
		}
	}
	tx, err := conn.BeginTx(c.ctx, nil)
	c.must("BeginTx", err)
	defer tx.Rollback()
	equal(c, "the transaction is in the same session", one[string](c, tx, c.d.SessionID) == first, true)
	c.must("Rollback", tx.Rollback())
	stmt := c.prepare(conn, c.d.SessionID)
	defer stmt.Close()
	var got string
	c.must("Stmt.QueryRow", stmt.QueryRowContext(c.ctx).Scan(&got))
	equal(c, "the statement is in the same session", got == first, true)
}

func connsTwoSessions(c *trial) {
	c.pin()
	c.skipUnless(c.d.SessionID != "", "has no session id")
	a, b := c.conn(), c.conn()
	defer a.Close()
	defer b.Close()
	tx := c.begin()
	defer tx.Rollback()
	seen := map[string]bool{}
	for _, q := range []querier{a, b, tx} {
		seen[one[string](c, q, c.d.SessionID)] = true
	}
	equal(c, "sessions", len(seen), 3)
}

func connsClosed(c *trial) {
	conn := c.conn()
	equal(c, "before", one[int](c, conn, "SELECT 41 + 1"), 42)
	c.must("Close", conn.Close())
	c.wantErr("second Close", conn.Close(), sql.ErrConnDone)
	_, err := conn.ExecContext(c.ctx, "SELECT 1")
	c.wantErr("Exec", err, sql.ErrConnDone)
	_, err = conn.QueryContext(c.ctx, "SELECT 1")
	c.wantErr("Query", err, sql.ErrConnDone)
	_, err = conn.PrepareContext(c.ctx, "SELECT 1")
	c.wantErr("Prepare", err, sql.ErrConnDone)
	_, err = conn.BeginTx(c.ctx, nil)
	c.wantErr("BeginTx", err, sql.ErrConnDone)
	c.wantErr("Ping", conn.PingContext(c.ctx), sql.ErrConnDone)
	c.wantErr("Raw", conn.Raw(func(any) error { return nil }), sql.ErrConnDone)
}

func connsTransaction(c *trial) {
	table := c.keyed("kept", c.d.Types.Text)
	conn := c.conn()
	defer conn.Close()
	for i, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback, (*sql.Tx).Commit} {
		tx, err := conn.BeginTx(c.ctx, nil)
		c.must("BeginTx", err)
		defer tx.Rollback()
		c.insert(tx, table, i, "row")
		c.must("end", end(tx))
	}
	equal(c, "rows, on the Conn", c.count(conn, table), 2)
	c.must("Close", conn.Close())
	equal(c, "rows, elsewhere", c.count(c.db, table), 2)
}

func connsRaw(c *trial) {
	conn := c.conn()
	defer conn.Close()
	errOwn := errors.New("the function's own error")
	called := 0
	err := conn.Raw(func(driverConn any) error {
		called++
		if driverConn == nil {
			c.Errorf("Raw passes nil")
		}
		return errOwn
	})
	c.wantErr("Raw", err, errOwn)
	c.must("Raw", conn.Raw(func(any) error { called++; return nil }))
	equal(c, "calls", called, 2)
	equal(c, "then", one[int](c, conn, "SELECT 41 + 1"), 42)
}

func connsPing(c *trial) {
	for range manyTimes {
		c.must("Ping", c.db.PingContext(c.ctx))
	}
	conn := c.conn()
	defer conn.Close()
	c.must("Conn.Ping", conn.PingContext(c.ctx))
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	c.wantErr("Ping with a cancelled context", c.db.PingContext(ctx), context.Canceled)
	equal(c, "then", one[int](c, conn, "SELECT 41 + 1"), 42)
}
