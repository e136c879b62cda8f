package nimue_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
	"modernc.org/sqlite"
)

func Example() {
	// The inner driver's import stands beside nimue's:
	//
	//	import (
	//		_ "github.com/nimue-go/nimue"
	//		_ "modernc.org/sqlite"
	//	)
	db, err := sql.Open("nimue", "sqlite::memory:?pool_max_conns=1")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	var answer int
	if err := db.QueryRow("SELECT 6 * ?", 7).Scan(&answer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
	// Output: 42
}

func ExamplePoolOf() {
	db, err := sql.Open("nimue", "sqlite::memory:?pool_max_conns=1&pool_name=orders")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		log.Fatal(err)
	}
	s := nimue.PoolOf(db).Stats()
	fmt.Printf("%s: %d of %d connections, %d in use\n", s.Name, s.Total, s.MaxConns, s.InUse)
	// Output: orders: 1 of 1 connections, 0 in use
}

// A connector of the inner driver's, and settings in Go instead of a DSN.
func ExampleNewConnector() {
	inner, err := sqlite.NewConnector(":memory:")
	if err != nil {
		log.Fatal(err)
	}
	connector, err := nimue.NewConnector(inner, pool.Config{
		Name:            "orders",
		MaxConns:        1,
		MaxConnIdleTime: pool.None, // the database lives in that connection
		MaxConnLifetime: pool.None,
		InitSQL:         []string{"CREATE TABLE orders (id INTEGER PRIMARY KEY)"},
	})
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	if _, err := db.Exec("INSERT INTO orders DEFAULT VALUES"); err != nil {
		log.Fatal(err)
	}
	var n int
	if err := db.QueryRow("SELECT count(*) FROM orders").Scan(&n); err != nil {
		log.Fatal(err)
	}
	fmt.Println(n)
	// Output: 1
}

// Limits can be changed while the pool runs. They are validated as a whole, and
// a rejected change changes nothing.
func ExamplePoolOf_update() {
	db, err := sql.Open("nimue", "sqlite::memory:?pool_min_conns=1&pool_max_conns=4&pool_name=orders")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	p := nimue.PoolOf(db)
	fmt.Println(p.Update(func(c *pool.Config) { c.MaxConns = 8; c.AcquireTimeout = time.Second }))
	fmt.Println(p.Update(func(c *pool.Config) { c.MinConns = 9 }))
	fmt.Println(p.Config().MaxConns, p.Config().MinConns)
	// Output:
	// <nil>
	// nimue: orders: invalid configuration: MinConns is 9, want at most MaxConns, which is 8
	// 8 1
}

// Shutdown waits for what is under way, and so belongs before db.Close where a
// program ends in good order.
func ExamplePoolOf_shutdown() {
	db, err := sql.Open("nimue", "sqlite::memory:?pool_max_conns=1")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(nimue.PoolOf(db).Shutdown(ctx), db.Close())
	// Output: <nil> <nil>
}

func ExampleParseDSN() {
	dsn, err := nimue.ParseDSN("pgx:postgres://app:secret@db.internal/shop?sslmode=verify-full&pool_max_conns=20")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(dsn.Driver)
	fmt.Println(dsn) // redacted; Inner has it all

	_, err = nimue.ParseDSN("sqlite:shop.db?pool_max_con=8")
	fmt.Println(err)
	// Output:
	// pgx
	// pgx:postgres://app:xxxxx@db.internal/shop?sslmode=verify-full
	// nimue: invalid DSN: pool_max_con: unknown parameter; did you mean pool_max_conns (a whole number from 1 to 1000000)?
}
