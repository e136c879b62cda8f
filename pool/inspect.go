package pool

import "time"

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
