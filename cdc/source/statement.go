package source

import (
	"strings"

	"changeover/internal/server"
)

// Kind is what a statement of the binlog means for the stream.
type Kind uint8

// The kinds of a statement.
const (
	Unknown     Kind = iota // not understood: the stream stops
	TableDDL                // changes tables: Tables says which
	DatabaseDDL             // CREATE, ALTER, DROP DATABASE
	ObjectDDL               // triggers, events, routines, views
	Account                 // users, roles, grants
	Maintenance             // ANALYZE, OPTIMIZE, FLUSH and others that change no definition
	Transaction             // BEGIN, COMMIT, ROLLBACK, SAVEPOINT, XA
	DML                     // row changes as a statement: never what we want to see
)

func (k Kind) String() string {
	names := [...]string{"unknown", "table DDL", "database DDL", "object DDL", "account",
		"maintenance", "transaction", "DML"}
	if int(k) >= len(names) {
		return "invalid"
	}
	return names[k]
}

// Name is a table's name as the statement means it: an unqualified one is in the default database.
type Name struct{ Schema, Table string }

// Rename is one table's change of name.
type Rename struct{ From, To Name }

// Class is what the first words and the names of a statement tell.
type Class struct {
	Kind Kind
	Verb string // the first words in capitals: "ALTER TABLE", "CREATE INDEX", "DROP DATABASE"
	// Tables are all tables that a TableDDL touches, in the order of the text: those created,
	// altered, dropped or truncated, both names of a rename, the other table of LIKE and of
	// EXCHANGE or CONVERT PARTITION.
	Tables  []Name
	Renames []Rename
	// Temporary: the tables are temporary ones, which the stream has nothing to do with.
	Temporary bool
	// Select: CREATE TABLE … SELECT, or what MySQL logs in its place (… START TRANSACTION).
	Select bool
	// Like: CREATE TABLE … LIKE, the second of Tables.
	Like bool
	// Database is the one of a DatabaseDDL.
	Database string
	// Ours: the statement begins with "/* changeover": this or another Changeover issued it.
	Ours bool
	// Numbers: an ALTER TABLE that gives a column AUTO_INCREMENT; rows that are there get numbers
	// in an order that the other server need not share.
	Numbers bool
	// Computes: an ALTER TABLE with a DEFAULT that is an expression: rows that are there get
	// values that the other server need not share (UUID(), RAND()).
	Computes bool
	// FillsJSON: an ALTER TABLE that makes a column JSON NOT NULL: rows that are there get MySQL's null, or
	// MariaDB's ''.
	FillsJSON bool
}

// Marker is how every statement that Changeover issues begins (design §4).
const Marker = "/* changeover"

// Classify tells what a statement is and which tables it names, from its first words and its
// names. It is a tokenizer, not a parser: it is used on what a server has already accepted and
// written to its binlog, so what is not valid SQL may get any answer; it never panics.
//
// A backslash in a string is taken as an escape also if the session had NO_BACKSLASH_ESCAPES;
// names come before strings in almost all statements, so little depends on it.
func Classify(sql, defaultSchema string, flavor server.Flavor) Class {
	c := &classifier{
		lex:    lexer{sql: sql, mariaDB: flavor == server.MariaDB},
		schema: defaultSchema,
	}
	c.class.Ours = strings.HasPrefix(strings.TrimSpace(sql), Marker)
	c.advance()
	c.statement()
	return c.class
}

// classifier reads a statement with two tokens of look-ahead: t is the one at hand, ahead the next.
type classifier struct {
	lex      lexer
	schema   string
	t, ahead token
	started  bool
	class    Class
}

func (c *classifier) advance() {
	if !c.started {
		c.started = true
		c.ahead = c.lex.next()
	}
	c.t, c.ahead = c.ahead, c.lex.next()
}

// accept passes the words if they come next, all of them.
func (c *classifier) accept(words ...string) bool {
	if !c.t.is(words[0]) || len(words) > 1 && !c.ahead.is(words[1]) {
		return false
	}
	for range words {
		c.advance()
	}
	return true
}

// verb passes one word and makes it part of the class's verb.
func (c *classifier) verb() {
	if c.class.Verb != "" && c.t.bare != "" {
		c.class.Verb += " "
	}
	c.class.Verb += c.t.bare
	c.advance()
}

// kinds are the statements that are known by their first word alone.
func kindOf(verb string) (Kind, bool) {
	switch verb {
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "CALL", "DO", "SELECT", "WITH", "VALUES", "BINLOG", "HANDLER":
		return DML, true
	case "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA":
		return Transaction, true
	case "GRANT", "REVOKE":
		return Account, true
	case "ANALYZE", "OPTIMIZE", "REPAIR", "CHECK", "CHECKSUM", "FLUSH", "RESET", "PURGE", "KILL", "CACHE",
		"INSTALL", "UNINSTALL", "LOCK", "UNLOCK", "USE", "SHOW", "STOP", "CHANGE", "SHUTDOWN", "RESTART":
		return Maintenance, true
	}
	return Unknown, false
}

func (c *classifier) statement() {
	if kind, ok := kindOf(c.t.bare); ok && c.t.kind == word {
		c.class.Kind = kind
		c.verb()
		return
	}
	switch {
	case c.t.is("CREATE"):
		c.create()
	case c.t.is("ALTER"):
		c.alter()
	case c.t.is("DROP"):
		c.drop()
	case c.t.is("RENAME"):
		c.rename()
	case c.t.is("TRUNCATE"):
		c.truncate()
	case c.t.is("SET"):
		c.set()
	case c.t.is("START"):
		c.start()
	case c.t.is("LOAD"):
		c.load()
	default:
		c.class.Verb = c.t.bare
	}
}

func (c *classifier) start() {
	c.verb()
	c.class.Kind = Maintenance // START REPLICA, START GROUP_REPLICATION
	if c.t.is("TRANSACTION") {
		c.class.Kind = Transaction
	}
	c.verb()
}

func (c *classifier) load() {
	c.verb()
	c.class.Kind = DML // LOAD DATA, LOAD XML
	if c.t.is("INDEX") {
		c.class.Kind = Maintenance
	}
	c.verb()
}

// set tells SET PASSWORD and SET ROLE from variables, and looks behind MariaDB's
// SET STATEMENT name = value, … FOR, which is logged with the statement that it wraps.
func (c *classifier) set() {
	c.verb()
	switch {
	case c.t.is("PASSWORD", "ROLE") || c.t.is("DEFAULT") && c.ahead.is("ROLE"):
		c.class.Kind = Account
		c.verb()
	case c.t.is("STATEMENT") && c.lex.mariaDB:
		for c.t.kind != endOfText && !c.t.is("FOR") {
			c.advance()
		}
		c.advance()
		c.class.Verb = ""
		c.statement()
	default:
		c.class.Kind = Maintenance
	}
}

// object tells the kind of what CREATE, ALTER and DROP act on by its word; tables, indexes and
// databases have readers of their own.
func object(t token) Kind {
	switch {
	case t.is("VIEW", "TRIGGER", "EVENT", "PROCEDURE", "FUNCTION", "PACKAGE", "LIBRARY"):
		return ObjectDDL
	case t.is("USER", "ROLE"):
		return Account
	case t.is("INSTANCE", "RESOURCE", "PREPARE"):
		return Maintenance
	}
	return Unknown // SEQUENCE, SERVER, TABLESPACE, LOGFILE GROUP, SPATIAL REFERENCE SYSTEM, …
}

func (c *classifier) create() {
	c.verb()
	c.modifiers()
	switch {
	case c.t.is("TABLE"):
		c.verb()
		c.createTable()
	case c.t.is("INDEX"):
		c.verb()
		c.index()
	case c.t.is("DATABASE", "SCHEMA"):
		c.database()
	default:
		c.class.Kind = object(c.t)
		c.verb()
	}
}

// modifiers passes what may stand between CREATE, ALTER or DROP and the object's word.
func (c *classifier) modifiers() {
	for {
		switch {
		case c.accept("OR", "REPLACE"):
		case c.t.is("TEMPORARY"):
			c.class.Temporary = true
			c.advance()
		case c.t.is("SPATIAL") && c.ahead.is("REFERENCE"):
			return
		case c.t.is("UNDO") && c.ahead.is("TABLESPACE"):
			return
		case c.t.is("ONLINE", "OFFLINE", "IGNORE", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", "AGGREGATE",
			"JSON", "RELATIONAL", "DUALITY", "MATERIALIZED"):
			c.advance()
		case c.t.is("DEFINER"):
			c.advance()
			c.definer()
		case c.t.is("ALGORITHM"):
			c.advance()
			c.accept("=")
			c.advance()
		case c.accept("SQL", "SECURITY"):
			c.advance()
		default:
			return
		}
	}
}

// definer passes = user, = user@host, = CURRENT_USER().
func (c *classifier) definer() {
	c.accept("=")
	c.advance()
	if c.accept("(", ")") {
		return
	}
	if !c.accept("@") {
		return
	}
	c.advance()
	for c.accept(".") { // an unquoted host: db1.example
		c.advance()
	}
}

func (c *classifier) ifExists() {
	if c.accept("IF") {
		c.accept("NOT")
		c.accept("EXISTS")
	}
}

// name reads [schema.]table; what is no name reads as none.
func (c *classifier) name() (Name, bool) {
	n := Name{Schema: c.schema}
	if c.t.is(".") { // .t: the default database's, an old ODBC spelling
		c.advance()
	}
	if !c.t.isName() {
		return Name{}, false
	}
	n.Table = c.t.text
	c.advance()
	if c.t.is(".") && c.ahead.isName() {
		c.advance()
		n.Schema, n.Table = n.Table, c.t.text
		c.advance()
	}
	return n, true
}

// table reads one table's name into the class.
func (c *classifier) table() (Name, bool) {
	n, ok := c.name()
	if ok {
		c.class.Kind = TableDDL
		c.class.Tables = append(c.class.Tables, n)
	}
	return n, ok
}

func (c *classifier) createTable() {
	c.ifExists()
	if _, ok := c.table(); !ok {
		return
	}
	if c.accept("LIKE") || c.accept("(", "LIKE") {
		c.class.Like = true
		c.table()
		return
	}
	c.atTop(func() {
		switch {
		// In brackets too: CREATE TABLE t (SELECT …). A column's name is never bare SELECT.
		case c.t.is("SELECT", "WITH", "VALUES") && !c.ahead.is("PARSER", "SYSTEM", "LESS", "IN"),
			c.t.is("START") && c.ahead.is("TRANSACTION"):
			c.class.Select = true
		}
	})
}

// atTop calls at for every token up to the end that is outside of brackets. The body may pass
// tokens itself.
func (c *classifier) atTop(at func()) {
	for depth := 0; c.t.kind != endOfText; c.advance() {
		switch {
		case c.t.is("("):
			depth++
			if depth == 1 && c.ahead.is("SELECT", "WITH") {
				c.advance()
				at()
			}
		case c.t.is(")"):
			depth--
		case depth == 0:
			at()
		}
	}
}

// index reads [IF EXISTS] name [USING …] ON table.
func (c *classifier) index() {
	c.ifExists()
	for c.t.kind != endOfText && !c.t.is("ON") {
		c.advance()
	}
	c.advance()
	c.table()
}

// database reads [IF EXISTS] [name]; ALTER DATABASE may leave the name out.
func (c *classifier) database() {
	c.class.Kind = DatabaseDDL
	c.class.Verb += " DATABASE" // SCHEMA is another word for it
	c.advance()
	c.ifExists()
	c.class.Database = c.schema
	option := c.t.is("CHARACTER", "CHARSET", "COLLATE", "DEFAULT", "ENCRYPTION", "COMMENT") ||
		c.t.is("READ") && c.ahead.is("ONLY")
	if c.t.isName() && !option {
		c.class.Database = c.t.text
	}
}

func (c *classifier) alter() {
	c.verb()
	c.modifiers()
	switch {
	case c.t.is("TABLE"):
		c.verb()
		c.ifExists()
		if from, ok := c.table(); ok {
			c.alterations(from)
		}
	case c.t.is("DATABASE", "SCHEMA"):
		c.database()
	default:
		c.class.Kind = object(c.t)
		c.verb()
	}
}

// alterations finds the other tables that an ALTER TABLE touches, and what it does to rows that
// are there. AUTO_INCREMENT and DEFAULT count in brackets too: ADD COLUMN (id INT AUTO_INCREMENT).
func (c *classifier) alterations(from Name) {
	json := false // of the column at hand
	for depth := 0; c.t.kind != endOfText; {
		switch {
		case c.t.is("("):
			depth++
		case c.t.is(")"):
			depth--
		case c.t.is("AUTO_INCREMENT") && !c.ahead.is("=") && !isNumber(c.ahead):
			c.class.Numbers = true
		case c.t.is("DEFAULT"):
			c.defaultValue()
			continue
		case c.t.is("JSON", ","):
			json = c.t.is("JSON")
		case json && c.t.is("NOT") && c.ahead.is("NULL"):
			c.class.FillsJSON = true
		case depth == 0 && c.t.is("RENAME"):
			c.renameTo(from)
			continue
		case depth == 0 && c.t.is("PARTITION"):
			c.otherTable()
			continue
		case depth == 0 && c.accept("CONVERT", "TABLE"): // MariaDB: … TO PARTITION
			c.table()
			continue
		}
		c.advance()
	}
}

func isNumber(t token) bool {
	return t.kind == word && t.text != "" && t.text[0] >= '0' && t.text[0] <= '9'
}

// defaultValue looks behind DEFAULT for (expression) and function(): the session's time is the same
// on both servers, so CURRENT_TIMESTAMP and its other names compute nothing.
func (c *classifier) defaultValue() {
	c.advance()
	switch {
	case c.t.is("("):
		c.class.Computes = true
	case c.t.is("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP", "CHARACTER", "CHARSET", "COLLATE"):
		c.advance()
	case c.t.kind == word && c.ahead.is("("):
		c.class.Computes = true
		c.advance()
	}
}

// renameTo reads RENAME [TO|AS|=] name, and passes RENAME COLUMN, INDEX and KEY.
func (c *classifier) renameTo(from Name) {
	c.advance()
	if c.t.is("COLUMN", "INDEX", "KEY", "CONSTRAINT") {
		return
	}
	if c.t.is("TO", "AS", "=") {
		c.advance()
	}
	if to, ok := c.table(); ok {
		c.class.Renames = append(c.class.Renames, Rename{from, to})
	}
}

// otherTable reads PARTITION p WITH TABLE x (EXCHANGE) and PARTITION p TO TABLE x (MariaDB's CONVERT).
func (c *classifier) otherTable() {
	c.advance()
	if !c.t.isName() {
		return
	}
	if c.ahead.is("WITH", "TO") {
		c.advance()
		if c.accept("WITH", "TABLE") || c.accept("TO", "TABLE") {
			c.table()
		}
	}
}

func (c *classifier) drop() {
	c.verb()
	c.modifiers()
	switch {
	case c.t.is("TABLE", "TABLES"):
		c.class.Verb += " TABLE"
		c.advance()
		c.ifExists()
		for {
			if _, ok := c.table(); !ok || !c.accept(",") {
				return
			}
		}
	case c.t.is("INDEX"):
		c.verb()
		c.index()
	case c.t.is("DATABASE", "SCHEMA"):
		c.database()
	default:
		c.class.Kind = object(c.t)
		c.verb()
	}
}

func (c *classifier) rename() {
	c.verb()
	if c.t.is("USER") {
		c.class.Kind = Account
		c.verb()
		return
	}
	if !c.t.is("TABLE", "TABLES") {
		return
	}
	c.class.Verb += " TABLE"
	c.advance()
	c.ifExists()
	for {
		from, ok := c.table()
		for ok && c.t.kind != endOfText && !c.t.is("TO") { // MariaDB: WAIT n, NOWAIT
			c.advance()
		}
		c.advance()
		to, ok := c.table()
		if !ok {
			return
		}
		c.class.Renames = append(c.class.Renames, Rename{from, to})
		if !c.accept(",") {
			return
		}
	}
}

func (c *classifier) truncate() {
	c.verb()
	c.class.Verb = "TRUNCATE TABLE"
	if c.t.is("TABLE") && (c.ahead.isName() || c.ahead.is(".")) {
		c.advance()
	}
	c.table()
}
