package compat

import (
	"cmp"
	"slices"
	"strings"

	"changeover/internal/server"
)

// confirm notes with the findings of the text what the target's engine answered to their statements, where the answer
// is about the finding. A server stops at the first thing that it does not take: what comes after it in the statement
// it has not seen.
func (c *checker) confirm() {
	if c.opts.Ran == nil {
		return
	}
	in := map[string][]*Finding{}
	for i := range c.report.Findings {
		if f := &c.report.Findings[i]; f.Location != nil && f.ServerError == nil {
			in[f.Location.File] = append(in[f.Location.File], f)
		}
	}
	for i := range c.opts.Ran.Servers {
		if c.opts.Ran.Servers[i].Flavor != server.MySQL { // rules are about the target
			continue
		}
		for _, o := range c.opts.Ran.Servers[i].Outcomes {
			if o.Error == nil && len(o.Warnings) == 0 {
				continue
			}
			about := o.about(in[o.File.Name])
			if o.Error != nil {
				o.confirm(o.Error, about)
			}
			for j := range o.Warnings {
				o.confirm(&o.Warnings[j], about)
			}
		}
	}
}

// about are the findings in the statement.
func (o *Outcome) about(all []*Finding) (in []*Finding) {
	outer := locate(o.File, o.Start, o.End)
	for _, f := range all {
		if within(f.Location, outer) {
			in = append(in, f)
		}
	}
	return in
}

// confirm notes an answer with those of a statement's findings that it is about.
func (o *Outcome) confirm(answer *ServerError, in []*Finding) {
	var may []*Finding
	for _, f := range in {
		if rule, ok := RuleByID(f.Rule); ok && f.ServerError == nil && slices.Contains(rule.Errno, answer.Errno) {
			may = append(may, f)
		}
	}
	if answer.Errno == syntaxError {
		may = o.met(may)
	} else {
		may = o.means(may, answer)
	}
	for _, f := range may {
		f.ServerError = answer
		if !slices.Contains(f.DetectedBy, Run) {
			f.DetectedBy = append(f.DetectedBy, Run)
		}
	}
}

// met are the findings at which the server stopped to read. Where none is, it may have read one to its end and not
// have expected what comes next, as the comma after a word that it takes for a function's name.
func (o *Outcome) met(may []*Finding) []*Finding {
	if o.At < 0 {
		return nil
	}
	at := locate(o.File, o.At, o.At)
	if met := keep(may, func(f *Finding) bool { return within(at, f.Location) }); len(met) > 0 {
		return met
	}
	before := o.File.Text[:o.At]
	line, column := o.File.At(len(strings.TrimRight(before, " \t\r\n")))
	return keep(may, func(f *Finding) bool { return f.Location.EndLine == line && f.Location.EndColumn == column })
}

// means are the findings that an answer means, by what it names. One that names nothing of the statement means the only
// one that there is; or all if it is a warning, since the server went on.
func (o *Outcome) means(may []*Finding, answer *ServerError) []*Finding {
	names := quotedNames(answer.Message)
	in := func(text string) bool {
		text = strings.ToLower(text)
		return slices.ContainsFunc(names, func(n string) bool { return n != "" && strings.Contains(text, strings.ToLower(n)) })
	}
	switch {
	case in(o.File.Text[o.Start:o.End]): // a constraint's name may be the server's own
		return keep(may, func(f *Finding) bool { return in(f.Object + "\n" + f.Evidence) })
	case answer == o.Error && len(may) > 1:
		return nil
	}
	return may
}

func keep(all []*Finding, which func(*Finding) bool) (kept []*Finding) {
	for _, f := range all {
		if which(f) {
			kept = append(kept, f)
		}
	}
	return kept
}

// within tells whether a place begins in another one of its file.
func within(l, outer *Location) bool {
	return cmp.Or(l.Line-outer.Line, l.Column-outer.Column) >= 0 && cmp.Or(l.Line-outer.EndLine, l.Column-outer.EndColumn) < 0
}
