package nimue_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// The inner driver of the differential. What a call does follows from the words
// of its SQL text, and from nothing else but the calls before it, so that two
// runs of the same operations can be compared call by call.

var (
	errTest     = errors.New("test driver: no")
	errArgument = errors.New("test driver: not such an argument")
)

// ofCaller marks the contexts of the test's own operations: a call without the
// mark was made by the pool for its own purposes.
type ofCaller struct{}

// noContext stands for the context in calls that have none: it never ends.
var noContext = context.WithValue(context.Background(), ofCaller{}, true)

// testDriver is a driver.Connector whose connections, statements and rows have
// the given subsets of the optional interfaces.
type testDriver struct {
	conn, stmt, rows int // subsets

	mu     sync.Mutex
	log    []call
	opened int
	once   map[string]bool // words that have had their effect
	faults map[string]error
	cancel context.CancelFunc // of the operation under way, for "cancel"
	wrong  []string           // what no caller of a driver may do
}

// call is one line of the log: what was called on which connection.
type call struct {
	conn int
	what string
	own  bool // by the pool for its own purposes
}

func newTestDriver(conn, stmt, rows int) *testDriver {
	return &testDriver{conn: conn, stmt: stmt, rows: rows, once: map[string]bool{}, faults: map[string]error{}}
}

func (d *testDriver) Driver() driver.Driver { return openOnly{d} }

func (d *testDriver) Close() error { d.note(noContext, 0, "close connector"); return nil }

// openOnly is a driver of the oldest kind.
type openOnly struct{ to *testDriver }

func (o openOnly) Open(string) (driver.Conn, error) {
	return o.to.Connect(noContext)
}

func (d *testDriver) Connect(ctx context.Context) (driver.Conn, error) {
	d.mu.Lock()
	d.opened++
	c := &testConn{driver: d, id: d.opened}
	d.mu.Unlock()
	d.note(ctx, c.id, "connect")
	if err := d.fault("connect"); err != nil {
		return nil, err
	}
	return subsetOfConn(d.conn, c), nil
}

func (d *testDriver) note(ctx context.Context, conn int, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := ctx.Value(ofCaller{}) == nil
	d.log = append(d.log, call{conn, fmt.Sprintf(format, args...), own})
}

// takeLog returns the calls since it was last called.
func (d *testDriver) takeLog() []call {
	d.mu.Lock()
	defer d.mu.Unlock()
	log := d.log
	d.log = nil
	return log
}

// fail makes the next call of that name fail.
func (d *testDriver) fail(name string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[name] = err
}

func (d *testDriver) fault(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.faults[name]
	delete(d.faults, name)
	return err
}

// takeFault forgets a failure that no call has met.
func (d *testDriver) takeFault(name string) { _ = d.fault(name) }

// first tells whether text is seen for the first time.
func (d *testDriver) first(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := d.once[text]
	d.once[text] = true
	return !seen
}

func (d *testDriver) misused(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wrong = append(d.wrong, fmt.Sprintf(format, args...))
}

// act does what the words of a text demand of the call of that name.
func (d *testDriver) act(ctx context.Context, name, text string) error {
	if err := d.fault(name); err != nil {
		return err
	}
	on := func(word string) bool { return strings.Contains(text, name+"-"+word) }
	switch {
	case on("skips"):
		return driver.ErrSkip
	case on("fails"):
		return fmt.Errorf("%s: %w", name, errTest)
	case on("is-bad-once") && d.first(name+text):
		return driver.ErrBadConn
	case on("is-wrapped-bad-once") && d.first(name+text):
		return fmt.Errorf("%s: %w", name, driver.ErrBadConn)
	case on("is-bad-second") && !d.first(name+text) && d.first(name+text+" second"):
		return driver.ErrBadConn
	case on("is-always-bad"):
		return driver.ErrBadConn
	case on("is-cancelled"):
		d.cancel()
		return ctx.Err()
	}
	return nil
}

// testConn is a connection with nothing but what every connection has.
type testConn struct {
	driver  *testDriver
	id      int
	closed  bool
	counter int64 // state that a checker depends on
}

func (c *testConn) note(ctx context.Context, format string, args ...any) {
	if c.closed {
		c.driver.misused("connection %d after its close: %s", c.id, fmt.Sprintf(format, args...))
	}
	c.driver.note(ctx, c.id, format, args...)
}

func (c *testConn) Prepare(query string) (driver.Stmt, error) { return c.prepare(noContext, query) }

func (c *testConn) Begin() (driver.Tx, error) { return c.begin(noContext, driver.TxOptions{}) }

func (c *testConn) Close() error {
	c.note(noContext, "close")
	c.closed = true
	return nil
}

func (c *testConn) prepare(ctx context.Context, query string) (driver.Stmt, error) {
	c.note(ctx, "prepare %s", query)
	if err := c.driver.act(ctx, "prepare", query); err != nil {
		return nil, err
	}
	return subsetOfStmt(c.driver.stmt, &testStmt{conn: c, text: query}), nil
}

func (c *testConn) begin(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.note(ctx, "begin %d %t", opts.Isolation, opts.ReadOnly)
	if err := c.driver.fault("begin"); err != nil {
		if err == context.Canceled {
			c.driver.cancel()
			return testTx{c}, nil
		}
		return nil, err
	}
	return testTx{c}, nil
}

func (c *testConn) exec(ctx context.Context, name, query string, args any) (driver.Result, error) {
	c.note(ctx, "%s %s %v", name, query, args)
	if err := c.driver.act(ctx, name, query); err != nil {
		return nil, err
	}
	switch {
	case strings.Contains(query, "without-result"):
		return driver.ResultNoRows, nil
	case strings.Contains(query, "plain-result"):
		return driver.RowsAffected(7), nil
	}
	return testResult{c, strings.Contains(query, "no-id"), int64(len(query))}, nil
}

func (c *testConn) query(ctx context.Context, name, query string, args any) (driver.Rows, error) {
	c.note(ctx, "%s %s %v", name, query, args)
	if err := c.driver.act(ctx, name, query); err != nil {
		return nil, err
	}
	return subsetOfRows(c.driver.rows, &testRows{conn: c, text: query, echo: fmt.Sprint(args)}), nil
}

func (c *testConn) check(who string, nv *driver.NamedValue) error {
	c.note(noContext, "%s check %d %q %T", who, nv.Ordinal, nv.Name, nv.Value)
	switch v := nv.Value.(type) {
	case counted:
		c.counter++
		nv.Value = c.counter
	case removed:
		return driver.ErrRemoveArgument
	case refused:
		return errArgument
	case badOnce:
		if c.driver.first(string(v)) {
			return driver.ErrBadConn
		}
		nv.Value = string(v)
	case []int:
		nv.Value = fmt.Sprint(v)
	default:
		return driver.ErrSkip
	}
	return nil
}

// The arguments that only a checker knows what to do with.
type (
	counted struct{}
	removed struct{}
	refused struct{}
	badOnce string
)

type (
	connExec      struct{ conn *testConn }
	connExecOld   struct{ conn *testConn }
	connQuery     struct{ conn *testConn }
	connQueryOld  struct{ conn *testConn }
	connPrepare   struct{ conn *testConn }
	connBegin     struct{ conn *testConn }
	connChecker   struct{ conn *testConn }
	connPinger    struct{ conn *testConn }
	connResetter  struct{ conn *testConn }
	connValidator struct{ conn *testConn }
)

func (m connExec) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return m.conn.exec(ctx, "exec", query, args)
}

func (m connExecOld) Exec(query string, args []driver.Value) (driver.Result, error) {
	return m.conn.exec(noContext, "exec", query, args)
}

func (m connQuery) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return m.conn.query(ctx, "query", query, args)
}

func (m connQueryOld) Query(query string, args []driver.Value) (driver.Rows, error) {
	return m.conn.query(noContext, "query", query, args)
}

func (m connPrepare) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return m.conn.prepare(ctx, query)
}

func (m connBegin) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return m.conn.begin(ctx, opts)
}

func (m connChecker) CheckNamedValue(nv *driver.NamedValue) error { return m.conn.check("conn", nv) }

func (m connPinger) Ping(ctx context.Context) error {
	m.conn.note(ctx, "ping")
	if ctx.Value(ofCaller{}) == nil {
		return nil // the pool's own; the faults are meant for the test's
	}
	return m.conn.driver.fault("ping")
}

func (m connResetter) ResetSession(ctx context.Context) error {
	m.conn.note(ctx, "reset")
	if ctx.Value(ofCaller{}) == nil {
		return nil // see Ping
	}
	return m.conn.driver.fault("reset")
}

func (m connValidator) IsValid() bool {
	m.conn.note(noContext, "valid")
	return m.conn.driver.fault("valid") == nil
}

type testTx struct{ conn *testConn }

func (t testTx) Commit() error {
	t.conn.note(noContext, "commit")
	return t.conn.driver.fault("commit")
}

func (t testTx) Rollback() error {
	t.conn.note(noContext, "rollback")
	return t.conn.driver.fault("rollback")
}

type testResult struct {
	conn *testConn
	noID bool
	n    int64
}

func (r testResult) LastInsertId() (int64, error) {
	r.conn.note(noContext, "last id")
	if r.noID {
		return 0, errTest
	}
	return r.n, nil
}

func (r testResult) RowsAffected() (int64, error) {
	r.conn.note(noContext, "affected")
	return r.n + 1, nil
}
