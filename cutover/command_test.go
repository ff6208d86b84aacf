package cutover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"changeover/cutover/helm"
	"changeover/internal/control"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify"
)

// pointVariable is the command's, built with the tag chaos: cmd/changeover/tap_chaos.go.
const pointVariable = "CHANGEOVER_CHAOS"

// command is changeover as an operator has it: the binary, a configuration and its passwords in files, a
// state folder.
type command struct {
	s       *school
	program string
	dir     string
	runs    int
}

// command builds the binary if no test of this package has, and writes a configuration for the school.
func (s *school) command() *command {
	s.t.Helper()
	c := &command{s: s, program: s.build(), dir: s.t.TempDir()}
	side := func(on *sandboxtest.Server, a sandbox.Account) string {
		e := endpoint(s.t, on, a)
		c.write(string(on.Role)+".pw", e.Password+"\n")
		return fmt.Sprintf("{host: %s, port: %d, user: %s, password_file: %s.pw}", e.Host, e.Port, e.User, on.Role)
	}
	c.write("changeover.yaml", fmt.Sprintf(`migration: %[1]s
source: %[2]s
target: %[3]s
databases: [%[1]s]
copy: {workers: 2, chunk: 256KiB}
apply: {workers: 4, memory: 64MiB}
cutover: {hold: 1s, operators: ["%[4]s"]}
bus: {listen: "127.0.0.1:0"}
listen: 127.0.0.1:0
`, s.name, side(s.src, sandbox.Changeover), side(s.dst, sandbox.Admin), strings.Join(operators, `", "`)))
	return c
}

// build makes the binary in the folder of this package's servers, which is taken away with them.
func (s *school) build() string {
	s.t.Helper()
	file := filepath.Join(filepath.Dir(s.src.Dir), "bin", "changeover")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	// The go command runs a test again when a folder that it has read is another.
	if _, err := os.ReadDir("../cmd/changeover"); err != nil {
		s.t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-tags", "chaos", "-o", file, "../cmd/changeover").CombinedOutput(); err != nil {
		s.t.Fatalf("go build: %v\n%s", err, out)
	}
	return file
}

func (c *command) write(name, text string) {
	c.s.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		c.s.t.Fatal(err)
	}
}

// process is one "changeover run".
type process struct {
	*exec.Cmd
	c     *command
	point string // the file in which it is told where to end
	log   *output
	began time.Time
	ended chan struct{} // closed when it has; err is set by then
	err   error
}

// output is what a process writes. Safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// run starts "changeover run".
func (c *command) run(flags ...string) *process {
	c.s.t.Helper()
	c.runs++
	p := &process{c: c, point: filepath.Join(c.dir, fmt.Sprintf("point%d", c.runs)), log: &output{}, began: time.Now(), ended: make(chan struct{})}
	p.Cmd = exec.Command(c.program, append([]string{"run", "-c", filepath.Join(c.dir, "changeover.yaml")}, flags...)...)
	p.Env = append(os.Environ(), pointVariable+"="+p.point)
	p.Stdout, p.Stderr = p.log, p.log
	if os.Getenv("CHANGEOVER_LOG") != "" {
		p.Args = append(p.Args, "--log-level", "debug")
	}
	if err := p.Start(); err != nil {
		c.s.t.Fatal(err)
	}
	go func() { // ends with the process
		defer close(p.ended)
		p.err = p.Cmd.Wait()
	}()
	c.s.t.Cleanup(func() {
		p.kill()
		if os.Getenv("CHANGEOVER_LOG") != "" {
			c.s.t.Logf("%v:\n%s", p.Args, p.log)
		}
	})
	return p
}

// Wait waits for its end.
func (p *process) Wait() error {
	<-p.ended
	return p.err
}

// kill ends it, if it has not ended, and waits until it is gone.
func (p *process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

// stop has it end in its own way.
func (p *process) stop() {
	p.c.s.t.Helper()
	_ = p.Process.Signal(syscall.SIGTERM)
	if err := p.Wait(); err != nil {
		p.c.s.t.Errorf("changeover run ends with %v\n%s", err, p.log)
	}
}

// alive fails the test if it has ended.
func (p *process) alive() {
	p.c.s.t.Helper()
	select {
	case <-p.ended:
		p.c.s.t.Fatalf("%v has ended: %v\n%s", p.Args, p.err, p.log)
	default:
	}
}

// ask asks by its control API, as its own commands do.
func (p *process) ask(path string, out any) error {
	state := filepath.Join(p.c.dir, ".changeover", p.c.s.name)
	var door struct{ PID int }
	text, err := os.ReadFile(filepath.Join(state, "control.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &door); err != nil {
		return err
	}
	if door.PID != p.Process.Pid {
		return fmt.Errorf("process %d is in office, not %d", door.PID, p.Process.Pid)
	}
	return control.Ask(p.c.s.t.Context(), state, "GET", path, out)
}

// status has no writer while it is not in office.
func (p *process) status() (s Status) {
	if err := p.ask("/v1/cutover", &s); err != nil {
		return Status{}
	}
	return s
}

// ready waits until its stream has been proven equal wholly.
func (p *process) ready() {
	p.c.s.t.Helper()
	p.c.s.within(time.Minute, "both sides are compared", func() error {
		p.alive()
		var v verify.State
		var s struct {
			Phase, Error string
			Waiting      []string
		}
		if err := errors.Join(p.ask("/v1/verify", &v), p.ask("/v1/status", &s)); err != nil {
			return err
		}
		if !v.Wholly || s.Phase != "streaming" || s.Error != "" {
			return fmt.Errorf("not wholly compared, or not streaming: %+v, %+v\n%s", s, v, p.log)
		}
		return nil
	})
}

// The command's exit codes: what an attempt came to, or that nobody has told.
const (
	exitNo     = 1
	exitFailed = 2
)

// answer is what "changeover rehearse", "cutover" or "rollback" came back with.
type answer struct {
	code   int
	record *Record // of an attempt that has ended
	stderr string
}

// through tells whether the role has passed, or the rehearsal ended as it should.
func (a answer) through() bool {
	return a.code == 0 && (a.record.Outcome == Committed || a.record.Outcome == Rehearsed)
}

// attempt asks for an attempt by the command, of a process that is to end at a point; with none it lives.
func (p *process) attempt(ctx context.Context, kind Kind, point string) (a answer, err error) {
	if err := os.WriteFile(p.point, []byte(point), 0o600); err != nil {
		return a, err
	}
	cmd := exec.CommandContext(ctx, p.c.program, string(kind), "-c", filepath.Join(p.c.dir, "changeover.yaml"), "--confirm", p.c.s.name, "--wait", "20s", "--json")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return a, err
	}
	a.code, a.stderr = cmd.ProcessState.ExitCode(), log.String()
	if a.code != 0 && a.code != exitNo {
		return a, nil
	}
	a.record = new(Record)
	return a, json.Unmarshal(out.Bytes(), a.record)
}

// makes has the process make an attempt that ends at a point; died is false if it never came there, and the
// attempt went through.
func (p *process) makes(kind Kind, point string) (died bool) {
	t := p.c.s.t
	t.Helper()
	_ = os.Remove(p.point + ".trace")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for range 10 { // a machine that does much else at the same time is refused now and then
		a, err := p.attempt(ctx, kind, point)
		if err != nil {
			t.Fatalf("%s, to end at %q: %v\n%s", kind, point, err, p.log)
		}
		if a.through() {
			return false
		}
		if a.code == exitFailed {
			p.died(5*time.Second, kind, point)
			if !strings.Contains(a.stderr, "does not answer") {
				t.Errorf("who asked for the %s that ended at %s is told: %s", kind, point, a.stderr)
			}
			return true
		}
		t.Logf("%s once more: it exits with %d, %s, %v", kind, a.code, a.record.Outcome, a.record.Reasons)
	}
	t.Fatalf("%s, to end at %q, did not go through\n%s", kind, point, p.log)
	return false
}

// died waits until the process has ended by SIGKILL.
func (p *process) died(patience time.Duration, kind Kind, point string) {
	p.c.s.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.c.s.t.Fatalf("%s, to end at %s, is not answered, and the run lives\n%s", kind, point, p.log)
	}
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		p.c.s.t.Fatalf("%s, to end at %s: the run ended with %v\n%s", kind, point, p.err, p.log)
	}
}

// trace are the statements that its last attempt has met, "side/act/n text".
func (p *process) trace() []string {
	p.c.s.t.Helper()
	text, err := os.ReadFile(p.point + ".trace")
	if err != nil {
		p.c.s.t.Fatalf("no statement was met: %v\n%s", err, p.log)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// settled waits until it is in office, no longer than five seconds after a moment, and students write
// again.
func (p *process) settled(since time.Time) (writer helm.Side, took time.Duration) {
	s := p.c.s
	s.t.Helper()
	s.within(5*time.Second-time.Since(since), "the successor is in office", func() error {
		p.alive()
		if writer = p.status().Writer; writer == "" {
			return fmt.Errorf("%w\n%s", errNotYet, p.log)
		}
		return nil
	})
	took = time.Since(since)
	before := s.acknowledged()
	s.within(5*time.Second, "students write again", func() error {
		if s.acknowledged() < before+20 {
			return errNotYet
		}
		return nil
	})
	s.oneWriter(writer)
	return writer, took
}
