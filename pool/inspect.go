package pool

import (
	"fmt"
	"slices"
	"time"
)

// ConnInfo describes one physical connection as it was a moment ago.
type ConnInfo struct {
	ID       uint64        // counts from 1 within the pool
	State    string        // "idle", "leased", "verifying" or "closing"
	Age      time.Duration // since it was connected
	Idle     time.Duration // since it was last used, to a second or so; 0 while leased
	Uses     uint64        // leases so far
	Verified time.Duration // since it was last verified or connected
	Expires  time.Duration // until its lifetime ends; 0: no limit
	Doubted  bool          // it must be verified before it is lent
	// What follows is known of leased connections while somebody watches (see
	// Pool.Observe) or LeakThreshold is set, and for leases begun since then.
	Held      time.Duration // how long the lease has lasted
	Leaked    bool          // longer than LeakThreshold
	Stack     string        // who took it
	Statement string        // its latest statement, literals masked
}

// Sample is the state of a pool at one moment of its recent history. Counters
// count since the pool was made.
type Sample struct {
	At                          time.Time
	Total, Idle, InUse, Waiting int
	Acquires, Waits, Timeouts   uint64
	Connects, ConnectErrors     uint64
	WaitTime                    time.Duration
}

// HealthState is what an orchestrator wants to know.
type HealthState uint8

const (
	Ready    HealthState = iota // callers are served
	Degraded                    // they are, but not as they should be
	Down                        // they are not
)

// String returns "ready", "degraded" or "down".
func (s HealthState) String() string {
	switch s {
	case Ready:
		return "ready"
	case Degraded:
		return "degraded"
	}
	return "down"
}

// Health is a pool's state with its reason, which is empty where it is Ready.
type Health struct {
	State  HealthState
	Reason string
}

// Conns describes every connection that is there, in the order in which they were
// made. It looks at each of them, and is for people and not for a hot loop. Call
// Observe some time before to have it tell who holds the leased ones.
func (p *Pool) Conns() []ConnInfo {
	p.mu.Lock()
	now := p.now()
	infos := make([]ConnInfo, 0, len(p.all))
	traces := make([]track, 0, len(p.all))
	for _, c := range p.all {
		infos = append(infos, p.describe(c, now))
		traces = append(traces, c.track)
	}
	p.mu.Unlock()
	for i := range infos { // what takes time, with no lock held
		if t := &traces[i]; infos[i].State == "leased" && t.on {
			infos[i].Stack, infos[i].Statement = t.stackText(), MaskSQL(t.statement)
		}
	}
	slices.SortFunc(infos, func(a, b ConnInfo) int { return int(a.ID) - int(b.ID) })
	return infos
}

func (p *Pool) describe(c *conn, now time.Duration) ConnInfo {
	info := ConnInfo{ID: c.id, State: [...]string{"idle", "leased", "verifying", "closing"}[c.state], Age: now - c.born,
		Uses: c.lease.seq() - 1, Verified: now - c.verified, Doubted: c.proof < p.doubt || c.unproved}
	if c.expires != 0 {
		info.Expires = max(c.expires-now, 1)
	}
	switch {
	case c.state != leased, c.lease.Load()&parkedBit != 0:
		if c.state == leased {
			info.State = "idle"
		}
		if info.State == "idle" {
			info.Idle = now - c.lastUsed
		}
	default:
		info.Uses++
		if c.track.on {
			info.Held, info.Leaked = now-c.track.since, c.track.reported
		}
	}
	return info
}

// recently is how long an acquire that failed keeps the pool from being Ready.
const recently = 10 * time.Second

// Health tells in a word how the pool is, and why.
func (p *Pool) Health() Health {
	p.mu.Lock()
	state, format, args := p.condition()
	p.mu.Unlock()
	return Health{state, fmt.Sprintf(format, args...)} // the drivers' errors may be slow to say what they are
}

// condition is Health, its reason not yet put into words. mu must be held.
func (p *Pool) condition() (HealthState, string, []any) {
	now, cfg := p.now(), p.settings.Load()
	say := func(s HealthState, format string, args ...any) (HealthState, string, []any) { return s, format, args }
	switch o := &p.outage; {
	case p.closed:
		return say(Down, "closed")
	case p.suspended == refusing:
		return say(Down, "suspended, and callers are refused")
	case o.failures > 0 && p.standing() == 0 && o.permanent:
		return say(Down, "the database refuses connections: %v", p.lastErr)
	case o.failures > 0 && p.standing() == 0 && o.over(now, cfg):
		return say(Down, "no connect has succeeded for %v: %v", roundWait(now-o.since), p.lastErr)
	case o.failures > 0:
		return say(Degraded, "connects have failed for %v: %v", roundWait(now-o.since), p.lastErr)
	case p.suspended == waiting:
		return say(Degraded, "suspended; callers waiting: %d", p.queue.len)
	}
	leaks, args := "", []any(nil)
	switch {
	case p.leaked == 1:
		leaks, args = "a connection has been held for longer than %v", []any{cfg.LeakThreshold}
	case p.leaked > 1:
		leaks, args = "%d connections have been held for longer than %v", []any{p.leaked, cfg.LeakThreshold}
	}
	last := p.seen.errs[ErrorAcquire]
	failed := last.err != nil && now-last.at < recently
	switch {
	case failed && leaks != "": // the cause first
		return say(Degraded, leaks+"; %v ago: %v", append(args, roundWait(now-last.at), last.err)...)
	case failed:
		return say(Degraded, "%v ago: %v", roundWait(now-last.at), last.err)
	case leaks != "":
		return say(Degraded, leaks, args...)
	case p.queue.len > 0 && p.leasedN >= cfg.MaxConns:
		return say(Degraded, "every connection (%d) is in use; callers waiting: %d", cfg.MaxConns, p.queue.len)
	}
	return say(Ready, "")
}
