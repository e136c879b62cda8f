package nimue

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

var seeds = []string{
	"", ":", "x", "x:", "x:?", "x:?&", "x:a??pool_order=fifo", "nimue:x", "sqlite::memory:?pool_max_conns=1",
	"pgx:postgres://app@db.internal/shop?sslmode=verify-full&pool_max_conns=20&pool_health_check_period=15s",
	"sqlite:file:shop.db?_pragma=busy_timeout(5000)&pool_max_conns=8&&pool_stmt_cache=0",
	"mysql:u:p?pool_max_conns=0@tcp(h)/db?x=y&pool_init_conns=0",
	"sqlite:a?pool_later=1?pool_max_conns=20", "pgx:h&pool_max_conns=5", "pgx:host=h password='a b\\'c'?pool_max_waiters=unlimited",
	"x:y?pool_init_sql=a%26b&pool_init_sql=c%3F&pool_reset_sql=%FF+%2B&pool_name=caf%C3%A9&pool_log_level=debug",
	"x:y?pool_min_conns=11&pool_max_conns=10&pool_max_con=1&pool_ping_timeout=30", "postgres://u:p@h/d?pool_x", "x:a?pool_a@b?pool_order=fifo",
	"x:y?pool_max_conn_lifetime=1h0m0.000000001s&pool_max_conn_lifetime_jitter=0&pool_ping_timeout=1.5us&pool_check_on_acquire=never",
}

// FuzzParseFormat checks that no text makes ParseDSN panic, that it errs with
// a DSNError, and that a DSN formats to an equal one.
func FuzzParseFormat(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDSN(s)
		_ = redactSQL(s)
		_ = redactError(errors.New(s), DSN{Driver: "x", Inner: s})
		if err != nil {
			if bad, ok := errors.AsType[*DSNError](err); !ok || len(bad.Problems) == 0 {
				t.Errorf("%q: %#v", s, err)
			}
			return
		}
		if err := d.Pool.Validate(); err != nil {
			t.Errorf("%q: accepted, but %v", s, err)
		}
		formatted := d.Format()
		again, err := ParseDSN(formatted)
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("%q formats as %q, which is %+v, %v, not %+v", s, formatted, again.Pool, err, d.Pool)
		}
		if again.Format() != formatted {
			t.Errorf("%q, then %q", formatted, again.Format())
		}
		if d.Pool.Name == "" || !isPrintable(d.Pool.Name) || utf8.RuneCountInString(d.Pool.Name) > longestName {
			t.Errorf("%q: name %q", s, d.Pool.Name)
		}
		_ = d.String()
	})
}

// rule is the rule of the last '?', written as differently from splitPairs as
// its brevity allows: it deletes from the end, one segment at a time.
func rule(s string) (driver, inner string, taken []string) {
	mark := strings.LastIndex(s, "?")
	rest, left := s, 0 // left counts the segments that stay
	for end := len(rest); mark >= 0 && end > mark; {
		begin := max(strings.LastIndex(rest[:end], "&"), mark)
		segment := rest[begin+1 : end]
		if strings.HasPrefix(segment, "pool_") {
			taken = append([]string{segment}, taken...)
			switch {
			case begin > mark: // with the '&' before it
				rest = rest[:begin] + rest[end:]
			case left > 0: // the first: with the '&' behind it
				rest = rest[:begin+1] + rest[end+1:]
			default:
				rest = rest[:begin]
			}
		} else {
			left++
		}
		end = begin
	}
	i := strings.Index(rest, ":")
	if i < 0 {
		return "", "", taken
	}
	return rest[:i], rest[i+1:], taken
}

// FuzzInnerUnchanged holds ParseDSN against the rule.
func FuzzInnerUnchanged(f *testing.F) {
	for _, s := range seeds {
		f.Add("sqlite", s, "pool_order=fifo", 0)
		f.Add("pgx", s, "pool_init_sql=%41+b", 9)
	}
	f.Fuzz(func(t *testing.T, driver, inner, setting string, at int) {
		// Some DSN of these parts, with the setting at any place.
		at = min(max(at, 0), len(inner))
		for _, s := range []string{
			driver + ":" + inner,
			driver + ":" + inner + "?" + setting,
			driver + ":" + inner + "&" + setting,
			driver + ":" + inner[:at] + "&" + setting + inner[at:],
			driver + ":" + inner[:at] + "?" + setting + "&" + inner[at:],
		} {
			d, err := ParseDSN(s)
			if err != nil {
				continue
			}
			wantDriver, wantInner, taken := rule(s)
			if d.Driver != wantDriver || d.Inner != wantInner {
				t.Errorf("%q: %q %q, want %q %q", s, d.Driver, d.Inner, wantDriver, wantInner)
			}
			for _, segment := range taken {
				key, value, _ := strings.Cut(segment, "=")
				text, err := url.QueryUnescape(value)
				if parameterByKey[key] == nil || err != nil {
					t.Errorf("%q: %q was accepted", s, segment)
				}
				if key == "pool_health_query" && d.Pool.HealthQuery != text {
					t.Errorf("%q: %q", s, d.Pool.HealthQuery)
				}
			}
		}
	})
}

// core makes a password recognisable wherever any part of it goes.
const core = "s3Kr1tC0re"

// shapes are DSNs of every family, with a password as each has to escape it or
// as people forget to.
var shapes = []func(user, password, host string) string{
	func(u, p, h string) string { return "pgx:postgres://" + u + ":" + p + "@" + h + "/db?sslmode=disable" },
	func(u, p, h string) string { return "pgx:postgresql://" + u + ":" + p + "@" + h },
	func(u, p, h string) string {
		return "pgx:" + (&url.URL{Scheme: "postgres", User: url.UserPassword(u, p), Host: h, Path: "/db"}).String()
	},
	func(u, p, h string) string { return "sqlserver:sqlserver://" + u + ":" + p + "@" + h + "?database=d" },
	func(u, p, h string) string { return "mysql:" + u + ":" + p + "@tcp(" + h + ":3306)/db?parseTime=true" },
	func(u, p, h string) string { return "mysql:" + u + ":" + p + "@/" + h },
	func(u, p, h string) string { return "mysql:" + u + ":" + p + "@unix(/run/" + h + ".sock)/db" },
	func(u, p, h string) string { return "godror:" + u + "/" + p + "@" + h + ":1521/svc" },
	func(u, p, h string) string { return "libsql:libsql://" + p + "@" + h },
	func(u, p, h string) string {
		return "pgx:host=" + h + " user=" + u + " password=" + libpqQuote(p) + " dbname=db"
	},
	func(u, p, h string) string { return "pgx:password = " + libpqQuote(p) + " host = " + h },
	func(u, p, h string) string {
		return "sqlserver:Server=" + h + ";User Id=" + u + ";Password={" + strings.ReplaceAll(p, "}", "}}") + "};Database=d"
	},
	func(u, p, h string) string {
		return "sqlserver:server=" + h + `;pwd="` + strings.ReplaceAll(p, `"`, `""`) + `"`
	},
	func(u, p, h string) string {
		return "pgx:postgres://" + h + "/db?user=" + u + "&password=" + url.QueryEscape(p) + "&sslpassword=" + url.QueryEscape(p)
	},
	func(u, p, h string) string { return "x:" + h + "?api_key=" + url.QueryEscape(p) },
	func(u, p, h string) string {
		return "sqlite:file:" + h + ".db?_pragma=key('" + url.QueryEscape(p) + "')&cache=shared"
	},
	func(u, p, h string) string {
		return "sqlite:" + h + "?pool_init_sql=" + url.QueryEscape("PRAGMA key='"+strings.ReplaceAll(p, "'", "''")+"'")
	},
	func(u, p, h string) string {
		return "mysql:" + h + "?pool_reset_sql=" + url.QueryEscape("SET PASSWORD = '"+p+"'") + "&pool_health_query=" + url.QueryEscape("select '"+p)
	},
}

func libpqQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// word makes a user or a host of any text.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, s)
	return "w" + s[:min(len(s), 20)]
}

// broken returns variants of a DSN as mistakes make them.
func broken(s string, cut int) []string {
	_, inner, _ := strings.Cut(s, ":")
	separator := "?"
	if strings.Contains(s, "?") {
		separator = "&"
	}
	all := []string{
		s, inner, "nosuch:" + inner, "nimue:" + s, "my driver:" + inner, ":" + inner,
		s + "\x00", s + "&pool_max_conns=3", s + "?pool_max_conns=0&pool_order=x", s + "?pool_max_con=1&x=y", inner + "?pool_max_conns=2",
	}
	for _, setting := range []string{
		"pool_max_conns=0", "pool_bogus=1", "pool_max_con=1", "pool_init_sql=select '?'", "pool_min_conns=11&pool_max_conns=10",
		"pool_max_conns=1&pool_max_conns=1", "pool_order=%zz", "pool_acquire_timeout=30", "pool_name=", "pool_order=fifo",
	} {
		all = append(all, s+separator+setting)
	}
	// Cut off behind the password, as far as cut says.
	if end := strings.LastIndex(s, core) + len(core); cut > 0 && end+cut < len(s) {
		all = append(all, s[:end+cut])
	}
	return all
}

// FuzzNoPasswordIsShown checks every output for a password.
func FuzzNoPasswordIsShown(f *testing.F) {
	for i := range shapes {
		f.Add("app", "", "", "db.internal", i, 0)
		f.Add("app", "", "", "db.internal", i, 1)
		f.Add("app", "p@ss:/?#%", "'\" ;=&\\{}()", "h", i, 1)
		f.Add("app", "?x=", "&y=z@host/", "h", i, 3)
		f.Add("u", "//", "@tcp(h)/db", "h", i, 2)
	}
	f.Fuzz(func(t *testing.T, user, before, after, host string, shape, cut int) {
		shape = max(shape%len(shapes), 0)
		password := before + core + after
		// Without an '@' behind it, text behind a '?' that begins with pool_
		// is a parameter, not a password.
		if strings.Contains(password, prefix) || strings.ContainsRune(password, 0) {
			return
		}
		// mysqlapp:secret@tcp(h)/db without a driver's name is to all
		// appearances the driver mysqlapp with the user secret.
		if isDriverish(word(user)) {
			return
		}
		if password != core {
			// Where both the escaping and the end of the password are missing,
			// nothing tells it from a host, a path and a query.
			cut = 0
		}
		s := shapes[shape](word(user), password, word(host))
		for _, variant := range broken(s, cut) {
			d, err := ParseDSN(variant)
			shown := []string{}
			if err != nil {
				shown = append(shown, fmt.Sprintf("%v %+v %#v %q", err, err, err, err))
			} else {
				if strings.HasPrefix(variant, s) && !strings.Contains(d.Format(), core) {
					t.Errorf("%q: Format lost the password", variant)
				}
				shown = append(shown, d.Pool.Name, fmt.Sprintf("%v %+v %#v %s %q %v %+v %#v", d, d, d, d, d, &d, struct{ D DSN }{d}, []any{d}))
				if err := checkDriver(variant, d.Driver, []string{"pgx"}); err != nil {
					shown = append(shown, err.Error())
				}
				if shape < 16 { // those whose secret is in the inner DSN
					cause := fmt.Errorf("cannot parse %q (%s): %q", d.Inner, d.Inner, password)
					shown = append(shown, fmt.Sprintf("%v %+v %#v", redactError(cause, d), redactError(cause, d), redactError(cause, d)))
				}
			}
			for _, text := range shown {
				if strings.Contains(text, core) {
					t.Fatalf("%q shows the password in:\n%s", variant, text)
				}
			}
		}
	})
}
