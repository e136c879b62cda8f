package servers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// process is a server process that this package started, and the only thing
// that may signal it.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has been waited for
	err    error         // how it ended; to be read after exited
}

// startProcess starts cmd. On Linux the kernel sends a child the death signal
// when the thread that started it ends, not the process; so the thread is
// locked, and kept, until the child has ended.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// end asks the process to stop with each of the signals in turn, giving it
// patience after each, and kills it at last. It returns when it is gone.
func (p *process) end(patience time.Duration, signals ...os.Signal) {
	for _, signal := range signals {
		// An error means that it ended in between, or that the system has no
		// such signal; in both cases the next step is the right one.
		if err := p.cmd.Process.Signal(signal); err == nil && p.exitsWithin(patience) {
			return
		}
	}
	_ = p.cmd.Process.Kill() // fails only if the process has ended
	<-p.exited
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

func (p *process) exitsWithin(patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// waitUntil asks ready every few milliseconds until it says yes, and gives up
// when the process ends or ctx does.
func (p *process) waitUntil(ctx context.Context, ready func() bool) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-p.exited:
			return fmt.Errorf("the server ended before it was ready: %v", p.err)
		case <-ctx.Done():
			return fmt.Errorf("the server was not ready in time: %w", context.Cause(ctx))
		case <-ticker.C:
			if ready() {
				return nil
			}
		}
	}
}

// The ports that servers are given: below those that the systems give to clients,
// so that no client takes the port of a server that is down for a moment.
const firstPort, portsEnd = 20000, 32768

// freePort returns a TCP port of the loopback interface that nobody listened on
// a moment ago. Somebody may by the time it is used: callers try again.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := firstPort + rand.IntN(portsEnd-firstPort)
		var listener net.Listener
		if listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, listener.Close()
		}
	}
	return 0, err
}

// cleanEnviron is the environment without the variables that have one of the
// prefixes, and in the C locale: a test must not depend on its user's settings.
func cleanEnviron(prefixes ...string) []string {
	var environ []string
next:
	for _, pair := range os.Environ() {
		for _, prefix := range append(prefixes, "LC_", "LANG=", "LANGUAGE=") {
			if strings.HasPrefix(pair, prefix) {
				continue next
			}
		}
		environ = append(environ, pair)
	}
	return append(environ, "LC_ALL=C")
}

// tail returns the end of a log file, for an error text.
func tail(path string, limit int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(text) > limit {
		text = append([]byte("...\n"), text[len(text)-limit:]...)
	}
	if len(text) == 0 {
		return "(empty)"
	}
	return string(text)
}
