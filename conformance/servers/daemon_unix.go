//go:build unix

package servers

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// shutDown ends the process as mode says: by signal for an orderly end, by
// abrupt for an immediate one. A process that does not heed it is killed. It
// returns when the process is gone.
func (d *daemon) shutDown(mode StopMode, signal, abrupt os.Signal) error {
	if !d.running() {
		return errDown
	}
	switch mode {
	case Fast:
		d.end(stopPatience, signal)
	case Immediate:
		d.end(stopPatience, abrupt)
	case Kill:
		return d.kill()
	default:
		return fmt.Errorf("there is no StopMode(%d)", mode)
	}
	return nil
}

// kill ends the process and its children. The main one is halted first, so that it
// cannot make more of them: a survivor would hold the server's memory, and a new
// server refuse to start.
func (d *daemon) kill() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	main := d.process.cmd.Process
	_ = main.Signal(syscall.SIGSTOP) // fails only if the process has ended
	deadline := time.Now().Add(stopPatience)
	for time.Now().Before(deadline) {
		still := halted(main.Pid) // before the children are listed, so that the list is complete
		pids, err := children(main.Pid)
		if err != nil {
			return err
		}
		if still && len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // likewise
		}
	}
	_ = main.Kill()
	<-d.process.exited
	return nil
}

// signal sends a signal to the main process or, if pid is not 0, to a child of
// it, and to no other process.
func (d *daemon) signal(pid int, signal syscall.Signal) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process == nil || d.process.ended() {
		return errDown
	}
	parent := d.process.cmd.Process
	if pid == 0 || pid == parent.Pid {
		return parent.Signal(signal)
	}
	pids, err := children(parent.Pid)
	if err != nil {
		return err
	}
	if !slices.Contains(pids, pid) {
		return fmt.Errorf("process %d is not one of the server's", pid)
	}
	return syscall.Kill(pid, signal)
}

// signalAll sends a signal to the main process and then to all its children.
func (d *daemon) signalAll(signal syscall.Signal) error {
	if err := d.signal(0, signal); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	pids, err := children(d.process.cmd.Process.Pid)
	for _, pid := range pids {
		if e := syscall.Kill(pid, signal); !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// proceed ends a SIGSTOP of the process and its children.
func proceed(pid int) {
	pids, _ := children(pid) // without a list of them, the main one at least
	for _, pid := range append(pids, pid) {
		_ = syscall.Kill(pid, syscall.SIGCONT) // it may have ended
	}
}
