package conformance_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"
)

// faults are what a faulty driver does otherwise than the SQLite driver beneath
// it. A nil field changes nothing.
type faults struct {
	context  func(context.Context) context.Context
	argument func(*driver.NamedValue)
	check    func(*driver.NamedValue) error
	exec     func(do func() (driver.Result, error)) (driver.Result, error)
	result   func(driver.Result) driver.Result
	before   func(inner innerConn) // every query
	rows     func(c *faultyConn, rows driver.Rows) driver.Rows
	fail     func(error) error
	commit   func(driver.Tx) error
	rollback func(driver.Tx) error
	first    bool // a statement's first arguments are used for ever
	spoils   bool // a cancelled connection works no more, and does not say so
}

func init() { sql.Register("faultless", faultlessDriver{}) }

// faultlessDriver is the faulty driver without a fault: a plain wrapper.
type faultlessDriver struct{}

func (faultlessDriver) Open(dsn string) (driver.Conn, error) {
	return newFaultyConnector(dsn, faults{}).Connect(context.Background())
}

type faultyConnector struct {
	dsn    string
	inner  driver.Driver
	faults faults
	closed atomic.Bool
}

func newFaultyConnector(dsn string, f faults) *faultyConnector {
	db, err := sql.Open("sqlite", dsn) // opens nothing; it only finds the driver
	if err != nil {
		panic(err)
	}
	defer db.Close()
	return &faultyConnector{dsn: dsn, inner: db.Driver(), faults: f}
}

func (f *faultyConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := f.inner.Open(f.dsn)
	if err != nil {
		return nil, err
	}
	inner, ok := conn.(innerConn)
	if !ok {
		_ = conn.Close()
		return nil, errors.New("the inner driver lacks an interface that the wrapper needs")
	}
	return &faultyConn{innerConn: inner, connector: f, faults: &f.faults}, nil
}

func (f *faultyConnector) Driver() driver.Driver { return faultlessDriver{} }

func (f *faultyConnector) Close() error {
	f.closed.Store(true)
	return nil
}

// innerConn is the part of the SQLite driver's connection that is wrapped.
type innerConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type innerStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type faultyConn struct {
	innerConn
	connector *faultyConnector
	faults    *faults
	spoilt    error // not nil: all that the connection answers
}

func (c *faultyConn) ctx(ctx context.Context) context.Context {
	if c.faults.context != nil {
		return c.faults.context(ctx)
	}
	return ctx
}

func (c *faultyConn) args(args []driver.NamedValue) []driver.NamedValue {
	if c.faults.argument != nil {
		for i := range args {
			c.faults.argument(&args[i])
		}
	}
	return args
}

func (c *faultyConn) failed(err error) error {
	if c.faults.spoils && errors.Is(err, context.DeadlineExceeded) {
		c.spoilt = errors.New("connection busy")
	}
	if err != nil && err != driver.ErrSkip && c.faults.fail != nil {
		return c.faults.fail(err)
	}
	return err
}

func (c *faultyConn) exec(do func() (driver.Result, error)) (driver.Result, error) {
	if c.faults.exec != nil {
		plain := do
		do = func() (driver.Result, error) { return c.faults.exec(plain) }
	}
	if c.spoilt != nil {
		return nil, c.spoilt
	}
	result, err := do()
	if err == nil && c.faults.result != nil {
		result = c.faults.result(result)
	}
	return result, c.failed(err)
}

func (c *faultyConn) query(do func() (driver.Rows, error)) (driver.Rows, error) {
	if c.faults.before != nil {
		c.faults.before(c.innerConn)
	}
	if c.spoilt != nil {
		return nil, c.spoilt
	}
	rows, err := do()
	if err != nil {
		return nil, c.failed(err)
	}
	if c.faults.rows != nil {
		rows = c.faults.rows(c, rows)
	}
	return rows, nil
}

func (c *faultyConn) ResetSession(ctx context.Context) error {
	if c.faults.spoils {
		return nil
	}
	return c.innerConn.ResetSession(ctx)
}

func (c *faultyConn) IsValid() bool { return c.faults.spoils || c.innerConn.IsValid() }

func (c *faultyConn) CheckNamedValue(v *driver.NamedValue) error {
	if c.faults.check != nil {
		return c.faults.check(v)
	}
	return driver.ErrSkip
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.exec(func() (driver.Result, error) { return c.innerConn.ExecContext(c.ctx(ctx), query, c.args(args)) })
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if query == twoSets {
		return c.querySets(ctx)
	}
	return c.query(func() (driver.Rows, error) { return c.innerConn.QueryContext(c.ctx(ctx), query, c.args(args)) })
}

func (c *faultyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.innerConn.PrepareContext(c.ctx(ctx), query)
	if err != nil {
		return nil, c.failed(err)
	}
	inner, ok := stmt.(innerStmt)
	if !ok {
		return nil, errors.New("the inner statement lacks an interface that the wrapper needs")
	}
	return &faultyStmt{innerStmt: inner, conn: c}, nil
}

func (c *faultyConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	tx, err := c.innerConn.BeginTx(c.ctx(ctx), options)
	if err != nil {
		return nil, c.failed(err)
	}
	return &faultyTx{Tx: tx, faults: c.faults}, nil
}

type faultyStmt struct {
	innerStmt
	conn  *faultyConn
	first []driver.NamedValue
}

func (s *faultyStmt) args(args []driver.NamedValue) []driver.NamedValue {
	if s.conn.faults.first {
		if s.first == nil {
			s.first = args
		}
		args = s.first
	}
	return s.conn.args(args)
}

func (s *faultyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.conn.exec(func() (driver.Result, error) {
		return s.innerStmt.ExecContext(s.conn.ctx(ctx), s.args(args))
	})
}

func (s *faultyStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.query(func() (driver.Rows, error) {
		return s.innerStmt.QueryContext(s.conn.ctx(ctx), s.args(args))
	})
}

type faultyTx struct {
	driver.Tx
	faults *faults
}

func (t *faultyTx) Commit() error {
	if t.faults.commit != nil {
		return t.faults.commit(t.Tx)
	}
	return t.Tx.Commit()
}

func (t *faultyTx) Rollback() error {
	if t.faults.rollback != nil {
		return t.faults.rollback(t.Tx)
	}
	return t.Tx.Rollback()
}

// twoSets is the text for which the wrapper returns two result sets, since
// neither of the drivers that are tested here can.
const twoSets = "two result sets"

func (c *faultyConn) querySets(ctx context.Context) (driver.Rows, error) {
	var sets resultSets
	for _, query := range []string{"SELECT 1", "SELECT 'two'"} {
		rows, err := c.innerConn.QueryContext(ctx, query, nil)
		if err != nil {
			return nil, errors.Join(err, sets.Close())
		}
		sets.all = append(sets.all, rows)
	}
	sets.Rows = sets.all[0]
	if c.faults.rows != nil {
		return c.faults.rows(c, &sets), nil
	}
	return &sets, nil
}

// resultSets are rows with more than one set.
type resultSets struct {
	driver.Rows // the current one
	all         []driver.Rows
	at          int
}

func (s *resultSets) HasNextResultSet() bool { return s.at+1 < len(s.all) }

func (s *resultSets) NextResultSet() error {
	s.at++
	s.Rows = s.all[s.at]
	return nil
}

func (s *resultSets) Close() error {
	var errs []error
	for _, rows := range s.all {
		errs = append(errs, rows.Close())
	}
	return errors.Join(errs...)
}
