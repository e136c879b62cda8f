package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// use prepares text on l and executes it once.
func use(t *testing.T, l Lease, text string) {
	t.Helper()
	s, _, err := l.Prepare(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Stmt.(driver.StmtExecContext).ExecContext(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Done(s, nil, NoRows)
}

func TestStatementIsPreparedOncePerConnection(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 100 {
			leases := acquireN(t, p, 2)
			for _, l := range leases {
				use(t, l, "a")
			}
			releaseAll(leases)
		}
		if n := d.Count("prepare a"); n != 2 {
			t.Errorf("prepared %d times on 2 connections", n)
		}
		if s := p.Stats(); s.StmtHits != 198 || s.StmtMisses != 2 {
			t.Errorf("%d hits, %d misses", s.StmtHits, s.StmtMisses)
		}
	})
}

func TestStatementCacheIsBoundedAndDropsTheLeastRecentlyUsed(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, StmtCache: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		for _, text := range []string{"a", "b", "a", "c", "a"} { // b goes, not a
			use(t, l, text)
		}
		l.Release(Clean)
		if n := d.Count("prepare a"); n != 1 {
			t.Errorf("a was prepared %d times", n)
		}
		l = mustAcquire(t, p)
		use(t, l, "b")
		l.Release(Clean)
		if n := d.Count("prepare b"); n != 2 {
			t.Errorf("b was prepared %d times, want 2", n)
		}
	})
}

func TestDroppedStatementsAreClosedInBatchesAfterTheLease(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, StmtCache: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for i := range dropBatch {
			l := mustAcquire(t, p)
			use(t, l, fmt.Sprint("text ", i))
			l.Release(Clean)
		}
		synctest.Wait()
		if n := d.Count("stmt-close"); n != 0 {
			t.Errorf("%d closed one by one", n)
		}
		l := mustAcquire(t, p)
		use(t, l, "one more")
		if n := d.Count("stmt-close"); n != 0 {
			t.Errorf("%d closed in the midst of the lease", n)
		}
		l.Release(Clean)
		synctest.Wait()
		if n := d.Count("stmt-close"); n != dropBatch {
			t.Errorf("%d closed after the lease, want the whole batch of %d", n, dropBatch)
		}
	})
}

func TestDroppedStatementsOfOneLeaseAreBounded(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, StmtCache: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		for i := range 3*mostDropped + 1 {
			use(t, l, fmt.Sprint("text ", i))
		}
		if n := d.Count("stmt-close"); n != 3*mostDropped {
			t.Errorf("%d of %d dropped statements closed", n, 3*mostDropped)
		}
		l.Release(Clean)
	})
}

func TestDroppedStatementsAreClosedByTheHealthCheck(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, StmtCache: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		use(t, l, "a")
		use(t, l, "b")
		l.Release(Clean)
		time.Sleep(DefaultHealthCheckPeriod + time.Second)
		synctest.Wait()
		if n := d.Count("stmt-close a"); n != 1 {
			t.Errorf("a was closed %d times", n)
		}
	})
}

func TestNoCacheClosesEveryStatement(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, StmtCache: None}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		for range 3 {
			use(t, l, "a")
		}
		if p, c := d.Count("prepare a"), d.Count("stmt-close a"); p != 3 || c != 3 {
			t.Errorf("prepared %d times, closed %d times; want 3 and 3", p, c)
		}
		l.Release(Clean)
	})
}

func TestFailedExecutionDropsTheStatement(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		s, called, err := l.Prepare(context.Background(), "a")
		if err != nil || !called {
			t.Fatal(called, err)
		}
		l.Done(s, errors.New("cached plan must not change result type"), NoRows)
		use(t, l, "a")
		use(t, l, "a")
		if n := d.Count("prepare a"); n != 2 {
			t.Errorf("prepared %d times, want 2", n)
		}
		l.Release(Clean)
	})
}

func TestStatementWithOpenRowsServesNobodyElse(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		first, _, _ := l.Prepare(context.Background(), "a")
		l.Done(first, nil, UnseenRows)
		second, called, _ := l.Prepare(context.Background(), "a")
		if first == second || !called {
			t.Error("one statement for two open queries")
		}
		l.Done(second, nil, UnseenRows)
		l.RowsClosed(second)
		if third, called, _ := l.Prepare(context.Background(), "a"); third != second || called {
			t.Error("the free one was not used again")
		}
		l.Release(Clean)
		l = mustAcquire(t, p) // the lease's end closed the rows
		if s, called, _ := l.Prepare(context.Background(), "a"); called || s != first && s != second {
			t.Error("prepared again in the next lease")
		}
		l.Release(Clean)
	})
}

func TestFailedPrepareIsNotKept(t *testing.T) {
	cause := errors.New("syntax error")
	hooks := scripted.Hooks{Prepare: func(context.Context, *scripted.Conn, string) error { return cause }}
	inBubble(t, hooks, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		for range 2 {
			if _, called, err := l.Prepare(context.Background(), "a"); err != cause || !called {
				t.Errorf("%v, %v", called, err)
			}
		}
		l.Release(Clean)
	})
}

func TestStatementsAreClosedBeforeTheirHealthyConnection(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		leases := acquireN(t, p, 2)
		for _, l := range leases {
			use(t, l, "a")
		}
		leases[0].Release(Broken) // past talking to
		leases[1].Release(Clean)
		p.Reset()
		synctest.Wait()
		log := d.Log()
		if slices.Contains(log, "1 stmt-close a") || !slices.Contains(log, "2 stmt-close a") {
			t.Errorf("calls %v", log)
		}
	})
}

// TestFailedStatementIsClosedBeforeItsTextIsPreparedAgain: pgx gives the same
// server-side statement for as long as one of its text is open.
func TestFailedStatementIsClosedBeforeItsTextIsPreparedAgain(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		l := mustAcquire(t, p)
		s, _, err := l.Prepare(context.Background(), "stale")
		if err != nil {
			t.Fatal(err)
		}
		l.Done(s, errors.New("cached plan must not change result type"), NoRows)
		use(t, l, "other")
		if n := d.Count("stmt-close"); n != 0 {
			t.Errorf("%d closed for the sake of another text", n)
		}
		use(t, l, "stale")
		l.Release(Clean)
		var calls []string
		for _, call := range d.Log() {
			if strings.Contains(call, "stale") {
				calls = append(calls, call)
			}
		}
		want := []string{"1 prepare stale", "1 stmt-close stale", "1 prepare stale", "1 stmt-exec stale"}
		if !slices.Equal(calls, want) {
			t.Errorf("calls: %q, want %q", calls, want)
		}
	})
}
