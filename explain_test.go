package nimue_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// inForce writes a DSN's settings as "value source", by name.
func inForce(t *testing.T, dsn string) (map[string]string, *nimue.Explanation) {
	t.Helper()
	e, err := nimue.Explain(dsn)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range e.Settings {
		settings[s.Name] = strings.TrimSpace(fmt.Sprint(s.Value, " ", s.Source, " ", s.Follows))
		if s.Meaning == "" || strings.Contains(s.Meaning, "`") {
			t.Errorf("%s: meaning %q", s.Name, s.Meaning)
		}
	}
	return settings, e
}

func TestExplain(t *testing.T) {
	name := register("scripted-explain", scripted.Registered{To: scripted.New(scripted.Hooks{})})
	settings, e := inForce(t, name+":user:hunter2@host?x=1&pool_max_conns=20&pool_min_conns=3&pool_max_conn_lifetime=0"+
		"&pool_init_sql=SET+a%3D'hunter2'&pool_init_sql=SET+b%3D2&pool_max_waiters=unlimited&pool_stmt_cache=0")
	for key, want := range map[string]string{
		"pool_name":                     name + ":xxxxx@host follows the inner DSN",
		"pool_max_conns":                "20 dsn", // also where it is the default
		"pool_min_conns":                "3 dsn",
		"pool_min_idle_conns":           "0 default",
		"pool_max_idle_conns":           "20 follows pool_max_conns",
		"pool_init_conns":               "3 follows pool_min_conns",
		"pool_max_conn_lifetime":        "0 dsn",
		"pool_max_conn_lifetime_jitter": "0 follows pool_max_conn_lifetime",
		"pool_max_conn_idle_time":       "30m default",
		"pool_max_waiters":              "unlimited dsn",
		"pool_init_sql":                 "SET a='xxxxx; SET b=2 dsn",
		"pool_reset_sql":                "default",
		"pool_stmt_cache":               "0 dsn",
		"pool_auto_prepare":             "off default",
		"pool_check_on_acquire":         "auto default",
	} {
		if settings[key] != want {
			t.Errorf("%s: %q, want %q", key, settings[key], want)
		}
	}
	if e.Adapter != "" || e.Config.MaxConns != 20 || e.Config.MaxIdleConns != 20 || e.DSN.Inner != "user:hunter2@host?x=1" {
		t.Errorf("adapter %q, %v", e.Adapter, e.DSN)
	}

	settings, _ = inForce(t, name+":host")
	for key, want := range map[string]string{
		"pool_init_conns":               "0 follows pool_min_conns",
		"pool_max_conn_lifetime_jitter": "6m follows pool_max_conn_lifetime",
	} {
		if settings[key] != want {
			t.Errorf("%s: %q, want %q", key, settings[key], want)
		}
	}
}

// TestExplainedDefaultsAreDocumented holds the values shown against the README's table.
func TestExplainedDefaultsAreDocumented(t *testing.T) {
	name := register("scripted-explain", scripted.Registered{To: scripted.New(scripted.Hooks{})})
	e, err := nimue.Explain(name + ":host")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range e.Settings {
		if s.Value == "" {
			s.Value = "–"
		}
		if s.Source == nimue.SourceDefault && !strings.Contains(string(readme), "| `"+s.Name+"` | "+s.Value+" |") {
			t.Errorf("the README's default of %s is not %s", s.Name, s.Value)
		}
	}
}

func TestExplainAsksTheAdapter(t *testing.T) {
	var refusal error
	name, d := registerAdapted(t, func(c *pool.Config) error {
		c.Constrain = func(c *pool.Config) error {
			c.MaxConnLifetime, c.StmtCache = pool.None, 7
			return refusal
		}
		return nil
	})
	settings, e := inForce(t, name+":host?pool_max_conns=2")
	for key, want := range map[string]string{
		"pool_max_conns":                "2 dsn",
		"pool_max_conn_lifetime":        "0 adapter",
		"pool_max_conn_lifetime_jitter": "0 adapter",
		"pool_stmt_cache":               "7 adapter",
		"pool_ping_timeout":             "5s default",
	} {
		if settings[key] != want {
			t.Errorf("%s: %q, want %q", key, settings[key], want)
		}
	}
	if e.Adapter != "test" || e.Config.StmtCache != 7 {
		t.Errorf("adapter %q, statement cache %d", e.Adapter, e.Config.StmtCache)
	}

	refusal = &pool.ConfigError{Pool: "x", Problems: []pool.Problem{{Field: "MaxConns", Value: 2, Want: "1"}}}
	_, err := nimue.Explain(name + ":host?pool_max_conns=2")
	if bad, ok := errors.AsType[*nimue.DSNError](err); !ok || bad.Problems[0].Key != "pool_max_conns" {
		t.Errorf("refused by the adapter: %v", err)
	}
	d.refuse = errors.New("no such host hunter2")
	if _, err = nimue.Explain(name + ":user:hunter2@host"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("refused by the driver: %v", err)
	}
}

func TestExplainRefusesAsOpenDoes(t *testing.T) {
	name := register("scripted-explain", scripted.Registered{To: scripted.New(scripted.Hooks{})})
	for _, dsn := range []string{name + ":h?pool_max_cons=3&pool_order=x", "nosuch:h", "h"} {
		_, err := nimue.Explain(dsn)
		_, want := sql.Open("nimue", dsn)
		if err == nil || want == nil || err.Error() != want.Error() {
			t.Errorf("%s: %v, but sql.Open says %v", dsn, err, want)
		}
	}
	if _, err := nimue.Explain(""); err == nil {
		t.Error("the empty DSN is explained")
	}
}

func TestExplainSurvivesAnAdaptersPanic(t *testing.T) {
	name, _ := registerAdapted(t, func(c *pool.Config) error {
		c.Constrain = func(*pool.Config) error { panic("hunter2") }
		return nil
	})
	if _, err := nimue.Explain(name + ":user:hunter2@host"); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "panic") {
		t.Errorf("error %v", err)
	}
}

func TestRedactError(t *testing.T) {
	d, err := nimue.ParseDSN("mysql:app:hunter2@tcp(h)/db")
	if err != nil {
		t.Fatal(err)
	}
	plain := errors.New("no route")
	if got := d.RedactError(plain); got != plain {
		t.Errorf("an error without a secret became %v", got)
	}
	cause := errors.New("cause")
	got := d.RedactError(fmt.Errorf("app:hunter2 refused: %w", cause))
	if got.Error() != "app:xxxxx refused: cause" || !errors.Is(got, cause) {
		t.Errorf("%v", got)
	}
}
