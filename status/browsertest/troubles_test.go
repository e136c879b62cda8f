package browsertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/servers"
)

// headline is the pool's health with its reason.
const headline = `document.querySelector(".health").textContent`

// A leak, an overload and a server that is away, in turn: from the page alone an
// operator can tell which it is, and name the holder.
func TestTroublesCanBeToldApart(t *testing.T) {
	server := servers.Postgres(t)
	s := setUp(t, "pgx:"+server.URL("postgres")+"&pool_name=orders&pool_max_conns=4&pool_leak_threshold=2s&pool_acquire_timeout=1s&pool_outage_grace=1s")
	b := open(t, s.page)
	b.visit(s.page)
	well := func() {
		t.Helper()
		b.until("the pool to be well", headline+`.includes("ready") && !document.querySelector(".outage, .leaked") && `+figureOf("waiting")+` === "0"`)
	}
	well()

	remember := s.forgetfulHolder()
	b.until("the leak", headline+`.includes("degraded") && `+headline+`.includes("held for longer than 2s")`)
	if waiting := b.text(figureOf("waiting")); waiting != "0" {
		t.Errorf("a leak alone has %s callers waiting", waiting)
	}
	if held := b.text(`document.querySelector(".holders tr.leaked").innerText`); !strings.Contains(held, "forgetfulHolder") {
		t.Errorf("the holder is %q", held)
	}
	remember()
	well()
	b.until("the end of the leak among the events", `document.querySelector(".events").textContent.includes("leak returned")`)

	stop := s.load(40, 150*time.Millisecond)
	b.until("the overload", headline+`.includes("degraded") && `+figureOf("waiting")+` > 10 && `+figureOf("in use")+` === "4"`)
	if b.text(`document.querySelector(".leaked, .outage")`) != "null" {
		t.Error("an overload looks like a leak or an outage")
	}
	b.until("those who hold the connections", `[...document.querySelectorAll(".holders tbody tr")].some(r => r.innerText.includes("browseItems"))`)
	b.until("the error of those who gave up", `document.querySelector(".errors") && document.querySelector(".errors").textContent.includes("no connection after")`)
	stop()
	well()

	stop = s.load(2, time.Millisecond)
	if err := server.Shutdown(servers.Immediate); err != nil {
		t.Fatal(err)
	}
	b.until("the outage", `document.querySelector(".outage") && document.querySelector(".badge.down") && `+headline+`.includes("no connect has succeeded")`)
	if b.text(`document.querySelector(".leaked")`) != "null" {
		t.Error("an outage looks like a leak")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	b.until("the end of the outage among the events", `document.querySelector(".events").textContent.includes("outage ended")`)
	stop()
	well()
}
