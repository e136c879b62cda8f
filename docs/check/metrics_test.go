package check

import (
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/nimueprom"
	"github.com/nimue-go/nimue/pool"
)

// series are all that the collector exports, by the names by which they are queried,
// with the values of their labels.
type series map[string]labelValues

// labelValues are the values of each label.
type labelValues map[string]map[string]bool

func (l labelValues) add(name, value string) {
	if l[name] == nil {
		l[name] = map[string]bool{}
	}
	l[name][value] = true
}

func exported(t *testing.T) series {
	t.Helper()
	p, err := pool.New(scripted.New(scripted.Hooks{}), pool.Config{Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(nimueprom.NewCollector(p))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := series{}
	for _, f := range families {
		names := []string{f.GetName()}
		if f.GetMetric()[0].Histogram != nil {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, name := range names {
			all[name] = labelValues{}
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					all[name].add(l.GetName(), l.GetValue())
				}
				for _, b := range m.GetHistogram().GetBucket() {
					all[name].add("le", strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
				}
			}
		}
	}
	// The kinds of errors that there have not been.
	all["nimue_last_error_timestamp_seconds"] = labelValues{}
	all["nimue_last_error_timestamp_seconds"].add("pool", "orders")
	for i := range pool.NumErrorKinds {
		all["nimue_last_error_timestamp_seconds"].add("kind", pool.ErrorKind(i).String())
	}
	return all
}

// checkQuery parses an expression and looks up every series that it selects: the name,
// the labels that it asks for by value, and those that it groups or matches by.
func (s series) checkQuery(t *testing.T, where, query string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	selected, labelled, by := 0, map[string]bool{"job": true, "instance": true}, []string(nil)
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch v := node.(type) {
		case *parser.AggregateExpr:
			by = append(by, v.Grouping...)
		case *parser.BinaryExpr:
			if v.VectorMatching != nil {
				by = append(append(by, v.VectorMatching.MatchingLabels...), v.VectorMatching.Include...)
			}
		case *parser.VectorSelector:
			selected++
			known, ok := s[v.Name]
			if !ok {
				t.Errorf("%s: no metric is called %q", where, v.Name)
				return nil
			}
			for name := range known {
				labelled[name] = true
			}
			for _, m := range v.LabelMatchers {
				s.checkMatcher(t, where, v.Name, known, m)
			}
		}
		return nil
	})
	for _, name := range by {
		if !labelled[name] {
			t.Errorf("%s: nothing in %q has a label %q", where, query, name)
		}
	}
	if selected == 0 {
		t.Errorf("%s: %q selects nothing", where, query)
	}
}

func (s series) checkMatcher(t *testing.T, where, name string, known labelValues, m *labels.Matcher) {
	t.Helper()
	switch m.Name {
	case model.MetricNameLabel, "job", "instance", "pool": // a dashboard's variables stand for these
		return
	}
	values := known[m.Name]
	if values == nil {
		t.Errorf("%s: %s has no label %q", where, name, m.Name)
		return
	}
	wanted := []string{m.Value}
	if m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp {
		wanted = strings.Split(m.Value, "|")
	}
	for _, value := range wanted {
		if !values[value] {
			t.Errorf("%s: %s never has %s=%q", where, name, m.Name, value)
		}
	}
}
