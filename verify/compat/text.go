package compat

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Screen is what a text is written for. The zero Screen is a file or a log: no colour, no wrapping.
type Screen struct {
	Width  int      // columns, 0: as long as it takes
	Color  bool     // ANSI colours
	FailOn Severity // the last line says how the command ends; empty: it does not
}

// maxWidth is how many columns a text takes on a wider screen: longer lines read badly.
const maxWidth = 100

// marks stand before a finding's severity.
var marks = map[Severity]string{Error: "✗", Warning: "!", Info: "i"}

// colors are ANSI's.
var colors = map[Severity]string{Error: "31", Warning: "33", Info: "36"}

const (
	bold = "1"
	dim  = "2"
)

// Text writes a report for people. verbose shows suppressed findings too.
func (r *Report) Text(w io.Writer, verbose bool) error { return r.TextOn(w, Screen{}, verbose) }

// TextOn writes a report for people on a screen.
func (r *Report) TextOn(w io.Writer, s Screen, verbose bool) error {
	p := &printer{Screen: s}
	if p.Width > maxWidth {
		p.Width = maxWidth
	}
	const title = "changeover check"
	head := " · " + plain(r.pair())
	if r.Summary.Files > 0 { // none of two servers that are compared
		head += fmt.Sprintf(" · %s in %s", plural(r.Summary.Statements, "statement"), plural(r.Summary.Files, "file"))
	}
	p.WriteString(p.paint(bold, title) + strings.TrimPrefix(strings.Join(wrap(title+head, p.Width), "\n"), title) + "\n")
	for i := range r.Findings {
		p.finding(&r.Findings[i])
	}
	if verbose {
		for i := range r.Suppressed {
			p.finding(&r.Suppressed[i])
			p.block("suppressed: "+suppressionOf(&r.Suppressed[i]), "", "")
		}
	}
	for _, g := range r.byReason() {
		p.unchecked(g)
	}
	last := r.counts()
	if s.FailOn != "" {
		code := 0
		if r.Worst(s.FailOn) {
			code = 1
		}
		last += fmt.Sprintf(" · exit %d", code)
	}
	if len(r.Findings) > 0 {
		last += fmt.Sprintf("\nchangeover check --explain %s says more of a rule", r.Findings[0].Rule)
	}
	p.WriteString(strings.Join(wrap(last, p.Width), "\n") + "\n")
	_, err := io.WriteString(w, p.String())
	return err
}

func suppressionOf(f *Finding) string {
	if f.Suppression == nil {
		return ""
	}
	return f.Suppression.Reason
}

// printer is a text on its way to a screen.
type printer struct {
	strings.Builder
	Screen
}

// indent is where what belongs to a finding begins.
const indent = "          "

func (p *printer) finding(f *Finding) {
	head := fmt.Sprintf("%s %-7s", marks[f.Severity], f.Severity)
	where, object := plain(f.where()), plain(f.Object)
	fmt.Fprintf(p, "%s %s %s", p.paint(colors[f.Severity], head), p.paint(bold, fmt.Sprintf("%-8s", f.Rule)), where)
	// A place that leaves no room for the object has it on a line of its own.
	const columns = len("✗ warning MDB203   ") - len("✗") + 1
	switch {
	case object == "":
		p.WriteString("\n")
	case p.Width > 0 && columns+utf8.RuneCountInString(where+"  "+object) > p.Width:
		p.WriteString("\n")
		p.block(object, "", "")
	default:
		p.WriteString("  " + object + "\n")
	}
	p.block(f.Message, "", f.confirmation())
	if f.Evidence != "" {
		p.block("> "+f.Evidence, dim, "")
	}
	p.block("fix: "+f.Remedy.Text, "", "")
	if f.Remedy.SQL != "" {
		p.block("     "+strings.ReplaceAll(f.Remedy.SQL, "\n", "\n     "), "", "")
	}
}

// block writes a text, wrapped and indented; right stands at the right end of its last line where there is room.
func (p *printer) block(text, color, right string) {
	lines := wrap(plain(text), p.Width-len(indent))
	for i, line := range lines {
		p.WriteString(indent + p.paint(color, line))
		if right != "" && i == len(lines)-1 {
			const gap = 3
			switch room := p.Width - len(indent) - utf8.RuneCountInString(line) - utf8.RuneCountInString(right); {
			case p.Width == 0:
				p.WriteString(strings.Repeat(" ", gap))
			case room >= gap:
				p.WriteString(strings.Repeat(" ", room))
			default:
				p.WriteString("\n" + indent)
			}
			p.WriteString(p.paint(bold, right))
		}
		p.WriteString("\n")
	}
}

func (p *printer) unchecked(g uncheckedGroup) {
	const mark = "? not checked  "
	p.WriteString(p.paint("35", mark))
	lines := wrap(plain(strings.Join(g.rules, ", ")), p.Width-len(mark))
	p.WriteString(strings.Join(lines, "\n"+strings.Repeat(" ", len(mark))) + "\n")
	p.block(g.reason, "", "")
}

// paint colours a text on a screen that has colours.
func (p *printer) paint(color, text string) string {
	if !p.Color || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// wrap breaks a text at its spaces into lines of at most width characters; a longer word has its own line. What a
// text is indented by, its other lines are too. Width 0 and less breaks at ends of lines only.
func wrap(text string, width int) (lines []string) {
	for paragraph := range strings.SplitSeq(text, "\n") {
		if width <= 0 || utf8.RuneCountInString(paragraph) <= width {
			lines = append(lines, paragraph)
			continue
		}
		margin := paragraph[:len(paragraph)-len(strings.TrimLeft(paragraph, " "))]
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			switch {
			case line == "":
				line = margin + word
			case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
				line += " " + word
			default:
				lines = append(lines, line)
				line = margin + word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// GitHub writes the findings as annotations of a GitHub workflow, the worst first: a step shows ten of a kind.
func (r *Report) GitHub(w io.Writer) error {
	var b strings.Builder
	infos := len(r.Findings)
	for i := range r.Findings {
		if r.Findings[i].Severity == Info {
			infos = i
			break
		}
		r.Findings[i].annotate(&b)
	}
	if len(r.Unchecked) > 0 { // before what is only good to know: not checked is not clean
		fmt.Fprintf(&b, "::notice title=changeover check::%s\n", message(r.counts()))
	}
	for i := range r.Findings[infos:] {
		r.Findings[infos+i].annotate(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// annotate writes a finding as a workflow command.
func (f *Finding) annotate(b *strings.Builder) {
	b.WriteString(map[Severity]string{Error: "::error ", Warning: "::warning ", Info: "::notice "}[f.Severity])
	if l := f.place(); l != nil {
		fmt.Fprintf(b, "file=%s,line=%d,endLine=%d,", property(relative(l.File)), l.Line, l.EndLine)
		if l.Line == l.EndLine { // columns are for places on one line only
			fmt.Fprintf(b, "col=%d,endColumn=%d,", l.Column, l.EndColumn)
		}
	}
	text := f.sentence()
	if f.Location == nil && f.Object != "" {
		text = f.Object + ": " + text
	}
	fmt.Fprintf(b, "title=%s::%s\n", property(f.Rule), message(text))
}

// message escapes what ends a workflow command's message, property what ends one of its properties.
func message(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(plain(s))
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(s))
}
