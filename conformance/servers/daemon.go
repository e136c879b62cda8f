package servers

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"time"
)

// StopMode says how a server is shut down.
type StopMode uint8

const (
	// Fast is an orderly shutdown that does not wait for clients.
	Fast StopMode = iota
	// Immediate gives clients up without a word where the server can do that,
	// and leaves recovery to the next start.
	Immediate
	// Kill ends all of the server's processes with SIGKILL, as the loss of a
	// machine does, but that its kernel closes the connections.
	Kill
)

var (
	errRunning = errors.New("the server is running")
	errDown    = errors.New("the server is not running")
)

// daemon is a server's main process, which may be ended and started again.
type daemon struct {
	mu      sync.Mutex // held while the process is started or ended
	process *process   // the last one
}

// start starts cmd, its output appended to a log file, and returns once ready
// says so of the process id. What is not ready in time is ended.
func (d *daemon) start(ctx context.Context, cmd *exec.Cmd, logFile string, ready func(pid int) bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process != nil && !d.process.ended() {
		return errRunning
	}
	log, err := os.OpenFile(logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	p, err := startProcess(cmd)
	if err != nil {
		return err
	}
	d.process = p
	err = p.waitUntil(ctx, func() bool { return ready(p.cmd.Process.Pid) })
	if err != nil {
		p.end(stopPatience, interrupt, quit)
	}
	return err
}

// end ends the process, if there is one, even where it was halted with SIGSTOP.
func (d *daemon) end(patience time.Duration, signals ...os.Signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process == nil {
		return
	}
	if !d.process.ended() {
		proceed(d.process.cmd.Process.Pid)
	}
	d.process.end(patience, signals...)
}

// pid is the id of the last process, or 0.
func (d *daemon) pid() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process == nil {
		return 0
	}
	return d.process.cmd.Process.Pid
}

// running tells whether the process has been started and has not ended.
func (d *daemon) running() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.process != nil && !d.process.ended()
}
