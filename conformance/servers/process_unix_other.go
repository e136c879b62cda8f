//go:build unix && !linux

package servers

import "syscall"

// dieWithParent does nothing here: the system has no signal for a parent's death.
func dieWithParent(*syscall.SysProcAttr) {}
