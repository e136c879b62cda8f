//go:build unix

package pool

import (
	"net"
	"syscall"
)

// rawConn reaches the innermost network connection and its descriptor, through
// TLS and other wrappers that tell what they wrap; nil where there is none.
func rawConn(nc net.Conn) (net.Conn, syscall.RawConn) {
	for nc != nil {
		if sc, ok := nc.(syscall.Conn); ok {
			raw, err := sc.SyscallConn()
			if err != nil {
				return nil, nil
			}
			return nc, raw
		}
		wrapper, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nil, nil
		}
		nc = wrapper.NetConn()
	}
	return nil, nil
}

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
