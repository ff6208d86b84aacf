package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"changeover/internal/sandbox"
	"changeover/platform/balance"
	"changeover/platform/students"
)

// school is the application that the demo migrates from under its users: two servers of the learning
// platform behind HAProxy, on the source, and students who click Run at a given rate, whatever comes
// back, and keep a ledger of what they were told is saved.
type school struct {
	demo     *demo
	servers  []*program
	balancer *balance.Balancer
	load     *program
	lines    loadLines
	report   *students.Report // once the load has ended
}

// Of the school: its servers, and how often its students click, who think quicker than real ones so
// that fewer are needed.
const (
	schoolServers = 2
	schoolPace    = 30
)

// tool is one of the programs that are built together with this one.
func (d *demo) tool(name string) (string, error) {
	path := filepath.Join(filepath.Dir(d.self), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the demo needs %s, which 'make build' puts beside changeover: %w", path, err)
	}
	return path, nil
}

// runTool runs one of them until it ends.
func (d *demo) runTool(ctx context.Context, out io.Writer, name string, args ...string) error {
	path, err := d.tool(name)
	if err != nil {
		return err
	}
	text := &bytes.Buffer{}
	p, err := d.start(name+" "+args[0], io.MultiWriter(text, out), exec.CommandContext(ctx, path, args...))
	if err != nil {
		return err
	}
	if err := p.wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, lastLines(text.String(), 8))
	}
	return nil
}

// settings writes the file of settings of a platform server, on a side's database.
func (s *school) settings(name, listen string) (string, error) {
	source, target := s.demo.pair.Source, s.demo.pair.Target
	secret, err := filepath.Abs(source.PasswordFile(sandbox.App))
	if err != nil {
		return "", err
	}
	other, err := filepath.Abs(target.PasswordFile(sandbox.App))
	if err != nil {
		return "", err
	}
	file := filepath.Join(s.demo.runFiles(), name+".yaml")
	text := fmt.Sprintf("listen: %s\ndrain: 0s\ndatabase: {host: %s, port: %d, user: %s, password_file: %q, name: %s}\n",
		listen, source.Host, source.Port, sandbox.App, secret, s.demo.cfg.Databases[0])
	if name != "school" { // that one is for making the schema, before there is a target
		text += fmt.Sprintf("changeover: {migration: %s, target: {host: %s, port: %d, user: %s, password_file: %q}}\n",
			s.demo.cfg.Migration, target.Host, target.Port, sandbox.App, other)
	}
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// found makes the school's database: the schema, the curriculum, and years of work.
func (s *school) found(ctx context.Context) error {
	settings, err := s.settings("school", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d := s.demo
	d.say("$ platform migrate && platform seed")
	if err := d.runTool(ctx, io.Discard, "platform", "migrate", "-c", settings); err != nil {
		return err
	}
	return d.runTool(ctx, io.Discard, "platform", "seed", "--students", strconv.Itoa(max(d.activities/15, 50)),
		"--activities", strconv.Itoa(d.activities), "-c", settings)
}

// open starts the servers and HAProxy before them.
func (s *school) open(ctx context.Context) error {
	haproxy, err := sandbox.FindTool(ctx, "haproxy", s.demo.download)
	if err != nil {
		return err
	}
	spec := balance.Spec{Tool: haproxy, CheckEvery: 500 * time.Millisecond}
	for i := range schoolServers {
		name := fmt.Sprintf("platform%d", i+1)
		at, err := s.serve(ctx, name)
		if err != nil {
			return err
		}
		spec.Servers = append(spec.Servers, balance.Server{Name: name, Address: at})
	}
	s.balancer, err = balance.Start(ctx, spec)
	return err
}

// serve starts one server on a free port and waits until it is ready.
func (s *school) serve(ctx context.Context, name string) (at string, err error) {
	path, err := s.demo.tool("platform")
	if err != nil {
		return "", err
	}
	if at, err = freeAddress(); err != nil {
		return "", err
	}
	settings, err := s.settings(name, at)
	if err != nil {
		return "", err
	}
	log, err := os.OpenFile(filepath.Join(s.demo.runFiles(), name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer log.Close()
	p, err := s.demo.start(name, log, exec.CommandContext(ctx, path, "serve", "-c", settings))
	if err != nil {
		return "", err
	}
	s.servers = append(s.servers, p)
	return at, s.ready(ctx, p, at)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *school) ready(ctx context.Context, p *program, at string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/readyz", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(r); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.done:
			return errors.Join(fmt.Errorf("%s ended while it should serve", p.name), p.err)
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", p.name, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func (s *school) ledger() string     { return filepath.Join(s.demo.runFiles(), "students.ledger") }
func (s *school) reportFile() string { return filepath.Join(s.demo.runFiles(), "students.json") }

// begin lets the students in.
func (s *school) begin(ctx context.Context) error {
	path, err := s.demo.tool("hourofcode")
	if err != nil {
		return err
	}
	s.load, err = s.demo.start("hourofcode load", &s.lines, exec.CommandContext(ctx, path, "load", "http://"+s.balancer.Addr(),
		"--runs", strconv.Itoa(s.demo.runs), "--pace", strconv.Itoa(schoolPace), "--for", "30m", "--ramp", "2s",
		"--ledger", s.ledger(), "--report", s.reportFile()))
	return err
}

// leave has the students send what they have clicked, and go; the servers stay.
func (s *school) leave() error {
	if s.load == nil || s.report != nil {
		return nil
	}
	if err := s.load.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	ended := s.load.wait()
	text, err := os.ReadFile(s.reportFile())
	if err != nil {
		return errors.Join(ended, err, errors.New(lastLines(s.lines.all(), 8)))
	}
	s.report = &students.Report{}
	return json.Unmarshal(text, s.report)
}

// close ends everything, the students without a word.
func (s *school) close() error {
	var errs []error
	ended := func(err error) {
		if err != nil { // in words only: the exit code of a child isn't the demo's
			errs = append(errs, errors.New(err.Error()))
		}
	}
	if s.load != nil && s.report == nil {
		ended(s.load.stop())
	}
	if s.balancer != nil {
		ended(s.balancer.Stop(context.Background()))
	}
	for _, p := range s.servers {
		ended(p.stop())
	}
	return errors.Join(errs...)
}

// loadLines are the lines that hourofcode prints, of which the last one is the present. Safe for
// concurrent use.
type loadLines struct {
	mu   sync.Mutex
	text bytes.Buffer
	last loadLine
}

// loadLine is what the students see.
type loadLine struct {
	runs, asked, statements float64
	p99                     string
	retried, refused        int
}

var loadFields = regexp.MustCompile(`runs/s=(\d+) asked=(\d+) statements/s=(\d+).* p99=(.+) max=.* retried=(\d+) .*refused=(\d+)`)

func (l *loadLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	for line := range bytes.Lines(p) {
		m := loadFields.FindSubmatch(line)
		if m == nil {
			continue
		}
		number := func(i int) float64 { n, _ := strconv.ParseFloat(string(m[i]), 64); return n }
		l.last = loadLine{runs: number(1), asked: number(2), statements: number(3), p99: string(m[4]), retried: int(number(5)), refused: int(number(6))}
	}
	return len(p), nil
}

func (l *loadLines) now() loadLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *loadLines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// text is the school's part of the live display.
func (s *school) text() string {
	n := s.lines.now()
	return fmt.Sprintf("students %5.0f Runs/s (asked for %.0f)   %5.0f write statements/s   p99 %s   retried %d   refused %d   (%s)\n",
		n.runs, n.asked, n.statements, n.p99, n.retried, n.refused, time.Since(s.demo.began).Round(time.Second))
}
