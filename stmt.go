package nimue

import (
	"context"
	"database/sql/driver"

	"github.com/nimue-go/nimue/pool"
)

// stmt is a prepared statement of a handle. It keeps the text; the inner
// statement is looked up on the connection that is leased when it is used, and
// prepared there if need be. So it survives any change of connection, and closing
// it touches none.
type stmt struct {
	conn *Conn
	text string
	auto bool // a plain statement's, used once: see autoprepare.go
}

var (
	_ driver.StmtExecContext   = (*stmt)(nil)
	_ driver.StmtQueryContext  = (*stmt)(nil)
	_ driver.NamedValueChecker = (*stmt)(nil)
)

// NumInput is -1: only the inner statement knows. ExecContext and QueryContext
// check the count, in database/sql's words.
func (s *stmt) NumInput() int { return -1 }

// CheckNamedValue accepts every argument as it is: see args.go.
func (s *stmt) CheckNamedValue(*driver.NamedValue) error { return nil }

// Close drops the reference. The inner statement stays in its connection's cache.
func (s *stmt) Close() error { return nil }

// Exec and Query are for callers of the old interface.
func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

// ExecContext executes the statement on the leased connection.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	c := s.conn
	if err := c.refusal(s.text); err != nil {
		return nil, err
	}
	defer c.unwind()
	for renewed := false; ; {
		inner, again, err := s.begin(ctx, len(args))
		if again {
			continue
		}
		if err != nil {
			return nil, err
		}
		converted, err := c.convert(c.lease.Conn(), inner.Stmt, args)
		if err != nil {
			return nil, err
		}
		c.lease.Note(s.text)
		result, err := execStmt(ctx, inner.Stmt, converted)
		if err == nil {
			result = settled(result)
		}
		c.use.ran = true
		c.noteTx(s.text, err)
		c.lease.Done(inner, err, pool.NoRows)
		if !renewed && s.renews(err) {
			renewed = true
			continue
		}
		if again, err := c.end(s.text, err); !again {
			return result, err
		}
	}
}

// QueryContext queries with the statement on the leased connection. The inner
// rows are returned as they are where the statement cannot be needed again before
// they are closed; otherwise they are wrapped to see when that is.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	c := s.conn
	if err := c.refusal(s.text); err != nil {
		return nil, err
	}
	defer c.unwind()
	for renewed := false; ; {
		inner, again, err := s.begin(ctx, len(args))
		if again {
			continue
		}
		if err != nil {
			return nil, err
		}
		converted, err := c.convert(c.lease.Conn(), inner.Stmt, args)
		if err != nil {
			return nil, err
		}
		c.lease.Note(s.text)
		rows, err := queryStmt(ctx, inner.Stmt, converted)
		// Outside a transaction the first execution of a lease is nearly always
		// its only one. If not, the statement counts as busy until the lease ends.
		watch := c.use.tx || c.use.ran || c.shares
		c.use.ran = true
		c.noteTx(s.text, err)
		open := pool.NoRows
		switch {
		case err == nil && watch:
			open = pool.WatchedRows
		case err == nil:
			open = pool.UnseenRows
		}
		c.lease.Done(inner, err, open)
		if !renewed && s.renews(err) {
			renewed = true
			continue
		}
		if err == nil {
			if !watch {
				inner = nil // it stays busy until the lease ends
			}
			rows = c.opened(rows, inner, s.text)
		}
		if again, err := c.end(s.text, err); !again {
			return rows, err
		}
	}
}

// begin leases a connection and gets the inner statement there. Where again is
// true, that connection was no good by the retry rule, and the use begins anew.
func (s *stmt) begin(ctx context.Context, args int) (inner *pool.Stmt, again bool, err error) {
	c := s.conn
	if _, err := c.begin(ctx); err != nil {
		return nil, false, err
	}
	if s.auto && c.lease.StmtOpen(s.text) {
		c.leave()
		return nil, false, errNotPrepared
	}
	inner, called, err := c.lease.Prepare(ctx, s.text)
	if err != nil {
		if s.auto && !c.inTx() { // the plain way has the error in its own words
			c.leave()
			return nil, false, errNotPrepared
		}
		again, err := c.end(s.text, err)
		return nil, again, err
	}
	c.use.touched = c.use.touched || called
	if s.auto && inner.NumInput() >= 0 && inner.NumInput() != args {
		c.leave()
		return nil, false, errNotPrepared
	}
	return inner, false, nil
}

// renews tells whether a use that ended with err is to be tried once more with a
// statement prepared anew: the server said that it would not execute the old one,
// because it has forgotten it or the tables have changed. In a transaction that
// would come too late. The call that was begun is over then.
func (s *stmt) renews(err error) bool {
	c := s.conn
	if err == nil || c.inTx() || c.pool.Classify(err) != pool.StaleStatement {
		return false
	}
	c.leave()
	return true
}

// inTx tells whether a transaction is open on the lease, as far as is known.
func (c *Conn) inTx() bool { return c.use.tx || c.use.rawTx }
