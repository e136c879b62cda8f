package pool

import (
	"math"
	"time"
)

// never is a time that does not come.
const never = time.Duration(math.MaxInt64)

// keep is the keeper: it sleeps until the next thing is due, does it, and ends
// when the pool is closed.
func (p *Pool) keep() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-p.kick:
		case <-timer.C:
		}
		p.mu.Lock()
		now := p.now()
		p.tending = true
		p.wakeAt = p.tend(now)
		p.tending = false
		sleep := p.wakeAt - now
		p.mu.Unlock()
		timer.Reset(sleep)
	}
}

// wakeBy makes sure that the keeper wakes at t or before.
func (p *Pool) wakeBy(t time.Duration) {
	if t >= p.wakeAt {
		return
	}
	p.wakeAt = t
	if p.tending {
		return // it will see for itself before it sleeps
	}
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// tend does everything that is due at now and returns when to be woken next.
func (p *Pool) tend(now time.Duration) time.Duration {
	if p.closed {
		return never
	}
	p.wakeAt = never // what is put off meanwhile asks for its time by wakeBy
	p.expireWaiters(now)
	next := p.roundAt
	if now >= next {
		next = p.round(now)
	} else {
		p.serve() // the time of an outage's probe may have come
	}
	next = min(next, p.wakeAt)
	if w := p.queue.front; w != nil && w.of.deadline != 0 {
		next = min(next, w.of.deadline)
	}
	if p.mixed {
		for w := p.queue.front; w != nil; w = w.next {
			if w.of.deadline != 0 {
				next = min(next, w.of.deadline)
			}
		}
	}
	return next
}

// perConn is the least distance between two rounds, per connection. A round takes
// some 10 ns for each, so that all rounds together take a thousandth of the time
// at most, however many connections come due one by one. Pools of up to
// exactUpTo connections are looked at when something is due, to the moment.
const (
	perConn   = 10 * time.Microsecond
	exactUpTo = 64
)

// round looks at every connection, does what is due and returns when anything is
// due next.
func (p *Pool) round(now time.Duration) time.Duration {
	cfg := p.settings.Load()
	p.tick++
	p.takeSample(now)
	p.collectUnused(now)
	p.stampUsed(now)
	if p.tracking.Load() && now >= p.observeUntil {
		p.setTracking(cfg)
	}
	p.findLeaks(now, cfg)
	if now >= p.recycle {
		p.recycle = p.nextRecycling(cfg)
		p.renewAll()
	}
	p.expireConns(now, cfg)
	p.expireIdle(now, cfg)
	p.verifyDue(now, cfg)
	p.forgetLost(now, cfg)
	p.serve()
	next := p.recycle
	if p.tracking.Load() && p.observeUntil > now {
		next = min(next, p.observeUntil)
	}
	for _, c := range p.all {
		next = min(next, p.due(c, cfg, now))
	}
	p.roundAt = now
	if n := len(p.all); n > exactUpTo {
		p.roundAt += time.Duration(n) * perConn
	}
	return max(next, p.roundAt)
}

// expireWaiters answers the callers whose acquire timeout has come. All have the
// same timeout and stand in the order of asking, so the head expires first,
// unless the timeout was changed while they waited.
func (p *Pool) expireWaiters(now time.Duration) {
	for n := p.queue.front; n != nil; {
		w, next := n.of, n.next
		switch {
		case w.deadline != 0 && w.deadline <= now:
			p.counters.Timeouts++
			err := p.acquireError(ErrAcquireTimeout, now-w.since, nil)
			err.Waiting--
			p.refuse(w, err)
		case !p.mixed:
			return
		}
		n = next
	}
	p.mixed = p.mixed && p.queue.len > 0
}

// stampUsed does what returns left to it: to say when their connections were
// used, and which idle ones have not been for a while.
func (p *Pool) stampUsed(now time.Duration) {
	for _, c := range p.all {
		if c.touched {
			c.touched, c.lastUsed = false, now
		}
		if c.state == idle {
			c.stale = now-p.alive(c) >= freshFor
		}
	}
}

// alive is when c was last known to work.
func (p *Pool) alive(c *conn) time.Duration { return max(c.lastUsed, c.verified) }

// expireConns ends lifetimes. A leased connection goes when it is returned. An
// idle one that a floor counts on stays, and is lent, until its replacement is
// there; in a full pool they go one by one.
func (p *Pool) expireConns(now time.Duration, cfg *Config) {
	for i := len(p.all) - 1; i >= 0; i-- {
		c := p.all[i]
		if c.expires == 0 || c.expires > now || c.replace || c.expired {
			continue
		}
		p.collectOne(c)
		switch {
		case c.state != idle:
			c.expired = true
		case p.spareable(cfg):
			p.retireIdle(c, ReasonLifetime)
		default:
			p.markReplaced(c)
		}
	}
	if p.replacing > 0 && p.total() >= cfg.MaxConns && p.connecting+p.closingN == 0 {
		p.makeRoom()
	}
}

// clockTime reads a time of day.
func clockTime(text string) (hour, minute int, ok bool) {
	t, err := time.Parse("15:04", text)
	return t.Hour(), t.Minute(), err == nil && len(text) == len("15:04")
}

// nextRecycling is when Config.RecycleAt comes next. Where a change of the clocks
// leaves that time of day out, it is an hour later, as time.Date has it.
func (p *Pool) nextRecycling(cfg *Config) time.Duration {
	hour, minute, ok := clockTime(cfg.RecycleAt)
	if !ok {
		return never
	}
	now := time.Now()
	at := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, time.Local)
	if !at.After(now) {
		at = time.Date(now.Year(), now.Month(), now.Day()+1, hour, minute, 0, 0, time.Local)
	}
	return p.now() + at.Sub(now)
}

// markReplaced has c go once its replacement is there.
func (p *Pool) markReplaced(c *conn) {
	if !c.replace && !c.expired {
		c.replace = true
		p.replacing++
	}
}

// endOf is why a connection goes whose time has come.
func (c *conn) endOf() Reason {
	if c.drains != nil {
		return ReasonDrained
	}
	return ReasonLifetime
}

// spareable tells whether the floors hold with one idle connection less.
func (p *Pool) spareable(cfg *Config) bool {
	return p.standing() > cfg.MinConns && p.idle.len > cfg.MinIdleConns
}

// makeRoom is for a full pool whose connections are to be replaced: one less, and
// then the next. What Drain renews is to be as many afterwards.
func (p *Pool) makeRoom() {
	before := p.closingN
	draining := false
	for _, c := range p.all {
		draining = draining || c.replace && c.drains != nil && c.state == idle
	}
	busy := p.retireReplaced()
	if draining && p.closingN > before {
		p.lost = append(p.lost, lost{p.now()})
	}
	if busy != nil && busy.drains != nil {
		busy.owed = true
	}
}

// retireReplaced retires one of the connections that wait for a replacement: now
// if it is idle, else when it is returned: then it is the result.
func (p *Pool) retireReplaced() (busy *conn) {
	for _, c := range p.all {
		if c.replace && c.state == idle {
			p.retireIdle(c, c.endOf())
			return nil
		}
		if c.replace {
			busy = c
		}
	}
	if busy != nil {
		busy.replace, busy.expired = false, true
		p.replacing--
	}
	return busy
}

// expireIdle retires what nobody has used for long, coldest first, down to the
// floors.
func (p *Pool) expireIdle(now time.Duration, cfg *Config) {
	if cfg.MaxConnIdleTime <= 0 {
		return
	}
	for n := p.idle.back; n != nil && p.spareable(cfg); {
		c := n.of
		n = n.prev
		if now-c.lastUsed >= cfg.MaxConnIdleTime {
			p.retireIdle(c, ReasonIdleTime)
		}
	}
}

// verifyDue verifies idle connections that have gone unverified for long, at
// most half of them at a time, so that the others can be lent meanwhile. What it
// had to leave is looked at again when a verification ends.
func (p *Pool) verifyDue(now time.Duration, cfg *Config) {
	p.overdue = false
	if cfg.HealthCheckPeriod <= 0 {
		return
	}
	for n := p.idle.back; n != nil; {
		c := n.of
		n = n.prev
		if now-p.alive(c) < cfg.HealthCheckPeriod || !c.canVerify(cfg) {
			continue
		}
		if p.verifyingN > 0 && p.verifyingN >= p.idle.len {
			p.overdue = true
			return
		}
		p.check(c, cfg, false)
	}
}

// due is when c next needs the keeper. A leased connection may come back at any
// moment, so it is due as soon as anything could be if it came back now.
func (p *Pool) due(c *conn, cfg *Config, now time.Duration) time.Duration {
	at := never
	soonest := func(base, delay time.Duration) {
		if delay > 0 {
			at = min(at, base+delay)
		}
	}
	if c.expires != 0 && !c.expired && !c.replace {
		at = c.expires
	}
	used, alive := c.lastUsed, p.alive(c)
	if c.state != idle || c.touched {
		used, alive = now, now
	}
	if t := &c.track; t.on && c.state == leased {
		if !t.reported {
			soonest(t.since, cfg.LeakThreshold)
		}
		soonest(t.since, cfg.LeakReclaim)
	}
	if c.parkAt >= 0 {
		at = min(at, now+freshFor) // to see whether it is used
	}
	if p.spareable(cfg) || c.state != idle {
		soonest(used, cfg.MaxConnIdleTime)
	}
	if c.canVerify(cfg) && alive+cfg.HealthCheckPeriod > now { // else it is overdue: see verifyDue
		soonest(alive, cfg.HealthCheckPeriod)
	}
	// To stamp returns and to find what is stale. A period that began with a return
	// that was stamped late would come to twice its length.
	if !c.stale && (at < never || c.canVerify(cfg)) {
		soonest(alive, freshFor)
	}
	return at
}
