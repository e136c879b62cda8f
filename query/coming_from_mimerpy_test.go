package query_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
	"github.com/nimue-go/nimue/query"
	_ "modernc.org/sqlite"
)

// A Berry is a row.
type Berry struct {
	Name  string
	Grams int
}

var (
	addBerry = query.DeclareExec("INSERT INTO berries VALUES (?, ?)")
	berries  = query.Declare[Berry]("SELECT name, grams FROM berries ORDER BY name")
)

func Example_comingFromMimerPy() {
	ctx := context.Background()

	// MimerPool(dsn=..., user=..., password=..., initialconnections=1, maxunused=1,
	//     maxconnections=1, block=False, deep_health_check=True, errorhandler=handler)
	connector, err := nimue.OpenConnector("sqlite:file:mimer?mode=memory&cache=shared"+
		"&pool_init_conns=1&pool_min_conns=1&pool_max_idle_conns=1&pool_max_conns=1"+
		"&pool_max_waiters=0&pool_check_on_acquire=always",
		func(c *pool.Config) {
			c.Listener = pool.ListenerFunc(func(e pool.Event) {
				if e.Kind == pool.EventOperationFailed {
					log.Println(e.Err, e.Statement)
				}
			})
		})
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close() // pool.close()

	// con = pool.get_connection()
	con, err := db.Conn(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := con.ExecContext(ctx, "CREATE TABLE berries (name TEXT, grams INTEGER)"); err != nil {
		log.Fatal(err)
	}

	// except MimerPoolExhausted
	_, err = db.ExecContext(ctx, "DELETE FROM berries")
	fmt.Println("exhausted:", errors.Is(err, pool.ErrExhausted))

	// cursor.executemany(sql, rows), con.commit()
	t, err := con.BeginTx(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	rows := [][]any{{"currant", 1}, {"gooseberry", 6}, {"raspberry", 4}}
	n, err := addBerry.ExecMany(ctx, t, slices.Values(rows))
	fmt.Println("rowcount:", n, err)
	if err := t.Commit(); err != nil {
		log.Fatal(err)
	}

	// cursor = con.cursor(scrollable=True)
	cursor, err := berries.Collect(ctx, con)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cursor.Take(2))                                // fetchmany(2)
	if _, err := cursor.Seek(-1, io.SeekCurrent); err != nil { // scroll(-1)
		log.Fatal(err)
	}
	for cursor.Next() { // fetchone()
		fmt.Println(cursor.Row().Name)
	}
	_, err = cursor.Seek(9, io.SeekStart) // scroll(9, mode='absolute')
	fmt.Println("out of range:", err != nil)

	// con.close(), and once more
	fmt.Println(con.Close(), con.Close())
	// Output:
	// exhausted: true
	// rowcount: 3 <nil>
	// [{currant 1} {gooseberry 6}]
	// gooseberry
	// raspberry
	// out of range: true
	// <nil> sql: connection is already closed
}
