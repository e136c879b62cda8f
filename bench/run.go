package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/nimue-go/nimue/bench/report"
	"github.com/nimue-go/nimue/bench/rows"
)

const (
	rowsPackage = "github.com/nimue-go/nimue/bench/rows"
	resultsFile = "results.txt"
	pageFile    = "RESULTS.md"
	chartsDir   = "charts"
	missingMark = "# without a result: " // begins a line of results.txt
	turnTimeout = 3 * time.Minute
	giveUpAfter = 2 // failures of a contender in one row
)

// run does everything that the options ask for, and tells log how it goes on. Where
// contenders gave no result, the page is written all the same, and says so.
func run(ctx context.Context, o options, log io.Writer) error {
	if err := os.MkdirAll(filepath.Join(o.out, chartsDir), 0o755); err != nil {
		return err
	}
	var missing error
	if o.rounds > 0 {
		var err error
		if missing, err = measure(ctx, o, log); err != nil {
			return err
		}
	}
	if err := draw(o); err != nil {
		return err
	}
	fmt.Fprintln(log, "written:", filepath.Join(o.out, pageFile))
	return missing
}

// measure runs the rounds and fills results.txt. The first error is that of
// contenders without a result; the second one ended the run.
func measure(ctx context.Context, o options, log io.Writer) (missing, err error) {
	dir, err := os.MkdirTemp("", "nimue-bench-binary-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "rows.test")
	fmt.Fprintln(log, "building the benchmarks")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, rowsPackage)
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go test -c: %w\n%s", err, output)
	}
	fmt.Fprintln(log, "starting the servers")
	s, err := startServers(ctx, o.rows)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	results, err := os.Create(filepath.Join(o.out, resultsFile))
	if err != nil {
		return nil, err
	}
	m := &match{options: o, binary: binary, dir: dir, environ: s.environ(), results: results, log: log, failed: map[string]string{}, failures: map[string]int{}}
	writeConfig(results, s)
	err = m.rounds(ctx)
	for _, who := range m.failedInOrder() {
		fmt.Fprintln(results, missingMark+who)
		missing = errors.Join(missing, errors.New(who))
	}
	return missing, errors.Join(err, results.Close())
}

// writeConfig tells what the results were measured on, as the benchmark format has
// it.
func writeConfig(w io.Writer, s *runningServers) {
	fmt.Fprintf(w, "date: %s\ncores: %d\ngo: %s\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version())
	for _, name := range slices.Sorted(maps.Keys(s.versions)) {
		fmt.Fprintf(w, "%s: %s\n", name, s.versions[name])
	}
}

// match is a run under way.
type match struct {
	options
	binary   string
	dir      string // for the benchmarks to work in
	environ  []string
	results  io.Writer
	log      io.Writer
	failed   map[string]string // the last reason, by row and contender
	failures map[string]int
}

func (m *match) rounds(ctx context.Context) error {
	for round := 1; round <= m.options.rounds; round++ {
		for _, row := range m.rows {
			for _, c := range inTurn(row.Contenders, round) {
				if err := m.turn(ctx, round, row, c); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// inTurn is the order of a round: every round begins with another contender, so
// that nobody is always the first after a pause.
func inTurn(contenders []rows.Contender, round int) []rows.Contender {
	first := (round - 1) % len(contenders)
	return append(slices.Clone(contenders[first:]), contenders[:first]...)
}

// turn runs one contender in a process of its own, which has no garbage, threads
// or warm caches of others.
func (m *match) turn(ctx context.Context, round int, row rows.Row, c rows.Contender) error {
	who := row.ID() + ", " + c.Title
	if m.failures[who] >= giveUpAfter {
		return nil
	}
	fmt.Fprintf(m.log, "round %d of %d: %s\n", round, m.options.rounds, who)
	benchtime := m.benchtime
	if row.Benchtime != "" {
		benchtime = row.Benchtime
	}
	limited, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	cmd := exec.CommandContext(limited, m.binary, "-test.run=^$", "-test.bench="+row.Pattern(c.Name), "-test.benchtime="+benchtime, "-test.benchmem")
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), m.environ...)
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	results, rest := sift(output)
	if err != nil || len(results) == 0 {
		if limited.Err() != nil {
			rest = fmt.Sprintf("it took longer than %v", turnTimeout)
		}
		m.failures[who]++
		m.failed[who] = rest
		fmt.Fprintf(m.log, "  no result: %s\n", rest)
		return nil
	}
	_, err = fmt.Fprintf(m.results, "%s: %d\n%s", report.RoundKey, round, results)
	return err
}

// sift parts a benchmark's output into the lines of the benchmark format and the
// first line that says something else.
func sift(output []byte) (results []byte, rest string) {
	lines := bufio.NewScanner(bytes.NewReader(output))
	lines.Buffer(nil, len(output)+1)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "Benchmark") && strings.Contains(line, "ns/op"),
			strings.HasPrefix(line, "goos: "), strings.HasPrefix(line, "goarch: "), strings.HasPrefix(line, "cpu: "):
			results = append(results, line+"\n"...)
		case line == "PASS", line == "FAIL", strings.HasPrefix(line, "pkg: "), strings.HasPrefix(line, "--- "), rest != "":
		default:
			rest = strings.TrimSpace(line)
		}
	}
	if !bytes.Contains(results, []byte("Benchmark")) {
		results = nil
	}
	return results, rest
}

// failedInOrder lists contenders without a result, in the order of the rows.
func (m *match) failedInOrder() []string {
	var list []string
	for _, row := range m.rows {
		for _, c := range row.Contenders {
			who := row.ID() + ", " + c.Title
			if n := m.failures[who]; n > 0 {
				list = append(list, fmt.Sprintf("%s: %s (%d times)", who, m.failed[who], n))
			}
		}
	}
	return list
}

// draw writes the page and the charts from results.txt.
func draw(o options) error {
	text, err := os.ReadFile(filepath.Join(o.out, resultsFile))
	if err != nil {
		return err
	}
	m, err := report.Read(bytes.NewReader(text), resultsFile)
	if err != nil {
		return err
	}
	var failures []string
	for line := range strings.Lines(string(text)) {
		if who, found := strings.CutPrefix(strings.TrimSpace(line), missingMark); found {
			failures = append(failures, who)
		}
	}
	charts, err := report.Charts(m, o.rows)
	if err != nil {
		return err
	}
	for name, svg := range charts {
		if err := os.WriteFile(filepath.Join(o.out, chartsDir, name), svg, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(o.out, pageFile), []byte(report.Page(m, o.rows, failures)), 0o644)
}
