package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"

	"github.com/nimue-go/nimue/bench/rows"
)

// verdict is what came of one goal.
type verdict struct {
	row      rows.Row
	goal     rows.Goal
	seen     string
	met      bool
	unsure   bool // the interval contains the bound
	measured bool
}

// verdicts looks at all goals of the rows that were measured.
func (m *Measured) verdicts(all []rows.Row) []verdict {
	var list []verdict
	for _, row := range all {
		for _, g := range row.Goals {
			list = append(list, m.judge(row, g))
		}
	}
	return list
}

func (m *Measured) judge(row rows.Row, g rows.Goal) verdict {
	v := verdict{row: row, goal: g, seen: "not measured"}
	if g.Exponent {
		v.judgeGrowth(m)
		return v
	}
	of := Key{row.ID(), g.Contender, 0, g.Unit}
	if g.Against == "" {
		if s, ok := m.Median(of); ok {
			v.seen = cell(s, g.Unit)
			v.decide(s)
		}
		return v
	}
	if r, ok := m.Ratio(of, Key{row.ID(), g.Against, 0, g.Unit}); ok {
		v.seen = r.String()
		v.decide(r.Summary)
	}
	return v
}

// judgeGrowth compares the exponent with the bound, or, where somebody else's growth
// is the measure, the difference.
func (v *verdict) judgeGrowth(m *Measured) {
	k, ok := exponent(m.curve(v.row, v.goal.Contender, v.goal.Unit))
	if !ok {
		return
	}
	seen, measure := orderOf(k), 0.0
	if v.goal.Against != "" {
		if measure, ok = exponent(m.curve(v.row, v.goal.Against, v.goal.Unit)); !ok {
			return
		}
		c, _ := v.row.Contender(v.goal.Against)
		seen = fmt.Sprintf("n^%.2f, %s n^%.2f", k, c.Title, measure)
	}
	v.measured, v.seen, v.met = true, seen, k-measure <= v.goal.Bound
}

func (v *verdict) decide(s benchmath.Summary) {
	v.measured = true
	if v.goal.Least {
		v.met = s.Center >= v.goal.Bound
	} else {
		v.met = s.Center <= v.goal.Bound
	}
	finite := !math.IsInf(s.Lo, 0) && !math.IsInf(s.Hi, 0) // the rounds are enough for an interval
	v.unsure = finite && s.Lo < v.goal.Bound && v.goal.Bound < s.Hi
}

func (v verdict) String() string {
	switch {
	case !v.measured:
		return "–"
	case v.met && v.unsure:
		return "kept, within the noise"
	case v.met:
		return "kept"
	case v.unsure:
		return "missed, within the noise"
	}
	return "**missed**"
}

// deficit is one measurement in which a peer does better.
type deficit struct {
	row       rows.Row
	column    rows.Column
	ours      rows.Contender
	peer      rows.Contender
	size      int
	ratio     Ratio
	oursValue benchmath.Summary
	peerValue benchmath.Summary
}

// severity makes ratios comparable where more is better and where less is.
func (d deficit) severity() float64 {
	if d.column.Better == rows.More {
		return 1 / d.ratio.Center
	}
	return d.ratio.Center
}

// deficits lists where nimue does worse than a peer by more than chance, the worst
// first within each row. In rows that grow, it is the worst size that counts.
func (m *Measured) deficits(all []rows.Row) []deficit {
	var list []deficit
	for _, row := range all {
		var here []deficit
		for _, column := range row.Columns {
			for _, ours := range row.Contenders {
				for _, peer := range row.Contenders {
					if !ours.Ours() || peer.Ours() || peer.Control() || column.Better == rows.Neither {
						continue
					}
					if d, ok := m.deficit(row, column, ours, peer); ok {
						here = append(here, d)
					}
				}
			}
		}
		slices.SortStableFunc(here, func(a, b deficit) int { return cmp.Compare(b.severity(), a.severity()) })
		list = append(list, here...)
	}
	return list
}

func (m *Measured) deficit(row rows.Row, column rows.Column, ours, peer rows.Contender) (worst deficit, found bool) {
	sizes := row.Sizes
	if len(sizes) == 0 {
		sizes = []int{0}
	}
	for _, n := range sizes {
		of, by := Key{row.ID(), ours.Name, n, column.Unit}, Key{row.ID(), peer.Name, n, column.Unit}
		r, ok := m.Ratio(of, by)
		if !ok || !r.Differs() {
			continue
		}
		d := deficit{row: row, column: column, ours: ours, peer: peer, size: n, ratio: r}
		d.oursValue, _ = m.Median(of)
		d.peerValue, _ = m.Median(by)
		if s := d.severity(); s > 1 && (!found || s > worst.severity()) && !math.IsInf(s, 0) {
			worst, found = d, true
		}
	}
	return worst, found
}

// line is the deficit as a line of a table.
func (d deficit) line() string {
	where := d.row.Title
	if len(d.row.Sizes) > 0 {
		where = fmt.Sprintf("%s, %s %s", where, thousands(d.size), d.row.Axis)
	}
	return "| " + strings.Join([]string{
		where, d.column.Title,
		d.ours.Title + ": " + cell(d.oursValue, d.column.Unit),
		d.peer.Title + ": " + cell(d.peerValue, d.column.Unit),
		d.ratio.String(),
	}, " | ") + " |\n"
}
