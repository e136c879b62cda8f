package conformance

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// testCase is one case of the suite. Its name is a subtest's, so that
// -run can select it, and stands for it in comparisons.
type testCase struct {
	name string
	run  func(c *trial)
}

// Run puts every case to the target, each as a subtest of t that fails where a
// promise is broken, and returns what they observed. It does not run cases in
// parallel.
func Run(t *testing.T, target Target) *Outcome {
	t.Helper()
	outcome := &Outcome{Target: target.Name}
	for _, tc := range allCases() {
		result := CaseOutcome{Name: tc.name}
		t.Run(tc.name, func(t *testing.T) { runCase(t, t, &target, tc, &result) })
		outcome.Cases = append(outcome.Cases, result)
	}
	return outcome
}

// Observe runs the cases whose names begin with one of the prefixes, or all if
// there are none, and reports nothing to tb, which only serves Target.Open:
// failures are in the outcome. It serves to show that a faulty driver is found
// out, and to compare where failures are expected.
func Observe(tb testing.TB, target Target, prefixes ...string) *Outcome {
	tb.Helper()
	outcome := &Outcome{Target: target.Name}
	for _, tc := range allCases() {
		result := CaseOutcome{Name: tc.name}
		if len(prefixes) == 0 || hasAnyPrefix(tc.name, prefixes) {
			observeCase(tb, &target, tc, &result)
		}
		outcome.Cases = append(outcome.Cases, result)
	}
	return outcome
}

func hasAnyPrefix(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// observeCase runs the case on a goroutine of its own, since it may end early by
// runtime.Goexit, as a test does.
func observeCase(tb testing.TB, target *Target, tc testCase, result *CaseOutcome) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				result.Status = Failed
				result.Failures = append(result.Failures, fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		runCase(silent{}, tb, target, tc, result)
	}()
	<-done
}

// reporter is what the suite needs of a test. *testing.T is one.
type reporter interface {
	Helper()
	Error(args ...any)
	Skip(args ...any)
	FailNow()
}

// silent is the reporter of Observe.
type silent struct{}

func (silent) Helper()      {}
func (silent) Error(...any) {}
func (silent) Skip(...any)  { runtime.Goexit() }
func (silent) FailNow()     { runtime.Goexit() }

// runCase runs one case against a database that was opened for it, checks that
// the case left the database usable, and removes its tables.
func runCase(r reporter, tb testing.TB, target *Target, tc testCase, result *CaseOutcome) {
	timeout := target.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c := &trial{
		reporter: r,
		ctx:      ctx,
		d:        &target.Dialect,
		target:   target,
		prefix:   tablePrefix(),
		result:   result,
	}
	result.Status = Failed // until it is known to be better, should the case panic
	defer c.settle()
	c.db = target.Open(tb)
	defer c.close()
	defer c.dropTables()
	defer c.checkUsable()
	tc.run(c)
	c.finished = true
}

// settle decides on the status when everything else is done.
func (c *trial) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.result.Failures) > 0:
	case c.result.Reason != "":
		c.result.Status = Skipped
	case c.finished:
		c.result.Status = Passed
	}
}

// tablePrefix begins the names of a case's tables. It is random so that runs may
// share a database, and short because some databases limit names to 63 bytes.
func tablePrefix() string {
	return "cf_" + strings.ToLower(rand.Text()[:10]) + "_"
}

// afterwards is the context for cleaning up, which must work when the case has
// used up its own.
func afterwards() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 10*time.Second)
}
