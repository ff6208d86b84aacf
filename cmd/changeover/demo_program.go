package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// program is a child process of the demo.
type program struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended; err is set by then
	err  error
}

// demoGrace is how long a program may take to end when it is told to.
const demoGrace = 20 * time.Second

// start runs cmd with its output in out. It ends with ctx, by SIGTERM, and with the demo, however
// that dies.
func (d *demo) start(name string, out io.Writer, cmd *exec.Cmd) (*program, error) {
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = demoGrace
	cmd.SysProcAttr = demoProcAttr()
	p := &program{name: name, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started) // ends with the process
	return p, <-started
}

// run owns the process. It keeps its thread: the signal at the parent's death is sent when the
// thread that forked dies.
func (p *program) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	if p.err = p.cmd.Start(); p.err != nil {
		started <- p.err
		return
	}
	started <- nil
	if err := p.cmd.Wait(); err != nil {
		p.err = fmt.Errorf("%s: %w", p.name, err)
	}
}

// wait returns when the program has ended by itself.
func (p *program) wait() error {
	<-p.done
	return p.err
}

// stop ends the program; one that has ended already is fine.
func (p *program) stop() error {
	select {
	case <-p.done:
		return p.err
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		<-p.done
		return p.err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(demoGrace):
		err := p.cmd.Process.Kill()
		<-p.done
		return errors.Join(fmt.Errorf("%s didn't stop within %v", p.name, demoGrace), err)
	}
}

// command is this program with a subcommand, on the sandbox's configuration.
func (d *demo) command(ctx context.Context, subcommand string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, d.self, append([]string{subcommand, "-c", d.pair.ConfigFile()}, args...)...)
}
