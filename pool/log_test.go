package pool

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// TestRepeatedLogLinesAreCounted: the same failure again and again is a line per
// second at most, which says how many were left out. Another kind of failure is not
// held up by it.
func TestRepeatedLogLinesAreCounted(t *testing.T) {
	var log bytes.Buffer
	var refuse atomic.Bool
	hooks := scripted.Hooks{
		Connect: func(context.Context, int) error {
			if refuse.Load() {
				return errRefused
			}
			return nil
		},
		Close: func(*scripted.Conn) error { return errors.New("no goodbye") },
	}
	cfg := Config{Name: "orders", MaxConns: 1, MaxWaiters: None, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	inBubble(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		for range 50 { // in 5 seconds
			if _, err := p.Acquire(t.Context()); !errors.Is(err, ErrExhausted) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		l.Release(Broken)
		synctest.Wait()
		var lines []string
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "msg=exhausted") {
				lines = append(lines, line)
				if !strings.Contains(line, "msg=exhausted pool=orders error=") {
					t.Errorf("the pool's name does not come first: %s", line)
				}
			}
		}
		if len(lines) != 5 {
			t.Fatalf("%d lines:\n%s", len(lines), log.String())
		}
		for i, line := range lines {
			if strings.Contains(line, "unreported=9") != (i > 0) {
				t.Errorf("line %d: %s", i, line)
			}
		}
		if !strings.Contains(log.String(), `msg="close failed" pool=orders`) {
			t.Error(log.String())
		}
	})
}

// TestStatementsInTheLog: at debug level each statement is logged with its literals
// masked; above it none is. A live change of the handler's level takes effect with
// the next Update.
func TestStatementsInTheLog(t *testing.T) {
	var log bytes.Buffer
	level := &slog.LevelVar{}
	cfg := Config{Name: "orders", MaxConns: 1, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		l.Note("SELECT 'hunter2'")
		if strings.Contains(log.String(), "SELECT") {
			t.Error(log.String())
		}
		level.Set(slog.LevelDebug)
		if err := p.Update(func(*Config) {}); err != nil {
			t.Fatal(err)
		}
		l.Note("UPDATE users SET password = 'hunter2', age = 42 WHERE id = $1 -- hunter2")
		if got := log.String(); strings.Contains(got, "hunter2") || strings.Contains(got, "42") ||
			!strings.Contains(got, `msg=statement pool=orders connection=1 sql="UPDATE users SET password = '#####', age = # WHERE id = $1`) {
			t.Error(got)
		}
		l.Release(Clean)
	})
}

// brokenHandler panics whenever it is told something.
type brokenHandler struct{ slog.Handler }

func (brokenHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (brokenHandler) Handle(context.Context, slog.Record) error { panic("disk full") }

func TestPanickingLogHandlerHarmsNobody(t *testing.T) {
	var refuse atomic.Bool
	hooks := scripted.Hooks{Connect: func(context.Context, int) error {
		if refuse.Swap(false) {
			return errRefused
		}
		return nil
	}}
	inBubble(t, hooks, Config{MaxConns: 1, MaxWaiters: None, Logger: slog.New(brokenHandler{})}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		refuse.Store(true)
		l := mustAcquire(t, p)
		l.Note("SELECT 1")
		if _, err := p.Acquire(t.Context()); !errors.Is(err, ErrExhausted) {
			t.Errorf("error %v", err)
		}
		l.Release(Broken)
		mustAcquire(t, p).Release(Clean)
	})
}
