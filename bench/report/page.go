package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nimue-go/nimue/bench/rows"
)

// Page is the whole report about the rows of which there are results, in Markdown.
// Its charts are those of Charts, in the folder charts beside it. The failures are
// of contenders that gave no result, one line each.
func Page(m *Measured, all []rows.Row, failures []string) string {
	var measured []rows.Row
	for _, r := range all {
		if m.Has(r.ID()) {
			measured = append(measured, r)
		}
	}
	p := &page{m: m, drawn: map[string]bool{}}
	p.head(failures)
	p.promises(measured)
	p.slower(measured)
	for _, r := range measured {
		p.row(r)
	}
	return p.String()
}

type page struct {
	strings.Builder
	m     *Measured
	drawn map[string]bool // charts that are in the page
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// facts are the configuration keys that a page begins with, and their names.
var facts = [][2]string{
	{"date", "date"}, {"cpu", "processor"}, {"cores", "cores"}, {"goos", "system"},
	{"go", "Go"}, {"postgresql", "PostgreSQL"}, {"mariadb", "MariaDB"},
}

func (p *page) head(failures []string) {
	p.printf("# What was measured\n\nWritten by `go run .` in bench/. [README.md](README.md) says how to read it.\n\n")
	for _, fact := range facts {
		if value := p.m.Config(fact[0]); value != "" {
			p.printf("- %s: %s\n", fact[1], value)
		}
	}
	p.printf("- rounds: %d\n", p.m.Rounds())
	p.printf("\nNumbers are medians over the rounds, with the interval in which the median lies with 95 %% confidence. " +
		"Ratios are medians of the quotients within each round.\n")
	if p.m.Rounds() < 6 {
		p.printf("With fewer than six rounds there is no such interval, and none is shown.\n")
	}
	if len(failures) > 0 {
		p.printf("\n**Without a result:**\n\n")
		for _, f := range failures {
			p.printf("- %s\n", f)
		}
	}
}

func (p *page) promises(all []rows.Row) {
	p.printf("\n## What nimue promises\n\n| row | promise | seen | |\n|---|---|---|---|\n")
	for _, v := range p.m.verdicts(all) {
		contender := ""
		if c, _ := v.row.Contender(v.goal.Contender); v.goal.Contender != rows.Nimue {
			contender = " (" + c.Title + ")"
		}
		p.printf("| %s | %s%s | %s | %v |\n", v.row.Title, v.goal.Text, contender, v.seen, v)
	}
}

func (p *page) slower(all []rows.Row) {
	p.printf("\n## Where nimue is slower, or takes more\n\n")
	list := p.m.deficits(all)
	if len(list) == 0 {
		p.printf("Nowhere, as far as the rounds can tell.\n")
		return
	}
	p.printf("Every measurement in which a peer does better by more than chance (p < 0.05; with fewer than four rounds: in all of them).\n\n" +
		"| row | measurement | nimue | peer | nimue by peer |\n|---|---|---|---|---|\n")
	for _, d := range list {
		p.WriteString(d.line())
	}
}

func (p *page) row(r rows.Row) {
	p.printf("\n## %s\n\n`%s`: %s.\n\n", r.Title, r.ID(), r.Work)
	if len(r.Sizes) > 0 {
		p.growth(r)
	} else {
		p.table(r)
	}
	p.printf("\nTold:\n\n")
	for _, c := range r.Contenders {
		p.printf("- %s: %s\n", c.Title, c.Told)
	}
	if chart, alt := chartOf(r); chart != "" && !p.drawn[chart] {
		p.drawn[chart] = true
		p.printf("\n![%s](charts/%s)\n", alt, chart)
	}
}

func (p *page) table(r rows.Row) {
	p.printf("| contender |")
	for _, c := range r.Columns {
		p.printf(" %s |", c.Title)
	}
	p.printf(" nimue by it, %s | p |\n|---|%s---|---|\n", r.Columns[0].Title, strings.Repeat("---|", len(r.Columns)))
	for _, c := range r.Contenders {
		title := c.Title
		if c.Ours() {
			title = "**" + title + "**"
		}
		p.printf("| %s |", title)
		for _, column := range r.Columns {
			text := "–"
			if s, ok := p.m.Median(Key{r.ID(), c.Name, 0, column.Unit}); ok {
				text = cell(s, column.Unit)
			}
			p.printf(" %s |", text)
		}
		p.printf(" %s |\n", p.ratioCells(r, c))
	}
}

// ratioCells are the last two cells of a contender's line.
func (p *page) ratioCells(r rows.Row, c rows.Contender) string {
	if c.Name == rows.Nimue {
		return " |"
	}
	unit := r.Columns[0].Unit
	ratio, ok := p.m.Ratio(Key{r.ID(), rows.Nimue, 0, unit}, Key{r.ID(), c.Name, 0, unit})
	if !ok {
		return "– | –"
	}
	return fmt.Sprintf("%v | %.3f", ratio, ratio.P)
}

func (p *page) growth(r rows.Row) {
	unit := r.Columns[0].Unit
	p.printf("| %s |", r.Axis)
	for _, c := range r.Contenders {
		p.printf(" %s, %s |", c.Title, r.Columns[0].Title)
	}
	p.printf("\n|---|%s\n", strings.Repeat("---|", len(r.Contenders)))
	for _, n := range r.Sizes {
		p.printf("| %s |", thousands(n))
		for _, c := range r.Contenders {
			text := "–"
			if s, ok := p.m.Median(Key{r.ID(), c.Name, n, unit}); ok {
				text = cell(s, unit)
			}
			p.printf(" %s |", text)
		}
		p.printf("\n")
	}
	p.printf("| order of growth |")
	for _, c := range r.Contenders {
		text := "–"
		if k, ok := exponent(p.m.curve(r, c.Name, unit)); ok {
			text = orderOf(k)
		}
		p.printf(" %s |", text)
	}
	p.printf("\n")
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
