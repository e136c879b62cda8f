// Command hello is the smallest real program on nimue: open, query, done.
package main

import (
	"database/sql"
	"fmt"
	"log"

	_ "github.com/nimue-go/nimue"
	_ "modernc.org/sqlite"
)

func main() {
	// "sqlite" is the inner driver, "file:hello?mode=memory&cache=shared" its own
	// DSN; what begins with pool_ is nimue's.
	db, err := sql.Open("nimue", "sqlite:file:hello?mode=memory&cache=shared&pool_max_conns=8")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	var greeting string
	if err := db.QueryRow("SELECT 'hello, ' || $1", "world").Scan(&greeting); err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeting)
}
