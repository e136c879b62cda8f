package status

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

var parameterRow = regexp.MustCompile("(?m)^\\| `(pool_[a-z_]+)` \\|")

// Every parameter of a DSN that a pool runs with is shown, in the README's order.
func TestEveryParameterIsASetting(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "<!-- parameters -->")
	table, _, _ = strings.Cut(table, "<!-- /parameters -->")
	var want, got []string
	for _, m := range parameterRow.FindAllStringSubmatch(table, -1) {
		if m[1] != "pool_name" && m[1] != "pool_log_level" { // the heading, and not the pool's
			want = append(want, m[1])
		}
	}
	for _, s := range settings {
		got = append(got, s.name)
	}
	if len(want) < 20 || !slices.Equal(got, want) {
		t.Errorf("the settings are\n%v, the parameters\n%v", got, want)
	}
}

// Settings are written as a DSN has them.
func TestSettingsReadAsInADSN(t *testing.T) {
	for text, want := range map[string]string{
		"pool_max_conns=7": "7", "pool_max_idle_conns=0": "0 keep none", "pool_max_waiters=0": "0 nobody waits", "pool_max_waiters=unlimited": "unlimited",
		"pool_max_conn_lifetime=90m": "1h30m", "pool_max_conn_idle_time=0": "0 no limit", "pool_ping_timeout=250us": "250us",
		"pool_check_on_acquire=never": "never", "pool_order=fifo": "fifo", "pool_recycle_at=03:30": "03:30", "pool_lease=transaction": "transaction", "pool_auto_prepare=on": "on", "pool_reset_sql=DISCARD+ALL": "DISCARD ALL",
		"pool_health_query=SELECT+1": "SELECT #", "pool_stmt_cache=0": "0 none", "pool_acquire_timeout=0": "0 only the caller's context",
		"pool_init_sql=SET+role+TO+'root'": "SET role TO '#####'",
	} {
		dsn, err := nimue.ParseDSN("sqlite:file:x?" + text)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(text, "=")
		var got []string
		for _, s := range readSettings(dsn.Pool.WithDefaults()) {
			if s.Name == name {
				got = append(got, strings.TrimSpace(s.Value+" "+s.Note))
			}
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("%s is shown as %q, want %q", text, got, want)
		}
	}
}

func TestSQLOfSettingsHidesSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1":                           "SELECT #",
		"SET search_path = app":              "SET search_path = app",
		"SET app.user = 'joe'; SET x = 1234": "SET app.user = '#####'; SET x = #",
		`SET app.x = "hush"`:                 `SET app.x = "#####`,
		"SELECT $tag$hush$tag$":              "SELECT '#####'",
		"PRAGMA key = hush":                  "PRAGMA key = #####",
		"PRAGMA hexkey=hush":                 "PRAGMA hexkey=#####",
		"ALTER USER joe PASSWORD hush":       "ALTER USER joe PASSWORD #####",
		"ALTER USER joe IDENTIFIED BY hush":  "ALTER USER joe IDENTIFIED #####",
		"SET my.api_token = hush":            "SET my.api_token = #####",
		"":                                   "",
	} {
		if got := maskSQL(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// What a limit shows can be set again and means the same.
func TestLimitsCanBeSetToWhatTheyShow(t *testing.T) {
	for _, cfg := range []pool.Config{
		{},
		{MaxConns: 3, MaxIdleConns: pool.None, MaxConnLifetime: pool.None, AcquireTimeout: pool.None, MaxWaiters: pool.None, HealthCheckPeriod: pool.None},
		{MaxConns: 90, MaxWaiters: 5, MaxConnIdleTime: 90 * time.Minute, LeakThreshold: 1500 * time.Millisecond},
	} {
		cfg = cfg.WithDefaults()
		for _, s := range settings {
			if !s.limit {
				continue
			}
			was := s.texts(&cfg)
			again := pool.Config{MaxConns: 1, MinConns: 1}
			if err := s.set(&again, was[0]); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
			if got := s.texts(&again); !slices.Equal(got, was) {
				t.Errorf("%s: %q became %q", s.name, was, got)
			}
		}
	}
}
