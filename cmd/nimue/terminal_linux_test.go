package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal with what was written to it.
type terminal struct {
	tty *os.File

	mu   sync.Mutex
	seen strings.Builder
}

func newTerminal(t *testing.T, width, height uint16) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal is to be had here: %v", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{}
	if term.tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(term, master) // until the other side is closed
	}()
	t.Cleanup(func() {
		term.tty.Close()
		<-done
		master.Close()
	})
	return term
}

// Write notes what has come to the terminal.
func (term *terminal) Write(b []byte) (int, error) {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.seen.Write(b)
}

func (term *terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.seen.String()
}

// settled is all that a program that has ended has written, which may come a moment
// later.
func (term *terminal) settled(t *testing.T) string {
	t.Helper()
	const end = "<the end>"
	if _, err := io.WriteString(term.tty, end); err != nil {
		t.Fatal(err)
	}
	term.wait(t, func(text string) bool { return strings.HasSuffix(text, end) })
	return strings.TrimSuffix(term.text(), end)
}

func (term *terminal) wait(t *testing.T, holds func(text string) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(term.text()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("it has not come:\n%q", term.text())
			return
		}
	}
}

// interrupted is a context that ends when what is on the terminal is enough.
func (term *terminal) interrupted(t *testing.T, enough func(text string) bool) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		term.wait(t, enough)
		cancel()
	}()
	t.Cleanup(func() { <-done })
	return ctx
}

// runOn runs the program on a terminal.
func runOn(t *testing.T, ctx context.Context, term *terminal, env map[string]string, args ...string) int {
	t.Helper()
	return run(ctx, args, strings.NewReader(""), term.tty, term.tty, func(name string) string { return env[name] })
}

func TestWatchOnATerminal(t *testing.T) {
	for name, env := range map[string]map[string]string{"colours": {"TERM": "xterm"}, "no colours": {"TERM": "xterm", "NO_COLOR": "1"}} {
		t.Run(name, func(t *testing.T) {
			term := newTerminal(t, 80, 12)
			ctx := term.interrupted(t, func(text string) bool { return strings.Count(text, home) >= 3 })
			if code := runOn(t, ctx, term, env, "watch", "-interval", "100ms", serveSample(t, nil)); code != exitFine {
				t.Errorf("exit code %d", code)
			}
			text := term.settled(t)
			if !strings.HasPrefix(text, enterScreen) || strings.Count(text, enterScreen) != 1 || strings.Count(text, leaveScreen) != 1 {
				t.Errorf("%q", text)
			}
			body, after, _ := strings.Cut(strings.TrimPrefix(text, enterScreen), leaveScreen)
			frames := strings.Split(body, home)[1:]
			if len(frames) < 2 {
				t.Fatalf("%d frames: %q", len(frames), body)
			}
			for _, frame := range frames {
				checkFrame(t, frame, 80, 12)
			}
			if coloured := strings.Contains(text, "\x1b[33m"); coloured != (name == "colours") {
				t.Errorf("colours: %v", coloured)
			}
			if !strings.Contains(after, "orders") || !strings.Contains(after, "reports") { // in full
				t.Errorf("left on the terminal: %q", after)
			}
		})
	}
}

// checkFrame holds a frame to the terminal's size.
func checkFrame(t *testing.T, frame string, width, height int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(frame, toEnd), "\r\n")
	if len(lines) > height || !strings.HasSuffix(frame, toLineEnd+toEnd) || !strings.Contains(lines[len(lines)-1], "more lines") {
		t.Errorf("%d lines: %q", len(lines), frame)
	}
	for _, line := range lines {
		line = strings.TrimSuffix(line, toLineEnd)
		for _, code := range []string{"0", "1", "2", "31", "32", "33"} {
			line = strings.ReplaceAll(line, "\x1b["+code+"m", "")
		}
		if n := len([]rune(line)); n > width || strings.Contains(line, "\x1b") {
			t.Errorf("%d characters: %q", n, line)
		}
	}
}

func TestWatchOnADumbTerminal(t *testing.T) {
	term := newTerminal(t, 80, 24)
	ctx := term.interrupted(t, func(text string) bool { return strings.Contains(text, `pool="reports"`) })
	runOn(t, ctx, term, map[string]string{"TERM": "dumb"}, "watch", serveSample(t, nil))
	if text := term.settled(t); strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
}

func TestBenchOnATerminal(t *testing.T) {
	term := newTerminal(t, 60, 24)
	if code := runOn(t, t.Context(), term, nil, "bench", "-d", "400ms", "-c", "2", sqliteFile(t)); code != exitFine {
		t.Errorf("exit code %d", code)
	}
	text := term.settled(t)
	lines := strings.Split(text, "\r")
	live := 0
	for _, line := range lines {
		if strings.Contains(line, " operations, ") {
			live++
			if n := len([]rune(strings.TrimSuffix(line, toLineEnd))); n > 60 {
				t.Errorf("%d characters: %q", n, line)
			}
		}
	}
	if live < 3 || !strings.Contains(text, "\r"+toLineEnd) {
		t.Errorf("%q", text)
	}
}

func TestExplainOnATerminal(t *testing.T) {
	term := newTerminal(t, 72, 24)
	runOn(t, t.Context(), term, nil, "explain", "sqlite:a.db?pool_acquire_timeout=0")
	text := term.settled(t)
	if !strings.Contains(text, "come back") || !strings.Contains(text, "\x1b[1mWarnings\x1b[0m") || !strings.Contains(text, "\x1b[33m! \x1b[0m") {
		t.Errorf("%q", text)
	}
}

func TestSizeOfATerminalThatDoesNotKnow(t *testing.T) {
	term := newTerminal(t, 0, 0)
	c := &console{out: term.tty, env: func(string) string { return "" }}
	if width, height, ok := c.size(term.tty); width != 80 || height != 24 || !ok {
		t.Errorf("%d × %d, %v", width, height, ok)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, _, ok := c.size(file); ok {
		t.Error("the null device is a terminal")
	}
}
