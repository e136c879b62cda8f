//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package pool

import (
	"math"
	"os"
	"sync"
	"syscall"
)

const canWatch = true

// poller is a kqueue descriptor, with a pipe by which its wait is ended.
type poller struct {
	end, ended *os.File // the pipe's writing and reading side

	mu  sync.Mutex // guards what is below; a leaf lock
	fd  int        // -1 once closed
	ids map[int]uint64
}

// endID is the pipe's.
const endID = 0

func newPoller() (*poller, error) {
	fd, err := syscall.Kqueue()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	syscall.CloseOnExec(fd)
	ended, end, err := os.Pipe()
	if err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	p := &poller{fd: fd, end: end, ended: ended, ids: make(map[int]uint64)}
	raw, err := ended.SyscallConn()
	if err == nil {
		err = p.add(raw, endID)
	}
	if err != nil {
		p.release()
		_ = end.Close()
		return nil, err
	}
	return p, nil
}

// add asks to be told of the end of the stream. The low-water mark is out of
// reach, so that data that arrives wakes nobody; the end does all the same.
func (p *poller) add(raw syscall.RawConn, id uint64) error {
	return p.change(raw, syscall.EV_ADD|syscall.EV_CLEAR, func(fd int) { p.ids[fd] = id })
}

func (p *poller) remove(raw syscall.RawConn) {
	_ = p.change(raw, syscall.EV_DELETE, func(fd int) { delete(p.ids, fd) }) // a closed descriptor is gone already
}

// change makes one change while the descriptor is held open, and notes it.
func (p *poller) change(raw syscall.RawConn, flags int, note func(fd int)) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		var ev syscall.Kevent_t
		syscall.SetKevent(&ev, int(fd), syscall.EVFILT_READ, flags)
		ev.Fflags = syscall.NOTE_LOWAT
		ev.Data = math.MaxInt32
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.fd < 0 {
			failed = os.ErrClosed
			return
		}
		if _, err := syscall.Kevent(p.fd, []syscall.Kevent_t{ev}, nil, nil); err != nil {
			failed = os.NewSyscallError("kevent", err)
			return
		}
		note(int(fd))
	})
	if err != nil {
		return err
	}
	return failed
}

// wait reports the ids of closed sockets until close is called. An event that was
// fetched before its descriptor got a new owner may name that; a sound connection
// is then renewed for nothing, and that is all.
func (p *poller) wait(report func(ids []uint64)) {
	defer p.release()
	events := make([]syscall.Kevent_t, 256)
	for {
		n, err := syscall.Kevent(p.fd, nil, events, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		ids, end := p.closed(events[:n])
		if end {
			return
		}
		report(ids)
	}
}

func (p *poller) closed(events []syscall.Kevent_t) (ids []uint64, end bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		id, ok := p.ids[int(e.Ident)]
		if !ok || e.Flags&syscall.EV_EOF == 0 {
			continue
		}
		ids = append(ids, id)
		end = end || id == endID
	}
	return ids, end
}

func (p *poller) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = syscall.Close(p.fd)
	p.fd = -1
	_ = p.ended.Close()
}

// close ends wait, which then closes the descriptor.
func (p *poller) close() { _ = p.end.Close() }
