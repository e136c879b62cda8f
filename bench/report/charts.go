package report

import (
	"bytes"
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/nimue-go/nimue/bench/rows"
)

// The charts' files.
const (
	throughputChart = "throughput.svg"
	latencyChart    = "latency.svg"
	spikeChart      = "spike.svg"
	loadChart       = "growth-load.svg"
	waitersChart    = "growth-waiters.svg"
	memoryChart     = "growth-memory.svg"
)

// chartOf is the chart that a row appears in, and what it shows.
func chartOf(r rows.Row) (file, alt string) {
	switch {
	case r.ID() == "Postgres/overload":
		return latencyChart, "Latency by percentile, 400 workers on 16 connections"
	case r.Family == "Spike":
		return spikeChart, "Connections opened in a spike, and the longest wait"
	case strings.HasPrefix(r.Name, "memory-"):
		return memoryChart, "Memory per connection, waiter and pool, by their number"
	case r.Family == "Growth" && strings.HasPrefix(r.Axis, "callers"):
		return waitersChart, "Cost by the number of callers waiting"
	case r.Family == "Growth":
		return loadChart, "Cost by the number of goroutines, connections and pools"
	case r.Family == "Prepare":
		return "", ""
	}
	return throughputChart, "Operations per second by contender"
}

// Charts draws every chart that the rows give something to show for. The result
// maps file names to SVG.
func Charts(m *Measured, all []rows.Row) (map[string][]byte, error) {
	panels := map[string][]*plot.Plot{}
	for _, r := range all {
		if !m.Has(r.ID()) {
			continue
		}
		file, _ := chartOf(r)
		var made []*plot.Plot
		var err error
		switch file {
		case "":
		case latencyChart:
			made, err = one(latencyPanel(m, r))
		case spikeChart:
			made, err = spikePanels(m, r)
		case throughputChart:
			made, err = one(ratePanel(m, r))
		default:
			made, err = one(growthPanel(m, r))
		}
		if err != nil {
			return nil, err
		}
		panels[file] = append(panels[file], made...)
	}
	files := map[string][]byte{}
	for file, list := range panels {
		if len(list) == 0 {
			continue
		}
		svg, err := paint(list)
		if err != nil {
			return nil, err
		}
		files[file] = svg
	}
	return files, nil
}

func one(p *plot.Plot, err error) ([]*plot.Plot, error) { return []*plot.Plot{p}, err }

const (
	panelWidth  = 15 * vg.Centimeter
	panelHeight = 7.5 * vg.Centimeter
	margin      = 4 * vg.Millimeter
)

// paint puts panels side by side, two in a line.
func paint(panels []*plot.Plot) ([]byte, error) {
	columns := min(len(panels), 2)
	lines := (len(panels) + columns - 1) / columns
	width, height := panelWidth*vg.Length(columns), panelHeight*vg.Length(lines)
	if len(panels) == 1 {
		width, height = 1.5*width, 1.5*height
	}
	canvas := vgsvg.New(width, height)
	compose(canvas, panels, lines, columns)
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:"+fonts+";")), nil
}

// compose draws on a white ground: the page around may be dark.
func compose(canvas vg.CanvasSizer, panels []*plot.Plot, lines, columns int) {
	grid := make([][]*plot.Plot, lines)
	for i := range grid {
		grid[i] = make([]*plot.Plot, columns)
		for j := range grid[i] {
			if at := i*columns + j; at < len(panels) {
				grid[i][j] = panels[at]
			}
		}
	}
	width, height := canvas.Size()
	canvas.SetColor(color.White)
	canvas.Fill(vg.Rectangle{Max: vg.Point{X: width, Y: height}}.Path())
	tiles := draw.Tiles{
		Rows: lines, Cols: columns,
		PadX: 2 * margin, PadY: 2 * margin,
		PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: 2 * margin,
	}
	for i, line := range plot.Align(grid, tiles, draw.New(canvas)) {
		for j, part := range line {
			if grid[i][j] != nil {
				grid[i][j].Draw(part)
			}
		}
	}
}

// fonts are those that have the same widths as the one that the charts are laid
// out with, and whatever comes next where none of them is installed.
const fonts = "Liberation Sans,Arial,Helvetica,sans-serif"

// newPanel is an empty plot in this report's style.
func newPanel(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text = strings.ReplaceAll(title, "`", "")
	p.Legend.Padding = vg.Points(2)
	for _, style := range []*font.Font{
		&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font,
	} {
		style.Variant = "Sans"
		style.Size = vg.Points(9)
	}
	p.Title.TextStyle.Font.Size = vg.Points(11)
	p.Title.Padding = vg.Points(6)
	return p
}

// The colours can be told apart by those who see some of them alike (Okabe and Ito).
var (
	orange    = color.RGBA{230, 159, 0, 255}
	sky       = color.RGBA{86, 180, 233, 255}
	green     = color.RGBA{0, 158, 115, 255}
	blue      = color.RGBA{0, 114, 178, 255}
	vermilion = color.RGBA{213, 94, 0, 255}
	purple    = color.RGBA{204, 121, 167, 255}
	grey      = color.RGBA{120, 120, 120, 255}
)

// colours are the contenders', the same in all charts.
var colours = map[string]color.RGBA{
	rows.Nimue:           vermilion,
	rows.NimueBare:       orange,
	rows.NimueAuto:       orange,
	rows.NimueFIFO:       orange,
	rows.SQLDefault:      grey,
	rows.SQLTuned:        blue,
	rows.SQLWide:         purple,
	rows.SQLPrepared:     sky,
	rows.SQLInterpolate:  sky,
	rows.FromPool:        purple,
	rows.FromPoolDefault: purple,
	rows.Pgxpool:         green,
	rows.PgxpoolDefault:  green,
	rows.HikariRule:      green,
	rows.Channel:         grey,
}
