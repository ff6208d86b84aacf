// Package ddl reads SQL text as MySQL and MariaDB would: statements, the tables that they make and change,
// and the place of every word, for rules that say where in a file something stands. It is tolerant: what it
// does not know it keeps as tokens, and it never fails. Nothing here asks a server. All of it is safe for
// concurrent use once Read has returned.
package ddl

import (
	"strings"
	"sync"
)

// Dialect is whose SQL a text is, as far as it matters to the reader: MariaDB executes /*M! … */, MySQL
// does not.
type Dialect uint8

// The dialects.
const (
	MySQL Dialect = iota
	MariaDB
)

// TokenKind is what a token is.
type TokenKind uint8

// The kinds of tokens.
const (
	Word     TokenKind = iota // a keyword or an unquoted name
	Quoted                    // a name in backticks, or in double quotes under ANSI_QUOTES
	String                    // a string, with the x, b, n or _charset before it in tokens of their own, but x'…' and b'…' whole
	Number                    // 12, 1.5e3, 0xFF
	Variable                  // @a, @@global.b, :=' left side
	Symbol                    // any other character; two for <= >= <> != := || && -> and three for ->> <=>
	EndToken                  // behind the last
)

// Gate says in which comment a token stands: /*!80013 … */ or /*M!100301 … */.
type Gate struct {
	MariaDB bool // /*M!
	Version int  // 0 if none: /*! … */
}

// Token is one token.
type Token struct {
	Kind       TokenKind
	Text       string // as it stands in the text
	Start, End int    // its bytes
	Gate       *Gate  // nil outside of executable comments
}

// Is tells whether the token is one of these keywords or symbols, in any case.
func (t Token) Is(words ...string) bool {
	if t.Kind != Word && t.Kind != Symbol {
		return false
	}
	for _, w := range words {
		if strings.EqualFold(t.Text, w) {
			return true
		}
	}
	return false
}

// Name is the identifier that a token is, without its quotes.
func (t Token) Name() string {
	if t.Kind != Quoted || len(t.Text) < 2 {
		return t.Text
	}
	q := t.Text[:1]
	return strings.ReplaceAll(t.Text[1:len(t.Text)-1], q+q, q)
}

// File is a text and where its lines begin.
type File struct {
	Name  string // as findings name it: relative to where check was started, with slashes
	Text  string
	lines []int
	ascii bool // a byte is a character

	noted              sync.Once // comments and commands are there
	comments, commands []Comment
	torn               int
}

// Kind is what a statement is.
type Kind uint8

// The kinds of statements.
const (
	Other Kind = iota
	CreateTable
	AlterTable
	DropTable
	RenameTable
	TruncateTable
	CreateIndex
	DropIndex
	CreateView
	CreateTrigger
	CreateRoutine // PROCEDURE, FUNCTION
	CreatePackage // MariaDB
	CreateEvent
	CreateSequence // MariaDB
	CreateDatabase
	AlterDatabase
	Account // CREATE, ALTER, DROP USER and ROLE, GRANT, REVOKE, SET PASSWORD
	Set     // SET …
	Query   // SELECT, WITH, VALUES, TABLE
	Change  // INSERT, REPLACE, UPDATE, DELETE, LOAD DATA, CALL
)

// Statement is one statement of a text.
type Statement struct {
	File       *File
	Kind       Kind
	Start, End int     // its bytes, without the delimiter and the blank before it
	Tokens     []Token // all; EndToken is not among them
	// Schema and Name are of the object that is made or changed; Schema is empty if it is not named. CREATE INDEX
	// and DROP INDEX change a table: its name is here, the index's in Index.
	Schema, Name string
	NameAt       int // index of Name's token in Tokens; -1 if there is none
	OrReplace    bool
	IfExists     bool // IF EXISTS, IF NOT EXISTS of the object itself
	Temporary    bool
	Unique       bool     // of CREATE INDEX
	Table        *Table   // of CREATE TABLE
	Clauses      []Clause // of ALTER TABLE
	Index        *Key     // of CREATE INDEX; of DROP INDEX with its name only
	// Names are of DROP TABLE, VIEW and SEQUENCE and of TRUNCATE all that go, of RENAME TABLE the old and the new
	// ones in turn. The first is the statement's Name too.
	Names   []Name
	Options []Option // of CREATE and ALTER DATABASE
	// Body is the index of the first token of a view's SELECT, or of a trigger's, routine's or event's body; 0 if
	// there is none.
	Body int
}

// Name is a name of several in a statement; At is the index of its token.
type Name struct {
	Schema, Name string
	At           int
}

// Table is what CREATE TABLE defines, or an ALTER TABLE adds.
type Table struct {
	Columns []Column
	Keys    []Key
	Checks  []Check
	Options []Option
	// Partition is where PARTITION BY begins in the statement's tokens, 0 if nowhere; it goes on to PartitionEnd.
	Partition, PartitionEnd int
	Like                    bool    // CREATE TABLE … LIKE
	Select                  bool    // CREATE TABLE … SELECT
	Periods                 []Range // MariaDB: PERIOD FOR …
	Odd                     []int   // tokens where a definition should begin, and none does
}

// Range are tokens of a statement, from From to To-1.
type Range struct{ From, To int }

// Column is a column's definition.
type Column struct {
	Name      string
	At        Range  // all of it
	Type      string // upper case, one word or more: "INT", "DOUBLE PRECISION", "CHARACTER VARYING", "UUID"
	TypeAt    int
	Args      []string // what stands in the parentheses behind the type, as texts: "10", "2", "'a'"
	Unsigned  bool
	Zerofill  bool
	Charset   string // as written; "binary" and such too, also ASCII, UNICODE and BYTE in its place
	Binary    bool   // the word BINARY behind the type: the _bin collation of the charset
	Collation string
	Null      Presence
	Default   Range // the value behind DEFAULT; empty range if there is none
	OnUpdate  Range // behind ON UPDATE
	Generated Range // the expression, with its parentheses
	Stored    bool  // STORED or PERSISTENT
	Auto      bool  // AUTO_INCREMENT
	Primary   bool  // PRIMARY KEY, or KEY alone, in the column's own definition
	Unique    bool
	Invisible bool
	SRID      Range
	Comment   string
	// References is an inline REFERENCES …, which MySQL passes over in silence before 9.0.
	References Range
	Parent     *Key    // what References says; nil if there is none
	Checks     []Check // inline
	// Rest are the indexes of words that the reader knows no meaning of, or that only one dialect has:
	// COMPRESSED, REF_SYSTEM_ID, COLUMN_FORMAT, STORAGE, SERIAL, WITHOUT SYSTEM VERSIONING, …
	Rest []int
}

// Presence is what is said of NULL.
type Presence uint8

// What may be said.
const (
	Unsaid Presence = iota
	Nullable
	NotNull
)

// KeyKind is what a key is.
type KeyKind uint8

// The kinds of keys.
const (
	Plain KeyKind = iota
	Primary
	Unique
	FullText
	Spatial
	Foreign
	VectorKey // MariaDB
)

// Key is a key or a foreign key.
type Key struct {
	Kind                KeyKind
	Name                string // of the index or, for a foreign key, of its constraint; empty if none is given
	Constraint          string
	IndexName           string // of a foreign key: the name behind FOREIGN KEY
	At                  Range
	Parts               []Part
	Using               string // BTREE, HASH; upper case
	Parser              string // WITH PARSER
	Invisible           bool   // INVISIBLE, IGNORED
	InvisibleAt         int    // of the word, 0 if there is none (also VISIBLE, NOT IGNORED)
	Without             bool   // MariaDB: WITHOUT OVERLAPS
	RefSchema, RefTable string
	RefColumns          []string
	OnDelete, OnUpdate  string // upper case: "CASCADE", "SET NULL", …; empty if not said
	Options             []Option
}

// Part is one part of a key.
type Part struct {
	Column string // empty for an expression
	Expr   Range  // of an expression, with its parentheses
	Prefix int    // characters or bytes; 0: the whole
	Desc   bool
	DescAt int
}

// Check is a CHECK.
type Check struct {
	Name        string
	At          Range
	Expr        Range // with its parentheses
	NotEnforced bool
}

// Option is an option of a table, a partition or a key: NAME [=] VALUE.
type Option struct {
	Name  string // upper case: "ENGINE", "ROW_FORMAT", "DEFAULT CHARSET" is "CHARSET", "CHARACTER SET" too; "COLLATE", "DATA DIRECTORY"
	Value string // without quotes
	At    Range
}

// Verb is what a clause of ALTER TABLE does.
type Verb uint8

// The verbs.
const (
	OtherClause  Verb = iota
	AddColumn         // Table has its columns, also of ADD (a …, b …)
	AddKey            // Table.Keys or Table.Checks
	ModifyColumn      // MODIFY; Table.Columns[0]
	ChangeColumn      // CHANGE; Name is the old one
	RenameColumn      // Name, NewName
	AlterColumn       // ALTER [COLUMN] c SET|DROP …
	DropColumn
	DropKey // INDEX, KEY, PRIMARY KEY, FOREIGN KEY, CONSTRAINT, CHECK: What says which
	RenameKey
	RenameTo       // NewName; NewSchema
	TableOption    // Table.Options
	ConvertCharset // CONVERT TO CHARACTER SET
	Partitioning   // PARTITION BY, ADD/DROP/REORGANIZE/EXCHANGE … PARTITION, REMOVE PARTITIONING
	Algorithm      // ALGORITHM, LOCK, WAIT, NOWAIT, FORCE, ENABLE KEYS, …
)

// Clause is one clause of ALTER TABLE.
type Clause struct {
	Verb               Verb
	At                 Range
	IfExists           bool // IF EXISTS, IF NOT EXISTS within the clause
	IfAt               int  // of that IF
	Name               string
	NewSchema, NewName string
	// What is, of DropKey: "INDEX", "PRIMARY KEY", "FOREIGN KEY", "CONSTRAINT", "CHECK"; of Algorithm, Partitioning
	// and OtherClause, the first word, and of ALTER INDEX, CHECK or CONSTRAINT that word, with Name.
	What    string
	Table   *Table // what it adds, nil if nothing
	First   bool
	After   string
	Default Range // of ALTER c SET DEFAULT: the value
}
