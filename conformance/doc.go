// Package conformance holds a database/sql driver to what users of database/sql
// rely on, and tells whether two ways to the same database behave alike.
//
// [Run] puts every case of the suite to a [Target], each as a subtest that fails
// by itself where the driver breaks a promise. It also writes down what each
// case observed: values, Go types, error texts. [Compare] sets two such
// [Outcome] values against each other, so that a driver wrapper, a proxy or a
// pool can be shown to change nothing:
//
//	direct := conformance.Run(t, conformance.Target{Name: "direct", Open: openDirect, Dialect: conformance.SQLite()})
//	through := conformance.Run(t, conformance.Target{Name: "through", Open: openThrough, Dialect: conformance.SQLite()})
//	conformance.Compare(t, direct, through)
//
// A [Dialect] says how a database spells things and what it can do. There is one
// for SQLite, for PostgreSQL and for MySQL and MariaDB; README.md explains how to
// write another. The package itself imports no driver.
package conformance
