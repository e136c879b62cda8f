package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/servers"
)

func sqliteFile(t testing.TB) string {
	return "sqlite:file:" + filepath.ToSlash(t.TempDir()) + "/a.db?_pragma=busy_timeout(5000)"
}

func TestPing(t *testing.T) {
	for _, test := range []struct {
		name   string
		dsn    func(t *testing.T) string
		server serverFacts // what is looked at of it
		inText []string
	}{
		{"sqlite", func(t *testing.T) string { return sqliteFile(t) }, serverFacts{Product: "SQLite", Version: "3.", JournalMode: "delete"},
			[]string{"server        SQLite 3."}},
		{"postgres", func(t *testing.T) string { return "pgx:" + servers.SharedPostgres(t).URL("postgres") },
			serverFacts{Product: "PostgreSQL", Version: "1", TLS: "no", Role: roleReadWrite, MaxConnections: 100},
			[]string{"server        PostgreSQL 1", "TLS           no", "role          read-write", "max_connections is 100"}},
		{"mariadb", func(t *testing.T) string {
			return "mysql:" + servers.SharedMariaDB(t).DSN(servers.MariaDBDatabase)
		},
			serverFacts{Product: "MariaDB", Version: "1", TLS: "no", Role: roleReadWrite, MaxConnections: 100},
			[]string{"server        MariaDB 1", "max_connections is 100", "idle limit    the server ends sessions that are idle for 8h"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dsn := test.dsn(t)
			r := runWith(t, "ping", "-n", "7", dsn)
			r.wants(t, exitFine, append(test.inText, "  connect       ", "  first query   ", "  ping × 7      min ")...)
			if r.messages != "" {
				t.Errorf("on standard error: %s", r.messages)
			}
			d := decode[pingDocument](t, runWith(t, "ping", "-n", "7", "-json", dsn))
			checkPing(t, d, 7)
			f, want := d.Server, test.server
			if f.Product != want.Product || !strings.HasPrefix(f.Version, want.Version) || f.TLS != want.TLS || f.Role != want.Role ||
				f.MaxConnections != want.MaxConnections || f.JournalMode != want.JournalMode || f.Pooler {
				t.Errorf("%+v", f)
			}
		})
	}
}

func checkPing(t *testing.T, d pingDocument, count int) {
	t.Helper()
	if d.Connect <= 0 || d.Query <= 0 || d.Error != "" || d.Server == nil {
		t.Errorf("%+v", d)
	}
	if p := d.Ping; p == nil || p.Count != count || p.Min <= 0 || p.Min > p.Median || p.Median > p.Max {
		t.Errorf("pings %+v", p)
	}
}

func TestPingWithoutPings(t *testing.T) {
	r := runWith(t, "ping", "-n", "0", "-json", sqliteFile(t))
	if d := decode[pingDocument](t, r); d.Ping != nil || d.Server == nil {
		t.Errorf("%s", r.out)
	}
	wantKeys(t, r.out, "dsn", "driver", "adapter", "connect_seconds", "query_seconds", "server")
}

// TestPingHeedsTheDSN: whatever the pool's floors, one connection is opened, and
// pool_init_sql is run on it.
func TestPingHeedsTheDSN(t *testing.T) {
	runWith(t, "ping", "-n", "1", sqliteFile(t)+"&pool_min_conns=5&pool_max_idle_conns=6&pool_name=x").wants(t, exitFine, "SQLite")
	runWith(t, "ping", "-n", "1", sqliteFile(t)+"&pool_max_waiters=0&pool_max_conn_uses=1&pool_lease=transaction").wants(t, exitFine, "SQLite")
	runWith(t, "ping", sqliteFile(t)+"&pool_init_sql=SELECT+nonsense").wants(t, exitBad, "no such column: nonsense")
}

func TestPingFails(t *testing.T) {
	silent := silentServer(t)
	for _, test := range []struct{ dsn, says string }{
		{"pgx:postgres://u:hunter2@127.0.0.1:1/x", "connection refused"},
		{"mysql:u:hunter2@tcp(127.0.0.1:1)/x", "connection refused"},
		{"mysql:u:hunter2@tcp(" + silent + ")/x", "deadline exceeded"},
		{"sqlite:file:/nosuchfolder/a.db", "unable to open database file"},
		{"pgx:postgres://u:hunter2@h/x?pool_max_conns=many", "pool_max_conns=many: want a whole number"},
	} {
		began := time.Now()
		r := runWith(t, "ping", "-timeout", "300ms", test.dsn)
		r.wants(t, exitBad, "nimue ping: ", test.says)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %v", test.dsn, took)
		}
		if r.out != "" {
			t.Errorf("%s: on standard output: %s", test.dsn, r.out)
		}
		r = runWith(t, "ping", "-timeout", "300ms", "-json", test.dsn)
		if d := decode[pingDocument](t, r); r.code != exitBad || !strings.Contains(d.Error, test.says) || d.Ping != nil {
			t.Errorf("%s: %d %s", test.dsn, r.code, r.out)
		}
	}
}

// silentServer accepts connections and says nothing.
func silentServer(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func TestPingInterrupted(t *testing.T) {
	dsn := "mysql:u:hunter2@tcp(" + silentServer(t) + ")/x"
	r := program{ctx: cancelled(t, 200*time.Millisecond)}.run(t, "ping", dsn)
	if r.code != exitInterrupted || r.messages != "nimue ping: interrupted\n" {
		t.Errorf("%d %q", r.code, r.all())
	}
}

func TestThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 99_960: "100µs", 1_234_567: "1.23ms", 12_345_678: "12.3ms",
		1_234_567_890: "1.23s", 59_940 * time.Millisecond: "59.9s", 754 * time.Second / 10: "1m15.4s", 3_661_500 * time.Millisecond: "1h1m2s",
	} {
		if got := threeDigits(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
