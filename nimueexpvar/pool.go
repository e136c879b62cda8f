package nimueexpvar

import (
	"strings"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// Pool is one pool as JSON. Names and meanings stay as they are; new ones may come.
type Pool struct {
	Health      Health           `json:"health"`
	Since       time.Time        `json:"since"` // when the pool was made
	Suspended   bool             `json:"suspended"`
	Outage      *Outage          `json:"outage"` // null: there is none
	Limits      Limits           `json:"limits"`
	Connections Connections      `json:"connections"`
	Waiters     int              `json:"waiters"`
	Peaks       Peaks            `json:"peaks"`
	Counters    Counters         `json:"counters"`
	Times       Times            `json:"times"`
	LastErrors  map[string]Error `json:"last_errors"` // the latest of each kind; see pool.ErrorKind
}

// Health is "ready", "degraded" or "down"; the reason is empty where it is ready.
type Health struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
}

// Outage tells of connects that fail.
type Outage struct {
	Seconds   float64 `json:"seconds"` // how long it has lasted
	Failures  int     `json:"failures"`
	Permanent bool    `json:"permanent"` // the server refuses for good
	Refusing  bool    `json:"refusing"`  // callers fail at once
}

// Limits are the settings in force; null means no limit.
type Limits struct {
	MaxConns       int      `json:"max_conns"`
	MinConns       int      `json:"min_conns"`
	MinIdleConns   int      `json:"min_idle_conns"`
	MaxIdleConns   int      `json:"max_idle_conns"`
	MaxConnecting  int      `json:"max_connecting"`
	MaxWaiters     *int     `json:"max_waiters"`
	AcquireTimeout *float64 `json:"acquire_timeout_seconds"`
}

// Connections are counted by state.
type Connections struct {
	Total      int `json:"total"`
	Idle       int `json:"idle"`
	InUse      int `json:"in_use"`
	Connecting int `json:"connecting"`
	Verifying  int `json:"verifying"`
	Closing    int `json:"closing"`
}

// Peaks are the highest numbers since the pool was made.
type Peaks struct {
	Total   Peak `json:"total"`
	InUse   Peak `json:"in_use"`
	Waiters Peak `json:"waiters"`
}

// Peak is a highest number and when it was reached first.
type Peak struct {
	N  int       `json:"n"`
	At time.Time `json:"at"`
}

// Counters are those of [pool.Counters].
type Counters struct {
	Acquires       uint64            `json:"acquires"`
	Waits          uint64            `json:"waits"`
	WaitTime       float64           `json:"wait_seconds"`
	Timeouts       uint64            `json:"timeouts"`
	Canceled       uint64            `json:"canceled"`
	Exhausted      uint64            `json:"exhausted"`
	Failed         uint64            `json:"failed"`
	Connects       uint64            `json:"connects"`
	ConnectErrors  uint64            `json:"connect_errors"`
	Verifications  uint64            `json:"verifications"`
	VerifyErrors   uint64            `json:"verify_errors"`
	Resets         uint64            `json:"resets"`
	Retries        uint64            `json:"retries"`
	StmtHits       uint64            `json:"stmt_hits"`
	StmtMisses     uint64            `json:"stmt_misses"`
	Leaks          uint64            `json:"leaks"`
	LeaksReturned  uint64            `json:"leaks_returned"`
	LeaksReclaimed uint64            `json:"leaks_reclaimed"`
	RowsCollected  uint64            `json:"rows_collected"`
	EventsLost     uint64            `json:"events_lost"`
	Retired        map[string]uint64 `json:"retired"` // by reason
}

// Times tell how long things took; see [pool.Stats] for what is in each.
type Times struct {
	Wait    Distribution `json:"wait"`
	Hold    Distribution `json:"hold"`
	Connect Distribution `json:"connect"`
	Verify  Distribution `json:"verify"`
}

// Distribution sums up a histogram, in seconds, since the pool was made.
type Distribution struct {
	Count uint64  `json:"count"`
	Sum   float64 `json:"sum"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// Error is the text of an error and when it happened.
type Error struct {
	Text string    `json:"error"`
	At   time.Time `json:"at"`
}

func read(p *pool.Pool) Pool {
	s, cfg, health := p.Stats(), p.Config(), p.Health()
	return Pool{
		Health:      Health{health.State.String(), health.Reason},
		Since:       s.Since,
		Suspended:   s.Suspended,
		Outage:      outage(&s),
		Limits:      limits(&cfg),
		Connections: Connections{s.Total, s.Idle, s.InUse, s.Connecting, s.Verifying, s.Closing},
		Waiters:     s.Waiting,
		Peaks:       Peaks{Peak(s.PeakTotal), Peak(s.PeakInUse), Peak(s.PeakWaiting)},
		Counters:    counters(&s.Counters),
		Times:       Times{distribution(&s.Wait), distribution(&s.Hold), distribution(&s.Connect), distribution(&s.Verify)},
		LastErrors:  lastErrors(&s),
	}
}

func outage(s *pool.Stats) *Outage {
	if s.Outage.Failures == 0 {
		return nil
	}
	return &Outage{max(s.At.Sub(s.Outage.Since), 0).Seconds(), s.Outage.Failures, s.Outage.Permanent, s.Outage.Refusing}
}

func limits(cfg *pool.Config) Limits {
	l := Limits{
		MaxConns:      cfg.MaxConns,
		MinConns:      cfg.MinConns,
		MinIdleConns:  cfg.MinIdleConns,
		MaxIdleConns:  max(cfg.MaxIdleConns, 0),
		MaxConnecting: cfg.MaxConnecting,
	}
	if cfg.MaxWaiters != 0 {
		l.MaxWaiters = new(max(cfg.MaxWaiters, 0))
	}
	if cfg.AcquireTimeout > 0 {
		l.AcquireTimeout = new(cfg.AcquireTimeout.Seconds())
	}
	return l
}

func counters(c *pool.Counters) Counters {
	retired := make(map[string]uint64, len(c.Retired))
	for i, n := range c.Retired {
		retired[strings.ReplaceAll(pool.Reason(i).String(), " ", "_")] = n
	}
	return Counters{
		c.Acquires, c.Waits, c.WaitTime.Seconds(), c.Timeouts, c.Canceled, c.Exhausted, c.Failed,
		c.Connects, c.ConnectErrors, c.Verifications, c.VerifyErrors, c.Resets, c.Retries,
		c.StmtHits, c.StmtMisses, c.Leaks, c.LeaksReturned, c.LeaksTaken, c.RowsCollected, c.EventsLost, retired,
	}
}

func distribution(h *pool.Histogram) Distribution {
	return Distribution{
		Count: h.Count, Sum: h.Sum.Seconds(), Max: h.Max.Seconds(),
		P50: h.Quantile(.5).Seconds(), P90: h.Quantile(.9).Seconds(), P99: h.Quantile(.99).Seconds(),
	}
}

func lastErrors(s *pool.Stats) map[string]Error {
	errs := map[string]Error{}
	for i, e := range s.LastErrors {
		if e.Err != nil {
			errs[pool.ErrorKind(i).String()] = Error{e.Err.Error(), e.At}
		}
	}
	return errs
}
