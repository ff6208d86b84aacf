package compat

import (
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// hit is a place that a rule means, before it is a finding.
type hit struct {
	st       *ddl.Statement
	from, to int // tokens, to is behind the last; equal: the whole statement
	object   string
	says     string   // in place of the rule's title
	severity Severity // in place of the rule's
	evidence string   // in place of the text at the place
	whole    string   // the evidence before it was cut, if it was
	remedy   string   // in place of the rule's
	sql      string
	by       Means        // empty: static, or live where the statement is a server's
	answer   *ServerError // what a server said of it
}

// kindNames are what Pattern.In names.
var kindNames = map[string][]ddl.Kind{
	"table":   {ddl.CreateTable, ddl.AlterTable, ddl.CreateIndex, ddl.DropIndex, ddl.DropTable, ddl.RenameTable},
	"program": {ddl.CreateTrigger, ddl.CreateRoutine, ddl.CreateEvent, ddl.CreatePackage},
	"event":   {ddl.CreateEvent},
	"view":    {ddl.CreateView},
	"query":   {ddl.Query},
	"change":  {ddl.Change},
	"account": {ddl.Account},
	"set":     {ddl.Set},
	"other":   {ddl.Other},
}

// in tells whether a statement is of a kind that the pattern looks at.
func (p *Pattern) in(st *ddl.Statement) bool {
	return len(p.In) == 0 || slices.ContainsFunc(p.In, func(name string) bool { return slices.Contains(kindNames[name], st.Kind) })
}

// match gives what the pattern finds in a statement; Check is not its business.
func (p *Pattern) match(st *ddl.Statement, emit func(hit)) {
	if !p.in(st) {
		return
	}
	switch {
	case len(p.Begins) > 0:
		if n := sequence(st.Tokens, 0, p.Begins); n > 0 {
			emit(hit{st: st, from: 0, to: n, object: objectOf(st)})
		}
	case len(p.Words) > 0:
		for i := range st.Tokens {
			if n := sequence(st.Tokens, i, p.Words); n > 0 {
				emit(hit{st: st, from: i, to: i + n, object: objectOf(st)})
			}
		}
	case len(p.Functions) > 0:
		for i := 0; i+1 < len(st.Tokens); i++ {
			if st.Tokens[i].Kind == ddl.Word && st.Tokens[i+1].Is("(") && st.Tokens[i].Is(p.Functions...) && (i == 0 || !st.Tokens[i-1].Is(".", "INTO", "TABLE", "KEY", "INDEX", "FUNCTION", "PROCEDURE")) {
				emit(hit{st: st, from: i, to: i + 1, object: objectOf(st)})
			}
		}
	case len(p.Types) > 0:
		eachColumn(st, func(c *ddl.Column, _ *ddl.Clause) {
			if slices.Contains(p.Types, c.Type) {
				emit(hit{st: st, from: c.TypeAt, to: c.TypeAt + 1, object: objectOf(st) + "." + c.Name})
			}
		})
	case len(p.Variables) > 0:
		p.variables(st, emit)
	case p.Option != nil:
		eachOption(st, func(o *ddl.Option) {
			if strings.EqualFold(o.Name, p.Option.Name) && p.Option.means(o.Value) {
				emit(hit{st: st, from: o.At.From, to: o.At.To, object: objectOf(st)})
			}
		})
	}
}

func (o *OptionPattern) means(value string) bool {
	has := func(list []string) bool {
		return slices.ContainsFunc(list, func(v string) bool { return strings.EqualFold(v, value) })
	}
	return (len(o.Values) == 0 || has(o.Values)) && !has(o.Not)
}

// sequence tells how many tokens from i on are these words; 0 if they are not.
func sequence(tokens []ddl.Token, i int, words []string) int {
	from := i
	for n := 0; n < len(words); n++ {
		if words[n] == "…" {
			rest := words[n+1:]
			for depth := 0; i < len(tokens); i++ {
				if depth == 0 {
					if m := sequence(tokens, i, rest); m > 0 {
						return i + m - from
					}
				}
				switch {
				case tokens[i].Is("("):
					depth++
				case tokens[i].Is(")"):
					if depth--; depth < 0 {
						return 0
					}
				}
			}
			return 0
		}
		if i >= len(tokens) || !isClass(tokens[i], words[n]) {
			return 0
		}
		i++
	}
	return i - from
}

func isClass(t ddl.Token, word string) bool {
	switch word {
	case "<name>":
		return t.Kind == ddl.Word || t.Kind == ddl.Quoted
	case "<string>":
		return t.Kind == ddl.String
	case "<number>":
		return t.Kind == ddl.Number
	}
	if t.Kind == ddl.Variable || t.Kind == ddl.Symbol && t.Text == word { // as ||
		return strings.EqualFold(t.Text, word)
	}
	for w := range strings.SplitSeq(word, "|") {
		if t.Is(w) {
			return true
		}
	}
	return false
}

func objectOf(st *ddl.Statement) string {
	if st.Schema != "" {
		return st.Schema + "." + st.Name
	}
	return st.Name
}

// eachDefinition goes through what a statement defines of a table: all of a new one, or what a clause adds.
func eachDefinition(st *ddl.Statement, fn func(*ddl.Table, *ddl.Clause)) {
	if st.Table != nil {
		fn(st.Table, nil)
	}
	for i := range st.Clauses {
		if c := &st.Clauses[i]; c.Table != nil {
			fn(c.Table, c)
		}
	}
}

func eachColumn(st *ddl.Statement, fn func(*ddl.Column, *ddl.Clause)) {
	eachDefinition(st, func(t *ddl.Table, c *ddl.Clause) {
		for i := range t.Columns {
			fn(&t.Columns[i], c)
		}
	})
}

func eachKey(st *ddl.Statement, fn func(*ddl.Key)) {
	eachDefinition(st, func(t *ddl.Table, _ *ddl.Clause) {
		for i := range t.Keys {
			fn(&t.Keys[i])
		}
	})
	if st.Index != nil {
		fn(st.Index)
	}
}

func eachOption(st *ddl.Statement, fn func(*ddl.Option)) {
	eachDefinition(st, func(t *ddl.Table, _ *ddl.Clause) {
		for i := range t.Options {
			fn(&t.Options[i])
		}
	})
}
