package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

func sysProcAttr(life Lifetime) *syscall.SysProcAttr {
	if life == Detached {
		return &syscall.SysProcAttr{Setsid: true}
	}
	// An own group, so that Ctrl-C stops the test and not its servers behind its back.
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// processesWith returns the pids of the processes that have an argument that matches. A data
// directory's option names a server for good; a pid from a file may be somebody else's by now.
func processesWith(match func(arg string) bool) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // gone meanwhile
		}
		if slices.ContainsFunc(strings.Split(string(text), "\x00"), match) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// zombie: a process that has ended and whose parent hasn't looked yet.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	return len(after) > 0 && after[0] == 'Z'
}
