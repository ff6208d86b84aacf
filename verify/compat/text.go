package compat

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// marks stand before a finding's severity.
var marks = map[Severity]string{Error: "✗", Warning: "!", Info: "i"}

// Text writes a report for people. verbose shows suppressed findings too.
func (r *Report) Text(w io.Writer, verbose bool) error {
	var b strings.Builder
	source := "MySQL or MariaDB"
	if r.Source != "" {
		source = string(r.Source)
	}
	fmt.Fprintf(&b, "changeover check · %s → %s (%s) · %d statements in %d files\n", source, r.Target.Name, r.Target.Version, r.Summary.Statements, r.Summary.Files)
	for _, f := range r.Findings {
		f.text(&b)
	}
	if verbose {
		for _, f := range r.Suppressed {
			f.text(&b)
			fmt.Fprintf(&b, "          suppressed: %s\n", f.Suppression.Reason)
		}
	}
	for _, u := range r.Unchecked {
		fmt.Fprintf(&b, "? not checked  %-8s %s\n", u.Rule, u.Reason)
	}
	s := r.Summary
	fmt.Fprintf(&b, "%d errors · %d warnings · %d infos · %d suppressed · %d not checked · %d rules clean\n", s.Error, s.Warning, s.Info, s.Suppressed, s.Unchecked, s.Clean)
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Finding) text(b *strings.Builder) {
	where := "-"
	if f.Location != nil {
		where = fmt.Sprintf("%s:%d:%d", f.Location.File, f.Location.Line, f.Location.Column)
	}
	fmt.Fprintf(b, "%s %-7s %-8s %s  %s\n          %s\n", marks[f.Severity], f.Severity, f.Rule, where, f.Object, f.Message)
	if f.Evidence != "" {
		fmt.Fprintf(b, "          %s\n", f.Evidence)
	}
	fmt.Fprintf(b, "          fix: %s\n", cmp.Or(f.Remedy.Text, f.Remedy.SQL))
}

// GitHub writes the findings as annotations of a GitHub workflow, the worst first.
func (r *Report) GitHub(w io.Writer) error {
	commands := map[Severity]string{Error: "error", Warning: "warning", Info: "notice"}
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString("::" + commands[f.Severity] + " ")
		if l := f.Location; l != nil {
			fmt.Fprintf(&b, "file=%s,line=%d,endLine=%d,col=%d,endColumn=%d,", property(l.File), l.Line, l.EndLine, l.Column, l.EndColumn)
		}
		fmt.Fprintf(&b, "title=%s::%s\n", property(f.Rule), message(f.Message+". Fix: "+f.Remedy.Text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// message escapes what ends a workflow command's message, property what ends one of its properties.
func message(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(s))
}
