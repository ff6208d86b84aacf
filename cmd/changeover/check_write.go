package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"changeover/internal/fault"
	"changeover/verify/compat"
)

// validFormats refuses a format that is none, before anything is looked at or written.
func (f *checkFlags) validFormats() error {
	for _, format := range f.formats {
		if name, _, _ := strings.Cut(format, "="); !slices.Contains(compat.Formats, name) {
			return fault.New(fault.Usage, "--format %s: there are %s", name, strings.Join(compat.Formats, ", "))
		}
	}
	return nil
}

// write writes a report in all formats that are asked for, and within a GitHub workflow the step's summary: of
// annotations a step shows only some.
func (f *checkFlags) write(out io.Writer, r *compat.Report) error {
	formats := f.formats
	if len(formats) == 0 {
		formats = []string{"text"}
		if os.Getenv("GITHUB_ACTIONS") == "true" {
			formats = append(formats, "github")
		}
	}
	var failed error
	for _, format := range formats {
		format, name, inFile := strings.Cut(format, "=")
		write := func(w io.Writer) error { return r.Write(w, format, f.verbose) }
		if format == "text" {
			write = func(w io.Writer) error { return r.TextOn(w, f.screen(w), f.verbose) }
		}
		if inFile {
			failed = errors.Join(failed, writeFile(name, os.O_TRUNC, write))
		} else {
			failed = errors.Join(failed, write(out))
		}
	}
	if name := os.Getenv("GITHUB_STEP_SUMMARY"); name != "" {
		failed = errors.Join(failed, writeFile(name, os.O_APPEND, func(w io.Writer) error { return r.Markdown(w, f.verbose) }))
	}
	return failed
}

// screen is what w shows.
func (f *checkFlags) screen(w io.Writer) compat.Screen {
	s := compat.Screen{Color: isTerminal(w), FailOn: compat.Severity(f.failOn)}
	if file, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			s.Width = width
		}
	}
	return s
}

func writeFile(name string, flag int, write func(io.Writer) error) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|flag, 0o666)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

func writeBaseline(name string, r *compat.Report) error {
	all := slices.Clone(r.Findings)
	for _, x := range r.Suppressed { // one that is written anew keeps what it had
		if x.Suppression.Reason == compat.InBaseline {
			all = append(all, x)
		}
	}
	return writeFile(name, os.O_TRUNC, func(w io.Writer) (err error) {
		for _, x := range all {
			_, wrote := fmt.Fprintf(w, "%s %s %s\n", x.Fingerprint, x.Rule, x.Object)
			err = errors.Join(err, wrote)
		}
		return err
	})
}
