package servers

import "syscall"

// dieWithParent asks for SIGQUIT, PostgreSQL's immediate shutdown, when the
// test binary ends without having stopped the server: killed, or by the panic
// of a test's timeout.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
