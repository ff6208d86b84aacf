package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"changeover/verify"
)

// verifyScreen shows how far a comparison is: on a terminal in a line that changes, else as a line of the
// log once in a while.
type verifyScreen struct {
	w    io.Writer
	log  zerolog.Logger
	live bool

	mu    sync.Mutex
	drawn bool // the line is there
}

// logEvery is how often a comparison is in the log, where there is no terminal.
const logEvery = 10 * time.Second

func newVerifyScreen(w io.Writer, log zerolog.Logger) *verifyScreen {
	return &verifyScreen{w: w, log: log, live: isTerminal(w)}
}

// say writes a line of the log.
func (s *verifyScreen) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.log.Info().Msg(text)
}

// clear takes the line away that changes.
func (s *verifyScreen) clear() {
	if s.drawn {
		_, _ = fmt.Fprint(s.w, "\r\x1b[K")
		s.drawn = false
	}
}

// watch shows a run until ctx ends; what it returns is closed then.
func (s *verifyScreen) watch(ctx context.Context, run *verify.Standalone) <-chan struct{} {
	done := make(chan struct{})
	go func() { // ends with ctx
		defer close(done)
		every := logEvery
		if s.live {
			every = time.Second
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		r := &rate{began: time.Now()}
		for {
			select {
			case <-ctx.Done():
				s.mu.Lock()
				defer s.mu.Unlock()
				s.clear()
				return
			case <-tick.C:
				s.show(run.Progress(), r)
			}
		}
	}()
	return done
}

func (s *verifyScreen) show(p verify.Progress, r *rate) {
	if p.Tables == 0 {
		return
	}
	perSecond := r.of(p.Rows)
	left := "unknown"
	if perSecond > 0 {
		left = (time.Duration(float64(p.ExpectedRows-p.Rows)/perSecond) * time.Second).String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live {
		s.log.Info().Str("table", p.Table.String()).Uint64("table_rows", p.TableRows).Uint64("table_rows_expected", p.Expected).
			Int("tables", p.TablesRead).Int("tables_total", p.Tables).Uint64("rows", p.Rows).Uint64("rows_expected", p.ExpectedRows).
			Float64("rows_per_second", float64(int64(perSecond))).Str("left", left).Int("looked_at_again", p.Suspects).Msg("comparing")
		return
	}
	s.clear()
	again := ""
	if p.Suspects > 0 {
		again = fmt.Sprintf(" · %s looked at again", thousands(int64(p.Suspects)))
	}
	line := fmt.Sprintf("%s: %s of about %s rows · %d of %d tables · %s rows/s · %s left%s", p.Table,
		thousands(int64(p.TableRows)), thousands(int64(p.Expected)), p.TablesRead, p.Tables, thousands(int64(perSecond)), left, again)
	_, _ = io.WriteString(s.w, s.fit(line))
	s.drawn = true
}

// fit cuts a line off at the terminal's edge: of one that is longer only the last row could be taken away.
func (s *verifyScreen) fit(line string) string {
	f, ok := s.w.(*os.File)
	if !ok {
		return line
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if runes := []rune(line); err == nil && width > 0 && len(runes) >= width {
		return string(runes[:width-1])
	}
	return line
}

// rate is how fast something grows: over the last ten seconds or so, from the beginning at first.
type rate struct {
	began  time.Time
	points []ratePoint
}

type ratePoint struct {
	at time.Time
	n  uint64
}

func (r *rate) of(n uint64) float64 {
	now := time.Now()
	if len(r.points) == 0 {
		r.points = []ratePoint{{r.began, 0}}
	}
	r.points = append(r.points, ratePoint{now, n})
	for len(r.points) > 2 && now.Sub(r.points[1].at) > 10*time.Second {
		r.points = r.points[1:]
	}
	return float64(n-r.points[0].n) / now.Sub(r.points[0].at).Seconds()
}
