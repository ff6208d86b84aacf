package compat

import (
	"regexp"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// syntaxError is a server's answer to what it can't read.
const syntaxError = 1064

// absent are errors whose message names what is not there.
var absent = []int{
	1049, // database
	1051, // table, of DROP
	1146, // table
	1305, // routine
	1360, // trigger
	1539, // event
	1824, // table, of a foreign key
}

// incomplete are errors of a statement that names something of which a part is not there. The part is named in the
// message, not what it is of.
var incomplete = []int{
	1005, // MariaDB's, of a foreign key
	1054, // column
	1072, // column, of a key
	1075, // key, of AUTO_INCREMENT
	1091, // column or key, of DROP
	1176, // key
	1215, // key, of a foreign key
	1356, // what a view is of
	1822, // key, of a foreign key
	6125, // key that is unique, of a foreign key
}

// lost is what a server lacks since statements failed: the name of an object, and the first statement that failed to
// make or change it.
type lost map[string]place

// causes are the statements that failed on a server for want of what an earlier one should have made, each with the
// first of all: a dump goes on after errors, and one that can't make a table fails wherever the table is named.
func (c *checker) causes(s *RanServer) map[place]place {
	found := map[place]place{}
	if !slices.ContainsFunc(s.Outcomes, func(o Outcome) bool { return o.Error != nil }) {
		return found
	}
	statements, live := c.sent()
	lacks := lost{}
	for more := true; more; {
		more = false
		for i := range s.Outcomes {
			o := &s.Outcomes[i]
			st, p := statements[place{file: o.File, start: o.Start}], o.place()
			if st == nil || has(found, p) {
				continue
			}
			cause, ok := lacks.cause(o, st)
			if cause = first(found, cause); ok && cause != p {
				found[p], more = cause, live // a server's views are in no order
			}
			lacks.note(o, st)
		}
	}
	for p, cause := range found {
		found[p] = first(found, cause)
	}
	return found
}

// first is the statement that has no cause before it.
func first(causes map[place]place, p place) place {
	for has(causes, p) {
		p = causes[p]
	}
	return p
}

// sent are the statements by their places, and whether they are a server's definitions.
func (c *checker) sent() (statements map[place]*ddl.Statement, live bool) {
	statements = map[place]*ddl.Statement{}
	for i := range c.files {
		f := &c.files[i]
		live = live || c.input.live[f.file] != nil
		for j := range f.statements {
			statements[place{file: f.file, start: f.statements[j].Start}] = &f.statements[j]
		}
	}
	return statements, live
}

// cause is the statement for want of which another one failed.
func (l lost) cause(o *Outcome, st *ddl.Statement) (place, bool) {
	switch {
	case o.Error == nil:
	case slices.Contains(absent, o.Error.Errno):
		for _, name := range quotedNames(o.Error.Message) {
			if cause, ok := l[strings.ToLower(name)]; ok {
				return cause, true
			}
		}
	case slices.Contains(incomplete, o.Error.Errno):
		for i := range st.Tokens {
			if t := &st.Tokens[i]; t.Kind == ddl.Word || t.Kind == ddl.Quoted {
				if cause, ok := l[strings.ToLower(t.Name())]; ok {
					return cause, true
				}
			}
		}
	}
	return place{}, false
}

// note keeps what there is to know of an object after a statement that makes or changes it.
func (l lost) note(o *Outcome, st *ddl.Statement) {
	var names []string
	switch st.Kind {
	case ddl.Query, ddl.Change, ddl.Set, ddl.Account, ddl.DropTable, ddl.TruncateTable, ddl.DropIndex, ddl.Other:
		return
	case ddl.RenameTable:
		for i := 1; i < len(st.Names); i += 2 {
			names = append(names, st.Names[i].Name)
		}
	default:
		names = []string{st.Name}
	}
	for _, name := range names {
		key := strings.ToLower(name)
		switch {
		case name == "":
		case o.Error != nil:
			if !has(l, key) {
				l[key] = o.place()
			}
		case st.Kind != ddl.AlterTable && st.Kind != ddl.CreateIndex:
			delete(l, key) // it is there now
		}
	}
}

var quotedName = regexp.MustCompile("(?:^|[\\s(.])['`\"]([^'`\"]*)['`\"]|^(?:FUNCTION|PROCEDURE) (\\S+) ")

// quotedNames are the names in a message, without the schemas before them.
func quotedNames(message string) (all []string) {
	for _, m := range quotedName.FindAllStringSubmatch(message, -1) {
		name := m[1] + m[2]
		all = append(all, name[strings.LastIndex(name, ".")+1:])
	}
	return all
}
