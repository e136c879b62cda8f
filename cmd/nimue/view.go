package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nimue-go/nimue/status"
)

// How much of a pool a frame shows.
const (
	mostHolders = 5
	mostEvents  = 6
	watchIndent = 11 // the column in which what is behind a label begins
)

// lines draws a frame.
func (v *view) lines() []string {
	r := v.report
	who := printable(r.Process.Program)
	if r.Process.Host != "" {
		who += " on " + printable(r.Process.Host)
	}
	list := []string{v.fit(fmt.Sprintf("%s, process %d, at %s", who, r.Process.PID, clock(r.At)), v.style.faint)}
	if v.silent != nil {
		list = append(list, v.fit(fmt.Sprintf("no answer since %s: %s", clock(v.since), printable(v.silent.Error())), v.style.red))
	}
	if len(r.Pools) == 0 {
		list = append(list, "", "no pool is open")
	}
	for i := range r.Pools {
		list = append(list, v.poolLines(&r.Pools[i])...)
	}
	return list
}

// fit shortens a text to the width, and then sets it off.
func (v *view) fit(text string, set func(string) string) string { return set(clip(text, v.width)) }

func (v *view) poolLines(p *status.Pool) []string {
	state := p.Health.State
	title := clip(printable(p.Name), v.width-12)
	list := []string{"", v.style.bold(title) + "  " + v.stateStyle(state)(state)}
	line := func(label, text string, set func(string) string) {
		list = append(list, fmt.Sprintf("  %-*s", watchIndent-2, label)+set(clip(text, v.width-watchIndent)))
	}
	if reason := printable(p.Health.Reason); reason != "" {
		for _, text := range wrap(reason, v.width-2) {
			list = append(list, "  "+v.stateStyle(state)(clip(text, v.width-2)))
		}
	}
	list = append(list, v.connBar(p), v.waitBar(p))
	line("rates", v.rates(p), plainText)
	line("p99", fmt.Sprintf("wait %s, hold %s, connect %s, verify %s", timeOf(p.Wait), timeOf(p.Hold), timeOf(p.Connect), timeOf(p.Verify)), plainText)
	if o := p.Outage; o != nil {
		line("outage", fmt.Sprintf("%d failed connects since %s", o.Failures, clock(o.Since)), v.style.red)
	}
	for i, c := range longestHeld(p) {
		label := ""
		if i == 0 {
			label = "holders"
		}
		set := plainText
		if c.Leaked {
			set = v.style.red
		}
		line(label, holderText(c), set)
		if c.Statement != "" {
			line("", "       "+printable(c.Statement), v.style.faint)
		}
	}
	for i, e := range p.Events[:min(len(p.Events), mostEvents)] {
		label, set := "", plainText
		if i == 0 {
			label = "events"
		}
		if e.Grave() {
			set = v.style.yellow
		}
		line(label, strings.TrimSpace(fmt.Sprintf("%s %s %s", clock(e.At), printable(e.Kind), printable(e.Words()))), set)
	}
	return list
}

func plainText(text string) string { return text }

func (v *view) stateStyle(state string) func(string) string {
	switch state {
	case "ready":
		return v.style.green
	case "degraded":
		return v.style.yellow
	}
	return v.style.red
}

// connBar draws the connections by state, of as many as there may be.
func (v *view) connBar(p *status.Pool) string {
	c := p.Conns
	busy := c.Connecting + c.Verifying + c.Closing
	text := fmt.Sprintf(" %d in use, %d idle", c.InUse, c.Idle)
	if busy > 0 {
		text += fmt.Sprintf(", %d busy", busy) // being connected, verified or closed
	}
	text += fmt.Sprintf(" of %d", c.Max)
	width := v.barWidth()
	whole := max(c.Max, c.Total, 1)
	used := scale(c.InUse, whole, width)
	other := min(scale(busy, whole, width), width-used)
	idle := min(scale(c.Idle, whole, width), width-used-other)
	drawn := v.stateStyle(p.Health.State)(strings.Repeat("█", used)) + strings.Repeat("▒", other) + strings.Repeat("─", idle) +
		v.style.faint(strings.Repeat("·", width-used-other-idle))
	return fmt.Sprintf("  %-*s", watchIndent-2, "conns") + drawn + clip(text, v.width-watchIndent-width)
}

// waitBar draws the waiters, of the most that there were.
func (v *view) waitBar(p *status.Pool) string {
	width := v.barWidth()
	filled := scale(p.Waiting, max(p.Peaks.Waiting.N, p.Waiting, 1), width)
	text := fmt.Sprintf(" %d waiting", p.Waiting)
	if p.Peaks.Waiting.N > 0 {
		text += fmt.Sprintf(", at most %d at %s", p.Peaks.Waiting.N, clock(p.Peaks.Waiting.At))
	}
	drawn := v.style.yellow(strings.Repeat("█", filled)) + v.style.faint(strings.Repeat("·", width-filled))
	return fmt.Sprintf("  %-*s", watchIndent-2, "waiting") + drawn + clip(text, v.width-watchIndent-width)
}

func (v *view) barWidth() int { return min(max(v.width-watchIndent-36, 10), 50) }

// scale is a part of a width; what is there at all shows, and what is not whole is
// not shown so.
func scale(n, whole, width int) int {
	cells := n * width / whole
	if n > 0 {
		cells = max(cells, 1)
	}
	return min(cells, width)
}

// rates compares with the frame before, or else the latest samples of the history.
func (v *view) rates(p *status.Pool) string {
	before, at, ok := v.earlier(p)
	seconds := p.At.Sub(at).Seconds()
	if !ok || seconds <= 0 {
		return "not known yet"
	}
	now := countersOf(p)
	var parts []string
	for i, name := range counterNames {
		rate := float64(now[i]-min(before[i], now[i])) / seconds // a pool made anew counts from 0
		parts = append(parts, rateText(rate)+" "+name)
	}
	return strings.Join(parts, ", ")
}

// counterNames are what rates are shown of.
var counterNames = [...]string{"acquires/s", "waits/s", "timeouts/s", "connects/s"}

type counters [len(counterNames)]uint64

func countersOf(p *status.Pool) counters {
	return counters{p.Counters.Acquires, p.Counters.Waits, p.Counters.Timeouts, p.Counters.Connects}
}

func (v *view) earlier(p *status.Pool) (c counters, at time.Time, ok bool) {
	if v.before != nil {
		for i := range v.before.Pools {
			if b := &v.before.Pools[i]; b.Name == p.Name && b.Since.Equal(p.Since) {
				return countersOf(b), b.At, true
			}
		}
	}
	for _, s := range slices.Backward(p.History) {
		if p.At.Sub(s.At) >= time.Second {
			return counters{s.Acquires, s.Waits, s.Timeouts, s.Connects}, s.At, true
		}
	}
	return counters{}, time.Time{}, false
}

func rateText(rate float64) string {
	if rate > 0 && rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return grouped(uint64(rate + 0.5))
}

// timeOf is a histogram's p99, where it has one.
func timeOf(h status.Histogram) string {
	if h.Count == 0 {
		return "–"
	}
	return threeDigits(h.P99.Duration())
}

// longestHeld lists the leases that have lasted longest, of those that are known.
func longestHeld(p *status.Pool) []status.Conn {
	known := slices.DeleteFunc(slices.Clone(p.Connections), func(c status.Conn) bool { return c.State != "leased" || c.Held <= 0 })
	slices.SortFunc(known, func(a, b status.Conn) int {
		return cmp.Or(cmp.Compare(b.Held, a.Held), cmp.Compare(a.ID, b.ID))
	})
	return known[:min(len(known), mostHolders)]
}

func holderText(c status.Conn) string {
	function, place := c.Holder()
	text := fmt.Sprintf("%-6s %s %s", threeDigits(c.Held.Duration()), cmp.Or(printable(function), "somebody"), printable(place))
	if c.Leaked {
		text += " (leaked)"
	}
	return strings.TrimSpace(text)
}

// short is the frame in one line per pool, of words and name=value.
func (v *view) short() []string {
	if v.silent != nil {
		return []string{fmt.Sprintf("%s no answer: %s", clock(time.Now()), printable(v.silent.Error()))}
	}
	list := []string{}
	for i := range v.report.Pools {
		p := &v.report.Pools[i]
		c := p.Conns
		text := fmt.Sprintf("%s pool=%q health=%s in_use=%d idle=%d max=%d waiting=%d acquires=%d timeouts=%d connect_errors=%d wait_p99=%s",
			clock(p.At), p.Name, printable(p.Health.State), c.InUse, c.Idle, c.Max, p.Waiting, p.Counters.Acquires, p.Counters.Timeouts,
			p.Counters.ConnectErrors, threeDigits(p.Wait.P99.Duration()))
		if p.Health.Reason != "" {
			text += fmt.Sprintf(" reason=%q", p.Health.Reason)
		}
		list = append(list, text)
	}
	if len(list) == 0 {
		list = append(list, clock(v.report.At)+" no pool is open")
	}
	return list
}

// clock is the time of day.
func clock(t time.Time) string { return t.Local().Format("15:04:05") }
