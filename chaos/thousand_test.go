package chaos

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

// lineServer is the least of a database server: it answers every line with "ok".
type lineServer struct {
	address string
	work    sync.WaitGroup

	mu       sync.Mutex // guards what is below
	listener net.Listener
	conns    map[net.Conn]bool
	accepted int
}

func (s *lineServer) start(tb testing.TB) {
	tb.Helper()
	address := s.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	if s.address == "" { // the first time: it stays there
		s.address = listener.Addr().String()
	}
	s.mu.Lock()
	s.listener, s.conns = listener, make(map[net.Conn]bool)
	s.mu.Unlock()
	s.work.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			if s.listener != listener { // it died in this moment
				s.mu.Unlock()
				_ = c.Close()
				return
			}
			s.conns[c] = true
			s.accepted++
			s.mu.Unlock()
			s.work.Go(func() { s.serve(c) })
		}
	})
}

func (s *lineServer) serve(c net.Conn) {
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		_ = c.Close()
	}()
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		if _, err := io.WriteString(c, "ok\n"); err != nil {
			return
		}
	}
}

// die closes all at once, as the kernel does for a process that was killed.
func (s *lineServer) die() {
	s.mu.Lock()
	_ = s.listener.Close()
	s.listener = nil
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

func (s *lineServer) count() (open, ever int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.accepted
}

// lineDriver is the least of a driver for it: a connector whose connections show
// their socket, which is all that nimue needs to watch them.
type lineDriver struct {
	server     *lineServer
	dialling   atomic.Int64
	mostAtOnce atomic.Int64
	attempts   atomic.Int64
}

func (d *lineDriver) Driver() driver.Driver { return nil }

func (d *lineDriver) Connect(ctx context.Context) (driver.Conn, error) {
	d.attempts.Add(1)
	now := d.dialling.Add(1)
	defer d.dialling.Add(-1)
	for most := d.mostAtOnce.Load(); now > most && !d.mostAtOnce.CompareAndSwap(most, now); most = d.mostAtOnce.Load() {
		continue // somebody else has set it
	}
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", d.server.address)
	if err != nil {
		return nil, err
	}
	lc := &lineConn{conn: c, answers: bufio.NewReader(c)}
	if err := lc.Ping(ctx); err != nil { // what a login would be
		_ = c.Close()
		return nil, err
	}
	return lc, nil
}

type lineConn struct {
	conn    net.Conn
	answers *bufio.Reader
}

func (c *lineConn) NetConn() net.Conn { return c.conn }
func (c *lineConn) Close() error      { return c.conn.Close() }

func (c *lineConn) Begin() (driver.Tx, error) { return nil, errors.New("no transactions here") }

func (c *lineConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("no statements here") }

// Ping is the one round trip that this driver knows.
func (c *lineConn) Ping(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	if err := c.conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := io.WriteString(c.conn, "ping\n"); err != nil {
		return err
	}
	_, err := c.answers.ReadString('\n')
	return err
}

// TestAThousandIdleConnectionsAreReplaced has a pool of 1,000 idle connections lose
// all of them at once, and its server for a moment. Each is replaced, and there are
// never more dials at a time than pool_max_connecting.
func TestAThousandIdleConnectionsAreReplaced(t *testing.T) {
	const size, atATime = 1000, 8
	server := new(lineServer)
	server.start(t)
	base := takeBaseline(t)
	inner := &lineDriver{server: server}
	connector, err := nimue.NewConnector(inner, pool.Config{
		Name: "thousand", MaxConns: size, InitConns: size, MaxConnecting: atATime,
	})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	p := connector.Pool()
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		mustBecome(t, "the end of all connections", func() bool { open, _ := server.count(); return open == 0 })
		server.die()
		base.verify(t)
	}()
	idle := func() bool { open, _ := server.count(); return p.Stats().Idle == size && open == size }
	mustBecome(t, "1,000 idle connections", idle)

	began := time.Now()
	server.die()
	time.Sleep(300 * time.Millisecond)
	during := inner.attempts.Load()
	server.start(t)
	if !eventually(idle) {
		open, ever := server.count()
		t.Fatalf("not 1,000 idle connections again; the server has %d, and had %d: %+v", open, ever, p.Stats())
	}
	t.Logf("replaced within %v; %d dials while the server was down, %d at most at a time",
		time.Since(began).Round(time.Millisecond), during-size, inner.mostAtOnce.Load())

	stats := p.Stats()
	if most := inner.mostAtOnce.Load(); most > atATime {
		t.Errorf("%d dials at a time, of at most %d", most, atATime)
	}
	if _, ever := server.count(); ever != 2*size {
		t.Errorf("the server has seen %d connections, want %d", ever, 2*size)
	}
	if gone := stats.Retired[pool.ReasonPeerClosed] + stats.Retired[pool.ReasonUnhealthy]; gone != size {
		t.Errorf("%d connections retired because they had died, want %d", gone, size)
	}
	// In an outage one prober dials, and not everybody: 10, 20, 40, 80, 160 ms apart
	// or a little less, and those that were under way when it began.
	if during-size > atATime+10 {
		t.Errorf("%d dials while the server was down for 0.3 s", during-size)
	}
	if err := db.Ping(); err != nil {
		t.Error(err)
	}
}
