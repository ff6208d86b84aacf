package compat

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

// Options are what a check goes by.
type Options struct {
	From server.Flavor // of the source; empty: either
	To   *Profile
	// Source and Target are servers that were looked at, nil if none was. An Input of a server is one of them.
	Source, Target *Picture
	// Same: source and target are meant to be the same by now. Otherwise the target may lack what a cutover makes there.
	Same bool
	// Ran is what came of running the migrations on throwaway servers, nil if they were not run.
	Ran        *Ran
	ANSIQuotes bool // "a" is a name
	// Exemptions are those of a file, besides those that stand in the text.
	Exemptions []Exemption
	// Baseline are fingerprints of findings that were there before; they are suppressed.
	Baseline []string
	// Lock is the hashes of migrations that have run somewhere, nil if they are not given.
	Lock *Lock
	// Families restricts the check to rules of these families; empty: all.
	Families []string
	Now      time.Time // for exemptions that end; zero: now
}

// Check looks at an input by all rules that apply. What servers say is in the options, but for bounded questions about
// rows, which are asked where a Picture gives leave to. Safe for concurrent use with inputs of their own.
func Check(ctx context.Context, in *Input, o Options) (*Report, error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	c := &checker{ctx: ctx, input: in, opts: o, found: map[identity]bool{}, sums: map[*ddl.Statement]string{}, state: &state{tables: map[string]*table{}}, report: &Report{SchemaVersion: 1, Source: o.source(), Target: o.To}}
	if err := c.read(); err != nil {
		return nil, err
	}
	c.unseen()
	for _, f := range Families() {
		if len(o.Families) > 0 && !slices.Contains(o.Families, f.Name) {
			continue
		}
		for i := range f.Rules {
			// Two that are meant to be the same are compared, and nothing else is asked.
			if r := &f.Rules[i]; r.applies(o.From, o.To) && (!o.Same || c.can(r.Means)) {
				c.rules = append(c.rules, r)
				if c.run(r); ctx.Err() != nil {
					return nil, ctx.Err()
				}
			}
		}
	}
	c.confirm()
	if err := c.suppress(); err != nil {
		return nil, err
	}
	c.anchor()
	c.report.finish(c.rules)
	return c.report, nil
}

func (o *Options) source() Source {
	s := Source{Flavor: o.From}
	if o.Source != nil {
		s = Source{Flavor: o.Source.Flavor, Version: o.Source.Version}
	}
	return s
}

// checker is one check on its way.
type checker struct {
	ctx    context.Context
	input  *Input
	opts   Options
	files  []readText
	state  *state
	rules  []*Rule
	rule   *Rule // at hand
	report *Report
	found  map[identity]bool // findings are told once
	sums   map[*ddl.Statement]string
	asking asking
	// between is what differs between servers, once a rule asked for it.
	between *[]comparedPair
}

// readText is a file with its statements.
type readText struct {
	file       *ddl.File
	statements []ddl.Statement
	down       bool            // it undoes; the state is the one without it
	made       map[string]bool // the tables that it makes; nil until somebody asks
	mode       *int            // the byte at which it first sets sql_mode; nil until somebody asks
}

func (c *checker) read() error {
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
		if err := c.ctx.Err(); err != nil {
			return err
		}
		object, quotes := c.input.live[f], c.opts.ANSIQuotes
		if object != nil { // a server shows its body as it was written
			quotes = strings.Contains(object.SQLMode, "ANSI_QUOTES")
		}
		t := readText{file: f, statements: ddl.Read(f, dialect, quotes), down: down[f]}
		if object != nil {
			for i := range t.statements {
				if st := &t.statements[i]; st.Schema == "" { // a server shows its objects without
					st.Schema = object.Schema
				}
			}
		}
		c.files = append(c.files, t)
		c.report.Summary.Statements += len(t.statements)
		if !t.down {
			for i := range t.statements {
				c.state.apply(&t.statements[i])
			}
		}
	}
	c.report.Summary.Files = len(c.files)
	return nil
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
	for _, t := range c.state.order {
		if !t.gone {
			fn(t)
		}
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
	if !c.can(r.Means) {
		c.unchecked("needs %s", list(r.Means))
		return
	}
	for i := range r.Finds {
		p := &r.Finds[i]
		emit := func(h hit) {
			if len(p.Functions) > 0 && c.state.functions[strings.ToLower(h.st.Tokens[h.from].Name())] {
				return // their own, of that name
			}
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

// can tells whether one of the means is at hand.
func (c *checker) can(means []Means) bool {
	return slices.ContainsFunc(means, func(m Means) bool {
		switch m {
		case Live:
			return c.opts.Source != nil || c.opts.Target != nil
		case Data:
			return c.opts.Source != nil && c.opts.Source.Probe != nil
		case Run:
			return c.opts.Ran != nil
		}
		return true
	})
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
		Remedy: Remedy{Text: cmp.Or(h.remedy, r.Remedy), SQL: cmp.Or(h.sql, r.SQL)}, DetectedBy: []Means{cmp.Or(h.by, Static)}, ServerError: h.answer}
	whole := cmp.Or(h.whole, h.evidence)
	if h.st != nil {
		start, end := h.st.Start, h.st.End
		if h.from < h.to && h.to <= len(h.st.Tokens) {
			start, end = h.st.Tokens[h.from].Start, h.st.Tokens[h.to-1].End
		}
		if c.input.live[h.st.File] == nil {
			f.Location = locate(h.st.File, start, end)
		} else if h.by == "" {
			f.DetectedBy = []Means{Live}
		}
		if f.Evidence == "" {
			whole = evidence(h.st, start, end)
			f.Evidence = shorten(whole)
		}
		if f.Object == "" { // a query has no name, and others have the same word
			whole += " " + c.textSum(h.st)
		}
	}
	f.Fingerprint = f.fingerprint(whole)
	once := identity{rule: f.Rule, fingerprint: f.Fingerprint}
	if f.Location != nil {
		once.at = *f.Location
	}
	if !c.found[once] {
		c.found[once] = true
		c.report.Findings = append(c.report.Findings, f)
	}
}

// identity is what makes a finding the same as another.
type identity struct {
	rule, fingerprint string
	at                Location
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
