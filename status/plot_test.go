package status

import (
	"strings"
	"testing"
	"time"
)

func TestPointsAreRatesAndMaxima(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(-10 * time.Minute).Add(time.Duration(s) * time.Second) }
	list := points([]Sample{
		{At: at(-3), Acquires: 100}, // before the plot, but the first rate starts from it
		{At: at(0), InUse: 5, Acquires: 130},
		{At: at(1), InUse: 2, Acquires: 140, Timeouts: 4},
		{At: at(6), Waiting: 7, Acquires: 140, Timeouts: 9},
		{At: at(6).Add(9 * time.Millisecond), Waiting: 8, Acquires: 141, Timeouts: 9}, // the present moment, right after a sample
	}, noon)
	if len(list) != 2 {
		t.Fatalf("%d points, want one for each column that has samples", len(list))
	}
	if p := list[0]; p.inUse != 5 || p.acquires != 10 || p.timeouts != 1 || p.waiting != 0 {
		t.Errorf("the first is %+v", p)
	}
	if p := list[1]; p.waiting != 8 || p.acquires > 0.3 || p.timeouts > 1 || !p.at.After(at(6)) {
		t.Errorf("the second is %+v", p)
	}
	if p := points([]Sample{{At: at(5), Acquires: 1e9}}, noon)[0]; p.acquires != 0 {
		t.Errorf("a rate of %v out of nothing", p.acquires)
	}
}

// A pool in which nothing happens is not looked at: it stayed as it was.
func TestPlotPaths(t *testing.T) {
	p := Pool{At: noon, Conns: Conns{Max: 4}, History: []Sample{
		{At: noon.Add(-10 * time.Minute), InUse: 4, Total: 4},
		{At: noon.Add(-9*time.Minute - 57*time.Second), InUse: 0, Total: 4},
		{At: noon.Add(-time.Minute), InUse: 2, Total: 2, Waiting: 3, Acquires: 537},
	}}
	all := plots(&p)
	used := all[0].Lines[1]
	if want := "M0,0 L3,100 L537,100 L540,50"; used.Path != want {
		t.Errorf("the line is %q, want %q", used.Path, want)
	}
	if want := "M0,0 L3,100 L537,100 L540,50 L540,100 L0,100 Z"; used.Area != want {
		t.Errorf("the area is %q, want %q", used.Area, want)
	}
	if want := "M0,100 L3,100 L537,0 L540,0"; all[2].Lines[0].Path != want || all[2].Top != "1.0" {
		t.Errorf("one acquire a second is %q up to %s, want %q", all[2].Lines[0].Path, all[2].Top, want)
	}
	if all[0].Limit != "M0,0 H600" || all[0].Top != "4" || used.Now != "2" {
		t.Errorf("the limit is %q, the scale %q, the value %q", all[0].Limit, all[0].Top, used.Now)
	}
	if want := "open: now 2, at most 4 at " + clock(noon.Add(-10*time.Minute)) + "; in use: now 2, at most 4 at " + clock(noon.Add(-10*time.Minute)); all[0].Desc != want {
		t.Errorf("in words: %q, want %q", all[0].Desc, want)
	}
	if all[1].Top != "5" || all[1].Limit != "" {
		t.Errorf("the scale of the queue is %q, with a limit %q", all[1].Top, all[1].Limit)
	}
	p.Conns.Max = 2 // lowered: more are open than may be
	if pic := plots(&p)[0]; pic.Top != "5" || pic.Limit != "M0,60 H600" {
		t.Errorf("with a lowered limit, the scale is %q and the limit %q", pic.Top, pic.Limit)
	}
}

func TestPlotsOfNothing(t *testing.T) {
	for _, pic := range plots(&Pool{At: noon, Conns: Conns{Max: 4}}) {
		for _, l := range pic.Lines {
			if l.Path != "" || l.Area != "" || l.Now != "–" {
				t.Errorf("%s: %+v", pic.Title, l)
			}
		}
		if !strings.Contains(pic.Desc, "nothing recorded yet") {
			t.Errorf("%s: %q", pic.Title, pic.Desc)
		}
	}
}

func TestMinutes(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	got := minutes([]Sample{
		{At: at(30), InUse: 3, Acquires: 10},
		{At: at(50), InUse: 1, Acquires: 15, Waiting: 2},
		{At: at(70), InUse: 9, Acquires: 40, Timeouts: 1},
	})
	if len(got) != 2 || got[1] != (minute{From: at(0).Local().Format("15:04"), InUse: 3, Waiting: 2, Acquires: 5}) ||
		got[0] != (minute{From: at(60).Local().Format("15:04"), InUse: 9, Acquires: 25, Timeouts: 1}) {
		t.Errorf("got %+v", got)
	}
}

func TestBars(t *testing.T) {
	h := Histogram{Count: 5, P50: Seconds(time.Millisecond), P90: Seconds(2 * time.Millisecond), P99: Seconds(2 * time.Millisecond), Max: Seconds(2 * time.Millisecond),
		Buckets: []Bucket{{Seconds(time.Microsecond), 4}, {Seconds(2 * time.Microsecond), 1}, {Seconds(100 * time.Hour), 4}}}
	b := drawBars("wait", "Wait", "waits", h)
	// The first two bars are those of the first octave's halves, the last is at the end of the scale.
	if want := "M0,40 v-40 h5 V40 z M6,40 v-10 h5 V40 z M378,40 v-40 h5 V40 z"; b.Path != want {
		t.Errorf("the bars are %q, want %q", b.Path, want)
	}
	if len(b.Marks) != 3 || b.Marks[0].Label != "p50" || b.Marks[0].X != "119.6" {
		t.Errorf("the marks are %+v", b.Marks)
	}
	if b := drawBars("wait", "Wait", "waits", Histogram{}); b.Path != "" || b.Marks != nil || b.Desc != "nothing counted yet" {
		t.Errorf("of nothing: %+v", b)
	}
}

func TestRoundUp(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.2: 1, 1: 1, 1.1: 2, 3: 5, 5: 5, 6: 10, 17: 20, 101: 200, 999: 1000} {
		if got := roundUp(v); got != want {
			t.Errorf("%v becomes %v, want %v", v, got, want)
		}
	}
}
