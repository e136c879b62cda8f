package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"testing/synctest"
)

// step is one part of the series. Between two steps nothing is under way.
type step struct {
	name string
	do   func(*session) // nil: close the database
	// logDiffers says why the inner driver's calls in this step are not
	// compared; what the application sees is.
	logDiffers string
}

var series = []step{
	{name: "connect fails", do: func(s *session) {
		s.driver.fail("connect", errTest)
		s.seeErr("ping", s.db.PingContext(s.ctx))
	}},
	{name: "connect is bad once", do: func(s *session) {
		s.driver.fail("connect", driver.ErrBadConn)
		s.exec("first")
	}},
	{name: "ping", do: func(s *session) {
		s.seeErr("ping", s.db.PingContext(s.ctx))
		s.driver.fail("ping", errTest)
		s.seeErr("ping fails", s.db.PingContext(s.ctx))
		s.driver.takeFault("ping")
	}},
	{name: "exec", do: func(s *session) {
		s.exec("plain")
		s.exec("no-id")
		s.exec("without-result")
		s.exec("plain-result")
		s.exec("exec-fails run-fails")
		s.exec("exec-skips")
		s.exec("exec-skips run-skips")
		s.exec("exec-skips prepare-fails")
		s.exec("exec-skips prepare-skips")
		s.exec("still there")
	}},
	{name: "query", do: func(s *session) {
		s.query("plain")
		s.query("another-set another-set")
		s.query("query-fails run-fails")
		s.query("query-skips")
		s.query("query-skips another-set")
		s.query("query-skips run-skips")
		s.query("query-skips prepare-fails")
		s.query("next-fails")
		s.query("another-set set-fails")
		s.query("close-fails")
		s.query("close-is-bad-once")
		s.query("next-is-bad-once")
		s.query("still there")
	}},
	{name: "exec with arguments", do: func(s *session) {
		for i, arg := range arguments {
			s.exec(fmt.Sprintf("argument %d ?", i), arg)
		}
	}},
	{name: "query with arguments", do: func(s *session) {
		for i, arg := range arguments {
			if arg == badOnce("exec") {
				arg = badOnce("query")
			}
			s.query(fmt.Sprintf("argument %d ?", i), arg)
		}
	}},
	{name: "statement with arguments", do: func(s *session) {
		for _, text := range []string{"? prepared", "? narrow", "? strange", "? uncounted", "?? one more"} {
			s.prepared(s.db, text, func(st *sql.Stmt) {
				for _, arg := range arguments {
					if arg == badOnce("exec") {
						arg = badOnce(text)
					}
					s.stmtExec(st, arg)
				}
				s.stmtQuery(st, 1)
				s.stmtQuery(st, struct{}{})
			})
		}
	}},
	{name: "several arguments", do: func(s *session) {
		for _, text := range []string{"several ???", "several exec-skips query-skips ???"} {
			s.exec(text)
			s.exec(text, 1, 2)
			s.exec(text, 1, 2, 3)
			s.exec(text, 1, 2, 3, 4)
			s.exec(text, 1, 2, struct{}{}, 4)
			s.exec(text, 1, removed{}, 2, counted{}, removed{}, counted{})
			s.exec(text, removed{}, 1, 2, 3, removed{})
			s.exec(text, sql.Named("a", 1), 2, sql.Named("c", counted{}))
			s.exec(text, sql.Named("a", 1), refused{}, sql.Named("c", refused{}))
			s.exec(text, 1, sql.Named("b", refused{}), 3)
			s.query(text, 1, 2, 3)
			s.query(text, 1, removed{}, 2, counted{})
			s.query(text, 1, 2)
		}
		s.exec("many uncounted", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, valuer{"eleven"}, counted{})
	}},
	{name: "names that are none", do: func(s *session) {
		s.exec("named ?", sql.Named("1", 1))
		s.query("named exec-skips ?", sql.Named("_", 1))
		s.exec("named ??", 1, sql.Named("%", struct{}{}))
	}, logDiffers: "database/sql itself refuses them, before the driver is called where it would else have prepared first"},
	{name: "bad connection at first use", do: func(s *session) {
		s.exec("plain")
		s.exec("exec-is-bad-once run-is-bad-once", 1, "two", counted{})
		s.exec("exec-is-wrapped-bad-once run-is-wrapped-bad-once")
		s.query("query-is-bad-once run-is-bad-once ?", 1)
		s.prepared(s.db, "prepare-is-bad-once", func(st *sql.Stmt) { s.stmtExec(st) })
		s.driver.fail("begin", driver.ErrBadConn)
		s.begin(s.ctx, nil, func(tx *sql.Tx) { s.seeErr("rollback", tx.Rollback()) })
		s.driver.fail("reset", driver.ErrBadConn)
		s.exec("plain")
		s.driver.takeFault("reset")
	}},
	{name: "bad connection at the preparation", do: func(s *session) {
		s.exec("exec-skips prepare-is-bad-once ??", "a", "b")
		s.query("query-skips prepare-is-wrapped-bad-once ??", "a", "b")
	}, logDiffers: "it is the preparation that is begun again, not the operation that asked for it with ErrSkip"},
	{name: "bad connection when prepared again", do: func(s *session) {
		s.prepared(s.db, "prepare-is-bad-second ??", func(st *sql.Stmt) {
			s.held(func(c *sql.Conn) {
				s.seeErr("raw", s.raw(c, func(driver.Conn) error { return driver.ErrBadConn }))
			})
			s.exec("plain") // on a connection that has not seen the statement
			s.stmtExec(st, "a", valuer{"b"})
			s.stmtQuery(st, "a", valuer{"b"})
		})
	}},
	{name: "bad connection at the end of use", do: func(s *session) {
		s.exec("plain")
		s.driver.fail("valid", errTest)
		s.exec("plain")
		s.driver.takeFault("valid")
		s.exec("plain")
	}},
	{name: "every connection is bad", do: func(s *session) {
		// One that had served before would have its replacement from the handle,
		// in addition to the three attempts of database/sql: see TestRetryAttempts.
		for _, op := range []func(){
			func() { s.exec("exec-is-always-bad run-is-always-bad") },
			func() { s.query("query-is-always-bad run-is-always-bad ?", 1) },
			func() { s.exec("exec-skips prepare-is-always-bad") },
		} {
			s.held(func(c *sql.Conn) {
				s.seeErr("raw", s.raw(c, func(driver.Conn) error { return driver.ErrBadConn }))
			})
			op()
		}
		s.exec("still there")
	}},
	{name: "statement", do: func(s *session) {
		s.prepared(s.db, "prepared ?", func(st *sql.Stmt) {
			for i := range 3 {
				s.stmtExec(st, i)
				s.stmtQuery(st, i)
			}
			s.stmtExec(st)
			s.stmtQuery(st, 1, 2)
		})
		s.prepared(s.db, "prepared another-set next-fails", func(st *sql.Stmt) { s.stmtQuery(st) })
		s.prepared(s.db, "prepared run-fails", func(st *sql.Stmt) { s.stmtExec(st); s.stmtQuery(st) })
		s.prepared(s.db, "prepared run-skips", func(st *sql.Stmt) { s.stmtExec(st); s.stmtQuery(st) })
		s.prepared(s.db, "prepared run-is-bad-once ?", func(st *sql.Stmt) { s.stmtExec(st, "kept"); s.stmtQuery(st, "kept") })
		s.prepared(s.db, "prepare-fails", nil)
		s.prepared(s.db, "used when closed", func(st *sql.Stmt) { _ = st.Close(); s.stmtExec(st) })
	}},
	{name: "statement survives its connection", do: func(s *session) {
		s.prepared(s.db, "surviving ?", func(st *sql.Stmt) {
			s.stmtExec(st, 1)
			s.held(func(c *sql.Conn) {
				s.seeErr("raw", s.raw(c, func(driver.Conn) error { return driver.ErrBadConn }))
			})
			s.stmtExec(st, 2)
			s.stmtQuery(st, 3)
		})
	}},
	{name: "transaction", do: func(s *session) {
		s.begin(s.ctx, nil, func(tx *sql.Tx) {
			s.execOn(tx, "inside", 1)
			s.queryOn(tx, "inside", 1)
			s.execOn(tx, "exec-skips inside ?", 1)
			s.queryOn(tx, "query-skips inside another-set ?", 1)
			s.prepared(tx, "prepared inside ?", func(st *sql.Stmt) {
				s.stmtExec(st, 1)
				s.stmtQuery(st, 2)
				s.stmtQuery(st, struct{}{})
				s.stmtExec(st, 3)
			})
			s.prepared(tx, "inside close-fails", func(st *sql.Stmt) { s.stmtQuery(st) })
			s.execOn(tx, "exec-fails run-fails")
			s.seeErr("commit", tx.Commit())
			s.seeErr("commit again", tx.Commit())
			s.execOn(tx, "too late")
		})
		s.prepared(s.db, "prepared outside ?", func(st *sql.Stmt) {
			s.begin(s.ctx, nil, func(tx *sql.Tx) {
				s.stmtExec(tx.StmtContext(s.ctx, st), 1)
				s.stmtQuery(tx.StmtContext(s.ctx, st), 2)
				s.seeErr("rollback", tx.Rollback())
			})
		})
	}},
	{name: "transaction options", do: func(s *session) {
		for _, opts := range []*sql.TxOptions{
			{}, {Isolation: sql.LevelSerializable}, {ReadOnly: true}, {Isolation: sql.LevelSnapshot, ReadOnly: true},
		} {
			s.begin(s.ctx, opts, func(tx *sql.Tx) { s.seeErr("commit", tx.Commit()) })
		}
	}},
	{name: "transaction errors", do: func(s *session) {
		for _, err := range []error{errTest, driver.ErrBadConn} {
			if err == errTest {
				s.driver.fail("begin", err)
				s.begin(s.ctx, nil, nil)
			}
			s.driver.fail("commit", err)
			s.begin(s.ctx, nil, func(tx *sql.Tx) { s.seeErr("commit", tx.Commit()) })
			s.driver.fail("rollback", err)
			s.begin(s.ctx, nil, func(tx *sql.Tx) { s.seeErr("rollback", tx.Rollback()) })
		}
		s.begin(s.ctx, nil, func(tx *sql.Tx) {
			s.execOn(tx, "exec-is-always-bad run-is-always-bad")
			s.execOn(tx, "inside a broken one")
			// If this succeeded, database/sql would keep a connection that has
			// declared itself bad; nimue would not: see TestBadConnIsNotKept.
			s.driver.fail("rollback", driver.ErrBadConn)
			s.seeErr("rollback", tx.Rollback())
		})
		s.exec("still there")
	}},
	{name: "context has ended before", do: func(s *session) {
		live := s.ctx
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		s.ctx = ctx
		defer func() { s.ctx = live }()
		s.seeErr("ping", s.db.PingContext(ctx))
		s.exec("plain", 1)
		s.query("plain", 1)
		s.prepared(s.db, "plain", nil)
		s.begin(ctx, nil, nil)
		_, err := s.db.Conn(ctx)
		s.seeErr("conn", err)
	}},
	{name: "context ends during", do: func(s *session) {
		s.cancellable(func(ctx context.Context, _ context.CancelFunc) {
			r, err := s.db.ExecContext(ctx, "exec-is-cancelled run-is-cancelled ?", 1)
			s.seeResult("exec", r, err)
		})
		s.exec("between")
		s.cancellable(func(ctx context.Context, _ context.CancelFunc) {
			rows, err := s.db.QueryContext(ctx, "query-is-cancelled run-is-cancelled ?", 1)
			s.seeRows("query", rows, err)
		})
		s.exec("between")
		s.cancellable(func(ctx context.Context, _ context.CancelFunc) {
			_, err := s.db.ExecContext(ctx, "exec-skips prepare-is-cancelled")
			s.seeErr("prepare", err)
		})
		s.exec("between")
		s.cancellable(func(ctx context.Context, _ context.CancelFunc) {
			s.driver.fail("begin", context.Canceled)
			_, err := s.db.BeginTx(ctx, nil)
			s.seeErr("begin", err)
		})
		s.exec("between")
		s.cancellable(func(ctx context.Context, _ context.CancelFunc) {
			r, err := s.db.ExecContext(ctx, "ends while converted ?", ending{s.driver})
			s.seeResult("exec", r, err)
		})
		s.cancellable(func(ctx context.Context, _ context.CancelFunc) {
			rows, err := s.db.QueryContext(ctx, "ends while converted ?", ending{s.driver})
			s.seeRows("query", rows, err)
		})
		s.exec("between")
		s.prepared(s.db, "run-is-cancelled", func(st *sql.Stmt) {
			s.cancellable(func(ctx context.Context, _ context.CancelFunc) {
				_, err := st.ExecContext(ctx)
				s.seeErr("stmt exec", err)
			})
		})
		s.exec("after")
	}},
	{name: "context ends with rows open", do: func(s *session) {
		s.cancellable(func(ctx context.Context, cancel context.CancelFunc) {
			rows, err := s.db.QueryContext(ctx, "open rows")
			s.see("next: %t", rows.Next())
			cancel()
			s.seeRows("rows", rows, err)
		})
		s.exec("after")
	}},
	{name: "context ends in a transaction", do: func(s *session) {
		for _, after := range []func(tx *sql.Tx){
			func(*sql.Tx) {},
			func(tx *sql.Tx) { s.execOn(tx, "too late") },
			func(tx *sql.Tx) { s.seeErr("commit", tx.Commit()) },
		} {
			s.cancellable(func(ctx context.Context, cancel context.CancelFunc) {
				s.begin(ctx, nil, func(tx *sql.Tx) {
					s.execOn(tx, "inside")
					s.prepared(tx, "prepared inside", func(st *sql.Stmt) { s.stmtExec(st) })
					cancel()
					synctest.Wait()
					after(tx)
				})
			})
			s.exec("after")
		}
		s.driver.fail("rollback", driver.ErrBadConn)
		s.cancellable(func(ctx context.Context, cancel context.CancelFunc) {
			s.begin(ctx, nil, func(*sql.Tx) { cancel(); synctest.Wait() })
		})
		s.exec("after a rollback that failed")
		s.cancellable(func(ctx context.Context, cancel context.CancelFunc) {
			s.begin(ctx, nil, func(tx *sql.Tx) { s.seeErr("commit", tx.Commit()); cancel() })
		})
		s.exec("after a context that ended too late to matter")
	}},
	{name: "conn", do: func(s *session) {
		s.held(func(c *sql.Conn) {
			s.seeErr("ping", c.PingContext(s.ctx))
			s.execOn(c, "held ?", 1)
			s.queryOn(c, "held query-skips ?", 1)
			s.prepared(c, "held ?", func(st *sql.Stmt) { s.stmtExec(st, 1); s.stmtQuery(st, 2); s.stmtQuery(st, 3) })
			s.seeErr("raw", s.raw(c, func(inner driver.Conn) error { s.see("%s", members(inner)); return nil }))
			s.seeErr("raw fails", s.raw(c, func(driver.Conn) error { return errTest }))
			tx, err := c.BeginTx(s.ctx, nil)
			s.seeErr("begin", err)
			s.execOn(tx, "inside", 1)
			s.seeErr("commit", tx.Commit())
			s.execOn(c, "exec-is-always-bad run-is-always-bad")
			s.execOn(c, "after the end")
		})
		s.held(func(c *sql.Conn) {
			s.seeErr("raw is bad", s.raw(c, func(driver.Conn) error { return fmt.Errorf("raw: %w", driver.ErrBadConn) }))
			s.execOn(c, "after the end")
		})
		s.exec("after")
	}},
	{name: "conn outlives the context of its transaction", do: func(s *session) {
		s.held(func(c *sql.Conn) {
			s.cancellable(func(ctx context.Context, cancel context.CancelFunc) {
				tx, err := c.BeginTx(ctx, nil)
				s.seeErr("begin", err)
				s.seeErr("commit", tx.Commit())
				cancel()
			})
			s.execOn(c, "goes on")
		})
		s.exec("after")
	}},
	{name: "conn whose transaction was cancelled", do: func(s *session) {
		c, err := s.db.Conn(s.ctx)
		s.seeErr("conn", err)
		s.cancellable(func(ctx context.Context, cancel context.CancelFunc) {
			tx, err := c.BeginTx(ctx, nil)
			s.seeErr("begin", err)
			s.execOn(tx, "inside")
			cancel()
		})
		s.execOn(c, "goes on or not")
		s.prepared(c, "goes on or not", func(st *sql.Stmt) { s.stmtQuery(st) })
		// Not seen: directly, a *sql.Conn that does not go on is done already, and
		// this says sql.ErrConnDone; a handle cannot end it, only say the same to
		// every operation.
		_ = c.Close()
		s.exec("after")
	}},
	{name: "two at once", do: func(s *session) {
		rows, err := s.db.QueryContext(s.ctx, "first of two")
		s.exec("second of two")
		s.seeRows("first", rows, err)
		s.exec("one again")
	}},
	{name: "close"},
	{name: "after the close", do: func(s *session) {
		s.seeErr("ping", s.db.PingContext(s.ctx))
		s.exec("too late")
	}},
}
