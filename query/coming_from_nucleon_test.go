package query_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"sync"

	_ "github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/query"
	"github.com/nimue-go/nimue/tx"
	_ "modernc.org/sqlite"
)

// A Fruit is a row.
type Fruit struct {
	ID   int
	Name string
}

// queries.py
var (
	getFruit   = query.Declare[Fruit]("SELECT id, name FROM fruit WHERE id = ?")
	allFruit   = query.Declare[Fruit]("SELECT id, name FROM fruit ORDER BY id")
	fruitIDs   = query.Declare[int]("SELECT id FROM fruit ORDER BY id")
	nextID     = query.Declare[int]("SELECT max(id) + 1 FROM fruit")
	addFruit   = query.DeclareExec("INSERT INTO fruit (id, name) VALUES (?, ?)")
	createThem = query.DeclareExec("CREATE TABLE fruit (id INTEGER PRIMARY KEY, name TEXT)")
)

// insertValue is
//
//	@db.transaction(retries=3)
//	def insert_value(q): ...
func insertValue(ctx context.Context, db tx.Beginner) (int, error) {
	return tx.Value(ctx, db, func(ctx context.Context, q *sql.Tx) (int, error) {
		id, err := nextID.Value(ctx, q)
		if err != nil {
			return 0, err
		}
		_, err = addFruit.Exec(ctx, q, id, fmt.Sprint("fruit ", id))
		return id, err
	}, tx.RetryIntegrity(), tx.Retries(3))
}

func Example_comingFromNucleon() {
	ctx := context.Background()

	// PostgresConnectionPool.for_url(url, initial=1, limit=4)
	db, err := sql.Open("nimue", "sqlite:file:nucleon?mode=memory&cache=shared&_txlock=immediate"+
		"&pool_init_conns=1&pool_min_conns=1&pool_max_conns=4")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := createThem.Exec(ctx, db); err != nil {
		log.Fatal(err)
	}
	n, err := addFruit.Exec(ctx, db, 1, "banana")
	fmt.Println(n, err)

	// four greenlets
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := insertValue(ctx, db); err != nil {
				log.Fatal(err)
			}
		})
	}
	group.Wait()

	one, err := getFruit.Unique(ctx, db, 1) // .unique
	fmt.Println(one, err)
	all, err := allFruit.All(ctx, db) // .rows
	fmt.Println(len(all), err)
	ids, err := fruitIDs.Flat(ctx, db) // .flat
	fmt.Println(ids, err)
	next, err := nextID.Value(ctx, db) // .value
	fmt.Println(next, err)
	for fruit, err := range allFruit.Iter(ctx, db) { // for fruit in all_fruit():
		if err != nil {
			log.Fatal(err)
		}
		if fruit.ID == 3 {
			fmt.Println(fruit.Name)
		}
	}

	_, err = getFruit.Unique(ctx, db, 9)
	fmt.Println("NoResults:", errors.Is(err, sql.ErrNoRows))
	_, err = fruitIDs.Value(ctx, db)
	fmt.Println("MultipleResults:", errors.Is(err, query.ErrTooManyRows))
	_, err = allFruit.Flat(ctx, db)
	fmt.Println("TypeError:", errors.Is(err, query.ErrMismatch))
	// Output:
	// 1 <nil>
	// {1 banana} <nil>
	// 5 <nil>
	// [1 2 3 4 5] <nil>
	// 6 <nil>
	// fruit 3
	// NoResults: true
	// MultipleResults: true
	// TypeError: true
}
