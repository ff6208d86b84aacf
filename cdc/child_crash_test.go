package cdc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/cdc/state"
)

// childVariable makes this test binary a runner: it reads Options from stdin, and runs them.
const childVariable = "CHANGEOVER_TEST_CHILD"

// child is the life of such a process. It writes its log to stdout, and in between what stage it
// has reached. It ends when stdin does, so that it never outlives the test.
func child() int {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return 3
	}
	var o Options
	if err := json.Unmarshal(line, &o); err != nil {
		fmt.Println(err)
		return 3
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(4)
	}()
	out := &lockedWriter{w: os.Stdout}
	o.Log = zerolog.New(out).Level(zerolog.DebugLevel).With().Timestamp().Logger()
	r := New(o)
	ctx, stop := context.WithCancel(context.Background())
	go reportStages(ctx, r, out)
	err = r.Run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(out, childFailed, err)
		return 1
	}
	return 0
}

const (
	childFailed = "run failed:"
	childStage  = "stage:"
)

// The stages of a migration, in their order, as a killer sees them.
const (
	stageStarting = "starting"
	stageSchema   = "schema"
	stageKeyless  = "keyless"
	stageCopying  = "copying"
	stageIndexing = "indexing"
	stageStream   = "streaming"
)

// reportStages writes a line whenever the run reaches another stage.
func reportStages(ctx context.Context, r *Runner, out io.Writer) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s := r.Status()
		now := s.Phase
		for _, t := range s.Tables {
			if t.State == string(state.Indexing) {
				now = stageIndexing
			}
		}
		if now != last {
			last = now
			fmt.Fprintln(out, childStage, now)
		}
	}
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// process is a runner in a process of its own, which a test may kill.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string   // what it writes; dropped where nobody reads
	ended chan struct{} // closed when it is reaped
	err   error         // how it ended, once ended is closed
	mu    sync.Mutex
	log   bytes.Buffer
}

// spawn starts a runner.
func (m *migration) spawn(o Options) *process {
	m.t.Helper()
	text, err := json.Marshal(childOptions(o))
	if err != nil {
		m.t.Fatal(err)
	}
	p := &process{t: m.t, cmd: exec.Command(os.Args[0]), lines: make(chan string, 10000), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childVariable+"=1")
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	if err := p.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(p.kill)
	go p.follow(stdout)
	if _, err := stdin.Write(append(text, '\n')); err != nil {
		m.t.Fatal(err)
	}
	return p
}

// childOptions are those of o that can be told to another process.
func childOptions(o Options) any {
	return struct {
		Migration                 string
		Source, Target            any
		Databases                 []string
		CopyWorkers, ApplyWorkers int
		Chunk, Memory, CopyRate   int64
		Control                   string
		LeaseTTL                  time.Duration
		Until                     Until
		Return                    bool
	}{o.Migration, o.Source, o.Target, o.Databases, o.CopyWorkers, o.ApplyWorkers, o.Chunk, o.Memory, o.CopyRate, o.Control, o.LeaseTTL, o.Until, o.Return}
}

// follow reads what the process writes until it ends, then reaps it.
func (p *process) follow(out io.Reader) {
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		p.mu.Lock()
		p.log.WriteString(scanner.Text() + "\n")
		p.mu.Unlock()
		select {
		case p.lines <- scanner.Text():
		default:
		}
	}
	p.err = p.cmd.Wait()
	close(p.lines)
	close(p.ended)
}

// saw waits until the process writes a line with one of the texts, and returns that; "" if it
// ended before.
func (p *process) saw(limit time.Duration, texts ...string) string {
	p.t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case line, open := <-p.lines:
			if !open {
				return ""
			}
			for _, text := range texts {
				if strings.Contains(line, text) {
					return line
				}
			}
		case <-timeout:
			p.t.Fatalf("the run did not come to say %q within %v; it said:\n%s", texts, limit, p.output())
		}
	}
}

// kill ends the process at once, as kill -9 does, and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.stdin.Close()
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits until the process ends by itself, well.
func (p *process) wait(limit time.Duration) {
	p.t.Helper()
	select {
	case <-p.ended:
		if p.err != nil {
			p.t.Fatalf("%v:\n%s", p.err, p.output())
		}
	case <-time.After(limit):
		p.t.Fatalf("the run did not end within %v; it said:\n%s", limit, p.output())
	}
}

// output is the end of what the process wrote.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.log.String()
	if len(s) > 6000 {
		s = "…" + s[len(s)-6000:]
	}
	return s
}
