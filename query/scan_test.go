package query_test

import (
	"database/sql"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/nimue-go/nimue/query"
)

// Columns that do not fit are an error with rows and without.
func TestMismatch(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		for _, where := range []string{"id = 1", "id = 4"} {
			for text, ask := range map[string]func(string) error{
				`the columns do not fit the declared type query_test.customer: it has no exported field for "mail", "phone"`: func(text string) error {
					_, err := query.Declare[customer]("SELECT id, email AS mail, name AS phone"+text).All(t.Context(), db)
					return err
				},
				`the columns do not fit the declared type query_test.customer: there are two columns "name"`: func(text string) error {
					_, err := query.Declare[customer]("SELECT name, id, name"+text).All(t.Context(), db)
					return err
				},
				`the columns do not fit the declared type int: 2 columns (id, name), want 1`: func(text string) error {
					_, err := query.Declare[int]("SELECT id, name"+text).All(t.Context(), db)
					return err
				},
				`the columns do not fit the declared type string: 2 columns (name, id), want 1`: func(text string) error {
					_, err := query.Declare[string]("SELECT name, id"+text).Value(t.Context(), db)
					return err
				},
				`the columns do not fit the declared type query_test.customer: it has fields or keys, where a single value is asked for`: func(text string) error {
					_, err := query.Declare[customer]("SELECT id"+text).Flat(t.Context(), db)
					return err
				},
				`the columns do not fit the declared type map[string]int: it has fields or keys, where a single value is asked for`: func(text string) error {
					_, err := query.Declare[map[string]int]("SELECT id"+text).Value(t.Context(), db)
					return err
				},
				`the columns do not fit the declared type time.Time: 2 columns (id, name), want 1`: func(text string) error {
					_, err := query.Declare[time.Time]("SELECT id, name"+text).All(t.Context(), db)
					return err
				},
			} {
				err := ask(" FROM customers WHERE " + where)
				wantError(t, err, ": "+text)
				if !errors.Is(err, query.ErrMismatch) {
					t.Errorf("%v is not ErrMismatch", err)
				}
			}
		}
		wantNoLease(t, db)
	})
}

// picky refuses everything.
type picky struct{}

func (*picky) Scan(any) error { return errPicky }

var errPicky = errors.New("not this")

func TestColumnErrors(t *testing.T) {
	type address struct{ City int }
	type row struct {
		ID     int
		Email  string
		Home   *address
		Choice picky
	}
	onDatabases(t, func(t *testing.T, db *sql.DB) {
		for text, want := range map[string]struct {
			columnError query.ColumnError
			text        string
		}{
			"SELECT 1 AS id, CAST(NULL AS TEXT) AS email": {
				query.ColumnError{Column: "email", Field: "query_test.row.Email", Type: reflect.TypeFor[string]()},
				`column "email" to query_test.row.Email: converting NULL to string is unsupported (*string or sql.Null[string] can hold NULL)`,
			},
			`SELECT 'a' AS email, 'far' AS "home.city"`: {
				query.ColumnError{Column: "home.city", Field: "query_test.row.Home.City", Type: reflect.TypeFor[int]()},
				`column "home.city" to query_test.row.Home.City: converting driver.Value type string ("far") to a int: invalid syntax`,
			},
			"SELECT 1 AS choice": {
				query.ColumnError{Column: "choice", Field: "query_test.row.Choice", Type: reflect.TypeFor[picky]()},
				`column "choice" to query_test.row.Choice: not this`,
			},
		} {
			_, err := query.Declare[row](text).Unique(t.Context(), db)
			wantError(t, err, want.text)
			got, ok := errors.AsType[*query.ColumnError](err)
			if !ok || got.Column != want.columnError.Column || got.Field != want.columnError.Field || got.Type != want.columnError.Type || got.Err == nil {
				t.Errorf("error %#v, want %#v", got, want.columnError)
			}
			if errors.Is(err, errPicky) != (want.columnError.Column == "choice") {
				t.Errorf("%v unwraps to what it should not, or does not", err)
			}
		}
		_, err := query.Declare[string]("SELECT email FROM customers WHERE id = 2").Value(t.Context(), db)
		wantError(t, err, `column "email" to string: converting NULL to string is unsupported (*string or sql.Null[string] can hold NULL)`)
		_, err = query.Declare[map[string]string]("SELECT name, email FROM customers WHERE id = 2").Unique(t.Context(), db)
		wantError(t, err, `column "email" to map[string]string["email"]: converting NULL to string is unsupported (*string or sql.Null[string] can hold NULL)`)
	})
}
