package plan

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"changeover/internal/server"
)

// Color says whether text may use a terminal's colours.
type Color bool

// The colours.
const (
	Plain   Color = false
	Colored Color = true
)

// width is what a page is laid out for: an editor beside a terminal, a ticket, a chat.
const width = 100

// detailsShown bounds the lines of one finding: 400 tables without a key are one decision.
const detailsShown = 12

// Text writes the report for a person: blocks first, then decisions, notes, sizes and the answer.
func (r *Report) Text(w io.Writer, color Color) error {
	p := &page{color: color}
	p.line("Plan for migration %s", p.bold(r.Migration))
	p.line("  source  %s", r.Source)
	p.line("  target  %s", r.Target)
	for _, part := range []struct {
		severity     Severity
		title, paint string
	}{
		{Block, "Blocks: run refuses to start until these are cleared", red},
		{Decide, "Decisions: run starts with these; somebody should have decided that it may", yellow},
		{Note, "Notes: what will be done, and what is good to know", blue},
	} {
		p.part(r.Findings, part.severity, part.title, part.paint)
	}
	p.summary(r)
	_, err := io.WriteString(w, p.text.String())
	return err
}

// String is the side in a line of text.
func (a About) String() string {
	if a.Version == "" {
		return fmt.Sprintf("not reached          %s@%s", a.User, a.Address)
	}
	name := "MySQL"
	if a.Flavor == string(server.MariaDB) {
		name = "MariaDB"
	}
	version, _, _ := strings.Cut(a.Version, "-")
	if a.Aurora != "" {
		version += " (Aurora " + a.Aurora + ")"
	}
	return fmt.Sprintf("%-20s %s@%s", name+" "+version, a.User, a.Address)
}

const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	blue   = "\x1b[36m"
	green  = "\x1b[32m"
	bold   = "\x1b[1m"
	reset  = "\x1b[0m"
)

type page struct {
	text  strings.Builder
	color Color
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(&p.text, format+"\n", args...) }

func (p *page) paint(color, s string) string {
	if p.color == Plain {
		return s
	}
	return color + s + reset
}

func (p *page) bold(s string) string { return p.paint(bold, s) }

// part writes the findings of one severity, those of one code and way on under one heading.
func (p *page) part(findings []Finding, severity Severity, title, color string) {
	groups := groupFindings(findings, severity)
	if len(groups) == 0 {
		return
	}
	p.line("\n%s", p.bold(title))
	for _, g := range groups {
		p.group(g, severity, color)
	}
}

func groupFindings(findings []Finding, severity Severity) [][]Finding {
	var groups [][]Finding
	for _, f := range findings {
		if f.Severity != severity {
			continue
		}
		last := len(groups) - 1
		if last >= 0 && groups[last][0].Code == f.Code && groups[last][0].Side == f.Side {
			groups[last] = append(groups[last], f)
			continue
		}
		groups = append(groups, []Finding{f})
	}
	return groups
}

const indent = "           "

func (p *page) group(g []Finding, severity Severity, color string) {
	side := string(g[0].Side)
	if side == "" {
		side = "both"
	}
	p.line("  %s  %-6s  %s", p.paint(color, g[0].Code.String()), side, p.bold(g[0].Title()))
	for _, f := range g[:min(len(g), detailsShown)] {
		p.wrap(indent+"- ", indent+"  ", f.Detail)
	}
	if more := len(g) - detailsShown; more > 0 {
		p.line("%s- and %d more (--json lists all)", indent, more)
	}
	if severity != Note {
		p.wrap(indent, indent, g[0].Cause())
	}
	p.waysOn(g)
}

// waysOn writes each different remedy of the group once.
func (p *page) waysOn(g []Finding) {
	var ways []string
	for _, f := range g {
		if way := f.WayOn(); way != "" && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	for _, way := range ways[:min(len(ways), detailsShown)] {
		p.wrap(indent+"→ ", indent+"  ", way)
	}
}

func (p *page) summary(r *Report) {
	p.line("")
	if s := r.Summary; s.Known {
		p.line("%s, about %s rows, %s. The copy takes about %s at an assumed %s/s.",
			counted(s.Tables, "table"), grouped(s.Rows), byteCount(s.Bytes), duration(s.Estimate), byteCount(s.Rate))
		if s.Tables > 1 {
			p.line("Largest: %s.", s.Largest)
		}
	}
	answer := p.paint(green, "Nothing blocks.")
	if r.Blocked() {
		answer = p.paint(red, fmt.Sprintf("%d block.", r.Count(Block)))
	}
	p.line("%s %d to decide, %s. Nothing was written to either side.", answer, r.Count(Decide), counted(r.Count(Note), "note"))
}

// wrap breaks text at spaces; a word longer than a line stays whole, so that it can be copied.
func (p *page) wrap(first, rest, text string) {
	at := first
	line := at
	for word := range strings.FieldsSeq(text) {
		if line != at && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			p.line("%s", line)
			at, line = rest, rest
		}
		if line != at {
			line += " "
		}
		line += word
	}
	p.line("%s", line)
}

// counted writes 1 note, 2 notes.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func about(s *Server) About {
	if s == nil || s.Err != nil {
		return About{}
	}
	return About{
		Address: s.Endpoint.Addr(), User: s.Endpoint.User, Flavor: string(s.Identity.Flavor),
		Version: s.Identity.Version, Aurora: s.Identity.Aurora, Account: s.Account,
	}
}

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
