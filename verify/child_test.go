package verify

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/cdc"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// childVariable makes this test binary a run with a verifier: it reads what to run from stdin.
const childVariable = "CHANGEOVER_VERIFY_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	sandboxtest.Main(m)
}

// childOrder is what a child runs.
type childOrder struct {
	Migration      string
	Source, Target server.Endpoint
	Share          float64
	Repair         bool
	SaveEvery      time.Duration
	Prove          bool // again and again
}

func (o childOrder) options(log zerolog.Logger) cdc.Options {
	return cdc.Options{Migration: o.Migration, Source: o.Source, Target: o.Target, Databases: []string{o.Migration},
		CopyWorkers: 3, Chunk: 256 << 10, ApplyWorkers: 4, Memory: 64 << 20, LeaseTTL: leaseTTL, Log: log}
}

// child runs until it is killed, or stdin ends, so that it never outlives the test. It writes the
// verifier's state to stdout, again and again.
func child() int {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return 3
	}
	var o childOrder
	if err := json.Unmarshal(line, &o); err != nil {
		return 3
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(4)
	}()
	log := zerolog.New(os.Stderr).Level(zerolog.WarnLevel)
	v := New(Config{Share: o.Share, Repair: o.Repair, Log: log, saveEvery: o.SaveEvery})
	opts := o.options(log)
	opts.Companion = v
	go func() {
		for range time.Tick(5 * time.Millisecond) {
			text, _ := json.Marshal(v.State())
			fmt.Println(string(text))
		}
	}()
	go func() {
		for o.Prove {
			_, _ = v.Prove(context.Background())
		}
	}()
	if err := cdc.New(opts).Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "the child's run failed:", err)
		return 1
	}
	return 0
}

// childProcess is a run in a process of its own.
type childProcess struct {
	t      *testing.T
	m      *live
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	states chan State
}

// spawn starts a child on the migration.
func (m *live) spawn(share float64, repair bool, saveEvery time.Duration) *childProcess {
	m.t.Helper()
	opts := m.options()
	order, err := json.Marshal(struct {
		Migration      string
		Source, Target any
		Share          float64
		Repair         bool
		SaveEvery      time.Duration
		Prove          bool
	}{m.name, opts.Source, opts.Target, share, repair, saveEvery, m.proves})
	if err != nil {
		m.t.Fatal(err)
	}
	c := &childProcess{t: m.t, m: m, cmd: exec.Command(os.Args[0]), states: make(chan State, 1)}
	c.cmd.Env = append(os.Environ(), childVariable+"=1")
	c.cmd.Stderr = testWriter{m.t}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		m.t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	go func() {
		defer close(c.states)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var s State
			if json.Unmarshal(lines.Bytes(), &s) == nil {
				select { // only the newest is of interest
				case <-c.states:
				default:
				}
				c.states <- s
			}
		}
	}()
	_, _ = c.stdin.Write(append(order, '\n'))
	m.t.Cleanup(c.end)
	return c
}

// wait waits until the child's state is as wanted.
func (c *childProcess) wait(what string, is func(State) bool) {
	c.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case s, ok := <-c.states:
			if !ok {
				c.t.Fatalf("the child ended before %s", what)
			}
			if is(s) {
				return
			}
		case <-deadline:
			c.t.Fatalf("not %s", what)
		}
	}
}

// kill ends the child as a crash would, and waits until its lease is old.
func (c *childProcess) kill() {
	c.t.Helper()
	c.end()
	c.m.onTarget("the lease has grown old", fmt.Sprintf("SELECT beat < UTC_TIMESTAMP(6) - INTERVAL %d MICROSECOND FROM _changeover.heartbeat WHERE migration = '%s'",
		2*leaseTTL.Microseconds(), c.m.name))
}

func (c *childProcess) end() {
	_ = c.cmd.Process.Signal(syscall.SIGKILL)
	_ = c.cmd.Wait()
	_ = c.stdin.Close()
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("child: %s", b)
	return len(b), nil
}
