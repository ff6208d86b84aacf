package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/cutover"
	"changeover/cutover/report"
	"changeover/internal/sandbox"
	"changeover/platform/students"
)

// buildChangeover builds this command and those that the demo runs beside itself.
func buildChangeover(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, ".", "../platform", "../hourofcode").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "changeover")
}

// leftBehind fails if the demo's folder, or a server in it, is still there.
func leftBehind(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the demo left its folder: %v", err)
	}
	if status, err := sandbox.Look(dir); err != nil || status.State != sandbox.StateNone {
		t.Errorf("the demo left a sandbox: %v, %v", status.State, err)
	}
}

func TestTheDemoPassesTheRoleAndLeavesNothing(t *testing.T) {
	program := buildChangeover(t)
	for _, source := range []string{"mysql", "mariadb"} {
		t.Run(source, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "demo")
			t.Cleanup(func() { _ = sandbox.Down(context.Background(), dir) })
			page := filepath.Join(t.TempDir(), "report.html")
			out, err := exec.Command(program, "demo", "--activities", "2000", "--runs", "30", "--source", source, "--dir", dir, "--report", page).CombinedOutput()
			text := string(out)
			if err != nil {
				t.Fatalf("demo: %v\n%s", err, text)
			}
			for _, word := range []string{"Done: no student noticed more than a pause.", "failed requests       0 of", " 0 lost, 0 doubled, 0 stray, 0 stale",
				"cutover 2 of school: committed; the target is the writer (epoch 2)", "committed; the source is the writer (epoch 3)", "committed; the target is the writer (epoch 4)"} {
				if !strings.Contains(text, word) {
					t.Errorf("the demo doesn't say %q:\n%s", word, text)
				}
			}
			if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte("<svg")) {
				t.Errorf("the report: %v, %d bytes", err, len(html))
			}
			leftBehind(t, dir)
		})
	}
}

func TestAnInterruptedDemoLeavesNothing(t *testing.T) {
	program := buildChangeover(t)
	for _, moment := range []string{"$ platform migrate && platform seed", "$ changeover run"} {
		t.Run(moment, func(t *testing.T) { interrupt(t, program, moment) })
	}
}

func interrupt(t *testing.T, program, moment string) {
	dir := filepath.Join(t.TempDir(), "demo")
	t.Cleanup(func() { _ = sandbox.Down(context.Background(), dir) })
	log := &waitFor{text: moment, seen: make(chan struct{})}
	cmd := exec.Command(program, "demo", "--activities", "2000", "--dir", dir, "--report", filepath.Join(t.TempDir(), "report.html"))
	cmd.Stdout = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-log.seen:
	case err := <-ended:
		t.Fatalf("ended too early: %v\n%s", err, &log.buf)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("an interrupted demo ends with %v, want exit code %d\n%s", err, exitFailed, &log.buf)
	}
	leftBehind(t, dir)
}

// waitFor closes seen when text has been written.
type waitFor struct {
	text string
	seen chan struct{}
	buf  bytes.Buffer
	done bool
}

func (w *waitFor) Write(p []byte) (int, error) {
	w.buf.Write(p)
	if !w.done && strings.Contains(w.buf.String(), w.text) {
		w.done = true
		close(w.seen)
	}
	return len(p), nil
}

func TestADemoThatDoesNotKeepItsWordAnswersNo(t *testing.T) {
	committed := &cutover.Record{Kind: cutover.Cutover, Outcome: cutover.Committed, HoldMS: 120}
	refusal := &students.Report{Counts: students.Counts{Refused: map[string]int64{"not-yours": 1}}}
	for _, c := range []struct {
		name   string
		report *students.Report
		audit  report.Audit
		clean  bool
		yes    bool
	}{
		{"all is well", &students.Report{}, report.Audit{}, true, true},
		{"something is lost", &students.Report{}, report.Audit{Lost: 1}, true, false},
		{"a request failed", &students.Report{}, report.Audit{Failed: 1}, true, false},
		{"the audit says no", &students.Report{}, report.Audit{}, false, false},
		{"a write was refused", refusal, report.Audit{}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			d := &demo{screen: newScreen(&out), began: time.Now(), records: []*cutover.Record{committed}}
			var no *answerNo
			if err := d.summary(c.report, c.audit, make([]report.Seen, 1), &job{}, c.clean); (err == nil) != c.yes || !c.yes && !errors.As(err, &no) {
				t.Errorf("summary returns %v", err)
			}
			if c.yes == strings.Contains(out.String(), "WRONG") {
				t.Errorf("the screen says\n%s", out.String())
			}
		})
	}
}

func TestTheStudentsLastLineIsShown(t *testing.T) {
	var l loadLines
	_, _ = l.Write([]byte("300 students\n0:05 ramp runs/s=59 asked=60 statements/s=212 p50=4.1 ms p95=9.0 ms p99=31 ms max=80 ms in-flight=3 retried=2 failed-tries=4 refused=1 late=0 stale=0\n"))
	if got, want := l.now(), (loadLine{runs: 59, asked: 60, statements: 212, p99: "31 ms", retried: 2, refused: 1}); got != want {
		t.Errorf("it says %+v, not %+v", got, want)
	}
}

func TestTheScreenRedrawsItsLastPartAndKeepsTheStory(t *testing.T) {
	var out bytes.Buffer
	s := &screen{w: &out, live: true}
	s.redraw("one\ntwo\n", "")
	s.redraw("three\n"+strings.Repeat("ä", 200)+"\n", "")
	s.print("story\n")
	s.redraw("four\n", "")
	want := "\033[Jone\ntwo\n" + "\033[2A\033[Jthree\n" + strings.Repeat("ä", 80) + "\n" + "story\n" + "\033[Jfour\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}
