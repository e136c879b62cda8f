//lint:file-ignore SA1019 inner drivers may have only the old interfaces

package nimue_test

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

// The differential: one series of operations is run on database/sql over an inner
// driver, and again with nimue between the two, for every subset of the optional
// interfaces. What the application sees must be the same in every letter, and so
// must the inner driver's calls but for what byDesign lists.

//go:generate go run testdata/gen_subsets.go

// byDesign is everything in the inner driver's log of one step that pooling
// changes on purpose. Each takes away no more than its reason covers; both logs go
// through all of them.
var byDesign = []struct {
	reason string
	apply  func(*trace, []call) []call
}{
	{
		"the pool verifies in the background what a cancelled operation has left; a session that it has reset " +
			"there is not reset again when it is lent, so that the reset counts as made then",
		func(tr *trace, log []call) []call {
			var rest []call
			for _, c := range log {
				switch {
				case c.own && c.what == "reset":
					tr.resets[c.conn]++
					continue
				case c.own && c.what == "ping":
					continue
				case c.what != "close":
					reset := call{conn: c.conn, what: "reset"}
					rest = append(rest, slices.Repeat([]call{reset}, tr.resets[c.conn])...)
				}
				delete(tr.resets, c.conn)
				rest = append(rest, c)
			}
			return rest
		},
	},
	{
		"inner statements stay in their connection's cache instead of being closed with the sql.Stmt, so a text is " +
			"prepared once per connection, or again after a failure, however often database/sql asks",
		func(tr *trace, log []call) []call {
			return slices.DeleteFunc(log, func(c call) bool {
				if strings.HasPrefix(c.what, "prepare ") {
					again := tr.prepared[c]
					tr.prepared[c] = true
					return again
				}
				return strings.HasPrefix(c.what, "close statement ")
			})
		},
	},
	{
		"a result is asked for its values while the connection is leased, whether the application does or not",
		func(_ *trace, log []call) []call {
			return slices.DeleteFunc(log, func(c call) bool { return c.what == "last id" || c.what == "affected" })
		},
	},
	{
		"a bad connection is closed in the background while its replacement is dialled: the order between " +
			"different connections is not defined",
		func(_ *trace, log []call) []call {
			slices.SortStableFunc(log, func(a, b call) int { return a.conn - b.conn })
			return log
		},
	},
}

// trace is what byDesign must know of the steps before.
type trace struct {
	resets   map[int]int // of each connection, in the background, that no lease has counted yet
	prepared map[call]bool
}

// run is what one run of some steps showed of each.
type run struct {
	seen, calls [][]string
	wrong       []string
}

// subject is the inner driver of a comparison: which subsets of the optional
// interfaces it has, and whether it is a driver.Driver with nothing but Open.
type subject struct {
	conn, stmt, rows int
	old              bool
}

func (j subject) String() string {
	return fmt.Sprintf("conn %d (%s), stmt %d (%s), rows %d, old %t", j.conn, members(subsetOfConn(j.conn, &testConn{})),
		j.stmt, members(subsetOfStmt(j.stmt, &testStmt{})), j.rows, j.old)
}

// open opens a database over d, through nimue or directly.
func (j subject) open(t *testing.T, d *testDriver, through bool) *sql.DB {
	t.Helper()
	switch {
	case j.old:
		const quiet = "?pool_outage_grace=0&pool_health_check_period=0&pool_max_conn_lifetime=0&pool_max_conn_idle_time=0&pool_check_on_acquire=never"
		theOldDriver.to = d
		name, dsn := oldDriverName, "any"
		if through {
			name, dsn = nimue.DriverName, oldDriverName+":any"+quiet
		}
		db, err := sql.Open(name, dsn)
		if err != nil {
			t.Fatal(err)
		}
		return db
	case through:
		return sql.OpenDB(newConnector(t, d, pool.Config{OutageGrace: pool.None}))
	default:
		return sql.OpenDB(d)
	}
}

// runSteps runs the steps over a new inner driver, through nimue or directly.
func runSteps(t *testing.T, steps []step, through bool, j subject) (r run) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newTestDriver(j.conn, j.stmt, j.rows)
		s := &session{driver: d, through: through, ctx: noContext}
		s.db = j.open(t, d, through)
		tr := &trace{map[int]int{}, map[call]bool{}}
		for _, step := range steps {
			if step.do == nil {
				_ = s.db.Close()
			} else {
				step.do(s)
			}
			synctest.Wait()
			r.seen = append(r.seen, s.seen)
			s.seen = nil
			var lines []string
			log := d.takeLog()
			for _, n := range byDesign {
				log = n.apply(tr, log)
			}
			if step.logDiffers == "" {
				for _, c := range log {
					lines = append(lines, fmt.Sprintf("%d %s", c.conn, c.what))
				}
			}
			r.calls = append(r.calls, lines)
		}
		r.wrong = d.wrong
	})
	return r
}

// newConnector puts nimue over d, with nothing going on in the background but
// what the test's own operations cause.
func newConnector(t *testing.T, d driver.Connector, cfg pool.Config) *nimue.Connector {
	t.Helper()
	cfg.HealthCheckPeriod, cfg.MaxConnLifetime, cfg.MaxConnIdleTime = pool.None, pool.None, pool.None
	cfg.CheckOnAcquire = pool.CheckNever
	c, err := nimue.NewConnector(d, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// compare runs the steps both ways and reports the differences.
func compare(t *testing.T, steps []step, j subject) {
	t.Helper()
	direct, through := runSteps(t, steps, false, j), runSteps(t, steps, true, j)
	if len(through.wrong) > 0 {
		t.Errorf("%v: misuse of the inner driver: %q", j, through.wrong)
	}
	for i, step := range steps {
		if d := difference(direct.seen[i], through.seen[i]); d != "" {
			t.Errorf("%v: %s: the application sees something else: %s", j, step.name, d)
		}
		if d := difference(direct.calls[i], through.calls[i]); d != "" {
			t.Errorf("%v: %s: the inner driver sees something else: %s", j, step.name, d)
		}
	}
}

func difference(direct, through []string) string {
	for i := range max(len(direct), len(through)) {
		d, n := "nothing", "nothing"
		if i < len(direct) {
			d = direct[i]
		}
		if i < len(through) {
			n = through[i]
		}
		if d != n {
			return fmt.Sprintf("line %d:\n\tdirectly: %s\n\tthrough:  %s\nall of it:\n\tdirectly: %s\n\tthrough:  %s",
				i+1, d, n, strings.Join(direct, "\n\t\t"), strings.Join(through, "\n\t\t"))
		}
	}
	return ""
}

// members names the optional interfaces that v has.
func members(v any) string {
	var names []string
	has := func(name string, ok bool) {
		if ok {
			names = append(names, name)
		}
	}
	_, execs := v.(driver.ExecerContext)
	_, execsOld := v.(driver.Execer)
	_, queries := v.(driver.QueryerContext)
	_, queriesOld := v.(driver.Queryer)
	_, prepares := v.(driver.ConnPrepareContext)
	_, begins := v.(driver.ConnBeginTx)
	_, checks := v.(driver.NamedValueChecker)
	_, pings := v.(driver.Pinger)
	_, resets := v.(driver.SessionResetter)
	_, tells := v.(driver.Validator)
	_, stmtExecs := v.(driver.StmtExecContext)
	_, stmtQueries := v.(driver.StmtQueryContext)
	_, converts := v.(driver.ColumnConverter)
	_, oldStmt := v.(driver.Stmt)
	has("ExecerContext", execs)
	has("Execer", execsOld && !oldStmt)
	has("QueryerContext", queries)
	has("Queryer", queriesOld && !oldStmt)
	has("ConnPrepareContext", prepares)
	has("ConnBeginTx", begins)
	has("NamedValueChecker", checks)
	has("Pinger", pings)
	has("SessionResetter", resets)
	has("Validator", tells)
	has("StmtExecContext", stmtExecs)
	has("StmtQueryContext", stmtQueries)
	has("ColumnConverter", converts)
	return strings.Join(names, " ")
}

// TestSubsetsAreAll makes sure that the generated subsets are what they are
// taken for: all different, from the empty one to the full one.
func TestSubsetsAreAll(t *testing.T) {
	for _, family := range []struct {
		name string
		n    int
		make func(n int) any
	}{
		{"Conn", everyConn, func(n int) any { return subsetOfConn(n, &testConn{}) }},
		{"Stmt", everyStmt, func(n int) any { return subsetOfStmt(n, &testStmt{}) }},
	} {
		seen := map[string]int{}
		for n := range family.n {
			m := members(family.make(n))
			if before, ok := seen[m]; ok {
				t.Errorf("%s: subsets %d and %d are the same: %s", family.name, before, n, m)
			}
			seen[m] = n
		}
		if _, ok := seen[""]; !ok {
			t.Errorf("%s: the empty subset is missing", family.name)
		}
	}
	if everyConn != 3*3*1<<6 || everyStmt != 1<<4 || everyRows != 1<<6 {
		t.Errorf("%d, %d and %d subsets, want 576, 16 and 64", everyConn, everyStmt, everyRows)
	}
}

// TestEveryConnSubset runs the series for every subset of the connection's
// interfaces; the others change along with it.
func TestEveryConnSubset(t *testing.T) {
	const parts = 8
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for n := part; n < everyConn && !t.Failed(); n += parts {
				compare(t, series, subject{conn: n, stmt: n * 7 % everyStmt, rows: n * 11 % everyRows})
			}
		})
	}
}

// TestEveryStmtSubset runs the series for every subset of the statement's
// interfaces under connections with none, all, and some of theirs.
func TestEveryStmtSubset(t *testing.T) {
	t.Parallel()
	for conn := 0; conn < everyConn; conn += 115 {
		for n := range everyStmt {
			compare(t, series, subject{conn: conn, stmt: n, rows: (conn + n) % everyRows})
		}
	}
}

// TestEveryRowsSubset runs the steps that read rows for every subset of the rows'
// interfaces.
func TestEveryRowsSubset(t *testing.T) {
	t.Parallel()
	steps := slices.DeleteFunc(slices.Clone(series), func(s step) bool {
		return !slices.Contains([]string{"query", "statement", "transaction", "conn", "close"}, s.name)
	})
	for n := range everyRows {
		compare(t, steps, subject{conn: everyConn - 1, stmt: everyStmt - 1, rows: n})
		compare(t, steps, subject{conn: 0, stmt: 0, rows: n}) // where every query is prepared
	}
}

// TestSampleOfAllSubsets takes samples from the product of all subsets, spread
// evenly.
func TestSampleOfAllSubsets(t *testing.T) {
	t.Parallel()
	const all, samples = everyConn * everyStmt * everyRows, 97
	for i := range samples {
		n := i * (all/samples + 1) % all
		compare(t, series, subject{conn: n % everyConn, stmt: n / everyConn % everyStmt, rows: n / everyConn / everyStmt})
	}
}

// TestOldDriver is for inner drivers that are no driver.Connector and know
// nothing but Open, by name.
func TestOldDriver(t *testing.T) {
	for conn := 0; conn < everyConn; conn += 25 {
		compare(t, series, subject{conn: conn, stmt: conn % everyStmt, rows: conn % everyRows, old: true})
	}
}

const oldDriverName = "nimue-differential-old"

// theOldDriver is registered once for all; to is set anew for each run.
var theOldDriver = &openOnly{}

func init() { sql.Register(oldDriverName, theOldDriver) }
