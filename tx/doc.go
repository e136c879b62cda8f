// Package tx runs functions in transactions: all or nothing, and again when other
// transactions were in the way.
//
//	err := tx.Run(ctx, db, func(ctx context.Context, t *sql.Tx) error {
//		if _, err := t.ExecContext(ctx, "UPDATE accounts SET balance = balance - $1 WHERE id = $2", amount, from); err != nil {
//			return err
//		}
//		_, err := t.ExecContext(ctx, "UPDATE accounts SET balance = balance + $1 WHERE id = $2", amount, to)
//		return err
//	}, tx.Isolation(sql.LevelSerializable), tx.Retries(5))
//
// It works on any *sql.DB and *sql.Conn, and imports no driver. With nimue beneath,
// it sees more: every statement of the transaction that fails.
//
// # Retries
//
// A serialization failure and a deadlock are repeated, in a new transaction, after a
// wait that grows and is drawn at random: three times unless [Retries] says otherwise.
// Integrity errors are repeated on request ([RetryIntegrity]). [ClassOf] tells which
// errors of PostgreSQL, MySQL, MariaDB and SQLite are which, and [Classify] adds to it.
// In SQLite, a transaction that has read and then writes while another one writes is
// refused at once; begin it as a writer (_txlock=immediate in modernc.org/sqlite's DSN)
// where that is frequent. Errors of connections are not repeated: to have a sound one is
// the pool's work.
//
// # Commits that nobody answered
//
// A COMMIT that the database refuses has rolled back. If the connection breaks before
// the answer, nobody knows. Run then returns an error that is [ErrAmbiguousCommit],
// and does not try again, since that could do everything twice.
//
// # Failures that the function hides
//
// A function may overlook the error of a statement and return nil. What it did without
// that statement must not be committed. PostgreSQL sees to that by itself. MySQL and
// SQLite would commit the rest; and after some errors, a deadlock among them, they have
// rolled back all that was done before, and commit each statement that follows on its own.
//
// With nimue beneath, the rule is PostgreSQL's with every database: after a statement
// that failed, be it at once or while its rows were read, the transaction takes no
// other, but for ROLLBACK TO a savepoint. Statements are refused with an [AbortedError],
// and so is the commit. A function that expects an error, a key that exists, say, puts
// that statement into a nested Run.
//
// Without nimue, a statement's failure cannot be seen from here. What remains: PostgreSQL
// and SQLite report at the commit that they have rolled back before, which is an
// [AbortedError] then. MySQL does not report it, so a transaction on
// github.com/go-sql-driver/mysql has a marker (see [Marker]), which tells the same, and
// also that the function ended its transaction unawares, as by CREATE TABLE. That comes
// too late for statements that were committed on their own. With nimue, Marker(true)
// tells of CREATE TABLE, too.
//
// # Nesting
//
// A Run on the same db with the context of a function that is under way is a nested
// one. Its function works in the same transaction, behind a savepoint: an error or a
// panic undoes what it did, and only that, and the outer function may go on. Nothing
// is repeated there; if the outermost function returns the error, that Run repeats
// the whole. Where a nested Run cannot be undone, since the database has rolled back
// everything, the outermost will not commit.
//
// Options that the transaction does not have, another isolation level, say, are
// refused. So are two nested Runs at a time, and one after the outer function has
// returned. A Run on another db, with a *sql.Conn and the *sql.DB that it is from taken
// for two, is a transaction of its own, on another connection.
//
// Nesting needs SAVEPOINT, RELEASE SAVEPOINT and ROLLBACK TO SAVEPOINT, as PostgreSQL,
// MySQL, MariaDB and SQLite have them.
package tx
