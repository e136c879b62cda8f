package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// terminalSize returns the size of a console, and has it understand escape sequences;
// false for everything else, and for a console that does not know them.
func terminalSize(f *os.File) (width, height int, terminal bool) {
	h := windows.Handle(f.Fd())
	var mode uint32
	if windows.GetConsoleMode(h, &mode) != nil {
		return 0, 0, false
	}
	if windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) != nil {
		return 0, 0, false
	}
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(h, &info) == nil {
		width = int(info.Window.Right-info.Window.Left) + 1
		height = int(info.Window.Bottom-info.Window.Top) + 1
	}
	return width, height, true
}
