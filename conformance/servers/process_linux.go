package servers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent asks for SIGQUIT, PostgreSQL's immediate shutdown, when the
// test binary ends without having stopped the server: killed, or by the panic
// of a test's timeout.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }

// children lists the child processes of a process, without those that have ended
// and that it has not yet waited for.
func children(parent int) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, file := range files {
		state, ppid := status(file)
		if ppid != strconv.Itoa(parent) || state == "Z" || state == "X" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// halted tells whether a process has been stopped by SIGSTOP, or has ended.
func halted(pid int) bool {
	state, _ := status(fmt.Sprintf("/proc/%d/stat", pid))
	return state == "T" || state == "Z" || state == ""
}

// status reads a process's state and parent; both are empty if it has ended.
func status(file string) (state, parent string) {
	stat, err := os.ReadFile(file)
	if err != nil {
		return "", ""
	}
	// They follow the name, which may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return "", ""
	}
	return fields[0], fields[1]
}
