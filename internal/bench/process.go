package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"changeover/internal/sandbox"
)

// usage is what a program cost.
type usage struct {
	wall, cpu time.Duration
	servers   time.Duration // CPU of source and target meanwhile
	rss       int64         // bytes, the most at any time
}

// plus is the usage of two programs that ran side by side.
func (u usage) plus(v usage) usage {
	return usage{wall: max(u.wall, v.wall), cpu: u.cpu + v.cpu, rss: u.rss + v.rss}
}

// child is a program that runs beside the bench and dies with it.
type child struct {
	name  string
	cmd   *exec.Cmd
	out   *tail
	peak  atomic.Int64
	began time.Time
	done  chan struct{} // closed when it has ended; err and usage are set by then
	err   error
	usage usage
}

// stopGrace is how long a program that was told to stop may take before it is killed.
const stopGrace = 20 * time.Second

// launch starts cmd. Cancelling the context that cmd was made with tells it to stop by SIGTERM.
// What it prints goes to the error, if it isn't sent elsewhere.
func launch(name string, cmd *exec.Cmd) (*child, error) {
	c := &child{name: name, cmd: cmd, out: &tail{}, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = c.out
	}
	cmd.Stderr = c.out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	cmd.SysProcAttr = dieWithParent()
	started := make(chan error, 1)
	go c.run(started) // ends with the program
	return c, <-started
}

// run owns the process. It keeps its thread, because the signal at the parent's death is sent at
// the death of the thread that forked.
func (c *child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.done)
	c.began = time.Now()
	if err := c.cmd.Start(); err != nil {
		c.err = err
		started <- err
		return
	}
	started <- nil
	watched := make(chan struct{})
	stop := make(chan struct{})
	go func() { defer close(watched); c.watchMemory(stop) }()
	err := c.cmd.Wait()
	c.usage.wall = time.Since(c.began)
	close(stop)
	<-watched
	c.usage.cpu = c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
	c.usage.rss = c.peak.Load()
	if err != nil {
		c.err = fmt.Errorf("%s: %w\n%s", c.name, err, c.out)
	}
}

// watchMemory reads the kernel's high-water mark. Not rusage's: that begins with the peak of the
// process that forked.
func (c *child) watchMemory(stop <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	path := fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid)
	for {
		if text, err := os.ReadFile(path); err == nil {
			if _, after, ok := strings.Cut(string(text), "VmHWM:"); ok {
				var kib int64
				if _, err := fmt.Sscan(after, &kib); err == nil {
					c.peak.Store(kib << 10)
				}
			}
		}
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// wait returns what the program cost when it has ended by itself.
func (c *child) wait() (usage, error) {
	<-c.done
	return c.usage, c.err
}

// stop asks the program to end, and fails if it ends with anything but success.
func (c *child) stop() (usage, error) {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return usage{}, err
	}
	select {
	case <-c.done:
	case <-time.After(stopGrace):
		_ = c.cmd.Process.Kill()
		<-c.done
		return c.usage, fmt.Errorf("%s didn't stop within %v\n%s", c.name, stopGrace, c.out)
	}
	return c.usage, c.err
}

// ended tells whether the program has ended, and with what error.
func (c *child) ended() (bool, error) {
	select {
	case <-c.done:
		return true, c.err
	default:
		return false, nil
	}
}

// measure runs a program to its end.
func measure(name string, cmd *exec.Cmd) (usage, error) {
	c, err := launch(name, cmd)
	if err != nil {
		return usage{}, err
	}
	return c.wait()
}

// measurePipe runs from | to.
func measurePipe(from, to *exec.Cmd) (usage, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return usage{}, err
	}
	from.Stdout, to.Stdin = w, r
	reader, err := launch("reader", to)
	if err == nil {
		var writer *child
		writer, err = launch("writer", from)
		w.Close() // the children have it now
		r.Close()
		if err == nil {
			u, e1 := writer.wait()
			v, e2 := reader.wait()
			return u.plus(v), errors.Join(e1, e2)
		}
	}
	return usage{}, errors.Join(err, w.Close(), r.Close())
}

// tail keeps the last of what a program printed.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - tailSize; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.buf.String())
}

// findTool is sandbox.FindTool with its download shown.
func (l *lab) findTool(ctx context.Context, name string) (sandbox.Tool, error) {
	return sandbox.FindTool(ctx, name, l.progress())
}
