package status

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// tile is a connection as the page shows it.
type tile struct {
	Conn
	ID      string
	Class   string
	Glyph   string
	Word    string // its state
	For     string // how long it has been in it, as far as that is known
	Holder  string // the function that holds it
	Place   string // and where that is
	Numbers string
}

// The words for states, and a sign for each, so that colour says nothing alone.
var stateWords = map[string]struct{ class, glyph, word string }{
	"idle":      {"idle", "○", "idle"},
	"leased":    {"in-use", "●", "in use"},
	"verifying": {"verifying", "◆", "verifying"},
	"closing":   {"closing", "×", "closing"},
}

// glyph is the sign of a pool's health.
func glyph(state string) string {
	switch state {
	case "ready":
		return "●"
	case "degraded":
		return "▲"
	}
	return "■"
}

func newTile(c Conn, pool string) tile {
	s := stateWords[c.State]
	t := tile{Conn: c, ID: pool + "-c" + strconv.FormatUint(c.ID, 10), Class: s.class, Glyph: s.glyph, Word: cmp.Or(s.word, c.State)}
	switch {
	case c.Leaked:
		t.Class, t.Glyph, t.Word = "in-use leaked", "▲", "leaked"
	case c.Doubted && c.State == "idle":
		t.Class, t.Word = "idle doubted", "to be verified"
	}
	if c.State == "leased" && c.Held > 0 {
		t.For = short(c.Held.Duration())
	} else if c.State == "idle" {
		t.For = coarse(c.Idle.Duration())
	}
	t.Holder, t.Place = holder(c.Stack)
	uses := "uses"
	if c.Uses == 1 {
		uses = "use"
	}
	t.Numbers = fmt.Sprintf("age %s · %s %s · ok %s", rough(c.Age.Duration()), compact(c.Uses), uses, rough(c.Verified.Duration()))
	return t
}

// byHeld puts the lease that has lasted longest first, and those of which that is
// not known last.
func byHeld(a, b Conn) int {
	return cmp.Or(cmp.Compare(b.Held, a.Held), cmp.Compare(a.ID, b.ID))
}

// holders are the leases that have lasted longest, of those whose holders are
// known, and a word on the others.
func holders(p *Pool, id string) (list []tile, unknown string) {
	var known []Conn
	others := 0
	for _, c := range p.Connections {
		switch {
		case c.State != "leased":
		case c.Held == 0:
			others++
		default:
			known = append(known, c)
		}
	}
	slices.SortFunc(known, byHeld)
	for _, c := range known[:min(len(known), mostHolders)] {
		list = append(list, newTile(c, id))
	}
	switch {
	case others > 0:
		unknown = "Leases of which it is not known who took them, and when, since nobody watched: " + grouped(others) + "."
	case known == nil:
		unknown = "No connection is in use."
	}
	return list, unknown
}

// tiles shows connections in the order in which they were made, so that each stays
// in its place while its state changes. Where there are too many, those that matter
// are chosen: leases first, the longest before all.
func tiles(p *Pool, id string) (list []tile, more string) {
	shown := slices.Clone(p.Connections)
	if len(shown) > mostTiles {
		slices.SortFunc(shown, func(a, b Conn) int {
			return cmp.Or(cmp.Compare(importance(a), importance(b)), byHeld(a, b))
		})
		more = moreOf(shown[mostTiles:])
		shown = shown[:mostTiles]
		slices.SortFunc(shown, func(a, b Conn) int { return cmp.Compare(a.ID, b.ID) })
	}
	for _, c := range shown {
		list = append(list, newTile(c, id))
	}
	return list, more
}

func importance(c Conn) int {
	return slices.Index([]string{"leased", "verifying", "closing", "idle"}, c.State)
}

// moreOf sums up what is not shown.
func moreOf(hidden []Conn) string {
	var parts []string
	for _, state := range []string{"leased", "verifying", "closing", "idle"} {
		n := 0
		for _, c := range hidden {
			if c.State == state {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, grouped(n)+" "+stateWords[state].word)
		}
	}
	return fmt.Sprintf("… and %s more: %s.", grouped(len(hidden)), strings.Join(parts, ", "))
}

// happening is an event as the page shows it.
type happening struct {
	Event
	ID    string
	Class string
	Text  string
}

// bad are the kinds of events that somebody should look at.
var bad = map[string]string{
	"connect failed": "bad", "outage began": "worse", "died": "bad", "suspected": "bad", "demoted": "worse", "exhausted": "bad",
	"leak found": "worse", "leak reclaimed": "worse", "rows collected": "worse", "operation failed": "bad", "events lost": "bad",
	"timed out": "bad", "outage ended": "good", "leak returned": "good",
}

func happenings(p *Pool, id string) []happening {
	var list []happening
	seen := map[string]int{}
	for _, e := range p.Events {
		key := fmt.Sprintf("%s-e%x-%d", id, e.At.UnixNano(), e.Conn)
		seen[key]++
		if n := seen[key]; n > 1 { // ids must not be shared, however fast things happen
			key += fmt.Sprintf("-%d", n)
		}
		list = append(list, happening{Event: e, ID: key, Class: bad[e.Kind], Text: describe(e)})
	}
	return list
}

// counted are the things that an event's count is about.
var counted = map[string]string{"suspected": "idle connection", "drained": "connection", "events lost": "event"}

// describe says what is known of an event in a line.
func describe(e Event) string {
	var parts []string
	if e.Reason != "" {
		parts = append(parts, e.Reason)
	}
	if e.Took > 0 {
		word := "in "
		switch e.Kind {
		case "retired":
			word = "aged "
		case "leak found", "leak returned", "leak reclaimed":
			word = "held "
		case "outage ended", "timed out", "canceled":
			word = "after "
		}
		parts = append(parts, word+short(e.Took.Duration()))
	}
	if e.Count > 0 {
		parts = append(parts, plural(e.Count, cmp.Or(counted[e.Kind], "time")))
	}
	if name, place := holder(e.Stack); name != "" {
		parts = append(parts, "by "+name+" "+place)
	}
	if e.Error != "" {
		parts = append(parts, e.Error)
	}
	if e.Statement != "" {
		parts = append(parts, e.Statement)
	}
	return strings.Join(parts, ", ")
}
