// Package nimueotel shows nimue's pools to OpenTelemetry, by the semantic conventions
// for metrics of database clients. There are two parts, to be used together or alone.
//
// [Register] observes the statistics of all pools of the process whenever a reader
// collects. Between two collections nothing happens, and no use of a pool costs more
// than without it:
//
//	db.client.connection.count             connections, by db.client.connection.state
//	db.client.connection.max               pool_max_conns
//	db.client.connection.idle.max          pool_max_idle_conns
//	db.client.connection.idle.min          pool_min_idle_conns
//	db.client.connection.pending_requests  callers that wait
//	db.client.connection.timeouts          callers that waited in vain
//
// [NewListener] records how long things take, in seconds. OpenTelemetry has no
// histogram that is observed, so each value is recorded as its event comes. It belongs
// into [pool.Config], and has its price there:
//
//	db.client.connection.create_time       a connect that succeeded
//	db.client.connection.wait_time         an acquire that succeeded
//	db.client.connection.use_time          a lease, from acquire to return
//
// Every metric has the attribute db.client.connection.pool.name, the pool's name.
// [Register] tells pools of one name apart as name, name#2 and so on; a listener learns
// the name only, and counts them together. Of what passes through a pool, nothing is
// exported: no error, no statement.
package nimueotel
