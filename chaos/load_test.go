package chaos

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// dialect is what the load says, in one server's own words. The table has no
// unique key, so that a statement which is executed twice is seen.
type dialect struct{ create, insert, read, rows string }

var (
	postgresSQL = dialect{
		create: "CREATE TABLE %[1]s (worker int NOT NULL, seq int NOT NULL); CREATE INDEX ON %[1]s (worker, seq)",
		insert: "INSERT INTO %s VALUES ($1, $2)",
		read:   "SELECT count(*) FROM %s WHERE worker = $1 AND seq > $2",
		rows:   "SELECT worker, seq FROM %s",
	}
	mariadbSQL = dialect{
		create: "CREATE TABLE %s (worker int NOT NULL, seq int NOT NULL, INDEX (worker, seq)) ENGINE=InnoDB",
		insert: "INSERT INTO %s VALUES (?, ?)",
		read:   "SELECT count(*) FROM %s WHERE worker = ? AND seq > ?",
		rows:   "SELECT worker, seq FROM %s",
	}
)

const (
	// workers are twice as many as connections: half of them always wait.
	workers = 32
	// thinkTime keeps the load of a worker bounded, above all that of one whose
	// every statement fails at once.
	thinkTime = 5 * time.Millisecond
	// readEvery is how many statements one read is among.
	readEvery = 4
	// patience bounds every wait for something that must happen, and
	// peersPatience the wait for a peer's load to be well again, which may never be.
	patience      = 30 * time.Second
	peersPatience = 20 * time.Second
)

// row is a numbered row: which worker wrote it, and its how manieth it was.
type row struct{ worker, seq int }

// failure is a statement that the application saw fail.
type failure struct {
	row   row
	write bool
	began time.Time
	took  time.Duration
	kind  string
	err   error
}

// report is all that the application saw.
type report struct {
	acknowledged map[row]bool
	failures     []failure
	reads        int
	longest      time.Duration
}

// load is a number of workers who write and read by themselves until they are stopped.
type load struct {
	c        *contender
	words    dialect
	table    string
	deadline time.Duration // of each statement
	hopeless bool          // the fault has seen that it does not recover

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	done   []atomic.Int64 // statements that succeeded, by worker

	mu        sync.Mutex // guards what is below
	report    report
	lastWrite time.Time // when the last one was acknowledged
}

// startLoad starts n workers on a table that exists already.
func startLoad(c *contender, words dialect, table string, n int, deadline time.Duration) *load {
	l := &load{c: c, words: words, table: table, deadline: deadline, done: make([]atomic.Int64, n)}
	l.report.acknowledged = make(map[row]bool)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for w := range n {
		l.work.Go(func() { l.worker(w) })
	}
	return l
}

// worker writes its rows one after the other, each number once: whether a write
// that failed was executed is not known, so it is never written again.
func (l *load) worker(w int) {
	insert, read := fmt.Sprintf(l.words.insert, l.table), fmt.Sprintf(l.words.read, l.table)
	for seq := 1; l.ctx.Err() == nil; seq++ {
		write := seq%readEvery != 0
		// Not of l.ctx: a load that ends cuts no statement short.
		ctx, cancel := context.WithTimeout(context.Background(), l.deadline)
		began := time.Now()
		var err error
		if write {
			err = l.c.exec(ctx, insert, w, seq)
		} else {
			_, err = l.c.count(ctx, read, w, seq-readEvery)
		}
		cancel()
		l.note(failure{row: row{w, seq}, write: write, began: began, took: time.Since(began), err: err})
		select {
		case <-l.ctx.Done():
		case <-time.After(thinkTime):
		}
	}
}

func (l *load) note(f failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.longest = max(l.report.longest, f.took)
	switch {
	case f.err != nil:
		f.kind = kindOf(f.err)
		l.report.failures = append(l.report.failures, f)
		return
	case f.write:
		l.report.acknowledged[f.row] = true
		l.lastWrite = f.began.Add(f.took)
	default:
		l.report.reads++
	}
	l.done[f.row.worker].Add(1)
}

// flows waits until every worker has succeeded n more times, and tells whether
// that came about. It is how a test waits for a load to be warm, or well again.
func (l *load) flows(n int64) bool {
	if l.hopeless {
		return false
	}
	goals := make([]int64, len(l.done))
	for w := range l.done {
		goals[w] = l.done[w].Load() + n
	}
	return within(l.patience(), func() bool {
		for w := range l.done {
			if l.done[w].Load() < goals[w] {
				return false
			}
		}
		return true
	})
}

// resumed waits for a write to be acknowledged after the moment, and tells how
// long after it that was.
func (l *load) resumed(after time.Time) (time.Duration, bool) {
	var took time.Duration
	ok := within(l.patience(), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		took = l.lastWrite.Sub(after)
		return took > 0
	})
	return took, ok
}

// stop ends the load and returns what it saw.
func (l *load) stop() *report {
	l.cancel()
	l.work.Wait()
	return &l.report
}

func (l *load) patience() time.Duration {
	if l.c.pool == nil {
		return peersPatience
	}
	return patience
}

// eventually asks until the answer is yes, and gives up after the patience.
func eventually(ok func() bool) bool { return within(patience, ok) }

func within(d time.Duration, ok func() bool) bool {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return ok()
}

// mustBecome is eventually, and the test ends where it does not come about.
func mustBecome(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	if !eventually(ok) {
		tb.Fatalf("not within %v: %s", patience, what)
	}
}

// kinds counts the failures by kind.
func (r *report) kinds() map[string]int {
	n := make(map[string]int)
	for _, f := range r.failures {
		n[f.kind]++
	}
	return n
}

// describe lists the failures by kind, the most frequent first.
func describe(kinds map[string]int) string {
	names := make([]string, 0, len(kinds))
	for kind := range kinds {
		names = append(names, kind)
	}
	sort.Slice(names, func(i, j int) bool {
		if kinds[names[i]] != kinds[names[j]] {
			return kinds[names[i]] > kinds[names[j]]
		}
		return names[i] < names[j]
	})
	for i, kind := range names {
		names[i] = fmt.Sprintf("%s %s", thousands(kinds[kind]), kind)
	}
	return strings.Join(names, ", ")
}

// errorTexts shows an example of each kind, for a test that failed.
func (r *report) errorTexts() string {
	var b strings.Builder
	seen := make(map[string]bool)
	for _, f := range r.failures {
		if !seen[f.kind] {
			seen[f.kind] = true
			fmt.Fprintf(&b, "\n\t%s: worker %d after %v: %v", f.kind, f.row.worker, f.took.Round(time.Millisecond), f.err)
		}
	}
	return b.String()
}

// thousands writes 3900 as 3,900.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
