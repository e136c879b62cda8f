// Package pool keeps physical database connections: it opens them, lends them,
// verifies them in the background and retires them. It knows [driver.Connector]
// and [driver.Conn] and nothing of DSNs or of database/sql's own pool; package
// nimue puts database/sql on top of it.
//
// # States
//
// A connection is in one state: connecting, idle, leased, verifying (a health
// check, or the clean-up after a return) or closing. Every state counts towards
// Config.MaxConns, so the server never sees more.
//
//	             ┌──────── verifying ◄──────┐
//	             ▼            │             │
//	connecting ► idle ◄────► leased ────────┤
//	             │            │             ▼
//	             └────────────┴─────────► closing
//
// # Acquire and release
//
// [Pool.Acquire] takes the idle connection at the top of the stack. Where there
// is none that can be lent as it is, the caller joins a first-in first-out queue.
// A waiter never dials: connects run in goroutines of the pool's own, as many as
// there are waiters that nothing else will serve, at most Config.MaxConnecting at
// a time. Whichever comes first, a returned connection or a new one, serves the
// longest waiter.
//
// # Health
//
// The pool wants to know that a connection died before a caller does. Where it can
// reach the socket, the kernel tells it when the server closes its end, by one
// descriptor for all connections; elsewhere a connection that was not heard of for
// a second is verified before it is lent. Idle ones are verified every
// Config.HealthCheckPeriod. As soon as one connection dies, every other that has
// proved nothing since is under suspicion: it is verified before it is lent, all
// of them at once. So one failure costs one caller an error at most. An idle
// connection that died is replaced.
//
// From the first connect that fails until one succeeds there is an outage: one
// prober dials, with backoff, callers wait for Config.OutageGrace and then fail at
// once. Errors that will not pass by themselves, a wrong password above all, are
// answered at once from the beginning. A server that has become read-only, as
// after a failover, is asked about it (Config.CheckRole), and if it is so, all
// connections are renewed.
//
// # Concurrency
//
// One mutex, Pool.mu, guards the whole state; no other lock is taken while it is
// held, and no driver, hook or logger is ever called under it. A connection that
// is leased, verifying or closing belongs to one goroutine, which alone may call
// into its driver. Goroutines: the keeper (one, from New to Close), and one for
// each connect, verification and close under way; [Pool.Shutdown] waits for all
// of them.
//
// # Time
//
// The uncontended acquire and release read no clock: the keeper stamps the
// connections that were used since it last woke, and knows beforehand when each
// of them will be due for something.
package pool
