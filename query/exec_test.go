package query_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/query"
)

var (
	add    = query.DeclareExec("INSERT INTO customers (id, name) VALUES ($1, $2)")
	rename = query.DeclareExec("UPDATE customers SET name = 'Z' WHERE id >= $1")
)

func TestExec(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		if n, err := rename.Exec(t.Context(), db, 2); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := rename.Exec(t.Context(), db, 9); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		n, err := add.Exec(t.Context(), db, 1, "again")
		if n != 0 || err == nil {
			t.Errorf("%d, %v", n, err)
		}
		_, err = rename.Exec(t.Context(), db, 1, 2)
		wantError(t, err, ": 2 arguments, and at most 1 placeholders in the text")
	})
}

// The sum is that of all, on one connection, with one statement.
func TestExecMany(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		// Connections are open already, so that a choice would be there.
		var conns []*sql.Conn
		for range 3 {
			conn, err := db.Conn(t.Context())
			if err == nil {
				err = conn.PingContext(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
		before := nimue.PoolOf(db).Stats()
		lists := func(yield func([]any) bool) {
			for _, id := range []int{1, 2, 3, 9} {
				if s := nimue.PoolOf(db).Stats(); s.InUse != 1 || s.Acquires-before.Acquires != 1 {
					t.Errorf("%d in use, %d acquired", s.InUse, s.Acquires-before.Acquires)
				}
				if !yield([]any{id}) {
					return
				}
			}
		}
		n, err := query.ExecMany(t.Context(), db, "UPDATE customers SET name = 'Z' WHERE id >= $1", lists)
		if n != 3+2+1+0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		after := nimue.PoolOf(db).Stats()
		if after.StmtMisses-before.StmtMisses != 1 {
			t.Errorf("prepared %d times", after.StmtMisses-before.StmtMisses)
		}
	})
}

func TestExecManyStopsAtTheFirstError(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		lists := slices.Values([][]any{{4, "Dora"}, {5, "Eve"}, {1, "again"}, {6, "Fay"}})
		n, err := add.ExecMany(t.Context(), db, lists)
		list, ok := errors.AsType[*query.ListError](err)
		if n != 2 || !ok || list.Index != 2 || list.Err == nil {
			t.Errorf("%d, %v", n, err)
		}
		if all, err := count.Value(t.Context(), db); all != 5 || err != nil {
			t.Errorf("%d rows, %v", all, err)
		}
		n, err = add.ExecMany(t.Context(), db, slices.Values([][]any{{7, "Gus"}, {8}}))
		if list, ok = errors.AsType[*query.ListError](err); n != 1 || !ok || list.Index != 1 {
			t.Errorf("too few arguments: %d, %v", n, err)
		}
		n, err = add.ExecMany(t.Context(), db, slices.Values([][]any{{8, "Hal", "Ida"}}))
		if list, ok = errors.AsType[*query.ListError](err); n != 0 || !ok || list.Index != 0 {
			t.Errorf("too many arguments: %d, %v", n, err)
		}
		if n, err := query.ExecMany(t.Context(), db, "NONSENSE $1", lists); n != 0 || err == nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func TestExecManyInATransaction(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := add.ExecMany(t.Context(), tx, slices.Values([][]any{{4, "Dora"}, {5, "Eve"}})); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if all, err := count.Value(t.Context(), db); all != 3 || err != nil {
			t.Errorf("%d rows, %v", all, err)
		}
	})
}

func TestExecManyWithAnEndedContext(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		lists := func(yield func([]any) bool) {
			if yield([]any{4, "Dora"}) {
				cancel()
				yield([]any{5, "Eve"})
			}
		}
		n, err := add.ExecMany(ctx, db, lists)
		if n != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d, %v", n, err)
		}
	})
}
