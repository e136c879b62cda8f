//go:build !unix && !windows

package main

import "os"

// terminalSize knows no terminal here.
func terminalSize(*os.File) (width, height int, terminal bool) { return 0, 0, false }
