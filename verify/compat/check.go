package compat

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

// Options are what a check goes by.
type Options struct {
	From       server.Flavor // of the source; empty: either
	To         *Profile
	ANSIQuotes bool // "a" is a name
	// Exemptions are those of a file, besides those that stand in the text.
	Exemptions []Exemption
	// Baseline are fingerprints of findings that were there before; they are suppressed.
	Baseline []string
	Now      time.Time // for exemptions that end; zero: now
}

// Check looks at an input by all rules that apply. It asks no server.
func Check(in *Input, o Options) (*Report, error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	c := &checker{input: in, opts: o, state: &state{tables: map[string]*table{}}, report: &Report{SchemaVersion: 1, Source: o.From, Target: o.To}}
	c.read()
	for _, f := range Families() {
		for i := range f.Rules {
			if r := &f.Rules[i]; r.applies(o.From, o.To) {
				c.rules = append(c.rules, r)
				c.run(r)
			}
		}
	}
	if err := c.suppress(); err != nil {
		return nil, err
	}
	c.report.finish(c.rules)
	return c.report, nil
}

// checker is one check on its way.
type checker struct {
	input  *Input
	opts   Options
	files  []readText
	state  *state
	rules  []*Rule
	rule   *Rule // at hand
	report *Report
}

// readText is a file with its statements.
type readText struct {
	file       *ddl.File
	statements []ddl.Statement
	down       bool // it undoes; the state is the one without it
}

func (c *checker) read() {
	dialect := ddl.MySQL
	if c.opts.From == server.MariaDB {
		dialect = ddl.MariaDB
	}
	down := map[*ddl.File]bool{}
	for _, s := range c.input.Steps {
		if s.Down != nil {
			down[s.Down] = true
		}
	}
	for _, f := range c.input.Files {
		t := readText{file: f, statements: ddl.Read(f, dialect, c.opts.ANSIQuotes), down: down[f]}
		c.files = append(c.files, t)
		c.report.Summary.Statements += len(t.statements)
		if !t.down {
			for i := range t.statements {
				c.state.apply(&t.statements[i])
			}
		}
	}
	c.report.Summary.Files = len(c.files)
}

// each goes through all statements.
func (c *checker) each(fn func(*ddl.Statement)) {
	for i := range c.files {
		for j := range c.files[i].statements {
			fn(&c.files[i].statements[j])
		}
	}
}

// tables goes through the tables that there are in the end, in the order in which they were made.
func (c *checker) tables(fn func(*table)) {
	for _, k := range c.state.order {
		fn(c.state.tables[k])
	}
}

// unchecked says that the rule at hand could not look.
func (c *checker) unchecked(reason string, args ...any) {
	u := Unchecked{Rule: c.rule.ID, Reason: fmt.Sprintf(reason, args...)}
	if !slices.Contains(c.report.Unchecked, u) {
		c.report.Unchecked = append(c.report.Unchecked, u)
	}
}

func (c *checker) run(r *Rule) {
	c.rule = r
	if !slices.Contains(r.Means, Static) {
		c.unchecked("needs %s", list(r.Means))
		return
	}
	for i := range r.Finds {
		p := &r.Finds[i]
		emit := func(h hit) {
			if h.says == "" {
				h.says = p.Says
			}
			c.emit(h)
		}
		if p.Check != "" {
			checks[p.Check](c, emit)
			continue
		}
		c.each(func(st *ddl.Statement) { p.match(st, emit) })
	}
}

func list(means []Means) string {
	words := map[Means]string{Live: "a server to look at", Data: "leave to look at rows", Run: "a real run"}
	var out []string
	for _, m := range means {
		out = append(out, words[m])
	}
	return strings.Join(out, ", or ")
}

// emit makes a finding of a hit.
func (c *checker) emit(h hit) {
	r := c.rule
	f := Finding{Rule: r.ID, Severity: cmp.Or(h.severity, r.Severity), Object: h.object, Message: cmp.Or(h.says, r.Title), Evidence: h.evidence,
		Remedy: Remedy{Text: cmp.Or(h.remedy, r.Remedy), SQL: cmp.Or(h.sql, r.SQL)}, DetectedBy: []Means{Static}}
	if h.st != nil {
		start, end := h.st.Start, h.st.End
		if h.from < h.to && h.to <= len(h.st.Tokens) {
			start, end = h.st.Tokens[h.from].Start, h.st.Tokens[h.to-1].End
		}
		f.Location = locate(h.st.File, start, end)
		if f.Evidence == "" {
			f.Evidence = shorten(h.st.File.Text[start:end])
		}
	}
	f.Fingerprint = f.fingerprint()
	if !slices.ContainsFunc(c.report.Findings, func(g Finding) bool {
		return g.Fingerprint == f.Fingerprint && g.Rule == f.Rule && g.Location != nil && f.Location != nil && *g.Location == *f.Location
	}) {
		c.report.Findings = append(c.report.Findings, f)
	}
}

func locate(f *ddl.File, start, end int) *Location {
	l := &Location{File: f.Name}
	l.Line, l.Column = f.At(start)
	l.EndLine, l.EndColumn = f.At(end)
	return l
}

// evidenceLength is how much of a statement a finding shows, in bytes.
const evidenceLength = 120

// shorten is a text on one line, cut at a character.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= evidenceLength {
		return s
	}
	cut := evidenceLength
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
