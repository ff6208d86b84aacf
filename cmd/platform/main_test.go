package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/platformtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// TestScripts runs testdata/script: what somebody types who runs the platform, and what they see.
// "exits CODE ARGS…" is the command; platform.yaml names an empty database on a real server.
func TestScripts(t *testing.T) {
	on := sandboxtest.MySQLSource(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": func(ts *testscript.TestScript, _ bool, args []string) {
			want, err := strconv.Atoi(args[0])
			ts.Check(err)
			for i := 1; i < len(args); i++ { // scripts run at once: no folder is this process's
				if args[i-1] == "-c" {
					args[i] = ts.MkAbs(args[i])
				}
			}
			if got := run(args[1:], ts.Stdout(), ts.Stderr()); got != want {
				ts.Fatalf("platform %s exits with %d, not %d", strings.Join(args[1:], " "), got, want)
			}
		}},
		Setup: func(env *testscript.Env) error {
			password, err := on.Password(sandbox.App)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(env.WorkDir, "app.pw"), []byte(password+"\n"), 0o600); err != nil {
				return err
			}
			settings := fmt.Sprintf("database: {port: %d, user: app, password_file: app.pw, name: %s}\n", on.Port, on.Database(t))
			return os.WriteFile(filepath.Join(env.WorkDir, "platform.yaml"), []byte(settings), 0o600)
		},
	})
}

func TestEveryCommandTeaches(t *testing.T) {
	began := false
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" {
			return
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short is %q", c.CommandPath(), c.Short)
		}
		if c.Runnable() && c.Long == "" {
			t.Errorf("%s explains nothing", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRootCommand(&began))
}

// A server that is told to stop says so first, answers all that still comes, and only then goes.
func TestAServerThatIsToldToStopFailsNoRequest(t *testing.T) {
	p := platformtest.New(t, sandboxtest.MySQLSource(t))
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "app.pw"), []byte(p.At.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "platform.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\ndrain: 500ms\ndatabase: {port: %d, user: app, password_file: app.pw, name: %s}\n", p.At.Port, p.At.Database)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	log := &lines{seen: make(chan string, 100)}
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, zerolog.New(log)) }()
	at := "http://" + log.field(t, "listen")
	ready := func() int {
		res, err := http.Get(at + "/readyz")
		if err != nil {
			return 0
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if got := ready(); got != http.StatusOK {
		t.Fatalf("it says %d when it is ready", got)
	}
	// As a load balancer does, each client sends on for as long as it believes the server ready.
	var group sync.WaitGroup
	var failed, answered atomic.Int64
	leave := make(chan struct{})
	for range 8 {
		group.Go(func() {
			for {
				select {
				case <-leave:
					return
				default:
				}
				res, err := http.Get(at + "/api/curriculum")
				if err != nil || res.StatusCode != http.StatusOK {
					failed.Add(1)
					t.Log(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				answered.Add(1)
			}
		})
	}
	stop()
	for end := time.Now().Add(10 * time.Second); ready() != http.StatusServiceUnavailable; {
		if time.Now().After(end) {
			t.Fatal("it does not say that it is no longer ready")
		}
	}
	before := answered.Load()
	for end := time.Now().Add(10 * time.Second); answered.Load() < before+20; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it no longer answers, though it only just said that it isn't ready")
		}
	}
	close(leave)
	group.Wait()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if failed.Load() > 0 {
		t.Errorf("%d requests failed, %d were answered", failed.Load(), answered.Load())
	}
	if ready() != 0 {
		t.Error("it still answers")
	}
}

// lines is a log whose lines are waited for.
type lines struct{ seen chan string }

func (l *lines) Write(p []byte) (int, error) {
	select {
	case l.seen <- string(p):
	default:
	}
	return len(p), nil
}

// field waits for a line that has the field.
func (l *lines) field(t *testing.T, name string) string {
	t.Helper()
	for {
		select {
		case line := <-l.seen:
			if _, rest, ok := strings.Cut(line, `"`+name+`":"`); ok {
				value, _, _ := strings.Cut(rest, `"`)
				return value
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no line of the log has %s", name)
		}
	}
}
