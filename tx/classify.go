package tx

import (
	"fmt"
	"reflect"
	"strings"
)

// Class is what an error means for a transaction.
type Class uint8

const (
	// Unknown leaves the judgement to the default rules; those that do not know
	// either mean Final.
	Unknown Class = iota
	// Final: the same again would fail in the same way, or nobody can tell.
	Final
	// Conflict: other transactions were in the way, and the database has rolled
	// this one back, or could do nothing else. The same again may succeed.
	Conflict
	// Integrity: a constraint was violated. It is retried with [RetryIntegrity].
	Integrity
)

// String is the class's name.
func (c Class) String() string {
	names := [...]string{"Unknown", "Final", "Conflict", "Integrity"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("Class(%d)", uint8(c))
}

// ClassOf is how Run judges errors by itself. It looks through wrapped ones, and
// imports no driver:
//
//   - by a method SQLState() string, which pgx and lib/pq have: 40001 and 40P01 are
//     conflicts; class 23 and 40002 integrity errors;
//   - by the Number of a MySQLError, as of github.com/go-sql-driver/mysql: 1213
//     (deadlock), 1205 (lock wait timeout), 1020 (record changed since the last
//     read, MariaDB), 1614 and 3101 are conflicts; 1048, 1062, 1451, 1452, 3819,
//     4025 and their kin integrity errors;
//   - by the code of an SQLite error, as of modernc.org/sqlite and mattn/go-sqlite3:
//     SQLITE_BUSY and SQLITE_LOCKED, extended or not, are conflicts;
//     SQLITE_CONSTRAINT are integrity errors.
//
// Other errors of a database are Final, and what is none is Unknown.
func ClassOf(err error) Class {
	switch c := codeOf(err); c.kind {
	case sqlState:
		return classOfState(c.state)
	case mysqlNumber:
		return classOfMySQL(c.number)
	case sqliteCode:
		return classOfSQLite(c.number)
	}
	return Unknown
}

func classOfState(state string) Class {
	switch {
	case state == "40001", state == "40P01":
		return Conflict
	case state == "40002", strings.HasPrefix(state, "23"):
		return Integrity
	}
	return Final
}

func classOfMySQL(number int) Class {
	switch number {
	case 1213, // ER_LOCK_DEADLOCK, of Galera's certification too
		1205, // ER_LOCK_WAIT_TIMEOUT
		1020, // ER_CHECKREAD
		1614, // ER_XA_RBDEADLOCK
		3101: // ER_TRANSACTION_ROLLBACK_DURING_COMMIT: group replication
		return Conflict
	case 1022, 1062, 1169, 1557, 1586, 1761, 1762, // a key that exists
		1048, 1364, // no value where there must be one
		1216, 1217, 1451, 1452, // references
		3819, 4025: // CHECK, in MySQL and MariaDB
		return Integrity
	}
	return Final
}

// The primary codes of SQLite that matter here.
const (
	sqliteError      = 1
	sqliteBusy       = 5
	sqliteLocked     = 6
	sqliteIOError    = 10
	sqliteCorrupt    = 11
	sqliteConstraint = 19
)

func classOfSQLite(code int) Class {
	switch code & 0xff {
	case sqliteBusy, sqliteLocked:
		return Conflict
	case sqliteConstraint:
		return Integrity
	}
	return Final
}

// code is a database's own name for an error.
type code struct {
	kind   codeKind
	state  string // if kind is sqlState
	number int    // if it is one of the others
}

type codeKind uint8

const (
	noCode codeKind = iota
	sqlState
	mysqlNumber
	sqliteCode
)

// codeOf finds the first code in the tree of an error, in errors.As's order.
func codeOf(err error) (found code) {
	visit(err, func(err error) bool {
		found = ownCode(err)
		return found.kind != noCode
	})
	return found
}

// visit calls f on an error and all that it wraps, until f returns true.
func visit(err error, f func(error) bool) bool {
	if err == nil {
		return false
	}
	if f(err) {
		return true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return visit(e.Unwrap(), f)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if visit(err, f) {
				return true
			}
		}
	}
	return false
}

// ownCode reads the code of one error. Where a driver shows it in a field only, that
// is read by reflection, and only of a type that has the driver's name for it: other
// errors have numbers as well.
func ownCode(err error) code {
	if e, ok := err.(interface{ SQLState() string }); ok && e.SQLState() != "" {
		return code{kind: sqlState, state: e.SQLState()}
	}
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return code{}
	}
	t := v.Type()
	if t.Name() == "MySQLError" {
		if number := v.FieldByName("Number"); number.IsValid() && number.CanUint() {
			return code{kind: mysqlNumber, number: int(number.Uint())}
		}
	}
	if t.Name() == "Error" && strings.Contains(t.PkgPath(), "sqlite") {
		if e, ok := err.(interface{ Code() int }); ok {
			return code{kind: sqliteCode, number: e.Code()}
		}
		if number := v.FieldByName("Code"); number.IsValid() && number.CanInt() {
			return code{kind: sqliteCode, number: int(number.Int())}
		}
	}
	return code{}
}
