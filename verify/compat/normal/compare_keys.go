package normal

import (
	"fmt"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// keyed tells whether a column is in a key by which rows are found.
func (t *table) keyed(c *column) bool {
	return slices.ContainsFunc(t.keys, func(k *key) bool {
		return k.kind != ddl.FullText && slices.ContainsFunc(k.parts, func(p part) bool {
			name, _, _ := strings.Cut(p.form, "(")
			return strings.EqualFold(name, c.name)
		})
	})
}

// shape is what a key does, whatever it is called.
func (k *key) shape() string {
	parts := make([]string, len(k.parts))
	for i, p := range k.parts {
		parts[i] = p.form
	}
	return fmt.Sprint(keyWords[k.kind][0], " (", strings.Join(parts, ", "), ")", map[bool]string{true: " without overlaps"}[k.without])
}

func (k *key) String() string { return strings.TrimSpace(k.name + " " + k.shape()) }

// called is the key's name for a finding.
func (k *key) called() string {
	if k.kind == ddl.Primary {
		return "PRIMARY"
	}
	return k.name
}

// pairs joins what two lists have in common: first by name, then, of what is left, by what it does. What has no
// other gets none.
func pairs[T any](a, b []T, name, shape func(T) string) (both [][2]T, first, second []T) {
	left := slices.Clone(b)
	rest := slices.Clone(a)
	for _, by := range []func(T) string{name, shape} {
		var still []T
		for _, x := range rest {
			i := slices.IndexFunc(left, func(y T) bool { return by(y) == by(x) && by(x) != "" })
			if i < 0 {
				still = append(still, x)
				continue
			}
			both = append(both, [2]T{x, left[i]})
			left = slices.Delete(left, i, i+1)
		}
		rest = still
	}
	return both, rest, left
}

func (t *tables) keys() {
	both, first, second := pairs(t.a.keys, t.b.keys, func(k *key) string { return strings.ToLower(k.called()) }, (*key).shape)
	for _, p := range both {
		t.key(p[0], p[1])
	}
	for _, k := range first {
		t.add("DIF1107", Error, k.called(), "only "+t.first+" has such a key", k.String(), "")
	}
	for _, k := range second {
		t.add("DIF1107", Error, k.called(), "only "+t.second+" has such a key", "", k.String())
	}
	// Each vendor puts unique keys in an order of its own.
	if x, y := order(t.a.keys, both, 0), order(t.b.keys, both, 1); !t.flavors && !slices.Equal(x, y) {
		t.add("DIF1107", Info, "", "the keys are in another order", strings.Join(x, ", "), strings.Join(y, ", "))
	}
}

// order are the names, as the first has them, of the keys that both have, in one's order.
func order(keys []*key, both [][2]*key, side int) (names []string) {
	for _, k := range keys {
		for _, p := range both {
			if p[side] == k {
				names = append(names, p[0].called())
			}
		}
	}
	return names
}

func (t *tables) key(x, y *key) {
	if x.shape() != y.shape() {
		t.add("DIF1107", Error, x.called(), "the key is another", x.String(), y.String())
		return
	}
	if !strings.EqualFold(x.name, y.name) {
		t.add("DIF1107", Info, x.called(), "the key has another name", x.name, y.name)
	}
	if x.invisible != y.invisible {
		t.add("DIF1107", Info, x.called(), "the optimizer uses the key on one side only", visibility(x.invisible), visibility(y.invisible))
	}
	if a, b := directions(x), directions(y); a != b {
		t.add("DIF1107", Info, x.called(), "the key runs in another direction", a, b)
	}
	if x.parser != y.parser {
		t.add("DIF1107", Error, x.called(), "the parser of the full text differs", x.parser, y.parser)
	}
	if x.using != y.using {
		t.add("DIF1107", Info, x.called(), "the kind of the index differs", x.using, y.using)
	}
	if x.comment != y.comment && !t.dim(x.called(), "the comment", x.comment, y.comment) {
		t.add("DIF1113", Info, x.called(), "the comment of the key differs", x.comment, y.comment)
	}
}

func directions(k *key) string {
	parts := make([]string, len(k.parts))
	for i, p := range k.parts {
		if parts[i] = p.form; p.desc {
			parts[i] += " DESC"
		}
	}
	return strings.Join(parts, ", ")
}

func (f *foreign) shape() string { return "(" + f.columns + ") REFERENCES " + f.parent }

func (f *foreign) rules() string {
	var s string
	if f.onDelete != "" {
		s += " ON DELETE " + f.onDelete
	}
	if f.onUpdate != "" {
		s += " ON UPDATE " + f.onUpdate
	}
	return s
}

func (f *foreign) String() string { return f.shape() + f.rules() }

// foreign compares foreign keys by what they do: some names are the servers' own, and the order is no matter.
func (t *tables) foreign() {
	shape := (*foreign).shape
	both, first, second := pairs(t.a.foreign, t.b.foreign, (*foreign).String, shape)
	byName, first, second := pairs(first, second, func(f *foreign) string { return strings.ToLower(f.name) }, shape)
	for _, p := range slices.Concat(both, byName) {
		switch x, y := p[0], p[1]; {
		case x.String() != y.String():
			t.add("DIF1108", Error, x.name, "the foreign key is another", x.String(), y.String())
		case !strings.EqualFold(x.name, y.name):
			t.add("DIF1108", Info, x.name, "the foreign key has another name", x.name, y.name)
		}
	}
	for _, f := range first {
		t.add("DIF1108", Error, f.name, "only "+t.first+" has such a foreign key", f.String(), "")
	}
	for _, f := range second {
		t.add("DIF1108", Error, f.name, "only "+t.second+" has such a foreign key", "", f.String())
	}
}

// checks compares checks by what they hold, and only what is left by name.
func (t *tables) checks() {
	form := func(c *check) string { return c.form }
	own := func(table string) func(*check) string {
		return func(c *check) string {
			if c.column != "" || c.madeUp(table) {
				return ""
			}
			return strings.ToLower(c.name)
		}
	}
	named := own(t.a.name)
	both, first, second := pairs(t.a.checks, t.b.checks, func(c *check) string { return named(c) + " " + c.form }, form)
	byName, first, second := pairs(first, second, named, func(c *check) string { return blurred(c.form) })
	for _, p := range slices.Concat(both, byName) {
		t.check(p[0], p[1], named)
	}
	for _, c := range first {
		t.add("DIF1109", t.alone(c, second), t.of(c), "only "+t.first+" has such a check", c.shown, "")
	}
	for _, c := range second {
		t.add("DIF1109", t.alone(c, first), t.of(c), "only "+t.second+" has such a check", "", c.shown)
	}
}

// alone is the severity of a check that has no other: one that is left on the other side too may be the same.
func (t *tables) alone(c *check, others []*check) Severity {
	for _, o := range others {
		if t.written(c.text, o.text) == Warning {
			return Warning
		}
	}
	return Error
}

// of is what a check is about: its name or, if the server made that up, nothing.
func (t *tables) of(c *check) string {
	if c.column != "" {
		return c.column
	}
	if c.madeUp(t.a.name) {
		return ""
	}
	return c.name
}

func (t *tables) check(x, y *check, named func(*check) string) {
	part := t.of(x)
	switch {
	case t.dim(part, "the check", x.form, y.form):
	case x.form != y.form:
		t.add("DIF1109", t.written(x.text, y.text), part, "the check is written otherwise", x.shown, y.shown)
	case named(x) != "" && named(y) != "" && named(x) != named(y):
		t.add("DIF1109", Info, part, "the check has another name", x.name, y.name)
	}
	if x.off != y.off {
		t.add("DIF1109", Error, part, "the check is enforced on one side only", enforcement(x), enforcement(y))
	}
}

func enforcement(c *check) string {
	if c.off {
		return "not enforced"
	}
	return "enforced"
}
