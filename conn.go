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
	shares bool                     // pool_lease=transaction: see leasemode.go
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
