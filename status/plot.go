package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The plots are drawn in units of their own and stretched by the page. They show
// historySpan in at most columns points.
const (
	historySpan = 10 * time.Minute
	columns     = 200
	plotWidth   = 600
	plotHeight  = 100
	columnSpan  = historySpan / columns
)

// plot is one picture of the last ten minutes.
type plot struct {
	Name  string // for ids
	Title string
	Desc  string // what it shows, in words
	Top   string // the scale's upper end
	Limit string // path of a line that must not be crossed
	Lines []line // in the order in which they are drawn
}

// line is one series of a plot.
type line struct {
	Class string
	Label string
	Now   string
	Area  string // path of what lies beneath, if it is filled
	Path  string
}

// point is what happened in one column of the plots.
type point struct {
	at                                time.Time
	total, inUse, waiting             int     // the most
	acquires, waits, timeouts, errors float64 // per second
}

// points sums samples up by columns. Where samples are far apart, nothing happened
// between them: the pool was as in the first of them, which then counts until
// shortly before the second.
func points(samples []Sample, now time.Time) []point {
	var list []point
	var before, last Sample // the last one of an earlier column, and of all
	column := -1
	for _, s := range samples {
		at := int(s.At.Sub(now.Add(-historySpan)) / columnSpan)
		if at < 0 {
			last = s
			continue
		}
		if silence := s.At.Sub(last.At); at != column && (len(list) == 0 || silence >= time.Second) { // else too short for a rate
			before, column = last, at
			if len(list) > 0 && silence > 3*columnSpan {
				still := list[len(list)-1]
				still.at = s.At.Add(-columnSpan)
				still.rates(before, s)
				list = append(list, still)
			}
			list = append(list, point{})
		}
		p := &list[len(list)-1]
		p.at = s.At
		p.total, p.inUse, p.waiting = max(p.total, s.Total), max(p.inUse, s.InUse), max(p.waiting, s.Waiting)
		p.rates(before, s)
		last = s
	}
	return list
}

// rates are what was counted per second between two samples.
func (p *point) rates(from, to Sample) {
	seconds := to.At.Sub(from.At).Seconds()
	if from.At.IsZero() || seconds <= 0 {
		return // the first one: there is nothing to compare with
	}
	perSecond := func(from, to uint64) float64 { return float64(to-min(from, to)) / seconds }
	p.acquires = perSecond(from.Acquires, to.Acquires)
	p.waits = perSecond(from.Waits, to.Waits)
	p.timeouts = perSecond(from.Timeouts, to.Timeouts)
	p.errors = perSecond(from.ConnectErrors, to.ConnectErrors)
}

// plots draws the history of a pool.
func plots(p *Pool) []plot {
	d := drawing{points: points(p.History, p.At), now: p.At}
	used := func(p point) float64 { return float64(p.inUse) }
	open := func(p point) float64 { return float64(p.total) }
	waiting := func(p point) float64 { return float64(p.waiting) }
	return []plot{
		d.plot("conns", "Connections", float64(p.Conns.Max), whole,
			series{"idle", "open", true, open}, series{"in-use", "in use", true, used}),
		d.plot("waiting", "Callers waiting", 0, whole, series{"waiting", "waiting", true, waiting}),
		d.plot("acquires", "Acquires per second", 0, rate,
			series{"in-use", "acquires", false, func(p point) float64 { return p.acquires }},
			series{"waiting", "that had to wait", false, func(p point) float64 { return p.waits }}),
		d.plot("failures", "Failures per second", 0, rate,
			series{"bad", "timeouts", false, func(p point) float64 { return p.timeouts }},
			series{"worse", "connect errors", false, func(p point) float64 { return p.errors }}),
	}
}

func whole(v float64) string { return grouped(uint64(v)) }

// series is one quantity over time.
type series struct {
	class, label string
	filled       bool
	of           func(point) float64
}

type drawing struct {
	points []point
	now    time.Time
}

// plot draws some series on one scale. With a limit, that is part of the scale.
func (d drawing) plot(name, title string, limit float64, text func(float64) string, all ...series) plot {
	top := limit
	for _, s := range all {
		for _, p := range d.points {
			top = max(top, s.of(p))
		}
	}
	if top > limit || top == 0 {
		top = roundUp(top)
	}
	pic := plot{Name: name, Title: title, Top: text(top)}
	if limit > 0 {
		pic.Limit = fmt.Sprintf("M0,%s H%d", coordinate(plotHeight*(1-limit/top)), plotWidth)
	}
	var words []string
	for _, s := range all {
		l, said := d.line(s, top, text)
		pic.Lines = append(pic.Lines, l)
		words = append(words, said)
	}
	pic.Desc = strings.Join(words, "; ")
	return pic
}

// line draws one series and says it in words.
func (d drawing) line(s series, top float64, text func(float64) string) (line, string) {
	l := line{Class: s.class, Label: s.label, Now: "–"}
	if len(d.points) == 0 {
		return l, s.label + ": nothing recorded yet"
	}
	most := slices.MaxFunc(d.points, func(a, b point) int { return cmp.Compare(s.of(a), s.of(b)) })
	last := s.of(d.points[len(d.points)-1])
	l.Now = text(last)
	l.Path, l.Area = d.paths(s, top)
	if !s.filled {
		l.Area = ""
	}
	return l, fmt.Sprintf("%s: now %s, at most %s at %s", s.label, text(last), text(s.of(most)), clock(most.at))
}

// paths returns a line and the area beneath it.
func (d drawing) paths(s series, top float64) (path, area string) {
	var line strings.Builder
	first, last := "", ""
	for i, p := range d.points {
		last = coordinate(plotWidth * (1 - d.now.Sub(p.at).Seconds()/historySpan.Seconds()))
		command := "L"
		if i == 0 {
			command, first = "M", last
		}
		fmt.Fprintf(&line, "%s%s,%s ", command, last, coordinate(plotHeight*(1-s.of(p)/top)))
	}
	path = strings.TrimSpace(line.String())
	return path, fmt.Sprintf("%s L%s,%d L%s,%[3]d Z", path, last, plotHeight, first)
}

// coordinate writes a number with one decimal at most.
func coordinate(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// roundUp returns the next 1, 2 or 5 with zeros, at least 1, so that the scale
// moves seldom.
func roundUp(v float64) float64 {
	power := 1.0
	for {
		for _, step := range []float64{1, 2, 5} {
			if v <= step*power {
				return step * power
			}
		}
		power *= 10
	}
}

// minute is one row of the plots' table.
type minute struct {
	From                                     string
	InUse, Waiting                           int // the most
	Acquires, Waits, Timeouts, ConnectErrors uint64
}

// minutes tells the history in words and numbers, newest first.
func minutes(samples []Sample) []minute {
	var list []minute
	var before Sample // the last one of an earlier minute
	for i, s := range samples {
		from := s.At.Local().Format("15:04")
		if i == 0 {
			before = s
		}
		if len(list) == 0 || list[len(list)-1].From != from {
			if i > 0 {
				before = samples[i-1]
			}
			list = append(list, minute{From: from})
		}
		m := &list[len(list)-1]
		m.InUse, m.Waiting = max(m.InUse, s.InUse), max(m.Waiting, s.Waiting)
		m.Acquires, m.Waits = s.Acquires-before.Acquires, s.Waits-before.Waits
		m.Timeouts, m.ConnectErrors = s.Timeouts-before.Timeouts, s.ConnectErrors-before.ConnectErrors
	}
	slices.Reverse(list)
	return list
}
