package main

import "syscall"

// demoProcAttr: in a group of its own, so that Ctrl-C is the demo's to handle; and dead when the
// demo is.
func demoProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
