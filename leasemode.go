package nimue

import (
	"context"
	"database/sql/driver"

	"github.com/nimue-go/nimue/pool"
)

// With pool_lease=transaction a handle gives its connection back whenever nothing
// of the session is open: no rows and no transaction. Statements never own a
// lease, so they don't count. IsValid, by which a handle gives its connection back
// otherwise, then finds nothing to do, and a *sql.Conn that is held for long holds
// no connection while it does nothing. A loss of connections between two
// operations goes unnoticed, since each begins with a lease of its own.

type pinKey struct{}

// Pin returns a context that pins a *sql.Conn's connection under
// pool_lease=transaction: an operation with such a context leaves the connection
// leased when it ends, and so do those that follow, as long as their contexts are
// pinned too. The first operation without Pin, or closing the *sql.Conn, gives the
// connection back when it ends. That is for what lives in the session: SET,
// temporary tables, LISTEN, advisory locks, cursors WITH HOLD. Undo what others must
// not find before the end, or have pool_reset_sql do it. Under pool_lease=session
// it has no effect.
func Pin(ctx context.Context) context.Context { return context.WithValue(ctx, pinKey{}, true) }

// letGo gives the connection back between two operations of a handle that shares.
func (c *Conn) letGo() {
	u := &c.use
	if c.held && !u.pinned && !u.tx && !u.rawTx && u.rows == 0 {
		c.release()
	}
}

// rowsClosed is told by the rows of a handle that shares. An error is one of
// reading or closing them.
func (c *Conn) rowsClosed(err error) {
	if err != nil {
		c.use.failed = true
		c.use.outcome |= c.judge(err)
	}
	c.maybeOpen()
}

// maybeOpen notes that rows or a transaction have ended.
func (c *Conn) maybeOpen() {
	c.use.open = c.use.tx || c.use.rows > 0
	if c.held && c.use.phase == resting {
		c.leave()
	}
}

// sharedTx is a transaction of a handle that shares, to see its end.
type sharedTx struct {
	driver.Tx
	conn *Conn
	ctx  context.Context
}

// Commit commits and ends the lease. Where it fails the transaction may be open
// still, as SQLite's is when the database is busy: it is rolled back before anybody
// else has the connection.
func (t *sharedTx) Commit() error {
	err := t.Tx.Commit()
	t.ended(err)
	return err
}

// Rollback rolls back and ends the lease.
func (t *sharedTx) Rollback() error {
	err := t.Tx.Rollback()
	if t.ctx.Err() != nil && !keepsAfterRollback(t.conn.lease.Conn()) {
		t.conn.use.outcome |= pool.Broken // database/sql's rule: see mortalTx
	}
	t.ended(err)
	return err
}

func (t *sharedTx) ended(err error) {
	c := t.conn
	c.use.tx = false
	if err != nil {
		c.use.failed = true
		c.use.outcome |= c.judge(err) | pool.OpenTx
	}
	c.maybeOpen()
}
