package pgx

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/conformance/servers"
)

func TestMain(m *testing.M) { adaptertest.Main(m) }

var names atomic.Int64

// onPostgres opens nimue over a server, and a plain database to watch from. The
// application name tells the pool's sessions from others.
func onPostgres(t *testing.T, server *servers.PostgresServer, settings string) (db, watch *sql.DB, app string) {
	t.Helper()
	app = fmt.Sprintf("adapter%d", names.Add(1))
	watch = adaptertest.Open(t, "pgx", server.URL("postgres"))
	db = adaptertest.Open(t, "nimue", "pgx:"+server.URL("postgres")+"&application_name="+app+"&"+settings)
	return db, watch, app
}

// sessions returns the process ids of the pool's sessions.
func sessions(t *testing.T, watch *sql.DB, app string) map[int]bool {
	t.Helper()
	rows, err := watch.QueryContext(t.Context(), "SELECT pid FROM pg_stat_activity WHERE application_name = $1", app)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	pids := map[int]bool{}
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			t.Fatal(err)
		}
		pids[pid] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return pids
}

// terminate ends sessions and waits until they have ended.
func terminate(t *testing.T, watch *sql.DB, app string) {
	t.Helper()
	adaptertest.Query[int](t, watch,
		"SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = $1", app)
}

// allNew tells whether there are n sessions and none of them is an old one.
func allNew(now, old map[int]bool, n int) bool {
	for pid := range now {
		if old[pid] {
			return false
		}
	}
	return len(now) == n
}

// within bounds one operation.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
