package conformance_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nimue-go/nimue/conformance"
)

// failures is a test that only collects what it is told.
type failures struct {
	testing.TB
	texts []string
}

func (*failures) Helper()                        {}
func (f *failures) Error(args ...any)            { f.texts = append(f.texts, fmt.Sprint(args...)) }
func (f *failures) Errorf(s string, args ...any) { f.texts = append(f.texts, fmt.Sprintf(s, args...)) }

func outcome(target string, cases ...conformance.CaseOutcome) *conformance.Outcome {
	return &conformance.Outcome{Target: target, Cases: cases}
}

func passed(name string, lines ...string) conformance.CaseOutcome {
	return conformance.CaseOutcome{Name: name, Status: conformance.Passed, Lines: lines}
}

func TestCompareShowsTheLinesThatDiffer(t *testing.T) {
	direct := outcome("direct", passed("same", "x"), passed("other", "one", "two", "three", "five"))
	through := outcome("through", passed("same", "x"), passed("other", "one", "2", "three", "four", "five"))
	var f failures
	conformance.Compare(&f, direct, through)
	want := strings.Join([]string{
		"other differs (- direct, + through):",
		"  passed", "  one", "- two", "+ 2", "  three", "+ four", "  five",
	}, "\n")
	if len(f.texts) != 1 || f.texts[0] != want {
		t.Errorf("got %q\nwant %q", f.texts, want)
	}
}

func TestCompareSeesStatusReasonAndMissingCases(t *testing.T) {
	direct := outcome("direct",
		passed("a"),
		conformance.CaseOutcome{Name: "b", Status: conformance.Skipped, Reason: "one"},
		passed("only direct"),
		conformance.CaseOutcome{Name: "not run here"},
		passed("not run there", "x"),
		conformance.CaseOutcome{Name: "fails alike", Status: conformance.Failed, Failures: []string{"so"}},
	)
	through := outcome("through",
		conformance.CaseOutcome{Name: "a", Status: conformance.Failed, Failures: []string{"broken"}},
		conformance.CaseOutcome{Name: "b", Status: conformance.Skipped, Reason: "other"},
		passed("not run here", "x"),
		conformance.CaseOutcome{Name: "not run there"},
		conformance.CaseOutcome{Name: "fails alike", Status: conformance.Failed, Failures: []string{"so"}},
		passed("only through"),
	)
	var got []string
	for _, d := range conformance.Differences(direct, through) {
		got = append(got, d.Case)
	}
	if want := []string{"a", "b", "only direct", "only through"}; !slices.Equal(got, want) {
		t.Errorf("differences in %q, want %q", got, want)
	}
}

func TestCompareHoldsExceptionsToBeTrue(t *testing.T) {
	direct := outcome("direct", passed("differs", "1"), passed("same", "1"), passed("also differs", "1"))
	through := outcome("through", passed("differs", "2"), passed("same", "1"), passed("also differs", "2"))
	var f failures
	conformance.Compare(&f, direct, through, "differs", "same", "unheard of")
	if len(f.texts) != 3 {
		t.Fatalf("got %q", f.texts)
	}
	for i, part := range []string{"also differs differs", `"same" is excepted`, `no case "unheard of"`} {
		if !strings.Contains(f.texts[i], part) {
			t.Errorf("text %d is %q, want %q in it", i, f.texts[i], part)
		}
	}
}

func TestStatusHasAWord(t *testing.T) {
	for status, want := range map[conformance.Status]string{
		conformance.NotRun: "not run", conformance.Passed: "passed", conformance.Failed: "failed",
		conformance.Skipped: "skipped", conformance.Status(9): "Status(9)",
	} {
		if got := status.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestCaseNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range conformance.Observe(t, conformance.Target{Name: "none"}, "no case begins like this").Cases {
		if seen[c.Name] {
			t.Errorf("two cases are called %q", c.Name)
		}
		seen[c.Name] = true
		if c.Status != conformance.NotRun {
			t.Errorf("case %q ran: %v", c.Name, c.Status)
		}
	}
	if len(seen) < 50 {
		t.Errorf("%d cases", len(seen))
	}
}

// mysqlError looks like the driver's *mysql.MySQLError.
type mysqlError struct {
	Number  uint16
	Message string
}

func (e *mysqlError) Error() string { return e.Message }

type numberless struct{ error }

// TestMySQLDialect tests what can be tested of it without its server.
func TestMySQLDialect(t *testing.T) {
	dialect := conformance.MySQL()
	for err, want := range map[error]conformance.ErrorClass{
		&mysqlError{Number: 1062}:                            conformance.UniqueViolation,
		fmt.Errorf("wrapped: %w", &mysqlError{Number: 1064}): conformance.SyntaxError,
		&mysqlError{Number: 1146}:                            conformance.MissingTable,
		&mysqlError{Number: 1792}:                            conformance.ReadOnlyViolated,
		&mysqlError{Number: 2006}:                            conformance.Unclassified,
		errors.New("Error 1062"):                             conformance.Unclassified,
		numberless{errors.New("no number")}:                  conformance.Unclassified,
	} {
		if got := dialect.Classify(err); got != want {
			t.Errorf("%#v is %q, want %q", err, got, want)
		}
	}
	db := open(t, "sqlite", sqliteDSN(t))
	defer db.Close()
	var n, sum, last int
	err := db.QueryRowContext(t.Context(), "SELECT count(*), sum(i), max(i) FROM ("+dialect.Series(1234)+")").Scan(&n, &sum, &last)
	if err != nil || n != 1234 || last != n || sum != n*(n+1)/2 {
		t.Errorf("the series has %d numbers up to %d with the sum %d, %v", n, last, sum, err)
	}
}
