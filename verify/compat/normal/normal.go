// Package normal tells whether two servers have the same schema, though each shows it in its own way.
//
// In: the objects of a server, as SHOW CREATE and information_schema have them. Out: their normal forms, and what
// differs between two servers, by the rules DIF1101 to DIF1115. The decision that matters: nothing is guessed. A
// table of which the reader's view is not information_schema's, or whose text it can't account for word by word,
// is said to be not checked; it is never clean.
package normal

import (
	"database/sql"
	"slices"
	"strings"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

// Server is what a server has.
type Server struct {
	Called  string // in what is said of it: "the source"
	Flavor  server.Flavor
	Version string // as VERSION() has it
	// FoldNames is lower_case_table_names other than 0: names of tables in any case are the same.
	FoldNames bool
	Objects   []Object
}

// Object is a table, sequence, view, routine, trigger or event.
type Object struct {
	Kind         string // "table", "sequence", "view", "procedure", "function", "trigger", "event"
	Schema, Name string
	SQL          string // as SHOW CREATE has it; empty if it may not be seen

	// Of a table, from information_schema.
	Engine, RowFormat, Collation string
	Columns                      []Facts // nil if they are not known
}

// Facts is what information_schema.COLUMNS says of a column.
type Facts struct {
	Name, Type, Collation, Extra, Generation string
	Nullable                                 bool
	Default                                  sql.NullString
}

// Schema is what a server has, in normal form. Nothing changes it once it is read: it may be compared many times, also
// at the same time.
type Schema struct {
	called   string
	flavor   server.Flavor
	fold     bool
	tables   map[string]*table
	programs map[string]*program
	// others are objects that have a name and no form: what may not be seen.
	others map[string]*thing
}

// thing is what all objects have.
type thing struct {
	kind, schema, name string // as the server has them
	// unsure says why it can't be compared; empty: it can.
	unsure string
}

func (t *thing) String() string { return t.schema + "." + t.name }

// leftOut are schemas and tables that are none of the application's.
func leftOut(o *Object) bool { return o.Schema == "_changeover" || o.Name == "schema_migrations" }

// Read brings what a server has into normal form. As are the names that its databases have on the server that it
// will be compared with; nil, or one that is not in it: the same name. The server is not changed.
func Read(s *Server, as map[string]string) *Schema {
	n := &Schema{called: s.Called, flavor: s.Flavor, fold: s.FoldNames, tables: map[string]*table{}, programs: map[string]*program{}, others: map[string]*thing{}}
	r := reader{server: s, as: as}
	for i := range s.Objects {
		o := &s.Objects[i]
		if leftOut(o) {
			continue
		}
		k := r.key(o)
		t := thing{kind: o.Kind, schema: o.Schema, name: o.Name}
		st := r.statement(o)
		switch {
		case st == nil:
			t.unsure = "its definition may not be seen"
			n.others[k] = &t
		case o.Kind == "table" && st.Table != nil:
			n.tables[k] = r.table(o, st, t)
		case o.Kind == "table":
			t.unsure = "what the server shows of it is no CREATE TABLE"
			n.others[k] = &t
		case o.Kind == "sequence":
			n.programs[k] = r.sequence(o, st, t)
		default:
			n.programs[k] = r.program(o, st, t)
		}
	}
	return n
}

// reader reads the objects of one server.
type reader struct {
	server *Server
	as     map[string]string
}

func (r *reader) maria() bool { return r.server.Flavor == server.MariaDB }

// key is by what an object is found on the other side. Tables and views share their names; so do not the others.
func (r *reader) key(o *Object) string {
	kind := o.Kind
	if kind == "view" || kind == "sequence" {
		kind = "table"
	}
	schema := o.Schema
	if other := r.as[schema]; other != "" {
		schema = other
	}
	return kind + " " + schema + "." + o.Name
}

// statement reads the text of an object; nil if there is none.
func (r *reader) statement(o *Object) *ddl.Statement {
	dialect := ddl.MySQL
	if r.maria() {
		dialect = ddl.MariaDB
	}
	read := ddl.Read(ddl.NewFile(o.Schema+"."+o.Name, o.SQL), dialect, false)
	if len(read) == 0 {
		return nil
	}
	st := &read[0]
	if len(read) > 1 { // a program of whose body the reader did not find the end
		st = &ddl.Statement{File: st.File, Kind: st.Kind, Start: st.Start, End: len(o.SQL), Name: st.Name, Body: st.Body, Options: st.Options}
		for i := range read {
			st.Tokens = append(st.Tokens, read[i].Tokens...)
		}
	}
	return st
}

func (r *reader) names(o *Object) names { return names{own: o.Schema, as: r.as} }

// text is an expression as the server shows it, and in normal form.
type text struct{ shown, form string }

func (t text) is() bool { return t.shown != "" }

func (r *reader) text(o *Object, st *ddl.Statement, at ddl.Range) text {
	if at.From >= at.To {
		return text{}
	}
	return text{shown: st.Between(at), form: r.names(o).form(st.Tokens[at.From:at.To])}
}

// sortedKeys are the keys of what either of two sides has.
func sortedKeys[V any](a, b map[string]V) (keys []string) {
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// folded is the map with keys in lower case.
func folded[V any](m map[string]V) map[string]V {
	f := make(map[string]V, len(m))
	for k, v := range m {
		f[strings.ToLower(k)] = v
	}
	return f
}
