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

	"changeover/internal/sandbox"
	"changeover/verify"
)

// program builds this command: the demo runs itself as a child.
func buildChangeover(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "changeover")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
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

func TestTheDemoEndsEqualAndLeavesNothing(t *testing.T) {
	program := buildChangeover(t)
	for _, source := range []string{"mysql", "mariadb"} {
		t.Run(source, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "demo")
			t.Cleanup(func() { _ = sandbox.Down(context.Background(), dir) })
			out, err := exec.Command(program, "demo", "--rows", "2000", "--source", source, "--dir", dir).CombinedOutput()
			text := string(out)
			if err != nil {
				t.Fatalf("demo: %v\n%s", err, text)
			}
			if !strings.Contains(text, "Done: both sides are equal.") || strings.Count(text, " equal\n") != demoTables {
				t.Errorf("the demo doesn't show %d equal tables:\n%s", demoTables, text)
			}
			leftBehind(t, dir)
		})
	}
}

func TestAnInterruptedDemoLeavesNothing(t *testing.T) {
	program := buildChangeover(t)
	dir := filepath.Join(t.TempDir(), "demo")
	t.Cleanup(func() { _ = sandbox.Down(context.Background(), dir) })
	log := &waitFor{text: "$ changeover run", seen: make(chan struct{})}
	cmd := exec.Command(program, "demo", "--rows", "2000", "--dir", dir)
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

func TestADemoWhoseSidesDifferAnswersNo(t *testing.T) {
	equal := make([]verify.TableResult, demoTables)
	for i := range equal {
		equal[i].Equal = true
	}
	different := append([]verify.TableResult{}, equal...)
	different[3].Equal = false
	for _, c := range []struct {
		name    string
		results []verify.TableResult
		lost    int
		yes     bool
	}{
		{"equal", equal, 0, true},
		{"one table differs", different, 0, false},
		{"a table is missing", equal[1:], 0, false},
		{"the load lost a connection", equal, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &demo{screen: newScreen(&bytes.Buffer{}), began: time.Now()}
			load := d.newWorkload("oltp_write_only")
			load.lanes[0].total.reconnects = c.lost
			var no *answerNo
			if err := d.summary(load, c.results); (err == nil) != c.yes || !c.yes && !errors.As(err, &no) {
				t.Errorf("summary returns %v", err)
			}
		})
	}
}

// sysbenchSays is the output of sysbench 1.0.20, shortened.
const sysbenchSays = `[ 1s ] thds: 2 tps: 392.23 qps: 2362.39 (r/w/o: 0.00/1575.93/786.47) lat (ms,95%): 10.09 err/s: 0.00 reconn/s: 0.00
[ 2s ] thds: 2 tps: 496.09 qps: 2976.54 (r/w/o: 0.00/1984.36/992.18) lat (ms,95%): 7.70 err/s: 0.50 reconn/s: 0.00
SQL statistics:
    transactions:                        890    (444.16 per sec.)
    ignored errors:                      1      (0.50 per sec.)
    reconnects:                          0      (0.00 per sec.)
`

func TestSysbenchIsCountedBySecondsAndThenExactly(t *testing.T) {
	l := &lane{}
	out := &loadOutput{lane: l}
	for i := range sysbenchSays { // however it arrives
		_, _ = out.Write([]byte{sysbenchSays[i]})
	}
	if rate, sum := l.now(); rate != 496.09 || sum != 392+496 {
		t.Errorf("in the round: %v/s, %d transactions", rate, sum)
	}
	l.round(out.text.String())
	if _, sum := l.now(); sum != 890 || l.total != (loadTotal{transactions: 890, ignored: 1}) {
		t.Errorf("after the round: %d transactions, %+v", sum, l.total)
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
