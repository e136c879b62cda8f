package pool

import (
	"context"
	"database/sql/driver"
	"strings"
	"sync/atomic"
)

// dropBatch is how many dropped statements a connection gathers before they are
// closed at the server, all at once and not on a borrower's time.
const dropBatch = 16

// mostDropped is how many may gather in one lease. Then they are closed on its
// holder's time, so that a transaction of any number of texts cannot fill the
// server's memory.
const mostDropped = 256

// Stmt is an inner prepared statement of one physical connection, kept in that
// connection's cache. It may be used only by the holder of the lease it came
// from, and only until that lease ends.
type Stmt struct {
	driver.Stmt
	text string
	link node[Stmt]
	twin *Stmt  // another one with the same text
	open uint64 // the lease in which it may have rows open
	sure bool   // it has, and RowsClosed will be called
	kept bool   // in the cache
}

// stmtCache keeps a connection's prepared statements by their text, the least
// recently used of them last. It belongs to whoever has the connection.
type stmtCache struct {
	byText  map[string]*Stmt
	lru     list[Stmt]
	dropped []*Stmt // to be closed

	// What Counters does not know of yet. Stats reads them at any time.
	hits, misses atomic.Uint64
}

// Prepare returns a prepared statement for the text: the connection's cached
// one, or a new one where there is none or where it may still have rows open in
// this lease. The driver's error is returned as it is. After each use the holder
// must call Done. prepared tells whether the driver was called.
//
// A dropped statement of the same text is closed first: drivers such as pgx hand
// out their own statement of a text again for as long as one of it is open, and a
// failed one must not come back that way.
func (l Lease) Prepare(ctx context.Context, text string) (s *Stmt, prepared bool, err error) {
	sc := &l.conn.stmts
	for s = sc.byText[text]; s != nil; s = s.twin {
		if s.open != l.seq {
			sc.lru.remove(&s.link)
			sc.lru.pushFront(&s.link)
			sc.hits.Add(1)
			return s, false, nil
		}
	}
	sc.misses.Add(1)
	sc.closeWhere(func(s *Stmt) bool { return s.text == text && s.open != l.seq })
	inner, err := prepare(ctx, l.conn.inner, text)
	if err != nil {
		return nil, true, err
	}
	s = &Stmt{Stmt: inner, text: text}
	s.link.of = s
	sc.add(s, l)
	return s, true, nil
}

// Rows says whether a use of a statement has returned rows that may still be open.
type Rows uint8

// What a use of a statement may have left open.
const (
	NoRows      Rows = iota // nothing
	UnseenRows              // nobody will tell when they are closed: the end of the lease has to do
	WatchedRows             // RowsClosed will be called
)

// Done tells that a use of s has ended with err. With rows open, s serves nobody
// else until RowsClosed or the end of the lease. A statement whose execution failed is dropped,
// so that a stale plan never survives.
func (l Lease) Done(s *Stmt, err error, rows Rows) {
	if rows != NoRows {
		s.open, s.sure = l.seq, rows == WatchedRows
	}
	if s.kept && err != nil {
		l.conn.stmts.drop(s)
	}
	if !s.kept && rows == NoRows {
		l.conn.stmts.closeDropped(l)
	}
}

// RowsClosed tells that the rows that s returned in this lease are closed.
func (l Lease) RowsClosed(s *Stmt) {
	s.open = 0
	if !s.kept {
		l.conn.stmts.closeDropped(l)
	}
}

// add puts s into the cache and drops the least recently used beyond its bound.
func (sc *stmtCache) add(s *Stmt, l Lease) {
	limit := l.pool.settings.Load().StmtCache
	if limit <= 0 {
		l.ForgetStmts() // from before an Update
		sc.dropped = append(sc.dropped, s)
		return
	}
	if sc.byText == nil {
		sc.byText = make(map[string]*Stmt)
	}
	s.twin = sc.byText[s.text]
	s.kept = true
	sc.byText[s.text] = s
	sc.lru.pushFront(&s.link)
	for sc.lru.len > limit && sc.lru.back != &s.link {
		sc.drop(sc.lru.back.of)
	}
	sc.closeDropped(l)
}

// drop takes s out of the cache; it is closed later.
func (sc *stmtCache) drop(s *Stmt) {
	sc.lru.remove(&s.link)
	s.kept = false
	if first := sc.byText[s.text]; first != s {
		for first.twin != s {
			first = first.twin
		}
		first.twin = s.twin
	} else if s.twin != nil {
		sc.byText[s.text] = s.twin
	} else {
		delete(sc.byText, s.text)
	}
	s.twin = nil
	sc.dropped = append(sc.dropped, s)
}

// closeDropped closes dropped statements in the midst of a lease, except those with
// rows open, where no cache is wanted or they have become too many to wait for its
// end.
func (sc *stmtCache) closeDropped(l Lease) {
	if len(sc.dropped) < mostDropped && l.pool.settings.Load().StmtCache > 0 {
		return
	}
	sc.closeWhere(func(s *Stmt) bool { return s.open != l.seq })
}

// closeWhere closes some of the dropped statements.
func (sc *stmtCache) closeWhere(chosen func(*Stmt) bool) {
	kept := sc.dropped[:0]
	for _, s := range sc.dropped {
		if !chosen(s) {
			kept = append(kept, s)
			continue
		}
		_ = closeStmt(s.Stmt) // a failure shows at the connection's next use
	}
	clear(sc.dropped[len(kept):])
	sc.dropped = kept
}

// needsSweep tells whether a returned connection has statements worth closing.
func (sc *stmtCache) needsSweep(limit int) bool {
	return len(sc.dropped) >= dropBatch || limit <= 0 && len(sc.dropped) > 0 || sc.lru.len > max(limit, 0)
}

// trim drops what is above a limit that was lowered.
func (sc *stmtCache) trim(limit int) {
	for sc.lru.len > max(limit, 0) {
		sc.drop(sc.lru.back.of)
	}
}

// sweep closes what was dropped, after a lease.
func (sc *stmtCache) sweep() {
	for _, s := range sc.dropped {
		_ = closeStmt(s.Stmt) // a failure shows at the connection's next use
	}
	sc.dropped = nil
}

// closeAll closes every statement, before its connection is closed.
func (sc *stmtCache) closeAll() {
	sc.sweep()
	for n := sc.lru.front; n != nil; n = n.next {
		_ = closeStmt(n.of.Stmt) // the connection goes anyway
	}
	sc.byText, sc.lru = nil, list[Stmt]{}
}

// EndsStmts tells whether an SQL statement ends the session's prepared statements
// at the server, so that those in the cache are gone after it: DISCARD ALL,
// DEALLOCATE ALL and DEALLOCATE PREPARE ALL in PostgreSQL, RESET CONNECTION in
// others.
func EndsStmts(sql string) bool {
	if sql == "" || !strings.ContainsRune("DdRr \t\r\n", rune(sql[0])) {
		return false // told by its first letter
	}
	words := strings.Fields(strings.ToUpper(strings.TrimRight(sql, "; \t\r\n")))
	switch strings.Join(words, " ") {
	case "DISCARD ALL", "DEALLOCATE ALL", "DEALLOCATE PREPARE ALL", "RESET CONNECTION":
		return true
	}
	return false
}

// ForgetStmts tells that the session's prepared statements are gone at the
// server, by a statement of the holder's own: see EndsStmts. They are prepared
// again when they are next used.
func (l Lease) ForgetStmts() {
	sc := &l.conn.stmts
	for sc.lru.len > 0 {
		sc.drop(sc.lru.back.of)
	}
}

// StmtOpen tells whether a statement of this text has rows open in this lease, for
// certain.
func (l Lease) StmtOpen(text string) bool {
	for s := l.conn.stmts.byText[text]; s != nil; s = s.twin {
		if s.open == l.seq && s.sure {
			return true
		}
	}
	return false
}
