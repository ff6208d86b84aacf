package verify

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// style is how a column's value stands in the encoding of its row. In each style the end of a value
// can be told from what follows, and NULL, which is N, from every value: so no two rows have the same
// encoding.
type style uint8

const (
	// coordinate: a number that a float64 holds exactly, one of a point's two coordinates. NULL is a
	// half, and only whole numbers may be NULL here.
	coordinate style = iota
	// fixed: the value says itself where it ends, by its length or by its digits after the point.
	fixed
	// ended: the value and a comma. Numbers have none, and in JSON none stands behind a document.
	ended
	// prefixed: the length in bytes, a colon and the bytes.
	prefixed
	// hashed: the SHA-256 in 64 hexadecimal digits.
	hashed
)

// form is a column's style, and what the two sides must do to give the same bytes for the same value.
// They share it.
type form struct {
	style style
	// short is the style where the whole row is short. It hashes nothing but what can't be told apart
	// otherwise, and is quicker.
	short style
	// numbered: an ENUM or SET has the same members on both sides, so their numbers say it all.
	numbered bool
	// zeros: −0 counts as 0, because a MariaDB stores it so.
	zeros bool
	// chars: the charsets differ, and strings are compared by their characters; else by their bytes.
	chars bool
	// document: JSON on one side, text on the other.
	document bool
	// own is the column on a MariaDB that keeps less of a value than the other side may have: a UUID or an
	// address for its text, a FLOAT or DOUBLE without −0. What it can't tell apart is equal. nil: there is none.
	own *row.Column
}

// coding is how the rows of a table are encoded, on both sides alike.
type coding struct {
	forms []form
	fit   fit
}

// fit tells which rows can be put together in the short styles. What doesn't fit into
// max_allowed_packet is NULL.
type fit uint8

const (
	none fit = iota // the packets differ: one side could have a row's short encoding where the other has not
	some            // those that are short enough, the same on both sides
	all
)

// limits reads what a server can do.
func (s *side) limits(ctx context.Context, version string) error {
	v, err := server.ParseVersion(version)
	if err != nil {
		return err
	}
	s.wide = v.Flavor == server.MySQL && v.AtLeast(8, 0, 14)
	return s.db.QueryRowContext(ctx, "SELECT @@max_allowed_packet").Scan(&s.packet)
}

// encode finds how to encode the rows of two tables whose columns have the same names.
func encode(source, target *table) {
	var c coding
	mixed := source.flavor != target.flavor || source.flavor == server.MariaDB
	sizes := make([]int, len(source.Columns))
	total := len("H")
	for i := range source.Columns {
		a, b := &source.Columns[i], &target.Columns[i]
		f := formOf(a, b)
		f.zeros = mixed
		if mixed && isFloat(a) && isFloat(b) {
			f.own = b // either: neither keeps it
		}
		c.forms = append(c.forms, f)
		sizes[i] = max(f.size(a), f.size(b))
		total += sizes[i]
	}
	packet := min(source.packet, target.packet)
	switch {
	case total <= packet:
		c.fit = all
	case source.packet == target.packet:
		c.fit = some
	}
	c.hash(sizes, total, packet)
	source.coding, target.coding = c, c
}

// hash makes columns hashed, the largest first, until every row fits into the packet. A packet that is
// too small for all the hashes makes digests that are NULL.
func (c *coding) hash(sizes []int, total, packet int) {
	places := make([]int, len(sizes))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int { return sizes[b] - sizes[a] })
	for _, i := range places {
		if total <= packet || sizes[i] <= hashSize {
			return
		}
		c.forms[i].style = hashed
		total -= sizes[i] - hashSize
	}
}

const hashSize = 64 // of a value that is hashed

// formOf is the form of a column that is a on one side and b on the other.
func formOf(a, b *row.Column) form {
	f := form{
		numbered: a.Kind == b.Kind && len(a.Members) > 0 && slices.Equal(a.Members, b.Members),
		chars:    a.Charset != "" && b.Charset != "" && alphabet(a) != alphabet(b),
		document: a.Kind == row.JSON && b.Kind == row.String || a.Kind == row.String && b.Kind == row.JSON,
	}
	switch {
	case ownType(a) && b.Kind == row.String:
		f.own = a
	case ownType(b) && a.Kind == row.String:
		f.own = b
	}
	f.short = f.shortest(a, b)
	f.style = f.short
	return f
}

// shortest is the shortest style that tells the values of both sides apart. Where they may end in two
// ways none is fixed.
func (f form) shortest(a, b *row.Column) style {
	switch {
	case isFloat(a) && isFloat(b):
		return fixedIf(a.Nullable || b.Nullable, coordinate)
	case f.document:
		return hashed // its expression is dear, and would stand there twice
	case a.Kind != b.Kind:
		return prefixed
	case f.exact(a) && f.exact(b):
		return coordinate
	}
	switch a.Kind {
	case row.Date:
		return fixed
	case row.Time, row.DateTime, row.Timestamp:
		return fixedIf(a.Decimals == b.Decimals, ended)
	case row.Decimal:
		return fixedIf(a.Decimals == b.Decimals && a.Decimals > 0, ended)
	case row.Binary:
		return fixedIf(a.Length == b.Length && !a.Nullable && !b.Nullable, prefixed)
	case row.Set:
		if f.numbered {
			return ended
		}
	case row.Int, row.Bit, row.JSON:
		return ended
	case row.Geometry, row.Vector:
		return hashed // few functions take them
	}
	return prefixed
}

func fixedIf(fixes bool, other style) style {
	if fixes {
		return fixed
	}
	return other
}

// exact tells whether a column has only whole numbers that a float64 holds exactly: all but a BIGINT's,
// and sets of bits as large.
func (f form) exact(c *row.Column) bool {
	switch c.Kind {
	case row.Int:
		return c.Type != "bigint"
	case row.Bit:
		return c.Length <= 53
	case row.Enum:
		return f.numbered
	case row.Set:
		return f.numbered && len(c.Members) <= 53
	}
	return false
}

// ownType tells whether a column is of a type of MariaDB's own, for which other servers have text.
func ownType(c *row.Column) bool { return c.Kind == row.UUID || c.Kind == row.Inet }

func isFloat(c *row.Column) bool { return c.Kind == row.Float || c.Kind == row.Double }

// alphabet names what a string's bytes mean. Those of ASCII and UTF-8 mean the same.
func alphabet(c *row.Column) string {
	switch c.Charset {
	case "ascii", "utf8", "utf8mb3", "utf8mb4":
		return "utf8mb4"
	}
	return c.Charset
}

// size is the most bytes that a column's short encoding has.
func (f form) size(c *row.Column) int {
	const digits = 12 // of the length, with its colon
	switch c.Kind {
	case row.Binary:
		return digits + c.Length
	case row.Enum, row.Set:
		if f.numbered {
			return 21
		}
		return digits + 4*len(c.ColumnType)
	case row.String, row.Bytes, row.JSON:
		return digits + capacity(c)
	case row.Geometry, row.Vector:
		return hashSize
	}
	return 100 // a DECIMAL has 67 characters, an INET6 45
}

// long tells whether a column's values may be too long to be many in memory.
func long(c *row.Column) bool {
	return c.Kind == row.Geometry || c.Kind == row.Vector || capacity(c) > 1<<15
}

// capacity is the most bytes that a value of a string type has, in whatever charset; 0 for others.
func capacity(c *row.Column) int {
	switch {
	case c.Kind != row.String && c.Kind != row.Bytes && c.Kind != row.JSON:
		return 0
	case strings.HasPrefix(c.Type, "tiny"):
		return 4 * 255
	case c.Type == "text" || c.Type == "blob":
		return 4 * 65_535
	}
	_, length, _ := strings.Cut(c.ColumnType, "(")
	length, _, _ = strings.Cut(length, ")")
	if n, err := strconv.Atoi(length); err == nil {
		return 4 * n
	}
	return 4 << 30 // or 64 MiB, if it is a medium one: more than fits
}
