package compat

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"not-reversible":   notReversible,
		"server-warnings":  serverWarnings,
		"fails-everywhere": failsEverywhere,
		"fails-on-one":     failsOnOne,
	})
}

// place is a statement on one of its ways.
type place struct {
	file  *ddl.File
	start int
	pass  Pass
}

func (o *Outcome) place() place { return place{o.File, o.Start, o.Pass} }

// failure is a statement that failed on a server at least, for a cause of its own.
type failure struct {
	Outcome                  // of the first server that failed
	answers []reply          // of all that failed
	done    []server.Flavor  // where it did not fail; a server that did not come so far is in neither
	lacking []server.Flavor  // where it fails too, for want of what failed before
	after   map[place]string // the statements that fail for want of it, and where they are
}

// reply is an answer, with the servers that give it.
type reply struct {
	by    []server.Flavor
	error *ServerError
	at    int
}

// failed are the servers on which it does.
func (f *failure) failed() (all []server.Flavor) {
	for _, a := range f.answers {
		all = append(all, a.by...)
	}
	return all
}

// failures are the statements that failed for a cause of their own, in the order in which they ran on the first
// server that failed.
func (c *checker) failures() (all []failure) {
	known := map[place]int{}
	causes := make([]map[place]place, len(c.opts.Ran.Servers))
	for i := range c.opts.Ran.Servers {
		causes[i] = c.causes(&c.opts.Ran.Servers[i])
		for _, o := range c.opts.Ran.Servers[i].Outcomes {
			p := o.place()
			if _, ok := known[p]; o.Error != nil && !ok && !has(causes[i], p) {
				known[p] = len(all)
				all = append(all, failure{Outcome: o, after: map[place]string{}})
			}
		}
	}
	for i := range c.opts.Ran.Servers {
		s := &c.opts.Ran.Servers[i]
		for _, o := range s.Outcomes {
			p := o.place()
			if n, ok := known[causes[i][p]]; ok {
				all[n].after[p] = c.at(&o)
			}
			if n, ok := known[p]; ok {
				all[n].add(s.Flavor, &o, has(causes[i], p))
			}
		}
	}
	for i := range all { // a statement may be done, and its version not be noted
		f := &all[i]
		failed := f.failed()
		f.done = slices.DeleteFunc(f.done, func(s server.Flavor) bool { return slices.Contains(failed, s) })
	}
	return all
}

// at names an outcome's place: a line, or a server's object.
func (c *checker) at(o *Outcome) string {
	if c.input.live[o.File] != nil {
		return o.File.Name
	}
	line, _ := o.File.At(o.Start)
	return fmt.Sprintf("%s:%d", o.File.Name, line)
}

func has[K comparable, V any](m map[K]V, key K) bool {
	_, ok := m[key]
	return ok
}

// add notes what came of the statement on a server.
func (f *failure) add(by server.Flavor, o *Outcome, lacks bool) {
	switch {
	case lacks:
		f.lacking = append(f.lacking, by)
	case o.Error == nil:
		f.done = append(f.done, by)
	case slices.Contains(f.failed(), by):
	default:
		i := slices.IndexFunc(f.answers, func(a reply) bool { return a.same(o) })
		if i < 0 {
			i = len(f.answers)
			f.answers = append(f.answers, reply{error: o.Error, at: o.At})
		}
		f.answers[i].by = append(f.answers[i].by, by)
	}
}

// same tells whether another server's answer says the same, in its own words.
func (a *reply) same(o *Outcome) bool {
	switch {
	case a.error.Errno != o.Error.Errno:
		return false
	case o.Error.Errno == syntaxError:
		return a.at == o.At
	case o.Error.Errno == 0:
		return a.error.Message == o.Error.Message
	}
	// 1051 names one table on MySQL, and all on MariaDB: the first is enough.
	one, other := append(quotedNames(a.error.Message), ""), append(quotedNames(o.Error.Message), "")
	return strings.EqualFold(one[0], other[0])
}

// failure is where one is shown: what is said of it, and then what each server answers.
func (c *checker) failure(f *failure, says string) hit {
	var b strings.Builder
	for i, a := range f.answers {
		switch {
		case i > 0:
			b.WriteString("; on " + flavors(a.by))
		case f.Pass == PassDown:
			b.WriteString(says + " on " + flavors(a.by) + " on the way down")
		default:
			b.WriteString(says + " on " + flavors(a.by))
		}
		b.WriteString(": " + a.error.text())
	}
	if len(f.lacking) > 0 {
		b.WriteString("; on " + flavors(f.lacking) + " what it needs failed before")
	}
	if len(f.Half) > 0 {
		b.WriteString("; by then the file has changed " + strings.Join(f.Half, ", ") + ", and stays half done")
	}
	b.WriteString(f.following())
	h := c.ran(&f.Outcome)
	h.says = b.String()
	if f.Error.Errno != 0 { // else it is not a server's
		h.answer = f.Error
	}
	return h
}

// following says how many statements fail for want of this one.
func (f *failure) following() string {
	places := slices.SortedFunc(maps.Keys(f.after), func(a, b place) int {
		return cmp.Or(strings.Compare(a.file.Name, b.file.Name), a.start-b.start)
	})
	switch len(places) {
	case 0:
		return ""
	case 1:
		return "; for want of it another statement fails, at " + f.after[places[0]]
	}
	return fmt.Sprintf("; for want of it %d other statements fail, the first at %s", len(places), f.after[places[0]])
}

// ran is a hit at a statement that was run.
func (c *checker) ran(o *Outcome) hit {
	for i := range c.files {
		if c.files[i].file != o.File {
			continue
		}
		for j := range c.files[i].statements {
			if st := &c.files[i].statements[j]; st.Start == o.Start {
				return hit{st: st, object: cmp.Or(objectOf(st), path.Base(o.File.Name)), by: Run}
			}
		}
	}
	// A DELIMITER line, which is no statement here, or a file that has none: its first word is shown.
	word, _, _ := strings.Cut(strings.TrimSpace(o.File.Text[o.Start:o.End]), " ")
	name := path.Base(o.File.Name)
	return hit{st: &ddl.Statement{File: o.File, Start: o.Start, End: o.End}, object: name, evidence: cmp.Or(shorten(word), name), by: Run}
}

// text is an answer on one line.
func (e *ServerError) text() string {
	text := strings.Join(strings.Fields(e.Message), " ")
	if e.Errno == 0 { // not the server's
		return text
	}
	return fmt.Sprintf("%d %s", e.Errno, text)
}

func failsEverywhere(c *checker, emit func(hit)) {
	c.unrun()
	for _, f := range c.failures() {
		if len(f.done) > 0 || f.Pass == PassAgain {
			continue
		}
		h := c.failure(&f, "it fails")
		if len(f.failed())+len(f.lacking) < len(c.opts.Ran.Servers) {
			h.says += "; no other server came so far"
		}
		emit(h)
	}
}

func failsOnOne(c *checker, emit func(hit)) {
	if len(c.opts.Ran.Servers) < 2 {
		c.unchecked("the statements were run on one engine only")
		return
	}
	c.unrun()
	for _, f := range c.failures() {
		if len(f.done) > 0 && f.Pass != PassAgain {
			emit(c.failure(&f, flavors(f.done)+" does it, and it fails"))
		}
	}
}

func flavors(all []server.Flavor) string {
	var names []string
	for _, f := range all {
		names = append(names, string(f))
	}
	return strings.Join(names, " and ")
}

// unrun says what was not run, and which servers did not come to the end.
func (c *checker) unrun() {
	for i := range c.opts.Ran.Servers {
		s := &c.opts.Ran.Servers[i]
		for _, o := range s.Outcomes {
			if o.Unsent != "" {
				c.unchecked("%s was not sent: %s", c.at(&o), o.Unsent)
			}
		}
		if n := len(c.causes(s)); n > 0 {
			c.unchecked("on %s %s for want of what failed before: what else there may be to say is not known", s.Flavor, fails(n))
		}
		if s.Stopped != "" {
			c.unchecked("what follows was not run on %s: %s", s.Flavor, s.Stopped)
		}
		for _, version := range s.Unrun {
			c.unrunVersion(s.Stopped, version)
		}
	}
}

func fails(n int) string {
	if n == 1 {
		return "a statement fails"
	}
	return fmt.Sprintf("%d statements fail", n)
}

// unrunVersion says of a version by itself that it was not run: that nothing is said of it shall not be taken for clean.
func (c *checker) unrunVersion(why, version string) {
	var on []server.Flavor
	for i := range c.opts.Ran.Servers {
		if s := &c.opts.Ran.Servers[i]; s.Stopped == why && slices.Contains(s.Unrun, version) {
			on = append(on, s.Flavor)
		}
	}
	u := Unchecked{Object: version, Reason: fmt.Sprintf("it was not run on %s: %s", flavors(on), why)}
	if !slices.Contains(c.report.Unchecked, u) {
		c.report.Unchecked = append(c.report.Unchecked, u)
	}
}

func notReversible(c *checker, emit func(hit)) {
	c.unrun()
	for _, f := range c.failures() {
		if f.Pass == PassAgain {
			h := c.failure(&f, "after the way down it can't go up again")
			h.severity = Error // not only another schema: none
			emit(h)
		}
	}
	type left struct {
		file   *ddl.File
		object string
	}
	on := map[left][]server.Flavor{}
	for i := range c.opts.Ran.Servers {
		s := &c.opts.Ran.Servers[i]
		for _, l := range s.Left {
			on[left{l.File, l.Object}] = append(on[left{l.File, l.Object}], s.Flavor)
		}
	}
	for i := range c.opts.Ran.Servers {
		for _, l := range c.opts.Ran.Servers[i].Left {
			servers := on[left{l.File, l.Object}]
			if servers[0] != c.opts.Ran.Servers[i].Flavor { // it is said already
				continue
			}
			h := c.ran(begin(c, l.File))
			h.object, h.says = l.Object, fmt.Sprintf("after the way down of version %d, %s (on %s)", l.Version, l.What, flavors(servers))
			emit(h)
		}
	}
}

// begin is where a file begins: its first statement, or all of it if it has none.
func begin(c *checker, f *ddl.File) *Outcome {
	for i := range c.files {
		if t := &c.files[i]; t.file == f && len(t.statements) > 0 {
			return &Outcome{File: f, Start: t.statements[0].Start, End: t.statements[0].End}
		}
	}
	return &Outcome{File: f, End: len(f.Text)}
}

func serverWarnings(c *checker, emit func(hit)) {
	c.unrun()
	type warned struct {
		outcome    *Outcome
		answer     ServerError
		servers    []server.Flavor
		statements map[place]bool // passes do not count
	}
	byCode := map[int]*warned{}
	var codes []int // in the order in which they came
	for i := range c.opts.Ran.Servers {
		s := &c.opts.Ran.Servers[i]
		for j := range s.Outcomes {
			o := &s.Outcomes[j]
			for _, a := range o.Warnings {
				w := byCode[a.Errno]
				if w == nil {
					w = &warned{outcome: o, answer: a, statements: map[place]bool{}}
					byCode[a.Errno], codes = w, append(codes, a.Errno)
				}
				if !slices.Contains(w.servers, s.Flavor) {
					w.servers = append(w.servers, s.Flavor)
				}
				w.statements[place{file: o.File, start: o.Start}] = true
			}
		}
	}
	for _, code := range codes {
		w := byCode[code]
		h := c.ran(w.outcome)
		h.says, h.answer = "warning of "+flavors(w.servers)+": "+w.answer.text(), &w.answer
		if n := len(w.statements); n > 1 {
			h.says += fmt.Sprintf(" (%d statements have it, this is the first)", n)
		}
		emit(h)
	}
}
