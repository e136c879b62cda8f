//go:build unix && !linux

package servers

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent does nothing here: the system has no signal for a parent's death.
func dieWithParent(*syscall.SysProcAttr) {}

// children lists the child processes of a process, without those that have ended
// and that it has not yet waited for.
func children(parent int) ([]int, error) {
	list, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,stat=").Output()
	if err != nil {
		return nil, err
	}
	var pids []int
	for line := range strings.Lines(string(list)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] != strconv.Itoa(parent) || strings.HasPrefix(fields[2], "Z") {
			continue
		}
		if pid, err := strconv.Atoi(fields[0]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// halted tells whether a process has been stopped by SIGSTOP, or has ended.
func halted(pid int) bool {
	state, err := exec.Command("ps", "-p", strconv.Itoa(pid), "-o", "stat=").Output()
	return err != nil || strings.HasPrefix(strings.TrimSpace(string(state)), "T") || strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
}
