package compat

import (
	"maps"
	"path"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){"missing-object": missingObject})
}

// missingObject runs the steps of a folder once more and finds statements about tables, columns and keys that are not
// there by then, or there already: a folder makes all of its schema. It ends at the first statement that may make or
// drop tables which the reader does not see.
func missingObject(c *checker, emit func(hit)) {
	before, unseen := &state{tables: map[string]*table{}}, false
	c.forward(func(_ *readText, st *ddl.Statement) {
		if unseen || hides(st) {
			if !unseen {
				line, _ := st.Pos(0)
				c.unchecked("from %s:%d on: what that statement makes is not seen", path.Base(st.File.Name), line)
			}
			unseen = true
			return
		}
		if !slices.ContainsFunc(st.Tokens, forMariaDB) {
			before.misses(st, emit)
		}
		before.apply(st)
	})
}

// hides tells whether a statement may change tables in a way that the reader does not see: a program that is called, a
// text that is prepared, another database, what the reader does not understand.
func hides(st *ddl.Statement) bool {
	if len(st.Tokens) == 0 {
		return false
	}
	first := st.Tokens[0]
	switch st.Kind {
	case ddl.CreateDatabase:
		return true
	case ddl.Change:
		return first.Is("CALL")
	case ddl.Other:
		return first.Is("EXECUTE", "PREPARE", "SOURCE", "USE", "IMPORT", `\`, `\.`) || !first.Is(verbs...) && !first.Is("CREATE", "ALTER", "DROP") ||
			first.Is("DROP") && len(st.Tokens) > 1 && st.Tokens[1].Is("DATABASE", "SCHEMA")
	}
	return false
}

// misses finds what a statement names that is not there.
func (s *state) misses(st *ddl.Statement, emit func(hit)) {
	switch st.Kind {
	case ddl.AlterTable, ddl.CreateIndex, ddl.DropIndex:
		if t := s.tables[keyOf(st.Schema, st.Name)]; t != nil {
			t.misses(st, emit)
			return
		}
	case ddl.CreateTrigger, ddl.DropTable, ddl.RenameTable:
	case ddl.CreateTable:
		if s.tables[keyOf(st.Schema, st.Name)] != nil && !st.IfExists && !st.Temporary && !st.OrReplace {
			emit(hit{st: st, from: 0, to: min(st.NameAt+1, len(st.Tokens)), object: objectOf(st), says: "there is a table " + objectOf(st) + " already"})
		}
		return
	default:
		return
	}
	if st.IfExists || st.Temporary {
		return
	}
	for _, n := range tablesOf(st) {
		if n.Schema == "" && n.Name != "" && s.tables[keyOf("", n.Name)] == nil {
			emit(hit{st: st, from: n.At, to: n.At + 1, object: n.Name, says: "there is no table " + n.Name + " by then"})
		}
	}
}

// tablesOf are the tables that must be there for a statement.
func tablesOf(st *ddl.Statement) []ddl.Name {
	switch st.Kind {
	case ddl.DropTable:
		return st.Names
	case ddl.RenameTable:
		if len(st.Names) == 2 { // of several one may make what another takes
			return st.Names[:1]
		}
		return nil
	case ddl.CreateTrigger:
		for i := st.NameAt; i > 0 && i+1 < len(st.Tokens) && i < st.Body; i++ {
			if st.Tokens[i].Is("ON") && !(i+2 < len(st.Tokens) && st.Tokens[i+2].Is(".")) {
				return []ddl.Name{{Name: st.Tokens[i+1].Name(), At: i + 1}}
			}
		}
		return nil
	}
	if st.NameAt < 0 {
		return nil
	}
	return []ddl.Name{{Schema: st.Schema, Name: st.Name, At: st.NameAt}}
}

// misses finds columns and keys that a statement about the table names, and that are not there or there already. A
// column that is dropped, renamed or changed must be there before the statement; what is added may take the name of
// one that another clause drops or renames, and a key may be over a column that another adds.
func (t *table) misses(st *ddl.Statement, emit func(hit)) {
	if t.unknown || len(t.columns) == 0 {
		return
	}
	if st.Kind != ddl.AlterTable {
		if k := st.Index; k != nil {
			t.missesKey(st, k, k.At, nil, emit)
		}
		return
	}
	touched := touchedBy(st)
	for i := range st.Clauses {
		cl := &st.Clauses[i]
		h := hit{st: st, from: cl.At.From, to: cl.At.To, object: t.String()}
		if cl.IfExists {
			continue
		}
		switch cl.Verb {
		case ddl.AddColumn, ddl.AddKey:
			t.missesAdded(st, cl, touched, emit)
		case ddl.DropColumn, ddl.ChangeColumn, ddl.RenameColumn, ddl.AlterColumn:
			if cl.Name != "" && t.column(cl.Name) == nil {
				h.says = "the table has no column " + cl.Name + " by then"
				emit(h)
			}
		case ddl.ModifyColumn:
			if name := modified(cl); name != "" && t.column(name) == nil {
				h.says = "the table has no column " + name + " by then"
				emit(h)
			}
		}
	}
}

func modified(cl *ddl.Clause) string {
	if cl.Table == nil || len(cl.Table.Columns) == 0 {
		return ""
	}
	return cl.Table.Columns[0].Name
}

// touchedBy counts how often clauses of a statement name a column, in lower case.
func touchedBy(st *ddl.Statement) map[string]int {
	touched := map[string]int{}
	for i := range st.Clauses {
		cl := &st.Clauses[i]
		for _, name := range []string{cl.Name, cl.NewName} {
			touched[strings.ToLower(name)]++
		}
		if cl.Table != nil {
			for j := range cl.Table.Columns {
				touched[strings.ToLower(cl.Table.Columns[j].Name)]++
			}
		}
	}
	return touched
}

// missesAdded finds columns and keys that are there already, and keys over columns that are not.
func (t *table) missesAdded(st *ddl.Statement, cl *ddl.Clause, touched map[string]int, emit func(hit)) {
	if cl.Table == nil {
		return
	}
	for i := range cl.Table.Columns {
		if col := &cl.Table.Columns[i]; t.column(col.Name) != nil && touched[strings.ToLower(col.Name)] < 2 {
			emit(hit{st: st, from: col.At.From, to: col.At.To, object: t.String() + "." + col.Name, says: "the table has a column " + col.Name + " already"})
		}
	}
	for i := range cl.Table.Keys {
		t.missesKey(st, &cl.Table.Keys[i], cl.At, touched, emit)
	}
}

// missesKey finds a key whose name is taken, or whose column is not there. Of DROP INDEX a key has no parts.
func (t *table) missesKey(st *ddl.Statement, k *ddl.Key, at ddl.Range, touched map[string]int, emit func(hit)) {
	h := hit{st: st, from: at.From, to: at.To, object: t.String()}
	for _, p := range k.Parts {
		if p.Column != "" && t.column(p.Column) == nil && touched[strings.ToLower(p.Column)] == 0 {
			h.says = "a key over column " + p.Column + ", which the table has not by then"
			emit(h)
			return
		}
	}
	taken := slices.ContainsFunc(t.keys, func(o key) bool {
		return k.Name != "" && k.Kind != ddl.Foreign && k.Kind != ddl.Primary && o.is.Kind != ddl.Foreign && o.is.Kind != ddl.Primary && strings.EqualFold(o.is.Name, k.Name)
	})
	if st.Kind != ddl.DropIndex && taken && !dropsKeys(st) {
		h.says = "the table has a key " + k.Name + " already"
		emit(h)
	}
}

func dropsKeys(st *ddl.Statement) bool {
	return slices.ContainsFunc(st.Clauses, func(cl ddl.Clause) bool {
		return cl.Verb == ddl.DropKey || cl.Verb == ddl.RenameKey || cl.Verb == ddl.DropColumn
	})
}
