//go:build !unix

package pool

import (
	"net"
	"syscall"
)

// rawConn returns nil: there is no peek on this system, only verification.
func rawConn(net.Conn) (net.Conn, syscall.RawConn) { return nil, nil }

func peerClosed(syscall.RawConn) bool { return false }
