package nimue

import (
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

func TestInnerDSNIsUnchangedButForPairs(t *testing.T) {
	for s, want := range map[string][2]string{
		"pgx:postgres://app@db.internal/shop?sslmode=verify-full&pool_max_conns=20&pool_health_check_period=15s": {"pgx", "postgres://app@db.internal/shop?sslmode=verify-full"},
		"sqlite:file:shop.db?_pragma=busy_timeout(5000)&pool_max_conns=8":                                        {"sqlite", "file:shop.db?_pragma=busy_timeout(5000)"},
		"mysql:app@tcp(db.internal:3306)/shop?parseTime=true&pool_min_conns=2":                                   {"mysql", "app@tcp(db.internal:3306)/shop?parseTime=true"},
		"pgx:host=/run/postgresql user=app dbname=shop?pool_max_conns=20":                                        {"pgx", "host=/run/postgresql user=app dbname=shop"},
		"sqlite:":                                  {"sqlite", ""},
		"sqlite:?":                                 {"sqlite", "?"},
		"sqlite:?pool_max_conns=2":                 {"sqlite", ""},
		"sqlite:?&pool_max_conns=2":                {"sqlite", "?"},
		"sqlite:?pool_max_conns=2&":                {"sqlite", "?"},
		"sqlite:?&&pool_max_conns=2":               {"sqlite", "?&"},
		"sqlite:db?":                               {"sqlite", "db?"},
		"sqlite:db??pool_order=fifo":               {"sqlite", "db?"},
		"sqlite:db?a=%zz+&pool_order=fifo&b=%00&&": {"sqlite", "db?a=%zz+&b=%00&&"},
		"sqlite:db?pool%5Fmax_conns=0":             {"sqlite", "db?pool%5Fmax_conns=0"},
		"sqlite:db?Pool_max_conns=0":               {"sqlite", "db?Pool_max_conns=0"},
		"sqlite::memory:?pool_max_conns=1":         {"sqlite", ":memory:"},
		"mysql:u:p?w@tcp(h)/db&pool_max_conns=5":   {"mysql", "u:p?w@tcp(h)/db"},
		"mysql:u:p?w@tcp(h)/db?pool_max_conns=5":   {"mysql", "u:p?w@tcp(h)/db"},
		// In a password, as the '@' behind it tells.
		"mysql:u:p?pool_max_conns=0@tcp(h)/db?x=y":  {"mysql", "u:p?pool_max_conns=0@tcp(h)/db?x=y"},
		"mysql:u:p&pool_max_conns=0@tcp(h)/db":      {"mysql", "u:p&pool_max_conns=0@tcp(h)/db"},
		"sqlite:a?pool_later=1?pool_max_conns=20":   {"sqlite", "a?pool_later=1"},
		"sqlite:bücher.db?pool_name=b%C3%BCcher":    {"sqlite", "bücher.db"},
		"apm/postgres:postgres://u@h/d":             {"apm/postgres", "postgres://u@h/d"},
		"pgx/v5:postgres://u@h/d?pool_order=fifo":   {"pgx/v5", "postgres://u@h/d"},
		"postgres:user=u pool_max_conns=5 dbname=d": {"postgres", "user=u pool_max_conns=5 dbname=d"},
		"txdb:app@tcp(h)/db":                        {"txdb", "app@tcp(h)/db"},
		"sqlite:/x/y.db":                            {"sqlite", "/x/y.db"},
	} {
		d, err := ParseDSN(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if d.Driver != want[0] || d.Inner != want[1] {
			t.Errorf("%s: %q %q, want %q", s, d.Driver, d.Inner, want)
		}
		again, err := ParseDSN(d.Format())
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("%s: formatted as %s it is %#v, %v", s, d.Format(), again, err)
		}
	}
}

func TestFormatIsStableAndOmitsDefaults(t *testing.T) {
	const scrambled = "pgx:postgres://h/d?x=1&pool_init_sql=a+%26+b%3F&pool_order=fifo&pool_init_sql=select+1%2B1&pool_max_conns=20&" +
		"pool_max_waiters=0&pool_name=my+pool&pool_acquire_timeout=90s&pool_min_conns=02&pool_log_level=info"
	const want = "pgx:postgres://h/d?x=1&pool_name=my+pool&pool_min_conns=2&pool_acquire_timeout=1m30s&pool_max_waiters=0&" +
		"pool_order=fifo&pool_init_sql=a+%26+b%3F&pool_init_sql=select+1%2B1&pool_log_level=info"
	d, err := ParseDSN(scrambled)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Format(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDefaultName(t *testing.T) {
	for s, want := range map[string]string{
		"pgx:postgres://app:hunter2@db.internal/shop?sslmode=disable": "pgx:postgres://app:xxxxx@db.internal/shop",
		"pgx:postgres://app@db.internal/shop?pool_max_conns=3":        "pgx:postgres://app@db.internal/shop",
		"mysql:u:pa?ss@tcp(h:1)/db?x=y":                               "mysql:u:xxxxx@tcp(h:1)/db",
		"sqlite:":                                                     "sqlite:",
		"sqlite:a\tb":                                                 "sqlite:a\uFFFDb",
		"sqlite:" + strings.Repeat("é", 200):                          "sqlite:" + strings.Repeat("é", 72) + "…",
	} {
		d, err := ParseDSN(s)
		if err != nil || d.Pool.Name != want || d.Named {
			t.Errorf("%s: %q (named: %v), %v, want %q", s, d.Pool.Name, d.Named, err, want)
		}
	}
}

// TestErrorsSayWhatToDo lists texts that an error must contain, and its
// number of problems.
func TestErrorsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		dsn      string
		problems int
		contains []string
	}{
		{"", 1, []string{dsnGrammar}},
		{"shop", 1, []string{"no ':'", dsnGrammar}},
		{"pgx", 1, []string{"no ':'", dsnGrammar}},
		{":x", 1, []string{"empty", dsnGrammar}},
		{"my driver:x", 1, []string{"no driver name"}},
		{"nimue:pgx:postgres://h/d", 1, []string{"its own inner driver", "leave out"}},
		{"sqlite:a\x00b", 1, []string{"NUL", "offset 8"}},

		{"postgres://app:hunter2@h/db?sslmode=disable&pool_max_conns=2", 1, []string{"pgx:postgres://app:xxxxx@h/db?sslmode=disable&pool_max_conns=2"}},
		{"postgresql://h/db", 1, []string{"write pgx:postgresql://h/db"}},
		{"postgres://h/db?pool_max_conns=0", 2, []string{"pgx:postgres://h/db?pool_max_conns=0", "pool_max_conns=0: want"}},
		{"mysql://app:hunter2@h:3306/db?x=y", 1, []string{"write mysql:app:xxxxx@tcp(h:3306)/db?x=y"}},
		{"sqlserver://sa:hunter2@h?database=d", 1, []string{"write sqlserver:sqlserver://sa:xxxxx@h?database=d"}},
		{"mssql://sa:hunter2@h", 1, []string{"write sqlserver:sqlserver://sa:xxxxx@h"}},
		{"clickhouse://u:hunter2@h/d", 1, []string{"write clickhouse:clickhouse://u:xxxxx@h/d"}},
		{"sqlite:///tmp/x.db", 1, []string{"write sqlite:file:///tmp/x.db"}},
		{"file:shop.db?mode=ro", 1, []string{"write sqlite:file:shop.db?mode=ro"}},
		{"app:hunter2@tcp(h:3306)/db", 1, []string{"write mysql:app:xxxxx@tcp(h:3306)/db"}},
		{"app@tcp(h:3306)/db?pool_min_conns=2", 1, []string{"write mysql:app@tcp(h:3306)/db?pool_min_conns=2"}},
		{"app@/db", 1, []string{"write mysql:app@/db"}},
		{"shop.db", 1, []string{"write sqlite:shop.db"}},
		{"./x/shop?pool_max_conns=3", 1, []string{"write sqlite:./x/shop?pool_max_conns=3"}},
		{"/srv/shop.sqlite?_pragma=busy_timeout(5)", 1, []string{"write sqlite:/srv/shop.sqlite?_pragma"}},
		{`C:\shop.db`, 1, []string{`write sqlite:C:\shop.db`}},
		{":memory:", 1, []string{"write sqlite::memory:?pool_max_conns=1"}},
		{"host=h user=app password=hunter2 dbname=d", 1, []string{"write pgx:host=h user=app password=xxxxx dbname=d"}},
		{"server=h;user id=sa;password=hun:ter2;database=d", 1, []string{"write sqlserver:server=h;user id=sa;password=xxxxx;database=d"}},
		{"scott/tiger@h:1521/x", 1, []string{"write godror:scott/xxxxx@h:1521/x"}},

		{"pgx:postgres://h/db&pool_max_conns=5", 1, []string{"pool_max_conns: it would go to the inner driver", "last '?'"}},
		{"pgx:h?x=1&pool_init_sql=select '?'", 1, []string{"pool_init_sql: it would go to the inner driver", "another '?'", "%3F"}},
		{"pgx:u@h?pool_max_conns=5?x=1", 1, []string{"pool_max_conns: it would"}},

		{"x:y?pool_max_conns=1&pool_max_conns=1&pool_order=x&pool_max_conns=1", 2, []string{"pool_max_conns: given 3 times", "pool_order=x: want lifo or fifo"}},
		{"x:y?pool_min_conns=11&pool_max_conns=10", 1, []string{"pool_min_conns=11: at most pool_max_conns, which is 10"}},
		{"x:y?pool_init_conns=11&pool_max_conns=10", 1, []string{"pool_init_conns=11: at most pool_max_conns, which is 10"}},
		{"x:y?pool_min_conns=1&pool_max_idle_conns=0", 1, []string{"pool_min_conns=1: at most pool_max_idle_conns, which is 0"}},
		{"x:y?pool_min_conns=30&pool_min_idle_conns=31", 2, []string{"pool_min_conns=30: at most pool_max_conns, which is 20", "pool_min_idle_conns=31: at"}},
		{"x:y?pool_min_conns=11&pool_max_conns=10&pool_ping_timeout=x", 2, []string{"pool_min_conns=11: at most", "pool_ping_timeout=x: want a duration"}},
		{"x:y?pool_min_conns=30&pool_max_conns=0", 1, []string{"pool_max_conns=0: want a whole number from 1 to 1000000"}},
		{"x:y?pool_acquire_timeout=30", 1, []string{"=30: want 0 or a duration", "did you mean 30s?"}},
		{"x:y?pool_max_conn_lifetime=2d", 1, []string{"did you mean 48h?"}},
		{"x:y?pool_order=FIFO", 1, []string{"did you mean fifo?"}},
		{"x:y?pool_order=a%zzb", 1, []string{"pool_order=a%zzb", `malformed percent escape "%zz"`, "%25"}},
		{"x:y?pool_max_con=5", 1, []string{"pool_max_con: unknown parameter; did you mean pool_max_conns ("}},
		{"x:y?pool_future=session", 1, []string{"pool_future: unknown parameter"}},
		{"pgx:x?pool_init_sql=" + strings.Repeat("a", 5000) + "%00", 1, []string{"…"}},
	} {
		d, err := ParseDSN(c.dsn)
		if err == nil { // what could be a driver's name, and is found not to be
			err = checkDriver(c.dsn, d.Driver, []string{"pgx", "mysql"})
		}
		bad, ok := errors.AsType[*DSNError](err)
		if !ok {
			t.Errorf("%.80s: no *DSNError: %v", c.dsn, err)
			continue
		}
		if len(bad.Problems) != c.problems {
			t.Errorf("%.80s: %d problems, want %d: %v", c.dsn, len(bad.Problems), c.problems, err)
		}
		for _, text := range c.contains {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%.80s: no %q in: %v", c.dsn, text, err)
			}
		}
		for _, text := range []string{"hunter2", "tiger", "ter2"} {
			if strings.Contains(err.Error(), text) {
				t.Errorf("%.80s: the password is in: %v", c.dsn, err)
			}
		}
	}
}

func TestSuggestionsParse(t *testing.T) {
	for _, s := range []string{"postgres://app@h/db", "mysql://app@h/db", "sqlserver://h?database=d", "file:x.db", "x.db", "/a/x:y.db", ":memory:", "app@tcp(h)/db", "scott@/x", "host=h", "sqlite://x.db", "server=h;database=x"} {
		_, err := ParseDSN(s)
		if err == nil {
			t.Errorf("%s: no error", s)
			continue
		}
		_, line, ok := strings.Cut(err.Error(), "; write ")
		if _, err := ParseDSN(line); !ok || err != nil {
			t.Errorf("%s: %q: %v", s, line, err)
		}
	}
}

func TestAnyRegisteredNameMayHaveAnyInnerDSN(t *testing.T) {
	for _, inner := range []string{"shop.db", "app@tcp(h)/db", "pa?ss@tcp(h:1)/db?x=y", "/var/x.sqlite", "u/p@h", ""} {
		s := "custom:" + inner
		d, err := ParseDSN(s)
		if err == nil {
			err = checkDriver(s, d.Driver, []string{"custom"})
		}
		if err != nil || d.Driver != "custom" || d.Inner != inner {
			t.Errorf("%s: %q, %v", s, d.Inner, err)
		}
	}
}

func TestNearMisses(t *testing.T) {
	for key, want := range map[string]string{
		"pool_max_con": "pool_max_conns", "pool_maxconns": "pool_max_conns", "pool_max_connections": "pool_max_conns",
		"pool_max_conn": "pool_max_conns", "pool_mac_conns": "pool_max_conns", "pool_size": "pool_max_conns", "pool_MAX_CONNS": "pool_max_conns",
		"pool_min_idle": "pool_min_idle_conns", "pool_ping_timeout_ms": "pool_ping_timeout", "pool_pingtimeout": "pool_ping_timeout",
		"pool_conn_max_lifetime": "pool_max_conn_lifetime", "pool_max_conn_life_time": "pool_max_conn_lifetime",
		"pool_max_connection_idle_time": "pool_max_conn_idle_time", "pool_health_check_interval": "pool_health_check_period",
		"pool_init_sqls": "pool_init_sql", "pool_nane": "pool_name", "pool_loglevel": "pool_log_level", "pool_timeout": "pool_acquire_timeout",
		// Of later versions, and unlike anything of this one.

		"pool_": "", "pool_x": "", "pool_foo": "", "pool_" + strings.Repeat("max", 99): "",
	} {
		got := ""
		if p := nearestParameter(key); p != nil {
			got = p.key
		}
		if got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
		if _, err := ParseDSN("x:y?" + key + "=1"); err == nil || !strings.Contains(err.Error(), "unknown parameter") {
			t.Errorf("%s: %v", key, err)
		}
	}
	for old, key := range aliases {
		if parameterByKey[key] == nil || parameterByKey[old] != nil {
			t.Errorf("alias %s for %s", old, key)
		}
	}
}

func TestCheckDriver(t *testing.T) {
	registered := []string{"sqlite", "nimue", "pgx"}
	for _, name := range []string{"sqlite", "pgx"} {
		if err := checkDriver(name+":x", name, registered); err != nil {
			t.Error(err)
		}
	}
	for name, contains := range map[string][]string{
		"sqlite3":   {`"sqlite3"`, "registered: pgx, sqlite)", "did you mean sqlite,", "github.com/mattn/go-sqlite3"},
		"postgres":  {"did you mean pgx,", "github.com/lib/pq"},
		"slqite":    {"did you mean sqlite,", "is an import missing"},
		"PGX":       {"did you mean pgx,"},
		"mysql":     {`import _ "github.com/go-sql-driver/mysql"`},
		"sqlserver": {"github.com/microsoft/go-mssqldb"},
		"sqlmock":   {"github.com/DATA-DOG/go-sqlmock"},
		"app":       {"the driver's name before the first ':'"},
		"nimue":     {"registered: pgx, sqlite)"},
		"scott/tig": {`"scott/xxxxx"`},
	} {
		err := checkDriver(name+":x", name, registered)
		if _, ok := errors.AsType[*DSNError](err); !ok {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, text := range contains {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: no %q in: %v", name, text, err)
			}
		}
		if name == "mysql" && strings.Contains(err.Error(), "did you mean") {
			t.Errorf("%v", err)
		}
	}
	if err := checkDriver("sqlite:x", "sqlite", nil); err == nil || !strings.Contains(err.Error(), "none is registered") || !strings.Contains(err.Error(), "modernc.org/sqlite") {
		t.Error(err)
	}
}

func TestLogLevel(t *testing.T) {
	for level, want := range map[LogLevel]slog.Level{LogError: slog.LevelError, LogWarn: slog.LevelWarn, LogInfo: slog.LevelInfo, LogDebug: slog.LevelDebug} {
		if got, on := level.Level(); got != want || !on {
			t.Errorf("%v: %v %v", level, got, on)
		}
		if d, err := ParseDSN("x:y?pool_log_level=" + level.String()); err != nil || d.LogLevel != level {
			t.Errorf("%v: %v %v", level, d.LogLevel, err)
		}
	}
	if _, on := LogOff.Level(); on {
		t.Error("LogOff is on")
	}
}
