//go:build unix && !linux

package pool

import "syscall"

// peerClosed asks the kernel, without waiting and without a round trip, whether
// the other end has closed the connection. Bytes that wait to be read say
// nothing: servers may send notices at any time.
func peerClosed(raw syscall.RawConn) bool {
	gone := false
	// Control, and not Read: a read deadline that has passed is no close.
	err := raw.Control(func(fd uintptr) {
		var buf [1]byte
		n, _, err := syscall.Recvfrom(int(fd), buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch err {
		case nil:
			gone = n == 0
		case syscall.EAGAIN, syscall.EINTR:
		default:
			gone = true
		}
	})
	return gone || err != nil
}
