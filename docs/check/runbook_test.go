package check

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// parameters are those that a DSN may have, as nimue itself explains them.
func parameters(t *testing.T) map[string]bool {
	t.Helper()
	explanation, err := nimue.Explain("pgx:postgres://localhost/shop")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, s := range explanation.Settings {
		known[s.Name] = true
	}
	return known
}

var parameterName = regexp.MustCompile(`\bpool_[a-z_]+[a-z]\b`)

// parametersIn finds the parameters that a text names.
func parametersIn(text string) []string { return parameterName.FindAllString(text, -1) }

// TestRunbookNamesWhatThereIs looks up every parameter, metric and link in the runbook,
// and parses its queries.
func TestRunbookNamesWhatThereIs(t *testing.T) {
	text, known, settings := document(t, "operations.md"), exported(t), parameters(t)
	named := map[string]bool{}
	for _, p := range parametersIn(text) {
		named[p] = true
		if !settings[p] {
			t.Errorf("there is no parameter %s", p)
		}
	}
	for _, must := range []string{"pool_max_conns", "pool_min_conns", "pool_acquire_timeout", "pool_max_waiters", "pool_leak_threshold", "pool_leak_reclaim", "pool_outage_grace"} {
		if !named[must] {
			t.Errorf("the runbook says nothing of %s", must)
		}
	}
	for _, m := range regexp.MustCompile(`\bnimue_[a-z_]+[a-z]\b`).FindAllString(text, -1) {
		if known[m] == nil && known[m+"_count"] == nil {
			t.Errorf("there is no metric %s", m)
		}
	}
	for _, q := range regexp.MustCompile("(?s)```promql\n(.*?)\n```").FindAllStringSubmatch(text, -1) {
		known.checkQuery(t, "operations.md", q[1])
	}
	anchors := headings(text)
	for _, l := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		if !anchors[l[1]] {
			t.Errorf("there is no heading for #%s", l[1])
		}
	}
	for _, r := range alerts(t) {
		delete(anchors, strings.ToLower(r.Alert))
	}
	for anchor := range anchors {
		if strings.HasPrefix(anchor, "nimue") {
			t.Errorf("there is no alert for the heading %s", anchor)
		}
	}
}

// errorBlock is a text below a comment such as <!-- error: timeout -->, which shows
// what a caller gets.
var errorBlock = regexp.MustCompile("(?s)<!-- error: ([a-z ]+) -->\n+```text\n(.*?)\n```")

// TestRunbookShowsRealErrors has a pool refuse callers in each way that the runbook
// shows, and compares what they get with what it shows, figures aside.
func TestRunbookShowsRealErrors(t *testing.T) {
	shown := map[string]string{}
	for _, m := range errorBlock.FindAllStringSubmatch(document(t, "operations.md"), -1) {
		shown[m[1]] = m[2]
	}
	refused := errors.New("dial tcp 10.0.0.5:5432: connect: connection refused")
	got := map[string]error{}

	_, busy := openShop(t, scripted.Hooks{}, pool.Config{AcquireTimeout: 20 * time.Millisecond})
	got["timeout"] = busy.refusal(t)
	_, busy = openShop(t, scripted.Hooks{}, pool.Config{})
	got["deadline"] = busy.refusal(t)
	_, busy = openShop(t, scripted.Hooks{}, pool.Config{MaxWaiters: pool.None})
	got["exhausted"] = busy.refusal(t)

	p, busy := openShop(t, scripted.Hooks{}, pool.Config{AcquireTimeout: 20 * time.Millisecond})
	p.Suspend(false)
	got["suspended"] = busy.refusal(t)
	p.Suspend(true)
	got["suspended and refused"] = busy.refusal(t)
	_ = p.Close()
	got["closed"] = busy.refusal(t)

	down := scripted.Hooks{Connect: func(context.Context, int) error { return refused }}
	_, none := openShop(t, down, pool.Config{MaxConns: 4, AcquireTimeout: 20 * time.Millisecond})
	got["timeout in an outage"] = none.refusal(t)
	_, none = openShop(t, down, pool.Config{MaxConns: 4, OutageGrace: 20 * time.Millisecond})
	got["unavailable"] = none.refusal(t)

	p, busy = openShop(t, scripted.Hooks{}, pool.Config{LeakReclaim: 20 * time.Millisecond})
	for deadline := time.Now().Add(10 * time.Second); p.Stats().LeaksTaken == 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	got["reclaimed"] = busy.holder(t)

	for what, err := range got {
		if err == nil || shown[what] == "" || shape(err.Error()) != shape(shown[what]) {
			t.Errorf("%s: a caller gets\n%v\nand the runbook shows\n%s", what, err, shown[what])
		}
	}
	for what := range shown {
		if got[what] == nil {
			t.Errorf("%s is shown and never happens", what)
		}
	}
	for what, kind := range map[string]error{
		"timeout": pool.ErrAcquireTimeout, "deadline": context.DeadlineExceeded, "exhausted": pool.ErrExhausted, "suspended": pool.ErrAcquireTimeout,
		"suspended and refused": pool.ErrSuspended, "closed": pool.ErrClosed, "unavailable": pool.ErrUnavailable,
		"timeout in an outage": refused, "reclaimed": pool.ErrReclaimed,
	} {
		if !errors.Is(got[what], kind) {
			t.Errorf("%s is no %v: %v", what, kind, got[what])
		}
	}
}

// shape is an error's text without its figures, of which a caller has others.
func shape(text string) string {
	text = regexp.MustCompile(`(\d+m)?\d+(\.\d+)?(µs|ms|s)\b`).ReplaceAllString(text, "0s")
	return regexp.MustCompile(`\b\d+ (in use|idle|waiting)`).ReplaceAllString(text, "0 $1")
}

// shop is a database of whose connections one is held, if there are any.
type shop struct {
	db   *sql.DB
	held *sql.Conn
}

func openShop(t *testing.T, hooks scripted.Hooks, cfg pool.Config) (*pool.Pool, shop) {
	t.Helper()
	cfg.Name = "orders"
	holds := cfg.MaxConns == 0
	if holds {
		cfg.MaxConns = 1
	}
	connector, err := nimue.NewConnector(scripted.New(hooks), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := shop{db: sql.OpenDB(connector)}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if s.held != nil {
			_ = s.held.Close()
		}
		_ = s.db.Close()
		_ = connector.Pool().Shutdown(ctx)
	})
	if !holds {
		return connector.Pool(), s
	}
	if s.held, err = s.db.Conn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.held.ExecContext(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	return connector.Pool(), s
}

// refusal is what a caller gets who has 100 ms.
func (s shop) refusal(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := s.db.ExecContext(ctx, "SELECT 1")
	return err
}

// holder is what whoever holds the connection gets.
func (s shop) holder(t *testing.T) error {
	t.Helper()
	_, err := s.held.ExecContext(t.Context(), "SELECT 1")
	return err
}

// TestSizingAddsUp does the sums of the worked example again.
func TestSizingAddsUp(t *testing.T) {
	block := regexp.MustCompile("(?s)<!-- sums -->\n+```text\n(.*?)\n```").FindStringSubmatch(document(t, "operations.md"))
	if block == nil {
		t.Fatal("the runbook has no sums")
	}
	sum := regexp.MustCompile(`^(.+?) {2,}(.+?) += ([\d.,]+)$`)
	for _, line := range strings.Split(block[1], "\n") {
		parts := sum.FindStringSubmatch(line)
		if parts == nil {
			t.Errorf("%q is no sum", line)
			continue
		}
		if have, want := compute(t, parts[2]), compute(t, parts[3]); math.Abs(have-want) > 1e-9 {
			t.Errorf("%s comes to %v", parts[2], have)
		}
	}
}

// compute works a formula out.
func compute(t *testing.T, formula string) float64 {
	t.Helper()
	formula = strings.NewReplacer(",", "", "×", "*", "−", "-").Replace(formula)
	none := newRecorder("")
	q, err := none.engine.NewInstantQuery(t.Context(), none, nil, formula, epoch)
	if err != nil {
		t.Fatalf("%s: %v", formula, err)
	}
	defer q.Close()
	result, err := q.Exec(t.Context()).Scalar()
	if err != nil {
		t.Fatalf("%s: %v", formula, err)
	}
	return result.V
}

// TestQueueTable works the table of waits out again.
func TestQueueTable(t *testing.T) {
	table := regexp.MustCompile(`<!-- queue: need (\d+), hold (\d+) -->\n((?:\|.*\n)+)`).FindStringSubmatch(document(t, "operations.md"))
	if table == nil {
		t.Fatal("the runbook has no table of waits")
	}
	need, hold := compute(t, table[1]), compute(t, table[2])
	rows := regexp.MustCompile(`(?m)^\| (\d+) \|.*$`).FindAllStringSubmatch(table[3], -1)
	if len(rows) < 5 {
		t.Errorf("only %d rows", len(rows))
	}
	for _, row := range rows {
		conns := compute(t, row[1])
		want := fmt.Sprintf("| %s | %.0f %% | %.1f %% | %.1f ms |", row[1], 100*need/conns, 100*erlangC(conns, need), hold/(conns-need))
		if row[0] != want {
			t.Errorf("%s should be %s", row[0], want)
		}
	}
}

// erlangC is the part of callers that has to wait.
func erlangC(conns, need float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; k < conns; k++ {
		term *= need / k
		sum += term
	}
	term *= need / conns * conns / (conns - need)
	return term / (sum + term)
}

// TestRunbookCode looks up every piece of Go in the runbook, and has nimue explain every
// DSN of pgx in it.
func TestRunbookCode(t *testing.T) {
	text := document(t, "operations.md")
	source, err := os.ReadFile("steering_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)\n```").FindAllStringSubmatch(text, -1)
	if len(blocks) < 4 {
		t.Errorf("only %d pieces of code", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(unindented(string(source)), unindented(b[1])) {
			t.Errorf("steering_test.go does not compile this:\n%s", b[1])
		}
	}
	for _, dsn := range regexp.MustCompile(`(?m)^pgx:.*$`).FindAllString(text, -1) {
		if _, err := nimue.Explain(dsn); err != nil {
			t.Error(err)
		}
	}
}

// unindented is code without what begins its lines.
func unindented(code string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(code, "")
}

// TestRunbookCallsThingsByTheirNames looks up the methods, the errors, the buttons and
// the lines of the log that the runbook names.
func TestRunbookCallsThingsByTheirNames(t *testing.T) {
	text := document(t, "operations.md")
	source := func(name string) string {
		t.Helper()
		code, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(code)
	}
	each := func(what string, least int, pattern string, is func(name string) bool) {
		t.Helper()
		all := regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
		if len(all) < least {
			t.Errorf("only %d times %s", len(all), what)
		}
		for _, m := range all {
			if !is(m[1]) {
				t.Errorf("there is no %s %s", what, m[1])
			}
		}
	}
	p := reflect.TypeFor[*pool.Pool]()
	each("method", 10, `\bp\.([A-Z]\w+)\(`, func(name string) bool { _, is := p.MethodByName(name); return is })
	code := source("pool/errors.go") + source("pool/control.go") + source("pool/track.go")
	each("error", 6, `\bpool\.(Err\w+)`, func(name string) bool { return regexp.MustCompile(`\b` + name + `\s+= errors\.New`).MatchString(code) })
	page := source("status/page.html")
	each("button", 6, `(?m)^\| `+"`p"+`\.[^|]+\| \*([^*|]+)\*`, func(name string) bool {
		return strings.Contains(page, ">"+name+"</button>") || strings.Contains(page, "<summary>"+name+"</summary>")
	})

	levels := regexp.MustCompile(`\| level \| lines \|\n\|[-|]+\n((?:\|.*\n?)+)`).FindStringSubmatch(text)
	if levels == nil {
		t.Fatal("the runbook does not say what is logged")
	}
	lines := source("pool/log.go")
	known := func(line string) bool {
		if strings.Contains(lines, `"`+line+`"`) {
			return true
		}
		for k := range pool.EventsLost {
			if k.String() == line {
				return true
			}
		}
		for r := range pool.NumReasons {
			if "connection "+pool.Reason(r).String() == line {
				return true
			}
		}
		return false
	}
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(levels[1], -1) {
		if !known(m[1]) {
			t.Errorf("nothing logs %q", m[1])
		}
	}
}
