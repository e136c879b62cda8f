package query_test

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/query"
)

type customer struct {
	ID    int
	Name  string
	Email *string
}

var (
	byID      = query.Declare[customer]("SELECT id, name, email FROM customers WHERE id = $1")
	customers = query.Declare[customer]("SELECT id, name, email FROM customers ORDER BY id")
	names     = query.Declare[string]("SELECT name FROM customers WHERE id > $1 ORDER BY id")
	count     = query.Declare[int]("SELECT count(*) FROM customers")
)

// queryers calls f with all kinds of things that can be asked.
func queryers(t *testing.T, db *sql.DB, f func(query.Queryer)) {
	t.Helper()
	f(db)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f(conn)
	tx, err := conn.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	f(tx)
}

func TestUnique(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		queryers(t, db, func(on query.Queryer) {
			if c, err := byID.Unique(t.Context(), on, 1); err != nil || !reflect.DeepEqual(c, customer{1, "Ada", p("ada@example.com")}) {
				t.Errorf("%+v, %v", c, err)
			}
			if c, err := byID.Unique(t.Context(), on, 2); err != nil || c.Email != nil {
				t.Errorf("%+v, %v", c, err)
			}
			c, err := byID.Unique(t.Context(), on, 4)
			if !errors.Is(err, sql.ErrNoRows) || c != (customer{}) {
				t.Errorf("%+v, %v", c, err)
			}
			wantError(t, err, "sql: no rows in result set")
			c, err = customers.Unique(t.Context(), on)
			if !errors.Is(err, query.ErrTooManyRows) || c != (customer{}) {
				t.Errorf("%+v, %v", c, err)
			}
			wantError(t, err, "more than one row")
		})
	})
}

func TestAll(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		queryers(t, db, func(on query.Queryer) {
			all, err := customers.All(t.Context(), on)
			if err != nil || len(all) != 3 || all[0].Name != "Ada" || all[2].Name != "Cleo" || all[0].Email == nil || all[1].Email != nil {
				t.Errorf("%+v, %v", all, err)
			}
			if none, err := byID.All(t.Context(), on, 4); err != nil || none == nil || len(none) != 0 {
				t.Errorf("%#v, %v; want an empty slice", none, err)
			}
		})
	})
}

func TestSingleValues(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		queryers(t, db, func(on query.Queryer) {
			if n, err := count.Value(t.Context(), on); n != 3 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if got, err := names.Flat(t.Context(), on, 1); err != nil || !slices.Equal(got, []string{"Bob", "Cleo"}) {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := names.Value(t.Context(), on, 9); !errors.Is(err, sql.ErrNoRows) {
				t.Error(err)
			}
			if _, err := names.Value(t.Context(), on, 1); !errors.Is(err, query.ErrTooManyRows) {
				t.Error(err)
			}
			email := query.Declare[sql.Null[string]]("SELECT email FROM customers WHERE id = $1")
			if v, err := email.Value(t.Context(), on, 2); err != nil || v.Valid {
				t.Errorf("%+v, %v", v, err)
			}
			pointers := query.Declare[*string]("SELECT email FROM customers ORDER BY id")
			if v, err := pointers.Flat(t.Context(), on); err != nil || len(v) != 3 || *v[0] != "ada@example.com" || v[1] != nil {
				t.Errorf("%v, %v", v, err)
			}
		})
	})
}

func TestTimesAreValues(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		if _, err := db.ExecContext(t.Context(), "DROP TABLE IF EXISTS moments"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), "CREATE TABLE moments (at TIMESTAMP)"); err != nil {
			t.Fatal(err)
		}
		want := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
		if _, err := db.ExecContext(t.Context(), "INSERT INTO moments VALUES ($1)", want); err != nil {
			t.Fatal(err)
		}
		if at, err := query.Declare[time.Time]("SELECT at FROM moments").Value(t.Context(), db); err != nil || !at.Equal(want) {
			t.Errorf("%v, %v", at, err)
		}
		row, err := query.Declare[struct{ At *time.Time }]("SELECT at FROM moments").Unique(t.Context(), db)
		if err != nil || row.At == nil || !row.At.Equal(want) {
			t.Errorf("%v, %v", row.At, err)
		}
	})
}

func TestStructsInStructsAndMaps(t *testing.T) {
	type person struct {
		Name string `db:"full_name"`
	}
	type order struct {
		person
		OrderID int
		Buyer   *person
		Note    string `db:"-"`
	}
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		q := query.Declare[order](`SELECT 1 AS order_id, 'Ada' AS full_name, 'Bob' AS "buyer.full_name"`)
		o, err := q.Unique(t.Context(), db)
		if err != nil || o.OrderID != 1 || o.Name != "Ada" || o.Buyer == nil || o.Buyer.Name != "Bob" {
			t.Errorf("%+v, %v", o, err)
		}
		m, err := query.Declare[map[string]any]("SELECT id, email FROM customers WHERE id = 2").Unique(t.Context(), db)
		if err != nil || len(m) != 2 || m["email"] != nil || m["id"] == nil {
			t.Errorf("%v, %v", m, err)
		}
	})
}

func TestIter(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		queryers(t, db, func(on query.Queryer) {
			var got []string
			for c, err := range customers.Iter(t.Context(), on) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, c.Name)
			}
			if !slices.Equal(got, []string{"Ada", "Bob", "Cleo"}) {
				t.Errorf("%q", got)
			}
		})
	})
}

// However a loop is left, the connection is free afterwards; and only a loop asks.
func TestIterClosesItsRows(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		on := &counting{DB: db}
		rows := customers.Iter(t.Context(), on)
		if on.asked != 0 {
			t.Error("asked before the loop")
		}
		for range 20 { // far more than there are connections
			for c, err := range rows {
				if err != nil || c.Name != "Ada" {
					t.Fatalf("%+v, %v", c, err)
				}
				break
			}
		}
		wantNoLease(t, db)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			for range rows {
				panic("in the loop")
			}
		}()
		wantNoLease(t, db)
		if on.asked != 21 {
			t.Errorf("asked %d times in 21 loops", on.asked)
		}
	})
}

// An error in the midst of the rows is the last pair.
func TestIterReportsErrors(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		series := "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i < 9) SELECT "
		fails := query.Declare[int](series + "1 / (5 - i) FROM c") // NULL, not an error, in SQLite: which an int cannot hold
		var got []int
		var last error
		pairs := 0
		for n, err := range fails.Iter(t.Context(), db) {
			pairs++
			if last = err; err == nil {
				got = append(got, n)
			} else if n != 0 {
				t.Errorf("%d with an error", n)
			}
		}
		if last == nil || pairs != len(got)+1 || len(got) > 4 {
			t.Errorf("%v, then %v; %d pairs", got, last, pairs)
		}
		if all, err := fails.All(t.Context(), db); err == nil || all != nil {
			t.Errorf("%v, %v", all, err)
		}
		wantNoLease(t, db)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range customers.Iter(ctx, db) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want the context's", err)
			}
			last = nil
		}
		if last != nil {
			t.Error("no pair for the error of the query itself")
		}
	})
}

func TestErrorsOfTheDatabase(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		secret := query.Declare[int]("SELECT 'hunter2' FROM no_such_table")
		_, err := secret.All(t.Context(), db)
		if err == nil || !strings.Contains(err.Error(), "query_test.go:") || !strings.Contains(err.Error(), "no_such_table") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v", err)
		}
	})
}

func TestArgumentCount(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		if _, err := byID.Unique(t.Context(), db); err == nil || !strings.Contains(err.Error(), ": with 0 arguments: ") {
			t.Errorf("too few: %v", err)
		}
		on := &counting{DB: db}
		_, err := byID.Unique(t.Context(), on, 1, 2)
		wantError(t, err, ": 2 arguments, and at most 1 placeholders in the text")
		_, err = count.Value(t.Context(), on, 1)
		wantError(t, err, ": 1 arguments, and at most 0 placeholders in the text")
		if on.asked != 0 {
			t.Error("asked nevertheless")
		}
	})
}

func TestDeclareRefusesWhatNoRowFits(t *testing.T) {
	for want, declare := range map[string]func(){
		"Declare[chan int]: nothing can be scanned into that":                                func() { query.Declare[chan int]("") },
		"Declare[func()]: nothing can be scanned into that":                                  func() { query.Declare[func()]("") },
		"Declare[map[int]string]: want string keys":                                          func() { query.Declare[map[int]string]("") },
		"Declare[sql.RawBytes]: want []byte, since RawBytes are overwritten by the next row": func() { query.Declare[sql.RawBytes]("") },
		"Declare[*query_test.customer]: want the struct itself":                              func() { query.Declare[*customer]("") },
		"":  func() { query.Declare[*time.Time]("") },
		" ": func() { query.Declare[any]("") },
	} {
		func() {
			defer func() {
				v, _ := recover().(string)
				if want = strings.TrimSpace(want); !strings.HasSuffix(v, want) || (want == "") != (v == "") || v != "" && !strings.Contains(v, "query_test.go:") {
					t.Errorf("panic %q, want %q", v, want)
				}
			}()
			declare()
		}()
	}
}
