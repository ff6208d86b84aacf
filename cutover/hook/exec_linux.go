package hook

import "syscall"

// ownGroup: a script is killed with all that it started, and one whose coordinator dies does not act
// on its behalf any more.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
