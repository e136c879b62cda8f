package nimue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/pool"
)

func TestRedactInner(t *testing.T) {
	for _, c := range []struct{ driver, inner, want string }{
		// Nothing to hide.
		{"pgx", "postgres://app@db.internal/shop?sslmode=verify-full", "postgres://app@db.internal/shop?sslmode=verify-full"},
		{"pgx", "postgres://db:5432/shop", "postgres://db:5432/shop"},
		{"pgx", "postgres://a:5432,b:5433,[::1]:5434/shop", "postgres://a:5432,b:5433,[::1]:5434/shop"},
		{"pgx", "host=/run/postgresql user=app dbname=shop", "host=/run/postgresql user=app dbname=shop"},
		{"pgx", "host=h user=me@corp application_name=a:b", "host=h user=me@corp application_name=a:b"},
		{"mysql", "app@tcp(db.internal:3306)/shop?parseTime=true", "app@tcp(db.internal:3306)/shop?parseTime=true"},
		{"mysql", "tcp(db:3306)/shop?allowNativePasswords=false", "tcp(db:3306)/shop?allowNativePasswords=false"},
		{"sqlite", "file:shop.db?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)", "file:shop.db?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"},
		{"sqlite", ":memory:", ":memory:"},
		{"sqlserver", "sqlserver://h:1433;database=d", "sqlserver://h:1433;database=d"},

		// URLs, well- and ill-formed.
		{"pgx", "postgres://app:s3cret@db/shop", "postgres://app:xxxxx@db/shop"},
		{"pgx", "postgres://app:@db/shop", "postgres://app:@db/shop"},
		{"pgx", "postgres://app:a@b:c/d?e#f%zz@db:1/shop?x=1", "postgres://app:xxxxx@db:1/shop?x=1"},
		{"pgx", "postgres://app%3As3cret@db/shop", "postgres://app%3Axxxxx@db/shop"},
		{"pgx", "postgres://app:s3cret/shop", "postgres://app:xxxxx"},
		{"pgx", "postgres://app:s3cret", "postgres://app:xxxxx"},
		{"pgx", "postgres://app@h/d?user=x&password=s3cret&sslmode=disable", "postgres://app@h/d?user=x&password=xxxxx&sslmode=disable"},
		{"libsql", "libsql://s3cret@h.turso.io", "libsql://xxxxx@h.turso.io"},
		{"libsql", "libsql://h.turso.io?authToken=s3cret", "libsql://h.turso.io?authToken=xxxxx"},
		{"sqlserver", "sqlserver://sa:s3cret@h?database=d", "sqlserver://sa:xxxxx@h?database=d"},

		// MySQL, Oracle.
		{"mysql", "user:pa?ss@tcp(h:1)/db?x=y", "user:xxxxx@tcp(h:1)/db?x=y"},
		{"mysql", "user:p@:/ss@tcp(h:1)/db", "user:xxxxx@tcp(h:1)/db"},
		{"mysql", "u://pw@tcp(h:1)/db", "u:xxxxx@tcp(h:1)/db"},
		{"mysql", "postgres://pw@/db", "postgres:xxxxx@/db"},
		{"mysql", "user:s3cret", "user:xxxxx"},
		{"godror", "scott/tiger@h:1521/x", "scott/xxxxx@h:1521/x"},
		{"godror", "scott/tiger@//h:1521/x", "scott/xxxxx@//h:1521/x"},
		{"godror", "scott/tiger", "scott/xxxxx"},
		{"app", "s3cret@tcp(h)/db", "xxxxx@tcp(h)/db"},

		// Keyword and value.
		{"pgx", "host=h password=s3cret user=u", "host=h password=xxxxx user=u"},
		{"pgx", "password = s3cret host=h", "password = xxxxx host=h"},
		{"pgx", `host=h password='a b\'c' user=u`, `host=h password=xxxxx user=u`},
		{"pgx", `host=h password='a b`, `host=h password=xxxxx`},
		{"pgx", `host=h password=a\ b user=u sslpassword=c`, `host=h password=xxxxx user=u sslpassword=xxxxx`},
		{"pgx", "host=h password=a b user=u", "host=h password=xxxxx user=u"},
		{"pgx", "host=h PassWord=a@b:c/d user=u", "host=h PassWord=xxxxx user=u"},
		{"sqlserver", "Server=h;User Id=sa;Password=s3 c=r@t;Database=d", "Server=h;User Id=sa;Password=xxxxx;Database=d"},
		{"sqlserver", `Server=h;Pwd={a;b}}c};Database=d`, `Server=h;Pwd=xxxxx;Database=d`},
		{"sqlserver", `Server=h;Pwd="a;""b=";Database=d`, `Server=h;Pwd=xxxxx;Database=d`},
		{"sqlserver", `Server=h;Pwd={a}};Db=c};Database=d`, `Server=h;Pwd=xxxxx;Database=d`},
		{"pgx", `host=h password=a\ user=b dbname=d`, `host=h password=xxxxx dbname=d`},
		{"firebird", `{"user":"u","password": "s3cret"}`, `{"user":"u","password": xxxxx`},

		// Sensitive parameters.
		{"sqlite", "x.db?_pragma=key('s3cret')&a=b", "x.db?_pragma=key(xxxxx)&a=b"},
		{"sqlite", "x.db?_pragma=hexkey(ab)&_pragma=main.rekey%28%27s%27%29&_PRAGMA=k%65y=s", "x.db?_pragma=hexkey(xxxxx)&_pragma=main.rekey%28xxxxx&_PRAGMA=k%65y=xxxxx"},
		{"sqlite", "x.db?_key=s3cret&_auth_pass=s&_auth_user=u", "x.db?_key=xxxxx&_auth_pass=xxxxx&_auth_user=u"},
		{"x", "h?pass%77ord=a&API-Key=b&apikey=c&access_token=d&key=e&client_secret=f&credentials=g&private_key=h&PWD=i&keyspace=j",
			"h?pass%77ord=xxxxx&API-Key=xxxxx&apikey=xxxxx&access_token=xxxxx&key=xxxxx&client_secret=xxxxx&credentials=xxxxx&private_key=xxxxx&PWD=xxxxx&keyspace=j"},
		{"x", "h?password=a&b", "h?password=xxxxx"},
	} {
		if got := redactInner(c.driver, c.inner); got != c.want {
			t.Errorf("%s: %s\ngot  %s\nwant %s", c.driver, c.inner, got, c.want)
		}
	}
}

func TestRedactSQL(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1":                                "SELECT 1",
		"SET search_path = shop":                  "SET search_path = shop",
		"SET a='b', c='d' -- x":                   "SET a='xxxxx",
		"SET PASSWORD = 'hunter2'":                "SET PASSWORD = xxxxx",
		"ALTER USER u IDENTIFIED BY \"hunter2\"":  "ALTER USER u IDENTIFIED xxxxx",
		"PRAGMA key(hunter2)":                     "PRAGMA key(xxxxx",
		"PRAGMA hexkey=abcdef":                    "PRAGMA hexkey=xxxxx",
		"SELECT $$hunter2$$":                      "SELECT $xxxxx",
		"SELECT E'a\\'hunter2', 'b'":              "SELECT E'xxxxx",
		"SELECT 'hunter2":                         "SELECT 'xxxxx",
		"SELECT set_config('a', 'hunter2', true)": "SELECT set_config('xxxxx",
		"SELECT \"a\", 'hunter2":                  "SELECT \"xxxxx",
	} {
		if got := redactSQL(text); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// printed is everything that shows a value and ought to hide a DSN's secrets.
func printed(v any) []string {
	outer := struct{ V any }{v}
	var all []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		all = append(all, fmt.Sprintf(verb, v))
		if verb != "%x" {
			all = append(all, fmt.Sprintf(verb, outer), fmt.Sprintf(verb, []any{v}))
		}
	}
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v, "o", outer)
	if text, err := json.Marshal(outer); err == nil {
		b.Write(text)
	}
	return append(all, b.String())
}

func TestNoVerbShowsASecret(t *testing.T) {
	const secret = "hunter2"
	d, err := ParseDSN("pgx:postgres://app:hunter2@h/d?password=hunter2&pool_init_sql=SET+PASSWORD+%27hunter2%27&pool_health_query=select+%27hunter2%27")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(d.Format(), secret) {
		t.Errorf("Format must not redact: %s", d.Format())
	}
	hidden := struct{ d *DSN }{&d} // as the doc comment advises
	for _, text := range append(append(printed(d), printed(&d)...), fmt.Sprintf("%v %+v %#v", hidden, hidden, hidden), d.Pool.Name) {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("shown: %s", text)
		}
	}
	if want := "pgx:postgres://app:xxxxx@h/d?password=xxxxx&pool_health_query=select+%27xxxxx&pool_init_sql=SET+PASSWORD+xxxxx"; d.String() != want || d.Redacted() != want {
		t.Errorf("got  %s\nwant %s", d, want)
	}
}

func TestSecretsOfABrokenDSNAreNotInItsError(t *testing.T) {
	for _, s := range []string{
		"mysql:u:pa?pool_max_conns=hunter2@tcp(h)/db",
		"mysql:u:pa?pool_hunter2@tcp(h)/db",
		"mysql:u:pa?pool_max_conns=%zzhunter2@tcp(h)/db",
		"x:y?pool_init_sql=SET+PASSWORD+%27hunter2%27%zz",
		"x:y?pool_init_sql=SET+PASSWORD+%27hunter2%27%00",
		"x:y?pool_reset_sql=PRAGMA+key(hunter2)%00",
		"x:y?pool_password=hunter2",
		"x:y?pool_health_query=a%00'hunter2'&pool_health_query='hunter2'",
		"x y:hunter2@h", "u:hunter2@tcp(h)/db", "u/hunter2@h", "u/hunter2:x@h",
		"postgres://u:hunter2@h/d?pool_init_sql=SET+PASSWORD+'hunter2'",
	} {
		d, err := ParseDSN(s)
		if err == nil { // a user that could be a driver, as far as ParseDSN knows
			err = errors.Join(checkDriver(s, d.Driver, nil), errors.New(d.String()+d.Pool.Name))
		}
		for _, text := range printed(err) {
			if strings.Contains(text, "hunter2") {
				t.Errorf("%s: %s", s, text)
			}
		}
	}
}

func TestSecretsAreListedInTheFormsErrorsShow(t *testing.T) {
	for s, want := range map[string][]string{
		"pgx:postgres://u:hun%40ter2@h/d":                    {"hun%40ter2", "hun@ter2"},
		`pgx:host=h password='hun\'ter 2'`:                   {"hun'ter 2", `hun\'ter 2`},
		`sqlserver:Server=h;Pwd={hun}}ter2};`:                {"hun}ter2"},
		"sqlite:x?_pragma=key('hunter2')":                    {"hunter2"},
		"pgx:postgres://u:hunt/hidden@h/d":                   {"hunt/hidden", "hidden"},
		"pgx:h?pool_init_sql=ALTER+USER+u+PASSWORD+'hunter'": {"hunter"},
	} {
		d, err := ParseDSN(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		got := d.secrets()
		for _, secret := range want {
			if !slices.Contains(got, secret) {
				t.Errorf("%s: no %q in %q", s, secret, got)
			}
		}
	}
	if got := (DSN{Driver: "pgx", Inner: "postgres://u@h/d?x=1", Pool: pool.Config{InitSQL: []string{"SET TIME ZONE 'UTC'"}}}).secrets(); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestRedactError(t *testing.T) {
	d := func(s string) DSN {
		t.Helper()
		d, err := ParseDSN(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const illFormed = "postgres://u:hunter2%zz@h/d"
	_, urlError := (&url.URL{}).Parse(illFormed)
	for _, c := range []struct {
		dsn  string
		err  error
		want string
	}{
		{"pgx:" + illFormed, urlError, `parse "postgres://u:xxxxx@h/d": invalid URL escape "xxxxx"`},
		{"pgx:postgres://u:hun%40ter@h/d", errors.New("bad password hun@ter."), "bad password xxxxx."},
		{"pgx:host=h password='hun\"ter'", fmt.Errorf("cannot parse %q", `host=h password='hun"ter'`), `cannot parse "host=h password=xxxxx"`},
		{"mysql:u:pw@tcp(h)/db", errors.New("no pw in spwan: u:pw@tcp(h)/db"), "no xxxxx in spwan: u:xxxxx@tcp(h)/db"},
		{"mysql:u:päss@tcp(h)/db", fmt.Errorf("%+q", "päss"), `"xxxxx"`},
	} {
		got := redactError(c.err, d(c.dsn))
		if got.Error() != c.want {
			t.Errorf("%s: %v\ngot  %v\nwant %s", c.dsn, c.err, got, c.want)
		}
	}
}

func TestRedactedErrorAnswersAsTheOriginal(t *testing.T) {
	d := DSN{Driver: "pgx", Inner: "postgres://u:hunter2@h/d"}
	original := fmt.Errorf("opening hunter2: %w", &fs.PathError{Op: "open", Path: "hunter2", Err: os.ErrNotExist})
	err := redactError(original, d)
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || !errors.Is(err, original) {
		t.Error("errors.Is differs")
	}
	if path, ok := errors.AsType[*fs.PathError](err); !ok || path.Op != "open" {
		t.Error("errors.As differs")
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		t.Error("errors.As finds what is not there")
	}
	if errors.Unwrap(err) != nil {
		t.Error("Unwrap hands the original out")
	}
	for _, text := range printed(err) {
		if strings.Contains(text, "hunter2") {
			t.Errorf("shown: %s", text)
		}
	}
	for _, harmless := range []error{errors.New("refused"), nil} {
		if got := redactError(harmless, d); got != harmless {
			t.Errorf("%v became %v", harmless, got)
		}
	}
}

// A rule that looks at the rest of the DSN once per pair took half a minute
// for these.
func TestRedactionTakesLinearTime(t *testing.T) {
	begin := time.Now()
	for _, unit := range []string{"pass ='", "a="} {
		redactInner("x", strings.Repeat(unit, 100_000/len(unit)))
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// A parameter in the midst of a keyword DSN swallows what follows it.
func TestSwallowedPasswordIsNotShown(t *testing.T) {
	for _, dsn := range []string{
		"pgx:host=h?pool_max_conns=5 user=u password=hunter2",
		"pgx:host=h?pool_max_conns=5;password=hunter2",
		"pgx:host=h?pool_name=orders user=u password=hunter2",
	} {
		_, err := ParseDSN(dsn)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

// fieldError has a secret where only %#v shows it.
type fieldError struct{ DSN string }

func (fieldError) Error() string { return "invalid port" }

func TestSecretInAFieldIsNotShown(t *testing.T) {
	d, err := ParseDSN("pgx:postgres://app:hunter2@h/d")
	if err != nil {
		t.Fatal(err)
	}
	redacted := redactError(fieldError{d.Inner}, d)
	if s := fmt.Sprintf("%v %+v %#v", redacted, redacted, redacted); strings.Contains(s, "hunter2") {
		t.Error(s)
	}
	if as := (fieldError{}); !errors.As(redacted, &as) {
		t.Error("the driver's error cannot be found")
	}
}

// TestPiecesOfAPasswordWithParametersInIt: by the rule of the last '?' they are
// nimue's, but they are not shown.
func TestPiecesOfAPasswordWithParametersInIt(t *testing.T) {
	const piece = "s3cret"
	for _, s := range []string{
		"pgx:host=h password='a?pool_max_conns=" + piece + "' dbname=d",
		"pgx:host=h password='a\\'?pool_" + piece + "=1' dbname=d",
		"pgx:host=h password = 'a?pool_max_conns=" + piece,
		"pgx:host=h password='a?pool_name=" + piece + "' dbname=d",
		"sqlserver:server=h;password={a?pool_order=" + piece + "};database=d",
		"pgx:postgres://u:a?pool_name=" + piece + "@h/d",
	} {
		if _, err := ParseDSN(s); err == nil || strings.Contains(err.Error(), piece) {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{"pgx:host=h password='a' dbname=d?pool_max_conns=many", "pgx:host=h user='a?b' password='a'?pool_max_conns=many"} {
		if _, err := ParseDSN(s); err == nil || !strings.Contains(err.Error(), "pool_max_conns=many") {
			t.Errorf("%s: %v", s, err)
		}
	}
}
