package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
	"modernc.org/sqlite"
)

func Example_comingFromDBUtils() {
	ctx := context.Background()
	creator, err := sqlite.NewConnector("file:dbutils?mode=memory&cache=shared")
	if err != nil {
		log.Fatal(err)
	}

	// PooledDB(creator, mincached=1, maxcached=2, maxshared=2, maxconnections=2,
	//     blocking=True, maxusage=1000, setsession=[...], reset=True,
	//     failures=(...), ping=1)
	connector, err := nimue.NewConnector(creator, pool.Config{
		InitConns:      1,
		MinConns:       1,
		MaxIdleConns:   2,
		MaxConns:       2,
		LeaseMode:      pool.LeaseTransaction, // connections are shared
		MaxConnUses:    1000,
		InitSQL:        []string{"PRAGMA case_sensitive_like = on"},
		CheckOnAcquire: pool.CheckAlways,
		Classify: func(err error) pool.Verdict {
			if errors.Is(err, driver.ErrBadConn) {
				return pool.Discard
			}
			return pool.Unknown // the general rules decide
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()

	// pool.connection(), three at a time over two connections
	for i := range 3 {
		conn, err := db.Conn(ctx)
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		var like bool
		if err := conn.QueryRowContext(ctx, "SELECT 'A' LIKE 'a'").Scan(&like); err != nil {
			log.Fatal(err)
		}
		fmt.Println("session", i, "prepared:", !like)
	}

	// pool.dedicated_connection()
	conn, err := db.Conn(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	own := nimue.Pin(ctx)
	if _, err := conn.ExecContext(own, "CREATE TEMPORARY TABLE fruit (name TEXT)"); err != nil {
		log.Fatal(err)
	}

	// db.begin(), cursor.execute(), db.rollback(), db.commit()
	for _, keep := range []bool{false, true} {
		t, err := conn.BeginTx(own, nil)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := t.ExecContext(own, "INSERT INTO fruit VALUES (?)", "plum"); err != nil {
			log.Fatal(err)
		}
		if !keep {
			err = t.Rollback()
		} else {
			err = t.Commit()
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	var n int
	if err := conn.QueryRowContext(own, "SELECT count(*) FROM fruit").Scan(&n); err != nil {
		log.Fatal(err)
	}
	fmt.Println("fruit:", n, "connections:", nimue.PoolOf(db).Stats().Total)

	// PersistentDB(...).connection() in a worker
	worker := nimue.Affinity(ctx, "worker 7")
	if _, err := db.ExecContext(worker, "CREATE TABLE jobs (name TEXT)"); err != nil {
		log.Fatal(err)
	}
	// Output:
	// session 0 prepared: true
	// session 1 prepared: true
	// session 2 prepared: true
	// fruit: 1 connections: 1
}
