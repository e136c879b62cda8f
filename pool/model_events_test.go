package pool

import (
	"errors"
	"fmt"
	"sync"
)

// listening is how the model's listener takes what it is told.
type listening uint8

const (
	deaf      listening = iota // there is none, and so connections are parked
	attentive                  // it hears everything
	panicking                  // the same, and it panics at times
	blocking                   // it returns only in the end
)

func (l listening) String() string {
	return [...]string{"none", "attentive", "panicking", "blocking"}[l]
}

// modelListener keeps books of its own, from events alone.
type modelListener struct {
	how     listening
	unblock chan struct{}

	mu      sync.Mutex // guards what is below
	kinds   [eventKinds]int
	retired Retirements
	conns   map[uint64]*toldConn
	ended   bool // the pool is closed
	problem error
}

// toldConn is a connection as events tell it.
type toldConn struct{ leased, retired bool }

// PoolEvent notes an event, and what must not have been told.
func (r *modelListener) PoolEvent(e Event) {
	if r.how == blocking {
		<-r.unblock
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kinds[e.Kind]++
	if err := r.take(e); err != nil && r.problem == nil {
		r.problem = fmt.Errorf("event %v of connection %d: %w", e.Kind, e.Conn, err)
	}
	if r.how == panicking && r.kinds[e.Kind]%3 == 0 {
		panic("a mistake of the listener's")
	}
}

func (r *modelListener) take(e Event) error {
	if r.ended && e.Kind != EventRetired {
		return errors.New("after the pool was closed")
	}
	c := r.conns[e.Conn]
	switch e.Kind {
	case EventConnected:
		if c != nil {
			return errors.New("connected twice")
		}
		if r.conns == nil {
			r.conns = make(map[uint64]*toldConn)
		}
		r.conns[e.Conn] = &toldConn{}
	case EventAcquired:
		if c == nil || c.leased || c.retired {
			return fmt.Errorf("lent while %+v", c)
		}
		c.leased = true
	case EventReleased, EventLeakReclaimed:
		if c == nil || !c.leased || c.retired {
			return fmt.Errorf("given back while %+v", c)
		}
		c.leased = false
	case EventRetired:
		if c == nil || c.leased || c.retired {
			return fmt.Errorf("retired while %+v", c)
		}
		c.retired = true
		r.retired[e.Reason]++
	case EventClosed:
		r.ended = true
	case EventsLost:
		return fmt.Errorf("%d events", e.Count)
	}
	return nil
}

// live counts connections that are there, and those of them that are lent.
func (r *modelListener) live() (all, leased int) {
	for _, c := range r.conns {
		if !c.retired {
			all++
		}
		if c.leased {
			leased++
		}
	}
	return all, leased
}

// consistent compares the events, at rest, with the model and the statistics.
func (r *modelListener) consistent(m *model, s Stats) error {
	if r == nil || r.how == blocking {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem != nil {
		return r.problem
	}
	k := func(kind EventKind) int { return r.kinds[kind] }
	all, leased := r.live()
	began := k(EventOutageBegan) - k(EventOutageEnded)
	for _, same := range []struct {
		what       string
		told, have int
	}{
		{"acquires that succeeded", k(EventAcquired), m.got},
		{"acquires that failed", k(EventTimedOut) + k(EventCanceled) + k(EventExhausted) + k(EventRefused), m.failed},
		{"Acquires", k(EventAcquired), int(s.Acquires)},
		{"Waits", k(EventWaiting), int(s.Waits)},
		{"Timeouts", k(EventTimedOut), int(s.Timeouts)},
		{"Canceled", k(EventCanceled), int(s.Canceled)},
		{"Exhausted", k(EventExhausted), int(s.Exhausted)},
		{"Failed", k(EventRefused), int(s.Failed)},
		{"Connects", k(EventConnected), int(s.Connects)},
		{"Connecting", k(EventConnecting) - k(EventConnected) - k(EventConnectFailed), s.Connecting},
		{"verifications that succeeded", k(EventVerified), int(s.Verifications - s.VerifyErrors)},
		{"InUse", leased, s.InUse},
		{"live connections", all, s.Idle + s.InUse + s.Verifying},
		{"Leaks", k(EventLeakFound), int(s.Leaks)},
		{"LeaksReturned", k(EventLeakReturned), int(s.LeaksReturned)},
		{"LeaksTaken", k(EventLeakReclaimed), int(s.LeaksTaken)},
		{"drains", k(EventDrained), m.drained},
		{"outages", began, min(s.Outage.Failures, 1)},
		{"suspensions", k(EventSuspended) - k(EventResumed), map[bool]int{true: 1}[s.Suspended]},
		{"EventsLost", k(EventsLost), int(s.EventsLost)},
		{"waits ended", int(s.Wait.Count), int(s.Waits) - s.Waiting},
	} {
		if same.told != same.have {
			return fmt.Errorf("%s: %d by the events, %d in fact: %+v", same.what, same.told, same.have, s)
		}
	}
	if r.retired != s.Retired {
		return fmt.Errorf("retired %v by the events, %v in fact", r.retired, s.Retired)
	}
	return nil
}

// closed checks that every connection was retired in the end.
func (r *modelListener) closed() error {
	if r == nil || r.how == blocking {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if all, leased := r.live(); r.problem == nil && (all+leased > 0 || r.kinds[EventClosed] != 1) {
		r.problem = fmt.Errorf("in the end %d connections, %d of them lent, closed %d times", all, leased, r.kinds[EventClosed])
	}
	return r.problem
}

// hear lets a blocking listener go on.
func (r *modelListener) hear() {
	if r != nil {
		close(r.unblock)
	}
}
