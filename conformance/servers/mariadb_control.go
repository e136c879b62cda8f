//go:build unix

package servers

import (
	"context"
	"fmt"
	"os"
	"syscall"
)

// Shutdown ends the server and keeps its files, so that Start can bring it back.
// Immediate and Kill are the same here: there is no other abrupt end.
func (s *MariaDBServer) Shutdown(mode StopMode) error {
	return s.name("shutdown", s.daemon.shutDown(mode, syscall.SIGTERM, os.Kill))
}

// Start starts a server that was shut down, or has died, on the same port and
// with the same data, and returns once it accepts connections.
func (s *MariaDBServer) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := s.startOnPort(ctx); err != nil {
		return s.name("start", fmt.Errorf("%w\nits log:\n%s", err, tail(s.logFile(), logTail)))
	}
	return nil
}

// Restart is Shutdown and Start.
func (s *MariaDBServer) Restart(ctx context.Context, mode StopMode) error {
	if err := s.Shutdown(mode); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Signal sends a signal to the server's process, which has no others: SIGSTOP
// makes it hang, SIGCONT wakes it up. Stop works in between.
func (s *MariaDBServer) Signal(signal syscall.Signal) error {
	return s.name("signal", s.daemon.signal(0, signal))
}

func (s *MariaDBServer) name(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("servers: mariadb on port %d: %s: %w", s.port, what, err)
}
