package pool

import "time"

// Counters count since the pool was made; they only grow.
type Counters struct {
	Acquires      uint64        // leases given
	Waits         uint64        // acquires that had to queue, successful or not
	WaitTime      time.Duration // that all of them spent there
	Timeouts      uint64        // ended by AcquireTimeout or the caller's deadline
	Canceled      uint64        // ended by the caller's cancellation
	Exhausted     uint64        // refused because of MaxWaiters
	Failed        uint64        // answered with a connect error
	Connects      uint64        // connections made
	ConnectErrors uint64        // connects that failed
	Verifications uint64        // health checks
	VerifyErrors  uint64        // health checks that failed
	Resets        uint64        // clean-ups after a return: rollback, ResetSQL, statements
	Retries       uint64        // leases replaced because the first operation got ErrBadConn
	StmtHits      uint64        // prepared statements found in a connection's cache
	StmtMisses    uint64        // and those that had to be prepared
	Retired       Retirements   // connections retired, by reason
}

// Retirements counts retired connections; its index is a [Reason].
type Retirements [NumReasons]uint64

// Total is the sum over all reasons.
func (r Retirements) Total() uint64 {
	var n uint64
	for _, v := range r {
		n += v
	}
	return n
}

// Stats is a consistent snapshot of a pool.
type Stats struct {
	Name       string
	MaxConns   int
	Total      int // connections in all states
	Idle       int
	InUse      int
	Connecting int
	Verifying  int // including those being cleaned up after a return
	Closing    int
	Waiting    int // callers in the queue
	Counters
	LastConnectError error // nil once a connect has succeeded since
}

// Stats returns a snapshot. It costs the same however large the pool is.
func (p *Pool) Stats() Stats {
	cfg := p.settings.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	parked, leases := p.parkedNow()
	counters := p.counters
	counters.Acquires += leases
	return Stats{
		Name:             p.name,
		MaxConns:         cfg.MaxConns,
		Total:            p.total(),
		Idle:             p.idle.len + parked,
		InUse:            p.leasedN - parked,
		Connecting:       p.connecting,
		Verifying:        p.verifyingN,
		Closing:          p.closingN,
		Waiting:          p.queue.len,
		Counters:         counters,
		LastConnectError: p.lastErr,
	}
}

// CountRetry tells the pool that the holder of a lease gives it up because the
// first operation was answered with driver.ErrBadConn, and will take another.
func (p *Pool) CountRetry() {
	p.mu.Lock()
	p.counters.Retries++
	p.mu.Unlock()
}
