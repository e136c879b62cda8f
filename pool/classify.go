package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

// Verdict is what an error of an operation says about its connection.
type Verdict uint8

const (
	// Unknown leaves the judgement to the generic rules.
	Unknown Verdict = iota
	// Keep: the error is the statement's own; the connection is sound.
	Keep
	// Suspect: the connection must be verified before it is lent again.
	Suspect
	// Discard: the connection is unusable, and what it died of may concern the
	// others.
	Discard
	// Demoted: the server may have become read-only, as after a failover. The
	// connection is sound. Config.CheckRole is asked once it is returned.
	Demoted
	// StaleStatement: the server does not know the prepared statement any more,
	// or its plan does not fit the tables any more, and nothing was executed. The
	// connection is sound.
	StaleStatement
)

// Classify judges an error that an operation on a connection returned: first by
// Config.Classify, then by the generic rules: driver.ErrBadConn, broken network
// errors and SQLSTATE 08*, 57P01, 57P02 and 57P03 (the connection exceptions and
// administrator shutdowns of the SQL standard and PostgreSQL) discard; a timeout
// or a cancelled context makes suspect, since an answer may still be under way;
// SQLSTATE 26000, and PostgreSQL's 0A000 for a cached plan, tell of a stale
// statement; all else keeps. It never returns Unknown.
func (p *Pool) Classify(err error) Verdict {
	if err == nil {
		return Keep
	}
	if classify := p.settings.Load().Classify; classify != nil {
		if v := classify(err); v != Unknown {
			return v
		}
	}
	return genericVerdict(err)
}

func genericVerdict(err error) Verdict {
	if errors.Is(err, driver.ErrBadConn) {
		return Discard
	}
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		switch state := coded.SQLState(); {
		case strings.HasPrefix(state, "08"), state == "57P01", state == "57P02", state == "57P03":
			return Discard
		case state == "26000", state == "0A000" && strings.Contains(err.Error(), "cached plan must not change result type"):
			return StaleStatement
		case state != "":
			return Keep // the server answered, so the connection works
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Suspect
	}
	var netErr net.Error
	if errors.As(err, &netErr) && netErr.Timeout() {
		return Suspect
	}
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, io.ErrClosedPipe,
		syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, syscall.ENOTCONN} {
		if errors.Is(err, broken) {
			return Discard
		}
	}
	var opErr *net.OpError
	if errors.As(err, &opErr) {
		return Discard
	}
	return Keep
}

// doubtful tells that the cause may concern the connection, or others.
func (v Verdict) doubtful() bool { return v != Keep && v != StaleStatement }
