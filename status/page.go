package status

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// How much of everything the page shows; status.json has all of it.
const (
	mostTiles   = 150
	mostHolders = 5
	eventsShown = 12
	mostEvents  = 100
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"short":   func(s Seconds) string { return short(s.Duration()) },
	"coarse":  func(s Seconds) string { return coarse(s.Duration()) },
	"grouped": func(n uint64) string { return grouped(n) },
	"number":  func(n int) string { return grouped(n) },
	"plural":  plural,
	"clock":   clock,
	"ago":     ago,
	"stamp":   func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") },
	"ticks":   ticks,
	"glyph":   glyph,
}).Parse(pageText))

// page is what the template renders.
type page struct {
	Report
	Views   []view // of Pools
	Only    string // the one pool that was asked for
	Refresh int    // seconds after which a browser without scripts asks again; 0: never
	Control bool
	Token   string
	Actions []action
}

// view is a pool as the page shows it.
type view struct {
	Pool
	ID       string
	Headline string // the reason for its health, or what is fine about it
	Figures  []figure
	Bar      []slice
	Holders  []tile
	Unknown  string // what is to be said of leases whose holders are not known
	Tiles    []tile
	More     string // what is not shown of the connections
	Plots    []plot
	Minutes  []minute
	Times    []bars
	Recent   []happening
	Earlier  []happening
	Counts   [][]count
	Limits   []Setting
}

func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	only := r.URL.Query().Get("pool")
	refresh, _ := strconv.Atoi(r.URL.Query().Get("refresh")) // anything else: never
	p := newPage(NewReport(h.watch(only)...))
	p.Only, p.Refresh = only, min(max(refresh, 0), 3600)
	if h.allowed(r) {
		p.Control, p.Token, p.Actions = true, h.token, h.log.list()
	}
	var b bytes.Buffer // whole or not at all
	if err := pageTemplate.Execute(&b, p); err != nil {
		http.Error(w, "the page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

func newPage(r Report) page {
	p := page{Report: r}
	for i := range r.Pools {
		p.Views = append(p.Views, newView(&r.Pools[i]))
	}
	return p
}

func newView(p *Pool) view {
	v := view{
		Pool: *p, ID: idOf(p.Name, p.Since), Headline: headline(p), Figures: figures(p), Bar: barOf(p),
		Plots: plots(p), Minutes: minutes(p.History), Counts: counts(p),
		Times: []bars{
			drawBars("wait", "Wait", "waits", p.Wait),
			drawBars("hold", "Hold", "leases", p.Hold),
			drawBars("connect", "Connect", "connects", p.Connect),
			drawBars("verify", "Verify", "verifications", p.Verify),
		},
	}
	v.Holders, v.Unknown = holders(p, v.ID)
	v.Tiles, v.More = tiles(p, v.ID)
	happened := happenings(p, v.ID)
	n := min(len(happened), eventsShown)
	v.Recent, v.Earlier = happened[:n], happened[n:min(len(happened), mostEvents)]
	v.Limits = limits(p.Settings)
	return v
}

// idOf is a pool's id in the page and in its forms. Names need not be unique, and
// may hold anything.
func idOf(name string, since time.Time) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%d", name, since.UnixNano())
	return fmt.Sprintf("p%x", h.Sum64())
}

// headline says in a sentence how the pool is.
func headline(p *Pool) string {
	switch {
	case p.Health.Reason != "":
		return p.Health.Reason
	case p.Waiting > 0:
		return "callers are served, and some of them wait for it"
	case p.Conns.Total == 0:
		return "no connection is open, since none was needed"
	}
	return "callers are served at once"
}

// figure is a number that is read first.
type figure struct {
	Class, Label, Value, Of, Note string
}

func figures(p *Pool) []figure {
	c := p.Conns
	list := []figure{
		{"waiting", "waiting", grouped(p.Waiting), "", peak(p, p.Peaks.Waiting)},
		{"in-use", "in use", grouped(c.InUse), "of " + grouped(c.Max), peak(p, p.Peaks.InUse)},
		{"idle", "idle", grouped(c.Idle), "", ""},
		{"connecting", "connecting", grouped(c.Connecting), "", ""},
		{"verifying", "verifying", grouped(c.Verifying), "", ""},
		{"closing", "closing", grouped(c.Closing), "", ""},
	}
	for i := range list {
		if list[i].Value == "0" {
			list[i].Class += " none"
		}
	}
	recent := points(p.History, p.At)
	perSecond := "–"
	if len(recent) > 0 {
		perSecond = rate(recent[len(recent)-1].acquires)
	}
	return append(list,
		figure{"", "acquires/s", perSecond, "", grouped(p.Counters.Acquires) + " in all"},
		figure{"", "wait p99", short(p.Wait.P99.Duration()), "", "max " + short(p.Wait.Max.Duration())},
		figure{"", "hold p99", short(p.Hold.P99.Duration()), "", "max " + short(p.Hold.Max.Duration())},
	)
}

func peak(p *Pool, k Peak) string {
	if k.N == 0 {
		return "never any"
	}
	if p.At.Sub(k.At) < 24*time.Hour {
		return fmt.Sprintf("peak %s at %s", grouped(k.N), clock(k.At))
	}
	return fmt.Sprintf("peak %s, %s", grouped(k.N), ago(p.At, k.At))
}

// slice is a part of the bar that shows how full the pool is, in connections.
type slice struct {
	Class   string
	X, Wide int
}

func barOf(p *Pool) []slice {
	var list []slice
	x := 0
	for _, s := range []slice{
		{"in-use", 0, p.Conns.InUse}, {"verifying", 0, p.Conns.Verifying}, {"connecting", 0, p.Conns.Connecting},
		{"closing", 0, p.Conns.Closing}, {"idle", 0, p.Conns.Idle},
	} {
		s.X = x
		x += s.Wide
		list = append(list, s)
	}
	return list
}

// Size is the length of the whole bar: more than the limit where that was lowered.
func (v view) Size() int { return max(v.Conns.Max, v.Conns.Total, 1) }

// count is one counter with its name.
type count struct {
	Name, Value string
}

// counts are the counters in groups.
func counts(p *Pool) [][]count {
	c := &p.Counters
	n := func(name string, v uint64) count { return count{name, grouped(v)} }
	hits := "–"
	if all := c.StmtHits + c.StmtMisses; all > 0 {
		hits = fmt.Sprintf("%.1f %%", 100*float64(c.StmtHits)/float64(all))
	}
	groups := [][]count{
		{n("acquires", c.Acquires), n("waits", c.Waits), {"time waited", short(c.WaitTime.Duration())}, n("timeouts", c.Timeouts),
			n("canceled", c.Canceled), n("refused: queue full, or suspended", c.Exhausted), n("refused: connect error", c.Failed), n("retries", c.Retries)},
		{n("connects", c.Connects), n("connect errors", c.ConnectErrors), n("verifications", c.Verifications),
			n("failed verifications", c.VerifyErrors), n("resets after a return", c.Resets)},
		{n("leaks found", c.Leaks), n("returned after all", c.LeaksReturned), n("taken back", c.LeaksTaken), n("rows collected", c.RowsCollected),
			n("events lost", c.EventsLost)},
		{n("statement cache hits", c.StmtHits), n("misses", c.StmtMisses), {"hit rate", hits}},
	}
	var retired []count
	for reason, v := range c.Retired {
		retired = append(retired, n("retired: "+reason, v))
	}
	slices.SortFunc(retired, func(a, b count) int { return cmp.Compare(a.Name, b.Name) })
	if retired == nil {
		retired = []count{{"retired", "0"}}
	}
	return append(groups, retired)
}

// limits picks the settings that can be changed here.
func limits(all []Setting) []Setting {
	var list []Setting
	for _, shown := range all {
		if slices.ContainsFunc(settings, func(s setting) bool { return s.limit && s.name == shown.Name }) {
			list = append(list, shown)
		}
	}
	return list
}
