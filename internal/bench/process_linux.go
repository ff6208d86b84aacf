package main

import "syscall"

// dieWithParent: even a bench that is killed leaves no program behind.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
