package ddl

import "strings"

// Read cuts a text into statements and reads them. Quotes is ANSI_QUOTES: "…" is a name. Statements end at
// the delimiter, which is a semicolon or what a DELIMITER line of the client says, and at the end of the text;
// without such lines a stored program is one statement with the semicolons of its blocks. The words of
// executable comments are read whatever the dialect is and whatever version they ask for; their tokens have
// a Gate. The same file may be read many times, also at the same time.
func Read(f *File, d Dialect, quotes bool) []Statement {
	s := splitter{lexer: newLexer(f.Text, quotes), dialect: d, tokens: make([]Token, 0, min(len(f.Text)/5, 1<<16))}
	s.run()
	read := make([]Statement, len(s.cuts))
	for i, cut := range s.cuts {
		read[i] = Statement{File: f, Start: cut.start, End: cut.end, Tokens: s.tokens[cut.from:cut.to:cut.to], NameAt: -1}
		c := cursor{s: &read[i], t: read[i].Tokens, d: d}
		c.statement()
	}
	return read
}

// cursor goes over the tokens of a statement. Whatever it does, it goes forward, and past the end it sees
// an EndToken.
type cursor struct {
	s *Statement
	t []Token
	i int
	d Dialect
}

// upper is a keyword in upper case, or a symbol; empty for anything else.
func upper(t Token) string {
	if t.Kind != Word && t.Kind != Symbol {
		return ""
	}
	return strings.ToUpper(t.Text)
}

// ahead is the n-th token from here.
func (c *cursor) ahead(n int) Token {
	if c.i+n < len(c.t) {
		return c.t[c.i+n]
	}
	return Token{Kind: EndToken}
}

func (c *cursor) done() bool { return c.i >= len(c.t) }

// step goes one token forward and gives the one that it leaves.
func (c *cursor) step() Token {
	t := c.ahead(0)
	c.i = min(c.i+1, len(c.t))
	return t
}

// sees tells whether these words stand here, one after the other.
func (c *cursor) sees(words ...string) bool {
	for n, w := range words {
		if !c.ahead(n).Is(w) {
			return false
		}
	}
	return true
}

// take goes past these words if they stand here.
func (c *cursor) take(words ...string) bool {
	if !c.sees(words...) {
		return false
	}
	c.i += len(words)
	return true
}

// any goes past one of these words and gives it in upper case; empty if none of them stands here.
func (c *cursor) any(words ...string) string {
	if t := c.ahead(0); t.Is(words...) {
		c.i++
		return upper(t)
	}
	return ""
}

func (c *cursor) named() bool {
	t := c.ahead(0)
	return t.Kind == Word || t.Kind == Quoted
}

// group goes past what stands in parentheses, if they open here.
func (c *cursor) group() Range {
	r := Range{c.i, c.i}
	if !c.sees("(") {
		return Range{}
	}
	for depth := 0; !c.done(); {
		switch t := c.step(); {
		case t.Is("("):
			depth++
		case t.Is(")"):
			depth--
		}
		if depth == 0 {
			break
		}
	}
	r.To = c.i
	return r
}

// pass goes past one token, or past a whole pair of parentheses.
func (c *cursor) pass() {
	if c.sees("(") {
		c.group()
	} else {
		c.step()
	}
}

// name reads [schema.]name; at is the name's token, -1 if there is none.
func (c *cursor) name() (schema, name string, at int) {
	c.take(".")
	if !c.named() {
		return "", "", -1
	}
	at = c.i
	name = c.step().Name()
	for c.sees(".") && (c.ahead(1).Kind == Word || c.ahead(1).Kind == Quoted) {
		c.i++
		at = c.i
		schema, name = name, c.step().Name()
	}
	return schema, name, at
}

// object reads the name of what the statement makes or changes.
func (c *cursor) object() {
	c.s.Schema, c.s.Name, c.s.NameAt = c.name()
}

// ifExists goes past IF [NOT] EXISTS and tells where it stood, -1 if it did not.
func (c *cursor) ifExists() int {
	at := c.i
	if c.take("IF", "NOT", "EXISTS") || c.take("IF", "EXISTS") {
		return at
	}
	return -1
}

func (c *cursor) objectIf() {
	c.s.IfExists = c.ifExists() >= 0 || c.s.IfExists
	c.object()
}

// statement reads the statement from its first token on.
func (c *cursor) statement() {
	s := c.s
	for c.sees("(") {
		c.i++
	}
	switch first := c.step(); upper(first) {
	case "CREATE":
		c.create()
	case "ALTER":
		c.alter()
	case "DROP":
		c.drop()
	case "RENAME":
		c.rename()
	case "TRUNCATE":
		s.Kind = TruncateTable
		c.take("TABLE")
		c.objectIf()
		s.Names = append(s.Names, Name{s.Schema, s.Name, s.NameAt})
	case "GRANT", "REVOKE":
		s.Kind = Account
	case "SET":
		s.Kind = Set
		if c.sees("PASSWORD") || c.sees("DEFAULT", "ROLE") {
			s.Kind = Account
		}
	case "SELECT", "VALUES", "TABLE":
		s.Kind = Query
	case "WITH":
		s.Kind = c.with()
	case "INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD", "CALL":
		s.Kind = Change
		c.change(upper(first))
	}
}

// with tells what stands behind the common table expressions.
func (c *cursor) with() Kind {
	for !c.done() {
		switch upper(c.ahead(0)) {
		case "UPDATE", "DELETE", "INSERT", "REPLACE":
			verb := upper(c.step())
			c.change(verb)
			return Change
		case "SELECT", "VALUES", "TABLE":
			return Query
		}
		c.pass()
	}
	return Query
}

// change finds the table, or the routine, that a change names first.
func (c *cursor) change(verb string) {
	switch verb {
	case "CALL":
	case "LOAD":
		for !c.done() && !c.take("INTO", "TABLE") {
			c.pass()
		}
	default:
		for c.any("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "QUICK", "IGNORE", "INTO", "FROM") != "" {
			continue
		}
	}
	c.object()
}

// rename reads RENAME TABLE a TO b, … and the like.
func (c *cursor) rename() {
	if c.any("TABLE", "TABLES") == "" {
		if c.sees("USER") {
			c.s.Kind = Account
		}
		return
	}
	c.s.Kind = RenameTable
	c.s.IfExists = c.ifExists() >= 0
	c.names("TO")
}

// names reads names with commas, or another word, between them. The first is the statement's.
func (c *cursor) names(between string) {
	s := c.s
	for c.named() || c.sees(".") {
		schema, name, at := c.name()
		if at < 0 {
			break
		}
		s.Names = append(s.Names, Name{schema, name, at})
		if c.any("WAIT") != "" {
			c.step()
		}
		c.take("NOWAIT")
		if !c.take(",") && !(between != "" && c.take(between)) {
			break
		}
	}
	if len(s.Names) > 0 {
		s.Schema, s.Name, s.NameAt = s.Names[0].Schema, s.Names[0].Name, s.Names[0].At
	}
}

// drop reads DROP of anything.
func (c *cursor) drop() {
	s := c.s
	s.Temporary = c.take("TEMPORARY")
	c.any("ONLINE", "OFFLINE")
	switch what := upper(c.step()); what {
	case "TABLE", "TABLES":
		s.Kind = DropTable
		s.IfExists = c.ifExists() >= 0
		c.names("")
	case "INDEX":
		s.Kind = DropIndex
		s.IfExists = c.ifExists() >= 0
		from := c.i
		s.Index = &Key{Name: c.ident()}
		s.Index.At = Range{from, c.i}
		if c.take("ON") {
			c.object()
		}
		s.Index.Options = c.options()
	case "USER", "ROLE":
		s.Kind = Account
		s.IfExists = c.ifExists() >= 0
	case "PACKAGE":
		c.take("BODY")
		c.objectIf()
	case "VIEW", "SEQUENCE":
		s.IfExists = c.ifExists() >= 0
		c.names("")
	case "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "DATABASE", "SCHEMA":
		c.objectIf()
	}
}

// ident is a name without a schema; empty if none stands here.
func (c *cursor) ident() string {
	if !c.named() {
		return ""
	}
	return c.step().Name()
}

// create reads CREATE of anything.
func (c *cursor) create() {
	s := c.s
	kind := Plain
	for {
		switch word := upper(c.ahead(0)); word {
		case "OR":
			if !c.take("OR", "REPLACE") {
				return
			}
			s.OrReplace = true
			continue
		case "TEMPORARY":
			s.Temporary = true
		case "UNIQUE":
			s.Unique, kind = true, Unique
		case "FULLTEXT":
			kind = FullText
		case "SPATIAL":
			if c.ahead(1).Is("REFERENCE") {
				return
			}
			kind = Spatial
		case "VECTOR":
			kind = VectorKey
		case "ONLINE", "OFFLINE", "AGGREGATE":
		default:
			if c.definer() {
				continue
			}
			c.i++
			c.made(word, kind)
			return
		}
		c.i++
	}
}

// definer goes past DEFINER = …, ALGORITHM = …, SQL SECURITY … .
func (c *cursor) definer() bool {
	switch {
	case c.take("DEFINER"):
		c.take("=")
		c.step()
		c.group()
		if t := c.ahead(0); t.Kind == Variable {
			c.i++
		} else if t.Is("@") {
			c.i++
			c.step()
		}
	case c.take("ALGORITHM"):
		c.take("=")
		c.step()
	case c.take("SQL", "SECURITY"):
		c.step()
	default:
		return false
	}
	return true
}

// made reads what stands behind CREATE and the word of what is made.
func (c *cursor) made(word string, kind KeyKind) {
	s := c.s
	switch word {
	case "TABLE":
		s.Kind = CreateTable
		c.objectIf()
		s.Table = c.table()
	case "INDEX":
		s.Kind = CreateIndex
		s.Index = c.createIndex(kind)
	case "VIEW":
		s.Kind = CreateView
		c.objectIf()
		c.view()
	case "TRIGGER":
		s.Kind = CreateTrigger
		c.objectIf()
		c.behind("FOR", "EACH", "ROW")
		if c.any("FOLLOWS", "PRECEDES") != "" {
			c.name()
		}
		c.body()
	case "PROCEDURE", "FUNCTION":
		s.Kind = CreateRoutine
		c.objectIf()
		c.routine()
	case "PACKAGE":
		s.Kind = CreatePackage
		c.take("BODY")
		c.objectIf()
		c.characteristics()
		c.any("AS", "IS")
		c.body()
	case "EVENT":
		s.Kind = CreateEvent
		c.objectIf()
		c.behind("DO")
		c.body()
	case "SEQUENCE":
		s.Kind = CreateSequence
		c.objectIf()
	case "DATABASE", "SCHEMA":
		s.Kind = CreateDatabase
		c.objectIf()
		s.Options = c.options()
	case "USER", "ROLE":
		s.Kind = Account
		s.IfExists = c.ifExists() >= 0
	}
}

// behind goes past these words, wherever they come.
func (c *cursor) behind(words ...string) {
	for !c.done() && !c.take(words...) {
		c.pass()
	}
}

// body is from here on.
func (c *cursor) body() {
	if !c.done() {
		c.s.Body = c.i
	}
}

// view reads the columns of a view and finds its SELECT.
func (c *cursor) view() {
	c.group()
	if c.take("AS") {
		c.body()
	}
}

// routine finds the body of a procedure or of a function.
func (c *cursor) routine() {
	c.group()
	if c.any("RETURNS", "RETURN") != "" {
		var returned Column
		c.kind(&returned)
		for c.charset(&returned) || c.any("UNSIGNED", "SIGNED", "ZEROFILL", "BINARY") != "" {
			continue
		}
	}
	c.characteristics()
	if c.take("SONAME") {
		return
	}
	c.any("AS", "IS")
	c.body()
}

// characteristics goes past those of a routine.
func (c *cursor) characteristics() {
	for {
		switch {
		case c.take("DETERMINISTIC"), c.take("NOT", "DETERMINISTIC"), c.take("CONTAINS", "SQL"), c.take("NO", "SQL"),
			c.take("READS", "SQL", "DATA"), c.take("MODIFIES", "SQL", "DATA"):
		case c.take("SQL", "SECURITY"), c.take("COMMENT"), c.take("LANGUAGE"):
			c.step()
		case c.sees("USING", "("):
			c.i++
			c.group()
		default:
			return
		}
	}
}
