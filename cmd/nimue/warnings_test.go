package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/conformance/servers"
)

// bare is a driver without an adapter.
var bare = registered("scripted-bare")

func registered(name string) string {
	sql.Register(name, scripted.New(scripted.Hooks{}).Driver())
	return name
}

const (
	pgDSN = "pgx:postgres://app@db.internal/shop?"
	myDSN = "mysql:app@tcp(db.internal:3306)/shop?"
	liteF = "sqlite:file:a.db?"
)

// warned are the codes of a DSN's warnings, and the parameters that they name.
func warned(t *testing.T, args ...string) (codes []string, texts string) {
	t.Helper()
	r := runWith(t, append([]string{"explain", "-json"}, args...)...)
	d := decode[explainDocument](t, r)
	if d.Error != "" {
		t.Fatalf("%v: %s", args, d.Error)
	}
	for _, w := range d.Warnings {
		codes = append(codes, w.Code)
		texts += w.Text + "\n"
		if !strings.HasPrefix(w.Text, w.Setting+": ") {
			t.Errorf("%s: %s", w.Setting, w.Text)
		}
	}
	return codes, texts
}

// offline are an example of every warning that needs no server, and of DSNs that are
// close and have none.
var offline = []struct{ dsn, code, text string }{
	{bare + ":x", "no_adapter", "no adapter for the driver scripted-bare"},
	{pgDSN + "pool_acquire_timeout=0", "no_acquire_timeout", "waits for ever"},
	{pgDSN + "pool_acquire_timeout=10s", "connect_outlasts_acquire", "give up after 10s"},
	{pgDSN + "pool_acquire_timeout=11s", "", ""},
	{liteF + "pool_acquire_timeout=2s", "", ""},
	{pgDSN + "pool_health_check_period=0&pool_check_on_acquire=never", "never_verified", "no connection is ever verified"},
	{pgDSN + "pool_health_check_period=0", "", ""},
	{pgDSN + "pool_check_on_acquire=never", "", ""},
	{myDSN + "pool_check_on_acquire=always", "check_always", "one more round trip"},
	{liteF + "pool_check_on_acquire=always", "", ""},
	{myDSN + "pool_max_conn_lifetime=0", "no_lifetime", "never renewed by age"},
	{liteF + "pool_max_conn_lifetime=0", "", ""},
	{"sqlite::memory:", "", ""},
	{pgDSN + "pool_max_conn_lifetime=10s", "short_lifetime", "every 10s"},
	{pgDSN + "pool_max_conn_lifetime=1m", "", ""},
	{pgDSN + "pool_max_idle_conns=2", "few_idle_kept", "of 20 connections only 2 are kept idle"},
	{pgDSN + "pool_max_idle_conns=0", "few_idle_kept", "only 0 are kept"},
	{pgDSN + "pool_max_idle_conns=10", "", ""},
	{pgDSN + "default_query_exec_mode=exec", "statements_behind_pooler", "add pool_stmt_cache=0"},
	{"pgx:host=h default_query_exec_mode = simple_protocol", "statements_behind_pooler", "add pool_stmt_cache=0"},
	{pgDSN + "default_query_exec_mode=exec&pool_stmt_cache=0", "", ""},
	{pgDSN + "default_query_exec_mode=describe_exec", "", ""},
	{pgDSN, "", ""},
	{myDSN, "", ""},
	{liteF, "", ""},
}

func TestOfflineWarnings(t *testing.T) {
	for _, test := range offline {
		codes, texts := warned(t, test.dsn)
		var want []string
		if test.code != "" {
			want = []string{test.code}
		}
		if !slices.Equal(codes, want) || !strings.Contains(texts, test.text) {
			t.Errorf("%s: %v %s, want %v %s", test.dsn, codes, texts, want, test.text)
		}
	}
}

// onServer are the codes of warnings that the tests below have examples of.
var onServer = []string{"above_server_limit", "above_server_free", "server_ends_idle", "pooler", "no_busy_timeout", "no_wal"}

// TestEveryWarningHasAnExample reads the codes from the source.
func TestEveryWarningHasAnExample(t *testing.T) {
	source, err := os.ReadFile("warnings.go")
	if err != nil {
		t.Fatal(err)
	}
	var examples []string
	for _, test := range offline {
		examples = append(examples, test.code)
	}
	examples = append(examples, onServer...)
	found := regexp.MustCompile(`warn\([^"]*"([a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 10 {
		t.Fatalf("only %d codes were found", len(found))
	}
	for _, match := range found {
		if !slices.Contains(examples, match[1]) {
			t.Errorf("%s has no example", match[1])
		}
	}
}

// wantWarnings asks a server and compares.
func wantWarnings(t *testing.T, dsn string, texts []string, want ...string) {
	t.Helper()
	codes, got := warned(t, "-server", dsn)
	if !slices.Equal(codes, want) {
		t.Errorf("%s: %v, want %v\n%s", dsn, codes, want, got)
	}
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("%q is missing in\n%s", text, got)
		}
	}
}

// execOn runs statements on a server.
func execOn(t *testing.T, driver, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range statements {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func TestWarningsOfPostgres(t *testing.T) {
	server := servers.SharedPostgres(t)
	admin := server.URL("postgres")
	execOn(t, "pgx", admin,
		"DROP ROLE IF EXISTS clerk", "CREATE ROLE clerk LOGIN", "DROP ROLE IF EXISTS limited", "CREATE ROLE limited LOGIN CONNECTION LIMIT 7",
		"DROP DATABASE IF EXISTS narrow", "CREATE DATABASE narrow CONNECTION LIMIT 5")
	as := func(user, database string) string {
		return strings.Replace("pgx:"+server.URL(database), "//nimue@", "//"+user+"@", 1)
	}
	wantWarnings(t, as("clerk", "postgres"), nil)
	wantWarnings(t, as("clerk", "postgres")+"&pool_max_conns=98",
		[]string{"98 can never be reached: the server's max_connections is 100, of which 3 are reserved"}, "above_server_limit")
	wantWarnings(t, as("limited", "postgres")+"&pool_max_conns=8", []string{"the server allows this user 7 connections"}, "above_server_limit")
	wantWarnings(t, as("clerk", "narrow")+"&pool_max_conns=6", []string{"the server allows this database 5 connections"}, "above_server_limit")
	wantWarnings(t, as("nimue", "narrow")+"&pool_max_conns=6", nil) // limits are not for superusers
	wantWarnings(t, as("clerk", "postgres")+"&options=-cidle_session_timeout%3D20s", nil)
	wantWarnings(t, as("clerk", "postgres")+"&options=-cidle_session_timeout%3D20s&pool_health_check_period=30s",
		[]string{"ends a session that is idle for 20s"}, "server_ends_idle")
	wantWarnings(t, as("clerk", "postgres")+"&options=-cidle_session_timeout%3D20s&pool_health_check_period=30s&pool_max_conn_idle_time=5s", nil)

	// 97 are to be had by a clerk. The others' sessions are the admin's.
	db, err := sql.Open("pgx", admin)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 3 {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	codes, text := warned(t, "-server", as("clerk", "postgres")+"&pool_max_conns=97")
	if !slices.Equal(codes, []string{"above_server_free"}) || !strings.Contains(text, "others use") {
		t.Errorf("%v %s", codes, text)
	}
}

func TestRoom(t *testing.T) {
	dsn := "pgx:" + servers.SharedPostgres(t).URL("postgres") // a superuser's
	for size, text := range map[int]string{30: "room          for 3 pools of this size", 51: "room          for one pool of this size"} {
		runWith(t, "explain", "-server", fmt.Sprint(dsn, "&pool_max_conns=", size)).wants(t, exitFine, text)
	}
	if r := runWith(t, "explain", "-server", dsn+"&pool_max_conns=101"); strings.Contains(r.out, "  room  ") {
		t.Errorf("there is no room:\n%s", r.out)
	}
}

func TestWarningsOfPgBouncer(t *testing.T) {
	bouncer := servers.PgBouncer(t, servers.SharedPostgres(t))
	dsn := "pgx:" + bouncer.URL("postgres")
	wantWarnings(t, dsn, []string{"add default_query_exec_mode=exec and pool_stmt_cache=0"}, "pooler")
	wantWarnings(t, dsn+"&default_query_exec_mode=exec&pool_stmt_cache=0", nil)
}

func TestWarningsOfMariaDB(t *testing.T) {
	server := servers.SharedMariaDB(t)
	dsn := server.DSN(servers.MariaDBDatabase)
	execOn(t, "mysql", dsn, "CREATE OR REPLACE USER limited@'%' WITH MAX_USER_CONNECTIONS 6", "GRANT ALL ON *.* TO limited@'%'",
		"DROP USER IF EXISTS ''@localhost")
	limited := "mysql:" + strings.Replace(dsn, "nimue@", "limited@", 1)
	wantWarnings(t, "mysql:"+dsn, nil)
	wantWarnings(t, "mysql:"+dsn+"?pool_max_conns=101", []string{"the server's max_connections is 100"}, "above_server_limit")
	wantWarnings(t, limited+"?pool_max_conns=7", []string{"the server allows this user 6 connections"}, "above_server_limit")
	wantWarnings(t, "mysql:"+dsn+"?wait_timeout=20", nil)
	wantWarnings(t, "mysql:"+dsn+"?wait_timeout=20&pool_health_check_period=0", []string{"idle for 20s"}, "server_ends_idle")
}

func TestWarningsOfSQLite(t *testing.T) {
	file := "sqlite:file:" + filepath.ToSlash(t.TempDir()) + "/a.db"
	wantWarnings(t, file, []string{"fails at once", "journal_mode=delete"}, "no_busy_timeout", "no_wal")
	wantWarnings(t, file+"?pool_max_conns=1", nil)
	wantWarnings(t, file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)", nil)
	wantWarnings(t, "sqlite::memory:", nil)
}

func TestServerThatIsNotThere(t *testing.T) {
	const dsn = "pgx:postgres://u:hunter2@127.0.0.1:1/x"
	r := runWith(t, "explain", "-server", dsn)
	r.wants(t, exitBad, "Defaults", "nimue explain: the server could not be asked: ", "connection refused")
	r = runWith(t, "explain", "-server", "-json", dsn)
	if d := decode[explainDocument](t, r); r.code != exitBad || !strings.Contains(d.Error, "refused") || len(d.Settings) == 0 || d.Server != nil {
		t.Errorf("%d %s", r.code, r.out)
	}
}

func TestServerWithoutQuestions(t *testing.T) {
	runWith(t, "explain", "-server", bare+":x").wants(t, exitFine, "adapter       none")
}

// TestLimits holds the arithmetic.
func TestLimits(t *testing.T) {
	for _, test := range []struct {
		f    serverFacts
		most int
	}{
		{serverFacts{}, 0},
		{serverFacts{MaxConnections: 100, Reserved: 3}, 97},
		{serverFacts{MaxConnections: 100, Reserved: 3, RoleLimit: 98}, 97},
		{serverFacts{MaxConnections: 100, RoleLimit: 30, DatabaseLimit: 20}, 20},
		{serverFacts{DatabaseLimit: 20}, 20},
	} {
		if most, why := test.f.limit(); most != test.most || (why == "") != (most == 0) {
			t.Errorf("%+v: %d, %s", test.f, most, why)
		}
	}
	used := 95
	e, err := nimue.Explain("pgx:host=h?pool_max_conns=5")
	if err != nil {
		t.Fatal(err)
	}
	list := serverWarnings(e, &serverFacts{MaxConnections: 100, Reserved: 3, InUse: &used})
	if len(list) != 1 || !strings.Contains(fmt.Sprint(list), "others use 95, which leaves 2") {
		t.Errorf("%+v", list)
	}
}
