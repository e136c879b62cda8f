package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/nimue-go/nimue/bench/rows"
)

// bar is one contender's.
type bar struct {
	contender rows.Contender
	value     benchmath.Summary
	label     string
}

// ratePanel shows operations per second, which for a single worker follow from the
// time of one.
func ratePanel(m *Measured, r rows.Row) (*plot.Plot, error) {
	var bars []bar
	for _, c := range r.Contenders {
		s, ok := m.Median(Key{r.ID(), c.Name, 0, "op/s"})
		if !ok {
			if s, ok = m.Median(Key{r.ID(), c.Name, 0, "ns/op"}); ok {
				s.Center, s.Lo, s.Hi = 1e9/s.Center, 1e9/s.Hi, 1e9/s.Lo
			}
		}
		if ok {
			bars = append(bars, bar{c, s, format(s.Center, "op/s")})
		}
	}
	return barPanel(r.Title, "operations per second: more is better", bars)
}

// spikePanels are one for the connections and one for the wait.
func spikePanels(m *Measured, r rows.Row) ([]*plot.Plot, error) {
	var panels []*plot.Plot
	for _, column := range r.Columns[:2] {
		var bars []bar
		for _, c := range r.Contenders {
			if s, ok := m.Median(Key{r.ID(), c.Name, 0, column.Unit}); ok {
				bars = append(bars, bar{c, s, format(s.Center, column.Unit)})
			}
		}
		axis := column.Title + ": less is better"
		if column.Unit == "longest-ms" {
			axis = "longest wait in milliseconds: less is better"
		}
		p, err := barPanel(r.Title, axis, bars)
		if err != nil {
			return nil, err
		}
		panels = append(panels, p)
	}
	return panels, nil
}

// barPanel draws horizontal bars, the first on top, with the intervals of their
// medians where there are such.
func barPanel(title, axis string, bars []bar) (*plot.Plot, error) {
	p := newPanel(title)
	p.X.Label.Text = axis
	p.X.Min = 0
	slices.Reverse(bars)
	names := make([]string, len(bars))
	longest := 0.0
	for i, b := range bars {
		names[i] = b.contender.Title
		longest = max(longest, b.value.Center)
		if err := addBar(p, b, i); err != nil {
			return nil, err
		}
	}
	p.NominalY(names...)
	p.X.Max = longest * 1.25 // room for the number beside the longest
	p.X.Tick.Marker = plainTicks{plot.DefaultTicks{}}
	return p, nil
}

func addBar(p *plot.Plot, b bar, at int) error {
	chart, err := plotter.NewBarChart(plotter.Values{b.value.Center}, vg.Points(14))
	if err != nil {
		return err
	}
	chart.Horizontal = true
	chart.XMin = float64(at)
	chart.Color = colours[b.contender.Name]
	chart.LineStyle.Width = 0
	end := b.value.Center
	p.Add(chart)
	if !math.IsInf(b.value.Lo, 0) && !math.IsInf(b.value.Hi, 0) && b.value.Lo < b.value.Hi {
		whiskers, err := plotter.NewXErrorBars(whisker{b.value, float64(at)})
		if err != nil {
			return err
		}
		p.Add(whiskers)
		end = b.value.Hi
	}
	labels, err := plotter.NewLabels(plotter.XYLabels{
		XYs:    plotter.XYs{{X: end, Y: float64(at)}},
		Labels: []string{" " + b.label},
	})
	if err != nil {
		return err
	}
	labels.TextStyle[0].Font.Variant = "Sans"
	labels.TextStyle[0].Font.Size = vg.Points(9)
	labels.TextStyle[0].YAlign = draw.YCenter
	p.Add(labels)
	return nil
}

// whisker is a median's interval as gonum wants it.
type whisker struct {
	benchmath.Summary
	at float64
}

func (whisker) Len() int                      { return 1 }
func (w whisker) XY(int) (x, y float64)       { return w.Center, w.at }
func (w whisker) XError(int) (lo, hi float64) { return w.Center - w.Lo, w.Hi - w.Center }

// plainTicks are gonum's, with labels such as 20 k.
type plainTicks struct{ plot.Ticker }

// Ticks implements plot.Ticker.
func (t plainTicks) Ticks(lo, hi float64) []plot.Tick {
	ticks := t.Ticker.Ticks(lo, hi)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = format(ticks[i].Value, "op/s")
		}
	}
	return ticks
}

// latencyPanel is one line per contender from the median to the longest.
func latencyPanel(m *Measured, r rows.Row) (*plot.Plot, error) {
	p := newPanel(r.Title)
	units := []string{"p50-ms", "p90-ms", "p99-ms", "p99.9-ms", "max-ms"}
	lowest, highest := math.Inf(1), 0.0
	for _, c := range nimueLast(r.Contenders) {
		var points plotter.XYs
		for i, unit := range units {
			if s, ok := m.Median(Key{r.ID(), c.Name, 0, unit}); ok && s.Center > 0 {
				points = append(points, plotter.XY{X: float64(i), Y: s.Center})
				lowest, highest = min(lowest, s.Center), max(highest, s.Center)
			}
		}
		if err := addLine(p, points, c, c.Title); err != nil {
			return nil, err
		}
	}
	p.NominalX("p50", "p90", "p99", "p99.9", "longest")
	p.Y.Label.Text = "milliseconds: less is better"
	logarithmic(&p.Y, lowest, highest)
	legendOnTop(p, highest)
	return p, nil
}

// nimueLast has nimue drawn over those whose lines it meets.
func nimueLast(contenders []rows.Contender) []rows.Contender {
	isNimue := func(c rows.Contender) bool { return c.Name == rows.Nimue }
	order := slices.DeleteFunc(slices.Clone(contenders), isNimue)
	if at := slices.IndexFunc(contenders, isNimue); at >= 0 {
		order = append(order, contenders[at])
	}
	return order
}

// growthPanel has logarithmic axes, on which n^k is a straight line of the slope k,
// and a cost that does not grow is a level one.
func growthPanel(m *Measured, r rows.Row) (*plot.Plot, error) {
	p := newPanel(r.Title)
	unit := r.Columns[0].Unit
	lowest, highest := math.Inf(1), 0.0
	left, right := math.Inf(1), 0.0
	for _, c := range r.Contenders {
		curve := m.curve(r, c.Name, unit)
		var points plotter.XYs
		for _, at := range curve {
			points = append(points, plotter.XY{X: at.size, Y: at.value})
			lowest, highest = min(lowest, at.value), max(highest, at.value)
			left, right = min(left, at.size), max(right, at.size)
		}
		label := c.Title
		if k, ok := exponent(curve); ok {
			label += fmt.Sprintf(" (n^%.2f)", k)
		}
		if err := addLine(p, points, c, label); err != nil {
			return nil, err
		}
	}
	p.X.Label.Text = r.Axis
	p.Y.Label.Text = "nanoseconds"
	if strings.HasPrefix(unit, "B/") {
		p.Y.Label.Text = "bytes"
	}
	logarithmic(&p.X, left, right)
	logarithmic(&p.Y, lowest, highest)
	legendOnTop(p, highest)
	return p, nil
}

func addLine(p *plot.Plot, points plotter.XYs, c rows.Contender, label string) error {
	if len(points) == 0 {
		return nil
	}
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = colours[c.Name], vg.Points(1.5)
	dots.Color, dots.Shape, dots.Radius = colours[c.Name], draw.CircleGlyph{}, vg.Points(2.5)
	if c.Ours() {
		line.Width = vg.Points(2.5)
	}
	p.Add(line, dots)
	p.Legend.Add(label, line, dots)
	return nil
}

// legendOnTop puts the legend above the lines, on one more decade where the highest
// of them fills the last one.
func legendOnTop(p *plot.Plot, highest float64) {
	p.Legend.Top, p.Legend.Left = true, true
	if highest > p.Y.Max/4 {
		p.Y.Max *= 10
	}
}

// logarithmic gives an axis whole decades around what it has to show.
func logarithmic(axis *plot.Axis, lowest, highest float64) {
	if lowest > highest { // nothing to show
		lowest, highest = 1, 10
	}
	axis.Scale = plot.LogScale{}
	axis.Tick.Marker = plainTicks{plot.LogTicks{Prec: -1}}
	axis.Min = math.Pow(10, math.Floor(math.Log10(lowest)))
	axis.Max = math.Pow(10, math.Ceil(math.Log10(highest)))
	if axis.Min == axis.Max {
		axis.Max *= 10
	}
}
