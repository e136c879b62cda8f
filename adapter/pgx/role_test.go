//go:build unix

package pgx

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

// refusedWrite expects the error of a server or transaction that is read-only.
func refusedWrite(t *testing.T, db adaptertest.Execer) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), "INSERT INTO roles VALUES (1)")
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != readOnly {
		t.Fatalf("got %v, want read-only", err)
	}
}

func TestReadOnlyOfTheSessionsOwnCostsNothing(t *testing.T) {
	server := servers.SharedPostgres(t)
	own := map[string]func(*testing.T, *sql.DB){
		"transaction": func(t *testing.T, db *sql.DB) {
			tx, err := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			refusedWrite(t, tx)
		},
		"setting": func(t *testing.T, db *sql.DB) {
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			adaptertest.Exec(t, conn, "SET default_transaction_read_only = on")
			refusedWrite(t, conn)
		},
		"DSN": func(t *testing.T, db *sql.DB) { refusedWrite(t, db) },
	}
	for name, write := range own {
		t.Run(name, func(t *testing.T) {
			settings := "pool_max_conns=4&pool_health_check_period=1h"
			if name == "DSN" {
				settings += "&default_transaction_read_only=on"
			}
			db, watch, app := onPostgres(t, server, settings)
			adaptertest.Exec(t, watch, "CREATE TABLE IF NOT EXISTS roles (n int)")
			adaptertest.Warm(t, db, 4)
			old := sessions(t, watch, app)
			write(t, db)
			adaptertest.Settled(t, db, 4)
			for pid := range sessions(t, watch, app) {
				if !old[pid] {
					t.Errorf("session %d is new", pid)
				}
			}
			if s := adaptertest.Stats(t, db); s.Retired.Total() != 0 {
				t.Errorf("retired %v", s.Retired)
			}
		})
	}
}

func TestServerThatBecameReadOnlyRenewsThePool(t *testing.T) {
	server := servers.Postgres(t)
	db, watch, app := onPostgres(t, server, "pool_max_conns=4&pool_health_check_period=1h")
	adaptertest.Exec(t, watch, "CREATE TABLE roles (n int)")
	adaptertest.Warm(t, db, 4)
	old := sessions(t, watch, app)
	adaptertest.Exec(t, watch, "ALTER SYSTEM SET default_transaction_read_only = on")
	if err := server.Reload(); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, "the setting has reached the sessions", func() bool {
		return adaptertest.Query[string](t, db, "SHOW default_transaction_read_only") == "on"
	})
	refusedWrite(t, db)
	adaptertest.Eventually(t, "no old session is left", func() bool {
		now := sessions(t, watch, app)
		return allNew(now, old, len(now))
	})
	if s := adaptertest.Stats(t, db); s.Retired[pool.ReasonDemoted] == 0 {
		t.Errorf("retired %v", s.Retired)
	}

	adaptertest.Exec(t, watch, "BEGIN READ WRITE; ALTER TABLE roles ADD m int; COMMIT")
	adaptertest.Exec(t, watch, "ALTER SYSTEM RESET default_transaction_read_only")
	if err := server.Reload(); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, "writes go through", func() bool {
		_, err := db.ExecContext(t.Context(), "INSERT INTO roles VALUES (1)")
		return err == nil
	})
}

func TestWritesMoveToThePromotedStandby(t *testing.T) {
	first := servers.Postgres(t)
	second := servers.PostgresStandby(t, first)
	watch := adaptertest.Open(t, "pgx", first.URL("postgres"))
	adaptertest.Exec(t, watch, "CREATE TABLE roles (n int)")
	replica := adaptertest.Open(t, "pgx", second.URL("postgres"))
	adaptertest.Eventually(t, "the table is on the standby", func() bool {
		return adaptertest.Query[bool](t, replica, "SELECT to_regclass('roles') IS NOT NULL")
	})
	db := adaptertest.Open(t, "nimue", "pgx:postgres://"+servers.PostgresUser+"@"+first.Address()+","+second.Address()+
		"/postgres?sslmode=disable&target_session_attrs=read-write&pool_max_conns=4&pool_health_check_period=1h")
	adaptertest.Warm(t, db, 4)

	// The roles switch while the old primary lives on, read-only.
	adaptertest.Exec(t, watch, "ALTER SYSTEM SET default_transaction_read_only = on")
	if err := first.Reload(); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, "the old primary is read-only", func() bool {
		return adaptertest.Query[string](t, watch, "SHOW default_transaction_read_only") == "on"
	})
	if err := second.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	failures := 0
	adaptertest.Eventually(t, "writes go to the new primary", func() bool {
		_, err := db.ExecContext(within(t, adaptertest.Patience), "INSERT INTO roles VALUES (1)")
		if err != nil {
			failures++
		}
		return err == nil
	})
	if n := adaptertest.Query[int](t, replica, "SELECT count(*) FROM roles"); n != 1 {
		t.Errorf("%d rows at the new primary", n)
	}
	t.Logf("%d writes failed", failures)
}
