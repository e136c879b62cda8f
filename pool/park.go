package pool

import (
	"runtime"
	"time"
)

// Parking is the short way between a return and the next acquire of the same
// holder. A connection that is given back by Park stays marked in its own lease
// word: its holder takes it again with one compare-and-swap, and the pool takes it
// with another as soon as anybody else needs it. While it is parked or lent this
// way, the pool's books count it as leased; whoever needs to know better looks at
// the words of the few connections concerned, or collects them first.
//
// The order of the steps makes sure that no return is overlooked. The pool clears
// parks and then tries the word; the holder sets the word and then looks at parks
// again. So one of them sees the other. Nothing is parked while callers wait,
// since collecting comes before waiting.

// parkRoom is how many connections of a pool may be parked or lent this way at a
// time: enough for every goroutine that can run, and few enough to look at each.
func parkRoom() int { return min(max(2*runtime.GOMAXPROCS(0), 4), 64) }

// Park is Release for a holder who is likely to ask again soon, by Reacquire with
// this lease. That costs it next to nothing; for everybody else the connection is
// as idle as any.
func (l Lease) Park(o Outcome) {
	c := l.conn
	if o != Clean || c == nil || !c.parks.Load() || c.lease.over(l.seq) || len(c.stmts.dropped) >= dropBatch {
		l.giveBack(o, true)
		return
	}
	if c.validator != nil && (!c.lease.enter(l.seq) || !isValid(c.validator)) {
		l.giveBack(Broken, false)
		return
	}
	if c.timed {
		l.pool.leaseTimed(c)
	}
	now := l.pool.moment.Load()
	c.clean, c.order, c.proof = false, now, now
	if !c.lease.park(l.seq) {
		l.giveBack(o, true) // Shutdown took it away
		return
	}
	if !c.parks.Load() {
		l.pool.cameBack(c, l.seq+1)
	}
}

// cameBack offers a connection that was parked just when the pool wanted it.
func (p *Pool) cameBack(c *conn, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.lease.unpark(seq) {
		p.leaseEnded(c)
		p.returned(c, Clean)
		p.offer(c)
	}
}

// parks tells whether connections may be parked with these settings: nothing may
// be due at a return, or at an acquire, that only the pool can see to.
func (c *Config) parks() bool {
	return c.Order == LIFO && c.CheckOnAcquire != CheckAlways && c.MaxConnUses <= 0 &&
		c.MinIdleConns <= 0 && c.MaxIdleConns >= c.MaxConns && c.StmtCache > 0 && len(c.ResetSQL) == 0
}

// park parks c, which has just been returned and is in no list, unless something
// is to be done with it, or somebody waits.
func (p *Pool) park(c *conn, cfg *Config) bool {
	if !cfg.parks() || p.tracking.Load() || p.bulletin.listener != nil || p.closed || p.queue.len > 0 || p.suspended != running || c.hungUp || c.gen != p.gen || c.expired || c.replace ||
		c.unproved || c.proof < p.doubt || p.outage.failures > 0 || p.live() >= cfg.MaxConns {
		return false
	}
	if len(p.parked) == p.parkRoom {
		p.evict = (p.evict + 1) % p.parkRoom
		p.collectOne(p.parked[p.evict])
	}
	c.state = leased
	p.leasedN++
	c.parkAt = len(p.parked)
	p.parked = append(p.parked, c)
	c.seen = 0
	c.parks.Store(true)
	c.lease.Store(c.lease.seq()<<seqShift | parkedBit)
	return true
}

// unpark ends that c may be parked. It tells whether c was: then it is in no list
// now and nobody's.
func (p *Pool) unpark(c *conn) bool {
	p.forgetParked(c)
	if !c.lease.claim() {
		return false // its holder will bring it
	}
	p.leaseEnded(c)
	return true
}

func (p *Pool) forgetParked(c *conn) {
	if c.parkAt < 0 {
		return
	}
	c.parks.Store(false)
	last := len(p.parked) - 1
	p.parked[c.parkAt] = p.parked[last]
	p.parked[c.parkAt].parkAt = c.parkAt
	p.parked[last] = nil
	p.parked = p.parked[:last]
	c.parkAt = -1
}

// collectOne makes c idle if it is parked.
func (p *Pool) collectOne(c *conn) {
	if c.parkAt >= 0 && p.unpark(c) {
		p.keepIdle(c, p.settings.Load())
	}
}

// collect makes everything idle that is parked.
func (p *Pool) collect() {
	for len(p.parked) > 0 {
		p.collectOne(p.parked[len(p.parked)-1])
	}
}

// collectUnused makes idle what was not used since the keeper's last round, and
// notes that the others were.
func (p *Pool) collectUnused(now time.Duration) {
	for i := len(p.parked) - 1; i >= 0; i-- {
		c := p.parked[i]
		if seq := c.lease.seq(); seq != c.seen {
			c.seen, c.lastUsed = seq, now
			continue
		}
		p.collectOne(c)
	}
}

// leaseEnded takes a lease of c, whose word says already that it is over, out of
// the books, and counts those that they don't know of.
func (p *Pool) leaseEnded(c *conn) {
	p.forgetParked(c)
	p.leasedN--
	over := c.lease.seq() - 1
	p.counters.Acquires += over - c.booked
	c.booked = over
	if c.stmts.hits.Load()+c.stmts.misses.Load() > 0 {
		p.counters.StmtHits += c.stmts.hits.Swap(0)
		p.counters.StmtMisses += c.stmts.misses.Swap(0)
	}
}

// parkedNow counts the parked connections, and adds to the counters what the books
// don't know of.
func (p *Pool) parkedNow(counters *Counters) (parked int) {
	for _, c := range p.parked {
		w := c.lease.Load()
		started := w >> seqShift
		if w&parkedBit != 0 {
			parked++
			started--
		}
		counters.Acquires += started - c.booked
		counters.StmtHits += c.stmts.hits.Load()
		counters.StmtMisses += c.stmts.misses.Load()
	}
	return parked
}
