// Package balance runs the load balancer before the platform's servers: Debian's HAProxy with the
// configuration that is shipped here.
//
// In: the servers' addresses. Out: one address in front of them, on loopback. The decision that
// matters: the balancer sends a request again only where that changes nothing: one that reached no
// server, or one that only reads. Writes are repeated by the browser, which knows the operation's id.
package balance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"changeover/internal/sandbox"
)

// Spec says what to run.
type Spec struct {
	Tool       sandbox.Tool // sandbox.FindTool(ctx, "haproxy", …)
	Servers    []Server
	Port       int           // 0: a free one
	CheckEvery time.Duration // 0: a second
	Threads    int           // 0: one for each core
}

// Balancer is a running HAProxy. It dies with this process. Its methods must not be called at the
// same time, except Drain, Ready and Servers.
type Balancer struct {
	spec Spec
	dir  *sandbox.RunDir // the configuration and the admin socket
	addr string
	proc *process

	closed bool // the folder is gone
}

// startLimit bounds a start: HAProxy needs milliseconds.
const startLimit = 20 * time.Second

// Start runs HAProxy and returns when it accepts connections.
func Start(ctx context.Context, spec Spec) (*Balancer, error) {
	dir, err := sandbox.NewRunDir()
	if err != nil {
		return nil, err
	}
	b := &Balancer{spec: spec, dir: dir}
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start haproxy: %w", err), dir.Close())
	}
	return b, nil
}

func (b *Balancer) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		port, err := choosePort(b.spec.Port)
		if err != nil {
			return err
		}
		b.addr = net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
		b.proc, err = b.run(ctx)
		if err == nil {
			return nil
		}
		// Another process may have taken the port since we looked.
		if b.spec.Port != 0 || !strings.Contains(err.Error(), "cannot bind") || ctx.Err() != nil {
			return err
		}
	}
}

// choosePort returns the port that is asked for, or one that is free now.
func choosePort(port int) (int, error) {
	if port != 0 {
		return port, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// run writes the configuration, starts a process with it, and waits until it answers. With extra
// arguments the process takes over from another.
func (b *Balancer) run(ctx context.Context, extra ...string) (*process, error) {
	var text bytes.Buffer
	err := Render(&text, Config{Listen: b.addr, Socket: b.socket(), Servers: b.spec.Servers,
		CheckEvery: b.spec.CheckEvery, Threads: b.spec.Threads})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(b.configFile(), text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	// Not CommandContext: the process outlives the ctx of its start. -db: in the foreground.
	p, err := spawn(b.spec.Tool.Command(context.WithoutCancel(ctx), append([]string{"-db", "-f", b.configFile()}, extra...)...))
	if err != nil {
		return nil, err
	}
	if err := b.waitReady(ctx, p); err != nil {
		p.kill()
		return nil, fmt.Errorf("%w\n%s", err, p.output())
	}
	return p, nil
}

func (b *Balancer) configFile() string { return filepath.Join(b.dir.Path, "haproxy.cfg") }
func (b *Balancer) socket() string     { return filepath.Join(b.dir.Path, "admin.sock") }

// waitReady asks the admin socket until this very process answers: after a reload the old one
// answers there for a moment still.
func (b *Balancer) waitReady(ctx context.Context, p *process) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if info, err := b.ask("show info"); err == nil && strings.Contains(info, fmt.Sprintf("\nPid: %d\n", p.pid)) {
			return nil
		}
		select {
		case <-p.done:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Addr is host:port.
func (b *Balancer) Addr() string { return b.addr }

// URL is the address for a browser, without a slash at its end.
func (b *Balancer) URL() string { return "http://" + b.addr }

// PID is HAProxy's process.
func (b *Balancer) PID() int { return b.proc.pid }

// Reload goes on with other servers. The new process takes over the listening sockets, so no
// connection is refused; the old one answers what it has and ends. Reload returns when the new one
// answers. States that Drain has set are forgotten.
func (b *Balancer) Reload(ctx context.Context, servers []Server) error {
	before, had := b.proc, b.spec.Servers
	b.spec.Servers = servers
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	p, err := b.run(ctx, "-x", b.socket(), "-sf", fmt.Sprint(before.pid))
	if err != nil {
		b.spec.Servers = had
		return fmt.Errorf("reload haproxy: %w", err)
	}
	p.old = append(before.old, before)
	b.proc = p
	return nil
}

// Stop ends HAProxy: what is under way is answered until ctx ends, then it is killed. Browsers whose
// connections are idle may send one more request on them, for ten seconds. Nothing of it is left.
func (b *Balancer) Stop(ctx context.Context) error {
	all := append(b.proc.old, b.proc)
	for _, p := range all {
		p.signal(syscall.SIGUSR1) // the soft stop
	}
	for _, p := range all {
		select {
		case <-p.done:
		case <-ctx.Done():
			p.kill()
		}
	}
	return b.close()
}

// Kill ends HAProxy at once, with all that is under way.
func (b *Balancer) Kill() error {
	for _, p := range append(b.proc.old, b.proc) {
		p.kill()
	}
	return b.close()
}

// close removes the folder; a second Stop or Kill has none to remove.
func (b *Balancer) close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	return b.dir.Close()
}

// Check has HAProxy itself judge a configuration; it is for tests of the template.
func Check(ctx context.Context, tool sandbox.Tool, file string) error {
	out, err := tool.Command(ctx, "-c", "-f", file).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) || strings.Contains(string(out), "[WARNING]") || strings.Contains(string(out), "[ALERT]") {
		return fmt.Errorf("haproxy -c: %w\n%s", errors.Join(err, errors.New("not accepted without a word")), out)
	}
	return err
}
