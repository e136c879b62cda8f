package rows

import (
	"context"
	"database/sql/driver"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// The spike, as HikariCP's documents describe it.
const (
	spikeCallers    = 50
	spikeFloorConns = 5
	spikeMost       = 50
	spikeConnect    = 150 * time.Millisecond
	spikeQuery      = 2 * time.Millisecond
)

func spikeCold(b *testing.B, contender string, _ int)  { spikes(b, contender, false) }
func spikeFloor(b *testing.B, contender string, _ int) { spikes(b, contender, true) }

// spikes reports means over a few spikes, each on a pool of its own.
func spikes(b *testing.B, contender string, standing bool) {
	var opened int
	var longest, sum time.Duration
	for range few(b) {
		s := newSpike(b, contender)
		if standing {
			s.stand(b)
		}
		waits := s.strike(b)
		waitFor(b, s.settled)
		opened += s.inner.Opened()
		longest += waits.longest
		sum += waits.sum
		s.close()
	}
	n := float64(few(b))
	b.ReportMetric(float64(opened)/n, "opened")
	b.ReportMetric(milliseconds(longest)/n, "longest-ms")
	b.ReportMetric(milliseconds(sum)/n/spikeCallers, "mean-ms")
}

// spike is one contender over an inner driver of its own.
type spike struct {
	inner   *scripted.Driver
	dialing atomic.Int64 // connects under way
	do      func(context.Context) error
	hold    func(n int) error // has n connections open, if it keeps so many
	atFloor func() bool
	settled func() bool // nothing is being opened any more
	close   func()
}

func newSpike(b *testing.B, contender string) *spike {
	b.Helper()
	s := &spike{}
	s.inner = scripted.New(scripted.Hooks{
		Connect: func(ctx context.Context, _ int) error {
			s.dialing.Add(1)
			defer s.dialing.Add(-1)
			return pause(ctx, spikeConnect)
		},
		Exec: func(ctx context.Context, _ *scripted.Conn, _ string, _ []driver.NamedValue) error {
			return pause(ctx, spikeQuery)
		},
	})
	s.settled = func() bool { return s.dialing.Load() == 0 }
	if contender == HikariRule {
		s.overRule(b)
		return s
	}
	db := overConnector(b, contender, s.inner, pool.Config{MinConns: spikeFloorConns, MaxConns: spikeMost})
	s.do = func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, "x")
		return err
	}
	s.close = func() { _ = db.Close() }
	c := overSQL(db, func() {})
	s.hold = func(n int) error { c.fill(b, n); return nil }
	s.atFloor = func() bool { return true } // it has none
	if p := nimue.PoolOf(db); p != nil {
		s.hold = func(int) error { return nil }
		s.atFloor = func() bool { return p.Stats().Idle >= spikeFloorConns }
		s.settled = func() bool {
			now := p.Stats()
			return now.Connecting == 0 && now.Total >= spikeFloorConns
		}
	}
	return s
}

func (s *spike) overRule(b *testing.B) {
	p := newRulePool(s.inner, spikeFloorConns, spikeMost)
	s.do = func(ctx context.Context) error {
		conn := p.acquire().(*scripted.Conn)
		defer p.release(conn)
		// Around the statement, what database/sql asks of a driver as well.
		if err := conn.ResetSession(ctx); err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, "x", nil); err != nil {
			return err
		}
		if !conn.IsValid() {
			return driver.ErrBadConn
		}
		return nil
	}
	s.hold = func(int) error { return nil }
	s.atFloor = func() bool { return p.settled() && s.inner.Opened() >= spikeFloorConns }
	s.settled = p.settled
	s.close = func() {
		if err := p.close(); err != nil {
			b.Error(err)
		}
	}
}

// stand brings the contender to its floor, or to as many connections as it keeps.
func (s *spike) stand(b *testing.B) {
	b.Helper()
	if err := s.hold(spikeFloorConns); err != nil {
		b.Fatal(err)
	}
	waitFor(b, s.atFloor)
}

// waits are those of the callers, their own statement included.
type waits struct{ longest, sum time.Duration }

// strike has all callers come at once, and returns when all have been served.
func (s *spike) strike(b *testing.B) waits {
	b.Helper()
	var callers, ready sync.WaitGroup
	begin := make(chan struct{})
	took := make([]time.Duration, spikeCallers)
	ready.Add(spikeCallers)
	for i := range spikeCallers {
		callers.Go(func() {
			ready.Done()
			<-begin
			began := time.Now()
			if err := s.do(b.Context()); err != nil {
				b.Error(err)
			}
			took[i] = time.Since(began)
		})
	}
	ready.Wait()
	close(begin)
	callers.Wait()
	var w waits
	for _, t := range took {
		w.longest = max(w.longest, t)
		w.sum += t
	}
	return w
}

// pause takes its time, as a server would, unless the caller gives up.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// patience is how long a state is waited for that must come.
const patience = 30 * time.Second

// waitFor looks every millisecond whether a state has come.
func waitFor(b *testing.B, reached func() bool) {
	b.Helper()
	deadline := time.Now().Add(patience)
	for !reached() {
		if time.Now().After(deadline) {
			b.Fatal("the state that is waited for does not come")
		}
		time.Sleep(time.Millisecond)
	}
}
