package compat

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"changeover/verify/compat/ddl"
)

// Exemption is somebody's word that a finding is meant to be there, with the reason.
type Exemption struct {
	Rule   string `yaml:"rule" json:"rule"`
	Object string `yaml:"object" json:"object,omitempty"` // as the finding names it; empty: any
	File   string `yaml:"file" json:"file,omitempty"`     // the end of its name; empty: any
	Reason string `yaml:"reason" json:"reason"`
	// Until is the last day on which it holds (2026-12-01); empty: for ever.
	Until string `yaml:"until" json:"until,omitempty"`

	in   *ddl.Statement // of one that stands in a text: what it is for; nil: nothing
	text bool           // it stands in a text
	at   string
	used bool
}

// ReadExemptions reads a file of exemptions: a YAML list. Unknown keys, rules that are none and reasons that
// are missing are errors.
func ReadExemptions(name string, text []byte) ([]Exemption, error) {
	var all []Exemption
	if err := yaml.UnmarshalWithOptions(text, &all, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range all {
		all[i].at = fmt.Sprintf("%s, entry %d", name, i+1)
		if err := all[i].valid(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (e *Exemption) valid() error {
	if _, ok := RuleByID(e.Rule); !ok {
		return fmt.Errorf("%s: there is no rule %q", e.at, e.Rule)
	}
	if strings.TrimSpace(e.Reason) == "" {
		return fmt.Errorf("%s: %s is to be ignored, and no reason is given", e.at, e.Rule)
	}
	if e.Until != "" {
		if _, err := time.Parse(time.DateOnly, e.Until); err != nil {
			return fmt.Errorf("%s: until is a day, as 2026-12-01, not %q", e.at, e.Until)
		}
	}
	return nil
}

// fingerprints are how they are written.
var fingerprints = regexp.MustCompile(`^[0-9a-f]{20}$`)

// ReadBaseline reads the findings that were there before: a fingerprint begins each line, and # a comment.
func ReadBaseline(name string, text []byte) (all []string, err error) {
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		print, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case print == "", strings.HasPrefix(print, "#"):
		case !fingerprints.MatchString(print):
			return nil, fmt.Errorf("%s:%d: a line of a baseline begins with a fingerprint, not with %.30q: write it with --write-baseline", name, n, print)
		default:
			all = append(all, print)
		}
	}
	return all, nil
}

// inPlace is how one stands in a comment before a statement, or within it.
var inPlace = regexp.MustCompile(`changeover:ignore\s+([A-Za-z]+[0-9]+)(?:\s+until=(\S+))?(?:\s+(.*))?`)

// InBaseline is the reason of a finding that was there before.
const InBaseline = "in the baseline"

// suppress moves findings that somebody has exempted, or that the baseline has, and says which exemptions are
// over or fit nothing any more.
func (c *checker) suppress() error {
	all := slices.Clone(c.opts.Exemptions)
	for i := range c.files {
		own, err := c.files[i].exemptions()
		if err != nil {
			return err
		}
		all = append(all, own...)
	}
	today := c.opts.Now.UTC().Format(time.DateOnly)
	known := map[string]bool{}
	for _, print := range c.opts.Baseline {
		known[print] = true
	}
	kept := c.report.Findings[:0]
	for _, f := range c.report.Findings {
		if e := exemptionOf(all, &f, today); e != nil {
			e.used = true
			f.Suppression = e
			c.report.Suppressed = append(c.report.Suppressed, f)
			continue
		}
		if known[f.Fingerprint] {
			f.Suppression = &Exemption{Rule: f.Rule, Reason: InBaseline}
			c.report.Suppressed = append(c.report.Suppressed, f)
			continue
		}
		kept = append(kept, f)
	}
	c.report.Findings = kept
	for _, e := range all {
		switch {
		case e.used:
		case e.Until != "" && e.Until < today:
			c.report.Unchecked = append(c.report.Unchecked, Unchecked{Rule: strings.ToUpper(e.Rule), Reason: "the exemption at " + e.at + " is over since " + e.Until})
		case c.looked(e.Rule):
			c.report.Unchecked = append(c.report.Unchecked, Unchecked{Rule: strings.ToUpper(e.Rule), Reason: "the exemption at " + e.at + " fits nothing any more: take it out"})
		}
	}
	return nil
}

// looked tells whether a rule was asked, and nothing kept it from looking.
func (c *checker) looked(id string) bool {
	return slices.ContainsFunc(c.rules, func(r *Rule) bool { return strings.EqualFold(r.ID, id) }) &&
		!slices.ContainsFunc(c.report.Unchecked, func(u Unchecked) bool { return strings.EqualFold(u.Rule, id) })
}

func exemptionOf(all []Exemption, f *Finding, today string) *Exemption {
	for i := range all {
		e := &all[i]
		if !strings.EqualFold(e.Rule, f.Rule) || e.Until != "" && e.Until < today || e.Object != "" && !strings.EqualFold(e.Object, f.Object) {
			continue
		}
		if e.File != "" && (f.Location == nil || !strings.HasSuffix(f.Location.File, e.File)) {
			continue
		}
		if e.text && !f.Location.within(e.in) {
			continue
		}
		return e
	}
	return nil
}

// within tells whether a place is in a statement.
func (l *Location) within(st *ddl.Statement) bool {
	if l == nil || st == nil || l.File != st.File.Name {
		return false
	}
	line, column := st.File.At(st.Start)
	endLine, endColumn := st.File.At(st.End)
	return (l.Line > line || l.Line == line && l.Column >= column) && (l.Line < endLine || l.Line == endLine && l.Column < endColumn)
}

// exemptions are those that stand in a file's comments.
func (t *readText) exemptions() ([]Exemption, error) {
	var all []Exemption
	for _, comment := range t.file.Comments() {
		for _, m := range inPlace.FindAllStringSubmatch(comment.Text, -1) {
			line, _ := t.file.At(comment.Start)
			e := Exemption{Rule: m[1], Until: m[2], Reason: strings.TrimSpace(strings.TrimSuffix(m[3], "*/")), File: t.file.Name,
				at: fmt.Sprintf("%s:%d", t.file.Name, line), text: true, in: t.meant(comment.Start)}
			if err := e.valid(); err != nil {
				return nil, err
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// meant is the statement that a comment is about: the one in which it stands or that ends on its line, else the next.
func (t *readText) meant(at int) *ddl.Statement {
	i, _ := slices.BinarySearchFunc(t.statements, at, func(st ddl.Statement, at int) int { return cmp.Compare(st.End, at+1) })
	if i > 0 {
		before := &t.statements[i-1]
		end, _ := t.file.At(before.End)
		line, _ := t.file.At(at)
		if end == line && (i == len(t.statements) || t.statements[i].Start > at) {
			return before
		}
	}
	if i == len(t.statements) {
		return nil
	}
	return &t.statements[i]
}
