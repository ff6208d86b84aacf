package compat

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Exemption is somebody's word that a finding is meant to be there, with the reason.
type Exemption struct {
	Rule   string `yaml:"rule" json:"rule"`
	Object string `yaml:"object" json:"object,omitempty"` // as the finding names it; empty: any
	File   string `yaml:"file" json:"file,omitempty"`     // the end of its name; empty: any
	Reason string `yaml:"reason" json:"reason"`
	// Until is the last day on which it holds (2026-12-01); empty: for ever.
	Until string `yaml:"until" json:"until,omitempty"`

	line, endLine int // of one that stands in a text: the statement's lines
	at            string
	used          bool
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

// inPlace is how one stands in a comment before a statement, or within it.
var inPlace = regexp.MustCompile(`changeover:ignore\s+([A-Za-z]+[0-9]+)(?:\s+until=(\S+))?(?:\s+(.*))?`)

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
	kept := c.report.Findings[:0]
	for _, f := range c.report.Findings {
		if e := exemptionOf(all, &f, today); e != nil {
			e.used = true
			f.Suppression = e
			c.report.Suppressed = append(c.report.Suppressed, f)
			continue
		}
		if slices.Contains(c.opts.Baseline, f.Fingerprint) {
			f.Suppression = &Exemption{Rule: f.Rule, Reason: "in the baseline"}
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
		default:
			c.report.Unchecked = append(c.report.Unchecked, Unchecked{Rule: strings.ToUpper(e.Rule), Reason: "the exemption at " + e.at + " fits nothing any more: take it out"})
		}
	}
	return nil
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
		if e.line > 0 && (f.Location == nil || f.Location.Line < e.line || f.Location.Line > e.endLine) {
			continue
		}
		return e
	}
	return nil
}

// exemptions are those that stand in a file's comments: each is for the statement in which it stands, or for
// the next one.
func (t *readText) exemptions() ([]Exemption, error) {
	var all []Exemption
	for _, comment := range t.file.Comments() {
		for _, m := range inPlace.FindAllStringSubmatch(comment.Text, -1) {
			line, _ := t.file.At(comment.Start)
			e := Exemption{Rule: m[1], Until: m[2], Reason: strings.TrimSpace(strings.TrimSuffix(m[3], "*/")), File: t.file.Name, at: fmt.Sprintf("%s:%d", t.file.Name, line)}
			if err := e.valid(); err != nil {
				return nil, err
			}
			for i := range t.statements {
				if st := &t.statements[i]; st.End > comment.Start {
					e.line, _ = t.file.At(min(st.Start, comment.Start))
					e.endLine, _ = t.file.At(st.End)
					break
				}
			}
			if e.line == 0 { // behind the last: for the whole file
				e.line, e.endLine = 1, 1<<30
			}
			all = append(all, e)
		}
	}
	return all, nil
}
