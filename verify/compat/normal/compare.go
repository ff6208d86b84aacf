package normal

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"changeover/internal/server"
)

// Severity is how bad a difference is.
type Severity string

// The severities. Unchecked is of DIF1115: nobody knows.
const (
	Error     Severity = "error"
	Warning   Severity = "warning"
	Info      Severity = "info"
	Unchecked Severity = "unchecked"
)

// Difference is one thing in which two servers are not the same.
type Difference struct {
	Rule     string // "DIF1103"
	Severity Severity
	// Schema and Name are of the object as a has it, or as b has it if a has none. Part is the column, key,
	// constraint or check within a table that it is about; empty if it is about all of it.
	Schema, Name, Part string
	Kind               string // "table", "view", …
	What               string // in words
	A, B               string // what a and b have; empty: nothing
}

// Object names what differs: schema.table.column, or the database.
func (d *Difference) Object() string {
	o := d.Schema
	if d.Name != "" {
		o += "." + d.Name
	}
	if d.Part != "" {
		o += "." + d.Part
	}
	return o
}

// Compare gives all differences between two servers, in the order of the objects' names and the rules. A must have
// been read with the names that its databases have on b.
func Compare(a, b *Schema) []Difference {
	if a.fold || b.fold {
		a, b = a.foldNames(), b.foldNames()
	}
	c := &comparison{flavors: a.flavor != b.flavor, first: cmp.Or(a.called, "the first"), second: cmp.Or(b.called, "the second")}
	c.kinds(a, b)
	for _, k := range sortedKeys(a.tables, b.tables) {
		c.tables(a, b, k)
	}
	for _, k := range sortedKeys(a.programs, b.programs) {
		c.programs(a, b, k)
	}
	slices.SortStableFunc(c.found, func(x, y Difference) int {
		return cmp.Or(strings.Compare(x.Schema, y.Schema), strings.Compare(x.Name, y.Name), strings.Compare(x.Kind, y.Kind), strings.Compare(x.Rule, y.Rule), strings.Compare(x.Part, y.Part), strings.Compare(x.What, y.What))
	})
	return c.found
}

func (s *Schema) foldNames() *Schema {
	f := *s
	f.tables, f.programs, f.others = folded(s.tables), folded(s.programs), folded(s.others)
	return &f
}

// all gives what is under a key, whatever it is.
func (s *Schema) all(k string) *thing {
	if t := s.tables[k]; t != nil {
		return &t.thing
	}
	if p := s.programs[k]; p != nil {
		return &p.thing
	}
	return s.others[k]
}

// comparison is one on its way.
type comparison struct {
	// flavors tells that the servers are not of one vendor: then two expressions that are written otherwise may
	// well be the same.
	flavors       bool
	first, second string // what the servers are called
	at            *thing
	found         []Difference
}

func (c *comparison) add(rule string, s Severity, part, what, a, b string) {
	c.found = append(c.found, Difference{Rule: rule, Severity: s, Schema: c.at.schema, Name: c.at.name, Kind: c.at.kind, Part: part, What: what, A: a, B: b})
}

// written is the severity of two expressions that are not written alike. Between vendors they may yet mean the
// same, unless all that differs is a number or a string.
func (c *comparison) written(x, y text) Severity {
	a, values := skeleton(x.form)
	b, others := skeleton(y.form)
	if c.flavors && (a != b || len(values) != len(others)) {
		return Warning
	}
	return Error
}

// skeleton is a form without its numbers and strings, and these. A name in backticks has none.
func skeleton(form string) (string, []string) {
	var values []string
	bare := literals.ReplaceAllStringFunc(form, func(l string) string {
		switch {
		case l[0] == '`':
			return l
		case l[0] == '\'':
			values = append(values, l)
			return "''"
		}
		values = append(values, l)
		return "0"
	})
	return bare, values
}

var literals = regexp.MustCompile("`[^`]*`|'(?:[^']|'')*'|\\b[0-9][0-9a-z.]*")

// kinds compares which objects there are, and of what kind.
func (c *comparison) kinds(a, b *Schema) {
	keys := map[string]bool{}
	for _, s := range []*Schema{a, b} {
		for k := range s.tables {
			keys[k] = true
		}
		for k := range s.programs {
			keys[k] = true
		}
		for k := range s.others {
			keys[k] = true
		}
	}
	for _, k := range sortedKeys(keys, nil) {
		x, y := a.all(k), b.all(k)
		switch {
		case x == nil:
			c.at = y
			c.add("DIF1101", Error, "", "only "+c.second+" has such "+aOrAn(y.kind), "", y.String())
		case y == nil:
			c.at = x
			c.add("DIF1101", Error, "", "only "+c.first+" has such "+aOrAn(x.kind), x.String(), "")
		case x.kind != y.kind:
			c.at = x
			c.add("DIF1101", Error, "", "for "+c.first+" it is "+aOrAn(x.kind)+", for "+c.second+" "+aOrAn(y.kind), x.kind, y.kind)
		case a.others[k] != nil && x.unsure != "" || b.others[k] != nil && y.unsure != "":
			c.unsure(x, y)
		}
	}
}

// aOrAn is a kind of objects with its article.
func aOrAn(kind string) string {
	if strings.IndexAny(kind, "aeiou") == 0 {
		return "an " + kind
	}
	return "a " + kind
}

// unsure says that two things can't be compared, if one of them can't; it tells whether it did.
func (c *comparison) unsure(x, y *thing) bool {
	c.at = x
	switch {
	case x.unsure != "":
		c.add("DIF1115", Unchecked, "", "of "+c.first+": "+x.unsure, "", "")
	case y.unsure != "":
		c.add("DIF1115", Unchecked, "", "of "+c.second+": "+y.unsure, "", "")
	default:
		return false
	}
	return true
}

// dim says that two texts differ by no more than characters that a server shows as question marks.
func (c *comparison) dim(part, what string, x, y string) bool {
	beyond := func(r rune) bool { return r > 0xffff }
	if x == y || blurred(x) != blurred(y) || strings.IndexFunc(x+y, beyond) < 0 {
		return false
	}
	c.add("DIF1115", Unchecked, part, what+" has characters that one of the servers shows as ?", x, y)
	return true
}

func (c *comparison) programs(a, b *Schema, k string) {
	x, y := a.programs[k], b.programs[k]
	if x == nil || y == nil || x.kind != y.kind || c.unsure(&x.thing, &y.thing) {
		return
	}
	c.at = &x.thing
	for _, f := range x.facets {
		g := y.facet(f.what)
		c.facet(f, g)
	}
	for _, g := range y.facets {
		if x.facet(g.what).what == "" {
			c.facet(facet{what: g.what, rule: g.rule, severity: g.severity}, g)
		}
	}
}

func (c *comparison) facet(x, y facet) {
	if x.form == y.form || c.dim("", x.what, x.form, y.form) {
		return
	}
	c.add(x.rule, x.severity, "", x.what+" of the "+c.at.kind+" differs", x.shown, y.shown)
}

func (p *program) facet(what string) facet {
	for _, f := range p.facets {
		if f.what == what {
			return f
		}
	}
	return facet{}
}

func (c *comparison) tables(a, b *Schema, k string) {
	x, y := a.tables[k], b.tables[k]
	if x == nil || y == nil || c.unsure(&x.thing, &y.thing) {
		return
	}
	t := tables{comparison: c, a: x, b: y}
	if c.flavors {
		t.documents(a.flavor, b.flavor)
	}
	t.options()
	t.columns()
	t.keys()
	t.foreign()
	t.checks()
	if x.partition.form != y.partition.form && !c.dim("", "the partitioning", x.partition.form, y.partition.form) {
		c.add("DIF1110", Error, "", "the partitioning differs", x.partition.shown, y.partition.shown)
	}
}

// tables compares two tables.
type tables struct {
	*comparison
	a, b *table
}

// documents makes MariaDB's longtext that is valid JSON the type json, where MySQL has that.
func (t *tables) documents(a, b server.Flavor) {
	like := func(maria, other *table) *table {
		m := *maria
		m.columns, m.checks = slices.Clone(m.columns), slices.Clone(m.checks)
		for i, c := range m.columns {
			if o := other.column(c.name); c.document && o != nil && o.kind == "json" {
				n := *c
				n.kind, n.collation = "json", ""
				m.columns[i] = &n
				at := m.validity(c)
				m.checks = slices.Delete(m.checks, at, at+1)
			}
		}
		return &m
	}
	switch server.MariaDB {
	case a:
		t.a = like(t.a, t.b)
	case b:
		t.b = like(t.b, t.a)
	}
}

func (t *tables) options() {
	a, b := t.a, t.b
	if a.engine != b.engine {
		t.add("DIF1112", Warning, "", "the engine differs", a.engine, b.engine)
	} else if a.rowFormat != b.rowFormat && a.rowFormat != "" && b.rowFormat != "" {
		t.add("DIF1112", Warning, "", "the row format differs", a.rowFormat, b.rowFormat)
	}
	if x, y := strings.Join(a.storage, " "), strings.Join(b.storage, " "); x != y {
		t.add("DIF1112", Warning, "", "how rows are stored differs", x, y)
	}
	if a.versioned != b.versioned {
		t.add("DIF1112", Error, "", "old versions of rows are kept on one side only", fmt.Sprint(a.versioned), fmt.Sprint(b.versioned))
	}
	if a.collation != b.collation {
		t.add("DIF1106", Warning, "", "the default collation of the table differs"+t.followers(), a.collation, b.collation)
	}
	if a.comment != b.comment && !t.dim("", "the comment", a.comment, b.comment) {
		t.add("DIF1113", Info, "", "the comment of the table differs", a.comment, b.comment)
	}
}

// follows tells whether a column has the collation of its table on both sides: then the table's finding is its own.
func (t *tables) follows(x, y *column) bool {
	return x.collation == t.a.collation && y.collation == t.b.collation
}

// followers says how many columns have the default collation on both sides.
func (t *tables) followers() string {
	n := 0
	for _, x := range t.a.columns {
		if y := t.b.column(x.name); y != nil && x.collation != "" && t.follows(x, y) {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and so do the columns that have it: %d", n)
}

func (t *tables) columns() {
	var both, second []string
	for _, x := range t.a.columns {
		y := t.b.column(x.name)
		if y == nil {
			t.add("DIF1102", Error, x.name, "only "+t.first+" has such a column", x.kind, "")
			continue
		}
		both = append(both, strings.ToLower(x.name))
		t.column(x, y)
	}
	for _, y := range t.b.columns {
		if t.a.column(y.name) == nil {
			t.add("DIF1102", Error, y.name, "only "+t.second+" has such a column", "", y.kind)
			continue
		}
		second = append(second, strings.ToLower(y.name))
	}
	if !slices.Equal(both, second) {
		t.add("DIF1111", Warning, "", "the columns are in another order", strings.Join(both, ", "), strings.Join(second, ", "))
	}
}

func (t *tables) column(x, y *column) {
	if x.name != y.name {
		t.add("DIF1102", Info, x.name, "the name is written otherwise", x.name, y.name)
	}
	t.kind(x, y)
	if x.notNull != y.notNull {
		t.add("DIF1104", Error, x.name, "one may be NULL and the other not", nullity(x), nullity(y))
	}
	t.value(x, y)
	switch keyed := t.a.keyed(x) || t.b.keyed(y); {
	case x.collation == y.collation, x.collation == "", y.collation == "":
	case keyed:
		t.add("DIF1106", Error, x.name, "the collation differs", x.collation, y.collation)
	case !t.follows(x, y):
		t.add("DIF1106", Warning, x.name, "the collation differs", x.collation, y.collation)
	}
	if x.invisible != y.invisible {
		t.add("DIF1111", Warning, x.name, "SELECT * has it on one side only: it is invisible on the other", visibility(x.invisible), visibility(y.invisible))
	}
	if x.packed != y.packed {
		t.add("DIF1112", Warning, x.name, "the column is compressed on one side only", fmt.Sprint(x.packed), fmt.Sprint(y.packed))
	}
	if x.comment != y.comment && !t.dim(x.name, "the comment", x.comment, y.comment) {
		t.add("DIF1113", Info, x.name, "the comment of the column differs", x.comment, y.comment)
	}
}

// kind compares the type and how a column is computed.
func (t *tables) kind(x, y *column) {
	switch {
	case t.dim(x.name, "the type", x.kind, y.kind):
	case x.kind != y.kind:
		severity := Error
		if clients(x.kind) == clients(y.kind) {
			severity = Warning
		}
		t.add("DIF1103", severity, x.name, "the type differs", x.kind, y.kind)
	case x.srid != y.srid:
		t.add("DIF1103", Warning, x.name, "the reference system differs", x.srid, y.srid)
	}
	switch {
	case x.generated.is() != y.generated.is(), x.generated.is() && x.stored != y.stored:
		t.add("DIF1103", Error, x.name, "it is computed otherwise", computed(x), computed(y))
	case t.dim(x.name, "the expression", x.generated.form, y.generated.form):
	case x.generated.form != y.generated.form:
		t.add("DIF1103", t.written(x.generated, y.generated), x.name, "the expression by which it is computed is written otherwise", computed(x), computed(y))
	}
}

// clients is a type without the width for which clients take a tinyint(1) for a boolean.
func clients(kind string) string { return strings.Replace(kind, "tinyint(1)", "tinyint", 1) }

func computed(c *column) string {
	switch {
	case !c.generated.is():
		return ""
	case c.stored:
		return c.generated.shown + " stored"
	}
	return c.generated.shown + " virtual"
}

func nullity(c *column) string {
	if c.notNull {
		return "NOT NULL"
	}
	return "NULL"
}

func visibility(invisible bool) string {
	if invisible {
		return "invisible"
	}
	return "visible"
}

// value compares what a column gets that is not given.
func (t *tables) value(x, y *column) {
	a, b := x.value, y.value
	switch {
	case t.dim(x.name, "the default", a.form, b.form):
	case a.form != b.form:
		severity := Error
		if !a.literal && !b.literal {
			severity = t.written(a.text, b.text)
		}
		t.add("DIF1105", severity, x.name, "the default differs", a.String(), b.String())
	}
	if x.onUpdate.form != y.onUpdate.form {
		t.add("DIF1105", Error, x.name, "what an update sets differs", x.onUpdate.shown, y.onUpdate.shown)
	}
	if x.auto != y.auto {
		t.add("DIF1105", Error, x.name, "it counts up by itself on one side only", auto(x), auto(y))
	}
}

func (v value) String() string {
	if v.form == noDefault {
		return "no default"
	}
	return cmp.Or(v.shown, "NULL or none")
}

func auto(c *column) string {
	if c.auto {
		return "AUTO_INCREMENT"
	}
	return ""
}
