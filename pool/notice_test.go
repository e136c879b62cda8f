package pool

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// chatty is a server that sends a notice whenever it is asked something.
type chatty map[driver.Conn]func(slog.Level, error)

func (c chatty) hooks(times int) scripted.Hooks {
	say := func(conn *scripted.Conn, what string) error {
		for i := range times {
			if tell := c[conn]; tell != nil {
				tell(slog.LevelInfo, fmt.Errorf("%s %d", what, i))
			}
		}
		return nil
	}
	return scripted.Hooks{
		Ping: func(_ context.Context, conn *scripted.Conn) error { return say(conn, "ping") },
		Exec: func(_ context.Context, conn *scripted.Conn, sql string, _ []driver.NamedValue) error {
			return say(conn, sql)
		},
	}
}

func (c chatty) notices(conn driver.Conn, tell func(slog.Level, error)) { c[conn] = tell }

func TestNoticesNameConnectionAndStatement(t *testing.T) {
	c := chatty{}
	cfg := Config{MaxConns: 1, InitSQL: []string{"SET a"}, Notices: c.notices, HealthCheckPeriod: None}
	listened(t, c.hooks(1), cfg, func(t *testing.T, p *Pool, d *scripted.Driver, r *record) {
		want := func(conn uint64, notice, statement string) {
			t.Helper()
			if e := r.last(t, EventNotice); e.Conn != conn || e.Err.Error() != notice || e.Statement != statement {
				t.Errorf("%d %v %q; want %d %s %q", e.Conn, e.Err, e.Statement, conn, notice, statement)
			}
		}
		l := mustAcquire(t, p)
		want(0, "SET a 0", "SET a")
		l.Note("INSERT 'x'")
		if _, err := l.Conn().(driver.ExecerContext).ExecContext(t.Context(), "INSERT 'x'", nil); err != nil {
			t.Fatal(err)
		}
		want(1, "INSERT 'x' 0", "INSERT '#####'")
		l.Release(Clean)
		if _, _, err := p.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(1, "ping 0", "") // and not the borrower's
		for _, e := range p.RecentEvents() {
			if e.Kind == EventNotice {
				t.Error("a notice is kept among the recent events")
			}
		}
	})
}

func TestNoticesAreLoggedAFewAtATime(t *testing.T) {
	c := chatty{}
	var log bytes.Buffer
	cfg := Config{MaxConns: 1, Name: "talk", Notices: c.notices, HealthCheckPeriod: None, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	inBubble(t, c.hooks(1000), cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		for range 2 {
			l.Note("CALL f")
			if _, err := l.Conn().(driver.ExecerContext).ExecContext(t.Context(), "CALL f", nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			time.Sleep(logEvery)
		}
		l.Release(Clean)
		synctest.Wait()
		if n := strings.Count(log.String(), "server notice"); n != 2*noticesPerInterval {
			t.Errorf("%d notices were logged", n)
		}
		if want := fmt.Sprintf(`msg="server notice" pool=talk connection=1 notice="CALL f 0" statement="CALL f" unreported=%d`, 1000-noticesPerInterval); !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	})
}

// Nobody is asked for notices that nobody would hear, and a function that panics
// costs the connect, not the program.
func TestNoticesOnlyWhereHeard(t *testing.T) {
	never := func(driver.Conn, func(slog.Level, error)) { panic("asked") }
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, Notices: never}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		mustAcquire(t, p).Release(Clean)
	})
	listened(t, scripted.Hooks{}, Config{MaxConns: 1, Notices: never, OutageGrace: None}, func(t *testing.T, p *Pool, d *scripted.Driver, r *record) {
		_, err := p.Acquire(t.Context())
		var panicked *PanicError
		if !errors.As(err, &panicked) || d.Open() != 0 {
			t.Errorf("error %v, %d open", err, d.Open())
		}
	})
}
