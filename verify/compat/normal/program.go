package normal

import (
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// program is a view, a routine, a trigger or an event in normal form: what it is made of, in a fixed order. Who
// defined it is no part of it.
type program struct {
	thing
	facets []facet
}

// facet is one of the things that make a program.
type facet struct {
	what     string
	rule     string
	severity Severity
	text
}

func (p *program) add(what string, severity Severity, t text) {
	p.facets = append(p.facets, facet{"the " + what, "DIF1114", severity, t})
}

// program reads all but tables.
func (r *reader) program(o *Object, st *ddl.Statement, thing thing) *program {
	p := &program{thing: thing}
	if st.Body <= 0 || st.NameAt < 0 || st.Body > len(st.Tokens) {
		p.unsure = "the end of its head is not found"
		return p
	}
	head := unwidened(st.Tokens[st.NameAt+1 : st.Body])
	body := unwidened(st.Tokens[st.Body:])
	n := r.names(o)
	shown := st.Between(ddl.Range{From: st.Body, To: len(st.Tokens)})
	switch st.Kind {
	case ddl.CreateView:
		r.view(p, o, st)
		return p
	case ddl.CreateRoutine:
		r.routine(p, n, head)
	case ddl.CreateEvent:
		event(p, n, head)
	case ddl.CreateTrigger:
		p.add("moment or the table", Warning, formed(n, unordered(head)))
	default:
		p.add("head", Warning, formed(n, head))
	}
	p.add("body", Warning, text{shown, n.form(body)})
	return p
}

// sequence reads what numbers MariaDB gives.
func (r *reader) sequence(o *Object, st *ddl.Statement, thing thing) *program {
	p := &program{thing: thing}
	if st.NameAt < 0 {
		p.unsure = "what the server shows of it is no CREATE SEQUENCE"
		return p
	}
	p.add("definition", Warning, formed(r.names(o), st.Tokens[st.NameAt+1:]))
	return p
}

// formed is the text of tokens, a space between two.
func formed(n names, tokens []ddl.Token) text {
	shown := make([]string, len(tokens))
	for i, t := range tokens {
		shown[i] = t.Text
	}
	return text{strings.Join(shown, " "), n.form(tokens)}
}

// view reads CREATE ALGORITHM=… DEFINER=… SQL SECURITY … VIEW v [(…)] AS ….
func (r *reader) view(p *program, o *Object, st *ddl.Statement) {
	head := st.Tokens[:st.NameAt]
	p.add("algorithm", Info, option(head, "ALGORITHM", "="))
	p.add("security", Warning, option(head, "SQL", "SECURITY"))
	var columns []string
	for _, t := range st.Tokens[st.NameAt+1 : st.Body] {
		if t.Kind == ddl.Quoted {
			columns = append(columns, t.Text)
		}
	}
	tokens := aliased(st.Tokens[st.Body:], columns)
	p.add("query", Warning, text{st.Between(ddl.Range{From: st.Body, To: len(st.Tokens)}), r.names(o).form(tokens)})
}

// option is the word behind these.
func option(tokens []ddl.Token, words ...string) text {
	for i := range tokens {
		at := i
		for _, w := range words {
			if at < len(tokens) && tokens[at].Is(w) {
				at++
			}
		}
		if at == i+len(words) && at < len(tokens) {
			w := strings.ToLower(tokens[at].Text)
			return text{w, w}
		}
	}
	return text{}
}

// aliased is a query whose columns are named as the view's list has them: MySQL shows the list, MariaDB the names
// in the query.
func aliased(query []ddl.Token, columns []string) []ddl.Token {
	if len(columns) == 0 {
		return query
	}
	query = slices.Clone(query)
	depth, n := 0, 0
	for i := 0; i <= len(query) && n < len(columns); i++ {
		ends := i == len(query)
		if !ends {
			switch t := query[i]; {
			case t.Is("("):
				depth++
			case t.Is(")"):
				depth--
			}
			ends = depth == 0 && query[i].Is(",", "FROM", "UNION", "EXCEPT", "INTERSECT", "LIMIT", "ORDER")
		}
		if !ends {
			continue
		}
		if i >= 2 && query[i-2].Is("AS") {
			query[i-1] = ddl.Token{Kind: ddl.Quoted, Text: columns[n]}
		}
		n++
		if i < len(query) && !query[i].Is(",") {
			break
		}
	}
	return query
}

// unwidened leaves out the widths of integers, as the columns' types do.
func unwidened(tokens []ddl.Token) (out []ddl.Token) {
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		out = append(out, t)
		if t.Kind == ddl.Word && (integers[strings.ToLower(t.Text)] || t.Is("INTEGER")) && i+3 < len(tokens) && tokens[i+1].Is("(") && tokens[i+2].Kind == ddl.Number && tokens[i+3].Is(")") &&
			!(t.Is("TINYINT") && tokens[i+2].Text == "1") {
			i += 3
		}
	}
	return out
}

// unordered leaves out what orders triggers of one moment, which only MariaDB shows.
func unordered(head []ddl.Token) []ddl.Token {
	for i := range head {
		if head[i].Is("FOLLOWS", "PRECEDES") && i > 0 && head[i-1].Is("ROW") {
			return head[:i]
		}
	}
	return head
}

// routine reads the parameters, what is returned, and the characteristics, of which servers differ in the order.
func (r *reader) routine(p *program, n names, head []ddl.Token) {
	i := 0
	for depth := 0; i < len(head); {
		t := head[i]
		i++
		if t.Is("(") {
			depth++
		} else if t.Is(")") {
			depth--
		}
		if depth == 0 {
			break
		}
	}
	p.add("parameters", Warning, formed(n, head[:i]))
	head = head[i:]
	if len(head) > 0 && head[0].Is("RETURNS", "RETURN") {
		end := slices.IndexFunc(head, func(t ddl.Token) bool {
			return t.Is("DETERMINISTIC", "NOT", "NO", "CONTAINS", "READS", "MODIFIES", "SQL", "COMMENT", "LANGUAGE", "AS", "IS")
		})
		if end < 0 {
			end = len(head)
		}
		p.add("type that is returned", Warning, r.returned(head[1:end]))
		head = head[end:]
	}
	r.characteristics(p, head)
}

// returned is a type, with its collation in full.
func (r *reader) returned(tokens []ddl.Token) text {
	shown := make([]string, len(tokens))
	for i, t := range tokens {
		shown[i] = t.Text
	}
	sql := strings.Join(shown, " ")
	o := &Object{SQL: "CREATE TABLE t (c " + sql + ")"}
	st := r.statement(o)
	if st == nil || st.Table == nil || len(st.Table.Columns) != 1 {
		return text{sql, strings.ToLower(sql)}
	}
	c := r.column(&table{}, o, st, &st.Table.Columns[0])
	return text{sql, strings.TrimSpace(c.kind + " " + c.collation)}
}

func (r *reader) characteristics(p *program, head []ddl.Token) {
	var list []string
	for i := 0; i < len(head); i++ {
		switch t := head[i]; {
		case t.Is("COMMENT") && i+1 < len(head):
			i++
			c := head[i].Value()
			p.facets = append(p.facets, facet{"the comment", "DIF1113", Info, text{c, c}})
		case t.Is("NO", "CONTAINS", "LANGUAGE", "NOT") && i+1 < len(head):
			i++
			list = append(list, strings.ToLower(t.Text+" "+head[i].Text))
		case t.Is("READS", "MODIFIES", "SQL") && i+2 <= len(head):
			words := []string{t.Text}
			for i+1 < len(head) && head[i+1].Is("SQL", "DATA", "SECURITY", "INVOKER", "DEFINER") {
				i++
				words = append(words, head[i].Text)
			}
			list = append(list, strings.ToLower(strings.Join(words, " ")))
		default:
			list = append(list, strings.ToLower(t.Text))
		}
	}
	slices.Sort(list)
	list = slices.DeleteFunc(list, func(s string) bool {
		return s == "contains sql" || s == "not deterministic" || s == "sql security definer" || s == "language sql"
	})
	all := strings.Join(list, ", ")
	p.add("characteristics", Warning, text{all, all})
}

// event reads ON SCHEDULE … [STARTS …] [ON COMPLETION …] [DISABLE …] [COMMENT …] DO. A server makes up when a
// schedule starts if nobody says; so that is told apart.
func event(p *program, n names, head []ddl.Token) {
	parts := map[string][]ddl.Token{}
	to := "schedule"
	for i := 0; i < len(head); i++ {
		t := head[i]
		switch {
		case t.Is("ON") && i+1 < len(head) && head[i+1].Is("COMPLETION"):
			to = "end"
		case t.Is("STARTS"):
			to = "start"
		case t.Is("ENDS"):
			to = "schedule"
		case t.Is("ENABLE", "DISABLE"):
			to = "status"
		case t.Is("COMMENT"):
			to = "comment"
		case t.Is("DO") && i == len(head)-1:
			continue
		case t.Is("SLAVE"):
			t.Text = "REPLICA"
		}
		parts[to] = append(parts[to], t)
	}
	p.add("schedule", Warning, formed(n, parts["schedule"]))
	p.add("end", Warning, formed(n, parts["end"]))
	p.add("start", Info, formed(n, parts["start"]))
	p.add("status", Info, formed(n, parts["status"]))
	comment := formed(n, parts["comment"])
	p.facets = append(p.facets, facet{"the comment", "DIF1113", Info, comment})
}
