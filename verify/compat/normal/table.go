package normal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// table is a table in normal form.
type table struct {
	thing
	engine, rowFormat, collation, comment string
	// storage are options that say where and how rows are kept, NAME=value in the order of their names.
	storage   []string
	versioned bool // MariaDB keeps old versions of rows
	columns   []*column
	keys      []*key
	foreign   []*foreign
	checks    []*check
	partition text
}

// column is a column in normal form.
type column struct {
	name      string
	kind      string // its type: "varchar(20)", "int unsigned"
	collation string // of a text, effective; empty of anything else
	notNull   bool
	value     value // its DEFAULT
	onUpdate  text
	auto      bool
	generated text
	stored    bool
	invisible bool
	srid      string
	packed    bool // MariaDB's COMPRESSED
	comment   string
	// document is MariaDB's JSON: a longtext of utf8mb4_bin that a CHECK of its own holds to be valid.
	document bool
}

// value is a DEFAULT.
type value struct {
	text
	literal bool // no expression
}

// key is an index in normal form. A primary key has no name.
type key struct {
	name      string
	kind      ddl.KeyKind
	parts     []part
	invisible bool
	parser    string
	using     string // where it means something
	comment   string
	without   bool // WITHOUT OVERLAPS
}

// part is one of a key.
type part struct {
	form string // its column in lower case with its prefix, or its expression
	desc bool
}

// foreign is a foreign key in normal form.
type foreign struct {
	name               string
	columns            string
	parent             string // table and columns
	onDelete, onUpdate string
}

// check is a CHECK.
type check struct {
	name string // empty if the server made it up
	text
	off    bool   // NOT ENFORCED
	column string // MariaDB: it stands in the definition of this one
}

// table reads a table.
func (r *reader) table(o *Object, st *ddl.Statement, thing thing) *table {
	t := &table{thing: thing}
	d := st.Table
	r.options(t, o, d)
	for i := range d.Columns {
		c := &d.Columns[i]
		t.columns = append(t.columns, r.column(t, o, st, c))
		for _, ch := range c.Checks {
			t.checks = append(t.checks, r.check(o, st, ch, c.Name))
		}
	}
	for i := range d.Keys {
		if k := &d.Keys[i]; k.Kind == ddl.Foreign {
			t.foreign = append(t.foreign, r.foreign(o, k))
		} else {
			t.keys = append(t.keys, r.index(t, o, st, k))
		}
	}
	for _, ch := range d.Checks {
		t.checks = append(t.checks, r.check(o, st, ch, ""))
	}
	t.finish()
	if d.Partition > 0 {
		t.partition = r.partition(o, st)
	}
	if t.unsure = r.misread(st); t.unsure == "" {
		t.unsure = r.contradicted(t, o)
	}
	return t
}

// finish says of columns what other parts of the definition say.
func (t *table) finish() {
	for _, k := range t.keys {
		for _, p := range k.parts {
			if c := t.column(p.form); c != nil && k.kind == ddl.Primary {
				c.notNull = true
			}
		}
	}
	for _, c := range t.columns {
		c.document = c.kind == "longtext" && c.collation == "utf8mb4_bin" && t.validity(c) >= 0
	}
}

// validity is the index of the check that a column is valid JSON, -1 if there is none.
func (t *table) validity(c *column) int {
	return slices.IndexFunc(t.checks, func(k *check) bool { return k.form == "json_valid(`"+c.name+"`)" && !k.off })
}

func (t *table) column(name string) *column {
	for _, c := range t.columns {
		if strings.EqualFold(c.name, name) {
			return c
		}
	}
	return nil
}

// storing are options that say where and how rows are kept; a value that is in the list is the same as none.
var storing = map[string][]string{
	"COMPRESSION": {"", "none"}, "ENCRYPTION": {"n"}, "TABLESPACE": {"innodb_file_per_table"}, "DATA DIRECTORY": nil, "INDEX DIRECTORY": nil,
	"PAGE_COMPRESSED": {"0", "off"}, "ENCRYPTED": {"default"}, "ENCRYPTION_KEY_ID": nil, "UNION": nil, "CONNECTION": nil, "SECONDARY_ENGINE": nil,
	"START TRANSACTION": nil, "READ ONLY": {"0"},
}

func (r *reader) options(t *table, o *Object, d *ddl.Table) {
	var charset string
	if d.Partition == 0 { // of one with partitions, information_schema has what it had first
		t.rowFormat = strings.ToLower(o.RowFormat)
	}
	for _, op := range d.Options {
		lower := strings.ToLower(op.Value)
		switch op.Name {
		case "ENGINE":
			t.engine = lower
		case "CHARSET":
			charset = charsetName(op.Value)
		case "COLLATE":
			t.collation = collationName(op.Value)
		case "COMMENT":
			t.comment = op.Value
		case "ROW_FORMAT":
			t.rowFormat = cmp.Or(t.rowFormat, lower)
		case "SYSTEM VERSIONING":
			t.versioned = true
		default:
			if same, ok := storing[op.Name]; ok && !slices.Contains(same, lower) {
				t.storage = append(t.storage, op.Name+"="+op.Value)
			}
		}
	}
	slices.Sort(t.storage)
	t.rowFormat = cmp.Or(t.rowFormat, strings.ToLower(o.RowFormat))
	if t.collation == "" {
		t.collation = r.collationOf(charset)
	}
}

func (r *reader) index(t *table, o *Object, st *ddl.Statement, k *ddl.Key) *key {
	n := &key{name: k.Name, kind: k.Kind, invisible: k.Invisible, parser: strings.ToLower(k.Parser), without: k.Without}
	if k.Kind == ddl.Primary {
		n.name = ""
	}
	if t.engine == "memory" { // of InnoDB's, HASH is not heard
		n.using = k.Using
	}
	for _, p := range k.Parts {
		form := strings.ToLower(p.Column)
		switch {
		case p.Column == "":
			form = r.text(o, st, p.Expr).form
		case p.Prefix > 0:
			form = fmt.Sprintf("%s(%d)", form, p.Prefix)
		}
		n.parts = append(n.parts, part{form, p.Desc})
	}
	for _, op := range k.Options {
		if op.Name == "COMMENT" {
			n.comment = op.Value
		}
	}
	return n
}

func (r *reader) foreign(o *Object, k *ddl.Key) *foreign {
	schema := cmp.Or(k.RefSchema, o.Schema)
	if as := r.as[schema]; as != "" {
		schema = as
	}
	f := &foreign{name: k.Name, onDelete: action(k.OnDelete), onUpdate: action(k.OnUpdate), parent: schema + "." + k.RefTable + "(" + strings.ToLower(strings.Join(k.RefColumns, ", ")) + ")"}
	var columns []string
	for _, p := range k.Parts {
		columns = append(columns, strings.ToLower(p.Column))
	}
	f.columns = strings.Join(columns, ", ")
	return f
}

// action is what a foreign key does: RESTRICT, NO ACTION and nothing are the same to InnoDB.
func action(s string) string {
	if s == "RESTRICT" || s == "NO ACTION" {
		return ""
	}
	return s
}

func (r *reader) check(o *Object, st *ddl.Statement, c ddl.Check, column string) *check {
	return &check{name: c.Name, text: r.text(o, st, c.Expr), off: c.NotEnforced, column: column}
}

// madeUp tells whether a name of a check is the server's own: t_chk_1, CONSTRAINT_1, or none.
func (c *check) madeUp(table string) bool {
	for _, prefix := range []string{table + "_chk_", "CONSTRAINT_"} {
		if rest, ok := strings.CutPrefix(strings.ToLower(c.name), strings.ToLower(prefix)); ok && rest != "" && strings.Trim(rest, "0123456789") == "" {
			return true
		}
	}
	return c.name == ""
}

// partition is PARTITION BY … without the engine, which is the table's, and the version of a hash.
func (r *reader) partition(o *Object, st *ddl.Statement) text {
	at := ddl.Range{From: st.Table.Partition, To: st.Table.PartitionEnd}
	var tokens []ddl.Token
	for i := at.From; i < at.To; i++ {
		if t := st.Tokens[i]; t.Is("ENGINE", "ALGORITHM") && i+1 < at.To && (st.Tokens[i+1].Is("=") || t.Is("ENGINE")) {
			if i++; st.Tokens[i].Is("=") {
				i++
			}
			continue
		}
		tokens = append(tokens, st.Tokens[i])
	}
	return text{shown: st.Between(at), form: r.names(o).form(tokens)}
}
