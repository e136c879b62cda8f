package pgx

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
)

const raises = "DO $$ BEGIN RAISE NOTICE 'three is a crowd'; RAISE WARNING USING MESSAGE = 'mind', ERRCODE = '01008'; END $$"

func TestNoticesReachTheLog(t *testing.T) {
	var log adaptertest.Log
	server := servers.SharedPostgres(t)
	db := adaptertest.OpenConnector(t, "pgx:"+server.URL("postgres")+"&pool_name=noticed", func(c *pool.Config) { c.Logger = log.Logger() })
	adaptertest.Exec(t, db, raises)
	for _, want := range []string{
		`level=INFO msg="server notice" pool=noticed connection=1 notice="NOTICE: three is a crowd (SQLSTATE 00000)" statement="DO '#####'"`,
		`level=INFO msg="server notice" pool=noticed connection=1 notice="WARNING: mind (SQLSTATE 01008)"`,
	} {
		adaptertest.Eventually(t, want, func() bool { return strings.Contains(log.String(), want) })
	}
	// Without a logger and a listener notices go nowhere, and nothing breaks.
	quiet := adaptertest.Open(t, "nimue", "pgx:"+server.URL("postgres"))
	adaptertest.Exec(t, quiet, raises)
}

// Each notice comes with the statement that brought it about: one of the session's
// beginning, a plain one, a prepared one and one inside a transaction.
func TestNoticesComeWithTheirStatement(t *testing.T) {
	var mu sync.Mutex
	got := map[string]string{}
	listener := pool.ListenerFunc(func(e pool.Event) {
		if e.Kind != pool.EventNotice {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if notice, ok := errors.AsType[*pgconn.PgError](e.Err); ok && e.Conn > 0 == (notice.Message != `table "t0" does not exist, skipping`) {
			got[notice.Message] = e.Statement
		}
	})
	db := adaptertest.OpenConnector(t, "pgx:"+servers.SharedPostgres(t).URL("postgres")+"&pool_max_conns=1&pool_init_sql=DROP+TABLE+IF+EXISTS+t0",
		func(c *pool.Config) { c.Listener = listener })
	adaptertest.Exec(t, db, "DROP TABLE IF EXISTS t1 /* 'a' */")
	prepared, err := db.Prepare("DROP TABLE IF EXISTS t2")
	if err != nil {
		t.Fatal(err)
	}
	defer prepared.Close()
	if _, err := prepared.Exec(); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("DROP TABLE IF EXISTS t3"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for table, statement := range map[string]string{"t0": "DROP TABLE IF EXISTS t0", "t1": "DROP TABLE IF EXISTS t1 ",
		"t2": "DROP TABLE IF EXISTS t2", "t3": "DROP TABLE IF EXISTS t3"} {
		adaptertest.Eventually(t, "the notice of "+table, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.HasPrefix(got[`table "`+table+`" does not exist, skipping`], statement)
		})
	}
}
