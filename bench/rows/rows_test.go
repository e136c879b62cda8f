package rows

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryRowHasItsWorkload holds the catalogue and the benchmarks together.
func TestEveryRowHasItsWorkload(t *testing.T) {
	var known []string
	for _, r := range All() {
		known = append(known, r.ID())
		if workloads[r.ID()] == nil {
			t.Errorf("%s has no workload", r.ID())
		}
	}
	for id := range maps.Keys(workloads) {
		if !slices.Contains(known, id) {
			t.Errorf("the workload %s is of no row", id)
		}
	}
}

// TestGoalsAreAboutWhatIsMeasured looks for names that are written differently.
func TestGoalsAreAboutWhatIsMeasured(t *testing.T) {
	for _, r := range All() {
		var units []string
		for _, c := range r.Columns {
			units = append(units, c.Unit)
		}
		for _, g := range r.Goals {
			if !slices.Contains(units, g.Unit) {
				t.Errorf("%s: no column %s, of which %q is", r.ID(), g.Unit, g.Text)
			}
			for _, name := range []string{g.Contender, g.Against} {
				if _, known := r.Contender(name); !known && name != "" {
					t.Errorf("%s: no contender %s, of which %q is", r.ID(), name, g.Text)
				}
			}
		}
		for _, c := range r.Contenders {
			if c.Told == "" {
				t.Errorf("%s: it is not said what %s is told", r.ID(), c.Name)
			}
		}
	}
}

func TestMatching(t *testing.T) {
	for pattern, want := range map[string]int{"": len(All()), "^noop/": 2, "growth/memory": 4, "no such row": 0} {
		got, err := Matching(pattern)
		if err != nil || len(got) != want {
			t.Errorf("%q: %d rows and %v, want %d", pattern, len(got), err, want)
		}
	}
	if _, err := Matching("("); err == nil {
		t.Error("a pattern that is none is accepted")
	}
}

// TestPatternMatchesOneBenchmark compares with the names that testing makes.
func TestPatternMatchesOneBenchmark(t *testing.T) {
	row := All()[0]
	pattern := row.Pattern(Nimue)
	for name, want := range map[string]bool{
		"BenchmarkNoop/serial/nimue":      true,
		"BenchmarkNoop/serial/nimue-bare": false,
		"BenchmarkNoop/contended/nimue":   false,
	} {
		if got := matches(t, pattern, name); got != want {
			t.Errorf("%s matches %s: %v", pattern, name, got)
		}
	}
}

// matches is testing's own rule: the parts of a pattern match those of a name.
func matches(t *testing.T, pattern, name string) bool {
	t.Helper()
	patterns, names := strings.Split(pattern, "/"), strings.Split(name, "/")
	for i, p := range patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		if !re.MatchString(names[i]) {
			return false
		}
	}
	return true
}
