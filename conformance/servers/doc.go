// Package servers starts real database servers for tests: privately, from the
// binaries that are installed on the machine, and gone when the test is.
//
// A test asks for a server and gets one of its own:
//
//	pg := servers.Postgres(t)
//	db, err := sql.Open("pgx", pg.URL("postgres"))
//
// Tests of one package that do not change the server's state can share one;
// TestMain then ends it with [Tests] or [StopShared]:
//
//	pg := servers.SharedPostgres(t)
//
// MariaDB and PgBouncer are to be had in the same way. Servers can be shut down in
// several ways and started again with their data, signalled, and, for PostgreSQL,
// joined by a standby that is then promoted.
//
// Nothing outside the server's own temporary directory is read or written, no
// server that was already running is touched, and only processes that were
// started here are ended. On Linux the kernel ends the server when the test
// binary dies in a way that leaves no time to clean up.
//
// Where the binaries are missing, a test is skipped with a text that says what
// to install. With the environment variable NIMUE_REQUIRE_SERVERS set, it fails
// instead, so that a continuous build cannot pass by testing nothing.
package servers
