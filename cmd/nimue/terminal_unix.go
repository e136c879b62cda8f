//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalSize returns the size of a terminal; false for everything else.
func terminalSize(f *os.File) (width, height int, terminal bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		var size *unix.Winsize
		if size, err = unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ); err == nil {
			width, height, terminal = int(size.Col), int(size.Row), true
		}
	})
	return width, height, terminal
}
