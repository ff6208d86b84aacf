//go:build unix && !linux

package sandbox

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

func sysProcAttr(life Lifetime) *syscall.SysProcAttr {
	if life == Detached {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true} // no parent-death signal here: the next run sweeps
}

// processesWith returns the pids of the processes that have an argument that matches.
func processesWith(match func(arg string) bool) ([]int, error) {
	out, err := exec.Command("ps", "-axww", "-o", "pid=,command=").Output()
	if err != nil {
		return nil, err
	}
	var pids []int
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) > 1 && slices.ContainsFunc(f[1:], match) {
			pid, _ := strconv.Atoi(f[0])
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func zombie(int) bool { return false }
