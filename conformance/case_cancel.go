package conformance

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"time"
)

func cancelCases() []testCase {
	return []testCase{
		{"cancel/before", cancelBefore},
		{"cancel/before, on a held connection", cancelBeforeHeld},
		{"cancel/during Query", cancelQuery},
		{"cancel/during Exec", cancelExec},
		{"cancel/during a prepared query", cancelPrepared},
		{"cancel/during iteration", cancelIteration},
		{"cancel/in a transaction", cancelTransaction},
		{"cancel/on a Conn", cancelConn},
		{"cancel/while waiting for a connection", cancelWaiting},
		{"cancel/at random", cancelRandom},
	}
}

// underWay is how long a query is left alone before its context ends. Whether it
// has got to the server by then or not, the same must happen.
const underWay = 20 * time.Millisecond

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func cancelBefore(c *trial) {
	table := c.keyed("before", c.d.Types.Text)
	stmt := c.prepare(c.db, "SELECT 1")
	defer stmt.Close()
	c.db.SetMaxOpenConns(2)
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	for range manyTimes {
		_, err := c.db.ExecContext(ctx, c.sql("INSERT INTO %s (id) VALUES (?)", table), 1)
		c.wantErr("Exec", err, context.Canceled)
		_, err = c.db.QueryContext(ctx, "SELECT 1")
		c.wantErr("Query", err, context.Canceled)
		c.wantErr("QueryRow", c.db.QueryRowContext(ctx, "SELECT 1").Scan(new(int)), context.Canceled)
		_, err = c.db.PrepareContext(ctx, "SELECT 1")
		c.wantErr("Prepare", err, context.Canceled)
		_, err = c.db.BeginTx(ctx, nil)
		c.wantErr("BeginTx", err, context.Canceled)
		_, err = c.db.Conn(ctx)
		c.wantErr("Conn", err, context.Canceled)
		c.wantErr("Ping", c.db.PingContext(ctx), context.Canceled)
		_, err = stmt.QueryContext(ctx)
		c.wantErr("Stmt.Query", err, context.Canceled)
		_, err = stmt.ExecContext(ctx)
		c.wantErr("Stmt.Exec", err, context.Canceled)
	}
	equal(c, "rows", c.count(c.db, table), 0)
	c.usable("cancelled calls")
}

// On a connection that is held already, database/sql leaves it to the driver to
// look at the context. A driver may give the connection up for it, and call it
// bad from then on; but it must not execute anything.
func cancelBeforeHeld(c *trial) {
	c.db.SetMaxOpenConns(2)
	table := c.keyed("held", c.d.Types.Text)
	insert := c.sql("INSERT INTO %s (id) VALUES (?)", table)
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	check := func(what string, err error) {
		if !isAny(err, context.Canceled, driver.ErrBadConn) {
			c.Errorf("%s: error %v, want context.Canceled", what, err)
		}
	}
	for range manyTimes {
		conn := c.conn()
		_, err := conn.ExecContext(ctx, insert, 1)
		check("Conn.Exec", err)
		if err := conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
			c.Errorf("Conn.Close: %v", err)
		}
		tx := c.begin()
		_, err = tx.ExecContext(ctx, insert, 1)
		check("Tx.Exec", err)
		_ = tx.Rollback() // an error where the connection is gone, and the transaction with it
	}
	equal(c, "rows", c.count(c.db, table), 0)
	c.usable("cancelled calls")
}

// cancelled calls do with a context that ends while it works, and expects it to
// come back with an error long before the slow query would have been done.
func (c *trial) cancelled(what string, do func(ctx context.Context) error) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, underWay)
	defer cancel()
	start := time.Now()
	err := do(ctx)
	if err == nil {
		c.Fatalf("%s came to its end, in spite of its context", what)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		c.Errorf("%s: error %v, want context.DeadlineExceeded", what, err)
	}
	if took := time.Since(start); took > 5*time.Second {
		c.Fatalf("%s came back after %v, with its context of %v: %v", what, took, underWay, err)
	}
}

// drain runs a query to its end and returns its error.
func drain(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		continue
	}
	return rows.Err()
}

func cancelQuery(c *trial) {
	c.db.SetMaxOpenConns(2)
	for range manyTimes {
		c.cancelled("Query", func(ctx context.Context) error {
			return drain(c.db.QueryContext(ctx, c.d.SlowQuery))
		})
		c.usable("a cancelled query")
	}
	c.note("cancelled %d times", manyTimes)
}

func cancelExec(c *trial) {
	c.db.SetMaxOpenConns(2)
	table := c.keyed("slow", c.d.Types.Text)
	insert := c.sql("INSERT INTO %s (id, v) SELECT count(*), ? FROM (%s) AS slow", table, c.d.SlowQuery)
	for range manyTimes {
		c.cancelled("Exec", func(ctx context.Context) error {
			_, err := c.db.ExecContext(ctx, insert, "never")
			return err
		})
		c.usable("a cancelled statement")
	}
	equal(c, "rows", c.count(c.db, table), 0)
}

func cancelPrepared(c *trial) {
	c.db.SetMaxOpenConns(2)
	slow := c.prepare(c.db, c.d.SlowQuery)
	defer slow.Close()
	for range manyTimes {
		c.cancelled("Stmt.Query", func(ctx context.Context) error { return drain(slow.QueryContext(ctx)) })
		c.usable("a cancelled prepared query")
	}
	// A statement that was not cancelled itself must have suffered nothing.
	quick := c.prepare(c.db, "SELECT 41 + 1")
	defer quick.Close()
	equal(c, "another statement", c.ask(quick), 42)
}

func cancelIteration(c *trial) {
	c.db.SetMaxOpenConns(2)
	for range manyTimes {
		ctx, cancel := context.WithCancel(c.ctx)
		defer cancel()
		rows, err := c.db.QueryContext(ctx, c.d.Series(20_000))
		c.must("query", err)
		defer rows.Close()
		for i := 1; i <= 3; i++ {
			var n int
			if !rows.Next() || rows.Scan(&n) != nil || n != i {
				c.Fatalf("row %d is %d: %v", i, n, rows.Err())
			}
		}
		cancel()
		c.eventually("the rows see that their context ended", func() bool { return errors.Is(rows.Err(), context.Canceled) })
		if err := rows.Close(); err != nil && !errors.Is(err, context.Canceled) {
			c.Errorf("Close: %v", err)
		}
		if rows.Next() {
			c.Errorf("Next after the context's end is true")
		}
		c.usable("rows cut short")
	}
	c.note("cancelled %d times", manyTimes)
}

// A query's own context ends inside a transaction whose context lives. Whether the
// transaction can go on is the driver's matter; a rollback must undo all of it.
func cancelTransaction(c *trial) {
	c.db.SetMaxOpenConns(2)
	table := c.keyed("inside", c.d.Types.Text)
	for range manyTimes {
		tx := c.begin()
		defer tx.Rollback()
		c.insert(tx, table, 1, "never kept")
		c.cancelled("Tx.Query", func(ctx context.Context) error { return drain(tx.QueryContext(ctx, c.d.SlowQuery)) })
		_ = tx.Rollback() // an error where the connection is gone, and the transaction with it
		if n := c.count(c.db, table); n != 0 {
			c.Fatalf("%d rows of a transaction that was rolled back", n)
		}
	}
	c.usable("a cancelled transaction")
	c.note("cancelled %d times", manyTimes)
}

func cancelConn(c *trial) {
	c.db.SetMaxOpenConns(2)
	for range manyTimes {
		conn, err := c.db.Conn(c.ctx)
		c.must("Conn", err)
		defer conn.Close()
		c.cancelled("Conn.Query", func(ctx context.Context) error { return drain(conn.QueryContext(ctx, c.d.SlowQuery)) })
		if err := conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
			c.Errorf("Conn.Close: %v", err)
		}
		c.usable("a query cancelled on a Conn")
	}
	c.note("cancelled %d times", manyTimes)
}

func cancelWaiting(c *trial) {
	c.db.SetMaxOpenConns(1)
	conn, err := c.db.Conn(c.ctx)
	c.must("Conn", err)
	defer conn.Close()
	for range manyTimes {
		c.cancelled("Query", func(ctx context.Context) error { return drain(c.db.QueryContext(ctx, "SELECT 1")) })
		c.cancelled("BeginTx", func(ctx context.Context) error {
			_, err := c.db.BeginTx(ctx, nil)
			return err
		})
		c.cancelled("Ping", c.db.PingContext)
	}
	c.must("Close", conn.Close())
	c.usable("waiting in vain")
	c.note("waited %d times", manyTimes)
}

// cancelRandom ends contexts at every moment of short queries, on many
// goroutines. A query then works or fails, but it never gets another's answer.
func cancelRandom(c *trial) {
	_, query := c.tens()
	stmt := c.prepare(c.db, query)
	defer stmt.Close()
	c.db.SetMaxOpenConns(4)
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for i := range 25 {
				id := (worker + i) % 10
				ctx, cancel := context.WithTimeout(c.ctx, time.Duration(i*i)*3*time.Microsecond)
				var got int
				err := stmt.QueryRowContext(ctx, id).Scan(&got)
				if err == nil && got != 10*id {
					c.Errorf("asked for %d, got %d", 10*id, got)
				}
				if err == nil {
					err = c.db.QueryRowContext(ctx, query, id).Scan(&got)
				}
				if err == nil && got != 10*id {
					c.Errorf("asked for %d, got %d", 10*id, got)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	equal(c, "afterwards", c.ask(stmt, 9), 90)
	c.usable("a storm of cancelled queries")
}
