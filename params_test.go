package nimue

import (
	"errors"
	"flag"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/pool"
)

var update = flag.Bool("update", false, "rewrite the generated part of README.md")

func TestREADMEParameters(t *testing.T) {
	const begin, end = "<!-- parameters -->\n", "<!-- /parameters -->"
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(readme), begin)
	block, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("README.md has no block between %q and %q", begin, end)
	}
	if block == parameterTable() {
		return
	}
	if !*update {
		t.Fatalf("README.md's table is not the parameters': go test -run TestREADMEParameters -update\n%s", parameterTable())
	}
	if err := os.WriteFile("README.md", []byte(before+begin+parameterTable()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// configFields are the settings of a pool.Config that text can express: all but
// its functions and its logger, for which pool_log_level stands.
func configFields() map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[pool.Config]()) {
		if kind := f.Type.Kind(); kind != reflect.Func && kind != reflect.Pointer && kind != reflect.Interface {
			fields[f.Name] = f
		}
	}
	return fields
}

func TestEachConfigFieldHasOneParameter(t *testing.T) {
	fields := configFields()
	for _, p := range parameters {
		if p.field == "" {
			continue
		}
		if _, ok := fields[p.field]; !ok {
			t.Errorf("%s: pool.Config has no field %s, or two parameters for it", p.key, p.field)
		}
		delete(fields, p.field)
	}
	for name := range fields {
		t.Errorf("pool.Config.%s has no parameter", name)
	}
	if len(parameterByKey) != len(parameters) {
		t.Error("two parameters have the same key")
	}
}

// configWith sets one field and whatever else it takes to have no contradiction.
func configWith(field string, n int64) pool.Config {
	c := pool.Config{MaxConns: pool.MostConns}
	reflect.ValueOf(&c).Elem().FieldByName(field).SetInt(n)
	return c
}

func (p *parameter) write(n int64) string {
	if p.duration && n != 0 {
		return time.Duration(n).String()
	}
	return strconv.FormatInt(n, 10)
}

// inDSN parses one parameter, beside what configWith sets.
func inDSN(p *parameter, text string) (DSN, error) {
	s := "sqlite:x?" + p.key + "=" + text
	if p.key != "pool_max_conns" {
		s += "&pool_max_conns=" + strconv.Itoa(pool.MostConns)
	}
	return ParseDSN(s)
}

func TestBoundsAreThePools(t *testing.T) {
	for _, p := range parameters {
		if p.most == 0 {
			continue
		}
		for _, n := range []int64{p.least, p.least + 1, p.most, p.most - 1, p.least - 1, p.most + 1, -2} {
			config := configWith(p.field, n)
			if n == 0 && p.none {
				config = configWith(p.field, pool.None)
			}
			want := config.Validate() == nil
			if n == 0 && p.least > 0 || n == pool.None {
				// 0 means the default to a Config and -1 may mean None: in a
				// DSN there are no such tricks.
				want = false
			}
			d, err := inDSN(p, p.write(n))
			if (err == nil) != want {
				t.Errorf("%s=%s: %v, but the pool says %v", p.key, p.write(n), err, config.Validate())
			}
			if err != nil {
				if !strings.Contains(err.Error(), p.key+"="+p.write(n)+": ") {
					t.Errorf("%s=%s: error %q has not the key and the value", p.key, p.write(n), err)
				}
				continue
			}
			got := reflect.ValueOf(d.Pool.WithDefaults()).FieldByName(p.field).Int()
			effective := reflect.ValueOf(config.WithDefaults()).FieldByName(p.field).Int()
			if got != effective {
				t.Errorf("%s=%s: the pool has %d, want %d", p.key, p.write(n), got, effective)
			}
		}
	}
}

func TestDefaultsAreThePools(t *testing.T) {
	relative := map[string]func(pool.Config) int64{
		"= max":                   func(c pool.Config) int64 { return int64(c.MaxConns) },
		"= min":                   func(c pool.Config) int64 { return int64(c.MinConns) },
		"a tenth of the lifetime": func(c pool.Config) int64 { return int64(c.MaxConnLifetime / 10) },
		"unlimited":               func(pool.Config) int64 { return 0 },
	}
	for _, c := range []pool.Config{{}, {MaxConns: 7, MinConns: 3, MaxConnLifetime: time.Minute}} {
		d := c.WithDefaults()
		for _, p := range parameters {
			if p.most == 0 || !reflect.ValueOf(c).FieldByName(p.field).IsZero() {
				continue
			}
			got := reflect.ValueOf(d).FieldByName(p.field).Int()
			want := int64(-99)
			if follow := relative[p.def]; follow != nil {
				want = follow(d)
			} else if p.duration {
				v, err := time.ParseDuration(p.def)
				if err != nil {
					t.Errorf("%s: %v", p.key, err)
				}
				want = int64(v)
			} else if n, err := strconv.ParseInt(p.def, 10, 64); err == nil {
				want = n
			}
			if got != want {
				t.Errorf("%s: default %q, but WithDefaults has %d", p.key, p.def, got)
			}
		}
	}
}

func TestSayingTheDefaultIsSayingNothing(t *testing.T) {
	bare, err := ParseDSN("sqlite:x")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parameters {
		if strings.ContainsAny(p.def, " –") {
			continue
		}
		d, err := ParseDSN("sqlite:x?" + p.key + "=" + p.def)
		if err != nil {
			t.Errorf("%s does not accept its default: %v", p.key, err)
		} else if !reflect.DeepEqual(d, bare) {
			t.Errorf("%s=%s: %#v, want no setting", p.key, p.def, d.Pool)
		}
	}
}

func TestZeroSwitchesOff(t *testing.T) {
	off := map[string]int64{
		"pool_min_conns": 0, "pool_min_idle_conns": 0, "pool_max_conn_uses": 0,
		"pool_max_idle_conns": pool.None, "pool_init_conns": pool.None, "pool_max_waiters": pool.None, "pool_stmt_cache": pool.None,
		"pool_max_conn_lifetime": pool.None, "pool_max_conn_lifetime_jitter": pool.None, "pool_max_conn_idle_time": pool.None,
		"pool_acquire_timeout": pool.None, "pool_health_check_period": pool.None, "pool_outage_grace": pool.None,
		"pool_leak_threshold": 0, "pool_leak_reclaim": 0,
	}
	for _, p := range parameters {
		want, accepted := off[p.key]
		if p.most == 0 {
			continue
		}
		d, err := inDSN(p, "0")
		if (err == nil) != accepted {
			t.Errorf("%s=0: %v", p.key, err)
		} else if accepted {
			if got := reflect.ValueOf(d.Pool).FieldByName(p.field).Int(); got != want {
				t.Errorf("%s=0: Config.%s is %d, want %d", p.key, p.field, got, want)
			}
		}
	}
}

func TestValuesAreTakenAsWritten(t *testing.T) {
	for text, want := range map[string]DSN{
		"pool_max_conns=7":                             {Pool: pool.Config{MaxConns: 7}},
		"pool_max_waiters=unlimited":                   {},
		"pool_max_waiters=12":                          {Pool: pool.Config{MaxWaiters: 12}},
		"pool_max_idle_conns=20":                       {Pool: pool.Config{MaxIdleConns: 20}},
		"pool_max_conn_lifetime=1h30m":                 {Pool: pool.Config{MaxConnLifetime: 90 * time.Minute}},
		"pool_acquire_timeout=0s":                      {Pool: pool.Config{AcquireTimeout: pool.None}},
		"pool_ping_timeout=1.5%C2%B5s":                 {Pool: pool.Config{PingTimeout: 1500}},
		"pool_check_on_acquire=never":                  {Pool: pool.Config{CheckOnAcquire: pool.CheckNever}},
		"pool_check_on_acquire=always":                 {Pool: pool.Config{CheckOnAcquire: pool.CheckAlways}},
		"pool_order=fifo":                              {Pool: pool.Config{Order: pool.FIFO}},
		"pool_log_level=debug":                         {LogLevel: LogDebug},
		"pool_log_level=error":                         {LogLevel: LogError},
		"pool_health_query=select+1%2B1":               {Pool: pool.Config{HealthQuery: "select 1+1"}},
		"pool_init_sql=a%3Db&pool_init_sql=%E2%9C%93=": {Pool: pool.Config{InitSQL: []string{"a=b", "✓="}}},
		"pool_reset_sql=DISCARD ALL":                   {Pool: pool.Config{ResetSQL: []string{"DISCARD ALL"}}},
		"pool_name=caf%C3%A9+1":                        {Pool: pool.Config{Name: "café 1"}, Named: true},
	} {
		want.Driver, want.Inner = "sqlite", "x"
		if !want.Named {
			want.Pool.Name = "sqlite:x"
		}
		d, err := ParseDSN("sqlite:x?" + text)
		if err != nil || !reflect.DeepEqual(d, want) {
			t.Errorf("%s:\n%+v, %v, want\n%+v", text, d.Pool, err, want.Pool)
		}
	}
}

func TestValuesRefused(t *testing.T) {
	for _, text := range []string{
		"pool_max_conns=", "pool_max_conns", "pool_max_conns=-1", "pool_max_conns=%2B5", "pool_max_conns=+5", "pool_max_conns=5+",
		"pool_max_conns=5.0", "pool_max_conns=0x10", "pool_max_conns=1_000", "pool_max_conns=unlimited",
		"pool_max_conns=99999999999999999999", "pool_max_conns=9223372036854775808", "pool_max_waiters=-1", "pool_stmt_cache=-1",
		"pool_acquire_timeout=-1", "pool_acquire_timeout=-1ns", "pool_acquire_timeout=-5s", "pool_acquire_timeout=30",
		"pool_acquire_timeout=9999999h", "pool_acquire_timeout=99999999999999999999s", "pool_acquire_timeout=0.1ns",
		"pool_ping_timeout=0", "pool_ping_timeout=0s", "pool_connect_timeout=0", "pool_max_conn_lifetime=1d", "pool_acquire_timeout=s",
		"pool_order=LIFO", "pool_order=", "pool_check_on_acquire=yes", "pool_log_level=trace",
		"pool_init_sql=", "pool_init_sql=+%0A", "pool_init_sql=a%00b", "pool_health_query=", "pool_health_query", "pool_reset_sql=%",
		"pool_name=", "pool_name=a%0Ab", "pool_name=%FF", "pool_name=" + strings.Repeat("a", longestName+1), "pool_name=%zz",
	} {
		key, _, _ := strings.Cut(text, "=")
		_, err := ParseDSN("sqlite:x?" + text)
		bad, ok := errors.AsType[*DSNError](err)
		if !ok || len(bad.Problems) != 1 || bad.Problems[0].Key != key {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ParseDSN("sqlite:x?pool_name=" + strings.Repeat("a", longestName)); err != nil {
		t.Error(err)
	}
}
