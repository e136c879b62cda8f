//go:build unix

package servers

import (
	"context"
	"fmt"
	"os"
	"syscall"
)

// Shutdown ends it and keeps its files, so that Start can bring it back.
// Immediate and Kill are the same here.
func (s *PgBouncerServer) Shutdown(mode StopMode) error {
	return s.name("shutdown", s.daemon.shutDown(mode, syscall.SIGTERM, os.Kill))
}

// Start starts one that was shut down, on the same port, and returns once it
// accepts connections.
func (s *PgBouncerServer) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := s.startOnPort(ctx); err != nil {
		return s.name("start", fmt.Errorf("%w\nits log:\n%s", err, tail(s.logFile(), logTail)))
	}
	return nil
}

// Restart is Shutdown and Start.
func (s *PgBouncerServer) Restart(ctx context.Context, mode StopMode) error {
	if err := s.Shutdown(mode); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Signal sends a signal to its process, which has no others.
func (s *PgBouncerServer) Signal(signal syscall.Signal) error {
	return s.name("signal", s.daemon.signal(0, signal))
}

func (s *PgBouncerServer) name(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("servers: pgbouncer on port %d: %s: %w", s.port, what, err)
}
