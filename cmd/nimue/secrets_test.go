package main

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

const password = "hunt3r'2"

// secretive are DSNs with that password in every place where one can be: right and
// wrong, and none of them leads anywhere.
var secretive = []string{
	"pgx:postgres://app:PW@127.0.0.1:1/shop?pool_max_conns=3",
	"pgx:postgres://app@127.0.0.1:1/shop?password=PW",
	"pgx:postgres://app@127.0.0.1:1/shop?password=PW&pool_max_con=3",
	"pgx:postgres://app:PW@127.0.0.1:notaport/shop",
	"pgx:postgres://app:PW@127.0.0.1:1/shop?sslmode=nonsense",
	"pgx:postgres://app:PW?pool_max_conns=3@127.0.0.1:1/shop",
	"pgx:host=127.0.0.1 port=1 user=app password=PW dbname=shop",
	"pgx:host=127.0.0.1 port=1 user=app password=PW dbname=shop?pool_order=up",
	"pgx:host=127.0.0.1 port=one password=PW",
	"mysql:app:PW@tcp(127.0.0.1:1)/shop?parseTime=true&pool_min_conns=2",
	"mysql:app:PW@tcp(127.0.0.1:1/shop",
	"mysql:app:PW@nosuchnet(127.0.0.1:1)/shop",
	"mysql:app:PW",
	"sqlite:file:/nosuchfolder/a.db?_pragma=key('PW')",
	"sqlite:file:/nosuchfolder/a.db?pool_init_sql=PRAGMA+key%3D'PW'",
	"sqlite::memory:?pool_init_sql=PRAGMA+nosuch(password+PW",
	"sqlite::memory:?pool_max_conns=5&pool_reset_sql=SET+PASSWORD+PW",
	"postgres://app:PW@127.0.0.1:1/shop",
	"app:PW@tcp(127.0.0.1:1)/shop",
	"nosuchdriver:app:PW@127.0.0.1:1",
	"nimue:pgx:postgres://app:PW@127.0.0.1:1/shop",
	"pgx:pool_max_conns=3 password=PW",
}

// shows tells whether a text has the password, as it is written in any of the ways in
// which a DSN or an error may write it.
func shows(text, secret string) bool {
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.ReplaceAll(secret, "'", `\'`)} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return strings.Contains(text, "hunt3r")
}

func TestNoOutputShowsAPassword(t *testing.T) {
	commands := [][]string{
		{"explain"}, {"explain", "-json"}, {"explain", "-server", "-timeout", "200ms"}, {"explain", "-server", "-json", "-timeout", "200ms"},
		{"ping", "-timeout", "200ms"}, {"ping", "-json", "-timeout", "200ms"},
		{"bench", "-d", "10ms"}, {"bench", "-json", "-d", "10ms"},
		{"watch", "-timeout", "200ms", "-once"}, {"watch", "-timeout", "200ms", "-json"}, {"watch", "-timeout", "200ms"},
		{"help"}, {"nosuch"}, {}, {"ping", "-n"}, {"ping", "-timeout"}, {"bench", "-c"}, {"explain", "extra"},
	}
	for _, pattern := range secretive {
		for _, written := range []string{password, url.QueryEscape(password), "hunt3r"} {
			dsn := strings.ReplaceAll(pattern, "PW", written)
			for _, command := range commands {
				ways := map[string]result{
					"argument":       runFor(t, nil, "", append(append([]string{}, command...), dsn)...),
					"environment":    runFor(t, map[string]string{"NIMUE_DSN": dsn, "NIMUE_URL": dsn}, "", command...),
					"standard input": runFor(t, nil, dsn+"\n", append(append([]string{}, command...), "-")...),
					"a flag":         runFor(t, nil, "", append(append([]string{}, command...), "-"+dsn)...),
				}
				for way, r := range ways {
					if shows(r.all(), password) {
						t.Errorf("nimue %v, %s %s:\n%s", command, way, dsn, r.all())
					}
					if r.code == exitFine && command != nil && command[0] == "ping" {
						t.Errorf("nimue %v %s succeeded", command, dsn)
					}
				}
			}
		}
	}
}

// runFor bounds a run: watch would go on for ever if it succeeded.
func runFor(t testing.TB, env map[string]string, stdin string, args ...string) result {
	return program{ctx: cancelled(t, time.Minute), env: env, stdin: strings.NewReader(stdin)}.run(t, args...)
}

// FuzzNoOutputShowsAPassword puts anything into a password, around a piece that must
// not be seen again.
func FuzzNoOutputShowsAPassword(f *testing.F) {
	for _, seed := range []string{"", "a", "@", ":", "/", "?", "&", "?pool_max_conns=", "&pool_name=", "%", "%zz", "'", `\`, " ", "\n", "@tcp(h)/", "\x00", "é"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const piece = "zqhunt3rqz"
		secret := before + piece + after
		escaped := url.UserPassword("app", secret).String()
		for _, dsn := range []string{
			"pgx:postgres://" + escaped + "@db.internal/shop?pool_max_conns=3",
			"pgx:postgres://app:" + secret + "@db.internal/shop",
			"mysql:app:" + secret + "@tcp(db.internal:3306)/shop?pool_max_conns=3",
			"pgx:host=db.internal password='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(secret) + "' dbname=shop",
			"pgx:postgres://app@db.internal/shop?password=" + url.QueryEscape(secret),
		} {
			for _, args := range [][]string{{"explain", dsn}, {"explain", "-json", dsn}, {dsn}, {"ping", "-" + dsn}, {"help", dsn}} {
				if r := runWith(t, args...); strings.Contains(r.all(), piece) {
					t.Errorf("nimue %q:\n%s", args, r.all())
				}
			}
		}
	})
}
