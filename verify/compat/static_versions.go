package compat

import (
	"fmt"
	"maps"
	"strings"

	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){"newer-feature": newerFeature})
}

// feature is something that MySQL has since a version.
type feature struct {
	since, name string
	// at finds it in a statement: the tokens, from the first to the one behind the last; -1 if it is not there.
	at func(*ddl.Statement) (from, to int)
}

// features are those that came with releases which a managed target may not have yet.
var features = []feature{
	{"8.0.29", "CREATE TRIGGER, PROCEDURE and FUNCTION with IF NOT EXISTS", func(st *ddl.Statement) (int, int) {
		if (st.Kind == ddl.CreateTrigger || st.Kind == ddl.CreateRoutine) && st.IfExists && st.Tokens[0].Is("CREATE") {
			return find(st, "IF", "NOT", "EXISTS")
		}
		return -1, 0
	}},
	{"8.0.29", "ALGORITHM=INSTANT for a column that is dropped, or not the last", func(st *ddl.Statement) (int, int) {
		instant, early := -1, false
		for i := range st.Clauses {
			c := &st.Clauses[i]
			early = early || c.Verb == ddl.DropColumn || c.Verb == ddl.AddColumn && (c.First || c.After != "")
			if c.Verb == ddl.Algorithm && c.What == "ALGORITHM" && strings.EqualFold(c.Name, "INSTANT") {
				instant = i
			}
		}
		if instant < 0 || !early {
			return -1, 0
		}
		return st.Clauses[instant].At.From, st.Clauses[instant].At.To
	}},
	{"8.0.31", "INTERSECT and EXCEPT", func(st *ddl.Statement) (int, int) {
		for i := 1; i+1 < len(st.Tokens); i++ {
			if st.Tokens[i].Is("INTERSECT", "EXCEPT") && st.Tokens[i+1].Is("SELECT", "ALL", "DISTINCT", "VALUES", "TABLE", "(", "WITH") && !st.Tokens[i-1].Is(".", ",", "AS") {
				return i, i + 1
			}
		}
		return -1, 0
	}},
	{"9.0", "the type VECTOR", func(st *ddl.Statement) (int, int) {
		at := -1
		eachColumn(st, func(c *ddl.Column, _ *ddl.Clause) {
			if c.Type == "VECTOR" && at < 0 {
				at = c.TypeAt
			}
		})
		return at, at + 1
	}},
	{"9.0", "functions of vectors", func(st *ddl.Statement) (int, int) {
		for i := 0; i+1 < len(st.Tokens); i++ {
			if st.Tokens[i].Is("STRING_TO_VECTOR", "TO_VECTOR", "VECTOR_TO_STRING", "FROM_VECTOR", "VECTOR_DIM") && st.Tokens[i+1].Is("(") {
				return i, i + 1
			}
		}
		return -1, 0
	}},
	{"9.1", "CREATE VIEW with IF NOT EXISTS", func(st *ddl.Statement) (int, int) {
		if st.Kind == ddl.CreateView && st.IfExists && st.Tokens[0].Is("CREATE") {
			return find(st, "IF", "NOT", "EXISTS")
		}
		return -1, 0
	}},
	{"9.2", "libraries of JavaScript", func(st *ddl.Statement) (int, int) { return find(st, "CREATE", "LIBRARY") }},
	{"9.4", "JSON duality views", func(st *ddl.Statement) (int, int) {
		if from, to := find(st, "JSON", "DUALITY", "VIEW"); from >= 0 {
			return from, to
		}
		return find(st, "JSON", "RELATIONAL", "DUALITY", "VIEW")
	}},
}

// find is where a statement has these words in its head.
func find(st *ddl.Statement, words ...string) (from, to int) {
	for i := 0; i < len(st.Tokens) && i < 12; i++ {
		if n := sequence(st.Tokens, i, words); n > 0 {
			return i, i + n
		}
	}
	return -1, 0
}

func newerFeature(c *checker, emit func(hit)) {
	for _, f := range features {
		if c.opts.To.meets(">=" + f.since) {
			continue
		}
		c.each(func(st *ddl.Statement) {
			if from, to := f.at(st); from >= 0 {
				emit(hit{st: st, from: from, to: to, object: objectOf(st), says: fmt.Sprintf("%s: MySQL has it since %s, the target is %s", f.name, f.since, c.opts.To.Version)})
			}
		})
	}
}
