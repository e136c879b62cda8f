package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// The arguments of an operation are converted by nimue, not by database/sql,
// because the inner driver's checkers belong to the leased connection. Each case
// here is held against what database/sql makes of it over the same driver.

// decimal is a type that drivers take as it is: it decomposes.
type decimal struct{ coefficient byte }

func (d decimal) Decompose([]byte) (form byte, negative bool, coefficient []byte, exponent int32) {
	return 0, false, []byte{d.coefficient}, -2
}

func (d *decimal) Compose(byte, bool, []byte, int32) error { return nil }

// panicky is a Valuer whose method panics: on a nil pointer, as one that
// dereferences it would, and by choice.
type panicky struct{ why any }

func (p *panicky) Value() (driver.Value, error) { panic(p.why) }

// nested is a Valuer by way of what it embeds.
type nested struct{ valuer }

var argumentCases = []struct {
	name string
	text string // of an operation with one argument or more
	args []any
}{
	{"integers", "????", []any{int64(math.MinInt64), uint8(255), uint64(math.MaxInt64), number(-1)}},
	{"uint64 with the high bit", "?", []any{uint64(1) << 63}},
	{"uint64 with the high bit in a Valuer", "?", []any{valuer{uint64(1) << 63}}},
	{"floats", "???", []any{math.Inf(1), float32(math.MaxFloat32), math.SmallestNonzeroFloat64}},
	{"strings, times and truth", "???", []any{"", time.Unix(1, 2).UTC(), true}},
	{"types that no driver knows", "?", []any{complex(1, 1)}},
	{"channel", "?", []any{make(chan int)}},
	{"map", "?", []any{map[string]int{}}},
	{"null types", "??", []any{sql.NullString{}, sql.NullInt64{Int64: 2, Valid: true}}},
	{"nil", "??", []any{nil, (*int)(nil)}},
	{"bytes of several types", "???", []any{[]byte("b"), json("j"), sql.RawBytes("r")}},
	{"text of a named type", "?", []any{badOnce("text")}},
	{"decimal", "?", []any{decimal{7}}},
	{"pointer to a decimal", "?", []any{&decimal{7}}},
	{"nil pointer to a decimal", "?", []any{(*decimal)(nil)}},
	{"pointer to a pointer", "?", []any{func() **int { p := new(int); return &p }()}},
	{"Valuer", "??", []any{valuer{"v"}, nested{valuer{int64(1)}}}},
	{"Valuer of another Valuer", "?", []any{valuer{valuer{int64(1)}}}},
	{"Valuer of no driver value", "?", []any{valuer{int32(1)}}},
	{"Valuer that fails", "?", []any{valuer{errTest}}},
	{"Valuer that fails with driver.ErrBadConn", "?", []any{valuer{driver.ErrBadConn}}},
	{"Valuer that asks to be removed", "?", []any{valuer{driver.ErrRemoveArgument}, 1}},
	{"nil pointer whose Value is of the type", "?", []any{(*nullable)(nil)}},
	{"nil pointer whose Value is of the pointer", "?", []any{(*byPointer)(nil)}},
	{"nil pointer to a Valuer that panics", "?", []any{(*panicky)(nil)}},
	{"Valuer that panics", "?", []any{&panicky{"by choice"}}},
	{"second Valuer panics", "??", []any{1, &panicky{"second"}}},
	{"out of the column's range", "narrow ??", []any{1, int64(math.MaxInt32) + 1}},
	{"not what the column can hold", "narrow ?", []any{"many"}},
	{"text that the column converts", "narrow ?", []any{"12"}},
	{"Valuer for the column", "narrow ?", []any{valuer{int64(12)}}},
	{"Valuer of no driver value for the column", "narrow ?", []any{valuer{12}}},
	{"Valuer that fails for the column", "narrow ?", []any{valuer{errTest}}},
	{"nil for the column", "narrow ?", []any{nil}},
	{"column converts to no driver value", "strange ?", []any{1}},
	{"one too many for the columns", "narrow ?", []any{1, struct{}{}}},
	{"one too many", "?", []any{1, 2}},
	{"one too few", "??", []any{1}},
	{"none", "??", nil},
	{"none of none", "", nil},
	{"names", "??", []any{sql.Named("a", 1), sql.Named("b", valuer{"two"})}},
	{"name with a value of no driver type", "?", []any{sql.Named("a", struct{}{})}},
	{"name among positions", "??", []any{1, sql.Named("b", struct{}{})}},
	{"name that begins with a digit", "", []any{sql.Named("1", 1)}},
	{"name in another alphabet", "?", []any{sql.Named("é", 1)}},
	{"out parameter", "?", []any{sql.Out{Dest: new(int), In: true}}},
	{"checked by state", "????", []any{counted{}, 1, counted{}, counted{}}},
	{"refused", "??", []any{1, refused{}}},
	{"refused by name", "??", []any{1, sql.Named("x", refused{})}},
	{"removed first", "?", []any{removed{}, 1}},
	{"removed last", "?", []any{1, removed{}}},
	{"removed all", "", []any{removed{}, removed{}}},
	{"removed, then refused", "?", []any{removed{}, 1, removed{}, refused{}}},
	{"removed too few", "?", []any{removed{}, 1, 2}},
	{"more than fit on the stack", "??????????", []any{0, 1, 2, 3, 4, valuer{"5"}, 6, 7, 8, counted{}}},
}

// TestArguments compares every case with database/sql's own conversion, over
// every kind of statement and over connections that have, or have not, an Exec of
// either kind and a checker.
func TestArguments(t *testing.T) {
	for _, c := range argumentCases {
		t.Run(c.name, func(t *testing.T) {
			steps := []step{
				{name: "connect", do: func(s *session) { s.seeErr("ping", s.db.PingContext(s.ctx)) }},
				{name: "exec", do: func(s *session) { s.survive(func() { s.exec(c.text, c.args...) }) }},
				{name: "afterwards", do: func(s *session) { s.exec("???", "a", "b", 3) }},
				{name: "in a transaction", do: func(s *session) {
					s.begin(s.ctx, nil, func(tx *sql.Tx) {
						s.survive(func() { s.execOn(tx, c.text, c.args...) })
						s.execOn(tx, "?", 1)
						s.seeErr("commit", tx.Commit())
					})
				}},
				{name: "close"},
			}
			// A name that is none is refused by database/sql before nimue is asked.
			if c.name == "name that begins with a digit" {
				steps[1].logDiffers, steps[3].logDiffers = "see series", "see series"
			}
			for _, conn := range []int{connExecs, connExecsOld, connChecks, connExecs + connChecks,
				connExecsOld + connChecks, 0, everyConn - 1} {
				for stmt := range everyStmt {
					compare(t, steps, subject{conn: conn, stmt: stmt})
				}
			}
		})
	}
}

// The weights of some interfaces in the number of a subset of the connection's.
const (
	connExecsOld = 1
	connExecs    = 2
	connChecks   = 36
	connResets   = 144
	connTells    = 288
)

// survive notes a panic instead of passing it on.
func (s *session) survive(f func()) {
	defer func() {
		if v := recover(); v != nil {
			s.see("panic: %v", v)
		}
	}()
	f()
}

// TestSubsetWeights holds the weights to the generated types.
func TestSubsetWeights(t *testing.T) {
	for n, want := range map[int]string{
		connExecsOld: "Execer", connExecs: "ExecerContext", connChecks: "NamedValueChecker",
		connResets: "SessionResetter", connTells: "Validator",
	} {
		if got := members(subsetOfConn(n, &testConn{})); got != want {
			t.Errorf("subset %d has %s, want %s", n, got, want)
		}
	}
}

// TestArgumentsRemovedNameIsGone is where nimue is better than the original:
// database/sql leaves the name of an argument that its checker has removed on the
// next one, if that has none of its own.
func TestArgumentsRemovedNameIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTestDriver(connExecs+connChecks, 0, 0)
		db := sql.OpenDB(newConnector(t, d, pool.Config{}))
		defer db.Close()
		if _, err := db.Exec("text", sql.Named("option", removed{}), 5); err != nil {
			t.Fatal(err)
		}
		log := d.takeLog()
		want := fmt.Sprintf("exec text %v", []driver.NamedValue{{Ordinal: 1, Value: int64(5)}})
		if !slices.ContainsFunc(log, func(c call) bool { return c.what == want }) {
			t.Errorf("the driver was given %v, want %q", log, want)
		}
	})
}

// TestArgumentsRestoredWhenPreparingIsRetried: the retry may come before the
// arguments have been converted, or kept, at all.
func TestArgumentsRestoredWhenPreparingIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTestDriver(everyConn-1, everyStmt-1, 0)
		c := newConnector(t, d, pool.Config{})
		db := sql.OpenDB(c)
		defer db.Close()
		ctx := context.Background()
		stmt, err := db.PrepareContext(ctx, "prepare-is-bad-second ??")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		c.Pool().Reset() // the same handle will lease another connection
		if err := db.PingContext(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := stmt.ExecContext(ctx, "kept", 2); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("run prepare-is-bad-second ?? %v",
			[]driver.NamedValue{{Ordinal: 1, Value: "kept"}, {Ordinal: 2, Value: int64(2)}})
		log := d.takeLog()
		ran := slices.ContainsFunc(log, func(c call) bool { return c.what == want })
		if retries := c.Pool().Stats().Retries; !ran || retries != 1 {
			t.Errorf("%d retries, want 1, and then %q; got %v", retries, want, log)
		}
	})
}
