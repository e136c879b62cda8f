package pool

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// peerClosed asks the kernel, without waiting and without a round trip, whether
// the other end has closed the connection. It is asked for the close itself, since
// servers may say something before they go, and at any other time.
func peerClosed(raw syscall.RawConn) bool {
	gone := false
	// Control, and not Read: a read deadline that has passed is no close.
	err := raw.Control(func(fd uintptr) {
		fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds[:], 0)
		gone = err == nil && n > 0 // POLLHUP and POLLERR come unasked
	})
	return gone || err != nil
}
