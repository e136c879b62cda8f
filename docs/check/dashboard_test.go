package check

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is as much of Grafana's model as is held to account here.
type dashboard struct {
	Title, Description, UID string
	Templating              struct{ List []variable }
	Annotations             struct{ List []struct{ Name, Expr string } }
	Panels                  []panel
}

type variable struct{ Name, Type, Definition string }

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ RefID, Expr, LegendFormat string }
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(document(t, "grafana-dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

var anyVariable = regexp.MustCompile(`\$\{?([a-z_]+)\}?`)

// plain puts values in the place of a dashboard's variables, as Grafana does.
func plain(query string) string {
	return anyVariable.ReplaceAllStringFunc(query, func(v string) string {
		if v == "$__rate_interval" {
			return "1d"
		}
		return ".*"
	})
}

func TestDashboardIsComplete(t *testing.T) {
	d, known := readDashboard(t), exported(t)
	if d.Title == "" || d.Description == "" || d.UID == "" {
		t.Error("the dashboard has no title, no description or no UID")
	}
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
	}
	for _, name := range []string{"datasource", "job", "instance", "pool"} {
		if !variables[name] {
			t.Errorf("there is no variable %s", name)
		}
	}
	checkVariables := func(where, text string) {
		for _, v := range anyVariable.FindAllStringSubmatch(text, -1) {
			if !variables[v[1]] {
				t.Errorf("%s: there is no variable %s", where, v[1])
			}
		}
	}
	labelValues := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		parts := labelValues.FindStringSubmatch(v.Definition)
		if parts == nil || parts[2] != v.Name {
			t.Errorf("variable %s has the values %q", v.Name, v.Definition)
			continue
		}
		checkVariables("variable "+v.Name, v.Definition)
		known.checkQuery(t, "variable "+v.Name, plain(parts[1]))
	}
	for _, a := range d.Annotations.List {
		checkVariables("annotation "+a.Name, a.Expr)
		known.checkQuery(t, "annotation "+a.Name, plain(a.Expr))
	}

	ids, taken := map[int]bool{}, map[[2]int]string{}
	queries := 0
	for _, p := range d.Panels {
		where := fmt.Sprintf("panel %q", p.Title)
		if p.Title == "" || ids[p.ID] {
			t.Errorf("%s: no title, or another's id %d", where, p.ID)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.W <= 0 || g.H <= 0 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			t.Errorf("%s lies at %+v, of 24 columns", where, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s and %s lie over each other", where, other)
				}
				taken[[2]int{x, y}] = where
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%s has no description, or shows nothing", where)
		}
		if p.Datasource.Type != "prometheus" || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s reads %+v", where, p.Datasource)
		}
		for _, parameter := range parametersIn(p.Description) {
			if !parameters(t)[parameter] {
				t.Errorf("%s: there is no parameter %s", where, parameter)
			}
		}
		for _, q := range p.Targets {
			queries++
			checkVariables(where, q.Expr)
			known.checkQuery(t, where, plain(q.Expr))
			if !strings.Contains(q.Expr, `{job=~"$job",instance=~"$instance",pool=~"$pool"`) {
				t.Errorf("%s: %s does not heed the variables", where, q.Expr)
			}
		}
	}
	if queries < 30 {
		t.Errorf("only %d queries", queries)
	}
}

// showsAll wants every panel of the dashboard to show something, with a legend that
// tells its lines apart. By now everything has happened that a panel is about.
func (a *application) showsAll(t *testing.T) {
	legend := regexp.MustCompile(`\{\{(\w+)\}\}`)
	for _, p := range readDashboard(t).Panels {
		for _, q := range p.Targets {
			answer := a.metrics.answer(t, plain(q.Expr), a.metrics.taken()-1)
			if len(answer) == 0 {
				t.Errorf("panel %q shows nothing for %s", p.Title, q.Expr)
			}
			var names []string
			for _, sample := range answer {
				name := legend.ReplaceAllStringFunc(q.LegendFormat, func(label string) string {
					value := sample.Metric.Get(strings.Trim(label, "{}"))
					if value == "" {
						t.Errorf("panel %q: %s has no label for the legend's %s", p.Title, q.Expr, label)
					}
					return value
				})
				if slices.Contains(names, name) {
					t.Errorf("panel %q shows two lines that are called %q", p.Title, name)
				}
				names = append(names, name)
			}
		}
	}
}
