package pool

import (
	"os"
	"syscall"
)

const canWatch = true

// epollBatch is how many events are fetched at a time.
const epollBatch = 256

// poller is an epoll descriptor. Go's own poller waits for it, so that no thread
// is kept waiting.
type poller struct {
	fd   int
	file *os.File // of fd
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // which makes it one for Go's poller
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &poller{fd: fd, file: os.NewFile(uintptr(fd), "epoll")}, nil
}

// add asks for one event when the peer has closed its writing side, or the
// connection is broken. That it happened before counts too.
func (p *poller) add(raw syscall.RawConn, id uint64) error {
	event := syscall.EpollEvent{Events: syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))}
	return p.control(raw, syscall.EPOLL_CTL_ADD, &event)
}

func (p *poller) remove(raw syscall.RawConn) {
	_ = p.control(raw, syscall.EPOLL_CTL_DEL, &syscall.EpollEvent{}) // a closed descriptor is gone already
}

// control calls epoll_ctl while both descriptors are held open.
func (p *poller) control(raw syscall.RawConn, op int, event *syscall.EpollEvent) error {
	own, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = own.Control(func(epfd uintptr) {
		failed = raw.Control(func(fd uintptr) {
			err = syscall.EpollCtl(int(epfd), op, int(fd), event)
		})
		if failed == nil {
			failed = os.NewSyscallError("epoll_ctl", err)
		}
	})
	if err != nil {
		return err
	}
	return failed
}

// wait reports the ids of closed sockets until close is called.
func (p *poller) wait(report func(ids []uint64)) {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return // closed already
	}
	events := make([]syscall.EpollEvent, epollBatch)
	ids := make([]uint64, 0, epollBatch)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, err = syscall.EpollWait(int(fd), events, 0)
			return n > 0 || err != nil && err != syscall.EINTR
		})
		if err != nil || n < 0 {
			return
		}
		ids = ids[:0]
		for _, e := range events[:n] {
			ids = append(ids, uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32)
		}
		report(ids)
	}
}

func (p *poller) close() { _ = p.file.Close() }
