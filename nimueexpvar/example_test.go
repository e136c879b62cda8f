package nimueexpvar_test

import (
	"database/sql"
	"encoding/json"
	"expvar"
	"fmt"
	"log"

	"github.com/nimue-go/nimue/nimueexpvar" // import _ where nothing of it is called
	_ "modernc.org/sqlite"
)

// What GET /debug/vars shows as "nimue".
func Example() {
	db, err := sql.Open("nimue", "sqlite::memory:?pool_max_conns=1&pool_name=orders")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		log.Fatal(err)
	}
	var pools map[string]nimueexpvar.Pool
	if err := json.Unmarshal([]byte(expvar.Get(nimueexpvar.Name).String()), &pools); err != nil {
		log.Fatal(err)
	}
	fmt.Println(pools["orders"].Health.State, pools["orders"].Connections.Total)
	// Output: ready 1
}
