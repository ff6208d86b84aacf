package sandbox

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Lifetime says whom a server outlives.
type Lifetime int

// The lifetimes.
const (
	WithProcess Lifetime = iota // the server dies with the process that started it, however that dies
	Detached                    // the server stays until it is stopped
)

// process is a server process that this process started.
type process struct {
	pid  int
	done chan struct{} // closed when the process has been reaped
}

// spawn starts cmd. One goroutine owns it: it starts the process, waits for it, and closes done.
//
// That goroutine keeps its thread until the end, because the kernel's parent-death signal is
// sent when the *thread* that forked dies, and Go ends threads as it likes.
func spawn(cmd *exec.Cmd, life Lifetime) (*process, error) {
	cmd.SysProcAttr = sysProcAttr(life)
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		cmd.Wait() // how it ended is in the server's log
		close(p.done)
	}()
	return p, <-started
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// alive tells whether there is a process pid that isn't a zombie.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	return err == nil && p.Signal(syscall.Signal(0)) == nil && !zombie(pid)
}

// waitDead waits for the end of a process that isn't our child.
func waitDead(ctx context.Context, pid int) error {
	for wait := newBackoff(5*time.Millisecond, 50*time.Millisecond); alive(pid); {
		if err := wait.next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// contextForKill bounds the wait for a process that was sent SIGKILL: only one that hangs in
// the kernel takes long.
func contextForKill() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}
