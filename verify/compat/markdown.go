package compat

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// A step's summary on GitHub is refused above 1 MiB. These are bytes.
const (
	maxMarkdown = 1000 << 10 // of a report
	maxFindings = 900 << 10  // of its findings, so that what is not checked has room
	maxNames    = 4 << 10    // of what is not checked for one reason
)

// Markdown writes a report as tables, for a pull request or the summary of a workflow's step. verbose shows suppressed
// findings too.
func (r *Report) Markdown(w io.Writer, verbose bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### changeover check: %s\n\n%s\n", escapeMarkdown(r.pair()), r.counts())
	r.markdownFindings(&b, "", r.Findings)
	if verbose {
		r.markdownFindings(&b, "#### Suppressed\n\n", r.Suppressed)
	}
	markdownUnchecked(&b, r.byReason())
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownUnchecked(b *strings.Builder, groups []uncheckedGroup) {
	if len(groups) == 0 {
		return
	}
	b.WriteString("\n#### Not checked\n\n| rules | why |\n|---|---|\n")
	for i, g := range groups {
		if b.Len() > maxMarkdown {
			fmt.Fprintf(b, "\nand for %d reasons more: the other formats have them all\n", len(groups)-i)
			return
		}
		fmt.Fprintf(b, "| %s | %s |\n", some(g.rules), cell(g.reason))
	}
}

// some are as many names as a cell has room for, and how many there are besides.
func some(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if b.Len() > maxNames {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(cell(name))
	}
	return b.String()
}

func (r *Report) markdownFindings(b *strings.Builder, title string, list []Finding) {
	if len(list) == 0 {
		return
	}
	b.WriteString("\n" + title + "| | rule | where | what | fix |\n|---|---|---|---|---|\n")
	for i := range list {
		if b.Len() > maxFindings {
			fmt.Fprintf(b, "\nand %d more: the other formats have them all\n", len(list)-i)
			return
		}
		f := &list[i]
		where, what, fix := cell(f.where()), cell(f.Message), cell(f.Remedy.Text)
		if f.Object != "" {
			where += "<br>" + cell(f.Object)
		}
		if said := f.confirmation(); said != "" {
			what += " (" + cell(said) + ")"
		}
		if f.Evidence != "" {
			what += "<br><code>" + cell(f.Evidence) + "</code>"
		}
		if f.Remedy.SQL != "" {
			fix += "<br><code>" + cell(f.Remedy.SQL) + "</code>"
		}
		if f.Suppression != nil {
			fix = "suppressed: " + cell(f.Suppression.Reason)
		}
		fmt.Fprintf(b, "| %s %s | %s | %s | %s | %s |\n", marks[f.Severity], f.Severity, f.Rule, where, what, fix)
	}
}

// cell is a text in a cell of a table.
func cell(s string) string {
	return strings.Join(strings.FieldsFunc(escapeMarkdown(s), func(c rune) bool { return c == '\n' }), "<br>")
}

// escapeMarkdown shows a text as it is, whatever it has that Markdown or HTML would take for theirs.
func escapeMarkdown(s string) string {
	var b strings.Builder
	runes := []rune(plain(s))
	for i, c := range runes {
		within := i > 0 && i+1 < len(runes) && isWordRune(runes[i-1]) && isWordRune(runes[i+1])
		if strings.ContainsRune("\\`*{}[]<>#|~&$", c) || c == '_' && !within { // utf8mb4_bin is no emphasis
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

func isWordRune(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }
