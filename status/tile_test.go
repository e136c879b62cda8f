package status

import (
	"strings"
	"testing"
	"time"
)

func TestHolder(t *testing.T) {
	const traced = `goroutine 34 [running]:
runtime/debug.Stack()
	/go/src/runtime/debug/stack.go:26 +0x5e
github.com/nimue-go/nimue/pool.(*Pool).lend(0xc000124000, 0x1)
	/src/nimue/pool/acquire.go:228 +0x1b
github.com/nimue-go/nimue.(*Conn).lease(...)
	/src/nimue/conn.go:120
database/sql.(*DB).queryDC(0xc0001, {0x1, 0x2})
	/go/src/database/sql/sql.go:1800 +0x10
example.com/shop/orders.(*Store).Load.func1({0x1, 0x2}, 0x3)
	/src/shop/orders/store.go:77 +0x20
main.main()
	/src/shop/main.go:12 +0x20
created by main.start in goroutine 1
	/src/shop/main.go:3 +0x20
`
	for stack, want := range map[string]string{
		"":                                       " ",
		sampleStack:                              "main.(*shop).checkout checkout.go:88",
		traced:                                   "orders.(*Store).Load.func1 store.go:77",
		"main.f /src/a.go:1\nmain.g /src/b.go:2": "main.f a.go:1",
		"database/sql.(*DB).conn\n\t/go/sql.go:1\nmain.f":        "main.f ",
		"main.f\n\tC:\\src\\a.go:9 +0x1":                         "main.f a.go:9",
		"github.com/nimue-go/nimue/examples/x.f\n\t/x/main.go:5": "x.f main.go:5",
		"database/sql.(*DB).conn\n\t/go/sql.go:1":                " ",
	} {
		if name, place := holder(stack); name+" "+place != want {
			t.Errorf("got %q %q, want %q, of\n%s", name, place, want, stack)
		}
	}
}

func TestTilesSayTheirStateInWords(t *testing.T) {
	for want, c := range map[string]Conn{
		"○ idle 1m05s":         {State: "idle", Idle: Seconds(65 * time.Second)},
		"○ to be verified <1s": {State: "idle", Doubted: true},
		"● in use 2.5s":        {State: "leased", Held: Seconds(2500 * time.Millisecond)},
		"● in use ":            {State: "leased"},
		"▲ leaked 1m00s":       {State: "leased", Held: Seconds(time.Minute), Leaked: true},
		"◆ verifying ":         {State: "verifying", Doubted: true},
		"× closing ":           {State: "closing"},
		" reborn ":             {State: "reborn"},
	} {
		tile := newTile(c, "p")
		if got := tile.Glyph + " " + tile.Word + " " + tile.For; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestHolders(t *testing.T) {
	held := func(id uint64, d time.Duration) Conn { return Conn{ID: id, State: "leased", Held: Seconds(d)} }
	idle := Conn{ID: 9, State: "idle"}
	for _, c := range []struct {
		conns   []Conn
		ids     []uint64
		unknown string
	}{
		{nil, nil, "No connection is in use."},
		{[]Conn{idle}, nil, "No connection is in use."},
		{[]Conn{held(1, 0), held(2, 0)}, nil, "Leases of which it is not known who took them, and when, since nobody watched: 2."},
		{[]Conn{held(1, 1), held(2, 3), idle, held(3, 2)}, []uint64{2, 3, 1}, ""},
		{[]Conn{held(1, 1), held(2, 0)}, []uint64{1}, "Leases of which it is not known who took them, and when, since nobody watched: 1."},
		{[]Conn{held(1, 1), held(2, 2), held(3, 3), held(4, 4), held(5, 5), held(6, 6)}, []uint64{6, 5, 4, 3, 2}, ""},
	} {
		list, unknown := holders(&Pool{Connections: c.conns}, "p")
		var ids []uint64
		for _, tile := range list {
			ids = append(ids, tile.Conn.ID)
		}
		if !strings.HasPrefix(unknown, c.unknown) || (c.unknown == "") != (unknown == "") || len(ids) != len(c.ids) {
			t.Errorf("%v: got %v, %q", c.conns, ids, unknown)
			continue
		}
		for i := range ids {
			if ids[i] != c.ids[i] {
				t.Errorf("got %v, want %v", ids, c.ids)
			}
		}
	}
}

func TestEventsAreDescribed(t *testing.T) {
	for want, e := range map[string]Event{
		"lifetime, aged 1h00m": {Kind: "retired", Reason: "lifetime", Took: Seconds(time.Hour)},
		"after 3.0s, refused":  {Kind: "outage ended", Took: Seconds(3 * time.Second), Error: "refused"},
		"3 idle connections":   {Kind: "suspected", Count: 3},
		"1 event":              {Kind: "events lost", Count: 1},
		"held 5.0s, by main.(*shop).checkout checkout.go:88": {Kind: "leak found", Took: Seconds(5 * time.Second), Stack: sampleStack},
		"boom, SELECT ?": {Kind: "operation failed", Error: "boom", Statement: "SELECT ?"},
		"":               {Kind: "suspended"},
	} {
		if got := describe(e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
