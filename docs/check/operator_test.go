package check

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/servers"
)

// TestAsAnOperatorWould breaks an application in three ways, one after the other: it
// leaks its connections, it is overloaded, and its server restarts. Each time the
// operator, who has the metrics and the log, asks what operations.md has him ask, and
// must come to that diagnosis and no other. The rules of alerts.yml run beside it.
func TestAsAnOperatorWould(t *testing.T) {
	a := startApplication(t)
	stopUsual := a.work(2, "SELECT 1", 5*time.Millisecond) // the usual load is never absent
	defer stopUsual()
	a.observe(t, 10)
	if signs := a.signs(t); len(signs) > 0 {
		t.Fatalf("in good health there are signs of %v", signs)
	}

	t.Run("leak", func(t *testing.T) {
		i := a.incident(t)
		var rows []interface{ Close() error }
		for range conns {
			rows = append(rows, a.forgetsToCloseRows(t))
		}
		i.diagnose("leak")
		i.fired("NimueLeak", "NimueAcquireTimeouts")
		i.silent("NimueOutage", "NimuePoolDown")
		// The log names the holder, and the statement without its literals.
		i.logged("leak found", "pool=shop", "forgetsToCloseRows", "application_test.go", "generate_series")
		i.notLogged("secret-literal", "outage began")
		for _, r := range rows {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		i.recovers()
		i.logged("leak returned")
	})

	t.Run("overload", func(t *testing.T) {
		i := a.incident(t)
		stop := a.work(100, "SELECT pg_sleep(0.02)", 0) // 500 ms of work for each connection that may wait 250
		i.diagnose("overload")
		i.until("NimueWaitersPersist fires", func() bool { return i.firing("NimueWaitersPersist") })
		i.fired("NimueWaitersPersist", "NimueAcquireTimeouts")
		i.silent("NimueLeak", "NimueOutage", "NimuePoolDown")
		i.logged("acquire timeout", "(4 in use, 0 idle, ")
		i.notLogged("leak found", "outage began")
		stop()
		i.recovers()
	})

	t.Run("restart", func(t *testing.T) {
		i := a.incident(t)
		if err := a.server.Shutdown(servers.Fast); err != nil {
			t.Fatal(err)
		}
		i.diagnose("restart")
		i.until("NimueOutage fires", func() bool { return i.firing("NimueOutage") })
		if err := a.server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		i.recovers()
		i.fired("NimueOutage")
		i.silent("NimueLeak")
		i.logged("connect failed")
		i.logged("outage began")
		i.logged("outage ended")
		i.notLogged("leak found")
	})
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
	for deadline := time.Now().Add(30 * time.Second); !is(); i.app.observe(i.T, 1) {
		if time.Now().After(deadline) {
			i.Fatalf("not in 30 s: %s; signs of %v; the log:\n%s", what, i.app.signs(i.T), strings.Join(i.log(), "\n"))
		}
	}
}

// diagnose waits until the signs point to something, and wants that to be it, then and
// for as long as it goes on.
func (i *incident) diagnose(want string) {
	i.Helper()
	i.app.observe(i.T, 1)
	i.until("a sign of anything", func() bool { return len(i.app.signs(i.T)) > 0 })
	for range 8 {
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

// notLogged wants none of the texts anywhere.
func (i *incident) notLogged(texts ...string) {
	i.Helper()
	for _, text := range texts {
		for _, line := range i.log().saying(text) {
			i.Errorf("the log has %q: %s", text, line)
		}
	}
}
