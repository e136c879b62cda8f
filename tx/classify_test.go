package tx_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nimue-go/nimue/tx"
)

// coded has a method like SQLite's errors, and is none.
type coded int

func (c coded) Error() string { return "coded" }
func (c coded) Code() int     { return int(c) }

// MySQLError is what forks of the driver have.
type MySQLError struct{ Number uint32 }

func (e MySQLError) Error() string { return "fork" }

func TestClassOf(t *testing.T) {
	var none *mysql.MySQLError
	for _, test := range []struct {
		err  error
		want tx.Class
	}{
		{nil, tx.Unknown},
		{errTest, tx.Unknown},
		{&pgconn.PgError{Code: "40001"}, tx.Conflict},
		{&pgconn.PgError{Code: "40P01"}, tx.Conflict},
		{&pgconn.PgError{Code: "40003"}, tx.Final},
		{&pgconn.PgError{Code: "40002"}, tx.Integrity},
		{&pgconn.PgError{Code: "23505"}, tx.Integrity},
		{&pgconn.PgError{Code: "42601"}, tx.Final},
		{&pgconn.PgError{}, tx.Unknown},
		{&mysql.MySQLError{Number: 1213}, tx.Conflict},
		{&mysql.MySQLError{Number: 1205}, tx.Conflict},
		{&mysql.MySQLError{Number: 1020}, tx.Conflict},
		{&mysql.MySQLError{Number: 1062}, tx.Integrity},
		{&mysql.MySQLError{Number: 4025}, tx.Integrity},
		{&mysql.MySQLError{Number: 1064}, tx.Final},
		{MySQLError{1213}, tx.Conflict},
		{none, tx.Unknown},
		{coded(5), tx.Unknown},
		{fmt.Errorf("a: %w", errors.Join(errTest, fmt.Errorf("b: %w", conflict))), tx.Conflict},
	} {
		if got := tx.ClassOf(test.err); got != test.want {
			t.Errorf("%#v: %v, want %v", test.err, got, test.want)
		}
	}
}

func TestClassNames(t *testing.T) {
	if got := fmt.Sprint(tx.Unknown, tx.Final, tx.Conflict, tx.Integrity, tx.Class(9)); got != "Unknown Final Conflict Integrity Class(9)" {
		t.Error(got)
	}
}
