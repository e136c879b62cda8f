// Package nimue is a database/sql driver that pools underneath. It puts one
// external, actively health-checked connection pool between database/sql and any
// other driver, and existing code changes one line:
//
//	db, err := sql.Open("nimue", "pgx:postgres://app@db.internal/shop?pool_max_conns=20")
//
// The text before the first colon names the inner driver as it is registered
// with database/sql; import it beside this package. The pool_ parameters in the
// query after the last '?' are nimue's, and everything else is handed to the inner
// driver unchanged. See [ParseDSN] for the grammar and the README for the table
// of parameters.
//
// # Why a handle
//
// database/sql has a pool of its own, and two stacked pools work badly together:
// the upper one would keep connections that the lower one can neither verify nor
// lend to anybody else. So what database/sql gets from nimue is not a connection
// but a [Conn], a handle: a few words that hold no connection while they are
// idle. The upper pool keeps handles, which cost nothing, and the lower pool has
// every connection.
//
//	application ── *sql.DB ── handle ┄┄lease┄┄ pool ── connection ── inner driver
//
// # When it leases
//
// A handle leases a connection at its first operation: a query, an exec, a
// prepare, a begin, a ping. Not when database/sql opens or resets it, since it
// does both for connections that it then does not use, and not when it closes a
// statement. The lease waits, if it must, with that operation's context.
//
// One lease serves everything until database/sql is done: one statement and its
// rows, or a transaction, or the life of a held *sql.Conn. What is true of a
// connection with database/sql alone is true of a lease: session state set on a
// held *sql.Conn stays until that is closed.
//
// # When it returns
//
// database/sql calls IsValid on a connection whenever an operation, a
// transaction or a *sql.Conn is finished, before it puts the connection away.
// That is when the handle gives the lease back. The pool then lends the
// connection to the caller who has waited longest, or keeps it idle, or retires
// it. What needs the server first happens in the background: a transaction that
// SQL text left open is rolled back, pool_reset_sql is run, a connection whose
// operation was cut short is verified.
//
// With pool_lease=transaction it gives the lease back after every operation that
// leaves neither rows nor a transaction open, also under a held *sql.Conn, unless the
// context says [Pin].
//
// # Statements
//
// A prepared statement of a handle keeps its text and looks up the inner
// statement on whatever connection is leased when it is used, in that
// connection's cache. It is prepared once per connection, survives any change of
// connection, and closing it touches none.
//
// # Retries
//
// There is one rule. If the inner driver answers driver.ErrBadConn to the first
// operation on a connection that has served before, so that nothing was executed
// and no session state is lost, another connection is taken, within the caller's
// context. A prepared statement that the server refuses to execute, since it has
// forgotten it or the tables have changed beneath it, is prepared anew and executed,
// outside of a transaction. Nothing else is ever sent twice by nimue. (database/sql
// has its own rule for driver.ErrBadConn, which it applies to nimue as to any driver;
// where an adapter knows that something was sent, it gets [ErrUnanswered] instead.)
//
// # Settings of existing code
//
// The settings of *sql.DB then concern handles, and go on working:
//
//   - SetMaxOpenConns(n) bounds how many operations run at a time. If n is below
//     pool_max_conns, the connections above n are never needed; callers wait in
//     database/sql, in random order, and count in its statistics and not in
//     nimue's. Leave it at its default, unlimited, and let pool_max_conns be the
//     limit: waiters are then served in order and time out with an error that
//     says why.
//   - SetMaxIdleConns(n) is how many handles are kept. It closes no connection; it
//     only saves making a handle anew, which takes well under a microsecond.
//   - SetConnMaxLifetime and SetConnMaxIdleTime end handles, not connections: the
//     parameters for those are pool_max_conn_lifetime and pool_max_conn_idle_time.
//   - DB.Stats counts handles: OpenConnections and Idle say nothing of the server.
//     [PoolOf] leads to the pool and its [pool.Stats].
//
// # What Conn.Raw sees
//
// (*sql.Conn).Raw passes the driver's connection, which is the handle, a *[Conn].
// Code that wants the inner driver's connection, as with *stdlib.Conn of pgx,
// calls [Raw] instead of conn.Raw:
//
//	err := nimue.Raw(conn, func(inner driver.Conn) error {
//		return inner.(*stdlib.Conn).Conn().CopyFrom(…)
//	})
//
// # Errors
//
// Errors of the inner driver pass through untouched. A caller who gets no
// connection gets a *[pool.AcquireError], for errors.Is one of [pool.ErrExhausted],
// [pool.ErrAcquireTimeout], [pool.ErrUnavailable], [pool.ErrSuspended] and
// [pool.ErrClosed], its context's error if that ended the wait, and the last connect error. A connect
// error that will not pass by itself, such as a wrong password, is the caller's at
// once and as it is when no connection is open that could come back; any other is
// waited out, for pool_outage_grace at most. No error, log line or name carries a
// password.
//
// # Adapters
//
// Packages adapter/pgx, adapter/mysql and adapter/sqlite are one import each and
// tell nimue what the interfaces of database/sql/driver cannot: where the sockets
// are, what errors mean, whether a server was demoted. See [Adapter].
package nimue
