package check

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/status"
)

// TestAsAnOperatorWould breaks an application in three ways, one after the other: it
// leaks its connections, it is overloaded, and its server restarts. Each time the
// operator, who has the page, the metrics and the log, asks what operations.md has him
// ask, and must come to that diagnosis and no other, by the metrics alone and by the page
// and the log alone. The rules of alerts.yml run beside it.
func TestAsAnOperatorWould(t *testing.T) {
	a := startApplication(t)
	stopUsual := a.work(2, "SELECT 1", 5*time.Millisecond) // the usual load is never absent
	defer stopUsual()
	a.observe(t, 10)
	if signs := a.signs(t); len(signs) > 0 {
		t.Fatalf("in good health there are signs of %v", signs)
	}
	if seen := a.look(t); !strings.Contains(seen[headline], "ready callers are served at once") || seen[outage] != "" {
		t.Errorf("in good health the page says %q", seen)
	}

	t.Run("leak", a.leaks)
	t.Run("overload", a.isOverloaded)
	t.Run("restart", a.losesItsServer)
	t.Run("dashboard", a.showsAll)
}

// leaks has every connection leak by rows that nobody closes.
func (a *application) leaks(t *testing.T) {
	i := a.incident(t)
	var rows []interface{ Close() error }
	for range conns {
		rows = append(rows, a.forgetsToCloseRows(t))
	}
	i.diagnose("leak")
	i.shows("leak")
	// The page names the holder of every connection.
	seen, report := a.look(t), a.report(t)
	if line := seen[headline]; !strings.HasPrefix(line, "▲ degraded 4 connections have been held for longer than 3s; ") ||
		!strings.Contains(line, "(4 in use, 0 idle, ") {
		t.Errorf("the page says %q", line)
	}
	if n := strings.Count(seen[holders], "forgetsToCloseRows application_test.go:"); n != conns {
		t.Errorf("the page names %d holders, want %d: %s", n, conns, seen[holders])
	}
	for _, c := range report.Connections {
		if name, place := c.Holder(); !c.Leaked || name != "check.(*application).forgetsToCloseRows" || !strings.HasPrefix(place, "application_test.go:") ||
			!strings.HasPrefix(c.Statement, "SELECT ") || !strings.Contains(c.Statement, "generate_series") {
			t.Errorf("the report has it of a connection that %s at %s holds it for %s; leaked: %v", name, place, c.Statement, c.Leaked)
		}
	}
	if report.Outage != nil || len(report.Connections) != conns || report.Conns.InUse != conns {
		t.Errorf("the report has an outage, or wrong counts: %+v %+v", report.Outage, report.Conns)
	}
	i.fired("NimueLeak", "NimueAcquireTimeouts")
	i.silent("NimueOutage", "NimuePoolDown")
	// The log names the holder, and the statement without its literals.
	i.logged("leak found", "pool=shop", "forgetsToCloseRows", "application_test.go", "generate_series")
	i.logsAsShown("leak found")
	i.notLogged("secret-literal", "outage began")
	for _, r := range rows {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	i.recovers()
	i.logged("leak returned")
	for _, c := range a.report(t).Connections {
		if c.Leaked {
			t.Errorf("connection %d is still called leaked", c.ID)
		}
	}
}

// isOverloaded has far more work come than the connections can do.
func (a *application) isOverloaded(t *testing.T) {
	i := a.incident(t)
	stop := a.work(160, "SELECT pg_sleep(0.05)", 0) // two seconds of work for each connection; callers wait one
	defer stop()
	i.diagnose("overload")
	i.shows("overload")
	seen, report := a.look(t), a.report(t)
	if line := seen[headline]; !strings.HasPrefix(line, "▲ degraded ") || strings.Contains(line, "connect error") {
		t.Errorf("the page says %q", line)
	}
	if !strings.Contains(seen[holders], "(*application).work") || !strings.Contains(seen[holders], "SELECT pg_sleep(#)") {
		t.Errorf("the page names as holders: %s", seen[holders])
	}
	if report.Outage != nil || report.Waiting == 0 || report.Counters.Timeouts == 0 || slices.ContainsFunc(report.Connections, func(c status.Conn) bool { return c.Leaked }) {
		t.Errorf("the report has an outage, a leak, no timeouts or nobody waiting: %+v", report)
	}
	i.until("NimueWaitersPersist fires", func() bool { return i.firing("NimueWaitersPersist") })
	i.fired("NimueWaitersPersist", "NimueAcquireTimeouts")
	i.silent("NimueLeak", "NimueOutage", "NimuePoolDown")
	i.logged("acquire timeout", "(4 in use, 0 idle, ")
	i.notLogged("leak found", "outage began")
	stop()
	i.recovers()
}

// losesItsServer has the server restart.
func (a *application) losesItsServer(t *testing.T) {
	i := a.incident(t)
	if err := a.server.Shutdown(servers.Fast); err != nil {
		t.Fatal(err)
	}
	i.diagnose("restart")
	i.shows("restart")
	i.until("the page says that the pool is down", func() bool { return strings.HasPrefix(a.look(t)[headline], "■ down no connect has succeeded for ") })
	i.shows("restart")
	report := a.report(t)
	if o := report.Outage; o == nil || o.Permanent || !o.Refusing || report.Conns.InUse != 0 || report.Conns.Idle != 0 {
		t.Errorf("the report has it that %+v, %+v", o, report.Conns)
	}
	if code, text := a.fetch(t, "ready"); code != http.StatusServiceUnavailable || !strings.Contains(text, "shop: down: no connect has succeeded for ") {
		t.Errorf("ready answers %d: %s", code, text)
	}
	i.until("NimueOutage fires", func() bool { return i.firing("NimueOutage") })
	if err := a.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	i.recovers()
	if code, text := a.fetch(t, "ready"); code != http.StatusOK {
		t.Errorf("ready answers %d after the restart: %s", code, text)
	}
	i.saw("outage began", "outage ended")
	i.fired("NimueOutage")
	i.silent("NimueLeak")
	i.logged("connect failed")
	i.logged("outage began")
	i.logged("outage ended")
	i.notLogged("leak found")
}

// signs evaluates the expressions of the runbook's table, each below a comment such as
// <!-- sign: leak -->, at the latest scrape.
func (a *application) signs(t *testing.T) []string {
	t.Helper()
	var seen []string
	for name, query := range signQueries(t) {
		if a.metrics.holds(t, query, a.metrics.taken()-1) {
			seen = append(seen, name)
		}
	}
	slices.Sort(seen)
	return seen
}

var signBlock = regexp.MustCompile("(?s)<!-- sign: (\\w+) -->\n+```promql\n(.*?)\n```")

func signQueries(t *testing.T) map[string]string {
	t.Helper()
	queries := map[string]string{}
	for _, m := range signBlock.FindAllStringSubmatch(document(t, "operations.md"), -1) {
		queries[m[1]] = m[2]
	}
	if len(queries) != 3 {
		t.Fatalf("the runbook has %d signs, want 3", len(queries))
	}
	return queries
}

// observe lets time pass, a number of scrapes.
func (a *application) observe(t *testing.T, scrapes int) {
	t.Helper()
	for range scrapes {
		time.Sleep(40 * time.Millisecond)
		a.metrics.scrape(t)
	}
}

// incident is what an operator has of an incident: what was scraped and logged since
// it began.
type incident struct {
	*testing.T
	app   *application
	first int // scrape
	mark  int // in the log
}

func (a *application) incident(t *testing.T) *incident {
	return &incident{t, a, a.metrics.taken(), a.log.mark()}
}

func (i *incident) until(what string, is func() bool) {
	i.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); i.app.observe(i.T, 1) {
		if time.Now().After(deadline) {
			i.Fatalf("not in 20 s: %s; signs of %v; the page: %q; the log:\n%s", what, i.app.signs(i.T), i.app.look(i.T), strings.Join(i.log(), "\n"))
		}
	}
}

// diagnose waits until the signs point to something, and wants that to be it, then and
// for as long as it goes on.
func (i *incident) diagnose(want string) {
	i.Helper()
	i.app.observe(i.T, 1)
	for range 9 {
		// On a machine that stalls, even a long queue may be empty for a moment.
		i.until("a sign of anything", func() bool { return len(i.app.signs(i.T)) > 0 })
		if signs := i.app.signs(i.T); !slices.Equal(signs, []string{want}) {
			i.Fatalf("the signs say %v, but it is: %s", signs, want)
		}
		i.app.observe(i.T, 1)
	}
}

// recovers waits until no sign is left.
func (i *incident) recovers() {
	i.Helper()
	i.until("all signs gone", func() bool { return len(i.app.signs(i.T)) == 0 })
}

func (i *incident) log() logLines { return i.app.log.since(i.mark) }

func (i *incident) firing(alert string) bool {
	i.Helper()
	for _, r := range alerts(i.T) {
		if r.Alert == alert {
			return i.app.metrics.fires(i.T, r.Expr, time.Duration(r.For), i.first)
		}
	}
	i.Fatalf("there is no alert %s", alert)
	return false
}

func (i *incident) fired(alerts ...string) {
	i.Helper()
	for _, a := range alerts {
		if !i.firing(a) {
			i.Errorf("%s has not fired", a)
		}
	}
}

func (i *incident) silent(alerts ...string) {
	i.Helper()
	for _, a := range alerts {
		if i.firing(a) {
			i.Errorf("%s has fired", a)
		}
	}
}

// logged wants a line that has all of the texts.
func (i *incident) logged(texts ...string) {
	i.Helper()
	if len(i.log().saying(texts...)) == 0 {
		i.Errorf("no line of the log has all of %q:\n%s", texts, strings.Join(i.log(), "\n"))
	}
}

// saw wants events of these kinds on the page.
func (i *incident) saw(kinds ...string) {
	i.Helper()
	_, page := i.app.fetch(i.T, "")
	for _, kind := range kinds {
		if !strings.Contains(page, ">"+kind+"</td>") {
			i.Errorf("the page has no event %q", kind)
		}
	}
}

// logsAsShown wants the fields of a line to be those of the one that the runbook shows.
func (i *incident) logsAsShown(msg string) {
	i.Helper()
	shown := regexp.MustCompile("<!-- log: " + msg + " -->\n+```text\n(.*)\n```").FindStringSubmatch(document(i.T, "operations.md"))
	lines := i.log().saying("msg=\"" + msg)
	if shown == nil || len(lines) == 0 {
		i.Fatalf("the runbook shows no line with %s, or the log has none", msg)
	}
	field := regexp.MustCompile(`(?:^| )(\w+)=("(?:[^"\\]|\\.)*"|\S+)`)
	names := func(line string) (all []string) {
		for _, f := range field.FindAllStringSubmatch(line, -1) {
			if all = append(all, f[1]); f[1] == "level" || f[1] == "msg" {
				all = append(all, f[2])
			}
		}
		return all
	}
	if have, want := names(lines[0]), names(shown[1]); !slices.Equal(have, want) {
		i.Errorf("the log has %q and the runbook shows %q:\n%s", have, want, lines[0])
	}
}

// notLogged wants none of the texts anywhere.
func (i *incident) notLogged(texts ...string) {
	i.Helper()
	for _, text := range texts {
		for _, line := range i.log().saying(text) {
			i.Errorf("the log has %q: %s", text, line)
		}
	}
}
