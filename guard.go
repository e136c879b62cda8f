package nimue

import (
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
