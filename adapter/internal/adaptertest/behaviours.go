package adaptertest

import (
	"database/sql"
	"testing"
)

// KilledInsideATransaction is behaviour 16, on a table killed with a column n: kill
// ends the sessions of db, which watch is not among.
func KilledInsideATransaction(t *testing.T, db, watch *sql.DB, kill func()) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	const insert = "INSERT INTO killed VALUES (1)"
	Exec(t, tx, insert)
	kill()
	if _, err := tx.ExecContext(t.Context(), insert); err == nil {
		t.Error("the transaction went on after its session was killed")
	}
	if n := Query[int](t, watch, "SELECT count(*) FROM killed"); n != 0 {
		t.Errorf("%d rows: something was replayed", n)
	}
	Exec(t, db, insert)
	if n := Query[int](t, watch, "SELECT count(*) FROM killed"); n != 1 {
		t.Errorf("%d rows, want the one inserted outside", n)
	}
	if s := Stats(t, db); s.Retries != 0 {
		t.Errorf("%d retries", s.Retries)
	}
}

// CommitOnADeadConnection is behaviour 17, on a table committed with a column n.
func CommitOnADeadConnection(t *testing.T, db, watch *sql.DB, kill func()) {
	t.Helper()
	for attempt := range 2 {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		Exec(t, tx, "INSERT INTO committed VALUES (1)")
		if attempt == 0 {
			kill()
		}
		if err := tx.Commit(); (err == nil) != (attempt == 1) {
			t.Errorf("commit %d: %v", attempt, err)
		}
	}
	if n := Query[int](t, watch, "SELECT count(*) FROM committed"); n != 1 {
		t.Errorf("%d rows, want that of the second transaction", n)
	}
}
