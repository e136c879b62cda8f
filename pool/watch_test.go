//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package pool

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echoServer accepts connections and keeps them until they are closed by the
// test; what it is sent, it sends back.
type echoServer struct {
	net.Listener
	mu    sync.Mutex // guards conns
	conns []net.Conn
}

func newEchoServer(t *testing.T, network, address string) *echoServer {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &echoServer{Listener: l}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, nc)
			s.mu.Unlock()
			work.Go(func() { _, _ = io.Copy(nc, nc) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.each(func(nc net.Conn) { _ = nc.Close() })
		work.Wait()
	})
	return s
}

// accepted waits until the server knows of n connections.
func (s *echoServer) accepted(t *testing.T, n int) {
	t.Helper()
	eventually(t, "all accepted", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.conns) >= n
	})
}

func (s *echoServer) each(f func(net.Conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, nc := range s.conns {
		f(nc)
	}
}

// socketConnector dials real sockets, whose connections do nothing but be there.
type socketConnector struct {
	network, address string
	noted            bool // told by NoteSocket, and not by a NetConn method
	wrap             func(net.Conn) net.Conn
}

type socketConn struct{ nc net.Conn }

func (c *socketConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (c *socketConn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }
func (c *socketConn) Close() error                        { return c.nc.Close() }

type tellingConn struct{ socketConn }

func (c *tellingConn) NetConn() net.Conn { return c.nc }

func (s *socketConnector) Driver() driver.Driver { return nil }

func (s *socketConnector) Connect(ctx context.Context) (driver.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, s.network, s.address)
	if err != nil {
		return nil, err
	}
	if s.wrap != nil {
		nc = s.wrap(nc)
	}
	if s.noted {
		NoteSocket(ctx, nc)
		return &socketConn{nc}, nil
	}
	return &tellingConn{socketConn{nc}}, nil
}

func newWatched(t *testing.T, c driver.Connector, cfg Config) *Pool {
	t.Helper()
	p, err := New(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestWatchFindsClosedPeers(t *testing.T) {
	for name, test := range map[string]struct {
		network string
		noted   bool
		close   func(net.Conn)
		wrap    func(net.Conn) net.Conn
	}{
		"closed":          {network: "tcp", close: func(nc net.Conn) { _ = nc.Close() }},
		"noted by dialer": {network: "tcp", noted: true, close: func(nc net.Conn) { _ = nc.Close() }},
		"half closed":     {network: "tcp", close: func(nc net.Conn) { _ = nc.(*net.TCPConn).CloseWrite() }},
		"reset": {network: "tcp", close: func(nc net.Conn) {
			_ = nc.(*net.TCPConn).SetLinger(0)
			_ = nc.Close()
		}},
		"after a last message": {network: "tcp", close: func(nc net.Conn) {
			_, _ = nc.Write([]byte("terminating connection due to administrator command"))
			_ = nc.Close()
		}},
		"unix socket": {network: "unix", close: func(nc net.Conn) { _ = nc.Close() }},
		"beneath TLS": {network: "tcp", close: func(nc net.Conn) { _ = nc.Close() },
			wrap: func(nc net.Conn) net.Conn { return tls.Client(nc, &tls.Config{ServerName: "x"}) }},
	} {
		t.Run(name, func(t *testing.T) {
			address := "127.0.0.1:0"
			if test.network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			server := newEchoServer(t, test.network, address)
			p := newWatched(t, &socketConnector{test.network, server.Addr().String(), test.noted, test.wrap}, Config{MaxConns: 3})
			releaseAll(acquireN(t, p, 3))
			server.accepted(t, 3)
			server.each(test.close)
			eventually(t, "all replaced", func() bool {
				s := p.Stats()
				return s.Retired[ReasonPeerClosed] == 3 && s.Idle == 3
			})
		})
	}
}

func TestWatchIsNotWokenByData(t *testing.T) {
	server := newEchoServer(t, "tcp", "127.0.0.1:0")
	p := newWatched(t, &socketConnector{network: "tcp", address: server.Addr().String()}, Config{MinConns: 2})
	eventually(t, "two idle", func() bool { return p.Stats().Idle == 2 })
	server.accepted(t, 2)
	server.each(func(nc net.Conn) { _, _ = nc.Write([]byte("a notice that waits to be read")) })
	releaseAll(acquireN(t, p, 2))
	if s := p.Stats(); s.Retired.Total() != 0 || s.Connects != 2 {
		t.Errorf("%+v", s)
	}
}

// TestConnectionThatDiesWhileLeased is retired when it comes back.
func TestConnectionThatDiesWhileLeased(t *testing.T) {
	server := newEchoServer(t, "tcp", "127.0.0.1:0")
	p := newWatched(t, &socketConnector{network: "tcp", address: server.Addr().String()}, Config{MaxConns: 1})
	l := mustAcquire(t, p)
	server.accepted(t, 1)
	server.each(func(nc net.Conn) { _ = nc.Close() })
	eventually(t, "the news", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return l.conn.hungUp
	})
	if s := p.Stats(); s.InUse != 1 || s.Retired.Total() != 0 {
		t.Errorf("taken from its holder: %+v", s)
	}
	l.Release(Clean)
	if s := p.Stats(); s.Retired[ReasonPeerClosed] != 1 {
		t.Errorf("%+v", s)
	}
	mustAcquire(t, p).Release(Clean)
}

// TestDescriptorsThatAreUsedAgain: the events of a descriptor's former owner must
// not hit its new one. Connections close and open at a time, here by the server
// and there by the pool, so that descriptors change hands all the while.
func TestDescriptorsThatAreUsedAgain(t *testing.T) {
	server := newEchoServer(t, "tcp", "127.0.0.1:0")
	p := newWatched(t, &socketConnector{network: "tcp", address: server.Addr().String()}, Config{MaxConns: 8, MaxConnUses: 2})
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			buf := make([]byte, 1)
			for i := range 200 {
				l := mustAcquire(t, p)
				nc := l.Conn().(*tellingConn).nc
				_, err := nc.Write([]byte("x"))
				if err == nil {
					_, err = io.ReadFull(nc, buf)
				}
				switch {
				case err != nil:
					t.Errorf("a sound connection was cut off: %v", err)
					l.Release(Dead)
				case i%3 == 0:
					l.Release(Broken)
				default:
					l.Release(Clean)
				}
			}
		})
	}
	work.Wait()
	if s := p.Stats(); s.Retired[ReasonPeerClosed] != 0 {
		t.Errorf("%d taken for dead", s.Retired[ReasonPeerClosed])
	}
}

// TestAThousandDieAtOnce and are wholly replaced, a few at a time.
func TestAThousandDieAtOnce(t *testing.T) {
	n := 1000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < 5000 {
		n = 100
	}
	server := newEchoServer(t, "tcp", "127.0.0.1:0")
	c := &countingConnector{Connector: &socketConnector{network: "tcp", address: server.Addr().String()}}
	p := newWatched(t, c, Config{MaxConns: n, InitConns: n, MaxConnecting: 8})
	eventually(t, "a full pool", func() bool { return p.Stats().Idle == n })
	server.accepted(t, n)
	server.each(func(nc net.Conn) { _ = nc.Close() })
	eventually(t, "a new pool", func() bool {
		s := p.Stats()
		return s.Retired[ReasonPeerClosed] >= uint64(n) && s.Idle == n
	})
	if most := c.most(); most > 8 {
		t.Errorf("%d dials at a time", most)
	}
}

// countingConnector counts the connects under way.
type countingConnector struct {
	driver.Connector
	mu     sync.Mutex // guards what is below
	now    int
	atMost int
}

func (c *countingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c.count(1)
	defer c.count(-1)
	return c.Connector.Connect(ctx)
}

func (c *countingConnector) count(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.atMost = max(c.atMost, c.now)
}

func (c *countingConnector) most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.atMost
}

// TestWatchedConnectionIsLentWithoutARoundTrip, however long it was idle.
func TestWatchedConnectionIsLentWithoutARoundTrip(t *testing.T) {
	server := newEchoServer(t, "tcp", "127.0.0.1:0")
	p := newWatched(t, &pingingConnector{socketConnector{network: "tcp", address: server.Addr().String()}}, Config{HealthCheckPeriod: None})
	mustAcquire(t, p).Release(Clean)
	p.locked(func() { p.idle.front.of.stale = true; p.idle.front.of.lastUsed -= time.Hour })
	l := mustAcquire(t, p)
	if n := l.Conn().(*pingingConn).pings; n != 0 {
		t.Errorf("%d pings", n)
	}
	l.Release(Clean)
}

type pingingConnector struct{ socketConnector }

type pingingConn struct {
	tellingConn
	pings int
}

func (c *pingingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.socketConnector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &pingingConn{tellingConn: *inner.(*tellingConn)}, nil
}

func (c *pingingConn) Ping(context.Context) error { c.pings++; return nil }
