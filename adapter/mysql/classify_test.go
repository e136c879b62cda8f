package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

func numbered(n uint16) error {
	return fmt.Errorf("wrapped: %w", &mysql.MySQLError{Number: n, Message: "m"})
}

func TestErrorsAreClassified(t *testing.T) {
	for _, test := range []struct {
		err  error
		want pool.Verdict
	}{
		{numbered(1053), pool.Discard},
		{numbered(1927), pool.Discard},
		{numbered(3169), pool.Discard},
		{numbered(4031), pool.Discard},
		{numbered(2013), pool.Discard},
		{numbered(1290), pool.Demoted},
		{numbered(1836), pool.Demoted},
		{numbered(1792), pool.Keep}, // the transaction's own
		{numbered(1062), pool.Keep},
		{numbered(1064), pool.Keep},
		{numbered(1205), pool.Keep},
		{numbered(1213), pool.Keep},
		{numbered(1317), pool.Keep},
		{mysql.ErrInvalidConn, pool.Discard},
		{driver.ErrBadConn, pool.Discard},
		{mysql.ErrMalformPkt, pool.Discard},
		{mysql.ErrPktSync, pool.Discard},
		{mysql.ErrPktTooLarge, pool.Keep},
		{context.Canceled, pool.Unknown},
		{errors.New("cannot scan"), pool.Unknown},
	} {
		if got := classify(test.err); got != test.want {
			t.Errorf("%v: verdict %d, want %d", test.err, got, test.want)
		}
	}
}

func TestPermanentConnectErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{numbered(1044), true},
		{numbered(1045), true},
		{numbered(1049), true},
		{numbered(1130), true},
		{numbered(1251), true},
		{numbered(1698), true},
		{numbered(1820), true},
		{numbered(1862), true},
		{numbered(3118), true},
		{numbered(3955), true},
		{numbered(4151), true},
		{mysql.ErrNoTLS, true},
		{mysql.ErrUnknownPlugin, true},
		{numbered(1040), false},
		{numbered(1203), false},
		{numbered(1226), false},
		{numbered(1053), false},
		{driver.ErrBadConn, false},
		{errors.New("dial tcp: connection refused"), false},
	} {
		if got := permanent(test.err); got != test.want {
			t.Errorf("%v: permanent %t, want %t", test.err, got, test.want)
		}
	}
}

func TestServersRefusalsArePermanent(t *testing.T) {
	server := servers.SharedMariaDB(t)
	watch := adaptertest.Open(t, "mysql", server.DSN(servers.MariaDBDatabase))
	locked := newUser(t, watch, "")
	adaptertest.Exec(t, watch, "ALTER USER "+locked+"@'%' ACCOUNT LOCK")
	for what, dsn := range map[string]string{
		"no such user":     "nobody:secret@tcp(" + server.Address() + ")/",
		"locked":           locked + "@tcp(" + server.Address() + ")/",
		"no such database": servers.MariaDBUser + "@tcp(" + server.Address() + ")/missing",
		"no TLS":           servers.MariaDBUser + "@tcp(" + server.Address() + ")/?tls=true",
		"no such variable": servers.MariaDBUser + "@tcp(" + server.Address() + ")/?missing=1",
	} {
		if err := adaptertest.Open(t, "mysql", dsn).PingContext(t.Context()); !permanent(err) {
			t.Errorf("%s: %v is not permanent", what, err)
		}
	}
}

// refusedWrite expects an error with that number.
func refusedWrite(t *testing.T, db adaptertest.Execer, number uint16) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), "INSERT INTO roles VALUES (1)")
	if myErr, ok := errors.AsType[*mysql.MySQLError](err); !ok || myErr.Number != number {
		t.Fatalf("got %v, want error %d", err, number)
	}
}

func TestReadOnlyTransactionCostsNothing(t *testing.T) {
	db, watch, user := onMariaDB(t, servers.SharedMariaDB(t), "pool_max_conns=2&pool_health_check_period=1h")
	adaptertest.Exec(t, watch, "CREATE TABLE IF NOT EXISTS roles (n INT)")
	adaptertest.Warm(t, db, 2)
	old := sessions(t, watch, user)
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	refusedWrite(t, tx, 1792)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	adaptertest.Settled(t, db, 2)
	if now := sessions(t, watch, user); len(now) != 2 || allNew(now, old, 2) {
		t.Errorf("sessions %v, were %v", now, old)
	}
}

func TestServerThatBecameReadOnlyRenewsThePool(t *testing.T) {
	server := servers.MariaDB(t)
	db, watch, user := onMariaDB(t, server, "pool_max_conns=4&pool_health_check_period=1h")
	adaptertest.Exec(t, watch, "CREATE TABLE roles (n INT)")
	adaptertest.Warm(t, db, 4)

	// The number stands for other options, too; those renew nothing.
	old := sessions(t, watch, user)
	adaptertest.Exec(t, watch, "GRANT FILE ON *.* TO "+user+"@'%'")
	adaptertest.Settled(t, db, 4)

	adaptertest.Exec(t, watch, "SET GLOBAL read_only = 1")
	refusedWrite(t, db, 1290)
	adaptertest.Eventually(t, "no old session is left", func() bool {
		now := sessions(t, watch, user)
		return allNew(now, old, len(now))
	})
	if s := adaptertest.Stats(t, db); s.Retired[pool.ReasonDemoted] == 0 {
		t.Errorf("retired %v", s.Retired)
	}
	adaptertest.Exec(t, watch, "SET GLOBAL read_only = 0")
	adaptertest.Exec(t, db, "INSERT INTO roles VALUES (1)")
}

func TestOtherOptionsAreNoRole(t *testing.T) {
	server, err := servers.StartMariaDB(t.Context(), servers.MariaDBOptions{
		Settings: map[string]string{"secure-file-priv": os.TempDir()},
	})
	servers.Require(t, err)
	t.Cleanup(server.Stop)
	db := adaptertest.Open(t, "nimue", "mysql:"+server.DSN(servers.MariaDBDatabase)+"?pool_max_conns=1")
	_, err = db.ExecContext(t.Context(), "SELECT 1 INTO OUTFILE '/file'")
	if classify(err) != pool.Demoted {
		t.Fatalf("got %v, want error 1290", err)
	}
	adaptertest.Settled(t, db, 1)
	if s := adaptertest.Stats(t, db); s.Retired.Total() != 0 || s.Resets == 0 {
		t.Errorf("retired %v after %d checks", s.Retired, s.Resets)
	}
}

func TestRoleValues(t *testing.T) {
	for value, off := range map[driver.Value]bool{"OFF": true, "off": true, "0": true, "ON": false, "NO_LOCK": false, "1": false, int64(0): true} {
		if isOff(value) != off {
			t.Errorf("%v: off %t", value, !off)
		}
	}
}
