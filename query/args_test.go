package query

import (
	"database/sql"
	"testing"
	"time"
)

// option is what drivers have among their arguments: a defined type.
type option int32

func TestTooMany(t *testing.T) {
	for _, test := range []struct {
		text    string
		args    []any
		refused bool
	}{
		{"SELECT 1", nil, false},
		{"SELECT 1", []any{1}, true},
		{"SELECT 1 WHERE ? = ?", []any{1, 2}, false},
		{"SELECT 1 WHERE ? = ?", []any{1, "a", nil}, true},
		{"SELECT $1", []any{1, time.Time{}}, true},
		{"SELECT $2", []any{1, 2}, false},
		{"SELECT $1, $2, $2", []any{1, 2}, false},
		{"SELECT $1, $2, $2", []any{1, 2, 3}, true},
		{"SELECT $1, :1, @1, ?1", []any{1, 2, 3, 4}, false}, // four names of SQLite's
		{"SELECT $1a, $1b", []any{1, 2}, false},
		{"SELECT $01, $1, $0", []any{1, 2, 3}, false},
		{"SELECT ?5, ?", []any{1, 2, 3, 4, 5, 6}, false},
		{"SELECT ?3", []any{1, 2, 3}, false},
		{"SELECT :a, @b, $c", []any{1, 2, 3}, false},
		{"SELECT :a, @b, $c", []any{1, 2, 3, 4}, true},
		{"SELECT '?'", []any{1}, false},          // a literal: the database will say so
		{"SELECT 1", []any{option(1)}, false},    // an option of the driver's
		{"SELECT 1", []any{1, option(1)}, false}, // among others
		{"SELECT 1", []any{sql.NamedArg{}}, false},
		{"EXEC_REPORT", []any{1, 2}, false}, // the name of a procedure
		{"SELECT $99999999999999999999", []any{1, 2}, false},
	} {
		if err := tooMany(test.text, test.args); (err != nil) != test.refused {
			t.Errorf("%q with %d arguments: %v", test.text, len(test.args), err)
		}
	}
}

// Drivers take arguments of texts without placeholders, where these have no rows.
func TestStatementsWithoutPlaceholders(t *testing.T) {
	s := DeclareExec("COPY t (a) FROM STDIN")
	if err := s.check([]any{1}); err != nil {
		t.Error(err)
	}
	if err := DeclareExec("DELETE FROM t WHERE a = ?").check([]any{1, 2}); err == nil {
		t.Error("no error")
	}
}
