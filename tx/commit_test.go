package tx_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/tx"
)

func TestCommitErrors(t *testing.T) {
	for name, test := range map[string]struct {
		err       error
		ambiguous bool
		aborted   bool
		attempts  int // 1 unless given
	}{
		"serialization failure":        {err: conflict, attempts: 4},
		"the same, of pgx":             {err: &pgconn.PgError{Code: "40001"}, attempts: 4},
		"certification of Galera":      {err: &mysql.MySQLError{Number: 1213}, attempts: 4},
		"a deferred constraint":        {err: integrity},
		"statement timeout":            {err: state("57014")},
		"completion unknown":           {err: state("40003"), ambiguous: true},
		"connection failure":           {err: state("08006"), ambiguous: true},
		"terminated":                   {err: state("57P01"), ambiguous: true},
		"shutdown of MySQL":            {err: &mysql.MySQLError{Number: 1053}, ambiguous: true},
		"error during commit":          {err: &mysql.MySQLError{Number: 1180}, ambiguous: true},
		"invalid connection":           {err: mysql.ErrInvalidConn, ambiguous: true},
		"bad connection":               {err: driver.ErrBadConn, ambiguous: true},
		"end of file":                  {err: fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), ambiguous: true},
		"reset":                        {err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}, ambiguous: true},
		"a conflict, but a broken one": {err: errors.Join(conflict, io.EOF), ambiguous: true},
		"deadline":                     {err: fmt.Errorf("timeout: %w", context.DeadlineExceeded), ambiguous: true},
		"unknown":                      {err: errTest, ambiguous: true},
		"rolled back, of pgx":          {err: pgx.ErrTxCommitRollback, aborted: true},
		"rolled back, of lib/pq":       {err: errors.New("pq: Could not complete operation in a failed transaction"), aborted: true},
	} {
		t.Run(name, func(t *testing.T) {
			hooks := scripted.Hooks{End: func(_ *scripted.Conn, commit bool) error {
				if commit {
					return test.err
				}
				return nil
			}}
			bubble(t, hooks, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
				// However errors are classified, an ambiguous one is not retried.
				err := tx.Run(t.Context(), db, insert, tx.Classify(func(err error) tx.Class {
					if test.ambiguous {
						return tx.Conflict
					}
					return tx.Unknown
				}))
				if !errors.Is(err, test.err) {
					t.Errorf("error %v does not unwrap to the cause", err)
				}
				if got := errors.Is(err, tx.ErrAmbiguousCommit); got != test.ambiguous {
					t.Errorf("%v: ambiguous %t", err, got)
				}
				if got := errors.Is(err, tx.ErrAborted); got != test.aborted {
					t.Errorf("%v: aborted %t", err, got)
				}
				if commit, ok := errors.AsType[*tx.CommitError](err); ok == test.aborted || ok && commit.Ambiguous != test.ambiguous {
					t.Errorf("error %#v", err)
				}
				if n := d.Count("commit"); n != max(test.attempts, 1) {
					t.Errorf("%d attempts", n)
				}
			})
		})
	}
}

func TestDeferredConstraintIsRetriedOnRequest(t *testing.T) {
	hooks := scripted.Hooks{End: func(_ *scripted.Conn, commit bool) error { return integrity }}
	bubble(t, hooks, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		err := tx.Run(t.Context(), db, insert, tx.RetryIntegrity(), tx.Retries(1))
		if !errors.Is(err, integrity) || d.Count("commit") != 2 {
			t.Errorf("%v after %d attempts", err, d.Count("commit"))
		}
	})
}

// A connection that the driver no longer trusts is not used again.
func TestAmbiguousCommitGivesTheConnectionUp(t *testing.T) {
	hooks := scripted.Hooks{End: func(_ *scripted.Conn, commit bool) error { return driver.ErrBadConn }}
	bubble(t, hooks, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		if err := tx.Run(t.Context(), db, insert); !errors.Is(err, tx.ErrAmbiguousCommit) {
			t.Fatal(err)
		}
		synctest.Wait()
		if d.Open() != 0 {
			t.Errorf("calls %q", d.Log())
		}
	})
}

func TestFunctionEndsTheTransactionItself(t *testing.T) {
	for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
		bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, _ *scripted.Driver) {
			err := tx.Run(t.Context(), db, func(_ context.Context, t *sql.Tx) error { return end(t) })
			if !errors.Is(err, sql.ErrTxDone) || errors.Is(err, tx.ErrAmbiguousCommit) {
				t.Errorf("error %v", err)
			}
		})
	}
}
