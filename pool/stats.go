package pool

import "time"

// Counters count since the pool was made; they only grow.
type Counters struct {
	Acquires      uint64        // leases given
	Waits         uint64        // acquires that had to queue, successful or not
	WaitTime      time.Duration // that all of them spent there
	Timeouts      uint64        // ended by AcquireTimeout or the caller's deadline
	Canceled      uint64        // ended by the caller's cancellation
	Exhausted     uint64        // refused because of MaxWaiters or Suspend
	Failed        uint64        // answered with a connect error
	Connects      uint64        // connections made
	ConnectErrors uint64        // connects that failed
	Verifications uint64        // health checks
	VerifyErrors  uint64        // health checks that failed
	Resets        uint64        // clean-ups after a return: rollback, ResetSQL, statements
	Retries       uint64        // leases replaced because the first operation got ErrBadConn
	StmtHits      uint64        // prepared statements found in a connection's cache
	StmtMisses    uint64        // and those that had to be prepared
	Leaks         uint64        // leases that were held longer than LeakThreshold
	LeaksReturned uint64        // of those, how many came back after all
	LeaksTaken    uint64        // leases taken back by LeakReclaim
	RowsCollected uint64        // rows that nobody had closed, whose connection was given back
	EventsLost    uint64        // events that a slow listener did not get
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

	Since     time.Time // when the pool was made
	At        time.Time // when the snapshot was taken
	Closed    bool
	Suspended bool
	Outage    OutageInfo

	PeakTotal, PeakInUse, PeakWaiting Peak

	// How long acquires waited in the queue, successful or not (those that did
	// not wait are not in it), how long leases were held (a sample of them: see
	// Hold), and how long connects and verifications took, failed ones included.
	Wait, Connect, Verify Histogram
	// Hold counts leases by how long they were held. Reading the clock twice for
	// each would cost more than lending does, so that after the first 64 leases
	// of a connection one in 64 is timed, and counts for as many.
	Hold Histogram

	// LastErrors is the latest error of each kind; its index is an ErrorKind.
	LastErrors [NumErrorKinds]LastError
}

// Peak is the highest value of something, and when it was reached first.
type Peak struct {
	N  int
	At time.Time
}

// OutageInfo tells of an outage under way; Failures is 0 where there is none.
type OutageInfo struct {
	Failures  int       // probes that failed
	Since     time.Time // when the first one did
	Permanent bool      // the server refuses for good
	Refusing  bool      // the grace is over: callers with nothing else to hope for fail at once
	NextProbe time.Time
}

// ErrorKind sorts errors for LastErrors.
type ErrorKind uint8

// The kinds of errors whose latest one is kept.
const (
	ErrorAcquire   ErrorKind = iota // a caller got no connection
	ErrorConnect                    // a connect failed
	ErrorVerify                     // a verification failed
	ErrorReset                      // a clean-up after a return failed
	ErrorOperation                  // an operation ended in a connection's death
	ErrorClose                      // closing a connection failed
	errorKinds
)

// NumErrorKinds is the number of kinds there are.
const NumErrorKinds = int(errorKinds)

// String returns the kind as it appears in statistics.
func (k ErrorKind) String() string {
	names := [...]string{"acquire", "connect", "verify", "reset", "operation", "close"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// LastError is an error and when it happened; Err is nil where there was none.
type LastError struct {
	Err error
	At  time.Time
}

// Stats returns a snapshot. It costs the same however large the pool is. The gauges
// and counters are of one moment, for which the pool's lock is held while they are
// copied, some hundred nanoseconds; the histograms are copied right after it, with
// no lock.
func (p *Pool) Stats() Stats {
	s := p.books()
	s.EventsLost = p.bulletin.eventsLost()
	s.Wait, s.Hold = p.seen.wait.snapshot(), p.seen.hold.snapshot()
	s.Connect, s.Verify = p.seen.connect.snapshot(), p.seen.verify.snapshot()
	return s
}

func (p *Pool) books() Stats {
	cfg := p.settings.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	counters := p.counters
	parked := p.parkedNow(&counters)
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
		Since:            p.epoch,
		At:               p.epoch.Add(p.now()),
		Closed:           p.closed,
		Suspended:        p.suspended != running,
		Outage:           p.outageInfo(cfg),
		PeakTotal:        p.seen.peakTotal.shown(p),
		PeakInUse:        p.seen.peakInUse.shown(p),
		PeakWaiting:      p.seen.peakWaiting.shown(p),
		LastErrors:       p.lastErrors(),
	}
}

func (p *Pool) lastErrors() (shown [NumErrorKinds]LastError) {
	for kind, last := range p.seen.errs {
		if last.err != nil {
			shown[kind] = LastError{last.err, p.epoch.Add(last.at)}
		}
	}
	return shown
}

func (p *Pool) outageInfo(cfg *Config) OutageInfo {
	o := &p.outage
	if o.failures == 0 {
		return OutageInfo{}
	}
	return OutageInfo{Failures: o.failures, Since: p.epoch.Add(o.since), Permanent: o.permanent,
		Refusing: o.over(p.now(), cfg), NextProbe: p.epoch.Add(o.retryAt)}
}

// CountRetry tells the pool that the holder of a lease gives it up because the
// first operation was answered with driver.ErrBadConn, and will take another.
func (p *Pool) CountRetry() {
	p.mu.Lock()
	p.counters.Retries++
	p.mu.Unlock()
}
