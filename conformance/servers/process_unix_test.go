//go:build unix

package servers

import (
	"errors"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEndKillsAProcessThatIgnoresSignals starts a shell that ignores both
// signals, and waits for its first line so that they are surely ignored.
func TestEndKillsAProcessThatIgnoresSignals(t *testing.T) {
	cmd := exec.Command("sh", "-c", `trap "" INT QUIT; echo ready; while :; do read line || :; done`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // never written: read waits for ever
		t.Fatal(err)
	}
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("ready"))
	if _, err := out.Read(line); err != nil || string(line) != "ready" {
		t.Fatalf("read %q, %v", line, err)
	}
	p.end(20*time.Millisecond, interrupt, quit)
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("ended by %v, want the kill", cmd.ProcessState)
	}
}

func TestWaitUntilReportsAProcessThatEnded(t *testing.T) {
	p, err := startProcess(exec.Command("sh", "-c", "exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	err = p.waitUntil(t.Context(), func() bool { return false })
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want the exit status", err)
	}
}

func TestStartProcessReportsAMissingProgram(t *testing.T) {
	if _, err := startProcess(exec.Command(t.TempDir() + "/none")); err == nil {
		t.Error("no error")
	}
}

func TestFreePortCanBeListenedOn(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		t.Skip("somebody was faster")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCleanEnvironDropsWhatWouldLeakIn(t *testing.T) {
	t.Setenv("PGPORT", "1")
	t.Setenv("LC_MESSAGES", "de_DE")
	t.Setenv("KEPT_VALUE", "yes")
	environ := strings.Join(cleanEnviron("PG"), "\n")
	for _, gone := range []string{"PGPORT", "LC_MESSAGES"} {
		if strings.Contains(environ, gone) {
			t.Errorf("%s is still there", gone)
		}
	}
	for _, kept := range []string{"KEPT_VALUE=yes", "LC_ALL=C"} {
		if !strings.Contains(environ, kept) {
			t.Errorf("%s is missing", kept)
		}
	}
}
