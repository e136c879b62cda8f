package chaos

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

var update = flag.Bool("update", false, "write what the run has seen to RESULTS.md")

// results collects what the contenders' applications saw.
var results = &table{cells: make(map[string]map[string]string)}

// table is one line per fault and one cell per contender.
type table struct {
	mu     sync.Mutex
	faults []line
	cells  map[string]map[string]string // by fault and contender
}

type line struct {
	section string
	order   int // within the section
	fault   string
}

// sections are the parts of RESULTS.md, in order. The columns of each are its
// contenders.
var sections = []struct {
	title      string
	contenders []string
}{
	{onPostgres, []string{isNimue, isTuned, isFromPool, isPgxpool}},
	{onPostgresFaults, []string{isNimue, isTuned, isFromPool, isPgxpool}},
	{onFailover, []string{isNimue, isTuned, isFromPool, isPgxpool}},
	{onBouncer, []string{isNimue, isTuned, isFromPool, isPgxpool}},
	{onMariadb, []string{isNimue, isTuned}},
}

const (
	onPostgres       = "PostgreSQL: the first callers afterwards"
	onPostgresFaults = "PostgreSQL: under load"
	onFailover       = "PostgreSQL: a primary and its standby"
	onBouncer        = "PostgreSQL behind PgBouncer"
	onMariadb        = "MariaDB: under load"
)

// add notes a cell. The lines of a section stand in the order of their first cells.
func (t *table) add(section, fault, contender, cell string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := section + "\n" + fault
	if t.cells[key] == nil {
		t.cells[key] = make(map[string]string)
		t.faults = append(t.faults, line{section, len(t.faults), fault})
	}
	t.cells[key][contender] = cell
}

// cell is how a report reads in the table: how many statements failed and of
// what, and the longest that one took, well or not.
func cell(r *report) string {
	text := "0"
	if len(r.failures) > 0 {
		text = describe(r.kinds())
	}
	return text + "; " + roundWait(r.longest)
}

// roundWait leaves two digits: what differs from run to run is not worth more.
func roundWait(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// markdown is the table as a page.
func (t *table) markdown() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "# What the application saw\n\nWritten by `go test -update`, on %d cores (%s/%s). README.md says what the columns mean.\n",
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	for _, section := range sections {
		lines := slices.DeleteFunc(slices.Clone(t.faults), func(l line) bool { return l.section != section.title })
		if len(lines) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n| fault | %s |\n|---%s|\n", section.title,
			strings.Join(section.contenders, " | "), strings.Repeat("|---", len(section.contenders)))
		for _, l := range lines {
			fmt.Fprintf(&b, "| %s |", l.fault)
			for _, contender := range section.contenders {
				text := t.cells[l.section+"\n"+l.fault][contender]
				if text == "" {
					text = "–"
				}
				fmt.Fprintf(&b, " %s |", text)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// finish shows the table, and writes it where the run was asked to.
func (t *table) finish() error {
	if len(t.faults) == 0 {
		return nil
	}
	page := t.markdown()
	fmt.Println(page)
	if !*update {
		return nil
	}
	return os.WriteFile("RESULTS.md", []byte(page), 0o644)
}
