package mysql

import (
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/conformance/servers"
)

func TestMain(m *testing.M) { adaptertest.Main(m) }

var users atomic.Int64

// onMariaDB opens nimue over a server as a user of its own without privileges
// beyond the database, by whom its sessions are known, and a plain database to
// watch from.
func onMariaDB(t *testing.T, server *servers.MariaDBServer, settings string) (db, watch *sql.DB, user string) {
	t.Helper()
	watch = adaptertest.Open(t, "mysql", server.DSN(servers.MariaDBDatabase))
	user = newUser(t, watch, "")
	dsn := strings.Replace(server.DSN(servers.MariaDBDatabase), servers.MariaDBUser, user, 1)
	return adaptertest.Open(t, "nimue", "mysql:"+dsn+"?"+settings), watch, user
}

func newUser(t *testing.T, watch *sql.DB, password string) string {
	t.Helper()
	user := fmt.Sprintf("user%d", users.Add(1))
	adaptertest.Exec(t, watch,
		"CREATE OR REPLACE USER "+user+"@'%' IDENTIFIED BY '"+password+"'",
		"GRANT ALL ON "+servers.MariaDBDatabase+".* TO "+user+"@'%'")
	return user
}

// sessions returns the ids of the user's sessions.
func sessions(t *testing.T, watch *sql.DB, user string) map[int]bool {
	t.Helper()
	rows, err := watch.QueryContext(t.Context(), "SELECT id FROM information_schema.processlist WHERE user = ?", user)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	ids := map[int]bool{}
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids[id] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// terminate ends sessions and waits until they have ended.
func terminate(t *testing.T, watch *sql.DB, user string) {
	t.Helper()
	old := sessions(t, watch, user)
	for id := range old {
		adaptertest.Exec(t, watch, fmt.Sprintf("KILL %d", id))
	}
	adaptertest.Eventually(t, "the sessions have ended", func() bool {
		now := sessions(t, watch, user)
		return allNew(now, old, len(now))
	})
}

// allNew tells whether there are n sessions and none of them is an old one.
func allNew(now, old map[int]bool, n int) bool {
	for id := range now {
		if old[id] {
			return false
		}
	}
	return len(now) == n
}
