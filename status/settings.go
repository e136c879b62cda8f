package status

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// setting is one field of a pool.Config, under the name that a DSN has for it.
type setting struct {
	name string
	// at returns a pointer to the field: *int, *time.Duration, *bool, *string,
	// *[]string, *pool.Check, *pool.Order or *pool.LeaseMode.
	at func(*pool.Config) any
	// zero says what 0 means. Where the field's zero value stands for a default,
	// none is set: 0 is then pool.None.
	zero string
	none bool
	// unset is how the field's zero value is written, if not as 0.
	unset string
	// plain: it is a text, and not SQL.
	plain bool
	// limit: it is offered to be changed while the pool runs.
	limit bool
}

// settings are in the order of the README's table.
var settings = []setting{
	{name: "pool_max_conns", at: func(c *pool.Config) any { return &c.MaxConns }, limit: true},
	{name: "pool_min_conns", at: func(c *pool.Config) any { return &c.MinConns }, limit: true},
	{name: "pool_min_idle_conns", at: func(c *pool.Config) any { return &c.MinIdleConns }, limit: true},
	{name: "pool_max_idle_conns", at: func(c *pool.Config) any { return &c.MaxIdleConns }, zero: "keep none", none: true, limit: true},
	{name: "pool_init_conns", at: func(c *pool.Config) any { return &c.InitConns }, none: true},
	{name: "pool_max_connecting", at: func(c *pool.Config) any { return &c.MaxConnecting }, limit: true},
	{name: "pool_max_conn_lifetime", at: func(c *pool.Config) any { return &c.MaxConnLifetime }, zero: "no limit", none: true, limit: true},
	{name: "pool_max_conn_lifetime_jitter", at: func(c *pool.Config) any { return &c.MaxConnLifetimeJitter }, zero: "no jitter", none: true},
	{name: "pool_max_conn_idle_time", at: func(c *pool.Config) any { return &c.MaxConnIdleTime }, zero: "no limit", none: true, limit: true},
	{name: "pool_max_conn_uses", at: func(c *pool.Config) any { return &c.MaxConnUses }, zero: "no limit"},
	{name: "pool_recycle_at", at: func(c *pool.Config) any { return &c.RecycleAt }, plain: true},
	{name: "pool_acquire_timeout", at: func(c *pool.Config) any { return &c.AcquireTimeout }, zero: "only the caller's context", none: true, limit: true},
	{name: "pool_max_waiters", at: func(c *pool.Config) any { return &c.MaxWaiters }, zero: "nobody waits", none: true, unset: "unlimited", limit: true},
	{name: "pool_connect_timeout", at: func(c *pool.Config) any { return &c.ConnectTimeout }, limit: true},
	{name: "pool_outage_grace", at: func(c *pool.Config) any { return &c.OutageGrace }, zero: "fail at the first connect error", none: true},
	{name: "pool_health_check_period", at: func(c *pool.Config) any { return &c.HealthCheckPeriod }, zero: "off", none: true, limit: true},
	{name: "pool_ping_timeout", at: func(c *pool.Config) any { return &c.PingTimeout }},
	{name: "pool_health_query", at: func(c *pool.Config) any { return &c.HealthQuery }},
	{name: "pool_check_on_acquire", at: func(c *pool.Config) any { return &c.CheckOnAcquire }},
	{name: "pool_order", at: func(c *pool.Config) any { return &c.Order }},
	{name: "pool_init_sql", at: func(c *pool.Config) any { return &c.InitSQL }},
	{name: "pool_reset_sql", at: func(c *pool.Config) any { return &c.ResetSQL }},
	{name: "pool_lease", at: func(c *pool.Config) any { return &c.LeaseMode }},
	{name: "pool_stmt_cache", at: func(c *pool.Config) any { return &c.StmtCache }, zero: "none", none: true},
	{name: "pool_auto_prepare", at: func(c *pool.Config) any { return &c.AutoPrepare }},
	{name: "pool_leak_threshold", at: func(c *pool.Config) any { return &c.LeakThreshold }, zero: "off", limit: true},
	{name: "pool_leak_reclaim", at: func(c *pool.Config) any { return &c.LeakReclaim }, zero: "off", limit: true},
}

// readSettings lists the settings in force; texts that are not set are left out.
func readSettings(cfg pool.Config) []Setting {
	list := []Setting{}
	for _, s := range settings {
		for _, text := range s.texts(&cfg) {
			note := ""
			if text == "0" {
				note = s.zero
			}
			list = append(list, Setting{s.name, text, note})
		}
	}
	return list
}

// texts writes the setting's values, of which only a text can have any number but one.
func (s setting) texts(cfg *pool.Config) []string {
	var texts []string
	switch v := s.at(cfg).(type) {
	case *int:
		if *v == 0 && s.unset != "" {
			return []string{s.unset}
		}
		return []string{strconv.Itoa(max(*v, 0))}
	case *time.Duration:
		return []string{shortDuration(max(*v, 0))}
	case *bool:
		return []string{map[bool]string{false: "off", true: "on"}[*v]}
	case *pool.Check:
		return []string{map[pool.Check]string{pool.CheckAuto: "auto", pool.CheckAlways: "always", pool.CheckNever: "never"}[*v]}
	case *pool.Order:
		return []string{map[pool.Order]string{pool.LIFO: "lifo", pool.FIFO: "fifo"}[*v]}
	case *pool.LeaseMode:
		return []string{map[pool.LeaseMode]string{pool.LeaseSession: "session", pool.LeaseTransaction: "transaction"}[*v]}
	case *string:
		if s.plain && *v != "" {
			texts = append(texts, *v)
		} else if *v != "" {
			texts = append(texts, maskSQL(*v))
		}
	case *[]string:
		for _, text := range *v {
			texts = append(texts, maskSQL(text))
		}
	}
	return texts
}

// set changes a limit to what text says; the empty text means the default. Bounds
// are left to the pool, which knows them.
func (s setting) set(cfg *pool.Config, text string) error {
	text = strings.TrimSpace(text)
	switch v := s.at(cfg).(type) {
	case *int:
		if text == "" || text == s.unset {
			*v = 0
			return nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return fmt.Errorf("%s is %q, want a whole number", s.name, text)
		}
		*v = n
		if n == 0 && s.none {
			*v = pool.None
		}
	case *time.Duration:
		if text == "" {
			*v = 0
			return nil
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return fmt.Errorf("%s is %q, want a duration such as 30s, 5m or 1h30m", s.name, text)
		}
		*v = d
		if d == 0 && s.none {
			*v = pool.None
		}
	default:
		return fmt.Errorf("%s cannot be changed here", s.name)
	}
	return nil
}

// shortDuration writes d as a DSN has it: without the zero units that
// Duration.String adds, and in ASCII.
func shortDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	s := strings.Replace(d.String(), "µ", "u", 1)
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// secretWord is a word behind which a statement may have a secret without quotes.
var secretWord = regexp.MustCompile(`(?i)[a-z0-9_]*(?:passw|pwd|secret|token|credential|private|apikey|api_key|signature|salt|jwt|identified)[a-z0-9_]*|\b[a-z0-9_]*key\b`)

// maskSQL hides what can be a secret in the SQL of a setting: literals, and beyond
// what is masked of an application's statements, everything behind a word such as
// PASSWORD and behind a double quote, since settings are where secrets are.
func maskSQL(text string) string {
	text = pool.MaskSQL(text)
	from := len(text)
	if i := strings.IndexByte(text, '"'); i >= 0 {
		from = i + 1
	}
	if word := secretWord.FindStringIndex(text); word != nil && word[1] < from {
		from = word[1]
		from += len(text[from:]) - len(strings.TrimLeft(text[from:], " =("))
	}
	if from == len(text) {
		return text
	}
	return text[:from] + mask
}

// mask stands in for what is hidden.
const mask = "#####"
