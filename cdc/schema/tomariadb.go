package schema

import (
	"strings"
)

// MySQL's table DDL in MariaDB's dialect, for the stream that goes back to a MariaDB: what MySQL alone has is
// left out where it says how and not what, put into MariaDB's words where it has some, and a problem
// elsewhere. What this does not know MariaDB refuses by itself.

// bare opens executable comments, since MySQL has executed what is in them (MariaDB passes those with MySQL's
// version numbers), and drops MariaDB's own, which MySQL has passed.
func (s *statementTranslation) bare() {
	for i := 0; i < len(s.r.tokens); i++ {
		open := s.r.at(i)
		if open.kind != symbol || !strings.HasPrefix(open.text, "/*") {
			continue
		}
		shut := i + 1
		for shut < len(s.r.tokens) && s.r.at(shut).text != "*/" {
			shut++
		}
		if shut == len(s.r.tokens) {
			return
		}
		if strings.HasPrefix(open.text, "/*M") {
			s.r.drop(i, shut+1)
			i = shut
			continue
		}
		s.r.edits = append(s.r.edits, edit{open.start, open.end, " "}, edit{s.r.at(shut).start, s.r.at(shut).end, " "})
	}
}

// each calls fn with the tokens from…to-1 that stand outside of parentheses.
func (s *statementTranslation) each(from, to int, fn func(i int)) {
	depth := 0
	for i := from; i < to; i++ {
		switch t := s.r.at(i); {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case depth == 0:
			fn(i)
		}
	}
}

// value is the place after the value that follows a word at i, with or without an equals sign.
func (s *statementTranslation) value(i int) (at, after int) {
	at = i + 1
	if s.r.at(at).is("=") {
		at++
	}
	return at, at + 1
}

// itemToMariaDB translates an item of a table's definition.
func (s *statementTranslation) itemToMariaDB(from, to int) {
	if from >= to {
		return
	}
	if s.r.at(from).is(keyWords...) {
		s.keyToMariaDB(from, to)
		return
	}
	s.columnToMariaDB(from, to)
}

// columnToMariaDB translates a column's definition, which begins with its name.
func (s *statementTranslation) columnToMariaDB(from, to int) {
	name, typ := s.nameOf(s.r.at(from)), s.r.at(from+1)
	switch {
	case typ.is("JSON"):
		// Without MariaDB's CHECK (json_valid(…)): what is JSON to MySQL may be none to MariaDB.
		s.note("column %s: JSON becomes LONGTEXT, which is what MariaDB keeps it in", name)
		s.r.replace(from+1, from+2, "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	case typ.is("VECTOR"):
		s.problem("column %s has the type VECTOR", name)
	case typ.is("GEOMCOLLECTION"):
		s.r.replace(from+1, from+2, "geometrycollection")
	}
	s.each(from+2, to, func(i int) {
		switch t := s.r.at(i); {
		case t.is("COLUMN_FORMAT", "STORAGE"):
			s.r.drop(i, i+2)
		case t.is("VISIBLE"):
			s.r.drop(i, i+1)
		case t.is("SRID"):
			s.note("SRID of column %s is left out: MariaDB does not hold a column to one", name)
			s.r.drop(i, i+2)
		case matches(s.r.tokens[i:], "NOT", "SECONDARY"):
			s.r.drop(i, i+2)
		}
	})
	s.attributesToMariaDB(from, to)
	s.charsetsToMariaDB(from+2, to)
}

// firstToMariaDB puts a column that was to be the first behind the primary key that MySQL has made by itself
// (my_row_id): there that one stays the first, whatever is said. end is the clause's.
func (s *statementTranslation) firstToMariaDB(end int) {
	if !s.r.at(end-1).is("FIRST") || s.r.at(end-2).is("AFTER") {
		return
	}
	if def := s.look(); def != nil && def.generatedKey() {
		s.r.replace(end-1, end, "AFTER `"+generatedKeyName+"`")
	}
}

// keyToMariaDB translates a key, or a constraint.
func (s *statementTranslation) keyToMariaDB(from, to int) {
	check := false
	s.each(from, to, func(i int) { check = check || s.r.at(i).is("CHECK") })
	for i := from; i < to; i++ {
		if s.r.at(i).is("(", ",") && s.r.at(i+1).is("(") && !check {
			s.problem("an index over an expression; MariaDB has none: %s", shorten(s.r.between(from, to)))
			break
		}
	}
	s.each(from, to, func(i int) {
		switch {
		case s.r.at(i).is("VISIBLE"):
			s.r.drop(i, i+1)
		case s.r.at(i).is("INVISIBLE"):
			s.r.replace(i, i+1, "IGNORED")
		}
	})
	s.attributesToMariaDB(from, to)
}

// attributesToMariaDB translates what columns and keys alike may have.
func (s *statementTranslation) attributesToMariaDB(from, to int) {
	s.each(from, to, func(i int) {
		switch {
		case s.r.at(i).is("ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE"):
			_, after := s.value(i)
			s.r.drop(i, after)
		case matches(s.r.tokens[i:], "NOT", "ENFORCED"):
			s.problem("a CHECK that is NOT ENFORCED; MariaDB has only those that are")
		case s.r.at(i).is("ENFORCED") && !s.r.at(i-1).is("NOT"):
			s.r.drop(i, i+1)
		}
	})
}

// optionsToMariaDB translates the options of a table or a database.
func (s *statementTranslation) optionsToMariaDB(from, to int) {
	s.each(from, to, func(i int) {
		if s.r.at(i).is("AUTOEXTEND_SIZE", "ENCRYPTION", "COMPRESSION", "TABLESPACE", "SECONDARY_ENGINE", "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE") {
			_, after := s.value(i)
			s.note("%s is left out: MariaDB has no such option", s.r.between(i, min(after, to)))
			s.r.drop(i, min(after, to))
		}
	})
	s.charsetsToMariaDB(from, to)
}

// charsetsToMariaDB names the collation where utf8mb4 stands without one: each server has its own default.
func (s *statementTranslation) charsetsToMariaDB(from, to int) {
	named := false
	s.each(from, to, func(i int) { named = named || s.r.at(i).is("COLLATE") })
	if named {
		return
	}
	s.each(from, to, func(i int) {
		word := i
		switch {
		case s.r.at(i).is("CHARSET"):
		case s.r.at(i).is("CHARACTER", "CHAR") && s.r.at(i+1).is("SET"):
			word++
		default:
			return
		}
		at, _ := s.value(word)
		if at < to && strings.EqualFold(strings.Trim(s.r.at(at).text, "`'\""), "utf8mb4") {
			end := s.r.at(at).end
			s.r.edits = append(s.r.edits, edit{end, end, " COLLATE " + s.collation(s.utf8mb4)})
		}
	})
}

// clauseToMariaDB translates one clause of an ALTER; false leaves it out.
func (s *statementTranslation) clauseToMariaDB(c *span) (keep bool) {
	i := c.from
	at := func(n int) token {
		if i+n >= c.to {
			return token{}
		}
		return s.r.at(i + n)
	}
	column := func() {
		if at(0).is("COLUMN") {
			i++
		}
	}
	switch {
	case at(0).is("WITH", "WITHOUT") && at(1).is("VALIDATION"):
		return false
	case at(0).is("ADD"):
		i++
		column()
		if shut := closing(s.r.tokens, i); at(0).is("(") && shut > 0 {
			for _, item := range s.split(i+1, shut) {
				s.itemToMariaDB(item.from, item.to)
			}
			return true
		}
		s.itemToMariaDB(i, c.to)
		s.firstToMariaDB(c.to)
	case at(0).is("MODIFY"):
		i++
		column()
		s.columnToMariaDB(i, c.to)
		s.firstToMariaDB(c.to)
	case at(0).is("CHANGE"):
		i++
		column()
		s.columnToMariaDB(i+1, c.to)
		s.firstToMariaDB(c.to)
	case at(0).is("DROP") && at(1).is("CHECK"):
		s.r.replace(i+1, i+2, "CONSTRAINT")
	case at(0).is("ALTER") && at(1).is("CHECK", "CONSTRAINT"):
		s.problem("a CHECK is made to be enforced or not; MariaDB has only those that are")
	case at(0).is("ALTER") && at(1).is("INDEX"):
		switch {
		case at(3).is("VISIBLE"):
			s.r.replace(i+3, i+4, "NOT IGNORED")
		case at(3).is("INVISIBLE"):
			s.r.replace(i+3, i+4, "IGNORED")
		}
	case at(0).is("ALTER"):
		s.each(i, c.to, func(n int) {
			if s.r.at(n).is("SET") && s.r.at(n+1).is("VISIBLE", "INVISIBLE") {
				s.problem("a column is made visible or invisible by itself; MariaDB wants its whole definition")
			}
		})
	default:
		s.optionsToMariaDB(c.from, c.to)
	}
	return true
}
