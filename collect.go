package nimue

import (
	"database/sql/driver"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/nimue-go/nimue/internal/txguard"
	"github.com/nimue-go/nimue/pool"
)

// openRows is what is known of rows that were handed out. The handle and the
// cleanup of handedRows hold it, and never the handedRows itself.
type openRows struct {
	conn  *Conn
	lease pool.Lease
	inner driver.Rows
	stmt  *pool.Stmt     // the cached statement to be freed when they are closed; or nil
	guard *txguard.Guard // of their transaction, which must see their errors too; or nil
	text  string         // the statement's
	told  bool           // an error of theirs, to the listener
	state atomic.Uint32
}

// The states of openRows. Whoever changes one first has its way: the application
// that closes them, the holder of a *sql.Conn who goes on to something else, or the
// collector.
const (
	rowsClosed    uint32 = iota
	rowsAlone            // the only thing that its lease was taken for
	rowsAmong            // there is a transaction, or there are other operations
	rowsCollected        // nobody had closed them, and nobody could any more
)

// opened notes that a query has returned rows, and wraps them. s is their cached
// statement if somebody is to be told when it is free again.
func (c *Conn) opened(rows driver.Rows, s *pool.Stmt, text string) driver.Rows {
	alone := !c.use.touched && !c.use.open && !c.inTx() && !c.use.pinned
	c.use.open = true
	c.use.rows++
	r := c.spareRows()
	r.Rows = rows
	o := r.open
	o.lease, o.inner, o.stmt, o.guard, o.text, o.told = c.lease, rows, s, c.use.guard, text, false
	if alone {
		c.alone = o
		o.state.Store(rowsAlone)
	} else {
		o.state.Store(rowsAmong)
	}
	return asInner(r)
}

// spareRows returns the handle's rows if nobody uses them, or new ones.
func (c *Conn) spareRows() *handedRows {
	if r := c.spare.Value(); r != nil && r.open.state.Load() == rowsClosed {
		return r
	}
	r := &handedRows{open: &openRows{conn: c}}
	runtime.AddCleanup(r, (*openRows).collect, r.open)
	c.spare = weak.Make(r)
	return r
}

// note shows an error of the rows to the listener and to the transaction's guard: a
// deadlock is often found after the first row, and QueryRow and a loop without Err hide what ended
// them. Only io.EOF itself means the end to database/sql, too; a wrapped one is a
// broken connection.
func (o *openRows) note(err error) error {
	if err != nil && err != io.EOF {
		o.guard.Note(err)
		if !o.told {
			o.told = true
			o.lease.Failed(err, o.text, false)
		}
	}
	return err
}

// end makes the rows closed; false if they were.
func (o *openRows) end() bool {
	return o.state.CompareAndSwap(rowsAlone, rowsClosed) || o.state.CompareAndSwap(rowsAmong, rowsClosed)
}

// closed tells the handle that rows were closed by the application.
func (o *openRows) closed(err error) {
	c, s := o.conn, o.stmt
	o.inner, o.stmt, o.guard = nil, nil, nil
	if s != nil {
		o.lease.RowsClosed(s)
	}
	c.alone = nil
	c.use.rows--
	if c.shares {
		c.rowsClosed(err)
	}
}

// joined tells that the holder of a lease does more than read the rows that it was
// taken for. It fails if those were collected, and their connection with them: then
// for good, since whoever collects them is at work on the connection.
func (c *Conn) joined() error {
	o := c.alone
	if !o.state.CompareAndSwap(rowsAlone, rowsAmong) && o.state.Load() == rowsCollected {
		return pool.ErrRowsCollected
	}
	c.alone = nil
	return nil
}

// collect is called when handedRows were collected. Where the lease was for nothing
// but the rows, the connection goes back to the pool. Else somebody may be using
// it: the rows are left to be closed by the holder's next operation or return.
func (o *openRows) collect() {
	if o.state.CompareAndSwap(rowsAlone, rowsCollected) {
		o.lease.Collected(o.inner.Close, o.text)
		return
	}
	if o.state.CompareAndSwap(rowsAmong, rowsCollected) {
		o.conn.orphans.add(o)
	}
}

// orphans are rows that were collected while their connection may be in use.
type orphans struct {
	some atomic.Bool
	mu   sync.Mutex // guards rows; a leaf lock
	rows []*openRows
}

func (l *orphans) add(o *openRows) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = append(l.rows, o)
	l.some.Store(true)
}

func (l *orphans) take() []*openRows {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows := l.rows
	l.rows = nil
	l.some.Store(false)
	return rows
}

// closeOrphans closes such rows, in the holder's own time.
func (c *Conn) closeOrphans() {
	for _, o := range c.orphans.take() {
		c.lease.Orphaned(o.inner.Close, o.text)
		if o.stmt != nil {
			c.lease.RowsClosed(o.stmt)
		}
		c.use.rows--
	}
}
