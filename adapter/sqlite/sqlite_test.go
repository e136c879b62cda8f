package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/pool"
	"modernc.org/sqlite"
)

func TestMain(m *testing.M) { adaptertest.Main(m) }

func init() { sql.Register("renamed", &sqlite.Driver{}) }

func TestDSNKeepsTheDriversName(t *testing.T) {
	for _, name := range []string{"sqlite", "renamed"} {
		inner := "file:" + filepath.Join(t.TempDir(), "a.db") + "?_pragma=busy_timeout(5000)"
		parsed, err := nimue.ParseDSN(name + ":" + inner + "&pool_max_conns=2")
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Driver != name || parsed.Inner != inner {
			t.Errorf("the DSN names %q and %q", parsed.Driver, parsed.Inner)
		}
		db := adaptertest.Open(t, "nimue", name+":"+inner+"&pool_max_conns=2")
		if got := adaptertest.Query[int](t, db, "PRAGMA busy_timeout"); got != 5000 {
			t.Errorf("%s: the busy timeout is %d", name, got)
		}
	}
}

// TestKindIsSQLitesOwn compares what the adapter reads in a DSN with what two
// connections find.
func TestKindIsSQLitesOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	for dsn, want := range map[string]kind{
		":memory:":                                      private,
		":memory:?_pragma=busy_timeout(1000)":           private,
		":memory:?cache=shared":                         private, // a query that SQLite does not see
		"file::memory:":                                 private,
		"file::memory:?cache=private":                   private,
		"file:%3Amemory%3A":                             private,
		"file::memory:?cache=shared":                    shared,
		"file:a?mode=memory":                            private,
		"file:a?mode=memory&cache=shared":               shared,
		"file:b?cache=shared&mode=memory":               shared,
		"file:c?mode=memory&cache=shared&cache=private": private,
		"file:d?mode=memor%79&c%61che=shared":           shared,
		"file:e?mode=memory#&cache=shared":              private,
		"file:/f?vfs=memdb":                             shared,
		"file:g?vfs=memdb":                              private,
		"":                                              private,
		"file:":                                         private,
		"file:?cache=shared":                            private,
		file:                                            onDisk,
		file + "?mode=memory":                           onDisk, // likewise
		"file:" + file:                                  onDisk,
		"file://" + file:                                onDisk,
		"file://localhost" + file + "?cache=shared":     onDisk,
	} {
		if got := kindOf(dsn); got != want {
			t.Errorf("%q: kind %d, want %d", dsn, got, want)
		}
		first, second := adaptertest.Open(t, "sqlite", dsn), adaptertest.Open(t, "sqlite", dsn)
		first.SetMaxOpenConns(1)
		second.SetMaxOpenConns(1)
		adaptertest.Exec(t, first, "CREATE TABLE IF NOT EXISTS seen (n INT)")
		sees := adaptertest.Query[int](t, second, "SELECT count(*) FROM sqlite_master WHERE name = 'seen'") == 1
		if sees == (want == private) {
			t.Errorf("%q: a second connection sees the first one's table: %t", dsn, sees)
		}
		paths := adaptertest.Query[string](t, first, "SELECT file FROM pragma_database_list WHERE name = 'main'")
		if (paths != "") != (want == onDisk) {
			t.Errorf("%q: is in %q", dsn, paths)
		}
	}
}

func TestPrivateDatabaseLivesOn(t *testing.T) {
	for _, inner := range []string{":memory:", "", "file::memory:?_pragma=foreign_keys(1)"} {
		separator := "?"
		if strings.Contains(inner, "?") {
			separator = "&"
		}
		db := adaptertest.Open(t, "nimue", "sqlite:"+inner+separator+"pool_health_check_period=10ms")
		adaptertest.Exec(t, db, "CREATE TABLE kept (n INT)", "INSERT INTO kept VALUES (1)")
		// What would retire a connection to a file: a statement that is cut off.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := db.ExecContext(ctx, "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 1000000000) SELECT count(*) FROM s")
		cancel()
		if err == nil {
			t.Error("the long statement was not cut off")
		}
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		adaptertest.Exec(t, tx, "INSERT INTO kept VALUES (2)")
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if n := adaptertest.Query[int](t, db, "SELECT count(*) FROM kept"); n != 1 {
				t.Fatalf("%q: %d rows", inner, n)
			}
		}
		verified := adaptertest.Stats(t, db).Verifications
		adaptertest.Eventually(t, "it is verified", func() bool { return adaptertest.Stats(t, db).Verifications > verified })
		if s := adaptertest.Stats(t, db); s.Connects != 1 || s.Retired.Total() != 0 || s.MaxConns != 1 {
			t.Errorf("%q: %d connects, retired %v, at most %d", inner, s.Connects, s.Retired, s.MaxConns)
		}
	}
}

func TestPrivateDatabaseRefusesContradictions(t *testing.T) {
	db, err := sql.Open("nimue", "sqlite::memory:?pool_max_conns=4&pool_min_conns=2&pool_max_conn_lifetime=1m&pool_max_conn_idle_time=1m&pool_max_conn_uses=9")
	if err == nil {
		_ = db.Close()
		t.Fatal("it was accepted")
	}
	bad, ok := errors.AsType[*nimue.DSNError](err)
	if !ok {
		t.Fatalf("got %T: %v", err, err)
	}
	named := map[string]string{}
	for _, p := range bad.Problems {
		named[p.Key] = p.Value
	}
	for key, value := range map[string]string{
		"pool_max_conns": "4", "pool_min_conns": "2", "pool_max_conn_lifetime": "1m0s",
		"pool_max_conn_idle_time": "1m0s", "pool_max_conn_uses": "9",
	} {
		if got, found := named[key]; !found {
			t.Errorf("%s is not named in %v", key, err)
		} else if got != value && got+"0s" != value {
			t.Errorf("%s is shown as %q, want %q", key, got, value)
		}
	}

	if db, err := sql.Open("nimue", "sqlite::memory:?pool_max_idle_conns=0"); err == nil {
		_ = db.Close()
		t.Error("pool_max_idle_conns=0 was accepted")
	}

	// What fits may be said.
	fits := adaptertest.Open(t, "nimue", "sqlite::memory:?pool_max_conns=1&pool_min_conns=1&pool_max_idle_conns=1&pool_max_conn_lifetime=0&pool_max_conn_idle_time=0")
	adaptertest.Exec(t, fits, "CREATE TABLE kept (n INT)")
	p := nimue.PoolOf(fits)
	update := p.Update(func(c *pool.Config) { c.MaxConns, c.MaxConnUses = 2, 1 })
	if broken, ok := errors.AsType[*pool.ConfigError](update); !ok || len(broken.Problems) != 2 {
		t.Errorf("Update: %v", update)
	}
	if err := p.Update(func(c *pool.Config) { c.MaxConnLifetime, c.AcquireTimeout = 0, time.Second }); err != nil {
		t.Errorf("Update: %v", err)
	}
	if n := adaptertest.Query[int](t, fits, "SELECT count(*) FROM kept"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestSharedMemoryLivesAsLongAsThePool(t *testing.T) {
	dsn := "sqlite:file:kept?mode=memory&cache=shared&pool_max_conn_idle_time=20ms&pool_max_conn_lifetime=200ms"
	db := adaptertest.Open(t, "nimue", dsn)
	adaptertest.Exec(t, db, "CREATE TABLE kept (n INT)")
	adaptertest.Settled(t, db, 0)
	if n := adaptertest.Query[int](t, db, "SELECT count(*) FROM kept"); n != 0 {
		t.Errorf("%d rows", n)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := adaptertest.Open(t, "nimue", dsn)
	adaptertest.Exec(t, again, "CREATE TABLE kept (n INT)") // the first one is gone
}

func TestEarlierConstrainHasItsSay(t *testing.T) {
	refusal := errors.New("not on a Sunday")
	connector, err := nimue.OpenConnector("sqlite::memory:", func(c *pool.Config) {
		c.Constrain = func(*pool.Config) error { return refusal }
	})
	if !errors.Is(err, refusal) {
		t.Errorf("got %v, %v", connector, err)
	}
}

func TestLockIsNoConnectionError(t *testing.T) {
	dsn := "file:" + filepath.Join(t.TempDir(), "a.db")
	db := adaptertest.Open(t, "nimue", "sqlite:"+dsn+"?pool_max_conns=2&pool_health_check_period=1h")
	adaptertest.Warm(t, db, 2)
	adaptertest.Exec(t, db, "CREATE TABLE locked (n INT)")
	holder, err := adaptertest.Open(t, "sqlite", dsn).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	adaptertest.Exec(t, holder, "BEGIN EXCLUSIVE")
	for range 4 {
		_, err := db.ExecContext(t.Context(), "INSERT INTO locked VALUES (1)")
		if failed, ok := errors.AsType[*sqlite.Error](err); !ok || failed.Code() != 5 {
			t.Fatalf("got %v, want SQLITE_BUSY", err)
		}
		if classify(err) != pool.Keep {
			t.Errorf("%v: verdict %d", err, classify(err))
		}
	}
	adaptertest.Exec(t, holder, "ROLLBACK")
	adaptertest.Exec(t, db, "INSERT INTO locked VALUES (1)")
	if s := adaptertest.Stats(t, db); s.Retired.Total() != 0 || s.Verifications != 0 {
		t.Errorf("retired %v, %d verified", s.Retired, s.Verifications)
	}
}

func TestUnusableFileFailsAtOnce(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database at all. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, inner := range map[string]string{
		"no such directory": "file:" + filepath.Join(dir, "missing", "a.db"),
		"a directory":       "file:" + dir,
		"no such file":      "file:" + filepath.Join(dir, "b.db") + "?mode=ro",
		"not a database":    "file:" + text + "?_pragma=journal_mode(wal)",
	} {
		separator := "?"
		if strings.Contains(inner, "?") {
			separator = "&"
		}
		db := adaptertest.Open(t, "nimue", "sqlite:"+inner+separator+"pool_outage_grace=1m&pool_acquire_timeout=1m")
		began := time.Now()
		_, err := db.ExecContext(t.Context(), "SELECT count(*) FROM sqlite_master")
		if took := time.Since(began); !permanent(err) || took > 5*time.Second {
			t.Errorf("%s: after %v: %v", what, took, err)
		}
	}
}

func TestVerdictsOnErrors(t *testing.T) {
	for _, err := range []error{context.Canceled, errors.New("x")} {
		if classify(err) != pool.Unknown || permanent(err) {
			t.Errorf("%v: verdict %d, permanent %t", err, classify(err), permanent(err))
		}
	}
	// The file beneath an open connection becomes something else.
	path := filepath.Join(t.TempDir(), "a.db")
	db := adaptertest.Open(t, "sqlite", "file:"+path)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	adaptertest.Exec(t, conn, "CREATE TABLE a (n INT)")
	if err := os.WriteFile(path, []byte(strings.Repeat("garbage", 10000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = conn.ExecContext(t.Context(), "INSERT INTO a VALUES (1)"); classify(err) != pool.Suspect {
		t.Errorf("a broken file: %v: verdict %d", err, classify(err))
	}
	if _, err = adaptertest.Open(t, "sqlite", ":memory:").ExecContext(t.Context(), "SELEC"); classify(err) != pool.Keep {
		t.Errorf("a syntax error: %v: verdict %d", err, classify(err))
	}
}

func TestFileThatWasReplacedDiscardsItsConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	db := adaptertest.Open(t, "nimue", "sqlite:file:"+path+"?pool_max_conns=1")
	adaptertest.Exec(t, db, "CREATE TABLE a (n INT)")
	if err := os.Remove(path); err != nil {
		t.Skip(err) // Windows does not remove what is open
	}
	_, err := db.ExecContext(t.Context(), "INSERT INTO a VALUES (1)")
	if classify(err) != pool.Discard {
		t.Fatalf("got %v: verdict %d", err, classify(err))
	}
	adaptertest.Exec(t, db, "CREATE TABLE a (n INT)")
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the new connection did not make the file anew: %v", err)
	}
}
