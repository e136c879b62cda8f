package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nimue-go/nimue/status"
)

var watchCommand = &command{
	name:    "watch",
	operand: "URL",
	brief:   "a live view of a program's status page",
	about: `
Shows what the status page of a program shows (package status), in the terminal and
anew every second: each pool's health with its reason, its connections and waiters,
rates, latencies, who holds connections longest and with what statement, and what has
happened. Ctrl-C ends it. Without a terminal it prints a line per pool and interval.

The URL is the page's or that of its status.json; http:// may be left out, and where
there is no path /debug/nimue/ is meant. A name and a password in it are sent as basic
authentication. Holders are known of leases that began while somebody looked, so the
first frame may lack them.

With -once it prints one frame and ends, with -json the page's JSON document as it is:
see the documentation of package status.

Exit code 1: the page does not answer at the beginning; with -once or -json, a pool is
down, or, with -strict, degraded.
`,
	prepare: func(f *flags) action {
		interval := f.duration("interval", time.Second, 100*time.Millisecond, time.Hour, "`time` between frames")
		timeout := f.duration("timeout", 5*time.Second, time.Millisecond, time.Hour, "`time` that one answer may take")
		pool := f.text("pool", "`name` of the one pool to show")
		once := f.toggle("once", false, "print one frame and end")
		strict := f.toggle("strict", false, "with -once or -json, exit with 1 if a pool is degraded")
		asJSON := f.toggle("json", false, "print the JSON document and end")
		return func(ctx context.Context, c *console, url string) error {
			page, err := newPage(url, *pool, *timeout)
			if err != nil {
				return err
			}
			defer page.close()
			if *once || *asJSON {
				return watchOnce(ctx, c, page, *asJSON, *strict)
			}
			return watchLive(ctx, c, page, *interval)
		}
	},
}

// watchError is what watch -json prints where the page does not answer.
type watchError struct {
	Error string `json:"error"`
}

func watchOnce(ctx context.Context, c *console, p *page, asJSON, strict bool) error {
	report, raw, err := p.fetch(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return c.failed(asJSON, watchError{err.Error()}, err)
	case asJSON:
		_, err = fmt.Fprintf(c.out, "%s\n", strings.TrimSpace(string(raw)))
	default:
		v := view{report: report, style: c.style(c.out), width: c.width()}
		_, err = fmt.Fprintln(c.out, strings.Join(v.lines(), "\n"))
	}
	if err != nil {
		return err
	}
	if state := report.Health.State; state == "down" || strict && state != "ready" {
		return errBad
	}
	return nil
}

// watchLive shows frames until it is interrupted, which is how it is meant to end.
func watchLive(ctx context.Context, c *console, p *page, interval time.Duration) error {
	report, _, err := p.fetch(ctx)
	if err != nil {
		return errors.Join(err, ctx.Err())
	}
	show := frames(c)
	defer show.end()
	v := view{report: report}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := show.frame(v); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		next, _, err := p.fetch(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			v.failed(err, time.Now())
		default:
			v.next(next)
		}
	}
}

// view is what a frame is made of.
type view struct {
	report *status.Report
	before *status.Report // the one before it, for rates; nil at the beginning
	style  style
	width  int

	silent error     // why the last question was not answered; nil if it was
	since  time.Time // when that began
}

func (v *view) next(r *status.Report) {
	v.before, v.report, v.silent = v.report, r, nil
}

func (v *view) failed(err error, now time.Time) {
	if v.silent == nil {
		v.since = now
	}
	v.silent = err
}

// screen shows one frame after the other.
type screen interface {
	frame(view) error
	end()
}

func frames(c *console) screen {
	if _, _, terminal := c.size(c.out); terminal {
		s := &terminalScreen{c: c}
		s.begin()
		return s
	}
	return lineScreen{c}
}

// terminalScreen draws on the terminal's other screen, so that what was there before
// is there afterwards.
type terminalScreen struct {
	c    *console
	last []string
}

const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // the other screen, without a cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	toLineEnd   = "\x1b[K"
	toEnd       = "\x1b[J"
)

func (s *terminalScreen) begin() { fmt.Fprint(s.c.out, enterScreen) }

// frame writes over the frame before it in one go, line by line, so that nothing
// flickers.
func (s *terminalScreen) frame(v view) error {
	width, height, _ := s.c.size(s.c.out)
	v.style, v.width = s.c.style(s.c.out), max(width, 40)
	s.last = v.lines()
	lines := s.last
	if height > 2 && len(lines) > height {
		hidden := len(lines) - height + 1
		lines = append(lines[:height-1:height-1], v.style.faint(fmt.Sprintf("… %d more lines; -pool NAME shows one pool", hidden)))
	}
	_, err := fmt.Fprint(s.c.out, home+strings.Join(lines, toLineEnd+"\n")+toLineEnd+toEnd)
	return err
}

// end restores the terminal, and leaves the last frame on it.
func (s *terminalScreen) end() {
	fmt.Fprint(s.c.out, leaveScreen+strings.Join(s.last, "\n")+"\n")
}

// lineScreen prints a line per pool, for files and pipes.
type lineScreen struct{ c *console }

func (s lineScreen) frame(v view) error {
	_, err := fmt.Fprintln(s.c.out, strings.Join(v.short(), "\n"))
	return err
}

func (lineScreen) end() {}
