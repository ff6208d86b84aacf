package schema

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// EnginePolicy says what becomes of tables of other engines than InnoDB.
type EnginePolicy uint8

// The engine policies.
const (
	// RefuseEngines: such a table can't be carried.
	RefuseEngines EnginePolicy = iota
	// ConvertEngines: the table is InnoDB on the target. Only for engines that store rows of
	// their own: MyISAM, Aria, MEMORY and the like.
	ConvertEngines
)

// TranslateOptions are the decisions that a translation needs.
type TranslateOptions struct {
	Engines EnginePolicy
}

// Translate puts the definitions into the target's dialect. Between two MySQLs that changes next
// to nothing. Each thing that a definition has to give up, or that changes in it, is a note; what
// can't be carried is a fault.SchemaUnsupported. All of them come at once, joined (errors.Join).
//
// s is not changed; the objects' definers are CreateRoutines' concern.
func (s *Schema) Translate(t *Target, o TranslateOptions) (*Schema, []Note, error) {
	tr := &translator{target: t, options: o, mariaDB: s.Flavor == server.MariaDB}
	out := &Schema{Flavor: server.MySQL}
	if t.Flavor != "" {
		out.Flavor = t.Flavor
	}
	for _, d := range s.Databases {
		out.Databases = append(out.Databases, tr.database(d))
	}
	return out, tr.notes, errors.Join(tr.problems...)
}

// TranslateTable is Translate for one table's statement.
func TranslateTable(t Table, from server.Flavor, target *Target, o TranslateOptions) (Table, []Note, error) {
	tr := &translator{target: target, options: o, mariaDB: from == server.MariaDB, checks: map[string]bool{}}
	out := tr.table(t)
	return out, tr.notes, errors.Join(tr.problems...)
}

type translator struct {
	target   *Target
	options  TranslateOptions
	mariaDB  bool
	notes    []Note
	problems []error

	schema, name string          // what is being translated
	checks       map[string]bool // names of CHECK constraints that the database has already
}

// note records what became of something; the same sentence once for each definition.
func (tr *translator) note(format string, args ...any) {
	n := Note{tr.schema, tr.name, fmt.Sprintf(format, args...)}
	if !slices.Contains(tr.notes, n) {
		tr.notes = append(tr.notes, n)
	}
}

func (tr *translator) problem(format string, args ...any) {
	where := tr.schema
	if tr.name != "" {
		where += "." + tr.name
	}
	tr.problems = append(tr.problems, fault.New(fault.SchemaUnsupported, "%s: %s", where, fmt.Sprintf(format, args...)))
}

func (tr *translator) database(d Database) Database {
	tr.schema, tr.name, tr.checks = d.Name, "", map[string]bool{}
	d.Collation = tr.collation(d.Collation)
	d.Tables = slices.Clone(d.Tables)
	for i, t := range d.Tables {
		d.Tables[i] = tr.table(t)
	}
	for _, objects := range []*[]Object{&d.Views, &d.Routines, &d.Triggers, &d.Events} {
		*objects = slices.Clone(*objects)
		for i, o := range *objects {
			(*objects)[i] = tr.object(o)
		}
	}
	return d
}

// table translates one table; a statement that isn't understood is a problem, never carried blind.
func (tr *translator) table(t Table) Table {
	tr.schema, tr.name = t.Schema, t.Name
	d, err := Parse(t.Create)
	if err != nil {
		tr.problem("%v", err)
		return t
	}
	for i := range d.Parts {
		d.Parts[i].Text = tr.part(d, d.Parts[i])
	}
	d.Options = tr.tableOptions(d.Options)
	// The name as SHOW CREATE has it, without the database: two of them compare as text.
	if tr.mariaDB || d.changes(t.Create) {
		t.Create = strings.Replace(d.SQL("", t.Name), "CREATE TABLE ``.", "CREATE TABLE ", 1)
	}
	return t
}

// changes tells whether the definition, printed again, isn't the statement that it was cut from.
func (d *Definition) changes(create string) bool {
	for _, p := range d.Parts {
		if !strings.Contains(create, p.Text) {
			return true
		}
	}
	return !strings.HasSuffix(strings.TrimSpace(create), d.Options)
}

func (tr *translator) part(d *Definition, p Part) string {
	r := newRewrite(p.Text)
	tr.collations(r)
	if p.Kind == Column {
		tr.unshown(r, p.Name)
	}
	if !tr.mariaDB {
		return r.String()
	}
	switch p.Kind {
	case Column:
		tr.column(r, p.Name)
	case UniqueKey, PlainKey, FullTextKey, SpatialKey, PrimaryKey:
		tr.key(r, d, p)
	case Check:
		tr.check(r, p.Name)
	case OtherPart:
		tr.problem("%s has no counterpart", shorten(p.Text))
	}
	return r.String()
}

// unshown says where a server may have lost something before Changeover could see it: both print a
// question mark for a character over U+FFFF in the names of an ENUM's or SET's members, MariaDB in
// literal defaults too, and no other place tells what is there. The rows' values are carried
// whole, so verification finds a member that isn't the same.
func (tr *translator) unshown(r *rewrite, name string) {
	members := r.at(1).is("enum", "set")
	for i, t := range r.tokens {
		value, ok := t.literal()
		if !ok || !bytes.ContainsRune(value, '?') {
			continue
		}
		switch before := r.at(i - 1); {
		case members && before.is("(", ","):
			tr.note("column %s: member %s has a question mark; the server prints one for an emoji too: look at a row's value", name, t.text)
		case tr.mariaDB && before.is("DEFAULT"):
			tr.note("column %s: default %s has a question mark; MariaDB prints one for an emoji too: look at a row's value", name, t.text)
		}
	}
}

// collations replaces the collations that the target doesn't know.
func (tr *translator) collations(r *rewrite) {
	for i, t := range r.tokens {
		at := i + 1
		if r.at(at).is("=") {
			at++
		}
		if name := r.at(at); t.is("COLLATE") && name.kind == word {
			if to := tr.collation(name.text); to != name.text {
				r.replace(at, at+1, to)
			}
		}
	}
}

// collation is the target's name for a collation, or the one that comes nearest.
func (tr *translator) collation(name string) string {
	if name == "" || tr.target.Collations[name] {
		return name
	}
	if rest, ok := strings.CutPrefix(name, "utf8_"); ok && tr.target.Collations["utf8mb3_"+rest] {
		return "utf8mb3_" + rest
	}
	if rest, ok := strings.CutPrefix(name, "utf8mb3_"); ok && tr.target.Collations["utf8_"+rest] {
		return "utf8_" + rest
	}
	near := nearestCollation(name)
	if tr.target.Flavor == server.MariaDB {
		near = tr.nearestOnMariaDB(name)
	}
	if near == "" || !tr.target.Collations[near] {
		tr.problem("the target has no collation %s, and none that sorts nearly like it", name)
		return name
	}
	tr.note("collation %s becomes %s: a few strings sort or compare differently, in unique keys too", name, near)
	return near
}

// nearestCollation is MySQL's nearest to one of MariaDB's own: the same padding, the same
// sensitivity to case and accents, the newest version of Unicode's rules that MySQL has with
// these. Empty if there is none; collations of one language are not guessed.
func nearestCollation(name string) string {
	switch name {
	case "utf8mb4_uca1400_ai_ci", "utf8mb3_uca1400_ai_ci", "utf16_uca1400_ai_ci", "utf32_uca1400_ai_ci", "ucs2_uca1400_ai_ci":
		charset, _, _ := strings.Cut(name, "_")
		return charset + "_unicode_520_ci"
	case "utf8mb4_uca1400_nopad_ai_ci":
		return "utf8mb4_0900_ai_ci"
	case "utf8mb4_uca1400_nopad_as_ci":
		return "utf8mb4_0900_as_ci"
	case "utf8mb4_uca1400_nopad_as_cs":
		return "utf8mb4_0900_as_cs"
	case "utf8mb4_nopad_bin":
		return "utf8mb4_0900_bin"
	}
	return ""
}

// nearestOnMariaDB is nearestCollation the other way round, for what was changed on MySQL after a
// cutover and goes back by a rollback.
func (tr *translator) nearestOnMariaDB(name string) string {
	near := map[string][]string{
		"utf8mb4_0900_ai_ci": {"utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_unicode_520_nopad_ci"},
		"utf8mb4_0900_as_ci": {"utf8mb4_uca1400_nopad_as_ci"},
		"utf8mb4_0900_as_cs": {"utf8mb4_uca1400_nopad_as_cs"},
		"utf8mb4_0900_bin":   {"utf8mb4_nopad_bin"},
	}
	for _, n := range near[name] {
		if tr.target.Collations[n] {
			return n
		}
	}
	return ""
}

// key translates an index.
func (tr *translator) key(r *rewrite, d *Definition, p Part) {
	for i, t := range r.tokens {
		switch {
		case t.is("IGNORED"):
			r.replace(i, i+1, "INVISIBLE")
		case matches(r.tokens[i:], "USING", "HASH"):
			tr.hashKey(r, i, d, p)
		case matches(r.tokens[i:], "WITHOUT", "OVERLAPS"):
			tr.problem("key %s WITHOUT OVERLAPS has no counterpart", p.Name)
		case t.is("CLUSTERING"):
			tr.note("key %s is not clustering", p.Name)
			r.drop(i, min(i+3, len(r.tokens)))
		}
	}
}

// hashKey: InnoDB has no hash indexes and makes trees of them, but MariaDB's unique keys over
// whole texts are kept by a hidden hash, which MySQL can't.
func (tr *translator) hashKey(r *rewrite, at int, d *Definition, p Part) {
	for i, name := range p.Columns {
		c := d.column(name)
		if p.Kind == UniqueKey && c != nil && !p.Prefixed[i] && isLong(typeOf(c.Text)) {
			tr.problem("unique key %s covers the whole of column %s; MySQL needs a length there", p.Name, name)
			return
		}
	}
	r.drop(at, at+2)
}

// typeOf is the type's name in a column's text: the word after its name, in lower case.
func typeOf(column string) string {
	tokens := tokenize(column)
	if len(tokens) < 2 {
		return ""
	}
	return strings.ToLower(tokens[1].text)
}

// isLong: types that have no literal default and no whole index on MySQL.
func isLong(typ string) bool {
	return strings.HasSuffix(typ, "text") || strings.HasSuffix(typ, "blob") || typ == "json" || isGeometry(typ)
}

func isGeometry(typ string) bool {
	switch typ {
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
		"geometrycollection", "geomcollection":
		return true
	}
	return false
}

// check leaves out the name of a CHECK that MariaDB made up: there names are unique in a table,
// on MySQL in a database.
func (tr *translator) check(r *rewrite, name string) {
	if name == "" {
		return
	}
	taken := tr.checks[strings.ToLower(name)]
	tr.checks[strings.ToLower(name)] = true
	madeUp := regexp.MustCompile(`^CONSTRAINT_\d+$`).MatchString(name)
	if !madeUp && !taken {
		return
	}
	if !madeUp {
		tr.note("CHECK %s gets a name from the target: another table's has it", name)
	}
	to := r.at(2)
	r.edits = append(r.edits, edit{0, to.start, ""})
}
