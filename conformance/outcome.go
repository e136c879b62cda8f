package conformance

import "fmt"

// Outcome is what a run of the suite came to: every case, in the suite's order.
type Outcome struct {
	Target string // the target's name
	Cases  []CaseOutcome
}

// CaseOutcome is what one case came to.
type CaseOutcome struct {
	Name     string
	Status   Status
	Reason   string   // why it was skipped
	Lines    []string // what it observed, the same in every run
	Failures []string // what it found wrong
}

// Status is how a case ended.
type Status int

// The ways in which a case ends.
const (
	NotRun  Status = iota // the test's -run pattern left it out
	Passed                // every promise was kept
	Failed                // see CaseOutcome.Failures
	Skipped               // the dialect lacks what the case is about
)

// String returns the status as a word or two.
func (s Status) String() string {
	switch s {
	case NotRun:
		return "not run"
	case Passed:
		return "passed"
	case Failed:
		return "failed"
	case Skipped:
		return "skipped"
	}
	return fmt.Sprintf("Status(%d)", int(s))
}

// Case returns the case of that name, or nil.
func (o *Outcome) Case(name string) *CaseOutcome {
	for i := range o.Cases {
		if o.Cases[i].Name == name {
			return &o.Cases[i]
		}
	}
	return nil
}

// Failed returns the names of the cases that failed, in order.
func (o *Outcome) Failed() []string {
	var names []string
	for _, c := range o.Cases {
		if c.Status == Failed {
			names = append(names, c.Name)
		}
	}
	return names
}
