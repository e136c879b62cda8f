package browsertest

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/nimue-go/nimue"
	_ "github.com/nimue-go/nimue/adapter/pgx"
	_ "github.com/nimue-go/nimue/adapter/sqlite"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
	"github.com/nimue-go/nimue/status"
)

// scene is a database behind a pool with its page on a web server.
type scene struct {
	t        *testing.T
	db       *sql.DB
	pool     *pool.Pool
	page     string // its address
	requests atomic.Int64
	server   *httptest.Server
}

// onSQLite sets up a scene on a file of its own; settings are pool parameters.
func onSQLite(t *testing.T, settings string) *scene {
	t.Helper()
	return setUp(t, "sqlite:file:"+filepath.Join(t.TempDir(), "shop.db")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&pool_name=shop&"+settings)
}

func onPostgres(t *testing.T, settings string) *scene {
	t.Helper()
	return setUp(t, "pgx:"+servers.SharedPostgres(t).URL("postgres")+"&pool_name=orders&"+settings)
}

func setUp(t *testing.T, dsn string) *scene {
	t.Helper()
	_, err := findChromium()
	servers.Require(t, err)
	db, err := sql.Open(nimue.DriverName, dsn)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, db: db, pool: nimue.PoolOf(db)}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.pool.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	shown := status.Handler(status.AllowControl(), status.Pools(func() []*pool.Pool { return []*pool.Pool{s.pool} }))
	mux := http.NewServeMux()
	mux.Handle("/debug/nimue/", http.StripPrefix("/debug/nimue", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		shown.ServeHTTP(w, r)
	})))
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	s.page = s.server.URL + "/debug/nimue/"
	s.exec(`CREATE TABLE IF NOT EXISTS items (item_no INTEGER PRIMARY KEY, name TEXT, stock INTEGER)`)
	return s
}

func (s *scene) exec(query string, args ...any) {
	s.t.Helper()
	if _, err := s.db.ExecContext(context.Background(), query, args...); err != nil {
		s.t.Fatal(err)
	}
}

// load has workers use the database until the test is over, or stop is called, each
// holding its connection for a while.
func (s *scene) load(workers int, hold time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for ctx.Err() == nil {
				browseItems(ctx, s.db, hold)
			}
		})
	}
	stop = func() {
		cancel()
		working.Wait()
	}
	s.t.Cleanup(stop)
	return stop
}

// browseItems is a holder with a name. Its errors are the load's own affair: it
// goes on.
func browseItems(ctx context.Context, db *sql.DB, hold time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // the caller's patience
	defer cancel()
	conn, err := db.Conn(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	var n int
	_ = conn.QueryRowContext(ctx, `SELECT count(*) FROM items WHERE stock > 17 AND name <> 'hush hush'`).Scan(&n)
	select {
	case <-time.After(hold):
	case <-ctx.Done():
	}
}

// forgetfulHolder takes a connection and keeps it until the test is over, or the
// function that it returns is called.
func (s *scene) forgetfulHolder() (remember func()) {
	s.t.Helper()
	conn, err := s.db.Conn(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	remember = func() { _ = conn.Close() } // sql.ErrConnDone the second time
	s.t.Cleanup(remember)
	var n int
	if err := conn.QueryRowContext(context.Background(), `SELECT count(*) FROM items WHERE name = 'top secret' AND stock > 4711`).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return remember
}

// waitUntil waits for the pool, not for the page.
func (s *scene) waitUntil(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain for %s; health: %+v", what, s.pool.Health())
		}
	}
}

// hasNone fails the test if a text has any of the secrets.
func hasNone(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
}
