package compat

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"foreign-elsewhere":   foreignElsewhere,
		"foreign-generated":   foreignGenerated,
		"foreign-cycle":       foreignCycle,
		"foreign-collation":   foreignCollation,
		"croatian":            croatian,
		"foreign-partitioned": foreignPartitioned,
	})
}

// foreignElsewhere finds parents in a database that these statements don't make.
func foreignElsewhere(c *checker, emit func(hit)) {
	c.foreignKeys(func(t *table, k *key, parent *table) {
		if parent == nil && k.is.RefSchema != "" && !strings.EqualFold(k.is.RefSchema, t.schema) {
			emit(hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String(), says: "the parent is in another database: " + k.is.RefSchema + "." + k.is.RefTable})
		}
	})
}

// foreignGenerated finds foreign keys over virtual columns, and actions that write to a generated column or to what
// a stored one is made of. MariaDB takes a part of them.
func foreignGenerated(c *checker, emit func(hit)) {
	c.foreignKeys(func(t *table, k *key, parent *table) {
		h := hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String()}
		update := k.is.OnUpdate == "CASCADE" || k.is.OnUpdate == "SET NULL"
		action := update || k.is.OnDelete == "SET NULL"
		for i, p := range k.is.Parts {
			col := t.column(p.Column)
			switch {
			case parent != nil && i < len(k.is.RefColumns) && parent.virtual(k.is.RefColumns[i]):
				h.says = fmt.Sprintf("the parent's column %s is virtual", k.is.RefColumns[i])
			case t.virtual(p.Column):
				h.says = fmt.Sprintf("column %s is virtual", p.Column)
			case col != nil && col.is.Generated.From < col.is.Generated.To && action:
				h.says = fmt.Sprintf("its action would write to the generated column %s", p.Column)
			case action || k.is.OnDelete == "CASCADE":
				stored := t.storedOf(p.Column)
				if stored == "" {
					continue
				}
				h.says = fmt.Sprintf("it has an action, and the stored column %s is made of %s", stored, p.Column)
			default:
				continue
			}
			emit(h)
			return
		}
	})
}

func (t *table) virtual(name string) bool {
	col := t.column(name)
	return col != nil && col.is.Generated.From < col.is.Generated.To && !col.is.Stored
}

// storedOf is a stored column that is made of this one.
func (t *table) storedOf(column string) string {
	for i := range t.columns {
		col := &t.columns[i]
		if _, ok := names(col.by, col.is.Generated, column); ok && col.is.Stored {
			return col.is.Name
		}
	}
	return ""
}

// foreignPartitioned finds foreign keys of partitioned tables, and of tables whose parent is one.
func foreignPartitioned(c *checker, emit func(hit)) {
	c.foreignKeys(func(t *table, k *key, parent *table) {
		if t.partitioned || parent != nil && parent.partitioned {
			emit(hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String()})
		}
	})
}

// foreignCycle finds keys of a table on itself, and tables that are each other's parents, by whatever way.
func foreignCycle(c *checker, emit func(hit)) {
	parents := map[*table][]*table{}
	c.foreignKeys(func(t *table, _ *key, parent *table) {
		if parent != nil {
			parents[t] = append(parents[t], parent)
		}
	})
	circle := circles(parents)
	c.foreignKeys(func(t *table, k *key, parent *table) {
		h := hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String()}
		switch {
		case parent == nil:
			return
		case parent == t:
			h.says = "the table is its own parent: no order of loading its rows is right"
		case circle[t] == circle[parent]:
			h.says = fmt.Sprintf("%s is, by way of its own parents, a child of %s: no order of loading them is right", parent, t)
		default:
			return
		}
		emit(h)
	})
}

// circles numbers tables so that two have one number just if each is, by whatever way, a parent of the other: the
// strongly connected components, as Tarjan finds them in one pass (SIAM Journal on Computing 1, 1972).
func circles(parents map[*table][]*table) map[*table]int {
	type mark struct {
		order, low int
		open       bool
	}
	marks, circle := map[*table]*mark{}, map[*table]int{}
	var path []*table
	var visit func(t *table) *mark
	visit = func(t *table) *mark {
		m := &mark{order: len(marks), low: len(marks), open: true}
		marks[t] = m
		path = append(path, t)
		for _, p := range parents[t] {
			if n := marks[p]; n == nil {
				m.low = min(m.low, visit(p).low)
			} else if n.open {
				m.low = min(m.low, n.order)
			}
		}
		if m.low == m.order { // all that is on the path from t on is one
			i := len(path) - 1
			for path[i] != t {
				i--
			}
			for _, p := range path[i:] {
				circle[p], marks[p].open = m.order, false
			}
			path = path[:i]
		}
		return m
	}
	for t := range parents {
		if marks[t] == nil {
			visit(t)
		}
	}
	return circle
}

// foreignCollation finds columns of text whose character set or collation is not their parent's.
func foreignCollation(c *checker, emit func(hit)) {
	c.foreignKeys(func(t *table, k *key, parent *table) {
		if parent == nil || parent.unknown || t.unknown {
			return
		}
		for i, p := range k.is.Parts {
			if i >= len(k.is.RefColumns) {
				return
			}
			child, up := t.column(p.Column), parent.column(k.is.RefColumns[i])
			if child == nil || up == nil || !slices.Contains(characters, child.is.Type) || !slices.Contains(characters, up.is.Type) {
				continue
			}
			what, a, b := "character set", utf8Name(t.charset(&child.is)), utf8Name(parent.charset(&up.is))
			if a == b {
				what, a, b = "collation", c.collation(t, &child.is), c.collation(parent, &up.is)
			}
			if (a == "") != (b == "") {
				c.unsaidCollation(t, k, &child.is, parent, &up.is, emit)
			} else if a != b {
				emit(hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String(), says: fmt.Sprintf("%s has %s %s, and %s.%s has %s", p.Column, what, a, parent, up.is.Name, b)})
			}
		}
	})
}

// unsaidCollation finds a foreign key of which one side says its collation, and the other has the database's: they are
// one only if the database's is just that.
func (c *checker) unsaidCollation(t *table, k *key, child *ddl.Column, parent *table, up *ddl.Column, emit func(hit)) {
	a, b := c.collation(t, child), c.collation(parent, up)
	if (a == "") == (b == "") {
		return
	}
	whose, said := t.String()+"."+child.Name, b
	if b == "" {
		whose, said = parent.String()+"."+up.Name, a
	}
	has := "which may be another"
	if server, ok := c.targetVariable("collation_server"); ok {
		if server == said {
			return
		}
		has = "by default " + server
	}
	emit(hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String(), severity: Warning,
		says: fmt.Sprintf("%s has the database's collation, %s, and the other side has %s", whose, has, said)})
}

// defaults are the collations of character sets, as MySQL 8 has them. That of utf8mb4 is a setting.
var defaults = map[string]string{"utf8mb3": "utf8mb3_general_ci", "latin1": "latin1_swedish_ci", "ascii": "ascii_general_ci", "binary": "binary",
	"ucs2": "ucs2_general_ci", "utf16": "utf16_general_ci", "utf32": "utf32_general_ci", "latin2": "latin2_general_ci", "cp1251": "cp1251_general_ci",
	"gbk": "gbk_chinese_ci", "big5": "big5_chinese_ci", "sjis": "sjis_japanese_ci", "koi8r": "koi8r_general_ci", "cp1250": "cp1250_general_ci"}

// collation is a column's collation on the target; empty if that is the database's, or not known.
func (c *checker) collation(t *table, col *ddl.Column) string {
	name := func(charset, collation string, bin bool) string {
		charset, collation = utf8Name(strings.ToLower(charset)), utf8Name(strings.ToLower(collation))
		switch {
		case collation != "" && collation != "default":
			return collation
		case charset != "" && bin:
			return charset + "_bin"
		case charset == "utf8mb4":
			collation, _ := c.targetVariable("default_collation_for_utf8mb4")
			return collation
		}
		return defaults[charset]
	}
	if col.Charset == theDatabases {
		return ""
	}
	if col.Charset != "" || col.Collation != "" {
		return name(col.Charset, col.Collation, col.Binary)
	}
	return name(t.options["CHARSET"], t.options["COLLATE"], col.Binary)
}

// croatian finds collations that have one name on MariaDB and MySQL, and order otherwise.
func croatian(c *checker, emit func(hit)) {
	c.eachName(true, func(st *ddl.Statement, at int, name string) {
		if charset, _, _ := strings.Cut(utf8Name(name), "_"); strings.HasSuffix(name, "_croatian_ci") && slices.Contains([]string{"utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32"}, charset) {
			emit(hit{st: st, from: at, to: at + 1, object: objectOf(st)})
		}
	})
}
