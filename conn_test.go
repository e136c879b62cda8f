package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// fixture is a scripted inner driver beneath a pool beneath database/sql.
type fixture struct {
	*scripted.Driver
	db        *sql.DB
	connector *nimue.Connector
}

// bubble runs f over a new fixture, in fake time.
func bubble(t *testing.T, cfg pool.Config, hooks scripted.Hooks, f func(*testing.T, fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := scripted.New(hooks)
		c := newConnector(t, d, cfg)
		db := sql.OpenDB(c)
		defer func() {
			_ = db.Close()
			synctest.Wait()
			if n := d.Open(); n != 0 {
				t.Errorf("%d connections are left open", n)
			}
		}()
		f(t, fixture{d, db, c})
	})
}

// handle returns one handle, as database/sql would keep it.
func (f fixture) handle(t *testing.T) *nimue.Conn {
	t.Helper()
	c, err := f.connector.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c.(*nimue.Conn)
}

func (f fixture) stats() pool.Stats { synctest.Wait(); return f.connector.Pool().Stats() }

// exec executes on the database and wants that to succeed.
func (f fixture) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := f.db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("exec %s: %v", query, err)
	}
}

// badOnceOn makes the first exec of a text that contains "bad" fail with err.
func badOnceOn(err error) scripted.Hooks {
	failed := false
	return scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
		if !failed && strings.Contains(query, "bad") {
			failed = true
			return err
		}
		return nil
	}}
}

func TestHandleLeasesNothingBeforeItsFirstOperation(t *testing.T) {
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		h := f.handle(t)
		if err := errors.Join(h.ResetSession(t.Context()), h.CheckNamedValue(&driver.NamedValue{Value: h})); err != nil {
			t.Error(err)
		}
		if !h.IsValid() {
			t.Error("an idle handle is not valid")
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		held, err := f.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := held.Close(); err != nil {
			t.Error(err)
		}
		if s := f.stats(); s.Acquires != 0 || f.Opened() != 0 {
			t.Errorf("%d leases of %d connections, want none", s.Acquires, f.Opened())
		}
	})
}

func TestStmtCloseNeitherLeasesNorCallsTheDriver(t *testing.T) {
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		stmt, err := f.db.PrepareContext(t.Context(), "INSERT")
		if err != nil {
			t.Fatal(err)
		}
		before, log := f.stats(), f.Log()
		if err := stmt.Close(); err != nil {
			t.Error(err)
		}
		if s := f.stats(); s.Acquires != before.Acquires || s.InUse != 0 || !slices.Equal(f.Log(), log) {
			t.Errorf("%d leases, %d in use and calls %v; want %d, 0 and %v", s.Acquires, s.InUse, f.Log(), before.Acquires, log)
		}
	})
}

// TestRetryRule: only driver.ErrBadConn, only the first operation of a lease,
// only on a connection that had served before.
func TestRetryRule(t *testing.T) {
	use := func(t *testing.T, h *nimue.Conn, query string) {
		if _, err := h.ExecContext(t.Context(), query, nil); err != nil {
			t.Fatal(err)
		}
	}
	served := func(t *testing.T, h *nimue.Conn) { use(t, h, "earlier lease"); h.IsValid() }
	for _, c := range []struct {
		name   string
		err    error
		before func(*testing.T, *nimue.Conn)
		retry  bool
	}{
		{"first operation", driver.ErrBadConn, served, true},
		{"wrapped", fmt.Errorf("connection 1: %w", driver.ErrBadConn), served, true},
		{"on a new connection", driver.ErrBadConn, func(*testing.T, *nimue.Conn) {}, false},
		{"second operation", driver.ErrBadConn, func(t *testing.T, h *nimue.Conn) { served(t, h); use(t, h, "first") }, false},
		{"after an error of the statement", driver.ErrBadConn, func(t *testing.T, h *nimue.Conn) {
			served(t, h)
			if _, err := h.QueryContext(t.Context(), "query fails", nil); err == nil {
				t.Fatal("the query did not fail")
			}
		}, false},
		{"after ErrSkip, which executes nothing", driver.ErrBadConn, func(t *testing.T, h *nimue.Conn) {
			served(t, h)
			if _, err := h.QueryContext(t.Context(), "query skips", nil); err != driver.ErrSkip {
				t.Fatal(err)
			}
		}, true},
		{"after Raw", driver.ErrBadConn, func(t *testing.T, h *nimue.Conn) {
			served(t, h)
			if err := h.Raw(t.Context(), func(driver.Conn) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"inside a transaction", driver.ErrBadConn, func(t *testing.T, h *nimue.Conn) {
			served(t, h)
			if _, err := h.BeginTx(t.Context(), driver.TxOptions{}); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"after a ping", driver.ErrBadConn, func(t *testing.T, h *nimue.Conn) {
			served(t, h)
			if err := h.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"EOF", io.EOF, served, false},
		{"unexpected EOF", io.ErrUnexpectedEOF, served, false},
		{"timeout", context.DeadlineExceeded, served, false},
		{"cancelled", context.Canceled, served, false},
		{"statement's own error", errTest, served, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			hooks := badOnceOn(c.err)
			hooks.Query = func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) ([][]driver.Value, error) {
				if query == "query skips" {
					return nil, driver.ErrSkip
				}
				return nil, errTest
			}
			bubble(t, pool.Config{}, hooks, func(t *testing.T, f fixture) {
				h := f.handle(t)
				defer h.Close()
				c.before(t, h)
				_, err := h.ExecContext(t.Context(), "bad", nil)
				sent, retries := f.Count("exec bad"), f.stats().Retries
				if c.retry && (err != nil || sent != 2 || retries != 1 || f.Count("2 exec bad") != 1) {
					t.Errorf("sent %d times, %d retries, error %v; want it sent again on connection 2", sent, retries, err)
				}
				if !c.retry && (!errors.Is(err, c.err) || sent != 1 || retries != 0) {
					t.Errorf("sent %d times, %d retries, error %v; want it sent once and %v", sent, retries, err, c.err)
				}
			})
		})
	}
}

// TestRetryCoversEveryFirstOperation: whichever method comes first.
func TestRetryCoversEveryFirstOperation(t *testing.T) {
	for name, op := range map[string]func(context.Context, *sql.DB) error{
		"Exec": func(ctx context.Context, db *sql.DB) error { _, err := db.ExecContext(ctx, "x"); return err },
		"Query": func(ctx context.Context, db *sql.DB) error {
			return db.QueryRowContext(ctx, "x").Scan(new(int))
		},
		"Prepare": func(ctx context.Context, db *sql.DB) error {
			s, err := db.PrepareContext(ctx, "x")
			if err == nil {
				err = s.Close()
			}
			return err
		},
		"Begin": func(ctx context.Context, db *sql.DB) error {
			tx, err := db.BeginTx(ctx, nil)
			if err == nil {
				err = tx.Commit()
			}
			return err
		},
		"Ping": func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) },
		"Conn": func(ctx context.Context, db *sql.DB) error { // where database/sql itself never retries
			c, err := db.Conn(ctx)
			if err == nil {
				_, err = c.ExecContext(ctx, "x")
				err = errors.Join(err, c.Close())
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
				f.exec(t, "served before")
				bad := func(c *scripted.Conn) error {
					if c.ID == 1 {
						return driver.ErrBadConn
					}
					return nil
				}
				f.Script(func(h *scripted.Hooks) {
					h.Ping = func(_ context.Context, c *scripted.Conn) error { return bad(c) }
					h.Exec = func(_ context.Context, c *scripted.Conn, _ string, _ []driver.NamedValue) error { return bad(c) }
					h.Query = func(_ context.Context, c *scripted.Conn, _ string, _ []driver.NamedValue) ([][]driver.Value, error) {
						return [][]driver.Value{{int64(1)}}, bad(c)
					}
					h.Prepare = func(_ context.Context, c *scripted.Conn, _ string) error { return bad(c) }
					h.Begin = func(_ context.Context, c *scripted.Conn, _ driver.TxOptions) error { return bad(c) }
				})
				if err := op(t.Context(), f.db); err != nil {
					t.Error(err)
				}
				if s := f.stats(); s.Retries != 1 || f.Opened() != 2 || f.Open() != 1 {
					t.Errorf("%d retries, %d connections of which %d are open; want 1, 2 and 1", s.Retries, f.Opened(), f.Open())
				}
			})
		})
	}
}

// TestRetryAttempts: however bad it is, an operation is given up soon.
func TestRetryAttempts(t *testing.T) {
	for _, c := range []struct {
		name string
		warm bool
		want int
	}{{"as often as with database/sql alone", false, 3}, {"once more where a connection had served before", true, 4}} {
		t.Run(c.name, func(t *testing.T) {
			hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, _ []driver.NamedValue) error {
				if query == "bad" {
					return driver.ErrBadConn
				}
				return nil
			}}
			bubble(t, pool.Config{}, hooks, func(t *testing.T, f fixture) {
				if c.warm {
					f.exec(t, "good")
				}
				if _, err := f.db.ExecContext(t.Context(), "bad"); err != driver.ErrBadConn {
					t.Error(err)
				}
				if n := f.Count("exec bad"); n != c.want {
					t.Errorf("sent %d times, want %d", n, c.want)
				}
				if s := f.stats(); s.Total != 0 {
					t.Errorf("%d connections are left, want none", s.Total)
				}
			})
		})
	}
}

func TestRetryEndsWithTheCallersContext(t *testing.T) {
	bubble(t, pool.Config{}, scripted.Hooks{}, func(t *testing.T, f fixture) {
		f.exec(t, "served before")
		ctx, cancel := context.WithCancel(t.Context())
		f.Script(func(h *scripted.Hooks) {
			h.Exec = func(context.Context, *scripted.Conn, string, []driver.NamedValue) error {
				cancel()
				return driver.ErrBadConn
			}
		})
		if _, err := f.db.ExecContext(ctx, "bad"); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want the context's error", err)
		}
		if n := f.Count("exec bad"); n != 1 {
			t.Errorf("sent %d times, want once", n)
		}
	})
}

func TestRetryRestoresTheArguments(t *testing.T) {
	for _, n := range []int{1, 8, 9, 40} { // around what is kept on the stack
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var got [][]driver.NamedValue
			hooks := scripted.Hooks{Exec: func(_ context.Context, _ *scripted.Conn, query string, args []driver.NamedValue) error {
				got = append(got, slices.Clone(args))
				if query == "bad" && len(got) == 2 {
					return driver.ErrBadConn
				}
				return nil
			}}
			bubble(t, pool.Config{}, hooks, func(t *testing.T, f fixture) {
				f.exec(t, "served before")
				asked := 0
				args := make([]any, n)
				for i := range args {
					args[i] = counting{&asked, i}
				}
				if _, err := f.db.ExecContext(t.Context(), "bad", args...); err != nil {
					t.Fatal(err)
				}
				if len(got) != 3 || len(got[2]) != n || !slices.Equal(got[1], got[2]) {
					t.Errorf("the second attempt has other arguments: %v", got)
				}
				if asked != 2*n {
					t.Errorf("the values were asked %d times, want %d: the conversion belongs to the connection", asked, 2*n)
				}
			})
		})
	}
}

// counting is a Valuer that counts how often it is asked.
type counting struct {
	asked *int
	n     int
}

func (c counting) Value() (driver.Value, error) { *c.asked++; return int64(c.n), nil }

func TestRetryOfACachedStatement(t *testing.T) {
	bubble(t, pool.Config{}, badOnceOn(driver.ErrBadConn), func(t *testing.T, f fixture) {
		stmt, err := f.db.PrepareContext(t.Context(), "bad")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		if _, err := stmt.ExecContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"1 connect", "1 prepare bad", "1 reset", "1 stmt-exec bad", "2 connect", "2 prepare bad", "2 stmt-exec bad"}
		synctest.Wait()
		got := slices.DeleteFunc(f.Log(), func(s string) bool { return s == "1 close" })
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

var registered atomic.Uint64

// register registers a driver under a name of its own, since database/sql takes
// none back and a test may run more than once.
func register(prefix string, d driver.Driver) string {
	name := fmt.Sprintf("%s-%d", prefix, registered.Add(1))
	sql.Register(name, d)
	return name
}
