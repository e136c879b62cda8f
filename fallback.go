//lint:file-ignore SA1019 inner drivers may have only the old interfaces

package nimue

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/nimue-go/nimue/pool"
)

// Inner drivers have any subset of the optional interfaces; a handle has all of
// them. Each function here does for an inner connection or statement what
// database/sql itself would do if it held that, in its order and words.

// execerOf and queryerOf return what executes on the connection, if it has the
// method at all: where it has not, database/sql converts no arguments for it either.
func execerOf(inner driver.Conn) (driver.ExecerContext, bool) {
	if e, ok := inner.(driver.ExecerContext); ok {
		return e, true
	}
	if e, ok := inner.(driver.Execer); ok {
		return oldExecer{e}, true
	}
	return nil, false
}

func queryerOf(inner driver.Conn) (driver.QueryerContext, bool) {
	if q, ok := inner.(driver.QueryerContext); ok {
		return q, true
	}
	if q, ok := inner.(driver.Queryer); ok {
		return oldQueryer{q}, true
	}
	return nil, false
}

// oldExecer and oldQueryer give the old interfaces the new form.
type (
	oldExecer  struct{ driver.Execer }
	oldQueryer struct{ driver.Queryer }
)

func (e oldExecer) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	values, err := oldArgs(ctx, args)
	if err != nil {
		return nil, err
	}
	return e.Exec(query, values)
}

func (q oldQueryer) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	values, err := oldArgs(ctx, args)
	if err != nil {
		return nil, err
	}
	return q.Query(query, values)
}

func execStmt(ctx context.Context, s driver.Stmt, args []driver.NamedValue) (driver.Result, error) {
	if sc, ok := s.(driver.StmtExecContext); ok {
		return sc.ExecContext(ctx, args)
	}
	values, err := oldArgs(ctx, args)
	if err != nil {
		return nil, err
	}
	return s.Exec(values)
}

func queryStmt(ctx context.Context, s driver.Stmt, args []driver.NamedValue) (driver.Rows, error) {
	if sc, ok := s.(driver.StmtQueryContext); ok {
		return sc.QueryContext(ctx, args)
	}
	values, err := oldArgs(ctx, args)
	if err != nil {
		return nil, err
	}
	return s.Query(values)
}

// oldArgs prepares a call of a method without a context: its last chance to end.
func oldArgs(ctx context.Context, args []driver.NamedValue) ([]driver.Value, error) {
	values, err := positional(args)
	if err != nil {
		return nil, err
	}
	select {
	default:
		return values, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func beginOn(ctx context.Context, inner driver.Conn, opts driver.TxOptions) (driver.Tx, error) {
	if b, ok := inner.(driver.ConnBeginTx); ok {
		return b.BeginTx(ctx, opts)
	}
	if opts.Isolation != 0 {
		return nil, errors.New("sql: driver does not support non-default isolation level")
	}
	if opts.ReadOnly {
		return nil, errors.New("sql: driver does not support read-only transactions")
	}
	tx, err := inner.Begin()
	if err == nil && ctx.Done() != nil {
		select {
		default:
		case <-ctx.Done():
			_ = tx.Rollback() // the caller has gone; its error is the context's
			return nil, ctx.Err()
		}
	}
	return tx, err
}

// mortalTx is a transaction that takes its connection along when it is rolled
// back because its context has ended, as database/sql has it for drivers without
// SessionResetter and Validator. database/sql leaves that to nimue, since the
// handle has both, and so would let a *sql.Conn go on where it must be done.
type mortalTx struct {
	driver.Tx
	conn *Conn
	ctx  context.Context
}

// Rollback rolls back and, if the context has ended, ends the lease.
func (t *mortalTx) Rollback() error {
	err := t.Tx.Rollback()
	if t.ctx.Err() != nil {
		t.conn.use.outcome |= pool.Broken
		t.conn.release()
		t.conn.lost = true
	}
	return err
}

// heardTx is a transaction whose errors the listener is told.
type heardTx struct {
	driver.Tx
	lease pool.Lease
}

// Commit commits.
func (t *heardTx) Commit() error { return t.tell(t.Tx.Commit()) }

// Rollback rolls back.
func (t *heardTx) Rollback() error { return t.tell(t.Tx.Rollback()) }

func (t *heardTx) tell(err error) error {
	if err != nil {
		t.lease.Failed(err, "", false)
	}
	return err
}

// keepsAfterRollback is database/sql's rule for the connection of a transaction
// whose context has ended: it is kept only where the driver can both tell
// whether it is usable and reset it.
func keepsAfterRollback(inner driver.Conn) bool {
	_, resets := inner.(driver.SessionResetter)
	_, tells := inner.(driver.Validator)
	return resets && tells
}
