package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

// warning is something about a DSN that is accepted, and yet likely to disappoint.
type warning struct {
	Code    string `json:"code"`
	Setting string `json:"setting"` // the parameter to look at first
	Text    string `json:"text"`
}

// offlineWarnings compares a DSN's settings with each other.
func offlineWarnings(e *nimue.Explanation) []warning {
	var list []warning
	warn := func(holds bool, code, setting, format string, args ...any) {
		if holds {
			list = append(list, warning{code, setting, setting + ": " + fmt.Sprintf(format, args...)})
		}
	}
	c := e.Config
	remote := e.Adapter != "sqlite"

	warn(e.Adapter == "", "no_adapter", "pool_check_on_acquire",
		"nimue has no adapter for the driver %s: no socket is watched, so a connection that was idle for a second is verified before it is lent", e.DSN.Driver)
	warn(c.AcquireTimeout == pool.None, "no_acquire_timeout", "pool_acquire_timeout",
		"there is no limit: a caller whose context has no deadline waits for ever where the connections do not come back")
	warn(remote && c.AcquireTimeout > 0 && c.AcquireTimeout <= c.ConnectTimeout, "connect_outlasts_acquire", "pool_acquire_timeout",
		"callers give up after %v, before a connect that hangs has failed by pool_connect_timeout (%v): their error cannot tell why", c.AcquireTimeout, c.ConnectTimeout)
	warn(remote && c.HealthCheckPeriod == pool.None && c.CheckOnAcquire == pool.CheckNever, "never_verified", "pool_health_check_period",
		"no connection is ever verified, neither in the background nor when it is lent (pool_check_on_acquire=never): one that the network has lost silently is lent as it is")
	warn(e.Adapter != "" && remote && c.CheckOnAcquire == pool.CheckAlways, "check_always", "pool_check_on_acquire",
		"each lease costs one more round trip, though the adapter has the sockets watched for connections that the server has closed")
	warn(remote && c.MaxConnLifetime == pool.None, "no_lifetime", "pool_max_conn_lifetime",
		"connections are never renewed by age: after the address behind a name or a load balancer has changed, those in use stay where they are")
	warn(c.MaxConnLifetime > 0 && c.MaxConnLifetime < time.Minute, "short_lifetime", "pool_max_conn_lifetime",
		"every connection is dialled anew every %v", c.MaxConnLifetime)
	warn(max(c.MaxIdleConns, 0) < c.MaxConns/2, "few_idle_kept", "pool_max_idle_conns",
		"of %d connections only %d are kept idle: under a load that varies the others are closed when they come back, and dialled again soon", c.MaxConns, max(c.MaxIdleConns, 0))
	warn(keepsStatements(c) && sendsUnprepared(e), "statements_behind_pooler", "pool_stmt_cache",
		"the inner DSN has pgx keep no statements at the server, as behind PgBouncer in transaction mode, yet what db.Prepare makes is kept there: with such a pooler, add pool_stmt_cache=0")
	return list
}

func keepsStatements(c pool.Config) bool { return c.StmtCache > 0 }

// sendsUnprepared tells that a PostgreSQL DSN asks pgx for a mode in which nothing is
// prepared at the server.
func sendsUnprepared(e *nimue.Explanation) bool {
	if e.Adapter != "pgx" {
		return false
	}
	_, mode, _ := strings.Cut(e.DSN.Inner, "default_query_exec_mode")
	mode = strings.TrimLeft(mode, " =")
	return strings.HasPrefix(mode, "exec") || strings.HasPrefix(mode, "simple_protocol")
}

// serverWarnings compares a DSN's settings with what the server says.
func serverWarnings(e *nimue.Explanation, f *serverFacts) []warning {
	var list []warning
	warn := func(holds bool, code, setting, format string, args ...any) {
		if holds {
			list = append(list, warning{code, setting, setting + ": " + fmt.Sprintf(format, args...)})
		}
	}
	c := e.Config
	warnOfLimits(c, f, warn)

	idle := f.IdleTimeout.Duration()
	verifies := c.HealthCheckPeriod > 0 && c.HealthCheckPeriod < idle // which the server takes for use
	outlives := c.MaxConnIdleTime == pool.None || c.MaxConnIdleTime > idle
	warn(idle > 0 && outlives && !verifies, "server_ends_idle", "pool_max_conn_idle_time",
		"the server ends a session that is idle for %v, sooner than the pool would, and no verification (pool_health_check_period) keeps it", idle)
	warn(f.Pooler && keepsStatements(c) && !sendsUnprepared(e), "pooler", "pool_stmt_cache",
		"a pooler such as PgBouncer stands between (the session is another at the server than at this end). If it pools transactions, nothing may rely on a session: "+
			"add default_query_exec_mode=exec and pool_stmt_cache=0, and mind that the limits above are the server's and not the pooler's")
	warn(f.BusyTimeout != nil && f.BusyTimeout.Duration() == 0 && c.MaxConns > 1, "no_busy_timeout", "pool_max_conns",
		"a connection that meets another one's lock fails at once; add _pragma=busy_timeout(5000) to the inner DSN")
	warn(f.JournalMode != "" && f.JournalMode != "wal" && f.JournalMode != "memory" && c.MaxConns > 1, "no_wal", "pool_max_conns",
		"with journal_mode=%s, writing shuts all readers out; add _pragma=journal_mode(WAL) to the inner DSN", f.JournalMode)
	return list
}

// warnOfLimits compares pool_max_conns with the server's limits: of those that it
// exceeds, with the tightest.
func warnOfLimits(c pool.Config, f *serverFacts, warn func(bool, string, string, string, ...any)) {
	const key = "pool_max_conns"
	limit, why := f.limit()
	switch {
	case limit <= 0:
	case c.MaxConns > limit:
		warn(true, "above_server_limit", key, "%d can never be reached: %s", c.MaxConns, why)
	case f.InUse != nil && c.MaxConns > limit-*f.InUse:
		warn(true, "above_server_free", key, "%d cannot be reached now: %s, and others use %d, which leaves %d",
			c.MaxConns, why, *f.InUse, max(limit-*f.InUse, 0))
	}
}
