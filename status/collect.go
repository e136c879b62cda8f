package status

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
		Conns: Conns{Max: s.MaxConns, Total: s.Total, InUse: s.InUse, Idle: s.Idle, Connecting: s.Connecting, Verifying: s.Verifying, Closing: s.Closing},
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
		Acquires: c.Acquires, Waits: c.Waits, WaitTime: Seconds(c.WaitTime),
		Timeouts: c.Timeouts, Canceled: c.Canceled, Exhausted: c.Exhausted, Failed: c.Failed,
		Connects: c.Connects, ConnectErrors: c.ConnectErrors, Verifications: c.Verifications, VerifyErrors: c.VerifyErrors,
		Resets: c.Resets, Retries: c.Retries, StmtHits: c.StmtHits, StmtMisses: c.StmtMisses,
		Leaks: c.Leaks, LeaksReturned: c.LeaksReturned, LeaksTaken: c.LeaksTaken, RowsCollected: c.RowsCollected,
		EventsLost: c.EventsLost, Retired: retired,
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
			r = append(r, LastError{pool.ErrorKind(kind).String(), clip(e.Err.Error()), e.At})
		}
	}
	slices.SortFunc(r, func(a, b LastError) int { return b.At.Compare(a.At) })
	return r
}

func readConns(conns []pool.ConnInfo) []Conn {
	r := make([]Conn, len(conns))
	for i, c := range conns {
		r[i] = readConn(c)
	}
	return r
}

func readConn(c pool.ConnInfo) Conn {
	return Conn{
		ID: c.ID, State: c.State, Age: Seconds(c.Age), Idle: Seconds(c.Idle), Uses: c.Uses, Verified: Seconds(c.Verified),
		Expires: Seconds(c.Expires), Doubted: c.Doubted, Held: Seconds(c.Held), Leaked: c.Leaked, Stack: c.Stack, Statement: clip(c.Statement),
	}
}

func readHistory(samples []pool.Sample) []Sample {
	r := make([]Sample, len(samples))
	for i, s := range samples {
		r[i] = readSample(s)
	}
	return r
}

func readSample(s pool.Sample) Sample {
	return Sample{
		At: s.At, Total: s.Total, Idle: s.Idle, InUse: s.InUse, Waiting: s.Waiting, Acquires: s.Acquires, Waits: s.Waits,
		WaitTime: Seconds(s.WaitTime), Timeouts: s.Timeouts, Connects: s.Connects, ConnectErrors: s.ConnectErrors,
	}
}

func readEvents(events []pool.Event) []Event {
	r := make([]Event, 0, len(events))
	for _, e := range slices.Backward(events) {
		r = append(r, readEvent(e))
	}
	return r
}

func readEvent(e pool.Event) Event {
	r := Event{At: e.Time, Kind: e.Kind.String(), Conn: e.Conn, Took: Seconds(e.Took), Count: e.Count, Stack: e.Stack, Statement: clip(e.Statement)}
	if e.Kind == pool.EventRetired {
		r.Reason = e.Reason.String()
	}
	if e.Err != nil {
		r.Error = clip(e.Err.Error())
	}
	return r
}

// longest bounds a statement and an error, in bytes. Statements that insert a
// thousand rows would make a page of many megabytes, once a second.
const longest = 2000

func clip(text string) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
