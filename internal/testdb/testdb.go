// Package testdb opens databases for the tests of those who show pools.
package testdb

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// Open opens a database over a scripted driver, whose pool ends with the test.
func Open(t *testing.T, hooks scripted.Hooks, cfg pool.Config) *sql.DB {
	t.Helper()
	connector, err := nimue.NewConnector(scripted.New(hooks), cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = connector.Pool().Shutdown(ctx)
		_ = db.Close()
	})
	return db
}
