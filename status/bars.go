package status

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Histograms are drawn on one scale, from a microsecond to 71 minutes in powers of
// two: where the hill stands says how long things take, without reading a number.
const (
	octaves    = 32
	perOctave  = 2
	barWidth   = 6
	barsWidth  = octaves * perOctave * barWidth
	barsHeight = 40
)

// bars is the picture of a histogram with the numbers beside it.
type bars struct {
	Name  string // for ids
	Title string
	What  string // what is counted
	Desc  string
	Path  string
	Marks []mark // the quantiles
	Histogram
}

// mark is a place on the scale.
type mark struct {
	X, Label, Anchor string
}

// ticks are the places of the scale that are named.
func ticks() []mark {
	var list []mark
	for _, t := range []struct {
		at           time.Duration
		name, anchor string
	}{
		{time.Microsecond, "1µs", "start"}, {time.Millisecond, "1ms", "middle"}, {time.Second, "1s", "middle"},
		{time.Minute, "1m", "middle"}, {time.Hour, "1h", "end"},
	} {
		list = append(list, mark{coordinate(place(t.at) * barsWidth), t.name, t.anchor})
	}
	return list
}

// place is where a duration stands on the scale, from 0 to 1.
func place(d time.Duration) float64 {
	return min(math.Log2(max(float64(d)/float64(time.Microsecond), 1))/octaves, 1)
}

func drawBars(name, title, what string, h Histogram) bars {
	b := bars{Name: name, Title: title, What: what, Histogram: h}
	if h.Count == 0 {
		b.Desc = "nothing counted yet"
		return b
	}
	b.Desc = fmt.Sprintf("%s counted, half of them up to %s, 90 %% up to %s, 99 %% up to %s, at most %s", grouped(h.Count),
		short(h.P50.Duration()), short(h.P90.Duration()), short(h.P99.Duration()), short(h.Max.Duration()))
	for _, q := range []struct {
		at    Seconds
		label string
	}{{h.P50, "p50"}, {h.P90, "p90"}, {h.P99, "p99"}} {
		b.Marks = append(b.Marks, mark{coordinate(place(q.at.Duration()) * barsWidth), q.label, ""})
	}
	b.Path = barsPath(h.Buckets)
	return b
}

// barsPath draws a bar for each half octave that has values.
func barsPath(buckets []Bucket) string {
	var counts [octaves * perOctave]uint64
	var most uint64
	for _, bucket := range buckets {
		// A bucket's upper bound belongs to the next one: the values are just below.
		i := min(int(place(bucket.Below.Duration()-1)*octaves*perOctave), len(counts)-1)
		counts[i] += bucket.Count
		most = max(most, counts[i])
	}
	var path strings.Builder
	for i, n := range counts {
		if n == 0 {
			continue
		}
		height := max(barsHeight*float64(n)/float64(most), 1.5) // what is rare must be seen too: it is the tail
		fmt.Fprintf(&path, "M%d,%d v-%s h%d V%[2]d z ", i*barWidth, barsHeight, coordinate(height), barWidth-1)
	}
	return strings.TrimSpace(path.String())
}
