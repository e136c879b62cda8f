// Package chaos holds tests only: nimue and its peers (a tuned database/sql,
// pgx's stdlib.OpenDBFromPool, pgxpool) under load, while the database or the way
// to it breaks in every manner that a test can bring about on one machine.
//
// Each test starts its own servers, on loopback, from the binaries that are
// installed. See README.md for how to run them and how to read RESULTS.md.
package chaos
