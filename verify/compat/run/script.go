package run

import (
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// statement is what is sent to a server at once.
type statement struct {
	ddl.Statement
	start, end int // its bytes in the file
}

func (s *statement) text() string { return s.File.Text[s.start:s.end] }

// place is where it begins, for people.
func (s *statement) place() (line int) {
	line, _ = s.File.At(s.start)
	return line
}

// script cuts a file as the server would that golang-migrate hands the whole text: what is a client's command (a
// DELIMITER line, \G) is no command there but belongs to a statement, which the server refuses (1064). A file that
// has no statement at all is sent as it is, and the server says what it thinks of that.
func script(f *ddl.File, d ddl.Dialect, quotes bool) []statement {
	all := dump(f, d, quotes)
	for _, c := range f.Commands() {
		// The first statement that ends behind the command: it is within that one, or before it.
		next := slices.IndexFunc(all, func(s statement) bool { return s.end > c.Start })
		if next < 0 {
			next = len(all)
		}
		switch {
		case next > 0 && strings.EqualFold(c.Text, `\g`) && (next == len(all) || all[next].start > c.Start):
			all[next-1].end = c.End
		case next < len(all):
			all[next].start = min(all[next].start, c.Start)
		default:
			all = append(all, statement{Statement: ddl.Statement{File: f, NameAt: -1}, start: c.Start, end: c.End})
		}
	}
	if len(all) == 0 {
		return []statement{{Statement: ddl.Statement{File: f, NameAt: -1}, end: len(f.Text)}}
	}
	return all
}

// dump cuts a file as a client does, for which DELIMITER is a command.
func dump(f *ddl.File, d ddl.Dialect, quotes bool) []statement {
	read := ddl.Read(f, d, quotes)
	all := make([]statement, len(read))
	for i, st := range read {
		all[i] = statement{Statement: st, start: st.Start, end: st.End}
	}
	return all
}

// refusal says why a statement is not sent; empty: it is. What acts on the whole server may act on a throwaway
// one, but not end it, or the connection that asks for the schemas.
func (s *statement) refusal() string {
	if len(s.Tokens) > 0 && s.Tokens[0].Is("SHUTDOWN", "RESTART", "KILL") {
		return strings.ToUpper(s.Tokens[0].Text) + " is not run: it would end the server under the files that follow"
	}
	return ""
}

// opens tells whether a transaction may be open after it.
func (s *statement) opens() bool {
	if len(s.Tokens) > 0 && s.Tokens[0].Is("BEGIN", "START") {
		return true
	}
	return s.Kind == ddl.Set && strings.Contains(strings.ToLower(s.text()), "autocommit")
}

// objects are the names of what the statement makes, changes or drops.
func (s *statement) objects() []string {
	var all []string
	for _, n := range s.Names {
		all = append(all, label(n.Schema, n.Name))
	}
	if len(all) == 0 && s.Name != "" {
		all = append(all, label(s.Schema, s.Name))
	}
	return all
}

func label(schema, name string) string {
	if schema == "" {
		return name
	}
	return schema + "." + name
}
