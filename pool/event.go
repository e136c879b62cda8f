package pool

import (
	"log/slog"
	"time"
)

// EventKind says what has happened in a pool.
type EventKind uint8

// The events. What Event.Took means for each is said with it.
const (
	EventWaiting         EventKind = iota // a caller joined the queue
	EventAcquired                         // a connection was lent; Took: the wait
	EventReleased                         // it was given back; Took: how long it was held
	EventTimedOut                         // an acquire ended by a deadline; Took: the wait
	EventCanceled                         // an acquire was cancelled; Took: the wait
	EventExhausted                        // an acquire was refused because of MaxWaiters or Suspend
	EventRefused                          // an acquire that waited ended with a connect's error, or because the pool was closed; Took: the wait, Err
	EventConnecting                       // a connect began
	EventConnected                        // it succeeded; Took
	EventConnectFailed                    // it failed; Took, Err
	EventVerifying                        // a verification began
	EventVerified                         // it succeeded; Took
	EventDied                             // a connection proved dead; Err, if known
	EventSuspected                        // all others must prove themselves; Count of those idle
	EventDrained                          // a renewal of all connections ended; Count of those renewed
	EventRetired                          // a connection is being closed; Reason, Took: its age
	EventOutageBegan                      // connects fail; Err
	EventOutageEnded                      // one succeeded; Took: how long it lasted
	EventDemoted                          // the server has become read-only
	EventLeakFound                        // a lease is held longer than LeakThreshold; Took, Stack
	EventLeakReturned                     // one that was reported came back after all; Took
	EventLeakReclaimed                    // one was taken back by LeakReclaim; Took, Stack
	EventRowsCollected                    // rows that nobody closed were collected, and their connection given back; Statement
	EventSuspended                        // by Suspend
	EventResumed                          // by Resume
	EventClosed                           // by Close or Shutdown
	EventOperationFailed                  // a driver's operation ended with Err; Statement
	EventNotice                           // the server sent a message that is no error; Err holds its text, Statement what it came with
	EventsLost                            // the listener was too slow; Count of events that it did not get
	eventKinds
)

var eventNames = [...]string{"waiting", "acquired", "released", "timed out", "canceled", "exhausted", "refused",
	"connecting", "connected", "connect failed", "verifying", "verified", "died", "suspected", "drained", "retired", "outage began",
	"outage ended", "demoted", "leak found", "leak returned", "leak reclaimed", "rows collected", "suspended", "resumed",
	"closed", "operation failed", "notice", "events lost"}

// String returns the event's name, as it appears in logs.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Event is one transition of a pool. Errors in it are redacted, and statements
// have their literals masked.
type Event struct {
	Kind      EventKind
	Pool      string
	Time      time.Time
	Conn      uint64 // which connection; 0: none
	Took      time.Duration
	Reason    Reason // of EventRetired
	Err       error
	Count     int
	Stack     string // who took the lease
	Statement string

	level slog.Level // of EventNotice, for the log
}

// Listener is told what happens in a pool. PoolEvent is called by one goroutine of
// the pool's, with no lock held, in the order in which things happened. A listener
// that is slow holds up nobody: events that it cannot keep up with are dropped, and
// EventsLost tells it how many. One that panics is not called again for that
// event, and the pool goes on.
type Listener interface {
	PoolEvent(Event)
}

// ListenerFunc makes a function a Listener.
type ListenerFunc func(Event)

// PoolEvent calls f.
func (f ListenerFunc) PoolEvent(e Event) { f(e) }

// Listeners makes one Listener of several, which are told everything one after the
// other; nil ones are left out. Where one panics, those after it are told all the
// same.
func Listeners(several ...Listener) Listener {
	var told listeners
	for _, l := range several {
		if l != nil {
			told = append(told, l)
		}
	}
	switch len(told) {
	case 0:
		return nil
	case 1:
		return told[0]
	}
	return told
}

// listeners is never empty.
type listeners []Listener

func (l listeners) PoolEvent(e Event) {
	if len(l) > 1 {
		defer l[1:].PoolEvent(e) // even after a panic
	}
	l[0].PoolEvent(e)
}
