package apply

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// tableSQL is what the statements for one table have in common.
type tableSQL struct {
	def      *row.Table
	name     string // schema.table, for messages and for the order of tables
	writable []int  // ordinals of the columns that are written
	insert   string // INSERT INTO … VALUES
	// The same, not strict: on MySQL, and on MariaDB, which knows no hints.
	relaxed, relaxedMaria string
	upsert                string // ON DUPLICATE KEY UPDATE …
	delete                string // DELETE FROM … WHERE
	update                string // UPDATE … SET
	enums                 []int  // of them, those of ENUMs outside of every key
	keyEnums              []int  // and those in one
	unique                []int  // columns of the unique keys other than the row key
	// uncertain: a unique key over an expression, or over a prefix key, whose values are not known.
	uncertain bool
}

func newTableSQL(t *row.Table) *tableSQL {
	s := &tableSQL{def: t, name: t.Schema + "." + t.Name}
	quoted := server.Name(t.Schema, t.Name)
	var names []string
	for i, c := range t.Columns {
		if !c.Generated {
			s.writable = append(s.writable, i)
			names = append(names, server.Name(c.Name))
			switch {
			case c.Kind == row.Enum && inKey(t, i):
				s.keyEnums = append(s.keyEnums, i)
			case c.Kind == row.Enum:
				s.enums = append(s.enums, i)
			}
		}
	}
	s.insert = "INSERT INTO " + quoted + " (" + strings.Join(names, ",") + ") VALUES "
	const lenient = "'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION'"
	s.relaxed = "INSERT /*+ SET_VAR(sql_mode = " + lenient + ") */" + strings.TrimPrefix(s.insert, "INSERT")
	s.relaxedMaria = "SET STATEMENT sql_mode = " + lenient + " FOR " + s.insert
	s.delete = "DELETE FROM " + quoted + " WHERE "
	s.update = "UPDATE " + quoted + " SET "
	if t.RowKey >= 0 {
		s.upsert = " ON DUPLICATE KEY UPDATE " + assignments(t)
		s.findUnique()
	}
	return s
}

func inKey(t *row.Table, column int) bool {
	return slices.ContainsFunc(t.Keys, func(k row.Key) bool {
		return slices.ContainsFunc(k.Parts, func(p row.KeyPart) bool { return p.Column == column })
	})
}

// assignments sets every column that is written and not in the row key; if there is none, the key
// to itself, since the statement needs something.
//
// VALUES() is deprecated on MySQL, but it is the form that MariaDB knows too, and not slower.
func assignments(t *row.Table) string {
	key := map[int]bool{}
	for _, p := range t.Keys[t.RowKey].Parts {
		key[p.Column] = true
	}
	var set []string
	for i, c := range t.Columns {
		if name := server.Name(c.Name); !c.Generated && !key[i] {
			set = append(set, name+"=VALUES("+name+")")
		}
	}
	if len(set) == 0 {
		name := server.Name(t.Columns[t.Keys[t.RowKey].Parts[0].Column].Name)
		set = append(set, name+"="+name)
	}
	return strings.Join(set, ",")
}

func (s *tableSQL) findUnique() {
	for i, k := range s.def.Keys {
		if i == s.def.RowKey {
			continue
		}
		for _, p := range k.Parts {
			if p.Column < 0 {
				s.uncertain = true
				continue
			}
			s.unique = append(s.unique, p.Column)
		}
	}
}

// keepsUnique tells whether no unique key can have changed between two images of a row: only then
// may an upsert by the row key be used, since ON DUPLICATE KEY UPDATE would silently change a
// stranger's row that has the new unique value (seen). Bytes that differ count as a change though
// the collation may call them equal; a generated column whose value did not come counts as changed.
func (s *tableSQL) keepsUnique(before, after row.Row) bool {
	if s.uncertain {
		return false
	}
	for _, c := range s.unique {
		b, a := before[c], after[c]
		if s.def.Columns[c].Generated && (a == nil || b == nil) {
			return false
		}
		if (a == nil) != (b == nil) || !bytes.Equal(a, b) {
			return false
		}
	}
	return true
}

// appendRow appends the row as (…,…).
func (s *tableSQL) appendRow(dst []byte, r row.Row) []byte {
	for i, c := range s.writable {
		sep := byte(',')
		if i == 0 {
			sep = '('
		}
		dst = s.def.Columns[c].AppendLiteral(append(dst, sep), r[c])
	}
	if len(s.writable) == 0 {
		dst = append(dst, '(')
	}
	return append(dst, ')')
}

// appendAssignments appends a=…,b=… for the columns that a change changes.
func (s *tableSQL) appendAssignments(dst []byte, c *row.Change) []byte {
	first := true
	for _, i := range s.writable {
		b, a := c.Before[i], c.After[i]
		if (b == nil) == (a == nil) && bytes.Equal(b, a) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(dst, server.Name(s.def.Columns[i].Name)...), '=')
		dst = s.def.Columns[i].AppendLiteral(dst, a)
	}
	return dst
}

// keyHasErrorValue tells whether ENUM's error value is in a key, primary or unique. With a member in
// its place the row would be another's meanwhile, so it is written whole by a statement that is not
// strict: that one takes the value, with a warning.
func (s *tableSQL) keyHasErrorValue(r row.Row) bool {
	return slices.ContainsFunc(s.keyEnums, func(c int) bool { return string(r[c]) == "0" })
}

// withoutErrorValues gives r with a member in the place of ENUM's error values, and where those
// were.
func (s *tableSQL) withoutErrorValues(r row.Row) (clean row.Row, bad []int) {
	for _, c := range s.enums {
		if string(r[c]) != "0" {
			continue
		}
		if bad == nil {
			clean = slices.Clone(r)
		}
		clean[c] = row.Value("1")
		bad = append(bad, c)
	}
	return clean, bad
}

// appendErrorValues appends the rest of UPDATE IGNORE that puts ENUM's error value into columns of a
// row. Times are set to themselves, else ON UPDATE CURRENT_TIMESTAMP would set them.
func (s *tableSQL) appendErrorValues(dst []byte, r row.Row, bad []int) []byte {
	dst = append(append(dst, server.Name(s.def.Schema, s.def.Name)...), " SET "...)
	for i, c := range bad {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, server.Name(s.def.Columns[c].Name)...), "=0"...)
	}
	for _, c := range s.writable {
		if k := s.def.Columns[c].Kind; k == row.Timestamp || k == row.DateTime {
			name := server.Name(s.def.Columns[c].Name)
			dst = append(append(append(append(dst, ','), name...), '='), name...)
		}
	}
	dst = append(dst, " WHERE "...)
	if s.def.RowKey < 0 {
		return append(s.def.AppendMatch(dst, r), " LIMIT 1"...)
	}
	return s.def.AppendKeyIn(dst, []row.Row{s.def.Key(r)})
}

// describe names a row for an operator: its key and nothing else of it.
func (s *tableSQL) describe(r row.Row) string {
	if s.def.RowKey < 0 {
		return s.name + ", a row without a key"
	}
	var parts []string
	for _, p := range s.def.Keys[s.def.RowKey].Parts {
		parts = append(parts, fmt.Sprintf("%s=%s", s.def.Columns[p.Column].Name, short(r[p.Column])))
	}
	return s.name + ", key " + strings.Join(parts, ", ")
}

func short(v row.Value) string {
	const longest = 64
	if v == nil {
		return "NULL"
	}
	for _, b := range v {
		if b < ' ' || b > '~' {
			return fmt.Sprintf("%.*q", longest, string(v[:min(len(v), longest)]))
		}
	}
	if len(v) > longest {
		return string(v[:longest]) + "…"
	}
	return string(v)
}
