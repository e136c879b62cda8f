package nimueprom

import (
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nimue-go/nimue/pool"
)

// poolLabel tells the pools of a process apart.
const poolLabel = "pool"

// family is one metric with its values.
type family struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string // beside the pool's
	read       func(r *reading, emit emit)
}

type emit func(value float64, labels ...string)

// families are all metrics but the histograms.
var families = []family{
	// What there is.
	{"nimue_connections", "Connections by state. All states together are what the server sees.",
		prometheus.GaugeValue, []string{"state"}, func(r *reading, emit emit) {
			emit(float64(r.Idle), "idle")
			emit(float64(r.InUse), "in_use")
			emit(float64(r.Connecting), "connecting")
			emit(float64(r.Verifying), "verifying")
			emit(float64(r.Closing), "closing")
		}},
	gauge("nimue_waiters", "Callers that wait for a connection.",
		func(r *reading) float64 { return float64(r.Waiting) }),
	gauge("nimue_connections_peak", "Most connections at a time since the pool was made.",
		func(r *reading) float64 { return float64(r.PeakTotal.N) }),
	gauge("nimue_connections_in_use_peak", "Most connections in use at a time since the pool was made.",
		func(r *reading) float64 { return float64(r.PeakInUse.N) }),
	gauge("nimue_waiters_peak", "Most callers that waited at a time since the pool was made.",
		func(r *reading) float64 { return float64(r.PeakWaiting.N) }),

	// What there may be.
	gauge("nimue_connections_max", "pool_max_conns: most connections, all states counted.",
		func(r *reading) float64 { return float64(r.config.MaxConns) }),
	gauge("nimue_connections_min", "pool_min_conns: floor of all connections.",
		func(r *reading) float64 { return float64(r.config.MinConns) }),
	gauge("nimue_connections_idle_max", "pool_max_idle_conns: idle connections above it are retired.",
		func(r *reading) float64 { return float64(max(r.config.MaxIdleConns, 0)) }),
	gauge("nimue_connections_idle_min", "pool_min_idle_conns: floor of idle connections.",
		func(r *reading) float64 { return float64(r.config.MinIdleConns) }),
	gauge("nimue_connections_connecting_max", "pool_max_connecting: connects under way at a time.",
		func(r *reading) float64 { return float64(r.config.MaxConnecting) }),
	gauge("nimue_waiters_max", "pool_max_waiters: callers that may wait at a time; +Inf: no limit.",
		func(r *reading) float64 { return limit(r.config.MaxWaiters, r.config.MaxWaiters == 0) }),
	gauge("nimue_acquire_timeout_seconds", "pool_acquire_timeout: longest wait for a connection; +Inf: no limit.",
		func(r *reading) float64 {
			return limit(r.config.AcquireTimeout.Seconds(), r.config.AcquireTimeout <= 0)
		}),

	// How it is.
	{"nimue_health", "1 for the state that the pool is in: ready, degraded or down.",
		prometheus.GaugeValue, []string{"state"}, func(r *reading, emit emit) {
			for s := pool.Ready; s <= pool.Down; s++ {
				emit(yes(r.health.State == s), s.String())
			}
		}},
	gauge("nimue_suspended", "1 while the pool is suspended.",
		func(r *reading) float64 { return yes(r.Suspended) }),
	gauge("nimue_outage_active", "1 from a connect that failed until one succeeds.",
		func(r *reading) float64 { return yes(r.Outage.Failures > 0) }),
	gauge("nimue_outage_permanent", "1 while the server refuses for a reason that will not pass by itself, such as a wrong password.",
		func(r *reading) float64 { return yes(r.Outage.Permanent) }),
	gauge("nimue_outage_refusing", "1 once an outage has outlasted pool_outage_grace, so that callers with nothing else to hope for fail at once.",
		func(r *reading) float64 { return yes(r.Outage.Refusing) }),
	gauge("nimue_outage_failed_probes", "Connects that failed in this outage, those under way together counted once.",
		func(r *reading) float64 { return float64(r.Outage.Failures) }),
	gauge("nimue_outage_duration_seconds", "How long this outage has lasted.", func(r *reading) float64 {
		if r.Outage.Failures == 0 {
			return 0
		}
		return max(r.At.Sub(r.Outage.Since), 0).Seconds()
	}),
	{"nimue_last_error_timestamp_seconds", "When the latest error of a kind happened; none where there was none.",
		prometheus.GaugeValue, []string{"kind"}, func(r *reading, emit emit) {
			for i, e := range r.LastErrors {
				if e.Err != nil {
					emit(float64(e.At.UnixNano())/1e9, pool.ErrorKind(i).String())
				}
			}
		}},

	// What has happened: callers.
	counter("nimue_acquires_total", "Connections lent.",
		func(r *reading) float64 { return float64(r.Acquires) }),
	counter("nimue_acquire_waits_total", "Acquires that had to wait, successful or not.",
		func(r *reading) float64 { return float64(r.Waits) }),
	counter("nimue_acquire_waiting_seconds_total", "Time that all of them waited.",
		func(r *reading) float64 { return r.WaitTime.Seconds() }),
	{"nimue_acquire_failures_total", "Callers that got no connection: timeout (pool_acquire_timeout or their own deadline), canceled (by the caller), exhausted (pool_max_waiters or suspended), connect (told the error of a connect).",
		prometheus.CounterValue, []string{"reason"}, func(r *reading, emit emit) {
			emit(float64(r.Timeouts), "timeout")
			emit(float64(r.Canceled), "canceled")
			emit(float64(r.Exhausted), "exhausted")
			emit(float64(r.Failed), "connect")
		}},
	counter("nimue_retries_total", "Leases replaced because the first operation on the connection got ErrBadConn.",
		func(r *reading) float64 { return float64(r.Retries) }),
	counter("nimue_statement_cache_hits_total", "Prepared statements found in a connection's cache.",
		func(r *reading) float64 { return float64(r.StmtHits) }),
	counter("nimue_statement_cache_misses_total", "Prepared statements that had to be prepared.",
		func(r *reading) float64 { return float64(r.StmtMisses) }),
	counter("nimue_leaks_total", "Leases held longer than pool_leak_threshold.",
		func(r *reading) float64 { return float64(r.Leaks) }),
	counter("nimue_leaks_returned_total", "Of those, leases that were returned after all.",
		func(r *reading) float64 { return float64(r.LeaksReturned) }),
	counter("nimue_leaks_reclaimed_total", "Leases taken back by pool_leak_reclaim.",
		func(r *reading) float64 { return float64(r.LeaksTaken) }),
	counter("nimue_rows_collected_total", "Rows that nobody had closed, found by the garbage collector.",
		func(r *reading) float64 { return float64(r.RowsCollected) }),

	// What has happened: connections.
	counter("nimue_connects_total", "Connections made.",
		func(r *reading) float64 { return float64(r.Connects) }),
	counter("nimue_connect_errors_total", "Connects that failed.",
		func(r *reading) float64 { return float64(r.ConnectErrors) }),
	counter("nimue_verifications_total", "Health checks of connections.",
		func(r *reading) float64 { return float64(r.Verifications) }),
	counter("nimue_verification_errors_total", "Health checks that failed.",
		func(r *reading) float64 { return float64(r.VerifyErrors) }),
	counter("nimue_resets_total", "Clean-ups after a return: rollbacks, pool_reset_sql, statements.",
		func(r *reading) float64 { return float64(r.Resets) }),
	{"nimue_connections_retired_total", "Connections retired, by reason.",
		prometheus.CounterValue, []string{"reason"}, func(r *reading, emit emit) {
			for i, n := range r.Retired {
				emit(float64(n), strings.ReplaceAll(pool.Reason(i).String(), " ", "_"))
			}
		}},
	counter("nimue_events_lost_total", "Events that a slow listener did not get.",
		func(r *reading) float64 { return float64(r.EventsLost) }),
}

func gauge(name, help string, value func(*reading) float64) family {
	return family{name, help, prometheus.GaugeValue, nil, func(r *reading, emit emit) { emit(value(r)) }}
}

func counter(name, help string, value func(*reading) float64) family {
	f := gauge(name, help, value)
	f.kind = prometheus.CounterValue
	return f
}

// limit is a limit's value, in which a negative one stands for zero.
func limit[T int | float64](n T, none bool) float64 {
	if none {
		return math.Inf(1)
	}
	return float64(max(n, 0))
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// times are the histograms.
var times = []struct {
	name, help string
	of         func(*reading) *pool.Histogram
}{
	{"nimue_acquire_wait_seconds", "How long acquires waited, successful or not; those that did not have to wait are not in it.",
		func(r *reading) *pool.Histogram { return &r.Wait }},
	{"nimue_lease_hold_seconds", "How long connections were held. Of a connection's leases beyond the first 64, one in 64 is timed and counts for as many.",
		func(r *reading) *pool.Histogram { return &r.Hold }},
	{"nimue_connect_seconds", "How long connects took, failed ones included.",
		func(r *reading) *pool.Histogram { return &r.Connect }},
	{"nimue_verification_seconds", "How long health checks took, failed ones included.",
		func(r *reading) *pool.Histogram { return &r.Verify }},
}

// bounds are the buckets of every histogram, from an acquire that hardly waited to a
// lease that was forgotten. A pool knows a value to an eighth of itself, so a value
// right below a bound may be counted above it, never the other way round.
var bounds = []time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
}
