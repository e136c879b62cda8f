// Package scripted is an inner driver for tests: it does nothing but what the
// test tells it to, keeps a log of every call, and counts what the real thing
// would notice, such as how many connections were ever open at a time.
package scripted

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Driver is a driver.Connector and a driver.Driver. Its hooks decide what happens;
// a nil hook means success. They are called without any lock held, by whatever
// goroutine makes the call, and must be set before the driver is used or through
// Script.
type Driver struct {
	mu     sync.Mutex // guards everything below
	hooks  Hooks
	log    []string
	open   map[*Conn]bool
	opened int
	most   int
}

// Hooks decide what the calls into a [Driver] do.
type Hooks struct {
	Connect func(ctx context.Context, n int) error // n counts from 1
	Ping    func(ctx context.Context, c *Conn) error
	Reset   func(ctx context.Context, c *Conn) error
	Valid   func(c *Conn) bool
	Close   func(c *Conn) error
	Exec    func(ctx context.Context, c *Conn, query string, args []driver.NamedValue) error
	Query   func(ctx context.Context, c *Conn, query string, args []driver.NamedValue) ([][]driver.Value, error)
	Prepare func(ctx context.Context, c *Conn, query string) error
	Begin   func(ctx context.Context, c *Conn, opts driver.TxOptions) error
	End     func(c *Conn, commit bool) error
	Next    func(c *Conn, left int) error // of rows, with the number of those that are left
}

// New returns a driver where everything succeeds.
func New(hooks Hooks) *Driver { return &Driver{hooks: hooks, open: map[*Conn]bool{}} }

// Script replaces the hooks.
func (d *Driver) Script(change func(*Hooks)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.hooks)
}

func (d *Driver) script() Hooks {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hooks
}

func (d *Driver) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, fmt.Sprintf(format, args...))
}

// Log returns the calls so far, such as "2 exec INSERT" for connection 2.
func (d *Driver) Log() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.log)
}

// Count returns how many calls so far contain the text.
func (d *Driver) Count(text string) int {
	n := 0
	for _, line := range d.Log() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// Open is how many connections are open.
func (d *Driver) Open() int { d.mu.Lock(); defer d.mu.Unlock(); return len(d.open) }

// Most is the largest number that ever were open at a time.
func (d *Driver) Most() int { d.mu.Lock(); defer d.mu.Unlock(); return d.most }

// Opened is how many there have been.
func (d *Driver) Opened() int { d.mu.Lock(); defer d.mu.Unlock(); return d.opened }

// Connect opens a connection. It counts as open from here on, as the server
// would see it, and no more if the hook fails.
func (d *Driver) Connect(ctx context.Context) (driver.Conn, error) {
	d.mu.Lock()
	d.opened++
	c := &Conn{ID: d.opened, driver: d}
	d.open[c] = true
	d.most = max(d.most, len(d.open))
	hook := d.hooks.Connect
	d.mu.Unlock()
	d.note("%d connect", c.ID)
	if hook != nil {
		if err := hook(ctx, c.ID); err != nil {
			d.gone(c)
			return nil, err
		}
	}
	return c, nil
}

// Forget counts connection id as gone, for tests whose driver loses one.
func (d *Driver) Forget(id int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.open {
		if c.ID == id {
			delete(d.open, c)
		}
	}
}

func (d *Driver) gone(c *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, c)
}

// Driver returns a driver.Driver that can be registered with database/sql; it
// opens this Driver's connections whatever the DSN says.
func (d *Driver) Driver() driver.Driver { return Registered{d} }

// Registered is a [Driver] as database/sql wants it registered.
type Registered struct{ To *Driver }

// Open connects.
func (r Registered) Open(string) (driver.Conn, error) { return r.To.Connect(context.Background()) }

// OpenConnector returns the Driver.
func (r Registered) OpenConnector(string) (driver.Connector, error) { return r.To, nil }

// Conn is one connection, with every optional interface.
type Conn struct {
	ID     int
	driver *Driver
	InTx   bool // as BeginTx, BEGIN, COMMIT and ROLLBACK leave it
	using  sync.Mutex
	closed bool
}

// enter panics where two calls on one connection overlap: drivers may break.
func (c *Conn) enter(what string) func() {
	if !c.using.TryLock() {
		panic(fmt.Sprintf("scripted: %s while another call is under way on connection %d", what, c.ID))
	}
	if c.closed {
		c.using.Unlock()
		panic(fmt.Sprintf("scripted: %s on closed connection %d", what, c.ID))
	}
	return c.using.Unlock
}

func (c *Conn) note(format string, args ...any) {
	c.driver.note("%d %s", c.ID, fmt.Sprintf(format, args...))
}

// Ping, ResetSession, IsValid and Close run their hooks.
func (c *Conn) Ping(ctx context.Context) error {
	defer c.enter("ping")()
	c.note("ping")
	if h := c.driver.script().Ping; h != nil {
		return h(ctx, c)
	}
	return nil
}

// ResetSession runs its hook.
func (c *Conn) ResetSession(ctx context.Context) error {
	defer c.enter("reset")()
	c.note("reset")
	if h := c.driver.script().Reset; h != nil {
		return h(ctx, c)
	}
	return nil
}

// IsValid runs its hook.
func (c *Conn) IsValid() bool {
	defer c.enter("valid")()
	if h := c.driver.script().Valid; h != nil {
		return h(c)
	}
	return true
}

// Close runs its hook; afterwards the connection counts as gone.
func (c *Conn) Close() error {
	defer c.enter("close")()
	c.note("close")
	c.closed = true
	var err error
	if h := c.driver.script().Close; h != nil {
		err = h(c)
	}
	c.driver.gone(c)
	return err
}

// ExecContext runs its hook and follows BEGIN, COMMIT and ROLLBACK.
func (c *Conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	defer c.enter("exec")()
	c.note("exec %s", query)
	if h := c.driver.script().Exec; h != nil {
		if err := h(ctx, c, query, args); err != nil {
			return nil, err
		}
	}
	switch strings.ToUpper(query) {
	case "BEGIN":
		c.InTx = true
	case "COMMIT", "ROLLBACK":
		c.InTx = false
	}
	return driver.RowsAffected(1), nil
}

// QueryContext runs its hook, whose rows it returns; without one, a single 1.
func (c *Conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	defer c.enter("query")()
	c.note("query %s", query)
	rows := [][]driver.Value{{int64(1)}}
	if h := c.driver.script().Query; h != nil {
		var err error
		if rows, err = h(ctx, c, query, args); err != nil {
			return nil, err
		}
	}
	return &Rows{conn: c, rows: rows}, nil
}

// Prepare is for the old interface.
func (c *Conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext runs its hook.
func (c *Conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	defer c.enter("prepare")()
	c.note("prepare %s", query)
	if h := c.driver.script().Prepare; h != nil {
		if err := h(ctx, c, query); err != nil {
			return nil, err
		}
	}
	return &Stmt{conn: c, query: query}, nil
}

// Begin is for the old interface.
func (c *Conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx runs its hook.
func (c *Conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	defer c.enter("begin")()
	c.note("begin")
	if h := c.driver.script().Begin; h != nil {
		if err := h(ctx, c, opts); err != nil {
			return nil, err
		}
	}
	c.InTx = true
	return &Tx{c}, nil
}

// Tx is a transaction.
type Tx struct{ conn *Conn }

// Commit runs the End hook.
func (t *Tx) Commit() error { return t.end("commit", true) }

// Rollback runs the End hook.
func (t *Tx) Rollback() error { return t.end("rollback", false) }

func (t *Tx) end(what string, commit bool) error {
	defer t.conn.enter(what)()
	t.conn.note("%s", what)
	t.conn.InTx = false
	if h := t.conn.driver.script().End; h != nil {
		return h(t.conn, commit)
	}
	return nil
}

// Stmt is a prepared statement; it goes through its connection's Exec and Query
// hooks. Two open uses of one statement at a time are an error.
type Stmt struct {
	conn   *Conn
	query  string
	open   bool
	closed bool
}

// NumInput is -1: not known.
func (s *Stmt) NumInput() int { return -1 }

// Close is noted.
func (s *Stmt) Close() error {
	defer s.conn.enter("stmt close")()
	s.conn.note("stmt-close %s", s.query)
	s.closed = true
	return nil
}

// Exec is for the old interface.
func (s *Stmt) Exec([]driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), nil)
}

// Query is for the old interface.
func (s *Stmt) Query([]driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), nil)
}

// ExecContext runs the Exec hook.
func (s *Stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	defer s.conn.enter("stmt exec")()
	if err := s.usable(); err != nil {
		return nil, err
	}
	s.conn.note("stmt-exec %s", s.query)
	if h := s.conn.driver.script().Exec; h != nil {
		if err := h(ctx, s.conn, s.query, args); err != nil {
			return nil, err
		}
	}
	return driver.RowsAffected(1), nil
}

// QueryContext runs the Query hook.
func (s *Stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	defer s.conn.enter("stmt query")()
	if err := s.usable(); err != nil {
		return nil, err
	}
	s.conn.note("stmt-query %s", s.query)
	rows := [][]driver.Value{{int64(1)}}
	if h := s.conn.driver.script().Query; h != nil {
		var err error
		if rows, err = h(ctx, s.conn, s.query, args); err != nil {
			return nil, err
		}
	}
	s.open = true
	return &Rows{conn: s.conn, stmt: s, rows: rows}, nil
}

func (s *Stmt) usable() error {
	if s.open {
		return fmt.Errorf("scripted: statement %q is used while its rows are open", s.query)
	}
	if s.closed {
		return fmt.Errorf("scripted: statement %q is used after it was closed", s.query)
	}
	return nil
}

// Rows are the rows of a query.
type Rows struct {
	conn *Conn
	stmt *Stmt
	rows [][]driver.Value
}

// Columns are named a, b, c …
func (r *Rows) Columns() []string {
	n := 1
	if len(r.rows) > 0 {
		n = len(r.rows[0])
	}
	names := make([]string, n)
	for i := range names {
		names[i] = string(rune('a' + i))
	}
	return names
}

// Next gives one row after the other.
func (r *Rows) Next(dest []driver.Value) error {
	defer r.conn.enter("next")()
	if h := r.conn.driver.script().Next; h != nil {
		if err := h(r.conn, len(r.rows)); err != nil {
			return err
		}
	}
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(dest, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

// Close frees the statement.
func (r *Rows) Close() error {
	defer r.conn.enter("rows close")()
	if r.stmt != nil {
		r.stmt.open = false
	}
	return nil
}
