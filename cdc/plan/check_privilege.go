package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"changeover/cdc/schema"
)

func privilegeChecks() []Check {
	return []Check{
		{"what the source's account may do is enough", NeedsSource, func(f *Facts) []Finding { return f.lacks(f.Source) }},
		{"what the target's account may do is enough", NeedsTarget, func(f *Facts) []Finding { return f.lacks(f.Target) }},
	}
}

// lack is privileges that are missing on one place, for the same needs.
type lack struct {
	place place
	privs []string
	needs []Need
}

// lacks makes a finding for each place and purpose for which the account of a side lacks something.
func (f *Facts) lacks(s *Server) []Finding {
	var all []*lack
	for _, n := range f.needs() {
		if n.Side != s.Side {
			continue
		}
		for _, w := range n.wants {
			if !s.held(w) {
				all = note(all, n, w)
			}
		}
	}
	var findings []Finding
	for _, l := range merged(all) {
		findings = append(findings, l.finding(s))
	}
	return findings
}

// note adds a need to the privilege that it lacks.
func note(all []*lack, n Need, w want) []*lack {
	for _, l := range all {
		if l.place == w.place && l.privs[0] == w.names[0] {
			if !slices.ContainsFunc(l.needs, n.same) {
				l.needs = append(l.needs, n)
			}
			return all
		}
	}
	return append(all, &lack{w.place, w.names[:1], []Need{n}})
}

func (n Need) same(o Need) bool { return n.Stage == o.Stage && n.Purpose == o.Purpose }

// merged puts privileges together that the same needs lack on the same place.
func merged(all []*lack) (some []*lack) {
	for _, l := range all {
		i := slices.IndexFunc(some, func(o *lack) bool {
			return o.place == l.place && slices.EqualFunc(o.needs, l.needs, Need.same)
		})
		if i < 0 {
			some = append(some, &lack{l.place, slices.Clone(l.privs), l.needs})
			continue
		}
		some[i].privs = append(some[i].privs, l.privs...)
	}
	return some
}

// finding is as severe as the severest of what will not be.
func (l *lack) finding(s *Server) Finding {
	worst := l.needs[0]
	var without []string
	for _, n := range l.needs {
		if severities[n.severity] < severities[worst.severity] {
			worst = n
		}
		without = append(without, n.consequence()+n.without)
	}
	where := ""
	if !l.place.everywhere() {
		where = " on " + l.place.name()
	}
	return Finding{Code: worst.code, Severity: worst.severity, Side: s.Side, Object: l.place.name(),
		Detail: fmt.Sprintf("%s lacks %s%s: %s", s.Account, strings.Join(l.privs, ", "), where, strings.Join(without, "; ")),
		Remedy: grant(l.privs, l.place, s.Account)}
}

// consequence says how far the migration comes all the same.
func (n Need) consequence() string {
	switch {
	case n.Stage == ForRun && n.severity == Block:
		return ""
	case n.Stage == ForRun:
		return "run goes on, but "
	case n.Stage == ForCutover && n.Needed:
		return "run goes on, the cutover will be refused: "
	case n.Stage == ForCutover:
		return "run goes on, the cutover too, but "
	case n.Needed:
		return "run and the cutover go on, a rollback is not possible: "
	}
	return "run, cutover and rollback go on, but "
}

func (s *Schema) hasKeyless(database string) bool {
	return slices.ContainsFunc(s.Tables, func(t Table) bool { return t.Schema == database && t.RowKey < 0 })
}

// objectNeeds is what creating the objects of a database takes.
func (f *Facts) objectNeeds(database string) []string {
	if len(f.Source.Grants.Missing(database, "SHOW VIEW", "TRIGGER", "EVENT")) > 0 {
		return makesObjects() // which of them are there is not to be seen
	}
	byKind := map[schema.Kind][]string{
		schema.KindView: {"CREATE VIEW", "SHOW VIEW"}, schema.KindTrigger: {"TRIGGER"}, schema.KindEvent: {"EVENT"},
		// Who makes a view must be able to call the functions in it.
		schema.KindFunction: {"CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE"}, schema.KindProcedure: {"CREATE ROUTINE", "ALTER ROUTINE"},
	}
	needs := map[string]bool{}
	for _, o := range f.allObjects() {
		for _, p := range byKind[o.Kind] {
			needs[p] = needs[p] || o.Schema == database
		}
	}
	maps.DeleteFunc(needs, func(_ string, needed bool) bool { return !needed })
	return sortedKeys(needs)
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
