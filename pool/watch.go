package pool

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
)

// watcher has the kernel tell when a peer closes its end of a socket: one
// descriptor for all of a pool's sockets, no goroutine per connection, and nothing
// to do per operation. Events name connections by an id that is never used twice,
// since a descriptor's number may belong to another socket by then.
type watcher struct {
	poll *poller

	mu    sync.Mutex // guards what is below; a leaf lock
	conns map[uint64]*conn
	last  uint64
}

// watch puts a new connection's socket under watch, if that can be done. It
// starts the pool's watcher with the first one. Where the kernel refuses, because
// the process is out of descriptors, say, the connection is verified like one
// without a socket.
func (p *Pool) watch(c *conn) {
	if c.socket == nil || !canWatch {
		return
	}
	p.watching.Lock()
	if p.watcher == nil && p.ctx.Err() == nil {
		if poll, err := newPoller(); err == nil {
			w := &watcher{poll: poll, conns: make(map[uint64]*conn)}
			p.watcher = w
			p.work.Go(func() { w.poll.wait(func(ids []uint64) { p.hungUp(w.find(ids)) }) })
			context.AfterFunc(p.ctx, w.poll.close)
		}
	}
	w := p.watcher
	p.watching.Unlock()
	if w != nil {
		w.add(c)
	}
}

func (w *watcher) add(c *conn) {
	w.mu.Lock()
	w.last++
	id := w.last
	w.conns[id] = c // before the kernel is told, which may answer at once
	w.mu.Unlock()
	if err := w.poll.add(c.socket, id); err != nil {
		w.mu.Lock()
		delete(w.conns, id)
		w.mu.Unlock()
		return
	}
	c.watcher, c.watchID = w, id
}

// remove must be called before the driver closes the connection, while its
// descriptor is still its own. Where the driver has closed it already, the kernel
// forgot it by itself.
func (w *watcher) remove(c *conn) {
	w.mu.Lock()
	delete(w.conns, c.watchID)
	w.mu.Unlock()
	w.poll.remove(c.socket)
}

func (w *watcher) find(ids []uint64) []*conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	conns := make([]*conn, 0, len(ids))
	for _, id := range ids {
		if c := w.conns[id]; c != nil {
			conns = append(conns, c)
		}
	}
	return conns
}

// hungUp takes note that the peers of these connections have closed. Idle ones go
// at once and are replaced; a leased one goes when it is returned, and its holder
// learns it from the driver; one that is being verified or connected goes when
// that has ended. The death of an idle one puts all others under suspicion. That of
// a leased one does if the driver reports it: it may have said goodbye itself, as
// pgx does when a query is cancelled.
func (p *Pool) hungUp(conns []*conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(conns) == 0 {
		return
	}
	died := false
	for _, c := range conns {
		p.collectOne(c)
		c.hungUp = true
		if c.state == idle && c.link.in != nil {
			died = true
			p.tell(Event{Kind: EventDied, Conn: c.id, Err: errPeerClosed})
			p.lose(c)
			p.retireIdle(c, ReasonPeerClosed)
		}
	}
	if died {
		p.suspectAll()
		p.serve()
	}
}

// errPeerClosed is what the kernel tells.
var errPeerClosed = errors.New("the server closed the connection")

// socketKey is the context key under which NoteSocket finds where to note.
type socketKey struct{}

type socketNote struct {
	mu   sync.Mutex // guards conn; a dialer may try several addresses at a time
	conn net.Conn
}

// NoteSocket tells the pool which network connection a driver's connect has
// dialled. A driver or adapter whose driver.Conn does not show its socket calls it
// from its dialer, with the context that Connect was called with; of several, the
// last one counts. With any other context it does nothing.
func NoteSocket(ctx context.Context, nc net.Conn) {
	if note, ok := ctx.Value(socketKey{}).(*socketNote); ok {
		note.mu.Lock()
		note.conn = nc
		note.mu.Unlock()
	}
}

func (n *socketNote) socket() (net.Conn, syscall.RawConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		return nil, nil
	}
	return rawConn(n.conn)
}
