package schema

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"changeover/internal/server"
)

// Statement is a table DDL of the source's binlog.
type Statement struct {
	SQL  string
	From server.Flavor
	// Quotes: "a" is a name in it (ANSI_QUOTES).
	Quotes bool
	// UTF8MB4 is the collation of utf8mb4 where none is named: the session's default_collation_for_utf8mb4.
	// Empty: MySQL's own. It matters only towards a MariaDB.
	UTF8MB4 string
}

// TranslateStatement puts table DDL into the target's dialect; here is the target's definition of a
// table, nil if it has none of that name. Empty: there is nothing to do.
//
// How a server is to do it (ALGORITHM, LOCK) is left out. The rest is for MariaDB's: its types, its
// collations, defaults without parentheses, IF [NOT] EXISTS of a column or an index, for which the
// target is looked at: at this point of the stream it has what the source has.
func TranslateStatement(s Statement, target *Target, here func(schema, table string) (*Definition, error)) (string, []Note, error) {
	tr := &translator{target: target, mariaDB: s.From == server.MariaDB, options: TranslateOptions{}, checks: map[string]bool{}}
	st := &statementTranslation{translator: tr, r: newRewrite(s.SQL), quotes: s.Quotes, here: here,
		back: target.Flavor == server.MariaDB && s.From == server.MySQL, utf8mb4: cmp.Or(s.UTF8MB4, "utf8mb4_0900_ai_ci")}
	if st.back {
		st.bare()
	}
	st.run()
	if err := errors.Join(append(tr.problems, st.err)...); err != nil {
		return "", tr.notes, err
	}
	if st.nothing {
		return "", tr.notes, nil
	}
	return st.r.String(), tr.notes, nil
}

type statementTranslation struct {
	*translator
	r       *rewrite
	quotes  bool
	here    func(schema, table string) (*Definition, error)
	def     *Definition // the target's, of the table that is altered
	err     error
	nothing bool // what is to be is there already
	back    bool // MySQL's, for a MariaDB
	utf8mb4 string
}

// run tells the kind of statement by its first words.
func (s *statementTranslation) run() {
	at := 0
	skip := func(words ...string) {
		for s.r.at(at).is(words...) {
			at++
		}
	}
	switch first := s.r.at(0); {
	case first.is("CREATE"):
		at = 1
		skip("OR", "REPLACE", "TEMPORARY", "ONLINE", "OFFLINE", "UNIQUE", "FULLTEXT", "SPATIAL")
		switch {
		case s.r.at(at).is("TABLE"):
			at++
			skip("IF", "NOT", "EXISTS")
			s.create(s.table(at))
		case s.r.at(at).is("INDEX"):
			s.index(at + 1)
		case s.r.at(at).is("DATABASE", "SCHEMA"):
			s.tableWide(at + 1)
		}
	case first.is("ALTER"):
		at = 1
		if s.r.at(at).is("DATABASE", "SCHEMA") {
			s.tableWide(at + 1)
			return
		}
		skip("ONLINE", "OFFLINE", "IGNORE")
		if s.r.at(at).is("TABLE") {
			s.alter(at)
		}
	case first.is("DROP") && s.r.at(1).is("INDEX"):
		s.index(2)
	case !s.mariaDB:
	case first.is("DROP", "TRUNCATE"):
		s.patienceBefore(len(s.r.tokens))
	case first.is("RENAME"):
		for i := range s.r.tokens {
			if s.r.at(i).is("TO") {
				s.patienceBefore(i)
			}
		}
	}
}

// isName tells whether a token can be an identifier here.
func (s *statementTranslation) isName(t token) bool {
	return t.isName() || s.quotes && t.kind == text && t.text[0] == '"'
}

func (s *statementTranslation) nameOf(t token) string {
	if t.kind == text && len(t.text) > 1 {
		return strings.ReplaceAll(t.text[1:len(t.text)-1], `""`, `"`)
	}
	return t.name()
}

// table reads a table's name at i and returns the place after it.
func (s *statementTranslation) table(i int) (after int) {
	s.translator.name = s.nameOf(s.r.at(i))
	if s.r.at(i + 1).is(".") {
		s.translator.schema, s.translator.name = s.translator.name, s.nameOf(s.r.at(i+2))
		return i + 3
	}
	return i + 1
}

// look gets the target's definition of the table.
func (s *statementTranslation) look() *Definition {
	if s.def == nil && s.err == nil {
		s.def, s.err = s.here(s.translator.schema, s.translator.name)
	}
	return s.def
}

// create translates what follows a new table's name.
func (s *statementTranslation) create(i int) {
	if s.r.at(i).is("(") && !s.r.at(i+1).is("LIKE", "SELECT") {
		shut := closing(s.r.tokens, i)
		if shut < 0 {
			return
		}
		for _, item := range s.split(i+1, shut) {
			s.item(item.from, item.to)
		}
		i = shut + 1
	}
	s.tableWide(i)
}

// tableWide translates what is not about a column: options, wherever they stand.
func (s *statementTranslation) tableWide(i int) {
	s.collations(s.r)
	if s.back && (s.r.at(0).is("CREATE") || s.r.at(1).is("DATABASE", "SCHEMA")) {
		s.optionsToMariaDB(i, len(s.r.tokens))
	}
	if !s.mariaDB {
		return
	}
	for ; i < len(s.r.tokens); i++ {
		if s.r.at(i).is("(") {
			if i = closing(s.r.tokens, i); i < 0 {
				return
			}
			continue
		}
		s.tableOption(s.r, i)
	}
	s.mariaDBOptions(s.r)
}

type span struct{ from, to int } // places of tokens

// split cuts the tokens from…to-1 at the commas outside of parentheses.
func (s *statementTranslation) split(from, to int) (out []span) {
	depth, begin := 0, from
	for i := from; i < to; i++ {
		switch t := s.r.tokens[i]; {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case depth == 0 && t.is(","):
			out = append(out, span{begin, i})
			begin = i + 1
		}
	}
	return append(out, span{begin, to})
}

// keyWords begin an item of a table's definition that is not a column.
var keyWords = []string{"PRIMARY", "UNIQUE", "KEY", "INDEX", "FULLTEXT", "SPATIAL", "FOREIGN", "CONSTRAINT", "CHECK", "PERIOD", "LIKE", "PARTITION", "SYSTEM", "VECTOR"}

// item translates a column of a new table; keys stay as they are.
func (s *statementTranslation) item(from, to int) {
	if s.back {
		s.itemToMariaDB(from, to)
		return
	}
	if from < to && !s.r.at(from).is(keyWords...) {
		s.columnAt(from, to)
	}
}

// columnAt translates a column's definition, which begins with its name.
func (s *statementTranslation) columnAt(from, to int) {
	if !s.mariaDB || to-from < 2 || !s.isName(s.r.at(from)) {
		return
	}
	if s.r.at(to - 1).is("FIRST") {
		to--
	} else if s.r.at(to - 2).is("AFTER") {
		to -= 2
	}
	start, end := s.r.tokens[from].start, s.r.tokens[to-1].end
	column := newRewrite(s.r.sql[start:end])
	s.collations(column)
	s.column(column, s.nameOf(s.r.at(from)))
	if made := column.String(); made != s.r.sql[start:end] {
		s.r.edits = append(s.r.edits, edit{start, end, made})
	}
}

// alter translates ALTER [ONLINE] TABLE [IF EXISTS] t [WAIT n] clause, clause, …
func (s *statementTranslation) alter(at int) {
	i := at + 1
	if matches(s.r.tokens[i:], "IF", "EXISTS") {
		i += 2
	}
	i = s.table(i)
	clauses := s.split(i, len(s.r.tokens))
	kept := make([]bool, len(clauses))
	for n := range clauses {
		kept[n] = s.clause(&clauses[n])
	}
	s.dropClauses(clauses, kept)
	s.tableWide(i)
	if s.mariaDB {
		s.patience(i)
		if matches(s.r.tokens[at+1:], "IF", "EXISTS") {
			s.r.drop(at+1, at+3)
		}
		for n := 1; n < at; n++ { // ONLINE, IGNORE
			s.r.drop(n, n+1)
		}
	}
}

// dropClauses leaves out clauses with their commas; if none is left there is nothing to do.
func (s *statementTranslation) dropClauses(clauses []span, kept []bool) {
	if !slices.Contains(kept, true) {
		s.nothing = true
		return
	}
	first := slices.Index(kept, true)
	for n, keep := range kept {
		switch {
		case keep || clauses[n].from >= clauses[n].to:
		case n < first: // and the comma behind it
			s.r.drop(clauses[n].from, clauses[n].to+1)
		default: // and the comma before it
			s.r.drop(clauses[n].from-1, clauses[n].to)
		}
	}
}

// clause translates one clause of an ALTER; false leaves it out. WAIT n and NOWAIT may stand before
// the first, without a comma.
func (s *statementTranslation) clause(c *span) (keep bool) {
	i := c.from
	at := func(n int) token {
		if i+n >= c.to {
			return token{}
		}
		return s.r.at(i + n)
	}
	switch {
	case at(0).is("NOWAIT"):
		i++
	case at(0).is("WAIT"):
		i += 2
	}
	switch {
	case at(0).is("ALGORITHM", "LOCK"):
		return false
	case s.back:
		return s.clauseToMariaDB(c)
	case !s.mariaDB:
		return true
	case at(0).is("ADD"):
		i++
		kind := ""
		if at(0).is("COLUMN") {
			i++
		} else if at(0).is(keyWords...) {
			kind = "key"
		}
		return s.add(i, c.to, kind)
	case at(0).is("DROP"):
		i++
		kind := "column"
		if at(0).is("COLUMN", "KEY", "INDEX", "CONSTRAINT", "FOREIGN", "PRIMARY", "PARTITION") {
			if !at(0).is("COLUMN") {
				kind = "key"
			}
			i++
			if at(0).is("KEY") {
				i++
			}
		}
		return s.ifExists(i, kind)
	case at(0).is("MODIFY", "CHANGE"):
		old := 0 // names before the definition
		if at(0).is("CHANGE") {
			old = 1
		}
		i++
		if at(0).is("COLUMN") {
			i++
		}
		keep := s.ifExists(i, "column")
		if keep {
			s.columnAt(s.past(i)+old, c.to)
		}
		return keep
	case at(0).is("RENAME") && at(1).is("COLUMN", "INDEX", "KEY"):
		kind := "column"
		if !at(1).is("COLUMN") {
			kind = "key"
		}
		return s.ifExists(i+2, kind)
	case at(0).is("ALTER"):
		i++
		if at(0).is("COLUMN") {
			i++
		}
		return s.ifExists(i, "column")
	}
	return true
}

// past is the place after IF [NOT] EXISTS.
func (s *statementTranslation) past(i int) int {
	switch {
	case matches(s.r.tokens[i:], "IF", "NOT", "EXISTS"):
		return i + 3
	case matches(s.r.tokens[i:], "IF", "EXISTS"):
		return i + 2
	}
	return i
}

// add translates what follows ADD [COLUMN].
func (s *statementTranslation) add(i, to int, kind string) bool {
	if kind == "key" {
		for n := i; n < to && !s.r.at(n).is("("); n++ {
			if matches(s.r.tokens[n:], "IF", "NOT", "EXISTS") {
				s.r.drop(n, n+3)
				return !s.there(s.nameOf(s.r.at(n+3)), "key")
			}
		}
		return true
	}
	name := s.past(i)
	if name > i {
		s.r.drop(i, name)
		if !s.r.at(name).is("(") && s.there(s.nameOf(s.r.at(name)), "column") {
			return false
		}
	}
	if !s.r.at(name).is("(") {
		s.columnAt(name, to)
		return true
	}
	shut := closing(s.r.tokens, name)
	if shut < 0 {
		return true
	}
	items := s.split(name+1, shut)
	kept := make([]bool, len(items))
	for n, item := range items {
		kept[n] = name == i || item.from >= item.to || !s.there(s.nameOf(s.r.at(item.from)), "column")
		if kept[n] {
			s.item(item.from, item.to)
		}
	}
	if !slices.Contains(kept, true) {
		return false
	}
	s.dropClauses(items, kept)
	return true
}

// ifExists takes IF EXISTS at i away; false if what follows it is not there.
func (s *statementTranslation) ifExists(i int, kind string) bool {
	if !matches(s.r.tokens[i:], "IF", "EXISTS") {
		return true
	}
	s.r.drop(i, i+2)
	return s.there(s.nameOf(s.r.at(i+2)), kind)
}

// there tells whether the target's table has a column, or a key or constraint, of that name.
func (s *statementTranslation) there(name, kind string) bool {
	d := s.look()
	if d == nil {
		return false
	}
	if kind == "column" {
		return d.column(name) != nil
	}
	return slices.ContainsFunc(d.Parts, func(p Part) bool { return p.Kind != Column && strings.EqualFold(p.Name, name) })
}

// index translates CREATE INDEX and DROP INDEX, whose name is at i.
func (s *statementTranslation) index(i int) {
	on := s.r.find(i, "ON")
	if on < 0 {
		return
	}
	for n := len(s.r.tokens) - 1; n > on; n-- { // ALGORITHM = x, LOCK x
		if s.r.at(n).is("ALGORITHM", "LOCK") && s.r.find(on, s.r.at(n).text) >= 0 {
			value := n + 1
			if s.r.at(value).is("=") {
				value++
			}
			s.r.drop(n, min(len(s.r.tokens), value+1))
		}
	}
	if s.back && s.r.at(0).is("CREATE") {
		s.keyToMariaDB(on, len(s.r.tokens))
	}
	if !s.mariaDB {
		return
	}
	s.patience(s.table(on + 1))
	name := s.past(i)
	if name > i {
		s.r.drop(i, name)
		create := s.r.at(0).is("CREATE")
		s.nothing = s.there(s.nameOf(s.r.at(name)), "key") == create
	}
	for n := 1; n < i; n++ {
		if s.r.at(n).is("ONLINE", "OFFLINE") {
			s.r.drop(n, n+1)
		}
	}
}

// patience leaves out how long MariaDB waits for a table, which stands behind its name: WAIT n or
// NOWAIT at i.
func (s *statementTranslation) patience(i int) {
	switch number := s.r.at(i + 1); {
	case s.r.at(i).is("NOWAIT"):
		s.r.drop(i, i+1)
	case s.r.at(i).is("WAIT") && number.kind == word && number.text[0] >= '0' && number.text[0] <= '9':
		s.r.drop(i, i+2)
	}
}

// patienceBefore is patience for what ends at i.
func (s *statementTranslation) patienceBefore(i int) {
	if s.r.at(i-2).is(",", ".", "TABLE", "EXISTS", "TRUNCATE") {
		return // a table of that name
	}
	s.patience(i - 1)
	s.patience(i - 2)
}
