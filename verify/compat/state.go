package compat

import (
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// state is the schema after all statements, as far as they can be understood.
type state struct {
	tables map[string]*table
	order  []*table // as they were made, also those that are gone
	// functions are the stored functions that were ever made, in lower case.
	functions map[string]bool
}

// table is one table of it. What it has is shared with the statements that made it.
type table struct {
	schema, name string
	made         *ddl.Statement
	columns      []column
	keys         []key
	inline       []key // foreign keys of columns' own definitions, which MySQL passes over before 9.0
	checks       []origin[ddl.Check]
	options      map[string]string
	partitioned  bool
	unknown      bool // made by LIKE or SELECT: not all is known
	gone         bool // dropped, or made anew
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
		for _, n := range st.Names {
			s.drop(keyOf(n.Schema, n.Name))
		}
	case ddl.DropIndex:
		if t := s.tables[k]; t != nil && st.Index != nil {
			t.dropKey(&ddl.Clause{What: "INDEX", Name: st.Index.Name})
		}
	case ddl.CreateRoutine:
		if s.functions == nil {
			s.functions = map[string]bool{}
		}
		s.functions[strings.ToLower(st.Name)] = true
	case ddl.RenameTable:
		for i := 0; i+1 < len(st.Names); i += 2 {
			from, to := st.Names[i], st.Names[i+1]
			s.rename(keyOf(from.Schema, from.Name), to.Schema, to.Name)
		}
	}
}

func (s *state) put(t *table) {
	s.drop(keyOf(t.schema, t.name))
	s.order = append(s.order, t)
	s.tables[keyOf(t.schema, t.name)] = t
}

func (s *state) drop(k string) {
	if t := s.tables[k]; t != nil {
		t.gone = true
		delete(s.tables, k)
	}
}

// rename lets a table keep its place in the order.
func (s *state) rename(from, schema, name string) {
	t := s.tables[from]
	if t == nil {
		return
	}
	delete(s.tables, from)
	s.drop(keyOf(schema, name))
	t.schema, t.name = schema, name
	s.tables[keyOf(schema, name)] = t
}

// add takes over what a definition adds.
func (t *table) add(d *ddl.Table, by *ddl.Statement) {
	for _, c := range d.Columns {
		t.columns = append(t.columns, column{c, by})
		for _, check := range c.Checks {
			t.checks = append(t.checks, origin[ddl.Check]{check, by})
		}
		if c.Parent != nil {
			t.inline = append(t.inline, key{*c.Parent, by})
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
	case ddl.AddColumn, ddl.AddKey, ddl.TableOption:
		if c.Table == nil {
			return
		}
		if slices.ContainsFunc(c.Table.Options, func(o ddl.Option) bool { return o.Name == "CHARSET" || o.Name == "COLLATE" }) {
			t.keepCharsets()
		}
		t.add(c.Table, by)
	case ddl.ConvertCharset:
		if c.Table != nil {
			t.convert(c.Table, by)
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
	case ddl.RenameKey:
		for i := range t.keys {
			if k := &t.keys[i].is; k.Kind != ddl.Foreign && strings.EqualFold(k.Name, c.Name) {
				k.Name = c.NewName
			}
		}
	case ddl.RenameTo:
		s.rename(keyOf(t.schema, t.name), c.NewSchema, c.NewName)
	case ddl.Partitioning:
		t.partitioned = c.What != "REMOVE"
	}
}

// theDatabases is the character set of a column that had the database's when the table got another one.
const theDatabases = "\x00"

// keepCharsets lets columns keep what they have from the table before its default changes: that is for new ones only.
func (t *table) keepCharsets() {
	for i := range t.columns {
		if c := &t.columns[i].is; c.Charset == "" && c.Collation == "" {
			c.Charset, c.Collation = t.options["CHARSET"], t.options["COLLATE"]
			if c.Charset == "" && c.Collation == "" {
				c.Charset = theDatabases
			}
		}
	}
	delete(t.options, "CHARSET")
	delete(t.options, "COLLATE")
}

// convert gives the table, and all its columns of text, another character set.
func (t *table) convert(d *ddl.Table, by *ddl.Statement) {
	delete(t.options, "CHARSET")
	delete(t.options, "COLLATE")
	t.add(d, by)
	for i := range t.columns {
		if c := &t.columns[i]; slices.Contains(texts, c.is.Type) && !strings.EqualFold(c.is.Charset, "binary") {
			c.is.Charset, c.is.Collation = "", ""
		}
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
		if k.is.Kind != ddl.Foreign && k.is.Name == "" && len(k.is.Parts) > 0 { // the server names it after its first column
			named = named || strings.EqualFold(k.is.Parts[0].Column, c.Name)
		}
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
