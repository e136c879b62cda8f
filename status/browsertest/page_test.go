package browsertest

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"
)

// figureOf is the big number of a name.
func figureOf(label string) string {
	return `[...document.querySelectorAll(".figure")].find(f => f.querySelector("dt").textContent === "` + label + `").querySelector("b").textContent`
}

// counterOf is the counter of a name.
func counterOf(label string) string {
	return `[...document.querySelectorAll(".counts dl > div")].find(d => d.querySelector("dt").textContent === "` + label + `").querySelector("dd").textContent`
}

func TestNumbersMoveWithoutReload(t *testing.T) {
	s := onSQLite(t, "pool_max_conns=4")
	s.load(12, 5*time.Millisecond)
	b := open(t, s.page)
	b.visit(s.page)
	b.text(`window.kept = document.getElementById("main")`)
	before := b.text(counterOf("acquires"))
	b.until("the counter to move", counterOf("acquires")+` !== "`+before+`"`)
	b.until("the plot to be drawn", `document.querySelector(".plots path.line") && document.querySelector(".times path.bins")`)
	b.until("waiters to be seen", figureOf("waiting")+` !== "0"`)
	b.until("a full pool to be seen", figureOf("in use")+` === "4"`)
	if b.text(`window.kept === document.getElementById("main")`) != "true" {
		t.Error("the page was loaded again")
	}
	if live := b.text(`document.getElementById("live").textContent`); !strings.HasPrefix(live, "live, ") {
		t.Errorf("the page says %q", live)
	}
	hasNone(t, b.text(`document.documentElement.outerHTML`), "hush hush", "stock > 17")
}

// A tile opens by keyboard and shows who holds the connection, with what; it stays
// open and keeps the focus while the page renews itself.
func TestTileShowsTheHolder(t *testing.T) {
	s := onPostgres(t, "pool_max_conns=4&pool_leak_threshold=300ms")
	s.load(2, 5*time.Millisecond)
	s.forgetfulHolder()
	s.waitUntil("the leak to be found", func() bool { return s.pool.Stats().Leaks > 0 })
	b := open(t, s.page)
	b.visit(s.page)
	b.until("the tile", `document.querySelector(".tile.leaked .holder")`)
	if held := b.text(`document.querySelector(".holders tr.leaked").innerText`); !strings.Contains(held, "forgetfulHolder") || !strings.Contains(held, "scene_test.go:") ||
		!strings.Contains(held, "SELECT count(*) FROM items") {
		t.Errorf("the longest holder is shown as %q", held)
	}
	const summary = `document.querySelector(".tile.leaked summary")`
	b.text(summary + `.focus()`)
	b.press(kb.Enter)
	b.until("the tile to open", summary+`.parentElement.open`)
	if stack := b.text(`document.querySelector(".tile.leaked pre").innerText`); !strings.Contains(stack, "browsertest.(*scene).forgetfulHolder") || !strings.Contains(stack, "TestTileShowsTheHolder") {
		t.Errorf("its stack is\n%s", stack)
	}
	held := b.text(summary + `.querySelector(".for").textContent`)
	for range 2 {
		b.until("the held time to grow", summary+`.querySelector(".for").textContent !== "`+held+`"`)
		held = b.text(summary + `.querySelector(".for").textContent`)
	}
	if b.text(summary+`.parentElement.open && document.activeElement === `+summary) != "true" {
		t.Error("it closed, or lost the focus")
	}
	hasNone(t, b.text(`document.documentElement.outerHTML`), "top secret", "4711")
}

// tabTo presses Tab until a button or summary of that text has the focus.
func (b *browser) tabTo(label string) {
	b.t.Helper()
	for range 200 {
		b.press(kb.Tab)
		if b.text(`document.activeElement.textContent.trim()`) == label {
			return
		}
	}
	b.t.Fatalf("Tab does not lead to %q", label)
}

func TestControlsByKeyboardAlone(t *testing.T) {
	s := onSQLite(t, "pool_max_conns=4&pool_min_conns=2")
	s.waitUntil("two idle connections", func() bool { return s.pool.Stats().Idle == 2 })
	b := open(t, s.page)
	b.visit(s.page)

	b.tabTo("Verify")
	b.press(kb.Enter)
	const said = `document.getElementById("said").textContent`
	b.until("the answer", said+`.includes("verified 2 idle connections, 0 failed")`)
	if s.pool.Stats().Verifications < 2 {
		t.Error("nothing was verified")
	}
	b.until("the next renewal", `document.querySelectorAll("#actions li").length === 1`)
	if focus := b.text(`document.activeElement.textContent`); focus != "Verify" {
		t.Errorf("the focus went to %q", focus)
	}

	b.tabTo("Controls that callers notice")
	b.press(kb.Enter)
	b.tabTo("Suspend: callers are refused")
	b.press(" ")
	b.until("the suspension", `document.querySelector(".pool > header").textContent.includes("suspended")`)
	if !s.pool.Stats().Suspended {
		t.Error("the pool is not suspended")
	}
	b.text(`document.querySelector("button[value=verify]").focus()`)
	b.tabTo("Resume")
	b.press(kb.Enter)
	b.until("the end of it", said+`.includes("resumed")`)
	if s.pool.Stats().Suspended {
		t.Error("the pool is still suspended")
	}

	b.tabTo("Limits")
	b.press(kb.Enter)
	b.press(kb.Tab) // into the first field
	for range "4" {
		b.press(kb.Delete)
	}
	b.press("7" + kb.Enter)
	b.until("the new limit", `document.querySelector("input[name=pool_max_conns]").value === "7" && `+said+`.includes("set pool_max_conns=7")`)
	if n := s.pool.Config().MaxConns; n != 7 {
		t.Errorf("the limit is %d", n)
	}
	b.text(`document.querySelector("input[name=pool_max_conns]").focus()`)
	b.press(kb.End + "x" + kb.Enter)
	b.until("the error", said+`.includes('pool_max_conns is "7x", want a whole number')`)
}

// labels are the names of everything that the page shows.
const labels = `[...document.querySelectorAll("h2, h3, dt, th, figcaption, label, button[name]")].map(e => e.firstChild && e.firstChild.textContent).join()`

// Without scripts there is the same to be read, and the buttons work.
func TestPageWithoutScripts(t *testing.T) {
	s := onSQLite(t, "pool_max_conns=3&pool_leak_threshold=200ms&pool_reset_sql=SELECT+%27hush%27")
	s.forgetfulHolder()
	s.waitUntil("the leak to be found", func() bool { return s.pool.Stats().Leaks > 0 })
	b := open(t, s.page)
	b.visit(s.page)
	b.until("the page to be live", `document.getElementById("live").textContent.startsWith("live")`)
	headings := b.text(labels)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit(s.page)
	if live := b.text(`document.getElementById("live").textContent`); !strings.HasPrefix(live, "as of ") {
		t.Fatalf("scripts run: %q", live)
	}
	if again := b.text(labels); again != headings {
		t.Errorf("with scripts there is\n%s\nand without\n%s", headings, again)
	}
	text := b.text(`document.querySelector("main").textContent`)
	for _, want := range []string{"leaked", "forgetfulHolder", "leak found", "pool_max_conns", "SELECT '#####'"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not to be read", want)
		}
	}
	hasNone(t, text, "hush", "top secret", "4711")
	if b.text(`document.querySelector("noscript a").textContent`) != "Reload" {
		t.Error("there is no way to reload")
	}
	b.text(`document.querySelector("button[value=drain]").focus()`)
	b.press(kb.Enter)
	b.until("the page that is the answer", `document.querySelector("#actions li")`)
	b.until("the pool in sight", `location.hash === "#" + document.querySelector("section.pool").id`)
}

// A tab that nobody sees asks for nothing, nor does one that is paused; one whose
// process is gone says so and recovers.
func TestPageRests(t *testing.T) {
	s := onSQLite(t, "pool_max_conns=2")
	b := open(t, s.page)
	b.visit(s.page)
	quiet := func(what string) {
		t.Helper()
		time.Sleep(300 * time.Millisecond) // what was under way may end
		before := s.requests.Load()
		time.Sleep(2500 * time.Millisecond)
		if n := s.requests.Load() - before; n != 0 {
			t.Errorf("%s it asks %d times in 2.5 s", what, n)
		}
	}
	asks := func(what string) {
		t.Helper()
		before := s.requests.Load()
		s.waitUntil(what, func() bool { return s.requests.Load() >= before+2 })
	}
	asks("the page to renew itself")
	b.text(`Object.defineProperty(document, "hidden", { value: true, configurable: true }), document.dispatchEvent(new Event("visibilitychange"))`)
	quiet("hidden,")
	b.text(`delete document.hidden, document.dispatchEvent(new Event("visibilitychange"))`)
	asks("the page to go on when it is seen")
	b.text(`document.getElementById("pause").click()`)
	quiet("paused,")
	b.text(`document.getElementById("pause").click()`)
	asks("the page to go on after a pause")
	b.text(`document.getSelection().selectAllChildren(document.querySelector("h2"))`)
	quiet("while text is selected,")
	b.text(`document.getSelection().removeAllRanges()`)
	asks("the page to go on without a selection")

	s.server.CloseClientConnections()
	_ = s.server.Listener.Close()
	s.server.CloseClientConnections()
	b.until("the page to say that nobody answers", `document.querySelector(".live.stale") && document.getElementById("live").textContent.startsWith("no answer since")`)
	b.troubles() // the browser logs each question without an answer
}

// The page fits a telephone, and its text has contrast, in light and in dark.
func TestPageIsReadable(t *testing.T) {
	s := onPostgres(t, "pool_max_conns=6&pool_leak_threshold=200ms&pool_acquire_timeout=1s")
	s.forgetfulHolder()
	s.load(20, 500*time.Millisecond)
	s.waitUntil("a leak and timeouts", func() bool { s := s.pool.Stats(); return s.Leaks > 0 && s.Timeouts > 0 })
	b := open(t, s.page)
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		for _, width := range []int64{360, 800, 1440} {
			b.size(width, 900)
			b.visit(s.page)
			b.until("the page to be live", `document.getElementById("live").textContent.startsWith("live") && document.querySelector(".tile.leaked")`)
			b.text(`document.querySelectorAll("details").forEach(d => d.open = true)`)
			if wide := b.text(wideElements); wide != "" {
				t.Errorf("%s, %d wide: these are wider: %s", scheme, width, wide)
			}
			if faint := b.text(faintTexts); faint != "" {
				t.Errorf("%s, %d wide: too little contrast: %s", scheme, width, faint)
			}
		}
	}
}

func (b *browser) scheme(name string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
}

func (b *browser) size(width, height int64) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// wideElements lists what has the page scroll sideways.
const wideElements = `document.documentElement.scrollWidth <= document.documentElement.clientWidth ? "" :
	[...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest("pre, svg"))
		.map(e => e.nodeName + "." + e.className + " " + Math.round(e.getBoundingClientRect().right)).slice(0, 8).join(", ")`

// faintTexts lists texts with a contrast below 4.5 to what is behind them, as WCAG
// 2 computes it.
const faintTexts = `(() => {
	const parse = c => c.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] === 1) return c;
		}
		return [255, 255, 255];
	};
	const found = new Set();
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = texts.nextNode();) {
		const e = n.parentElement;
		if (!n.data.trim() || e.namespaceURI.endsWith("svg") || ["NOSCRIPT", "SCRIPT"].includes(e.nodeName) || !e.checkVisibility()) continue;
		const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
		if ((a + 0.05) / (b + 0.05) < 4.5) found.add(e.nodeName + "." + e.className + " " + ((a + 0.05) / (b + 0.05)).toFixed(2));
	}
	return [...found].join(", ");
})()`
