package adaptertest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy passes a server's TCP connections on and counts round trips, whatever the
// protocol: as often as a client speaks after its server has spoken.
type Proxy struct {
	listener net.Listener
	server   string
	work     sync.WaitGroup

	mu    sync.Mutex // guards what is below
	trips int
	mute  bool
	conns map[net.Conn]bool
}

// NewProxy starts a proxy in front of a server's address, and ends it with the
// test.
func NewProxy(tb testing.TB, server string) *Proxy {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{listener: listener, server: server, conns: map[net.Conn]bool{}}
	p.work.Go(p.accept)
	tb.Cleanup(func() {
		_ = listener.Close()
		p.Cut()
		p.work.Wait()
	})
	return p
}

// Address is the proxy's own.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Port is the port of Address.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Trips is the number of round trips so far.
func (p *Proxy) Trips() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trips
}

// CutAtAnswer ends a connection as soon as its server speaks again, whose words are
// lost. It does so once.
func (p *Proxy) CutAtAnswer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		asking := false // the client spoke last; guarded by mu
		p.work.Go(func() { p.pass(server, client, &asking, true) })
		p.work.Go(func() { p.pass(client, server, &asking, false) })
	}
}

// pass copies one direction until it ends, and then ends the other.
func (p *Proxy) pass(to, from net.Conn, asking *bool, fromClient bool) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		delete(p.conns, from)
		p.mu.Unlock()
	}()
	_, _ = io.Copy(to, readerFunc(func(b []byte) (int, error) {
		n, err := from.Read(b)
		if n > 0 {
			p.mu.Lock()
			if fromClient && !*asking {
				p.trips++
			}
			*asking = fromClient
			cut := p.mute && !fromClient
			p.mute = p.mute && !cut
			p.mu.Unlock()
			if cut {
				return 0, io.ErrClosedPipe
			}
		}
		return n, err
	}))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
