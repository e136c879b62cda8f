//go:build unix

package nimue_test

import (
	"context"
	"database/sql"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/servers"
)

// TestPostgresBehaviour6HaltedBackend halts the process of one session, so that its
// health check hangs, while three workers at a time go on with the other three.
func TestPostgresBehaviour6HaltedBackend(t *testing.T) {
	const pingTimeout = 20 * time.Second
	db, watch, app := onPostgres(t, "pool_max_conns=4&pool_health_check_period=0&pool_ping_timeout="+pingTimeout.String())
	p := nimue.PoolOf(db)
	var conns []*sql.Conn
	for range 4 {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, c, "SELECT 1")
		conns = append(conns, c)
	}
	for _, c := range conns {
		c.Close()
	}
	server := servers.SharedPostgres(t)
	pid := queryInt(t, watch, "SELECT min(pid) FROM pg_stat_activity WHERE application_name = $1", app)
	if err := server.SignalBackend(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	wake := sync.OnceFunc(func() {
		if err := server.SignalBackend(pid, syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	})
	defer wake()
	var verified, failed int
	var check sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), pingTimeout)
	defer cancel()
	check.Go(func() { verified, failed, _ = p.Verify(ctx) })
	defer check.Wait()
	eventually(t, "one check hangs, the others have ended", func() bool {
		s := p.Stats()
		return s.Verifying == 1 && s.Idle == 3
	})

	began := time.Now()
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for range 100 {
				if _, err := db.ExecContext(t.Context(), "SELECT 1"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	if took := time.Since(began); took > pingTimeout/4 {
		t.Errorf("300 statements took %v beside a hung check", took)
	}
	if s := p.Stats(); s.Verifying == 0 || s.Total != 4 {
		t.Errorf("the check does not hang any more: %+v", s)
	}
	wake()
	check.Wait()
	if verified != 4 || failed != 0 {
		t.Errorf("%d verified and %d failed in the end, want 4 and 0", verified, failed)
	}
}
