package query_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"

	_ "github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/query"
	_ "modernc.org/sqlite"
)

// A Planet is a row.
type Planet struct {
	Name     string
	Moons    int
	RingedAt *int `db:"rings_seen"` // NULL without rings
}

// Queries are declared where a package's variables are.
var (
	planet      = query.Declare[Planet]("SELECT name, moons, rings_seen FROM planets WHERE name = ?")
	planets     = query.Declare[Planet]("SELECT name, moons, rings_seen FROM planets ORDER BY moons, name")
	planetNames = query.Declare[string]("SELECT name FROM planets WHERE moons > ? ORDER BY name")
	allMoons    = query.Declare[int]("SELECT sum(moons) FROM planets")
	discover    = query.DeclareExec("UPDATE planets SET moons = moons + ? WHERE name = ?")
)

func openPlanets() *sql.DB {
	db, err := sql.Open("nimue", "sqlite::memory:?pool_max_conns=1")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := db.Exec(`
		CREATE TABLE planets (name TEXT, moons INTEGER, rings_seen INTEGER);
		INSERT INTO planets VALUES ('Mercury', 0, NULL), ('Earth', 1, NULL), ('Mars', 2, NULL), ('Saturn', 274, 1610)`); err != nil {
		log.Fatal(err)
	}
	return db
}

func ExampleDeclare() {
	ctx := context.Background()
	db := openPlanets()
	defer db.Close()

	saturn, err := planet.Unique(ctx, db, "Saturn")
	fmt.Println(saturn.Moons, *saturn.RingedAt, err)

	names, err := planetNames.Flat(ctx, db, 0)
	fmt.Println(names, err)

	n, err := allMoons.Value(ctx, db)
	fmt.Println(n, err)
	// Output:
	// 274 1610 <nil>
	// [Earth Mars Saturn] <nil>
	// 277 <nil>
}

// What Unique and Value say if there is not exactly one row, or not one column.
func ExampleQuery_Unique() {
	ctx := context.Background()
	db := openPlanets()
	defer db.Close()

	conn, err := db.Conn(ctx) // a *sql.DB or a *sql.Tx does as well
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	mars, err := planet.Unique(ctx, conn, "Mars")
	fmt.Println(mars.Moons, err)

	_, err = planet.Unique(ctx, conn, "Vulcan")
	fmt.Println("no row:", errors.Is(err, sql.ErrNoRows))
	_, err = planets.Unique(ctx, conn)
	fmt.Println("more than one row:", errors.Is(err, query.ErrTooManyRows))
	_, err = planets.Flat(ctx, conn)
	fmt.Println("more than one column:", errors.Is(err, query.ErrMismatch))
	// Output:
	// 2 <nil>
	// no row: true
	// more than one row: true
	// more than one column: true
}

func ExampleStatement_Exec() {
	ctx := context.Background()
	db := openPlanets()
	defer db.Close()

	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer t.Rollback()
	affected, err := discover.Exec(ctx, t, 1, "Saturn")
	fmt.Println(affected, err)
	affected, err = discover.Exec(ctx, t, 1, "Vulcan")
	fmt.Println(affected, err)
	// Output:
	// 1 <nil>
	// 0 <nil>
}

func ExampleQuery_Iter() {
	db := openPlanets()
	defer db.Close()

	for p, err := range planets.Iter(context.Background(), db) {
		if err != nil {
			log.Fatal(err)
		}
		if p.Moons > 2 {
			break // the connection is free from here on
		}
		fmt.Println(p.Name, p.Moons)
	}
	// Output:
	// Mercury 0
	// Earth 1
	// Mars 2
}

func ExampleStatement_ExecMany() {
	db := openPlanets()
	defer db.Close()

	found := [][]any{{1, "Saturn"}, {1, "Vulcan"}, {2, "Mars"}}
	n, err := discover.ExecMany(context.Background(), db, slices.Values(found))
	fmt.Println(n, err)
	// Output: 2 <nil>
}

func ExampleQuery_Collect() {
	db := openPlanets()
	defer db.Close()

	c, err := planets.Collect(context.Background(), db)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Seek(-2, io.SeekEnd); err != nil {
		log.Fatal(err)
	}
	for c.Next() {
		fmt.Println(c.Row().Name)
	}
	_, err = c.Seek(1, io.SeekCurrent)
	fmt.Println(err)
	// Output:
	// Mars
	// Saturn
	// query: Cursor.Seek: offset 1 from row 4: want -4 to 0, as there are 4 rows
}
