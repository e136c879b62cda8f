package conformance

import (
	"context"
	"database/sql"
	"testing"
	"time"
)

// Target is one way to a database that the suite is put to.
type Target struct {
	// Name says in reports which target it was.
	Name string

	// Open opens the database. The suite calls it for every case, uses what it
	// returns from many goroutines and closes it. All connections of one
	// returned *sql.DB must see the same database, at least four of them must be
	// usable at a time, and the database must allow tables to be created. What
	// Open itself needs, it cleans up through tb.
	Open func(tb testing.TB) *sql.DB

	// Dialect says how the database spells things, and what it can do.
	Dialect Dialect

	// Normalize, if not nil, is applied to every line that is recorded. It is
	// for texts that differ from one run to the next, such as an address in an
	// error. The names of the suite's own tables are normalised without it.
	Normalize func(line string) string

	// Pin, if not nil, makes the context with which cases use a *sql.Conn that
	// are about its session. It is for a database where a held *sql.Conn has a
	// session of its own only when asked for.
	Pin func(ctx context.Context) context.Context

	// Timeout bounds one case. 0 means 30 seconds.
	Timeout time.Duration
}

const defaultTimeout = 30 * time.Second

// Dialect describes a database together with its driver. Every field that is a
// statement is used as it is; an empty one means that the database or the driver
// cannot do that, and the cases about it are skipped.
type Dialect struct {
	// Name is the database's.
	Name string

	// Placeholder returns the nth parameter's placeholder, n counting from 1.
	Placeholder func(n int) string

	// Types are the column types that the tables are made of.
	Types Types

	// AutoIncrement is the type, with constraints, of a primary key that the
	// database numbers by itself.
	AutoIncrement string

	// LastInsertID says that Result.LastInsertId works. Where it does not, it
	// must return an error.
	LastInsertID bool

	// TimePrecision is what the time column keeps of a time.
	TimePrecision time.Duration

	// SlowQuery is a query that runs for ten seconds or more and returns one
	// row, unless it is cancelled.
	SlowQuery string

	// FailingQuery is a query of one column that fails with an error at run
	// time, after its start: on its second row, say.
	FailingQuery string

	// Series returns a query that yields one column with the numbers 1 to n in
	// order, for n up to 100000.
	Series func(n int) string

	// MultipleResults is one query text with two result sets: the number 1, and
	// then the text two.
	MultipleResults string

	// Named returns the placeholder of the named parameter, where the driver
	// supports sql.Named. It is nil where not.
	Named func(name string) string

	// ExtraArgumentsIgnored says that the driver ignores arguments for which the
	// statement has no placeholder. Others must return an error.
	ExtraArgumentsIgnored bool

	// Isolation is the transaction isolation levels that BeginTx supports beside
	// the default, each with the text that ShowIsolation then returns.
	Isolation map[sql.IsolationLevel]string

	// ShowIsolation is a query for the level of the current transaction.
	ShowIsolation string

	// RefusesIsolation says that BeginTx returns an error for all other levels,
	// rather than to ignore them.
	RefusesIsolation bool

	// ReadOnly says that a write fails in a transaction begun as read-only.
	ReadOnly bool

	// SessionID is a query for what identifies the current connection at the
	// server.
	SessionID string

	// SetSession returns a statement that gives a variable of the session the
	// value n, a number between 1000 and 2000. GetSession is the query for it.
	SetSession func(n int) string
	GetSession string

	// OverlappingQueries says that a second query may be sent on a connection
	// whose first one still has rows to read.
	OverlappingQueries bool

	// OverlappingStatements says the same of one prepared statement, queried
	// again while its own first result has rows to read.
	OverlappingStatements bool

	// Classify tells the class of an error of the driver. It must find the
	// driver's own error type by errors.As, and not go by texts.
	Classify func(err error) ErrorClass
}

// Types names the column types of a dialect.
type Types struct {
	Int   string // a signed integer of 64 bits
	Text  string // a text of any length
	Blob  string // bytes of any length
	Time  string // an instant, see Dialect.TimePrecision
	Bool  string
	Float string // a binary floating-point number of 64 bits
}

// ErrorClass is what kind of error a database reported.
type ErrorClass string

// The classes that the suite provokes.
const (
	Unclassified     ErrorClass = ""
	SyntaxError      ErrorClass = "syntax error"      // the statement cannot be parsed
	MissingTable     ErrorClass = "missing table"     // it names a table that does not exist
	UniqueViolation  ErrorClass = "unique violation"  // a key exists already
	ReadOnlyViolated ErrorClass = "read-only refusal" // a write in a read-only transaction
)
