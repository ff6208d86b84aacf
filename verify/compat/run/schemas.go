package run

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"changeover/verify/compat"
)

// object names one in a server. Programs may be called as tables are.
type object struct {
	kind         string // "database", "table", "view", …, "account"
	schema, name string
}

// schemas is what a server has but for its own databases.
type schemas struct {
	texts map[object]string
	// database is the one whose objects are named without it.
	database string
}

// difference is an object that is otherwise than it was.
type difference struct{ object, what string }

// schemas reads what the server has. The files' session is not asked: it may have another sql_mode.
func (r *runner) schemas(ctx context.Context) (schemas, error) {
	bounded, cancel := context.WithTimeout(ctx, r.opts.Patience)
	defer cancel()
	p, err := compat.Look(bounded, r.root, compat.LookOptions{})
	if err != nil {
		return schemas{}, r.broken(ctx, "a look at the schemas", err)
	}
	return schemasOf(p, r.opts.Database), nil
}

// passing are parts of definitions that say when something was made, or how often it was used, not what it is.
var passing = regexp.MustCompile(` AUTO_INCREMENT=\d+| STARTS '[^']*'`)

func schemasOf(p *compat.Picture, database string) schemas {
	s := schemas{texts: map[object]string{}, database: database}
	for _, d := range p.Databases {
		s.texts[object{kind: "database", schema: d.Name, name: d.Name}] = d.Charset + " " + d.Collation
	}
	for i := range p.Objects {
		o := &p.Objects[i]
		s.texts[object{kind: o.Kind, schema: o.Schema, name: o.Name}] = passing.ReplaceAllString(o.SQL, "") +
			strings.Join([]string{"", o.Definer, o.Security, o.SQLMode, o.Charset, o.Connection, o.DatabaseCollation, o.Status}, "\n")
	}
	for _, a := range p.Accounts {
		s.texts[object{kind: "account", name: a.User + "@" + a.Host}] = fmt.Sprint(a.Plugin, a.Locked)
	}
	return s
}

// differences are what is otherwise in after, by name.
func (s schemas) differences(after schemas) []difference {
	all := maps.Clone(s.texts)
	maps.Copy(all, after.texts)
	var out []difference
	for _, o := range slices.SortedFunc(maps.Keys(all), compareObjects) {
		was, had := s.texts[o]
		is, has := after.texts[o]
		if was == is && had == has {
			continue
		}
		d := difference{object: label(o.schema, o.name), what: "the " + o.kind + " is gone"}
		if o.schema == s.database || o.kind == "database" {
			d.object = o.name
		}
		switch {
		case !had:
			d.what = "the " + o.kind + " is left behind"
		case has:
			if d.what = changed(o, was, is); d.what == "" {
				continue
			}
		}
		out = append(out, d)
	}
	return out
}

func compareObjects(a, b object) int {
	return strings.Compare(a.schema+"\x00"+a.name+"\x00"+a.kind, b.schema+"\x00"+b.name+"\x00"+b.kind)
}

// changed says what is otherwise in a definition; empty: only the order of its keys.
func changed(o object, was, is string) string {
	if o.kind != "table" {
		return "the " + o.kind + " is another"
	}
	before, after := lines(was), lines(is)
	var said []string
	if lost := without(before, after); len(lost) > 0 {
		said = append(said, "it lacks "+strings.Join(lost, "; "))
	}
	if more := without(after, before); len(more) > 0 {
		said = append(said, "it has "+strings.Join(more, "; "))
	}
	if len(said) == 0 && !slices.Equal(columnLines(before), columnLines(after)) {
		said = append(said, "its columns stand in another order")
	}
	return strings.Join(said, ", and ")
}

// address is where a FEDERATED table's rows are, with a password.
var address = regexp.MustCompile(`CONNECTION='(?:[^']|\'\')*'`)

// lines are a definition's, without the commas between them and without what is secret.
func lines(text string) (all []string) {
	for line := range strings.Lines(address.ReplaceAllString(text, "CONNECTION='…'")) {
		all = append(all, strings.TrimSuffix(strings.TrimSpace(line), ","))
	}
	return all
}

// columnLines are the lines that begin with a name.
func columnLines(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(l string) bool { return !strings.HasPrefix(l, "`") })
}

// without is what is in a and not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(l string) bool { return slices.Contains(b, l) })
}
