package balance

import "syscall"

func dieWithParent() *syscall.SysProcAttr {
	// An own group, so that Ctrl-C stops the caller and not the balancer behind its back.
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
