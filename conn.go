package nimue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"weak"

	"github.com/nimue-go/nimue/internal/txguard"
	"github.com/nimue-go/nimue/pool"
)

// Conn is the handle: the driver.Conn that database/sql keeps. It holds no
// physical connection while it is idle. Its first operation leases one from the
// pool; IsValid, which database/sql calls when an operation, transaction or
// *sql.Conn is finished, gives it back.
//
// A Conn is reached through (*sql.Conn).Raw, where its own Raw method leads on to
// the inner driver's connection. database/sql calls it from one goroutine at a
// time, and so must everyone else.
type Conn struct {
	pool    *pool.Pool
	onClose func() // nil, or gives up the reference of Driver.Open
	closed  bool

	sent   func(driver.Conn) uint64 // Config.Sent; nil where nobody knows
	shares bool                     // pool_lease=transaction: see lease.go
	heard  bool                     // there is a listener

	lease pool.Lease // the present one if held, else the last one: a preference
	held  bool
	lost  bool // the connection went with its transaction: see mortalTx
	use   use

	spare   weak.Pointer[handedRows] // for the next query: see collect.go
	alone   *openRows                // rows that are all that the lease was taken for
	orphans orphans

	saved []driver.NamedValue // the operation's arguments as they came
	text  sqlText             // of the latest statement, nearly always the next one's, too
}

// use is what the handle remembers of the lease that it holds.
type use struct {
	phase   phase           // of the operation under way
	touched bool            // the inner driver has executed something
	session bool            // the application may rely on the session: rows, settings, a transaction
	ran     bool            // a prepared statement has been executed
	rawTx   bool            // a transaction may have been begun by SQL text
	tx      bool            // BeginTx has succeeded
	open    bool            // rows or a transaction were handed out, unwrapped
	failed  bool            // an operation has ended with an error
	pinned  bool            // by the context of the latest operation, of a handle that shares
	rows    int             // open ones
	ctx     context.Context // of the latest operation
	sent    uint64          // what had been sent when it began
	outcome pool.Outcome
	guard   *txguard.Guard // of the latest transaction, if tx.Run began it
}

// phase tells an operation under way from one that has ended, and after a panic
// where that came from.
type phase uint8

const (
	resting    phase = iota
	converting       // arguments, with Value methods of the application's
	calling          // the inner driver
)

// The handle offers every optional interface; where the inner connection lacks
// one, it falls back as database/sql would.
var (
	_ driver.ConnBeginTx        = (*Conn)(nil)
	_ driver.ConnPrepareContext = (*Conn)(nil)
	_ driver.ExecerContext      = (*Conn)(nil)
	_ driver.QueryerContext     = (*Conn)(nil)
	_ driver.NamedValueChecker  = (*Conn)(nil)
	_ driver.Pinger             = (*Conn)(nil)
	_ driver.SessionResetter    = (*Conn)(nil)
	_ driver.Validator          = (*Conn)(nil)
)

// begin makes sure that there is a lease and opens an inner call on it.
func (c *Conn) begin(ctx context.Context) (driver.Conn, error) {
	switch {
	case c.held:
		if c.alone != nil {
			if err := c.joined(); err != nil {
				return nil, err
			}
		}
		if !c.lease.Enter() { // Shutdown took it away, or it was held for too long
			return nil, c.lease.Err()
		}
		if c.use.open && c.orphans.some.Load() {
			c.closeOrphans()
		}
	case c.closed:
		return nil, driver.ErrBadConn
	case c.lost:
		return nil, sql.ErrConnDone
	default:
		var err error
		if affinityUsed.Load() {
			err = c.acquireFor(ctx)
		} else {
			err = c.pool.Renew(ctx, &c.lease)
		}
		if err != nil {
			return nil, err
		}
		c.held = true
	}
	c.use.phase = calling
	c.use.ctx = ctx
	if c.shares {
		c.use.pinned = ctx.Value(pinKey{}) != nil
	}
	inner := c.lease.Conn()
	if c.sent != nil {
		c.use.sent = c.sent(inner)
	}
	return inner, nil
}

// end closes the inner call that begin opened, with its statement, if it had one, and
// its error, and judges what that says about the connection. again tells the caller to begin once more, by
// the one retry rule: driver.ErrBadConn in answer to the first operation on a
// connection that had served before. Nothing was executed and no session state is
// lost, so another connection does as well.
//
// Where the adapter tells how much was sent, driver.ErrBadConn is not believed if
// something was: neither nimue nor database/sql may send it again then.
func (c *Conn) end(query string, err error) (again bool, _ error) {
	if err != nil && c.sent != nil && errors.Is(err, driver.ErrBadConn) && c.sent(c.lease.Conn()) != c.use.sent {
		err = unanswered(c.pool.Name())
		c.use.outcome |= pool.Dead
	}
	switch {
	case err == nil:
		c.use.touched = true
	case err == driver.ErrSkip: // not executed
		c.use.failed = true
	case !c.use.touched && c.lease.Reused() && errors.Is(err, driver.ErrBadConn):
		c.use.failed = true
		if c.use.ctx.Err() == nil {
			c.use.outcome |= pool.BadConn
		} // else pgx, for one, says so of a context that ended too soon
		c.release()
		c.pool.CountRetry()
		return true, nil
	default:
		c.use.touched, c.use.failed = true, true
		verdict := c.judge(err)
		c.use.outcome |= verdict
		c.lease.Failed(err, query, verdict&(pool.Dead|pool.BadConn) != 0)
		c.use.guard.Note(err)
	}
	c.leave()
	return false, err
}

// judge tells what an operation's error says about the connection.
func (c *Conn) judge(err error) pool.Outcome {
	switch c.pool.Classify(err) {
	case pool.Discard:
		switch {
		case !errors.Is(err, driver.ErrBadConn):
			return pool.Dead
		case c.use.ctx.Err() == nil:
			return pool.BadConn
		}
		return pool.Suspicious
	case pool.Suspect:
		// context.DeadlineExceeded is a timeout. pgx calls a cancellation one, too.
		var netErr net.Error
		if errors.As(err, &netErr) && netErr.Timeout() && !errors.Is(err, context.Canceled) {
			return pool.TimedOut
		}
		return pool.Suspicious
	case pool.Demoted:
		return pool.RoleDoubt
	}
	return pool.Clean
}

// leave closes an inner call without judging the connection. Unless rows or a
// transaction are out, a Shutdown that ran out of time may close the connection
// from then on.
func (c *Conn) leave() {
	c.use.phase = resting
	if c.use.open {
		return // the application may be inside a call of its rows or transaction at any time
	}
	if !c.lease.Leave() {
		c.lease.Release(pool.Broken) // Shutdown waited for this call to end
	}
	if c.shares {
		c.letGo()
	}
}

// unwind is deferred by every operation. Only a panic finds it still under way,
// and database/sql then forgets the connection for good in Query, Begin and Ping
// and in every statement: the lease must come back by itself, unless somebody may
// still hold something of its session. A connection whose driver panicked is not
// lent again; a panicking Value method says nothing about it.
func (c *Conn) unwind() {
	if len(c.saved) > 0 {
		clear(c.saved)
		c.saved = c.saved[:0]
	}
	if c.use.phase == resting {
		return
	}
	if c.use.phase == calling {
		c.use.outcome |= pool.Broken
	}
	if c.use.session {
		c.leave()
	} else {
		c.release()
	}
}

// release gives the lease back, with all that is known of the connection.
func (c *Conn) release() {
	if !c.held {
		return
	}
	if c.alone != nil && c.joined() != nil {
		c.alone, c.held, c.use = nil, false, use{} // the collector gives it back
		return
	}
	u := &c.use
	o := u.outcome
	if u.rawTx {
		o |= pool.OpenTx
	}
	if u.ctx != nil && (u.open || u.failed) { // rows or a transaction may have been cut short unseen
		switch u.ctx.Err() {
		case nil:
		case context.DeadlineExceeded:
			o |= pool.TimedOut
		default:
			o |= pool.Suspicious
		}
	}
	if u.open && c.orphans.some.Load() {
		c.closeOrphans()
	}
	c.held = false
	c.use = use{}
	c.lease.Park(o)
}

// ExecContext runs a statement on the leased connection. driver.ErrSkip, where
// the inner driver wants the statement prepared first or has no Exec, is legal
// here and makes database/sql prepare it.
func (c *Conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.refusal(query); err != nil {
		return nil, err
	}
	if c.autoPrepares(query, args) {
		s := stmt{conn: c, text: query, auto: true}
		if result, err := s.ExecContext(ctx, args); err != errNotPrepared {
			return result, err
		}
	}
	defer c.unwind()
	for {
		inner, err := c.begin(ctx)
		if err != nil {
			return nil, err
		}
		execer, ok := execerOf(inner)
		if !ok {
			c.leave()
			return nil, driver.ErrSkip
		}
		converted := args
		if len(args) > 0 {
			if converted, err = c.convert(inner, nil, args); err != nil {
				return nil, err
			}
		}
		c.lease.Note(query)
		result, err := execer.ExecContext(ctx, query, converted)
		if err == nil {
			result = settled(result)
		}
		c.noteTx(query, err)
		if again, err := c.end(query, err); !again {
			return result, err
		}
	}
}

// QueryContext runs a query on the leased connection and returns the inner
// driver's rows as they are. driver.ErrSkip as in ExecContext.
func (c *Conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.refusal(query); err != nil {
		return nil, err
	}
	if c.autoPrepares(query, args) {
		s := stmt{conn: c, text: query, auto: true}
		if rows, err := s.QueryContext(ctx, args); err != errNotPrepared {
			return rows, err
		}
	}
	defer c.unwind()
	for {
		inner, err := c.begin(ctx)
		if err != nil {
			return nil, err
		}
		queryer, ok := queryerOf(inner)
		if !ok {
			c.leave()
			return nil, driver.ErrSkip
		}
		converted := args
		if len(args) > 0 {
			if converted, err = c.convert(inner, nil, args); err != nil {
				return nil, err
			}
		}
		c.lease.Note(query)
		rows, err := queryer.QueryContext(ctx, query, converted)
		c.noteTx(query, err)
		if err == nil {
			rows = c.opened(rows, nil, query)
		}
		if again, err := c.end(query, err); !again {
			return rows, err
		}
	}
}

// convert converts args in place for an operation, keeping them for a second
// beginning. Where that fails, the call that was begun is over.
func (c *Conn) convert(inner driver.Conn, s driver.Stmt, args []driver.NamedValue) ([]driver.NamedValue, error) {
	if len(c.saved) > 0 {
		copy(args, c.saved)
	} else if !c.use.touched || s != nil { // a statement may prove stale
		c.saved = append(c.saved, args...)
	}
	c.use.phase = converting
	converted, err := convertArgs(inner, s, args)
	c.use.phase = calling
	if err != nil {
		c.use.guard.Note(err)
		c.leave()
	}
	return converted, err
}

// noteTx remembers that SQL text begins or ends a transaction, so that one that
// is left open can be rolled back when the connection is returned. A failed BEGIN
// counts: a rollback too many does no harm. That anything was run at all makes a
// session that the application may rely on.
func (c *Conn) noteTx(query string, err error) {
	c.use.session = c.use.session || err != driver.ErrSkip
	c.look(query)
	if c.text.endsStmts && err == nil {
		c.lease.ForgetStmts()
	}
	if c.use.guard != nil && err == nil && rollsBackTo(query) {
		c.use.guard.Recover()
	}
	switch c.text.effect {
	case opensTx:
		c.use.rawTx = c.use.rawTx || err != driver.ErrSkip
	case opensTxOutside:
		c.use.rawTx = c.use.rawTx || err == nil && !c.use.tx
	case endsTx:
		c.use.rawTx = c.use.rawTx && err != nil
	}
}

// look reads the text of a statement, unless that is the latest one's again.
func (c *Conn) look(query string) {
	if query != c.text.query { // which compares pointers first
		c.text = readText(query)
	}
}

// PrepareContext prepares the query on the leased connection, or finds it
// prepared there already, and returns a statement that outlives the lease.
func (c *Conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.refusal(query); err != nil {
		return nil, err
	}
	defer c.unwind()
	for {
		if _, err := c.begin(ctx); err != nil {
			return nil, err
		}
		_, called, err := c.lease.Prepare(ctx, query)
		if err == nil && !called {
			c.leave()
			return &stmt{conn: c, text: query}, nil
		}
		if again, err := c.end(query, err); !again {
			if err != nil {
				return nil, err
			}
			return &stmt{conn: c, text: query}, nil
		}
	}
}

// Prepare is PrepareContext without a context, for callers of the old interface.
func (c *Conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// BeginTx begins a transaction on the leased connection and returns the inner
// driver's, unless somebody has to see its end. Options that an inner driver without
// BeginTx cannot honour are refused in database/sql's words.
func (c *Conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	defer c.unwind()
	for {
		inner, err := c.begin(ctx)
		if err != nil {
			return nil, err
		}
		tx, err := beginOn(ctx, inner, opts)
		if err == nil {
			c.use.tx, c.use.session, c.use.open = true, true, true
			c.use.guard = txguard.Claim(ctx)
			if c.heard {
				tx = &heardTx{tx, c.lease}
			}
			switch {
			case c.shares:
				tx = &sharedTx{tx, c, ctx}
			case ctx.Done() != nil && !keepsAfterRollback(inner):
				tx = &mortalTx{tx, c, ctx}
			}
		}
		if again, err := c.end("", err); !again {
			return tx, err
		}
	}
}

// Begin is BeginTx without a context, for callers of the old interface.
func (c *Conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// Ping leases a connection, so that it fails if none can be had, and pings the
// server if the inner driver can.
func (c *Conn) Ping(ctx context.Context) error {
	defer c.unwind()
	for {
		inner, err := c.begin(ctx)
		if err != nil {
			return err
		}
		pinger, ok := inner.(driver.Pinger)
		if !ok {
			c.leave()
			return nil
		}
		if again, err := c.end("", pinger.Ping(ctx)); !again {
			return err
		}
	}
}

// CheckNamedValue accepts every argument as it is: see args.go.
func (c *Conn) CheckNamedValue(*driver.NamedValue) error { return nil }

// ResetSession has nothing to do: an idle handle has no session. The pool resets
// the physical connection's when it lends it.
func (c *Conn) ResetSession(context.Context) error { return nil }

// IsValid is how database/sql says that it is done with the connection for now:
// the lease goes back to the pool. A handle is always valid.
func (c *Conn) IsValid() bool {
	c.release()
	c.lost = false
	return true
}

// Close ends the handle. database/sql closes one that still holds its lease only
// when it was told driver.ErrBadConn.
func (c *Conn) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	c.use.outcome |= pool.Broken
	c.release()
	if c.onClose != nil {
		c.onClose()
	}
	return nil
}

// Raw calls f with the inner driver's connection, leasing one first if need be.
// f must not keep it, close it or use it after it has returned. f's error is
// returned as it is; driver.ErrBadConn makes nimue close the connection.
func (c *Conn) Raw(ctx context.Context, f func(inner driver.Conn) error) error {
	inner, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer c.unwind()
	c.use.touched, c.use.session = true, true // f may do anything, so nothing may be begun twice
	_, err = c.end("", f(inner))
	return err
}
