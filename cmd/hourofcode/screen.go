package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"changeover/platform/students"
)

// screen shows how a run is going: on a terminal a few lines that change each second, else a line once
// in a while.
type screen struct {
	w     io.Writer
	live  bool
	drawn int // lines that are on the terminal
}

func newScreen(w io.Writer) *screen { return &screen{w: w, live: isTerminal(w)} }

// plainEvery is how often there is a line where there is no terminal.
const plainEvery = 5 * time.Second

// watch shows the run until ctx ends; what it returns is closed then.
func (s *screen) watch(ctx context.Context, run *students.Load) <-chan struct{} {
	done := make(chan struct{})
	go func() { // ends with ctx
		defer close(done)
		every := plainEvery
		if s.live {
			every = time.Second
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				s.clear()
				return
			case <-tick.C:
				if now, ok := run.Now(); ok {
					s.show(now)
				}
			}
		}
	}()
	return done
}

func (s *screen) line(format string, args ...any) {
	_, _ = fmt.Fprintf(s.w, format+"\n", args...)
}

// clear takes away the lines that change.
func (s *screen) clear() {
	if s.drawn > 0 {
		_, _ = fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

func (s *screen) show(n students.Snapshot) {
	if !s.live {
		_, _ = io.WriteString(s.w, plain(n))
		return
	}
	text := panel(n)
	s.clear()
	_, _ = io.WriteString(s.w, text)
	s.drawn = strings.Count(text, "\n")
}

// plain is one line, for a log.
func plain(n students.Snapshot) string {
	return fmt.Sprintf("%s %s runs/s=%.0f asked=%.0f statements/s=%.0f p50=%s p95=%s p99=%s max=%s in-flight=%d retried=%d failed-tries=%d refused=%d late=%d stale=%d\n",
		clock(n.Elapsed), phaseOf(n), n.RunsPerSecond, n.AskedRuns, n.StatementsPerSecond, ms(n.Writes.P50), ms(n.Writes.P95), ms(n.Writes.P99), ms(n.Writes.Max),
		n.InFlight, n.Counts.Retried, n.Failed, n.Refused, n.Counts.Late, n.Counts.Stale)
}

// panel is what a person watches.
func panel(n students.Snapshot) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s   %s\n", clock(n.Elapsed), clock(n.Total), phaseOf(n))
	fmt.Fprintf(&b, "  Runs         %6.0f/s   asked for %.0f/s   %d so far\n", n.RunsPerSecond, n.AskedRuns, n.Counts.Runs)
	fmt.Fprintf(&b, "  statements   %6.0f/s   that write, about\n", n.StatementsPerSecond)
	fmt.Fprintf(&b, "  writes       p50 %s   p95 %s   p99 %s   max %s\n", ms(n.Writes.P50), ms(n.Writes.P95), ms(n.Writes.P99), ms(n.Writes.Max))
	fmt.Fprintf(&b, "  unanswered   %6d     retried %d   failed tries %d   refused %d\n", n.InFlight, n.Counts.Retried, n.Failed, n.Refused)
	fmt.Fprintf(&b, "  late starts  %6d     stale reads %d\n", n.Counts.Late, n.Counts.Stale)
	return b.String()
}

func phaseOf(n students.Snapshot) string {
	if n.Elapsed >= n.Total {
		return "outboxes"
	}
	return n.Phase.String()
}

func clock(d time.Duration) string {
	d = d.Truncate(time.Second)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func ms(v float64) string {
	if v >= 10_000 {
		return fmt.Sprintf("%.1f s", v/1000)
	}
	if v < 10 {
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}
