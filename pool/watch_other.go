//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package pool

import (
	"errors"
	"syscall"
)

// canWatch is false: here the pool verifies where elsewhere it would be told.
const canWatch = false

type poller struct{}

func newPoller() (*poller, error)                 { return nil, errors.ErrUnsupported }
func (*poller) add(syscall.RawConn, uint64) error { return errors.ErrUnsupported }
func (*poller) remove(syscall.RawConn)            {}
func (*poller) wait(func([]uint64))               {}
func (*poller) close()                            {}
