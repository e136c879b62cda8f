package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// coded is a server's error.
type coded string

func (c coded) Error() string    { return "server says " + string(c) }
func (c coded) SQLState() string { return string(c) }

func TestClassify(t *testing.T) {
	special := errors.New("special")
	cfg := Config{Classify: func(err error) Verdict {
		if err == special {
			return Discard
		}
		return Unknown
	}}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
		for _, c := range []struct {
			err  error
			want Verdict
		}{
			{nil, Keep},
			{errors.New("syntax error"), Keep},
			{special, Discard},
			{driver.ErrBadConn, Discard},
			{fmt.Errorf("wrapped: %w", driver.ErrBadConn), Discard},
			{io.EOF, Discard},
			{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), Discard},
			{reset, Discard},
			{net.ErrClosed, Discard},
			{syscall.EPIPE, Discard},
			{coded("08006"), Discard},
			{coded("57P01"), Discard},
			{coded("57P02"), Discard},
			{coded("57P03"), Discard},
			{coded("57014"), Keep}, // a cancelled query: the session lives
			{coded("23505"), Keep},
			{fmt.Errorf("insert: %w", coded("40001")), Keep},
			{context.Canceled, Suspect},
			{fmt.Errorf("query: %w", context.DeadlineExceeded), Suspect},
			{os.ErrDeadlineExceeded, Suspect},
		} {
			if got := p.Classify(c.err); got != c.want {
				t.Errorf("Classify(%v) = %d, want %d", c.err, got, c.want)
			}
		}
	})
}
