package pool

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"
)

// Tracking: who holds a connection, since when and for which statement. It is on
// while LeakThreshold or LeakReclaim is set, and for as long as Observe asks; then
// every lease goes by the pool's books. Otherwise it costs one look at a flag.

// track is what is recorded of a lease, guarded by Pool.mu.
type track struct {
	on        bool
	since     time.Duration
	reported  bool // as a leak
	reclaimed bool
	limit     time.Duration // LeakReclaim, then
	frames    int
	stack     [32]uintptr
	statement string
}

// setTracking follows the settings and Observe. Turning it on takes parked
// connections back, since their leases are begun unseen.
func (p *Pool) setTracking(cfg *Config) {
	on := cfg.LeakThreshold > 0 || cfg.LeakReclaim > 0 || p.observeUntil > p.now()
	p.noting.Store(on || p.log.enabled(slog.LevelDebug) || p.wantsNotices(cfg))
	if p.tracking.Swap(on) != on && on {
		p.collect()
	}
}

// Observe has the pool record for d who takes connections, and for which
// statements, so that Conns can tell. A later call prolongs it. Leases that are out
// already are not known.
func (p *Pool) Observe(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.observeUntil = max(p.observeUntil, p.now()+d)
	p.setTracking(p.settings.Load())
	p.wakeBy(p.observeUntil)
}

// trackLease records who has just taken c: the caller's caller.
func (p *Pool) trackLease(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &c.track
	*t = track{on: true, since: p.now()}
	t.frames = runtime.Callers(3, t.stack[:])
	if cfg := p.settings.Load(); cfg.LeakThreshold > 0 || cfg.LeakReclaim > 0 {
		p.wakeBy(p.due(c, cfg, t.since))
	}
}

// Note tells the pool the statement that the holder is about to send, for Conns, for
// leak reports and for the log at debug level. Where nobody wants to know it costs
// one load. The text is only shown with its literals masked.
func (l Lease) Note(statement string) {
	if l.pool.noting.Load() {
		l.note(statement)
	}
}

func (l Lease) note(statement string) {
	p := l.pool
	if p.tracking.Load() {
		p.mu.Lock()
		if l.conn.lease.seq() == l.seq {
			l.conn.track.statement = statement
		}
		p.mu.Unlock()
	}
	l.conn.noticed.says(statement)
	p.log.statement(l.conn.id, statement)
}

// Failed tells the pool of an error with which an operation of this lease ended,
// and of the statement, for the listener and, where it cost the connection, for the
// statistics.
func (l Lease) Failed(err error, statement string, died bool) {
	p := l.pool
	if p.bulletin.listener == nil && !died {
		return
	}
	if redact := p.settings.Load().Redact; redact != nil {
		err = redactSafely(redact, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if died {
		p.failed(ErrorOperation, err)
	}
	p.tell(Event{Kind: EventOperationFailed, Conn: l.conn.id, Err: err, Statement: MaskSQL(statement)})
}

// stackText writes the frames of whoever took the lease, the application's first:
// those of the pool, the handle and database/sql are left out at the top.
func (t *track) stackText() string {
	if t.frames == 0 {
		return ""
	}
	var b strings.Builder
	own := true
	frames := runtime.CallersFrames(t.stack[:t.frames])
	for {
		f, more := frames.Next()
		if own = own && isOwnFrame(f.Function) && !strings.HasSuffix(f.File, "_test.go"); !own {
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return b.String()
		}
	}
}

func isOwnFrame(function string) bool {
	for _, prefix := range []string{"github.com/nimue-go/nimue.", "github.com/nimue-go/nimue/pool.", "database/sql."} {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}

// findLeaks reports leases that have been held for too long, and takes them back.
func (p *Pool) findLeaks(now time.Duration, cfg *Config) {
	if cfg.LeakThreshold <= 0 && cfg.LeakReclaim <= 0 {
		return
	}
	for i := len(p.all) - 1; i >= 0; i-- {
		c := p.all[i]
		t := &c.track
		if c.state != leased || !t.on {
			continue
		}
		held := now - t.since
		if cfg.LeakThreshold > 0 && held >= cfg.LeakThreshold && !t.reported {
			t.reported = true
			p.counters.Leaks++
			p.leaked++
			p.tell(p.leakEvent(EventLeakFound, c, held))
		}
		if cfg.LeakReclaim > 0 && held >= cfg.LeakReclaim {
			p.reclaim(c, held)
		}
	}
}

func (p *Pool) leakEvent(kind EventKind, c *conn, held time.Duration) Event {
	return Event{Kind: kind, Conn: c.id, Took: held, Stack: c.track.stackText(), Statement: MaskSQL(c.track.statement)}
}

// reclaim takes a lease away. Its place is free at once. The connection is closed
// now if its holder is not inside a call; else it is cut off at its socket, and
// closed when the holder gives it back.
func (p *Pool) reclaim(c *conn, held time.Duration) {
	p.counters.LeaksTaken++
	p.tell(p.leakEvent(EventLeakReclaimed, c, held))
	p.trackEnds(c)
	c.track.reclaimed, c.track.limit = true, p.settings.Load().LeakReclaim
	p.forgetParked(c)
	p.leasedN--
	if busy := c.lease.revoke(); busy {
		p.giveUp(c, ReasonReclaimed)
		return
	}
	p.retire(c, ReasonReclaimed)
	p.serve()
}

// trackEnds notes that a tracked lease is over.
func (p *Pool) trackEnds(c *conn) {
	t := &c.track
	if t.reported {
		p.leaked--
	}
	t.on, t.reported = false, false
}

// trackReturned is trackEnds for a lease that its holder gave back.
func (p *Pool) trackReturned(c *conn) {
	if !c.track.on {
		return
	}
	if c.track.reported {
		p.counters.LeaksReturned++
		p.tell(Event{Kind: EventLeakReturned, Conn: c.id, Took: p.now() - c.track.since})
	}
	p.trackEnds(c)
}

// ErrReclaimed is why an operation failed whose connection had been taken back.
var ErrReclaimed = errors.New("the connection was held for too long and was taken back")

// ReclaimedError tells of a lease that was taken back. It unwraps to ErrReclaimed.
type ReclaimedError struct {
	Pool  string
	After time.Duration // LeakReclaim
}

// Error names the pool and the limit.
func (e *ReclaimedError) Error() string {
	return fmt.Sprintf("nimue: %s: %v, after %v", e.Pool, ErrReclaimed, e.After)
}

// Unwrap returns ErrReclaimed.
func (e *ReclaimedError) Unwrap() error { return ErrReclaimed }

// Err tells why Enter failed: the lease was taken back, or the pool was shut down.
func (l Lease) Err() error {
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.conn.track.reclaimed {
		return &ReclaimedError{Pool: p.name, After: l.conn.track.limit}
	}
	return &AcquireError{Pool: p.name, Kind: ErrClosed}
}

// ErrRowsCollected is why an operation on a *sql.Conn failed whose rows of an earlier
// query were dropped without being closed, so that its connection was taken back.
var ErrRowsCollected = errors.New("nimue: the connection was taken back, since its rows were dropped without being closed")

// Collected gives back the lease of somebody who has dropped the rows that it was
// taken for without closing them, and is gone. It closes them, and does not wait for
// that.
func (l Lease) Collected(closeRows func() error, statement string) {
	p := l.pool
	p.locked(func() {
		p.inBackground(func() {
			l.Orphaned(closeRows, statement)
			l.Release(Suspicious)
		})
	})
}

// Orphaned closes rows that were dropped without being closed, and reports them.
func (l Lease) Orphaned(closeRows func() error, statement string) {
	p := l.pool
	err := closeSafely(closeRows)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counters.RowsCollected++
	p.tell(Event{Kind: EventRowsCollected, Conn: l.conn.id, Err: err, Statement: MaskSQL(statement)})
}
