package tx_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/tx"
)

func TestRunCommits(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		if err := tx.Run(t.Context(), db, insert); err != nil {
			t.Error(err)
		}
		wantCalls(t, d, "1 begin", "1 exec INSERT", "1 commit")
	})
}

func TestRunOnAConn(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := tx.Run(t.Context(), conn, func(context.Context, *sql.Tx) error { return errTest }); err != errTest {
			t.Error(err)
		}
		if err := tx.Run(t.Context(), conn, insert); err != nil {
			t.Error(err)
		}
		wantCalls(t, d, "1 begin", "1 rollback", "1 begin", "1 exec INSERT", "1 commit")
	})
}

func TestRunRollsBackAndReturnsTheErrorAsItIs(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		err := tx.Run(t.Context(), db, func(ctx context.Context, tx *sql.Tx) error {
			if err := insert(ctx, tx); err != nil {
				t.Error(err)
			}
			return errTest
		})
		if err != errTest {
			t.Errorf("error %v, want the function's own", err)
		}
		wantCalls(t, d, "1 begin", "1 exec INSERT", "1 rollback")
	})
}

func TestRunRollsBackOnPanic(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		func() {
			defer func() {
				if v := recover(); v != errTest {
					t.Errorf("recovered %v, want the panic's own value", v)
				}
			}()
			_ = tx.Run(t.Context(), db, func(context.Context, *sql.Tx) error { panic(errTest) })
		}()
		wantCalls(t, d, "1 begin", "1 rollback")
	})
}

// As t.FailNow does it.
func TestRunRollsBackOnGoexit(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		go func() {
			_ = tx.Run(t.Context(), db, func(context.Context, *sql.Tx) error { runtime.Goexit(); return nil })
			t.Error("Run returned")
		}()
		synctest.Wait()
		wantCalls(t, d, "1 begin", "1 rollback")
	})
}

// timesOf returns hooks whose INSERT fails with err for the first n times, and
// where the time of each is kept.
func timesOf(times *[]time.Time, n int, err error) scripted.Hooks {
	return scripted.Hooks{Exec: func(context.Context, *scripted.Conn, string, []driver.NamedValue) error {
		*times = append(*times, time.Now())
		if len(*times) <= n {
			return err
		}
		return nil
	}}
}

func TestRetries(t *testing.T) {
	for name, test := range map[string]struct {
		err      error
		fails    int
		opts     []tx.Option
		attempts int
		gives    error
		typed    bool // the error is a RetryError
	}{
		"conflict":                     {err: conflict, fails: 3, attempts: 4},
		"wrapped":                      {err: fmt.Errorf("placing the order: %w", errors.Join(errTest, conflict)), fails: 1, attempts: 2},
		"conflict, too often":          {err: conflict, fails: 4, attempts: 4, gives: conflict, typed: true},
		"no retries":                   {err: conflict, fails: 1, opts: []tx.Option{tx.Retries(0)}, attempts: 1, gives: conflict},
		"more retries":                 {err: conflict, fails: 9, opts: []tx.Option{tx.Retries(9)}, attempts: 10},
		"integrity":                    {err: integrity, fails: 1, attempts: 1, gives: integrity},
		"integrity on request":         {err: integrity, fails: 2, opts: []tx.Option{tx.RetryIntegrity()}, attempts: 3},
		"another error":                {err: errTest, fails: 1, attempts: 1, gives: errTest},
		"another error, said conflict": {err: errTest, fails: 1, opts: []tx.Option{tx.Classify(isTest)}, attempts: 2},
		"conflict, f does not know":    {err: conflict, fails: 1, opts: []tx.Option{tx.Classify(isTest)}, attempts: 2},
		"conflict, said final": {err: conflict, fails: 1, attempts: 1, gives: conflict,
			opts: []tx.Option{tx.Classify(func(error) tx.Class { return tx.Final })}},
	} {
		t.Run(name, func(t *testing.T) {
			var times []time.Time
			bubble(t, timesOf(&times, test.fails, test.err), func(t *testing.T, db *sql.DB, d *scripted.Driver) {
				times = nil
				noted := 0
				opts := append(test.opts, tx.OnRetry(func(attempt int, err error) {
					noted++
					if attempt != noted || !errors.Is(err, test.err) {
						t.Errorf("OnRetry(%d, %v)", attempt, err)
					}
				}))
				err := tx.Run(t.Context(), db, insert, opts...)
				if !errors.Is(err, test.gives) {
					t.Errorf("error %v, want %v", err, test.gives)
				}
				retried, ok := errors.AsType[*tx.RetryError](err)
				if ok != test.typed || ok && (retried.Attempts != test.attempts || retried.Ended != nil) {
					t.Errorf("error %#v", err)
				}
				if len(times) != test.attempts || noted != test.attempts-1 {
					t.Errorf("%d attempts, %d of them noted; want %d", len(times), noted, test.attempts)
				}
				if begun, ended := d.Count("begin"), d.Count("commit")+d.Count("rollback"); begun != test.attempts || ended != begun {
					t.Errorf("%d transactions begun, %d ended", begun, ended)
				}
			})
		})
	}
}

func isTest(err error) tx.Class {
	if errors.Is(err, errTest) {
		return tx.Conflict
	}
	return tx.Unknown
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	var times []time.Time
	const retries = 12
	bubble(t, timesOf(&times, retries, conflict), func(t *testing.T, db *sql.DB, _ *scripted.Driver) {
		times = nil
		first, longest := 10*time.Millisecond, 100*time.Millisecond
		if err := tx.Run(t.Context(), db, insert, tx.Retries(retries), tx.Backoff(first, longest)); err != nil {
			t.Fatal(err)
		}
		limit := first
		for i := range retries {
			if waited := times[i+1].Sub(times[i]); waited <= 0 || waited > limit {
				t.Errorf("retry %d after %v, want at most %v", i+1, waited, limit)
			}
			limit = min(2*limit, longest)
		}
	})
}

func TestBackoffOfNothing(t *testing.T) {
	var times []time.Time
	bubble(t, timesOf(&times, 3, conflict), func(t *testing.T, db *sql.DB, _ *scripted.Driver) {
		times = nil
		if err := tx.Run(t.Context(), db, insert, tx.Backoff(0, 0)); err != nil {
			t.Fatal(err)
		}
		if waited := times[3].Sub(times[0]); waited != 0 {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestNoConnectionIsHeldDuringBackoff(t *testing.T) {
	var times []time.Time
	bubble(t, timesOf(&times, 1, conflict), func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		times = nil
		db.SetMaxOpenConns(1)
		done := make(chan error, 1)
		go func() { done <- tx.Run(t.Context(), db, insert, tx.Backoff(time.Hour, time.Hour)) }()
		synctest.Wait()
		if n := db.Stats().InUse; n != 0 || d.Count("begin") != 1 {
			t.Errorf("%d connections in use after %d attempts", n, d.Count("begin"))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A context that ends during the wait ends it then, and both errors are told.
func TestContextEndsTheBackoff(t *testing.T) {
	var times []time.Time
	bubble(t, timesOf(&times, 1, conflict), func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		times = nil
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		begun := time.Now()
		opts := []tx.Option{tx.Backoff(time.Hour, time.Hour), tx.OnRetry(func(int, error) { cancel(errTest) })}
		err := tx.Run(ctx, db, insert, opts...)
		if !errors.Is(err, conflict) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "1 attempt,") {
			t.Errorf("error %v", err)
		}
		if waited := time.Since(begun); waited != 0 || d.Count("begin") != 1 {
			t.Errorf("%d attempts in %v", d.Count("begin"), waited)
		}
	})
}

func TestBeginFails(t *testing.T) {
	begun := 0
	hooks := scripted.Hooks{Begin: func(context.Context, *scripted.Conn, driver.TxOptions) error {
		if begun++; begun < 3 {
			return conflict // as BEGIN IMMEDIATE of SQLite, in its own words
		}
		return errTest
	}}
	bubble(t, hooks, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		begun = 0
		err := tx.Run(t.Context(), db, func(context.Context, *sql.Tx) error { t.Error("called"); return nil })
		if !errors.Is(err, errTest) || !strings.HasPrefix(err.Error(), "tx: begin: ") || begun != 3 {
			t.Errorf("after %d attempts: %v", begun, err)
		}
		wantCalls(t, d, "1 begin", "1 begin", "1 begin")
	})
}

func TestTransactionOptionsReachTheDriver(t *testing.T) {
	var got driver.TxOptions
	hooks := scripted.Hooks{Begin: func(_ context.Context, _ *scripted.Conn, opts driver.TxOptions) error {
		got = opts
		return nil
	}}
	bubble(t, hooks, func(t *testing.T, db *sql.DB, _ *scripted.Driver) {
		for _, test := range []struct {
			opts []tx.Option
			want driver.TxOptions
		}{
			{nil, driver.TxOptions{}},
			{[]tx.Option{tx.ReadOnly()}, driver.TxOptions{ReadOnly: true}},
			{[]tx.Option{tx.Isolation(sql.LevelSerializable)}, driver.TxOptions{Isolation: driver.IsolationLevel(sql.LevelSerializable)}},
		} {
			if err := tx.Run(t.Context(), db, insert, test.opts...); err != nil || got != test.want {
				t.Errorf("%+v, %v; want %+v", got, err, test.want)
			}
		}
	})
}

func TestImpossibleOptions(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
		err := tx.Run(t.Context(), db, insert, tx.Retries(-1), tx.Backoff(time.Second, time.Millisecond))
		want := "tx: Retries(-1): want 0 or more\ntx: Backoff(1s, 1ms): want 0 or more, and the longest not below the first"
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		wantCalls(t, d)
	})
}

func TestValue(t *testing.T) {
	bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, _ *scripted.Driver) {
		attempts := 0
		count := func(err error) func(context.Context, *sql.Tx) (int, error) {
			return func(context.Context, *sql.Tx) (int, error) {
				if attempts++; attempts == 1 {
					return attempts, conflict
				}
				return attempts, err
			}
		}
		if n, err := tx.Value(t.Context(), db, count(nil)); n != 2 || err != nil {
			t.Errorf("%d, %v; want the second attempt's", n, err)
		}
		if n, err := tx.Value(t.Context(), db, count(errTest)); n != 0 || err != errTest {
			t.Errorf("%d, %v; want no value with an error", n, err)
		}
	})
}

// The end of Run's context rolls back, whether database/sql has noticed it or not when
// the function returns, and leaves no doubt.
func TestContextEndsTheTransaction(t *testing.T) {
	for name, notice := range map[string]func(){"noticed": synctest.Wait, "not yet noticed": func() {}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, scripted.Hooks{}, func(t *testing.T, db *sql.DB, d *scripted.Driver) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := tx.Run(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
					if err := insert(ctx, tx); err != nil {
						return err
					}
					cancel()
					notice()
					return nil
				})
				if !errors.Is(err, context.Canceled) || errors.Is(err, tx.ErrAmbiguousCommit) {
					t.Errorf("error %v, want one that says canceled, and no ambiguity", err)
				}
				synctest.Wait()
				if d.Count("commit") != 0 || d.Count("rollback") != 1 {
					t.Errorf("calls %q", d.Log())
				}
			})
		})
	}
}
