package nimue

import (
	"database/sql/driver"
	"io"
	"strings"

	"github.com/nimue-go/nimue/internal/txguard"
)

// A transaction of tx.Run has a guard (internal/txguard) that learns of every
// failed statement here, where none can be overlooked, and that refuses those
// after it. PostgreSQL does so by itself. MySQL and SQLite go on: after an error
// that has made them roll the whole transaction back, each further statement
// would be committed on its own.

// refusal is the error for a statement that must not be sent any more. To roll
// back to a savepoint is the one way to go on. Every operation asks; the compiler
// inlines this.
func (c *Conn) refusal(query string) error {
	if c.use.guard == nil {
		return nil
	}
	return refusalBy(c.use.guard, query)
}

func refusalBy(guard *txguard.Guard, query string) error {
	if rollsBackTo(query) {
		return nil
	}
	return guard.Refusal()
}

// guardedRows are the rows of a query in a transaction that has a guard, which must
// see their errors too: a deadlock is often found after the first row, and QueryRow
// and a loop without Err hide what ended them.
type guardedRows struct {
	watchedRows
	failed func(error)
}

// note passes an error on and shows it to the guard. Only io.EOF itself means the
// end to database/sql, too; a wrapped one is a broken connection.
func (r *guardedRows) note(err error) error {
	if err != nil && err != io.EOF {
		r.failed(err)
	}
	return err
}

// Next is the inner rows'.
func (r *guardedRows) Next(dest []driver.Value) error { return r.note(r.Rows.Next(dest)) }

// NextResultSet is the inner rows'.
func (r *guardedRows) NextResultSet() error { return r.note(r.watchedRows.NextResultSet()) }

// Close is the inner rows'.
func (r *guardedRows) Close() error { return r.note(r.watchedRows.Close()) }

// rollsBackTo tells whether SQL text begins with ROLLBACK TO a savepoint.
func rollsBackTo(query string) bool {
	query = query[skipBlank(query):]
	const word = "ROLLBACK"
	if len(query) < len(word) || !strings.EqualFold(query[:len(word)], word) {
		return false
	}
	rest := query[len(word):]
	return nextIs(rest, "TO") || nextIs(rest, "TRANSACTION TO") || nextIs(rest, "WORK TO")
}
