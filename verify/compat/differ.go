package compat

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
	"changeover/verify/compat/normal"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"differing":      differing,
		"not-comparable": notComparable,
	})
}

// Differences compares the schemas of two servers. Names are those that a's databases have on b; nil: the same
// names, or, if each has one database, that one. Numbers that count up are no part of a schema, and neither are
// schema_migrations and Changeover's own tables. What could not be compared is a difference of DIF1115.
func Differences(a, b *Picture, names map[string]string) []normal.Difference {
	return differencesOf(side{a, "the first"}, side{b, "the second"}, namesOf(a, b, names))
}

// side is one of two servers that are compared, and what it is called in findings.
type side struct {
	*Picture
	called string
}

// namesOf are the names that a's databases have on b, if they are not said.
func namesOf(a, b *Picture, names map[string]string) map[string]string {
	if from, to := a.only(), b.only(); names == nil && from != "" && to != "" {
		return map[string]string{from: to}
	}
	return names
}

// only is the one database that there is, empty if there are more. A throwaway server has one of its own beside what
// a dump makes: there it is the one that has objects.
func (p *Picture) only() string {
	if len(p.Databases) == 1 {
		return p.Databases[0].Name
	}
	only := ""
	if !p.Throwaway {
		return only
	}
	for i := range p.Objects {
		if only = p.Objects[i].Schema; only != p.Objects[0].Schema {
			return ""
		}
	}
	return only
}

func differencesOf(a, b side, names map[string]string) (found []normal.Difference) {
	for _, d := range normal.Compare(normal.Read(a.normal(), names), normal.Read(b.normal(), nil)) {
		if d.Rule == "DIF1101" && (a.hides(d.Kind, d.Schema, names) || b.hides(d.Kind, d.Schema, names)) {
			d.Rule, d.Severity, d.What = "DIF1115", normal.Unchecked, d.What+", as far as may be seen"
		}
		found = append(found, d)
	}
	return found
}

// beforeCutover compares a source with its target. A database that is empty on one of them is not filled yet: to
// name each object would say no more than that.
func beforeCutover(a, b side) (found []normal.Difference) {
	names, back := namesOf(a.Picture, b.Picture, nil), map[string]string{}
	for _, d := range a.Databases {
		back[cmp.Or(names[d.Name], d.Name)] = d.Name
	}
	found = append(a.emptied(b, names), b.emptied(a, back)...)
	skip := map[string]bool{}
	for _, d := range found {
		skip[d.Schema] = true
	}
	for _, d := range differencesOf(a, b, names) {
		if !skip[d.Schema] {
			found = append(found, d)
		}
	}
	toCome(found)
	return found
}

// emptied are the databases in which a server has objects and the other has none.
func (s side) emptied(other side, names map[string]string) (found []normal.Difference) {
	has := map[string]bool{}
	for _, o := range other.Objects {
		has[o.Schema] = true
	}
	seen := map[string]bool{}
	for _, o := range s.Objects {
		if to := cmp.Or(names[o.Schema], o.Schema); !has[to] && !seen[o.Schema] && o.Schema != "_changeover" {
			seen[o.Schema] = true
			found = append(found, normal.Difference{Rule: "DIF1115", Severity: normal.Unchecked, Schema: o.Schema, Kind: "database", What: fmt.Sprintf("database %s is not compared: %s has nothing in it", to, other.called)})
		}
	}
	return found
}

// hides tells whether a server did not let all objects of a kind be seen.
func (s side) hides(kind, schema string, names map[string]string) bool {
	plural := map[string]string{"table": "tables", "view": "tables", "sequence": "tables", "procedure": "routines", "function": "routines", "package": "routines", "package body": "routines", "trigger": "triggers", "event": "events"}[kind]
	return slices.ContainsFunc(s.Refused, func(r Refusal) bool {
		of, ok := strings.CutPrefix(r.What, plural+" of ")
		return ok && (of == schema || names[of] == schema || names[schema] == of)
	})
}

// normal is what of a server is compared.
func (s side) normal() *normal.Server {
	fold := s.Variables["lower_case_table_names"]
	n := &normal.Server{Called: s.called, Flavor: s.Flavor, Version: s.Version, FoldNames: fold != "" && fold != "0"}
	for i := range s.Objects {
		o := &s.Objects[i]
		to := normal.Object{Kind: o.Kind, Schema: o.Schema, Name: o.Name, SQL: o.SQL, Engine: o.Engine, RowFormat: o.RowFormat, Collation: o.Collation}
		for _, c := range o.Columns {
			to.Columns = append(to.Columns, normal.Facts(c))
		}
		n.Objects = append(n.Objects, to)
	}
	return n
}

// comparedPair is two servers with what differs between them.
type comparedPair struct {
	by    Means
	a, b  side
	found []normal.Difference
}

// schemaPairs are of the source and the target, and of the servers of a run.
func (c *checker) schemaPairs() []comparedPair {
	if c.between != nil {
		return *c.between
	}
	var all []comparedPair
	add := func(by Means, a, b side) {
		all = append(all, comparedPair{by, a, b, differencesOf(a, b, namesOf(a.Picture, b.Picture, nil))})
	}
	switch a, b := c.opts.Source, c.opts.Target; {
	case a == nil || b == nil:
	case c.opts.Same && (a.Throwaway || b.Throwaway):
		add(Run, side{a, "the first"}, side{b, "the second"})
	case c.opts.Same:
		add(Live, side{a, "the first"}, side{b, "the second"})
	default:
		a, b := side{a, "the source"}, side{b, "the target"}
		all = append(all, comparedPair{Live, a, b, beforeCutover(a, b)})
	}
	if c.opts.Ran != nil {
		var whole []*RanServer
		for i := range c.opts.Ran.Servers {
			if s := &c.opts.Ran.Servers[i]; s.Picture != nil {
				whole = append(whole, s)
			}
		}
		for _, s := range whole[min(1, len(whole)):] {
			add(Run, side{whole[0].Picture, flavorName(string(whole[0].Flavor))}, side{s.Picture, flavorName(string(s.Flavor))})
		}
	}
	c.between = &all
	return all
}

// toCome makes an info of what the target lacks and gets: the cutover makes the source's views and programs there.
func toCome(found []normal.Difference) {
	for i := range found {
		if d := &found[i]; d.Rule == "DIF1101" && d.B == "" && slices.Contains(programs, d.Kind) {
			d.Severity, d.What = normal.Info, d.What+" yet; the cutover makes it on the target"
		}
	}
}

// pairs are the comparisons; a rule for which there is none is not checked.
func (c *checker) pairs() []comparedPair {
	all := c.schemaPairs()
	if c.opts.Ran != nil && len(all) == 0 {
		c.unchecked("a run that came to its end on two servers is needed to compare them")
	} else if len(all) == 0 {
		c.unchecked("needs a look at the source and at the target, or a real run on both engines")
	}
	if len(all) > 0 && len(all[0].a.Objects) == 0 && len(all[0].b.Objects) == 0 {
		c.unchecked("nothing is compared: neither %s nor %s has an object", all[0].a.called, all[0].b.called)
	}
	return all
}

// differing emits what is of the rule at hand.
func differing(c *checker, emit func(hit)) {
	for _, p := range c.pairs() {
		for i := range p.found {
			if d := &p.found[i]; d.Rule == c.rule.ID {
				emit(c.difference(&p, d))
			}
		}
	}
}

// notComparable says what can't be told. There is no finding in that, and it isn't clean.
func notComparable(c *checker, _ func(hit)) {
	for _, p := range c.pairs() {
		for i := range p.found {
			if d := &p.found[i]; d.Rule == c.rule.ID {
				u := Unchecked{Rule: d.Rule, Object: p.object(d), Reason: d.What}
				if !slices.Contains(c.report.Unchecked, u) {
					c.report.Unchecked = append(c.report.Unchecked, u)
				}
			}
		}
	}
}

// object names what differs. The one database of a run is nobody's: it is left out, as it is in the files, and so is
// the one that it is compared with.
func (p *comparedPair) object(d *normal.Difference) string { return p.bare(d, d.Object()) }

func (p *comparedPair) bare(d *normal.Difference, name string) string {
	if p.by == Run && (len(p.a.Databases) == 1 || len(p.b.Databases) == 1) && p.a.only() != "" && p.b.only() != "" {
		return strings.TrimPrefix(name, d.Schema+".")
	}
	return name
}

// difference is a hit. What a run found stands where the migrations make it, so that a review shows it there.
func (c *checker) difference(p *comparedPair, d *normal.Difference) hit {
	h := hit{object: p.object(d), by: p.by, says: d.What, severity: Severity(d.Severity), evidence: evidenceOf(p, d, shorten), whole: evidenceOf(p, d, strings.TrimSpace)}
	if p.by == Run {
		h.st = c.origin(d)
	}
	return h
}

// evidenceOf is what both have; cut makes it as long as it is shown.
func evidenceOf(p *comparedPair, d *normal.Difference, cut func(string) string) string {
	if d.A == "" && d.B == "" {
		return ""
	}
	a, b := d.A, d.B
	if d.Rule == "DIF1101" { // the objects' names
		a, b = p.bare(d, a), p.bare(d, b)
	}
	return fmt.Sprintf("%s: %s; %s: %s", p.a.called, cmp.Or(cut(a), "nothing"), p.b.called, cmp.Or(cut(b), "nothing"))
}

// origin is the statement that made what differs, nil if the files don't show it.
func (c *checker) origin(d *normal.Difference) *ddl.Statement {
	t := c.state.tables[keyOf("", d.Name)]
	if t == nil {
		t = c.state.tables[keyOf(d.Schema, d.Name)]
	}
	if t == nil || d.Kind != "table" {
		return c.maker(d)
	}
	if col := t.column(d.Part); col != nil {
		return col.by
	}
	for _, k := range t.keys {
		if d.Part != "" && (strings.EqualFold(k.is.Name, d.Part) || strings.EqualFold(k.is.Constraint, d.Part)) {
			return k.by
		}
	}
	for _, k := range t.checks {
		if d.Part != "" && strings.EqualFold(k.is.Name, d.Part) {
			return k.by
		}
	}
	return t.made
}

// maker is the last statement that makes a view or a program of that name.
func (c *checker) maker(d *normal.Difference) (by *ddl.Statement) {
	kinds := []ddl.Kind{ddl.CreateView, ddl.CreateTrigger, ddl.CreateRoutine, ddl.CreateEvent, ddl.CreateSequence}
	c.each(func(st *ddl.Statement) {
		if slices.Contains(kinds, st.Kind) && strings.EqualFold(st.Name, d.Name) {
			by = st
		}
	})
	return by
}
