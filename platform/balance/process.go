package balance

import (
	"bytes"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// process is a HAProxy that this process started, and that dies with it.
type process struct {
	pid  int
	cmd  *exec.Cmd
	out  *tail
	done chan struct{} // closed when the process has been reaped
	old  []*process    // those that it took over from
}

// spawn starts cmd. One goroutine owns it: it starts the process, waits for it, and closes done. It
// keeps its thread, because the kernel's parent-death signal is sent when the thread that forked dies.
func spawn(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, out: &tail{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.SysProcAttr = dieWithParent()
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
		_ = cmd.Wait() // how it ended is in its output
		close(p.done)
	}()
	return p, <-started
}

func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done: // its number may be somebody else's by now
	default:
		_ = p.cmd.Process.Signal(s)
	}
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) output() string { return p.out.String() }

// tail keeps the last of what the process printed.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 16 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if over := t.buf.Len() - tailSize; over > 0 {
		t.buf.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.buf.String())
}
