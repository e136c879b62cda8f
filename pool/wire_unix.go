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
