package compat

import (
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// state is the schema after all statements, as far as they can be understood.
type state struct {
	tables map[string]*table
	order  []string // keys of tables, as they were made
}

// table is one table of it. What it has is shared with the statements that made it.
type table struct {
	schema, name string
	made         *ddl.Statement
	columns      []column
	keys         []key
	checks       []origin[ddl.Check]
	options      map[string]string
	partitioned  bool
	unknown      bool // made by LIKE or SELECT: not all is known
}

// origin is a thing with the statement that has its definition.
type origin[T any] struct {
	is T
	by *ddl.Statement
}

type (
	column = origin[ddl.Column]
	key    = origin[ddl.Key]
)

func keyOf(schema, name string) string { return strings.ToLower(schema + "." + name) }

func (t *table) String() string {
	if t.schema != "" {
		return t.schema + "." + t.name
	}
	return t.name
}

func (t *table) column(name string) *column {
	for i := range t.columns {
		if strings.EqualFold(t.columns[i].is.Name, name) {
			return &t.columns[i]
		}
	}
	return nil
}

// apply runs a statement.
func (s *state) apply(st *ddl.Statement) {
	k := keyOf(st.Schema, st.Name)
	switch st.Kind {
	case ddl.CreateTable:
		if st.Temporary || st.Table == nil || s.tables[k] != nil && st.IfExists {
			return
		}
		t := &table{schema: st.Schema, name: st.Name, made: st, options: map[string]string{}, unknown: st.Table.Like || st.Table.Select, partitioned: st.Table.Partition > 0}
		t.add(st.Table, st)
		s.put(t)
	case ddl.AlterTable:
		if t := s.tables[k]; t != nil {
			for i := range st.Clauses {
				s.alter(t, &st.Clauses[i], st)
			}
		}
	case ddl.CreateIndex:
		if t := s.tables[k]; t != nil && st.Index != nil {
			t.keys = append(t.keys, key{*st.Index, st})
		}
	case ddl.DropTable:
		for _, n := range listed(st) {
			s.drop(keyOf(n.schema, n.name))
		}
	case ddl.RenameTable:
		names := listed(st)
		for i := 0; i+1 < len(names); i += 2 {
			s.rename(keyOf(names[i].schema, names[i].name), names[i+1].schema, names[i+1].name)
		}
	}
}

func (s *state) put(t *table) {
	k := keyOf(t.schema, t.name)
	if s.tables[k] == nil {
		s.order = append(s.order, k)
	}
	s.tables[k] = t
}

func (s *state) drop(k string) {
	delete(s.tables, k)
	s.order = slices.DeleteFunc(s.order, func(o string) bool { return o == k })
}

func (s *state) rename(from, schema, name string) {
	if t := s.tables[from]; t != nil {
		s.drop(from)
		t.schema, t.name = schema, name
		s.put(t)
	}
}

type objectName struct{ schema, name string }

// listed are the names of DROP TABLE a, b.c and of RENAME TABLE a TO b, c TO d, in their order.
func listed(st *ddl.Statement) (names []objectName) {
	for i := 1; i < len(st.Tokens); i++ {
		t := st.Tokens[i]
		if t.Kind != ddl.Quoted && t.Kind != ddl.Word || t.Is("TABLE", "TABLES", "IF", "EXISTS", "TO", "TEMPORARY", "RESTRICT", "CASCADE", "WAIT", "NOWAIT") && t.Kind == ddl.Word {
			continue
		}
		n := objectName{name: t.Name()}
		if i+2 < len(st.Tokens) && st.Tokens[i+1].Is(".") {
			n = objectName{t.Name(), st.Tokens[i+2].Name()}
			i += 2
		}
		names = append(names, n)
	}
	return names
}

// add takes over what a definition adds.
func (t *table) add(d *ddl.Table, by *ddl.Statement) {
	for _, c := range d.Columns {
		t.columns = append(t.columns, column{c, by})
		for _, check := range c.Checks {
			t.checks = append(t.checks, origin[ddl.Check]{check, by})
		}
		if c.Primary || c.Unique {
			kind := ddl.Unique
			if c.Primary {
				kind = ddl.Primary
			}
			t.keys = append(t.keys, key{ddl.Key{Kind: kind, At: c.At, Parts: []ddl.Part{{Column: c.Name}}}, by})
		}
	}
	for _, k := range d.Keys {
		t.keys = append(t.keys, key{k, by})
	}
	for _, c := range d.Checks {
		t.checks = append(t.checks, origin[ddl.Check]{c, by})
	}
	for _, o := range d.Options {
		t.options[o.Name] = o.Value
	}
}

func (s *state) alter(t *table, c *ddl.Clause, by *ddl.Statement) {
	switch c.Verb {
	case ddl.AddColumn, ddl.AddKey, ddl.TableOption, ddl.ConvertCharset:
		if c.Table != nil {
			t.add(c.Table, by)
		}
	case ddl.ModifyColumn, ddl.ChangeColumn:
		if c.Table == nil || len(c.Table.Columns) == 0 {
			return
		}
		now := c.Table.Columns[0]
		old := now.Name
		if c.Verb == ddl.ChangeColumn {
			old = c.Name
		}
		if was := t.column(old); was != nil {
			*was = column{now, by}
			t.renamed(old, now.Name)
		}
	case ddl.RenameColumn:
		if was := t.column(c.Name); was != nil {
			was.is.Name = c.NewName
			t.renamed(c.Name, c.NewName)
		}
	case ddl.DropColumn:
		t.columns = slices.DeleteFunc(t.columns, func(x column) bool { return strings.EqualFold(x.is.Name, c.Name) })
		for i := range t.keys {
			k := &t.keys[i]
			k.is.Parts = slices.DeleteFunc(slices.Clone(k.is.Parts), func(p ddl.Part) bool { return strings.EqualFold(p.Column, c.Name) })
		}
		t.keys = slices.DeleteFunc(t.keys, func(k key) bool { return len(k.is.Parts) == 0 })
	case ddl.DropKey:
		t.dropKey(c)
	case ddl.RenameTo:
		s.rename(keyOf(t.schema, t.name), c.NewSchema, c.NewName)
	case ddl.Partitioning:
		t.partitioned = true
	}
}

func (t *table) renamed(from, to string) {
	for i := range t.keys {
		k := &t.keys[i]
		k.is.Parts = slices.Clone(k.is.Parts)
		for j := range k.is.Parts {
			if strings.EqualFold(k.is.Parts[j].Column, from) {
				k.is.Parts[j].Column = to
			}
		}
	}
}

func (t *table) dropKey(c *ddl.Clause) {
	t.keys = slices.DeleteFunc(t.keys, func(k key) bool {
		named := strings.EqualFold(k.is.Name, c.Name) || strings.EqualFold(k.is.Constraint, c.Name)
		switch c.What {
		case "PRIMARY KEY":
			return k.is.Kind == ddl.Primary
		case "FOREIGN KEY":
			return k.is.Kind == ddl.Foreign && named
		case "CONSTRAINT":
			return named
		}
		return k.is.Kind != ddl.Foreign && k.is.Kind != ddl.Primary && named
	})
	if c.What == "CHECK" || c.What == "CONSTRAINT" {
		t.checks = slices.DeleteFunc(t.checks, func(x origin[ddl.Check]) bool { return strings.EqualFold(x.is.Name, c.Name) })
	}
}
