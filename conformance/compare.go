package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Compare fails the test, once for every case, where the two runs observed
// something different: another value, error text, Go type or status. A case that
// only one of them ran, because of the test's -run pattern, is not compared.
//
// except names the cases that are meant to differ. One that does not, or that does
// not exist, fails the test too, so that the list stays true.
func Compare(tb testing.TB, direct, through *Outcome, except ...string) {
	tb.Helper()
	differ := map[string]bool{}
	for _, difference := range Differences(direct, through) {
		differ[difference.Case] = true
		if !slices.Contains(except, difference.Case) {
			tb.Error(difference)
		}
	}
	for _, name := range except {
		a, b := direct.Case(name), through.Case(name)
		switch {
		case a == nil && b == nil:
			tb.Errorf("there is no case %q to be excepted", name)
		case differ[name] || a != nil && a.Status == NotRun || b != nil && b.Status == NotRun:
		default:
			tb.Errorf("case %q is excepted, but does not differ", name)
		}
	}
}

// Difference is a case that two runs answered differently.
type Difference struct {
	Case            string
	direct, through string // the targets' names
	lines           []string
}

// String shows the lines of the case, those of the first run only with a minus
// and those of the second only with a plus sign.
func (d Difference) String() string {
	return fmt.Sprintf("%s differs (- %s, + %s):\n%s", d.Case, d.direct, d.through, strings.Join(d.lines, "\n"))
}

// Differences returns the cases that the two runs answered differently, in the
// order of the first, and then those that the first does not have.
func Differences(direct, through *Outcome) []Difference {
	var differences []Difference
	add := func(a, b *CaseOutcome) {
		if a.Status == NotRun || b.Status == NotRun {
			return
		}
		before, after := a.transcript(), b.transcript()
		if slices.Equal(before, after) {
			return
		}
		differences = append(differences, Difference{
			Case: a.Name, direct: direct.Target, through: through.Target, lines: diff(before, after),
		})
	}
	absent := func(name string) *CaseOutcome {
		return &CaseOutcome{Name: name, Status: Skipped, Reason: "the run does not have this case"}
	}
	for i := range direct.Cases {
		a := &direct.Cases[i]
		b := through.Case(a.Name)
		if b == nil {
			b = absent(a.Name)
		}
		add(a, b)
	}
	for i := range through.Cases {
		b := &through.Cases[i]
		if direct.Case(b.Name) == nil {
			add(absent(b.Name), b)
		}
	}
	return differences
}

// transcript is everything about a case that must not differ.
func (c *CaseOutcome) transcript() []string {
	status := c.Status.String()
	if c.Reason != "" {
		status += ": " + c.Reason
	}
	lines := append([]string{status}, c.Lines...)
	for _, failure := range c.Failures {
		lines = append(lines, "failure: "+failure)
	}
	return lines
}

// diff merges two texts along their longest common subsequence of lines.
func diff(a, b []string) []string {
	common := make([][]int, len(a)+1) // common[i][j]: of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var lines []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			lines = append(lines, "  "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			lines = append(lines, "- "+a[i])
			i++
		default:
			lines = append(lines, "+ "+b[j])
			j++
		}
	}
	return lines
}
