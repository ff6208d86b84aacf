package hook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"changeover/internal/fault"
)

// prefix begins the names of the variables that a script is told its step by.
const prefix = "CHANGEOVER_"

// harmless are the variables of this process that every script gets. Others, such as the passwords that
// password_env names, stay here.
var harmless = []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}

// script runs a program for each step.
type script struct{ Config }

func newScript(c Config) *script { return &script{c} }

func (s *script) Name() string { return s.Config.Name }
func (s *script) Holds() bool  { return s.Config.Holds }

// Check looks for the program before it is asked, so that a misspelt one is told from one that says no.
func (s *script) Check(ctx context.Context) error {
	if _, err := exec.LookPath(s.Exec[0]); err != nil {
		return fault.New(fault.HookConfig, "hook %s: %w", s.Name(), err)
	}
	return s.run(ctx, Check, Event{})
}

func (s *script) Hold(ctx context.Context, e Event) error    { return s.run(ctx, Hold, e) }
func (s *script) Flip(ctx context.Context, e Event) error    { return s.run(ctx, Flip, e) }
func (s *script) Release(ctx context.Context, e Event) error { return s.run(ctx, Release, e) }

// run waits for the script, or kills it with all that it has started: a step that goes on after its time
// would be done in the middle of another one.
func (s *script) run(ctx context.Context, step Step, e Event) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	var out tail
	cmd := exec.CommandContext(ctx, s.Exec[0], s.Exec[1:]...)
	cmd.Env = s.environment(step, e)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = 100 * time.Millisecond // for a grandchild of another group that has the pipe still
	began := time.Now()
	err := runOnOneThread(cmd)
	if err == nil {
		return nil
	}
	if cmd.Process != nil { // whatever it has left behind in its group
		_ = killGroup(cmd.Process)
	}
	what := fmt.Sprintf("hook %s: %s: %s", s.Name(), step, filepath.Base(s.Exec[0]))
	if ctx.Err() != nil {
		return fault.New(fault.HookTimeout, "%s did not end within %v%s", what, time.Since(began).Round(time.Millisecond), s.said(&out))
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return fault.New(fault.HookTimeout, "%s ended and left a process behind that keeps its output open%s", what, s.said(&out))
	}
	return fault.New(fault.HookFailed, "%s: %w%s", what, err, s.said(&out))
}

// runOnOneThread keeps the thread that forks: the kernel's parent-death signal is sent when it dies.
func runOnOneThread(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	go func() { // ends with the process
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- cmd.Run()
	}()
	return <-done
}

// environment is all that a script is told.
func (s *script) environment(step Step, e Event) []string {
	var env []string
	for _, name := range append(append([]string{}, harmless...), s.Environment...) {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	add := func(name string, value any) { env = append(env, prefix+name+"="+fmt.Sprint(value)) }
	add("HOOK", s.Name())
	add("STEP", step)
	if step == Check {
		return env
	}
	add("MIGRATION", e.Migration)
	add("KIND", e.Kind)
	add("ATTEMPT", e.Attempt)
	add("EPOCH", e.Epoch)
	for _, side := range []struct{ name, side, address string }{{"FROM", e.From, e.FromAddress}, {"TO", e.To, e.ToAddress}} {
		host, port, err := net.SplitHostPort(side.address)
		if err != nil {
			host, port = side.address, ""
		}
		add(side.name, side.side)
		add(side.name+"_ADDRESS", side.address)
		add(side.name+"_HOST", host)
		add(side.name+"_PORT", cmp.Or(port, "3306"))
	}
	return env
}

// said is the end of the script's output, for an error: on one line, and without the values that were
// passed to it.
func (s *script) said(out *tail) string {
	text := strings.Join(strings.Fields(out.String()), " ")
	if text == "" {
		return ""
	}
	for _, name := range s.Environment {
		if value := os.Getenv(name); len(value) >= 4 {
			text = strings.ReplaceAll(text, value, "$"+name)
		}
	}
	return ": " + text
}
