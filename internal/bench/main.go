// Command bench measures Changeover side by side with what a user would take instead, on real
// servers that sync every commit.
//
// In: a built changeover. Out: a table, and docs/bench/RESULTS.md when every case ran. The
// decision that matters: a figure counts only beside the others of the same run. Absolute times
// are the machine's; ratios are the tools'.
//
//	go run ./internal/bench -run copy,apply -quick
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"changeover/internal/sandbox"
)

// benchCase is one group of measurements.
type benchCase struct {
	name, about string
	run         func(context.Context, *lab) (*section, error)
}

// cases are in the order of the report.
func cases() []benchCase {
	return []benchCase{
		{"copy", "a table of 1,000,000 rows: mysqldump, mydumper, changeover", runCopy},
		{"tables", "eight tables of uneven size", runTables},
		{"apply", "a backlog of sysbench transactions: MySQL's replica, changeover", runApply},
		{"lag", "commit on the source to visible on the target", runLag},
		{"memory", "resident memory with huge transactions and rows", runMemory},
		{"source", "locks and statements on the source during a copy", runSource},
		{"verify", "comparing 1,000,000 rows of two servers: CHECKSUM TABLE, CRC32, pt-table-checksum, changeover", runVerify},
		{"live", "comparing while sysbench writes, and proofs", runLive},
		{"cutover", "the writer role passes there and back under load: hold, failed requests, lost writes", runCutover},
		{"check", "1,000 tables and 500 migration files: changeover check without a server", runCheck},
		{"platform", "the highest rate of Runs that two platform servers behind HAProxy answer in time", runPlatform},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, os.Args[1:], os.Stdout)
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(2)
}

// resultsFile is where a full run's figures are kept, seen from the repository's root.
const resultsFile = "docs/bench/RESULTS.md"

func bench(ctx context.Context, args []string, stdout io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("run", "", "the cases to run, separated by commas (default all):\n"+caseList())
	quick := flags.Bool("quick", false, "a tenth of the size: to see that it works, not to quote")
	rounds := flags.Int("rounds", 1, "how often each contender of copy, tables and apply runs, and at least of verify; the median is reported")
	tool := flags.String("changeover", "bin/changeover", "the program to measure; empty leaves it out")
	out := flags.String("out", "", "where the report is written (default "+resultsFile+", if all cases ran in full)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	l, err := newLab(*tool, *quick, *rounds)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()

	began := time.Now()
	var sections []*section
	for _, c := range chosen {
		l.say("%s: %s", c.name, c.about)
		s, err := c.run(ctx, l)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		sections = append(sections, s)
		s.print(stdout)
	}
	where := *out
	if where == "" && len(chosen) == len(cases()) && !*quick && *tool != "" {
		where = resultsFile
	}
	if where == "" {
		return nil
	}
	text, err := l.report(ctx, sections, began)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(where), 0o755); err != nil {
		return err
	}
	l.say("written to %s", where)
	return os.WriteFile(where, []byte(text), 0o644)
}

func caseList() string {
	var lines []string
	for _, c := range cases() {
		lines = append(lines, fmt.Sprintf("  %-8s %s", c.name, c.about))
	}
	return strings.Join(lines, "\n")
}

func choose(only string) ([]benchCase, error) {
	if only == "" {
		return cases(), nil
	}
	names := strings.Split(only, ",")
	var chosen []benchCase
	for _, c := range cases() {
		if i := slices.Index(names, c.name); i >= 0 {
			chosen = append(chosen, c)
			names = slices.Delete(names, i, i+1)
		}
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("no such case: %s; there are:\n%s", strings.Join(names, ", "), caseList())
	}
	return chosen, nil
}

// lab is what the cases work with: a folder of servers and the program under measurement.
type lab struct {
	dir    *sandbox.RunDir
	tool   string // absolute path of changeover; empty: only the others are measured
	quick  bool
	rounds int
	made   int     // servers so far: each has a folder of its own
	hosts  []*host // all of them, removed or not
	filled *host   // the source of activities, once it is filled
	start  time.Time

	loadBefore string // the machine's, when nothing of ours ran yet
}

func newLab(tool string, quick bool, rounds int) (*lab, error) {
	if tool != "" {
		var err error
		if tool, err = filepath.Abs(tool); err != nil {
			return nil, err
		}
		if _, err := os.Stat(tool); err != nil {
			return nil, fmt.Errorf("%w (make build)", err)
		}
	}
	dir, err := sandbox.NewRunDir()
	if err != nil {
		return nil, err
	}
	return &lab{dir: dir, tool: tool, quick: quick, rounds: max(rounds, 1), start: time.Now(), loadBefore: loadAverage()}, nil
}

// close removes everything. Servers that a failed case left are ended first.
func (l *lab) close() error {
	for _, h := range l.hosts {
		_ = h.remove()
	}
	return l.dir.Close()
}

// say tells what goes on, for a person who waits.
func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(l.start).Seconds(), fmt.Sprintf(format, args...))
}

// size is n, or a tenth of it in a quick run.
func (l *lab) size(n int) int {
	if l.quick {
		return n / 10
	}
	return n
}
