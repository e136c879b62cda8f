package check

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nimue-go/nimue/status"
)

// fetch gets something of the status page's.
func (a *application) fetch(t *testing.T, name string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.page+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// sight is what an operator reads on the page, part by part, by the names that the
// runbook has for them.
type sight map[string]string

// The parts of the page.
const (
	headline = "page, the line beneath the pool's name"
	outage   = "page, the line beneath that"
	holders  = "page, *Held longest*"
	logged   = "log"
)

var parts = map[string]*regexp.Regexp{
	headline: regexp.MustCompile(`(?s)<p class="health .*?</p>`),
	outage:   regexp.MustCompile(`(?s)<p class="outage">.*?</p>`),
	holders:  regexp.MustCompile(`(?s)<h3>Held longest</h3>.*?<h3>`),
}

// look reads the page.
func (a *application) look(t *testing.T) sight {
	t.Helper()
	code, page := a.fetch(t, "")
	if code != http.StatusOK {
		t.Fatalf("the page answers %d: %s", code, page)
	}
	if strings.Contains(page, "secret-literal") {
		t.Error("the page shows a literal of a statement")
	}
	seen := sight{}
	for name, part := range parts {
		seen[name] = words(part.FindString(page))
	}
	if !strings.Contains(seen[holders], "Held longest") || seen[headline] == "" {
		t.Fatalf("the page has not all its parts: %q", seen)
	}
	return seen
}

var tag = regexp.MustCompile(`<[^>]*>`)

// words is what a person reads of a piece of HTML.
func words(text string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tag.ReplaceAllString(text, " "))), " ")
}

// report is the same for programs.
func (a *application) report(t *testing.T) status.Pool {
	t.Helper()
	_, body := a.fetch(t, "status.json")
	var r status.Report
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Pools) != 1 || strings.Contains(body, "secret-literal") {
		t.Fatalf("the report has %d pools, or a literal", len(r.Pools))
	}
	return r.Pools[0]
}

// saying is a cell of the runbook's table: what a place says in one of the incidents.
type saying struct {
	must [][]string // of each, one
	may  []string
}

func (s saying) all() []string { return append(slices.Concat(s.must...), s.may...) }

// symptoms reads the table of "Which is it?": for every place that is to be looked at,
// what it says in each kind of incident. What is quoted there has to be found there;
// of what is joined by "or", one; what comes after "perhaps" need not. What only
// another kind has must not be there.
func symptoms(t *testing.T) map[string]map[string]saying {
	t.Helper()
	table := regexp.MustCompile(`<!-- says -->\n\| look at \| leak \| overload \| restart or outage \|\n\|[-|]+\n((?:\|.*\n)+)`).
		FindStringSubmatch(document(t, "operations.md"))
	if table == nil {
		t.Fatal("the runbook has no table of symptoms")
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	all := map[string]map[string]saying{}
	for line := range strings.Lines(table[1]) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 {
			t.Fatalf("%d cells in %q", len(cells), line)
		}
		place := strings.TrimSpace(cells[0])
		all[place] = map[string]saying{}
		for i, kind := range []string{"leak", "overload", "restart"} {
			var s saying
			for _, piece := range strings.Split(cells[i+1], ",") {
				var texts []string
				for _, q := range quoted.FindAllStringSubmatch(piece, -1) {
					texts = append(texts, q[1])
				}
				switch {
				case len(texts) == 0:
				case strings.Contains(piece, "perhaps"):
					s.may = append(s.may, texts...)
				default:
					s.must = append(s.must, texts)
				}
			}
			all[place][kind] = s
		}
	}
	for _, place := range []string{headline, outage, holders, logged} {
		if all[place] == nil {
			t.Fatalf("the runbook does not say to look at: %s", place)
		}
	}
	return all
}

// misses tells in what a sight is not what the runbook says of a kind of incident.
func misses(all map[string]map[string]saying, seen sight, kind string) (wrong []string) {
	for place, text := range seen {
		own := all[place][kind]
		for _, one := range own.must {
			if !slices.ContainsFunc(one, func(s string) bool { return strings.Contains(text, s) }) {
				wrong = append(wrong, place+" does not say "+strings.Join(one, " or "))
			}
		}
		for other, s := range all[place] {
			for _, strange := range s.all() {
				if other != kind && !slices.Contains(own.all(), strange) && strings.Contains(text, strange) {
					wrong = append(wrong, place+" says "+strange+", as in: "+other)
				}
			}
		}
	}
	return wrong
}

// shows wants the page and the log to say what the runbook says of a kind of incident,
// and of no other, as soon as they have had the time to, and then for some time on.
func (i *incident) shows(kind string) {
	i.Helper()
	all := symptoms(i.T)
	see := func() sight {
		seen := i.app.look(i.T)
		seen[logged] = strings.Join(i.log(), "\n")
		return seen
	}
	for range 9 {
		var seen sight
		i.until("the page and the log show: "+kind, func() bool {
			seen = see()
			return len(misses(all, seen, kind)) == 0
		})
		for _, other := range []string{"leak", "overload", "restart"} {
			if other != kind && misses(all, seen, other) == nil {
				i.Fatalf("it is: %s, and looks like: %s as well\n%q", kind, other, seen)
			}
		}
		i.app.observe(i.T, 1)
	}
}
