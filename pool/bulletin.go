package pool

import (
	"sync"
	"time"
)

// mostEvents is how many events may wait for the listener; recentEvents how many
// are kept for RecentEvents.
const (
	mostEvents   = 4096
	recentEvents = 200
)

// bulletin collects a pool's events, keeps the latest and passes all of them on to
// the listener and the log, in a goroutine of its own and with no lock held.
type bulletin struct {
	pool     *Pool
	listener Listener // nil: nobody listens
	wake     chan struct{}

	mu     sync.Mutex // guards what is below; a leaf lock, taken under Pool.mu too
	queue  []Event
	lost   int
	total  uint64 // lost ones, ever
	recent [recentEvents]Event
	kept   int // events ever put into recent
}

func newBulletin(p *Pool, listener Listener) *bulletin {
	return &bulletin{pool: p, listener: listener, wake: make(chan struct{}, 1)}
}

// ofLeases tells the kinds of which every operation makes some. They are for the
// listener alone.
func (k EventKind) ofLeases() bool {
	switch k {
	case EventWaiting, EventAcquired, EventReleased, EventCanceled, EventRefused, EventVerifying, EventVerified, EventConnecting, EventOperationFailed:
		return true
	}
	return false
}

// tell adds an event. It may be called under Pool.mu, and costs nothing but a look
// where nobody wants to know.
func (p *Pool) tell(e Event) {
	b := p.bulletin
	if e.Kind.ofLeases() && b.listener == nil {
		return
	}
	e.Pool, e.Time = p.name, time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Kind != EventNotice && !e.Kind.ofLeases() { // a server that chatters would crowd out what matters
		b.recent[b.kept%recentEvents] = e
		b.kept++
	}
	if b.listener == nil && p.log == nil {
		return
	}
	if len(b.queue) >= mostEvents {
		b.lost++
		b.total++
		return
	}
	b.queue = append(b.queue, e)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// deliver passes events on until the pool is closed and has no connection left.
func (b *bulletin) deliver() {
	for {
		select {
		case <-b.wake:
			b.flush()
		case <-b.pool.drained:
			b.flush()
			return
		}
	}
}

// flush delivers what has gathered.
func (b *bulletin) flush() {
	b.mu.Lock()
	events, lost := b.queue, b.lost
	b.queue, b.lost = nil, 0
	b.mu.Unlock()
	for _, e := range events {
		b.pass(e)
	}
	if lost > 0 {
		b.pass(Event{Kind: EventsLost, Pool: b.pool.name, Time: time.Now(), Count: lost})
	}
}

// pass hands one event to the log and the listener.
func (b *bulletin) pass(e Event) {
	e = b.pool.shown(e)
	b.pool.log.told(e)
	if b.listener != nil {
		defer func() { _ = recover() }() // a listener's panic is its own affair
		b.listener.PoolEvent(e)
	}
}

// shown is an event as others may see it.
func (p *Pool) shown(e Event) Event {
	if redact := p.settings.Load().Redact; redact != nil && e.Err != nil {
		e.Err = redactSafely(redact, e.Err)
	}
	return e
}

// redactSafely hides an error altogether where the function that redacts it panics.
func redactSafely(redact func(error) error, err error) (shown error) {
	defer catch("Redact", &shown)
	return redact(err)
}

// RecentEvents returns the latest 200 events, oldest first, but for those of
// single leases, waits, verifications and notices, which only a Listener gets.
func (p *Pool) RecentEvents() []Event {
	b := p.bulletin
	b.mu.Lock()
	n := min(b.kept, recentEvents)
	events := make([]Event, 0, n)
	for i := b.kept - n; i < b.kept; i++ {
		events = append(events, b.recent[i%recentEvents])
	}
	b.mu.Unlock()
	for i := range events {
		events[i] = p.shown(events[i])
	}
	return events
}

// eventsLost counts the events that the listener did not get.
func (b *bulletin) eventsLost() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}
