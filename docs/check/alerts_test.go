package check

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// alerts reads the rules as Prometheus does.
func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.Parse([]byte(document(t, "alerts.yml")), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.Default())
	for _, err := range errs {
		t.Error(err)
	}
	if len(errs) > 0 {
		t.FailNow()
	}
	var rules []rulefmt.Rule
	for _, g := range groups.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

func TestAlertsAreComplete(t *testing.T) {
	known, anchors := exported(t), headings(document(t, "operations.md"))
	rules := alerts(t)
	if len(rules) < 10 {
		t.Errorf("only %d rules", len(rules))
	}
	for _, r := range rules {
		known.checkQuery(t, r.Alert, r.Expr)
		for _, annotation := range []string{"summary", "description", "runbook"} {
			if r.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", r.Alert, annotation)
			}
		}
		if r.Labels["severity"] != "page" && r.Labels["severity"] != "ticket" {
			t.Errorf("%s has severity %q", r.Alert, r.Labels["severity"])
		}
		file, anchor, _ := strings.Cut(r.Annotations["runbook"], "#")
		if file != "operations.md" || !anchors[anchor] || anchor != strings.ToLower(r.Alert) {
			t.Errorf("%s: the runbook has no %s", r.Alert, r.Annotations["runbook"])
		}
	}
}

// headings are the anchors of a document, as they are made of its headings.
func headings(text string) map[string]bool {
	anchors := map[string]bool{}
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, h := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		anchors[strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	return anchors
}
