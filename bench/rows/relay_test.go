package rows

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// relay passes the connections of one server on, delays what it passes, and counts
// what goes over the wire, as a network would see it.
type relay struct {
	listener net.Listener
	server   string
	delay    time.Duration // each way
	parse    func() parser // of one connection; nil: messages are not counted
	work     sync.WaitGroup

	mu    sync.Mutex // guards what is below
	ends  map[net.Conn]bool
	count traffic
}

// traffic is what clients have sent.
type traffic struct {
	conns    int
	turns    int          // times that a client spoke after its server had: round trips
	messages map[byte]int // by type
}

// startRelay starts a relay in front of a server's address, and ends it with the
// test.
func startRelay(tb testing.TB, server string, delay time.Duration, parse func() parser) *relay {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &relay{listener: listener, server: server, delay: delay, parse: parse, ends: map[net.Conn]bool{}}
	r.count.messages = map[byte]int{}
	r.work.Go(r.accept)
	tb.Cleanup(r.close)
	return r
}

func (r *relay) address() string { return r.listener.Addr().String() }

// seen is what has been counted so far.
func (r *relay) seen() traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.count
	seen.messages = make(map[byte]int, len(r.count.messages))
	for kind, n := range r.count.messages {
		seen.messages[kind] = n
	}
	return seen
}

// since is what has been counted since an earlier count.
func (t traffic) since(earlier traffic) traffic {
	t.conns -= earlier.conns
	t.turns -= earlier.turns
	for kind, n := range earlier.messages {
		t.messages[kind] -= n
	}
	return t
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{relay: r}
		if r.parse != nil {
			l.parser = r.parse()
		}
		r.mu.Lock()
		r.ends[client], r.ends[server] = true, true
		r.count.conns++
		r.mu.Unlock()
		r.work.Go(func() { r.pass(server, client, l.fromClient) })
		r.work.Go(func() { r.pass(client, server, l.fromServer) })
	}
}

// link is one connection; relay.mu guards it.
type link struct {
	relay  *relay
	parser parser // nil: none
	asking bool   // the client spoke last
}

func (l *link) fromClient(data []byte) {
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	if !l.asking {
		l.relay.count.turns++
		l.asking = true
	}
	if l.parser != nil {
		for _, kind := range l.parser.read(data) {
			l.relay.count.messages[kind]++
		}
	}
}

func (l *link) fromServer([]byte) {
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	l.asking = false
}

// parcel is what was read at once, and when it is to arrive.
type parcel struct {
	data []byte
	due  time.Time
}

// pass carries one direction until it ends, and then ends the other. What is read
// goes through a queue, so that a parcel is never held up by the delay of the one
// before: the network is far, not narrow.
func (r *relay) pass(to, from net.Conn, note func([]byte)) {
	underway := make(chan parcel, 1024)
	r.work.Go(func() {
		defer to.Close()
		for p := range underway {
			if wait := time.Until(p.due); wait > 0 {
				time.Sleep(wait)
			}
			if _, err := to.Write(p.data); err != nil {
				_ = from.Close() // ends the reading, which closes the queue
			}
		}
	})
	defer close(underway)
	for {
		buffer := make([]byte, 16<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			note(buffer[:n])
			underway <- parcel{buffer[:n], time.Now().Add(r.delay)}
		}
		if err != nil {
			break
		}
	}
	_ = from.Close()
	r.mu.Lock()
	delete(r.ends, from)
	r.mu.Unlock()
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	for conn := range r.ends {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
}

// TestRelayCountsRoundTrips has a client ask three times of a server that echoes:
// twice in two pieces, which are one round trip each.
func TestRelayCountsRoundTrips(t *testing.T) {
	const delay = 5 * time.Millisecond
	r := startRelay(t, echoServer(t), delay, nil)
	conn, err := net.Dial("tcp", r.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := make([]byte, 2)
	began := time.Now()
	for _, pieces := range [][]string{{"a", "b"}, {"cd"}, {"e", "f"}} {
		for _, p := range pieces {
			if _, err := conn.Write([]byte(p)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.ReadFull(conn, answer); err != nil {
			t.Fatal(err)
		}
	}
	if took, least := time.Since(began), 3*2*delay; took < least {
		t.Errorf("three round trips took %v, want %v at least", took, least)
	}
	if got := r.seen(); got.turns != 3 || got.conns != 1 {
		t.Errorf("counted %d round trips on %d connections, want 3 on 1", got.turns, got.conns)
	}
}

// echoServer answers every two bytes with the same, for one test.
func echoServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				pair := make([]byte, 2)
				for {
					if _, err := io.ReadFull(conn, pair); err != nil {
						return
					}
					if _, err := conn.Write(pair); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	return listener.Addr().String()
}
