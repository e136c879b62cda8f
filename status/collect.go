package status

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// NewReport reads the state of pools, as status.json shows it.
func NewReport(pools ...*pool.Pool) Report {
	r := Report{Version: Version, At: time.Now(), Process: thisProcess, Pools: make([]Pool, 0, len(pools))}
	for _, p := range pools {
		r.Pools = append(r.Pools, readPool(p))
	}
	slices.SortStableFunc(r.Pools, func(a, b Pool) int { return cmp.Compare(a.Name, b.Name) })
	r.Health = worst(r.Pools)
	return r
}

// thisProcess does not change while the process lives.
var thisProcess = func() Process {
	p := Process{PID: os.Getpid()}
	if len(os.Args) > 0 {
		p.Program = filepath.Base(os.Args[0])
	}
	p.Host, _ = os.Hostname() // left out where there is none
	return p
}()

func readPool(p *pool.Pool) Pool {
	s := p.Stats()
	h := p.Health()
	return Pool{
		Name: s.Name, Health: Health{h.State.String(), h.Reason},
		Since: s.Since, At: s.At, Closed: s.Closed, Suspended: s.Suspended, Waiting: s.Waiting,
		Conns: Conns{s.MaxConns, s.Total, s.InUse, s.Idle, s.Connecting, s.Verifying, s.Closing},
		Peaks: Peaks{Peak(s.PeakTotal), Peak(s.PeakInUse), Peak(s.PeakWaiting)},

		Outage:   readOutage(s.Outage),
		Counters: readCounters(&s.Counters),

		Wait: readHistogram(&s.Wait), Hold: readHistogram(&s.Hold),
		Connect: readHistogram(&s.Connect), Verify: readHistogram(&s.Verify),

		LastErrors:  readErrors(&s.LastErrors),
		Connections: readConns(p.Conns()),
		History:     readHistory(p.History()),
		Events:      readEvents(p.RecentEvents()),
		Settings:    readSettings(p.Config()),
	}
}

func readOutage(o pool.OutageInfo) *Outage {
	if o.Failures == 0 {
		return nil
	}
	return &Outage{o.Failures, o.Since, o.Permanent, o.Refusing, o.NextProbe}
}

func readCounters(c *pool.Counters) Counters {
	retired := map[string]uint64{}
	for reason, n := range c.Retired {
		if n > 0 {
			retired[pool.Reason(reason).String()] = n
		}
	}
	return Counters{
		c.Acquires, c.Waits, Seconds(c.WaitTime), c.Timeouts, c.Canceled, c.Exhausted, c.Failed, c.Connects, c.ConnectErrors,
		c.Verifications, c.VerifyErrors, c.Resets, c.Retries, c.StmtHits, c.StmtMisses, c.Leaks, c.LeaksReturned, c.LeaksTaken,
		c.RowsCollected, c.EventsLost, retired,
	}
}

func readHistogram(h *pool.Histogram) Histogram {
	r := Histogram{
		Count: h.Count, Sum: Seconds(h.Sum), Mean: Seconds(h.Mean()),
		P50: Seconds(h.Quantile(0.5)), P90: Seconds(h.Quantile(0.9)), P99: Seconds(h.Quantile(0.99)),
		Max: Seconds(h.Max), Buckets: []Bucket{},
	}
	for below, n := range h.Buckets() {
		r.Buckets = append(r.Buckets, Bucket{Seconds(below), n})
	}
	return r
}

func readErrors(last *[pool.NumErrorKinds]pool.LastError) []LastError {
	r := []LastError{}
	for kind, e := range last {
		if e.Err != nil {
			r = append(r, LastError{pool.ErrorKind(kind).String(), e.Err.Error(), e.At})
		}
	}
	slices.SortFunc(r, func(a, b LastError) int { return b.At.Compare(a.At) })
	return r
}

func readConns(conns []pool.ConnInfo) []Conn {
	r := make([]Conn, len(conns))
	for i, c := range conns {
		r[i] = Conn{
			ID: c.ID, State: c.State, Age: Seconds(c.Age), Idle: Seconds(c.Idle), Uses: c.Uses, Verified: Seconds(c.Verified),
			Expires: Seconds(c.Expires), Doubted: c.Doubted, Held: Seconds(c.Held), Leaked: c.Leaked, Stack: c.Stack, Statement: c.Statement,
		}
	}
	return r
}

func readHistory(samples []pool.Sample) []Sample {
	r := make([]Sample, len(samples))
	for i, s := range samples {
		r[i] = Sample{s.At, s.Total, s.Idle, s.InUse, s.Waiting, s.Acquires, s.Waits, Seconds(s.WaitTime), s.Timeouts, s.Connects, s.ConnectErrors}
	}
	return r
}

func readEvents(events []pool.Event) []Event {
	r := make([]Event, 0, len(events))
	for _, e := range slices.Backward(events) {
		r = append(r, readEvent(e))
	}
	return r
}

func readEvent(e pool.Event) Event {
	r := Event{At: e.Time, Kind: e.Kind.String(), Conn: e.Conn, Took: Seconds(e.Took), Count: e.Count, Stack: e.Stack, Statement: e.Statement}
	if e.Kind == pool.EventRetired {
		r.Reason = e.Reason.String()
	}
	if e.Err != nil {
		r.Error = e.Err.Error()
	}
	return r
}
