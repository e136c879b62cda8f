package chaos

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"

	"github.com/nimue-go/nimue/pool"
)

// kindBySQLState names the answers of PostgreSQL that faults bring about.
var kindBySQLState = map[string]string{
	"57P01": "terminated",
	"57P02": "server crashed",
	"57P03": "server starting or stopping",
	"53300": "too many connections",
	"28P01": "wrong password",
	"25006": "read-only server",
	"08P01": "refused by the bouncer",
}

// kindByNumber does so for MariaDB.
var kindByNumber = map[uint16]string{
	1040: "too many connections",
	1045: "wrong password",
	1053: "server stopping",
	1290: "read-only server",
	1927: "terminated",
}

// kindByCause orders what may be beneath an error from the most telling to the
// least: a deadline shows as an i/o timeout too, and a reset within a bad connection.
var kindByCause = []struct {
	cause error
	kind  string
}{
	{pool.ErrUnavailable, "unavailable"},
	{pool.ErrExhausted, "exhausted"},
	{syscall.EMFILE, "out of descriptors"},
	{context.DeadlineExceeded, "deadline"},
	{context.Canceled, "cancelled"},
	{syscall.ECONNREFUSED, "refused"},
	{syscall.ECONNRESET, "reset"},
	{syscall.EPIPE, "broken pipe"},
	{io.ErrUnexpectedEOF, "closed"},
	{io.EOF, "closed"},
	{net.ErrClosed, "closed"},
	{pool.ErrAcquireTimeout, "no connection in time"},
	{mysql.ErrInvalidConn, "invalid connection"},
	{driver.ErrBadConn, "bad connection"},
}

// kindOf sorts an error that the application saw, for the table and for the
// assertions, in the words of somebody who watches a database and not a driver.
func kindOf(err error) string {
	if errors.Is(err, pool.ErrUnavailable) { // whatever it was that the connects met
		return "unavailable"
	}
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) && coded.SQLState() != "" {
		if kind, ok := kindBySQLState[coded.SQLState()]; ok {
			return kind
		}
		return "SQLSTATE " + coded.SQLState()
	}
	var numbered *mysql.MySQLError
	if errors.As(err, &numbered) {
		if kind, ok := kindByNumber[numbered.Number]; ok {
			return kind
		}
		return fmt.Sprintf("error %d", numbered.Number)
	}
	for _, known := range kindByCause {
		if errors.Is(err, known.cause) {
			return known.kind
		}
	}
	var netErr net.Error
	if errors.As(err, &netErr) && netErr.Timeout() {
		return "deadline"
	}
	switch text := err.Error(); {
	case strings.Contains(text, "certificate"):
		return "certificate"
	case strings.Contains(text, "conn closed"), strings.Contains(text, "closed the connection"):
		return "closed"
	}
	return "other"
}

// broken tells whether a kind is what becomes of a statement whose connection goes
// while the server works on it. None of them can come from a connect.
func broken(kind string) bool {
	switch kind {
	case "terminated", "server crashed", "reset", "broken pipe", "closed", "invalid connection", "bad connection":
		return true
	}
	return false
}
