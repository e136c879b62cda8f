package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/nimue-go/nimue/bench/rows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestNobodyIsAlwaysFirst counts who begins, and who comes at all.
func TestNobodyIsAlwaysFirst(t *testing.T) {
	row := rows.All()[0]
	first := map[string]int{}
	for round := 1; round <= 2*len(row.Contenders); round++ {
		order := inTurn(row.Contenders, round)
		first[order[0].Name]++
		there := map[string]bool{}
		for _, c := range order {
			there[c.Name] = true
		}
		if len(there) != len(row.Contenders) {
			t.Errorf("round %d has %d contenders of %d", round, len(there), len(row.Contenders))
		}
	}
	for _, c := range row.Contenders {
		if first[c.Name] != 2 {
			t.Errorf("%s was first %d times, want 2", c.Name, first[c.Name])
		}
	}
}

func TestSift(t *testing.T) {
	results, rest := sift([]byte("goos: linux\npkg: example.com/x\nBenchmarkNoop/serial/nimue-2   5   10 ns/op\nPASS\n"))
	if want := "goos: linux\nBenchmarkNoop/serial/nimue-2   5   10 ns/op\n"; string(results) != want || rest != "" {
		t.Errorf("results %q, rest %q", results, rest)
	}
	results, rest = sift([]byte("goos: linux\n--- FAIL: BenchmarkNoop/serial/nimue-2\n    noop_test.go:3: no such luck\nFAIL\n"))
	if results != nil || rest != "noop_test.go:3: no such luck" {
		t.Errorf("results %q, rest %q", results, rest)
	}
}

func TestParseOptions(t *testing.T) {
	o, err := parseOptions([]string{"-rows", "^noop/", "-rounds", "3", "-out", t.TempDir()})
	if err != nil || o.rounds != 3 || len(o.rows) != 2 {
		t.Errorf("got %d rounds of %d rows, %v", o.rounds, len(o.rows), err)
	}
	o, err = parseOptions(nil)
	if err != nil || o.rounds != 10 || len(o.rows) != len(rows.All()) || o.out != "." {
		t.Errorf("without arguments: %+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-rows", "no such row"}, {"-rows", "("}, {"-rounds", "-1"}, {"noop"}} {
		if _, err := parseOptions(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// script is a test binary's part, played by a shell.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.test")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRoundsGoOnAfterAFailure has one contender fail always. It is tried twice, and
// then left out; the others' results are all there.
func TestRoundsGoOnAfterAFailure(t *testing.T) {
	var results bytes.Buffer
	m := &match{
		options: options{rounds: 3, rows: rows.All()[:1], benchtime: "1x"},
		binary:  script(t, `case "$2" in *tuned*) echo "no luck"; exit 1;; *) echo "BenchmarkNoop/serial/x 1 5 ns/op";; esac`),
		dir:     t.TempDir(), results: &results, log: io.Discard,
		failed: map[string]string{}, failures: map[string]int{},
	}
	if err := m.rounds(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(results.String(), "BenchmarkNoop"); n != 6 {
		t.Errorf("%d results, want those of two contenders in three rounds:\n%s", n, &results)
	}
	failed := m.failedInOrder()
	if want := "Noop/serial, database/sql, tuned: no luck (2 times)"; len(failed) != 1 || failed[0] != want {
		t.Errorf("failed: %q, want %q", failed, want)
	}
}

// TestRoundsEndWithTheContext is Ctrl-C.
func TestRoundsEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := &match{options: options{rounds: 1, rows: rows.All()}, binary: script(t, "exit 0"), dir: t.TempDir(), results: io.Discard, log: io.Discard}
	if err := m.rounds(ctx); err == nil {
		t.Error("the rounds went on")
	}
}

// TestDrawAgain writes the page from results that are there.
func TestDrawAgain(t *testing.T) {
	out := t.TempDir()
	text := "round: 1\nBenchmarkNoop/serial/nimue-2 5 10 ns/op\n" + missingMark + "somebody: no luck\n"
	if err := os.WriteFile(filepath.Join(out, resultsFile), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), options{rows: rows.All(), out: out}, io.Discard); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(out, pageFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"No-op driver, one goroutine", "somebody: no luck"} {
		if !strings.Contains(string(page), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if _, err := os.Stat(filepath.Join(out, chartsDir, "throughput.svg")); err != nil {
		t.Error(err)
	}
}
