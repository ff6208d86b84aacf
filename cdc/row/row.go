// Package row knows tables: their columns, keys and values.
//
// Rows come in from two sides, as the binlog's images and as a SELECT's text, and go out as SQL
// literals or LOAD DATA fields. The one decision that matters: a value has a single form inside
// Changeover, whichever side it came from, so that "the same key" is a comparison of bytes.
package row

// Kind is how a column's values are carried; one kind for all types that are treated alike.
type Kind uint8

// The kinds, each with the form that its values have inside Changeover.
const (
	Int       Kind = iota // TINYINT … BIGINT, YEAR: decimal digits, as the server prints them
	Decimal               // as the server prints it, with the column's scale
	Float                 // FLOAT: the shortest decimal that is the same float32
	Double                // DOUBLE: the shortest decimal that is the same float64
	Bit                   // BIT(n): big-endian bytes, (n+7)/8 of them
	String                // CHAR, VARCHAR, TEXT: the column's own bytes in its own charset
	Binary                // BINARY(n): n bytes, padded with zeros
	Bytes                 // VARBINARY, BLOB
	Enum                  // the ordinal in decimal digits; 0 is the error value
	Set                   // the bit mask in decimal digits
	Date                  // YYYY-MM-DD
	Time                  // [-]hhh:mm:ss[.ffffff], digits as declared
	DateTime              // YYYY-MM-DD hh:mm:ss[.ffffff], digits as declared
	Timestamp             // the same, in UTC
	JSON                  // MySQL: the text that the server prints. (MariaDB's JSON is String)
	Geometry              // SRID and WKB, as the server stores it
	Vector                // MySQL's VECTOR: little-endian float32s
	UUID                  // MariaDB: text
	Inet                  // MariaDB INET4, INET6: text
	Unsupported

	// Of a Decoder alone: text that is to be a UUID, INET4 or INET6 of MariaDB's.
	uuidText
	inetText
)

// Value is one column's value in the form of its Kind. Nil is NULL; an empty value is not nil.
type Value []byte

// Row is one value for each column of a table, generated columns included, in ordinal order.
type Row []Value

// Column is one column as its server defines it.
type Column struct {
	Name          string
	Kind          Kind
	Type          string // DATA_TYPE: "int", "varchar", …
	ColumnType    string // COLUMN_TYPE: "int unsigned", "enum('a','b')", …
	Unsigned      bool
	Nullable      bool
	Length        int    // bytes of BINARY(n), bits of BIT(n), else 0
	Decimals      int    // digits after the point: DECIMAL's scale, fractional seconds
	Charset       string // of String, Enum and Set; else empty
	Collation     string
	Members       []string // of ENUM and SET, in utf8mb4
	Generated     bool     // virtual or stored: never written
	Invisible     bool
	AutoIncrement bool
	weighed       bool // ordered by weights: UseWeights
	oneZero       bool // -0 and 0 match: OneZero
}

// KeyPart is one part of a key: a column, or a prefix of it.
type KeyPart struct {
	Column int // index into Table.Columns; -1 for an expression
	Prefix int // characters (bytes for binary columns); 0 means the whole column
}

// Key is a primary or unique key.
type Key struct {
	Name     string
	Primary  bool
	Nullable bool // a part may be NULL: rows with NULL in it never collide
	Parts    []KeyPart
}

// Table is one table's definition.
type Table struct {
	Schema, Name string
	Engine       string
	Collation    string
	Columns      []Column
	Keys         []Key // every primary and unique key, the primary first
	// RowKey is the index in Keys of the key that names a row: the primary key, else a unique key
	// over whole NOT NULL columns. -1: rows have no name, they are matched by all their values.
	RowKey int
}

// Change is what one transaction did to one row.
type Change struct {
	Table  *Table
	Before Row // nil: the row was inserted
	After  Row // nil: the row was deleted
	// Cascades: by a foreign key's action the source changed other rows with it, which its binlog does
	// not say. The target must do the same: the change runs there as that very statement.
	Cascades bool
	// Place is the row's key with its weights, where its table is Weighed and not wholly copied: only
	// so can it be told which range it lies in. Else nil.
	Place Row
}

// Range is a part of a table in the order of its row key: Low < key ≤ High.
// A nil bound is open: together the ranges of a table cover −∞ to +∞.
type Range struct {
	Low, High Row // one value for each part of the row key, or nil
}
