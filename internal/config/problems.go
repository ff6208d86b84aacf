package config

import (
	"fmt"
	"slices"
	"strings"

	"changeover/internal/fault"
)

// Problem is one thing that is wrong with the file.
type Problem struct {
	Code fault.Code // fault.Config or fault.ConfigUnknown
	File string
	Line int    // 0: something is missing, so it has no line
	Text string // what is wrong, and what would be right
}

func (p Problem) Error() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s %s: %s", p.Code, place, p.Text)
}

// Unwrap makes fault.CodeOf and fault.Is see the code.
func (p Problem) Unwrap() error { return &fault.Error{Code: p.Code, Detail: p.Text} }

// Problems is everything that is wrong with a file, in the order of its lines.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lists the problems as errors.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i := range p {
		errs[i] = p[i]
	}
	return errs
}

func (r *reader) sorted() Problems {
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	return r.problems
}
