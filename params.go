package nimue

import (
	"fmt"
	"strings"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// prefix begins the key of every parameter that is nimue's.
const prefix = "pool_"

// longestName bounds pool_name, in bytes: a label stands in every log line.
const longestName = 100

// parameter is one row of the table that everything about parameters comes
// from: parsing, bounds, formatting, redaction, suggestions and the README.
type parameter struct {
	key     string
	field   string // the pool.Config field, which its ConfigError speaks of; "" where there is none
	def     string // the default, as the README shows it
	doc     string
	want    string // what is accepted, for errors
	follows string // what the default is taken from, where it is no value of its own
	repeats bool
	sql     bool // the value is SQL and may carry a secret

	// least and most are the bounds of a number or, in nanoseconds, of a
	// duration. Zero is accepted below least where it switches something off.
	least, most int64
	duration    bool
	none        bool

	// parse stores a value and reports whether it was acceptable; hint may
	// say what was probably meant.
	parse func(d *DSN, text string) (hint string, ok bool)
	// texts gives the values to write for d, none where it has the default.
	texts func(d *DSN) []string
}

var parameters = []*parameter{
	nameParameter(),
	number("pool_max_conns", "MaxConns", fixed(pool.DefaultMaxConns), 1, pool.MostConns,
		func(c *pool.Config) *int { return &c.MaxConns },
		"most connections at any moment, counting those being opened or closed"),
	number("pool_min_conns", "MinConns", "0", 0, pool.MostConns,
		func(c *pool.Config) *int { return &c.MinConns },
		"floor of all connections, kept in the background"),
	number("pool_min_idle_conns", "MinIdleConns", "0", 0, pool.MostConns,
		func(c *pool.Config) *int { return &c.MinIdleConns },
		"floor of idle connections, while `pool_max_conns` allows"),
	number("pool_max_idle_conns", "MaxIdleConns", "= max", 0, pool.MostConns,
		func(c *pool.Config) *int { return &c.MaxIdleConns },
		"idle connections above it are retired; 0 keeps none").zeroIsNone().following("pool_max_conns"),
	number("pool_init_conns", "InitConns", "= min", 0, pool.MostConns,
		func(c *pool.Config) *int { return &c.InitConns },
		"connections opened in the background at once").zeroIsNone().following("pool_min_conns"),
	number("pool_max_connecting", "MaxConnecting", fixed(pool.DefaultMaxConnecting), 1, pool.MostConns,
		func(c *pool.Config) *int { return &c.MaxConnecting },
		"connects under way at a time"),
	delay("pool_max_conn_lifetime", "MaxConnLifetime", pool.DefaultMaxConnLifetime, 0,
		func(c *pool.Config) *time.Duration { return &c.MaxConnLifetime },
		"age at which a connection is retired; 0: no limit"),
	delay("pool_max_conn_lifetime_jitter", "MaxConnLifetimeJitter", 0, 0,
		func(c *pool.Config) *time.Duration { return &c.MaxConnLifetimeJitter },
		"most that is added to a connection's lifetime, drawn once for each; 0: nothing").shownDefault("a tenth of the lifetime").following("pool_max_conn_lifetime"),
	delay("pool_max_conn_idle_time", "MaxConnIdleTime", pool.DefaultMaxConnIdleTime, 0,
		func(c *pool.Config) *time.Duration { return &c.MaxConnIdleTime },
		"idleness at which a connection is retired, down to the floors; 0: no limit"),
	number("pool_max_conn_uses", "MaxConnUses", "0", 0, pool.MostUses,
		func(c *pool.Config) *int { return &c.MaxConnUses },
		"leases after which a connection is retired; 0: no limit"),
	clock("pool_recycle_at", "RecycleAt",
		func(c *pool.Config) *string { return &c.RecycleAt },
		"a time of day, as `HH:MM` in local time, at which every connection is replaced, a few at a time"),
	delay("pool_acquire_timeout", "AcquireTimeout", pool.DefaultAcquireTimeout, 0,
		func(c *pool.Config) *time.Duration { return &c.AcquireTimeout },
		"longest wait for a connection; 0: only the caller's context ends it"),
	number("pool_max_waiters", "MaxWaiters", "unlimited", 0, pool.MostUses,
		func(c *pool.Config) *int { return &c.MaxWaiters },
		"callers that may wait at a time; 0: fail at once when exhausted").zeroIsNone().alsoAccepts("unlimited"),
	delay("pool_connect_timeout", "ConnectTimeout", pool.DefaultConnectTimeout, 1,
		func(c *pool.Config) *time.Duration { return &c.ConnectTimeout },
		"limit of one connect, `pool_init_sql` included"),
	delay("pool_outage_grace", "OutageGrace", pool.DefaultOutageGrace, 0,
		func(c *pool.Config) *time.Duration { return &c.OutageGrace },
		"how long callers wait out an outage before they fail at once; 0: fail at the first connect error"),
	delay("pool_health_check_period", "HealthCheckPeriod", pool.DefaultHealthCheckPeriod, 0,
		func(c *pool.Config) *time.Duration { return &c.HealthCheckPeriod },
		"how long an idle connection may go unverified; 0: no background verification"),
	delay("pool_ping_timeout", "PingTimeout", pool.DefaultPingTimeout, 1,
		func(c *pool.Config) *time.Duration { return &c.PingTimeout },
		"limit of one verification"),
	statement("pool_health_query", "HealthQuery",
		func(c *pool.Config) *string { return &c.HealthQuery },
		"SQL to run instead of the driver's Ping"),
	enum("pool_check_on_acquire", "CheckOnAcquire",
		func(d *DSN) *pool.Check { return &d.Pool.CheckOnAcquire },
		"verify before lending; `auto`: when neither used nor verified lately and nothing watches the connection",
		"auto", "always", "never"),
	enum("pool_order", "Order",
		func(d *DSN) *pool.Order { return &d.Pool.Order },
		"which idle connection is lent first: the one returned last, or the one idle longest",
		"lifo", "fifo"),
	statements("pool_init_sql", "InitSQL",
		func(c *pool.Config) *[]string { return &c.InitSQL },
		"SQL for every new connection; a failure closes it"),
	statements("pool_reset_sql", "ResetSQL",
		func(c *pool.Config) *[]string { return &c.ResetSQL },
		"SQL for every returned connection, for example `DISCARD ALL`"),
	enum("pool_lease", "LeaseMode",
		func(d *DSN) *pool.LeaseMode { return &d.Pool.LeaseMode },
		"how long a `*sql.Conn` keeps its connection: `session`: until it is closed; `transaction`: while rows or a transaction are open",
		"session", "transaction"),
	number("pool_stmt_cache", "StmtCache", fixed(pool.DefaultStmtCache), 0, pool.MostConns,
		func(c *pool.Config) *int { return &c.StmtCache },
		"prepared statements kept per connection; 0: none").zeroIsNone(),
	toggle("pool_auto_prepare", "AutoPrepare",
		func(c *pool.Config) *bool { return &c.AutoPrepare },
		"`on`: statements with arguments go through the statement cache, without `db.Prepare`"),
	delay("pool_leak_threshold", "LeakThreshold", 0, 0,
		func(c *pool.Config) *time.Duration { return &c.LeakThreshold },
		"how long a connection may be held before that is reported, with the stack that took it; 0: never").offByDefault(),
	delay("pool_leak_reclaim", "LeakReclaim", 0, 0,
		func(c *pool.Config) *time.Duration { return &c.LeakReclaim },
		"how long a connection may be held before it is taken back and closed; 0: never").offByDefault(),
	enum("pool_log_level", "",
		func(d *DSN) *LogLevel { return &d.LogLevel },
		"what is logged to `slog.Default()`",
		"off", "error", "warn", "info", "debug"),
}

// parameterByKey and keyByField index the table.
var parameterByKey, keyByField = func() (map[string]*parameter, map[string]string) {
	byKey, byField := map[string]*parameter{}, map[string]string{}
	for _, p := range parameters {
		byKey[p.key] = p
		if p.field != "" {
			byField[p.field] = p.key
		}
	}
	return byKey, byField
}()

// parameterTable renders the README's table of parameters.
func parameterTable() string {
	var b strings.Builder
	b.WriteString("| parameter | default | meaning |\n|---|---|---|\n")
	for _, p := range parameters {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.key, p.def, p.doc)
	}
	return b.String()
}
