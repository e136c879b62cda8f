package tx

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"sync"

	"github.com/nimue-go/nimue/internal/txguard"
)

// transaction is one attempt's.
type transaction struct {
	db       Beginner
	tx       *sql.Tx
	ctx      context.Context // Run's. Where it ends, database/sql rolls back
	guard    *txguard.Guard
	settings *settings
	marked   bool

	mu         sync.Mutex // guards what is below, and the levels
	savepoints int        // so far
	broken     error      // why a nested Run could not be undone
}

// markerName is the savepoint's of a transaction with a marker.
const markerName = "nimue_begin"

// mark sets the marker if there is to be one.
func (t *transaction) mark() error {
	t.marked = t.settings.marker
	if !t.settings.marking {
		t.marked = !t.guard.Claimed() && isMySQL(t.db)
	}
	if !t.marked {
		return nil
	}
	if _, err := t.tx.ExecContext(t.ctx, "SAVEPOINT "+markerName); err != nil {
		return fmt.Errorf("tx: marker: %w", err)
	}
	return nil
}

// isMySQL tells whether db is one of github.com/go-sql-driver/mysql's, from the
// names of its types. That driver reports the COMMIT of a transaction that has long
// been rolled back as a success, as its server does.
func isMySQL(db Beginner) (yes bool) {
	switch db := db.(type) {
	case interface{ Driver() driver.Driver }:
		return fmt.Sprintf("%T", db.Driver()) == "*mysql.MySQLDriver"
	case *sql.Conn:
		_ = db.Raw(func(conn any) error { // without its connection, nothing works anyway
			yes = fmt.Sprintf("%T", conn) == "*mysql.mysqlConn"
			return nil
		})
	}
	return yes
}

// ready tells why the transaction must not be committed, or nil.
func (t *transaction) ready() error {
	if cause := t.failure(); cause != nil {
		return &AbortedError{Cause: cause}
	}
	if err := t.ctx.Err(); err != nil {
		return notCommitted(err)
	}
	if !t.marked {
		return nil
	}
	_, err := t.tx.ExecContext(t.ctx, "RELEASE SAVEPOINT "+markerName)
	switch codeOf(err).kind {
	case noCode:
		if err != nil {
			err = notCommitted(err) // a connection that broke
		}
		return err
	case sqlState: // of a database that holds on to a failed transaction
		return &AbortedError{Cause: err}
	}
	return &AbortedError{Cause: fmt.Errorf("the transaction had ended before its commit, and statements after that end may have been kept, each on its own: %w", err)}
}

// failure is a failure in the transaction that nothing has undone.
func (t *transaction) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken != nil {
		return t.broken
	}
	return t.guard.Cause()
}

// rollback ends the transaction. If that fails, the connection is of no use any
// more, or the transaction has ended before: either way nothing of it stays.
func (t *transaction) rollback() { _ = t.tx.Rollback() }
