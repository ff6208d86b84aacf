package verify

import (
	"fmt"
	"slices"
	"strings"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// value is the expression of a column's value as text, the same on both flavors. Of strings it is the
// bytes, in the column's charset.
//
// MySQL prints a JSON by value; MariaDB's is a text.
func (t *table) value(c *row.Column) string {
	name := server.Name(c.Name)
	switch c.Kind {
	case row.Bit:
		return "CAST(" + name + " AS UNSIGNED)"
	case row.Enum, row.Set:
		// The number tells ENUM's error value from an empty member.
		return fmt.Sprintf("CONCAT(CAST(%s AS UNSIGNED),'=',CAST(%[1]s AS BINARY))", name)
	case row.JSON, row.UUID, row.Inet:
		return "CAST(CAST(" + name + " AS CHAR CHARACTER SET utf8mb4) AS BINARY)"
	case row.String, row.Binary:
		return "CAST(" + name + " AS BINARY)"
	}
	return name
}

// coordinate is the expression of a number among a point's coordinates.
func (t *table) coordinate(c *row.Column, f form) string {
	name := server.Name(c.Name)
	switch {
	case isFloat(c) && f.zeros:
		return "IF(" + name + "=0,0," + name + ")"
	case isFloat(c):
		return name
	case c.Kind != row.Int:
		name += "+0" // an ENUM is a number only so
	}
	if c.Nullable {
		return "IFNULL(" + name + ",5e-1)"
	}
	return name
}

// points puts coordinates two by two into points, which hold them as they are, in 25 bytes. That is
// quicker than text, and exact: MySQL prints a DOUBLE that is an expression in 22 characters at most,
// one digit short of -1.7976931348623157e308; and the servers differ in when they write an exponent.
func points(coordinates []string) (parts []string) {
	for two := range slices.Chunk(coordinates, 2) {
		two = append(two[:len(two):len(two)], "0")
		parts = append(parts, "CAST(POINT("+two[0]+","+two[1]+") AS BINARY)")
	}
	return parts
}

// operand is the expression of a column's value in the encoding of its row: the same bytes for the
// same value on both sides, among binary strings.
func (t *table) operand(c *row.Column, f form) string {
	name := server.Name(c.Name)
	if f.own != nil && ownType(f.own) {
		return f.spelling(c)
	}
	switch c.Kind {
	case row.Float, row.Double:
		return points([]string{t.coordinate(c, f)})[0]
	case row.Int:
		if strings.Contains(c.ColumnType, "zerofill") {
			return "CAST(" + name + " AS UNSIGNED)" // as wide as it may be on either side
		}
	case row.Bit:
		return "CAST(" + name + " AS UNSIGNED)"
	case row.Enum, row.Set:
		if f.numbered {
			return "CAST(" + name + " AS UNSIGNED)"
		}
		// By name, but ENUM's error value and the empty SET are no empty member.
		return fmt.Sprintf("CONCAT(IF(CAST(%s AS UNSIGNED)=0,'!','='),%s)", name, t.characters(c, f))
	case row.JSON:
		return t.document(name)
	case row.UUID, row.Inet:
		return "CAST(" + name + " AS CHAR CHARACTER SET ascii)"
	case row.String:
		if f.document {
			return t.asDocument(name)
		}
		return t.characters(c, f)
	}
	return name
}

// spelling is the expression of a UUID or an address that is text on one side, in whatever spelling an
// application gave it there: what MariaDB's own type makes of it. A text that is none stays as it is.
func (f form) spelling(c *row.Column) string {
	text := "CONVERT(" + server.Name(c.Name) + " USING ascii)"
	if f.own.Kind == row.UUID {
		return "LOWER(REPLACE(" + text + ",'-',''))"
	}
	return "IFNULL(HEX(INET6_ATON(" + text + "))," + text + ")"
}

// document is the expression of a JSON's text. MySQL prints one that is longer than max_allowed_packet
// as an empty string, as if there were no other such document; no document is empty, so that is NULL
// here. A text is at most six times as long as what is stored (\u0001), so few are printed twice.
func (t *table) document(name string) string {
	return fmt.Sprintf("IF(JSON_STORAGE_SIZE(%s)<=%d OR LENGTH(%[1]s),%[1]s,NULL)", name, min(t.packet/8, 1<<16))
}

// asDocument is the expression of a text that is JSON on the other side, as far as possible in that
// side's spelling: MySQL's, with the keys in its order; on MariaDB only the blanks are MySQL's, so that
// a document with its keys in another order counts as different.
func (t *table) asDocument(name string) string {
	if t.flavor == server.MySQL {
		return fmt.Sprintf("IF(JSON_VALID(%s),CAST(CAST(%[1]s AS JSON) AS CHAR CHARACTER SET utf8mb4),%[1]s)", name)
	}
	return fmt.Sprintf("IFNULL(JSON_LOOSE(%s),%[1]s)", name)
}

// characters is the expression of a string: its bytes, or where the charsets of the two sides differ its
// characters in UTF-8. A character that Unicode has not becomes a question mark; a string with one must
// not pass for the question mark that somebody's conversion has put in its place. It stands as its own
// bytes, behind one that UTF-8 has not.
func (t *table) characters(c *row.Column, f form) string {
	name := server.Name(c.Name)
	if !f.chars || alphabet(c) == "utf8mb4" {
		return name
	}
	return fmt.Sprintf("IF(CHAR_LENGTH(REPLACE(%s,_ascii'?',''))=CHAR_LENGTH(REPLACE(CONVERT(%[1]s USING utf8mb4),'?','')),"+
		"CAST(CONVERT(%[1]s USING utf8mb4) AS BINARY),CONCAT(X'FF',CAST(%[1]s AS BINARY)))", name)
}

// parts are the expressions of one column in the encoding of its row.
//
// IFNULL stands only around what is NULL where the column is: NULL for another reason (a value that is
// too long) must stay NULL, so that the row has no digest and the server is asked for a larger packet.
func (t *table) parts(c *row.Column, f form) []string {
	name, v := server.Name(c.Name), t.operand(c, f)
	or := func(v, null string) string { // v, or if the column is NULL something else
		switch {
		case !c.Nullable:
			return v
		case v == name || f.style == fixed || f.style == ended && c.Kind != row.JSON:
			return "IFNULL(" + v + "," + null + ")"
		}
		return "IF(" + name + " IS NULL," + null + "," + v + ")"
	}
	switch f.style {
	case fixed:
		return []string{or(v, "'N'")}
	case ended:
		return []string{or(v, "'N'"), "','"}
	case prefixed:
		length := "LENGTH(" + v + ")"
		if c.Nullable {
			length = "IF(" + name + " IS NULL,'N'," + length + ")"
		}
		return []string{length, "':'", or(v, "''")}
	}
	return []string{or(sha2(v), "'N'")}
}

// encoding is the expression of one column in the encoding of its row.
func (t *table) encoding(c *row.Column, f form) string {
	if f.style == coordinate {
		return concat("", points([]string{t.coordinate(c, f)}))
	}
	return concat("", t.parts(c, f))
}

// encodings puts together the encodings of some columns, by their places.
func (t *table) encodings(columns []int) string { return t.encoded("", columns, t.forms) }

// encoded puts a tag and the encodings of some columns together: the coordinates first, then the rest.
func (t *table) encoded(tag string, columns []int, forms []form) string {
	var coordinates, rest []string
	for _, i := range columns {
		c := &t.Columns[i]
		if forms[i].style == coordinate {
			coordinates = append(coordinates, t.coordinate(c, forms[i]))
			continue
		}
		rest = append(rest, t.parts(c, forms[i])...)
	}
	return concat(tag, append(points(coordinates), rest...))
}

// concat puts expressions together behind a tag. That one is a binary string with the rank of a column,
// so all of it is binary: no charset is converted into another, nor looked at for being valid.
func concat(tag string, parts []string) string {
	return "CONCAT(CAST('" + tag + "' AS BINARY)," + strings.Join(parts, ",") + ")"
}

// rowDigest is the expression of a row's digest: 64 hexadecimal digits, in lower case.
//
// Long values are hashed before they are put together with others, for what is longer than
// max_allowed_packet is NULL, and would vanish. But hashes cost time and most rows are short: so these
// are encoded without hashes. Which are short is the same on both sides if their packets are; the tag
// keeps the two encodings apart.
func (t *table) rowDigest() string {
	switch t.fit {
	case all:
		return sha2(t.shortRow())
	case some:
		return "IFNULL(" + sha2(t.shortRow()) + "," + sha2(t.longRow()) + ")"
	}
	return sha2(t.longRow())
}

func sha2(e string) string { return "SHA2(" + e + ",256)" }

// shortRow is the encoding of a row that is short, longRow of any.
func (t *table) shortRow() string {
	forms := slices.Clone(t.forms)
	for i := range forms {
		forms[i].style = forms[i].short
	}
	return t.encoded("", t.everyColumn(), forms)
}

func (t *table) longRow() string { return t.encoded("H", t.everyColumn(), t.forms) }

func (t *table) everyColumn() []int {
	columns := make([]int, len(t.Columns))
	for i := range columns {
		columns[i] = i
	}
	return columns
}

// comment says in the process list who asks, and for what.
func (t *table) comment() string {
	return "/* changeover verify " + strings.ReplaceAll(t.Schema+"."+t.Name, "*/", "* /") + " */"
}

// keyColumns are the places of the row key's columns; of all columns where rows have no key.
func (t *table) keyColumns() []int {
	if t.RowKey < 0 {
		return t.everyColumn()
	}
	var columns []int
	for _, p := range t.Keys[t.RowKey].Parts {
		columns = append(columns, p.Column)
	}
	return columns
}
