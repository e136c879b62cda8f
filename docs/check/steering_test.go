package check

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/nimueprom"
	"github.com/nimue-go/nimue/pool"
	"github.com/nimue-go/nimue/status"
)

// What stands here is in operations.md word for word, so that it compiles.

func withoutCallers(ctx context.Context, p *pool.Pool, restart func() error) error {
	p.Suspend(false)
	defer p.Resume()
	for p.Stats().InUse > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return restart()
}

func raiseLimits(db *sql.DB) error {
	p := nimue.PoolOf(db)
	err := p.Update(func(c *pool.Config) {
		c.MaxConns = 20
		c.LeakThreshold = 5 * time.Second
	})
	return err
}

func withFreshPasswords(dsn string, fetch func(context.Context) (string, error)) (*nimue.Connector, error) {
	connector, err := nimue.OpenConnector(dsn, func(c *pool.Config) {
		c.BeforeConnect = func(ctx context.Context, _ driver.Connector) (driver.Connector, error) {
			password, err := fetch(ctx)
			if err != nil {
				return nil, err
			}
			return nimue.InnerConnector("pgx", "postgres://app:"+url.QueryEscape(password)+"@db.internal/shop")
		}
	})
	return connector, err
}

var _ = func(mux *http.ServeMux) {
	prometheus.MustRegister(nimueprom.NewCollector())
	mux.Handle("/debug/nimue/", status.Handler())
}

// TestSteeringOfTheRunbook changes limits, and fetches a password anew for every connect.
func TestSteeringOfTheRunbook(t *testing.T) {
	fetched := errors.New("fetched")
	connector, err := withFreshPasswords("pgx:postgres://app@db.internal/shop?pool_outage_grace=0", func(context.Context) (string, error) { return "", fetched })
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	if err := raiseLimits(db); err != nil {
		t.Error(err)
	}
	if cfg := connector.Pool().Config(); cfg.MaxConns != 20 || cfg.LeakThreshold != 5*time.Second {
		t.Errorf("%d connections, leaks after %v", cfg.MaxConns, cfg.LeakThreshold)
	}
	if err := db.PingContext(t.Context()); !errors.Is(err, fetched) {
		t.Errorf("error %v", err)
	}
}

// TestPlannedRestartCostsNobodyAnError restarts the server in the runbook's way, under
// a load of which nothing may fail.
func TestPlannedRestartCostsNobodyAnError(t *testing.T) {
	server := servers.Postgres(t)
	db, err := sql.Open(nimue.DriverName, "pgx:"+server.URL("postgres")+"&pool_name=planned&pool_max_conns=4")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var done atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for ctx.Err() == nil {
				if _, err := db.ExecContext(context.Background(), "SELECT pg_sleep(0.002)"); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	defer workers.Wait()
	defer cancel()
	served := func(n int64) {
		t.Helper()
		for from, deadline := done.Load(), time.Now().Add(20*time.Second); done.Load() < from+n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d served in 20 s, want %d", done.Load()-from, n)
			}
		}
	}
	served(50)
	limit, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	err = withoutCallers(limit, nimue.PoolOf(db), func() error { return server.Restart(limit, servers.Fast) })
	if err != nil {
		t.Fatal(err)
	}
	served(50)
}
