package nimue_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

var errReadOnly = errors.New("cannot write: the server is read-only")

// TestWhatAnErrorSaysOfTheOthers: an operation fails on one of four connections.
// What the pool then does to the three that rest is counted.
func TestWhatAnErrorSaysOfTheOthers(t *testing.T) {
	for name, test := range map[string]struct {
		err           error
		pings, opened int // beside the four of the beginning
		asksForRole   bool
	}{
		"a statement's own":      {err: errTest},
		"the connection is gone": {err: io.ErrUnexpectedEOF, pings: 3},
		"bad connection":         {err: driver.ErrBadConn, pings: 3},
		"timeout":                {err: context.DeadlineExceeded, pings: 4}, // itself too
		"network timeout":        {err: os.ErrDeadlineExceeded, pings: 4},
		"cancelled":              {err: context.Canceled, pings: 1}, // itself alone
		"read-only":              {err: errReadOnly, asksForRole: true, opened: 3},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			cfg := pool.Config{MaxConns: 4,
				Classify: func(err error) pool.Verdict {
					if errors.Is(err, errReadOnly) {
						return pool.Demoted
					}
					return pool.Unknown
				},
				CheckRole: func(context.Context, driver.Conn) (bool, error) { asked++; return true, nil },
			}
			hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
				if query == "fail" {
					return test.err
				}
				return nil
			}}
			bubble(t, cfg, hooks, func(t *testing.T, f fixture) {
				p := f.connector.Pool()
				var leases []pool.Lease
				for range 4 {
					l, err := p.Acquire(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					leases = append(leases, l)
				}
				for _, l := range leases {
					l.Release(pool.Clean)
				}
				held, err := f.db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				mustExec(t, held, "touch it, so that nothing is retried")
				if _, err := held.ExecContext(t.Context(), "fail"); !errors.Is(err, test.err) {
					t.Errorf("error %v", err)
				}
				_ = held.Close()
				synctest.Wait()
				if n := f.Count("ping"); n != test.pings {
					t.Errorf("%d verified, want %d", n, test.pings)
				}
				if n := f.Opened() - 4; n != test.opened {
					t.Errorf("%d opened anew, want %d", n, test.opened)
				}
				if (asked == 1) != test.asksForRole {
					t.Errorf("asked for the role %d times", asked)
				}
			})
		})
	}
}

// TestBadConnOfAnEndedContext: drivers that have not sent anything yet when the
// context ends answer driver.ErrBadConn, so that database/sql may try again. The
// connection is verified, and nobody suspects the others.
func TestBadConnOfAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
		if query == "cancelled" {
			cancel()
			return driver.ErrBadConn
		}
		return nil
	}}
	bubble(t, pool.Config{MaxConns: 1}, hooks, func(t *testing.T, f fixture) {
		f.exec(t, "once before")
		if _, err := f.db.ExecContext(ctx, "cancelled"); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		synctest.Wait()
		f.exec(t, "once more")
		if f.Opened() != 1 || f.Count("ping") != 1 {
			t.Errorf("%d opened, calls %q", f.Opened(), f.Log())
		}
	})
}
