package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen prints a story with a part that changes: redrawn in place on a terminal, a plain line now
// and then elsewhere.
type screen struct {
	w     io.Writer
	live  bool
	drawn int       // lines of the changing part on the terminal
	line  time.Time // of the last plain line
}

// screenLine is the time between two plain lines.
const screenLine = 2 * time.Second

func newScreen(w io.Writer) *screen { return &screen{w: w, live: isTerminal(w)} }

// print adds to the story, after the changing part.
func (s *screen) print(text string) {
	s.settle()
	_, _ = io.WriteString(s.w, text)
}

// settle leaves the changing part as it is: it is part of the story now.
func (s *screen) settle() { s.drawn = 0 }

// redraw shows text in place of what redraw showed before; off a terminal it prints plain, if the
// last one is some time ago.
func (s *screen) redraw(text, plain string) {
	if !s.live {
		if time.Since(s.line) >= screenLine {
			s.line = time.Now()
			_, _ = fmt.Fprintln(s.w, plain)
		}
		return
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	width, height := s.size()
	lines = lines[:min(len(lines), height-1)] // what has scrolled away can't be redrawn
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\033[%dA", s.drawn)
	}
	b.WriteString("\033[J")
	for _, l := range lines {
		b.WriteString(clip(l, width) + "\n")
	}
	s.drawn = len(lines)
	_, _ = io.WriteString(s.w, b.String())
}

func (s *screen) size() (width, height int) {
	if f, ok := s.w.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 1 {
			return w, h
		}
	}
	return 80, 24
}

// clip cuts a line so that the terminal doesn't wrap it. Every rune that we print is one wide.
func clip(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width])
}
