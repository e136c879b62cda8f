package pgx

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/conformance/servers"
)

// TestNothingIsSentTwice cuts connections between a statement and its answer. pgx
// alone says driver.ErrBadConn then, and database/sql executes it a second time.
func TestNothingIsSentTwice(t *testing.T) {
	server := servers.SharedPostgres(t)
	watch := adaptertest.Open(t, "pgx", server.URL("postgres"))
	for name, insert := range map[string]func(*sql.DB, string) error{
		"exec": func(db *sql.DB, table string) error {
			_, err := db.Exec("INSERT INTO " + table + " VALUES (1)")
			return err
		},
		"exec with an argument": func(db *sql.DB, table string) error {
			_, err := db.Exec("INSERT INTO "+table+" VALUES ($1)", 1)
			return err
		},
		"query": func(db *sql.DB, table string) error {
			var n int
			return db.QueryRow("INSERT INTO " + table + " VALUES (1) RETURNING n").Scan(&n)
		},
		"prepared": func(db *sql.DB, table string) error {
			stmt, err := db.Prepare("INSERT INTO " + table + " VALUES ($1)")
			if err != nil {
				return err
			}
			defer stmt.Close()
			_, err = stmt.Exec(1)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := adaptertest.NewProxy(t, server.Address())
			db := adaptertest.Open(t, "nimue", fmt.Sprintf("pgx:host=127.0.0.1 port=%d user=%s dbname=postgres sslmode=disable?pool_max_conns=3&pool_auto_prepare=on",
				proxy.Port(), servers.PostgresUser))
			table := "twice" + fmt.Sprint(len(name))
			adaptertest.Exec(t, watch, "DROP TABLE IF EXISTS "+table, "CREATE TABLE "+table+" (n int)")
			if err := insert(db, table); err != nil {
				t.Fatal(err)
			}
			proxy.CutAtAnswer()
			err := insert(db, table)
			if err == nil || errors.Is(err, driver.ErrBadConn) {
				t.Errorf("error %v", err)
			}
			if name == "exec" && !errors.Is(err, nimue.ErrUnanswered) {
				t.Errorf("error %v", err)
			}
			if err := insert(db, table); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if n := adaptertest.Query[int](t, watch, "SELECT count(*) FROM "+table); n > 3 || n < 2 {
				t.Errorf("%d rows of three statements", n)
			}
		})
	}
}
