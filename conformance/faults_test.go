package conformance_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance"
)

// faultyTarget is SQLite through the faulty driver.
func faultyTarget(f faults) conformance.Target {
	dialect := conformance.SQLite()
	dialect.MultipleResults = twoSets
	// A fault may let the slow query run to its end, which must not take long.
	dialect.SlowQuery = "SELECT count(*) FROM (" + dialect.Series(200_000) + ")"
	return conformance.Target{
		Name:    "faulty",
		Open:    func(tb testing.TB) *sql.DB { return sql.OpenDB(newFaultyConnector(sqliteDSN(tb), f)) },
		Dialect: dialect,
		Timeout: 10 * time.Second,
	}
}

// TestSuiteFindsFaults shows, for each of many ways in which a driver can be
// wrong, a case that fails because of it.
func TestSuiteFindsFaults(t *testing.T) {
	for _, test := range knownFaults {
		t.Run(test.fault+"/"+test.in, func(t *testing.T) {
			outcome := conformance.Observe(t, faultyTarget(test.faults), test.in)
			result := outcome.Case(test.in)
			if result == nil || result.Status != conformance.Failed || len(result.Failures) == 0 {
				t.Errorf("not found: %+v", result)
			}
		})
	}
}

// knownFaults are ways to be wrong, each with a case that must fail for it.
var knownFaults = []struct {
	fault string
	in    string
	faults
}{
	{"forgets the context", "cancel/during Exec", faults{context: context.WithoutCancel}},
	{"does not look at the context first", "cancel/before, on a held connection", faults{context: context.WithoutCancel}},
	{"spoils a cancelled connection", "cancel/during Exec", faults{spoils: true}},
	{"flattens errors", "errors/unique violation", faults{fail: func(err error) error { return errors.New(err.Error()) }}},
	{"flattens context errors", "cancel/during Query", faults{fail: func(err error) error { return errors.New(err.Error()) }}},
	{"reports no rows affected", "results/RowsAffected", faults{result: func(driver.Result) driver.Result { return driver.RowsAffected(0) }}},
	{"loses the insert id", "results/LastInsertId", faults{result: func(r driver.Result) driver.Result {
		n, _ := r.RowsAffected()
		return driver.RowsAffected(n)
	}}},
	{"swaps the result's numbers", "results/RowsAffected", faults{result: func(r driver.Result) driver.Result { return swapped{r} }}},
	{"reads the result too late", "results/read later", lateResults()},
	{"executes twice", "load/transactions add up", faults{exec: func(do func() (driver.Result, error)) (driver.Result, error) {
		if _, err := do(); err != nil {
			return nil, err
		}
		return do()
	}}},
	{"has a statement sent again after it was executed", "results/RowsAffected", badAfterwards()},
	{"commits on rollback", "transactions/rollback", faults{rollback: driver.Tx.Commit}},
	{"commits on rollback", "transactions/rolled back when the context ends", faults{rollback: driver.Tx.Commit}},
	{"rolls back on commit", "transactions/commit", faults{commit: driver.Tx.Rollback}},
	{"loses rows", "rows/large result", faults{rows: func(_ *faultyConn, r driver.Rows) driver.Rows { return &limitedRows{r, 1000} }}},
	{"hides the rows' error", "rows/error at run time", faults{rows: func(_ *faultyConn, r driver.Rows) driver.Rows { return quietRows{r} }}},
	{"loses the second result set", "rows/multiple result sets", faults{rows: func(_ *faultyConn, r driver.Rows) driver.Rows { return plainRows{r} }}},
	{"turns the columns round", "columns/names", faults{rows: func(_ *faultyConn, r driver.Rows) driver.Rows { return turnedRows{r} }}},
	{"cuts rows off at Close", "close/with rows open", faults{rows: func(c *faultyConn, r driver.Rows) driver.Rows { return cutRows{r, c.connector} }}},
	{"goes by position", "arguments/named", faults{argument: func(v *driver.NamedValue) { v.Name = "" }}},
	{"keeps a statement's first arguments", "statements/used again and again", faults{first: true}},
	{"swallows panics", "panics/in a Valuer", faults{check: func(v *driver.NamedValue) (err error) {
		defer func() {
			if recover() != nil {
				err = errors.New("it panicked")
			}
		}()
		v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value)
		return err
	}}},
	{"hides the valuer's error", "types/valuer that fails", faults{check: func(v *driver.NamedValue) (err error) {
		if v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value); err != nil {
			return errors.New(err.Error())
		}
		return nil
	}}},
	{"takes an empty blob for NULL", "blobs/empty is not null", faults{argument: change(func(b []byte) any {
		if len(b) == 0 {
			return nil
		}
		return b
	})}},
	{"trims texts", "types/strings", faults{argument: change(func(s string) any { return strings.TrimSpace(s) })}},
	{"cuts integers", "types/integers", faults{argument: change(func(n int64) any { return int64(int32(n)) })}},
	{"rounds floats", "types/floats", faults{argument: change(func(f float64) any { return float64(float32(f)) })}},
	{"cuts times to the second", "times/instants", faults{argument: change(func(t time.Time) any { return t.Truncate(time.Second) })}},
	{"forgets zones", "times/zones", faults{argument: change(func(t time.Time) any {
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	})}},
	{"resets the session", "conns/session state", faults{before: func(inner innerConn) {
		_, _ = inner.ExecContext(context.Background(), "PRAGMA cache_size = 500", nil)
	}}},
}

// TestFaultlessDriverPasses shows that the failures above are due to the faults,
// and runs the case that no other driver here can.
func TestFaultlessDriverPasses(t *testing.T) {
	outcome := conformance.Observe(t, faultyTarget(faults{}))
	for _, name := range outcome.Failed() {
		t.Errorf("%s: %q", name, outcome.Case(name).Failures)
	}
	if sets := outcome.Case("rows/multiple result sets"); sets == nil || sets.Status != conformance.Passed {
		t.Errorf("multiple result sets: %+v", sets)
	}
}

// TestCompareFindsWhatBreaksNoPromise takes faults that leave every case passing,
// and are seen only beside a direct run.
func TestCompareFindsWhatBreaksNoPromise(t *testing.T) {
	direct := conformance.Observe(t, faultyTarget(faults{}), "columns/", "errors/", "types/")
	for _, test := range []struct {
		fault string
		in    []string // the cases that differ
		faults
	}{
		{"nothing", nil, faults{}},
		{"hides the column types", []string{"columns/types", "columns/types of a prepared query"}, faults{
			rows: func(_ *faultyConn, r driver.Rows) driver.Rows { return plainRows{r} },
		}},
		{"wraps errors", []string{
			"types/valuer that fails", "errors/syntax", "errors/missing table", "errors/unique violation", "errors/leave the connection usable",
		}, faults{
			fail:  func(err error) error { return fmt.Errorf("wrapped: %w", err) },
			check: wrapCheck,
		}},
	} {
		t.Run(test.fault, func(t *testing.T) {
			through := conformance.Observe(t, faultyTarget(test.faults), "columns/", "errors/", "types/valuer")
			if failed := through.Failed(); len(failed) > 0 {
				t.Fatalf("these fail by themselves: %q", failed)
			}
			var got []string
			for _, difference := range conformance.Differences(direct, through) {
				got = append(got, difference.Case)
			}
			if !slices.Equal(got, test.in) {
				t.Errorf("differences in %q, want %q", got, test.in)
			}
		})
	}
}

func wrapCheck(v *driver.NamedValue) (err error) {
	if v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value); err != nil {
		return fmt.Errorf("wrapped: %w", err)
	}
	return nil
}

// change makes a fault of arguments of one type.
func change[T any](f func(T) any) func(*driver.NamedValue) {
	return func(v *driver.NamedValue) {
		if value, ok := v.Value.(T); ok {
			v.Value = f(value)
		}
	}
}

type swapped struct{ driver.Result }

func (s swapped) LastInsertId() (int64, error) { return s.Result.RowsAffected() }
func (s swapped) RowsAffected() (int64, error) { return s.Result.LastInsertId() }

// lateResults is a driver whose results show the last statement's numbers.
func lateResults() faults {
	var last driver.Result
	return faults{result: func(r driver.Result) driver.Result {
		last = r
		return late{&last}
	}}
}

type late struct{ last *driver.Result }

func (l late) LastInsertId() (int64, error) { return (*l.last).LastInsertId() }
func (l late) RowsAffected() (int64, error) { return (*l.last).RowsAffected() }

// badAfterwards is a driver that executes every third statement and then calls
// its connection bad, whereupon database/sql sends the statement again.
func badAfterwards() faults {
	n := 0
	return faults{exec: func(do func() (driver.Result, error)) (driver.Result, error) {
		result, err := do()
		if n++; err == nil && n%3 == 0 {
			return nil, driver.ErrBadConn
		}
		return result, err
	}}
}

type limitedRows struct {
	driver.Rows
	left int
}

func (r *limitedRows) Next(dest []driver.Value) error {
	if r.left--; r.left < 0 {
		return io.EOF
	}
	return r.Rows.Next(dest)
}

type quietRows struct{ driver.Rows }

func (r quietRows) Next(dest []driver.Value) error {
	if r.Rows.Next(dest) != nil {
		return io.EOF
	}
	return nil
}

func (r quietRows) Close() error {
	_ = r.Rows.Close() // SQLite's repeats the error
	return nil
}

// plainRows have none of the optional interfaces.
type plainRows struct{ driver.Rows }

type turnedRows struct{ driver.Rows }

func (r turnedRows) Columns() []string {
	names := slices.Clone(r.Rows.Columns())
	slices.Reverse(names)
	names[0] = "turned"
	return names
}

// cutRows end with an error when the connector is closed.
type cutRows struct {
	driver.Rows
	connector *faultyConnector
}

func (r cutRows) Next(dest []driver.Value) error {
	if r.connector.closed.Load() {
		return errors.New("closed")
	}
	return r.Rows.Next(dest)
}
