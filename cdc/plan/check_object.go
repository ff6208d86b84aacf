package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"changeover/cdc/schema"
	"changeover/internal/config"
	"changeover/internal/fault"
)

func objectChecks() []Check {
	return []Check{
		{"definitions can be put into the target's dialect", NeedsBoth, translation},
		{"views", NeedsSource, objects(fault.Views, func(d schema.Database) []schema.Object { return d.Views }, "created after the copy")},
		{"routines", NeedsSource, objects(fault.Routines, func(d schema.Database) []schema.Object { return d.Routines }, "created after the copy")},
		{"triggers", NeedsSource, objects(fault.Triggers, func(d schema.Database) []schema.Object { return d.Triggers },
			"created at the cutover only: until then the stream brings what they did on the source")},
		{"events", NeedsSource, objects(fault.Events, func(d schema.Database) []schema.Object { return d.Events },
			"created at the cutover only, and enabled once the target is the writer")},
		{"definers exist on the target", NeedsBoth, definers},
	}
}

// translation does what run will do, without the target hearing of it.
func translation(f *Facts) []Finding {
	if f.Definitions == nil || f.Dialect == nil {
		return nil
	}
	_, notes, err := f.Definitions.Translate(f.Dialect, schema.TranslateOptions{})
	var findings []Finding
	for _, e := range faults(err) {
		where, _, _ := strings.Cut(e.Detail, ": ")
		if f.refusedAlready(where) {
			continue
		}
		findings = append(findings, Finding{Code: e.Code, Severity: Block, Side: Source, Object: where, Detail: e.Detail})
	}
	for _, n := range notes {
		where := strings.TrimSuffix(n.Schema+"."+n.Name, ".")
		if f.refusedAlready(where) {
			continue
		}
		findings = append(findings, Finding{Code: fault.Translated, Severity: Note, Side: Source, Object: where, Detail: where + ": " + n.Text})
	}
	return findings
}

// refusedAlready: the rules on tables say the same, also while the target can't be reached, and with
// the statement that mends it.
func (f *Facts) refusedAlready(table string) bool {
	isRefused := func(t Table) bool {
		return t.Name() == table && (t.Type != baseTable || len(engine(f, t))+len(columnTypes(f, t)) > 0)
	}
	return slices.ContainsFunc(f.Schema.Odd, isRefused) || slices.ContainsFunc(f.Schema.Tables, isRefused)
}

// faults takes joined errors apart.
func faults(err error) []*fault.Error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*fault.Error
		for _, e := range joined.Unwrap() {
			all = append(all, faults(e)...)
		}
		return all
	}
	var e *fault.Error
	if errors.As(err, &e) {
		return []*fault.Error{e}
	}
	return nil
}

func objects(code fault.Code, which func(schema.Database) []schema.Object, fate string) func(*Facts) []Finding {
	return func(f *Facts) []Finding {
		if f.Definitions == nil {
			return nil
		}
		var names []string
		for _, d := range f.Definitions.Databases {
			for _, o := range which(d) {
				names = append(names, o.Schema+"."+o.Name)
			}
		}
		if len(names) == 0 {
			return nil
		}
		return one(code, Note, Source, "%d, %s: %s", len(names), fate, list(names))
	}
}

// DefinerPolicy is the configuration's decision in the words of the package that carries it out.
func DefinerPolicy(m config.MissingDefiner) schema.DefinerPolicy {
	switch m {
	case config.AutoDefiner:
		return schema.DefinersAuto
	case config.KeepDefiner:
		return schema.DefinersKeep
	case config.StopAtDefiner:
		return schema.DefinersStop
	}
	return schema.DefinersReplace
}

func definers(f *Facts) []Finding {
	if f.Definitions == nil || f.Dialect == nil {
		return nil
	}
	all, err := f.Definitions.Definers(f.Dialect, DefinerPolicy(f.Config.Definers.Missing))
	var findings []Finding
	for _, d := range all {
		severity := Decide
		if err != nil && d.Use == d.Account && d.Note != "" {
			severity = Block
		}
		if d.Note != "" {
			findings = append(findings, Finding{Code: fault.Definer, Severity: severity, Side: Target, Object: d.Account,
				Detail: fmt.Sprintf("%s of %s: %s (definers.missing: %s)", d.Account, list(d.Objects), d.Note, f.Config.Definers.Missing)})
		}
	}
	return findings
}

// allObjects are all definitions that have a definer.
func (f *Facts) allObjects() []schema.Object {
	var all []schema.Object
	if f.Definitions != nil {
		for _, d := range f.Definitions.Databases {
			for _, some := range [][]schema.Object{d.Views, d.Routines, d.Triggers, d.Events} {
				all = append(all, some...)
			}
		}
	}
	return all
}
