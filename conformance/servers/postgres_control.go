//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Shutdown ends the server's processes and keeps its files, so that [Start] can
// bring it back. It returns when the main process is gone.
//
// [Start]: PostgresServer.Start
func (s *PostgresServer) Shutdown(mode StopMode) error {
	return s.name("shutdown", s.daemon.shutDown(mode, syscall.SIGINT, syscall.SIGQUIT))
}

// Start starts a server that was shut down, or has died, on the same port and
// with the same data, and returns once it accepts connections.
func (s *PostgresServer) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for ; ; <-retry.C {
		err := s.startOnPort(ctx)
		if err == nil {
			return nil
		}
		// Backends of a main process that was killed alone end as soon as they
		// notice, and until then a new one refuses to start.
		log := tail(s.logFile(), logTail)
		_, last, _ := cutLast(log, "FATAL:")
		if ctx.Err() != nil || !strings.Contains(last, "still in use") {
			return s.name("start", fmt.Errorf("%w\nits log:\n%s", err, log))
		}
	}
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

// Restart is Shutdown and Start.
func (s *PostgresServer) Restart(ctx context.Context, mode StopMode) error {
	if err := s.Shutdown(mode); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Reload makes the server read its configuration again, as after ALTER SYSTEM.
// The change takes effect a moment later.
func (s *PostgresServer) Reload() error { return s.Signal(syscall.SIGHUP) }

// Signal sends a signal to the main process alone.
func (s *PostgresServer) Signal(signal syscall.Signal) error {
	return s.name("signal", s.daemon.signal(0, signal))
}

// SignalBackend sends a signal to the process of one session, as
// pg_backend_pid() tells it, or another child of the server. SIGKILL makes the
// server end all other sessions too and recover.
func (s *PostgresServer) SignalBackend(pid int, signal syscall.Signal) error {
	return s.name("signal", s.daemon.signal(pid, signal))
}

// SignalAll sends a signal to the main process and all its children: SIGSTOP
// makes a server hang, SIGCONT wakes it up. Stop works in between.
func (s *PostgresServer) SignalAll(signal syscall.Signal) error {
	return s.name("signal", s.daemon.signalAll(signal))
}

func (s *PostgresServer) name(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("servers: postgres on port %d: %s: %w", s.port, what, err)
}

// Standby starts a streaming standby of the server with the same options, and
// returns once it accepts connections, which are read-only. The caller must call
// its Stop.
func (s *PostgresServer) Standby(ctx context.Context) (*PostgresServer, error) {
	standby, err := s.startStandby(ctx)
	return standby, s.name("standby", err)
}

// PostgresStandby is [PostgresServer.Standby] for one test, which stops it.
func PostgresStandby(tb testing.TB, primary *PostgresServer) *PostgresServer {
	tb.Helper()
	standby, err := primary.Standby(tb.Context())
	Require(tb, err)
	tb.Cleanup(standby.Stop)
	return standby
}

func (s *PostgresServer) startStandby(ctx context.Context) (_ *PostgresServer, err error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	dir, err := s.as.makeDir("nimue-pg-")
	if err != nil {
		return nil, err
	}
	standby := &PostgresServer{options: s.options, programs: s.programs, as: s.as, dir: dir}
	standby.stop = sync.OnceFunc(standby.shutDown)
	defer func() {
		if err != nil {
			standby.Stop()
		}
	}()
	if err := standby.makeSocketDir(); err != nil {
		return nil, err
	}
	err = standby.tool(ctx, "pg_basebackup", "--pgdata", standby.DataDir(), "--dbname", s.DSN("postgres"),
		"--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast", "--no-sync")
	if err != nil {
		return nil, err
	}
	return standby, standby.start(ctx)
}

// Promote makes a standby a primary and returns once it accepts writes.
func (s *PostgresServer) Promote(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return s.name("promote", s.tool(ctx, "pg_ctl", "promote", "--pgdata", s.DataDir(), "--wait"))
}

// Follow makes the server a standby of primary, as after a failover to that: it
// is shut down and started again. The two must share their past up to the
// moment at which primary was promoted, which they do where this one had been
// shut down (Fast) before.
func (s *PostgresServer) Follow(ctx context.Context, primary *PostgresServer) error {
	if err := s.Shutdown(Fast); err != nil && !errors.Is(err, errDown) {
		return err
	}
	if err := s.writeRecovery(primary); err != nil {
		return s.name("follow", err)
	}
	return s.Start(ctx)
}

func (s *PostgresServer) writeRecovery(primary *PostgresServer) error {
	settings := "primary_conninfo = " + quoteSetting(primary.DSN("postgres")) + "\nrecovery_target_timeline = 'latest'\n"
	file, err := os.OpenFile(filepath.Join(s.DataDir(), "postgresql.auto.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(settings)
	signal := filepath.Join(s.DataDir(), "standby.signal")
	return errors.Join(err, file.Close(), os.WriteFile(signal, nil, 0o600), s.as.own(signal))
}

func quoteSetting(value string) string { return "'" + strings.ReplaceAll(value, "'", "''") + "'" }

// tool runs one of the server's programs to its end.
func (s *PostgresServer) tool(ctx context.Context, program string, args ...string) error {
	folder, ok := s.folderOf(program)
	if !ok {
		return fmt.Errorf("%s is %w beside the server in %s: install PostgreSQL's client package", program, ErrNotInstalled, s.programs)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(folder, program), args...)
	s.prepare(cmd)
	// As in startProcess: the death signal is bound to the starting thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, output)
	}
	return nil
}

// folderOf finds a program of the same installation. The server's own may have been
// found as links on the search path, where not all are linked.
func (s *PostgresServer) folderOf(program string) (folder string, ok bool) {
	if holdsAll(s.programs, []string{program}) {
		return s.programs, true
	}
	server, err := filepath.EvalSymlinks(filepath.Join(s.programs, "postgres"))
	if err != nil {
		return "", false
	}
	folder = filepath.Dir(server)
	return folder, holdsAll(folder, []string{program})
}
