package tx

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// fate is what became of a transaction whose COMMIT returned an error.
type fate uint8

const (
	unsure     fate = iota // committed or not
	rolledBack             // for certain
	aborted                // rolled back before the COMMIT, which only said so
)

// commitError turns the error of (*sql.Tx).Commit into Run's. ctx is the
// transaction's.
func commitError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil:
		return notCommitted(ctx.Err()) // database/sql was faster
	case errors.Is(err, sql.ErrTxDone):
		return fmt.Errorf("tx: the function ended the transaction itself: %w", err)
	}
	switch fateOf(err) {
	case aborted:
		return &AbortedError{Cause: err}
	case rolledBack:
		return &CommitError{Err: err}
	}
	return &CommitError{Err: err, Ambiguous: true}
}

// fateOf judges an error of COMMIT. Only an answer of the database's says that the
// transaction was rolled back. A driver's word that it sent nothing does not count:
// pgx has SafeToRetry in the error of a COMMIT that was sent and not answered.
func fateOf(err error) fate {
	if saysAborted(err) {
		return aborted
	}
	if lostConnection(err) {
		return unsure
	}
	switch c := codeOf(err); c.kind {
	case sqlState:
		return fateByState(c.state)
	case mysqlNumber:
		return fateByMySQL(c.number)
	case sqliteCode:
		return fateBySQLite(c.number)
	}
	return unsure
}

func lostConnection(err error) bool {
	for _, lost := range []error{driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed,
		context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, lost) {
			return true
		}
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// fateByState: a session that ends while it commits (57P01 and its kin) may have
// done so by then.
func fateByState(state string) fate {
	if state == "40003" || strings.HasPrefix(state, "08") || strings.HasPrefix(state, "57P") {
		return unsure
	}
	return rolledBack
}

func fateByMySQL(number int) fate {
	switch number {
	case 1053, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 3169, 4031, // the session has ended
		1180, // ER_ERROR_DURING_COMMIT
		1317: // ER_QUERY_INTERRUPTED
		return unsure
	}
	return rolledBack
}

func fateBySQLite(code int) fate {
	switch code & 0xff {
	case sqliteIOError, sqliteCorrupt:
		return unsure
	}
	return rolledBack
}

// saysAborted recognises the errors with which drivers report that there was
// nothing to commit any more. They have no code.
func saysAborted(err error) bool {
	return visit(err, func(err error) bool {
		switch text := err.Error(); text {
		case "commit unexpectedly resulted in rollback", // pgx.ErrTxCommitRollback
			"pq: Could not complete operation in a failed transaction":
			return true
		default:
			return ownCode(err).kind == sqliteCode && strings.Contains(text, "cannot commit - no transaction is active")
		}
	})
}
