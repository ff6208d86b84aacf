// Package hooktest has what tests of endpoints that are not gates need: Debian's HAProxy before two servers,
// with the configuration that docs/hooks.md shows, and a look at processes that should be gone.
package hooktest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"changeover/internal/sandbox"
)

// HAProxy is a proxy that runs, with a backend mysql of servers source and target, of which the latter is in
// maintenance. It ends with the test, or with the test's process.
type HAProxy struct {
	Config  string // its file
	Socket  string // of the runtime API
	Map     string
	Address string // host:port of its frontend
}

// StartHAProxy starts one before source and target, both host:port; change are pairs of texts in the
// document's configuration, and what they become.
func StartHAProxy(t testing.TB, source, target string, change ...string) HAProxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "hook") // t.TempDir's path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := HAProxy{Config: filepath.Join(dir, "haproxy.cfg"), Socket: filepath.Join(dir, "s"), Map: filepath.Join(dir, "changeover.map"), Address: freeAddress(t)}
	places := strings.NewReplacer("/run/haproxy/admin.sock", p.Socket, "/etc/haproxy/", dir+"/", "bind :3306", "bind "+p.Address,
		"old.example:3306", source, "new.example:3306", target)
	for file, text := range map[string]string{
		p.Config:                             strings.NewReplacer(change...).Replace(Block(t, "# haproxy.cfg")),
		p.Map:                                Block(t, "# changeover.map"),
		filepath.Join(dir, "changeover.lua"): Block(t, "-- changeover.lua"),
	} {
		if err := os.WriteFile(file, []byte(places.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.run(t, filepath.Join(dir, "out"))
	return p
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// untilInputEnds runs a program until the standard input ends: with its parent, however that dies.
const untilInputEnds = `"$@" & program=$!; read -r _; kill -9 $program; wait $program`

func (p HAProxy) run(t testing.TB, output string) {
	t.Helper()
	tool, err := sandbox.FindTool(t.Context(), "haproxy", nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(output)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	haproxy := tool.Command(t.Context(), "-db", "-f", p.Config)
	cmd := exec.Command("/bin/sh", append([]string{"-c", untilInputEnds, "sh"}, haproxy.Args...)...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = haproxy.Env, haproxy.Dir, out, out
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // it was killed
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		if err = p.answers(); err == nil {
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(output)
			t.Fatalf("HAProxy does not answer: %v\n%s", err, text)
		}
	}
}

// answers tells whether the runtime API does.
func (p HAProxy) answers() error {
	c, err := net.DialTimeout("unix", p.Socket, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c, "show info"); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

// Block is the code in docs/hooks.md that begins with this comment: what the document shows is what is
// tested.
func Block(t testing.TB, first string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../../docs/hooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(text), "\n```") {
		_, code, _ := strings.Cut(part, "\n")
		if i%2 == 1 && (strings.HasPrefix(code, first+"\n") || strings.Contains(code, "\n"+first+"\n")) {
			return code + "\n"
		}
	}
	t.Fatalf("docs/hooks.md has no block that begins with %s", first)
	return ""
}
