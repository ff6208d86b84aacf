package row

import (
	"unicode/utf8"
)

// AppendMatch appends the condition that is true for exactly the rows that equal r, byte for byte
// and with NULL equal to NULL. It is for tables without a row key; several rows may match.
//
// Generated columns are left out: they follow from the others. A comparison that an index can
// answer stands before the exact one where both are needed.
func (t *Table) AppendMatch(dst []byte, r Row) []byte {
	start := len(dst)
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Generated {
			continue
		}
		if len(dst) > start {
			dst = append(dst, " AND "...)
		}
		dst = c.appendMatch(dst, r[i])
	}
	if len(dst) == start {
		return append(dst, "TRUE"...)
	}
	return dst
}

func (c *Column) appendMatch(dst []byte, v Value) []byte {
	if v == nil {
		return append(c.appendColumn(dst), " IS NULL"...)
	}
	switch c.Kind {
	case String:
		if c.comparable(v) {
			dst = append(c.appendEquals(dst, v), " AND "...)
		}
		return appendQuoted(append(c.appendCast(dst, " AS BINARY)"), "=_binary"...), v)
	case Float, Double:
		return c.appendFloatMatch(dst, v)
	case JSON:
		dst = append(c.appendCast(dst, " AS CHAR CHARACTER SET utf8mb4)"), " COLLATE utf8mb4_bin="...)
		return appendQuoted(append(dst, "_utf8mb4"...), v)
	case Geometry, Vector:
		return appendQuoted(append(c.appendCast(dst, " AS BINARY)"), "=_binary"...), v)
	}
	return c.appendEquals(dst, v)
}

func (c *Column) appendCast(dst []byte, as string) []byte {
	return append(c.appendColumn(append(dst, "CAST("...)), as...)
}

// appendEquals appends column = literal, as an index can answer it.
func (c *Column) appendEquals(dst []byte, v Value) []byte {
	return c.appendCompare(dst, "=", v)
}

// OneZero has AppendMatch take -0 and 0 for the same. It is for a table that another server has, too, which
// stores no -0. It must be called before the table is shared.
func (t *Table) OneZero() {
	for i := range t.Columns {
		t.Columns[i].oneZero = true
	}
}

// appendFloatMatch compares by value, and zeros by their sign too, which = doesn't see.
func (c *Column) appendFloatMatch(dst []byte, v Value) []byte {
	dst = c.appendFloatLiteral(append(c.appendColumn(dst), "*1e0="...), v)
	if c.oneZero || string(v) != "0" && string(v) != "-0" {
		return dst
	}
	dst = append(c.appendCast(append(dst, " AND "...), "*1e0 AS CHAR)"), "='"...)
	return append(append(dst, v...), '\'')
}

// comparable tells whether v may be written with the column's charset as introducer: the server
// refuses a literal with bytes that aren't characters. A short string may be answered by an index.
func (c *Column) comparable(v Value) bool {
	switch c.Charset {
	case "utf8mb4", "utf8mb3", "utf8":
		return utf8.Valid(v)
	}
	return asciiCompatible(c.Charset) && isASCII(v)
}

func isASCII(v []byte) bool {
	for _, b := range v {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
