package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// section is one case's figures.
type section struct {
	title string
	about []string // paragraphs: what was done, so that a reader can judge it
	head  []string
	rows  [][]string
	goals []goal
}

// goal is a figure that was promised, and what it came to.
type goal struct {
	what, promised, measured string
	met                      bool
}

func (s *section) row(cells ...string) { s.rows = append(s.rows, cells) }

func (s *section) goal(what, promised, measured string, met bool) {
	s.goals = append(s.goals, goal{what, promised, measured, met})
}

// print shows the section on a terminal.
func (s *section) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", s.title)
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(table, "  %s\n", strings.Join(s.head, "\t"))
	for _, r := range s.rows {
		fmt.Fprintf(table, "  %s\n", strings.Join(r, "\t"))
	}
	table.Flush()
	for _, g := range s.goals {
		fmt.Fprintf(w, "  %s %s: %s (promised: %s)\n", mark(g.met), g.what, g.measured, g.promised)
	}
	fmt.Fprintln(w)
}

func mark(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

// markdown is the section for RESULTS.md.
func (s *section) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n## %s\n\n", s.title)
	for _, p := range s.about {
		fmt.Fprintf(w, "%s\n\n", p)
	}
	markdownTable(w, s.head, s.rows)
	if len(s.goals) == 0 {
		return
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, g := range s.goals {
		rows = append(rows, []string{g.what, g.promised, g.measured, mark(g.met)})
	}
	markdownTable(w, []string{"figure", "promised", "measured", ""}, rows)
}

func markdownTable(w io.Writer, head []string, rows [][]string) {
	line := func(cells []string) {
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", "\\|")
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	line(slices.Clone(head))
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, r := range rows {
		line(slices.Clone(r))
	}
}

// report is the whole of RESULTS.md.
func (l *lab) report(ctx context.Context, sections []*section, began time.Time) (string, error) {
	var out strings.Builder
	versions, err := l.versions(ctx)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&out, `# Benchmarks

Made by `+"`make bench`"+` on %s in %s; do not edit. Every figure of a table is from this one run, and
compares with the others of its table: another machine has other times, and much the same ratios.
Source, target and tool share the machine. Every server syncs each commit
(innodb_flush_log_at_trx_commit=1, sync_binlog=1) and has a binlog and a buffer pool of 1 GiB.
Medians of %d.

`, began.UTC().Format(time.DateOnly), time.Since(began).Round(time.Second), l.rounds)
	markdownTable(&out, []string{"", ""}, append(l.machine(), versions...))
	for _, s := range sections {
		s.markdown(&out)
	}
	return out.String(), nil
}

// machine describes what the bench runs on.
func (l *lab) machine() [][]string {
	return [][]string{
		{"CPU", fmt.Sprintf("%s, %d cores", fieldOf("/proc/cpuinfo", "model name"), runtime.NumCPU())},
		{"memory", memory()},
		{"file system of the data", fileSystem(l.dir.Path)},
		{"kernel", firstLine("uname", "-sr")},
		{"load average before the bench began", l.loadBefore},
		{"Go", runtime.Version()},
	}
}

// loadAverage is that of the last minute.
func loadAverage() string {
	one, _, _ := strings.Cut(firstLine("cat", "/proc/loadavg"), " ")
	return one
}

// fieldOf is the value of the first "name: value" line of a file.
func fieldOf(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memory() string {
	var kib float64
	if _, err := fmt.Sscan(fieldOf("/proc/meminfo", "MemTotal"), &kib); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.0f GiB", kib/(1<<20))
}

func fileSystem(dir string) string {
	lines := strings.Fields(firstLine("sh", "-c", `df --output=fstype "$0" | tail -1`, dir))
	if len(lines) == 0 {
		return "unknown"
	}
	return lines[0]
}

func firstLine(name string, args ...string) string {
	text, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// versions asks the contenders who they are.
func (l *lab) versions(ctx context.Context) ([][]string, error) {
	var rows [][]string
	for _, name := range []string{"mysqldump", "mydumper", "sysbench", "pt-table-checksum"} {
		t, err := l.findTool(ctx, name)
		if err != nil {
			return nil, err
		}
		text, err := t.Command(ctx, "--version").Output()
		if err != nil {
			return nil, fmt.Errorf("%s --version: %w", name, err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		if i := strings.Index(line, name); i > 0 { // the program's path is this machine's
			line = line[i:]
		}
		rows = append(rows, []string{name, line})
	}
	if l.tool != "" {
		text, err := exec.CommandContext(ctx, l.tool, "version").Output()
		if err == nil {
			line, _, _ := strings.Cut(string(text), "\n")
			rows = append(rows, []string{"changeover", line})
		}
	}
	return rows, nil
}

// Figures as a reader wants them.

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func millis(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d)/1e6) }

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func ratio(a, b float64) string {
	if b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f ×", a/b)
}

// median is by wall-clock time; of an even number the quicker of the middle two.
func median(all []usage) usage {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b usage) int { return int(a.wall - b.wall) })
	return sorted[(len(sorted)-1)/2]
}
