package verify

import (
	"fmt"
	"slices"
	"strings"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// form is how a column's value stands in the encoding of its row. In each the end of a value can
// be told from what follows, and NULL from every value, so no two rows have the same encoding.
type form uint8

const (
	// simple: the value's text and a comma, for numbers and dates, whose text has neither comma
	// nor N. NULL is N.
	simple form = iota
	// prefixed: the length in bytes, a colon and the bytes. NULL is N, which no length begins with.
	prefixed
	// hashed: the SHA-256 in hexadecimal, always 64 digits. NULL is N. For values that may be
	// too long to be put together with others.
	hashed
)

// formOf is the form that a column's kind asks for; two sides that differ take the greater.
func formOf(c *row.Column) form {
	switch c.Kind {
	case row.Int, row.Decimal, row.Float, row.Double, row.Bit, row.Date, row.Time, row.DateTime, row.Timestamp:
		return simple
	case row.JSON, row.Geometry, row.Vector:
		return hashed
	}
	if strings.HasSuffix(c.Type, "text") || strings.HasSuffix(c.Type, "blob") {
		return hashed
	}
	return prefixed
}

// value is the expression of a column's value: the same bytes for the same value on both flavors.
//
// A FLOAT's own text has six digits only, so it is read as a DOUBLE; small ones are multiplied
// first, since the servers differ in when they write an exponent. Strings are compared by their
// bytes, in the column's charset. JSON is what the server prints of it: by value on MySQL, by
// bytes on MariaDB, where it is a text. MariaDB stores −0 as 0, so the two are told apart only
// between two MySQLs.
func (t *table) value(c *row.Column) string {
	name := server.Name(c.Name)
	switch c.Kind {
	case row.Float:
		return t.zero(name, fmt.Sprintf("IF(ABS(%s)<1,%[1]s*1e40,%[1]s*1e0)", name))
	case row.Double:
		return t.zero(name, name)
	case row.Bit:
		return "CAST(" + name + " AS UNSIGNED)"
	case row.Enum, row.Set:
		// The number tells ENUM's error value from an empty member, the name tells members that
		// are not the same on both sides.
		return fmt.Sprintf("CONCAT(CAST(%s AS UNSIGNED),'=',CAST(%[1]s AS BINARY))", name)
	case row.JSON, row.UUID, row.Inet:
		return "CAST(CAST(" + name + " AS CHAR CHARACTER SET utf8mb4) AS BINARY)"
	case row.String, row.Binary:
		return "CAST(" + name + " AS BINARY)"
	}
	return name
}

// zero makes −0 a 0 where one of the servers has no −0.
func (t *table) zero(name, v string) string {
	if !t.mixed {
		return v
	}
	return "IF(" + name + "=0,'0',CONCAT(" + v + "))"
}

// encoding is the expression of one column in the encoding of its row.
func (t *table) encoding(c *row.Column, f form) string {
	name, v := server.Name(c.Name), t.value(c)
	var e string
	switch f {
	case simple:
		e = "CONCAT(" + v + ",',')"
	case prefixed:
		e = "CONCAT(" + length(c, v) + ",':'," + v + ")"
	case hashed:
		// Of the column itself: a cast of it could be longer than max_allowed_packet.
		if c.Kind == row.String || c.Kind == row.Bytes || c.Kind == row.Geometry {
			v = name
		}
		e = "SHA2(" + v + ",256)"
	}
	if !c.Nullable {
		return e
	}
	return "IF(" + name + " IS NULL,'N'," + e + ")"
}

// length is the expression of a value's length in bytes, of the column itself where that is the same.
func length(c *row.Column, value string) string {
	switch c.Kind {
	case row.String, row.Binary, row.Bytes, row.Enum, row.Set:
		return "LENGTH(" + server.Name(c.Name) + ")"
	}
	return "LENGTH(" + value + ")"
}

// encodings puts together the encodings of some columns, by their places.
func (t *table) encodings(columns []int) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = t.encoding(&t.Columns[c], t.forms[c])
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "CONCAT(" + strings.Join(parts, ",") + ")"
}

// rowDigest is the expression of a row's digest: 64 hexadecimal digits.
func (t *table) rowDigest() string {
	all := make([]int, len(t.Columns))
	for i := range all {
		all[i] = i
	}
	return "SHA2(" + t.encodings(all) + ",256)"
}

// digestQuery asks for the number of rows, of digests, and their sum.
//
// The sum is the XOR of all 256 bits: it doesn't depend on the order, and nobody finds another set
// of rows with the same one. Where two rows may be the same XOR would cancel them out, so there it
// is the sum of the four quarters as numbers.
func (t *table) digestQuery(where string) string {
	switch {
	case t.flavor == server.MySQL && t.RowKey >= 0:
		// Asking for COUNT(digest) too would compute every digest twice. But the values of a
		// BIT_XOR must be equally long: a digest that is NULL makes an error of the empty one.
		return fmt.Sprintf("SELECT %s COUNT(*), COUNT(*), IF(COUNT(*)=0, NULL, LOWER(HEX(BIT_XOR(IFNULL(UNHEX(%s),'')))))%s",
			t.comment(), t.rowDigest(), t.from(where))
	case t.RowKey >= 0: // MariaDB's BIT_XOR is of 64 bits
		return t.quarterQuery("LPAD(LOWER(CONV(BIT_XOR(%s),10,16)),16,'0')", ",", where)
	}
	return t.quarterQuery("SUM(%s)", ",'+',", where)
}

// quarterQuery puts together what aggregate makes of each 64 bits of the digests.
//
// MySQL computes the digest for each of them: only tables without a key need this there. On
// MariaDB each row's digest is kept in a variable, which WHERE sets before any aggregate sees the
// row. The derived table sets it first of all, else the server takes it for a constant.
func (t *table) quarterQuery(aggregate, separator, where string) string {
	from, digest := t.from(where), t.rowDigest()
	if t.flavor == server.MariaDB {
		name, condition, _ := strings.Cut(strings.TrimPrefix(from, " FROM "), " WHERE ")
		from = fmt.Sprintf(" FROM (SELECT @changeover_digest := '' AS x) AS start STRAIGHT_JOIN %s WHERE ISNULL(@changeover_digest := %s) < 2", name, digest)
		if condition != "" {
			from += " AND (" + condition + ")"
		}
		digest = "@changeover_digest"
	}
	parts := make([]string, 4)
	for i := range parts {
		parts[i] = fmt.Sprintf(aggregate, fmt.Sprintf("CAST(CONV(SUBSTR(%s,%d,16),16,10) AS UNSIGNED)", digest, 1+16*i))
	}
	return fmt.Sprintf("SELECT %s COUNT(*), COUNT(%s), IF(COUNT(*)=0, NULL, CONCAT(%s))%s",
		t.comment(), digest, strings.Join(parts, separator), from)
}

// comment says in the process list who asks, and for what.
func (t *table) comment() string {
	return "/* changeover verify " + strings.ReplaceAll(t.Schema+"."+t.Name, "*/", "* /") + " */"
}

// keyColumns are the places of the row key's columns; of all columns where rows have no key.
func (t *table) keyColumns() []int {
	var columns []int
	if t.RowKey >= 0 {
		for _, p := range t.Keys[t.RowKey].Parts {
			columns = append(columns, p.Column)
		}
		return columns
	}
	for i := range t.Columns {
		columns = append(columns, i)
	}
	return slices.Clip(columns)
}
