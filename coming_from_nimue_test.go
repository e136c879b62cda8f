package nimue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
	"github.com/nimue-go/nimue/tx"
	_ "modernc.org/sqlite"
)

func Example_comingFromNimue() {
	ctx := context.Background()

	// NimueConnectionPool(connect, poolinit=1, poolmin=1, poolmax=2,
	//     cleanup_interval=60, idle_timeout=300)
	db, err := sql.Open("nimue", "sqlite:file:nimue?mode=memory&cache=shared"+
		"&pool_init_conns=1&pool_min_conns=1&pool_max_conns=2"+
		"&pool_health_check_period=1m&pool_max_conn_idle_time=5m")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close() // pool.close()

	// with pool.getconnection() as conn: a transaction
	err = tx.Run(ctx, db, func(ctx context.Context, t *sql.Tx) error {
		if _, err := t.ExecContext(ctx, "CREATE TABLE fruit (name TEXT)"); err != nil {
			return err
		}
		_, err := t.ExecContext(ctx, "INSERT INTO fruit VALUES (?)", "banana")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	// conn = pool.getconnection(), twice
	var held []*sql.Conn
	for range 2 {
		conn, err := db.Conn(ctx)
		if err != nil {
			log.Fatal(err)
		}
		if err := conn.PingContext(ctx); err != nil { // the first operation takes the connection
			log.Fatal(err)
		}
		held = append(held, conn)
	}

	// pool.getconnection(timeout=0.02) is None
	patience, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = db.ExecContext(patience, "DELETE FROM fruit")
	fmt.Println("none left:", errors.Is(err, pool.ErrAcquireTimeout))

	// conn.close(), and once more
	for _, conn := range held {
		fmt.Println(conn.Close(), conn.Close())
	}

	// pool.poolmax = 3, pool.poolmin = 9
	p := nimue.PoolOf(db)
	fmt.Println(p.Update(func(c *pool.Config) { c.MaxConns = 3 }))
	fmt.Println(p.Update(func(c *pool.Config) { c.MinConns = 9 }) != nil)

	// pool.poolstats()
	s := p.Stats()
	fmt.Println("size", s.Total, "used", s.InUse, "free", s.Idle, "of", s.MaxConns)
	// Output:
	// none left: true
	// <nil> sql: connection is already closed
	// <nil> sql: connection is already closed
	// <nil>
	// true
	// size 2 used 0 free 2 of 3
}
