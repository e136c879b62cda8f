package chaos

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// relay is a TCP proxy whose links can be told apart: those that stand can go
// silent while new ones work, which toxiproxy's toxics, valid for all links of a
// proxy, cannot express. It also counts round trips, as a network would see them.
//
// A silent link is a path that has begun to swallow packets: nothing arrives any
// more, in neither direction, not even the end of the connection, and nobody is
// told. When the path is well again, TCP would send what was lost once more; so
// what was held back then goes on.
type relay struct {
	listener net.Listener
	upstream string
	work     sync.WaitGroup

	delay      atomic.Int64 // nanoseconds, each way
	roundTrips atomic.Int64 // on all links

	mu        sync.Mutex // guards what is below
	links     map[*link]bool
	newSilent bool
	closed    bool
}

// link is one client's connection through a relay.
type link struct {
	relay  *relay
	client net.Conn
	server net.Conn // nil until the relay has dialled it; guarded by relay.mu
	gate   *gate

	mu         sync.Mutex // guards fromServer
	fromServer bool       // the last bytes were the server's
}

// gate holds everybody up while it is shut.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed while the gate is open
}

func newGate(shut bool) *gate {
	g := &gate{open: make(chan struct{})}
	if !shut {
		close(g.open)
	}
	return g
}

func (g *gate) pass() {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	<-open
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		if shut {
			g.open = make(chan struct{})
		}
	default:
		if !shut {
			close(g.open)
		}
	}
}

// newRelay starts a relay to the address, for one test.
func newRelay(tb testing.TB, upstream string) *relay {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &relay{listener: listener, upstream: upstream, links: make(map[*link]bool)}
	r.work.Go(r.accept)
	tb.Cleanup(r.close)
	return r
}

func (r *relay) address() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			_ = client.Close()
			return
		}
		l := &link{relay: r, client: client, gate: newGate(r.newSilent), fromServer: true}
		r.links[l] = true
		r.mu.Unlock()
		r.work.Go(l.run)
	}
}

// run relays both ways until either side is done.
func (l *link) run() {
	defer l.end()
	l.gate.pass()
	server, err := net.Dial("tcp", l.relay.upstream)
	if err != nil {
		return
	}
	l.relay.mu.Lock()
	l.server = server
	closed := l.relay.closed
	l.relay.mu.Unlock()
	if closed {
		return
	}
	l.relay.work.Go(func() { l.pump(server, l.client, true) })
	l.pump(l.client, server, false)
}

// pump carries what one side says to the other.
func (l *link) pump(from, to net.Conn, fromServer bool) {
	defer l.end()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.gate.pass()
		if n > 0 {
			l.count(fromServer)
			time.Sleep(time.Duration(l.relay.delay.Load()))
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// count counts a round trip whenever the client speaks after the server has: it
// has seen the answer then, and asks for the next one.
func (l *link) count(fromServer bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fromServer && !fromServer {
		l.relay.roundTrips.Add(1)
	}
	l.fromServer = fromServer
}

func (l *link) end() {
	l.relay.mu.Lock()
	server := l.server
	delete(l.relay.links, l)
	l.relay.mu.Unlock()
	_ = l.client.Close()
	if server != nil {
		_ = server.Close()
	}
}

// silence has every link that stands now go silent; with andNew, those to come too.
func (r *relay) silence(andNew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newSilent = andNew
	for l := range r.links {
		l.gate.set(true)
	}
}

// silenceNew has only links to come be silent from their first byte on.
func (r *relay) silenceNew() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newSilent = true
}

// heal lets everything flow again.
func (r *relay) heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newSilent = false
	for l := range r.links {
		l.gate.set(false)
	}
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for l := range r.links {
		_ = l.client.Close()
		if l.server != nil {
			_ = l.server.Close()
		}
	}
	r.mu.Unlock()
	r.heal()
	r.work.Wait()
}
