package row

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"
)

// Ordered tells whether Compare is exactly the order in which the server keeps the row key, by its
// values or by its weights, and AppendRange's conditions are ranges of its index. Where not, the table can't be cut into ranges
// here: a key over a SET has an order too, but each range would scan the whole index.
func (t *Table) Ordered() bool {
	if t.RowKey < 0 {
		return false
	}
	for _, p := range t.Keys[t.RowKey].Parts {
		if p.Column < 0 || p.Prefix > 0 || !t.Columns[p.Column].ordered() {
			return false
		}
	}
	return true
}

func (c *Column) ordered() bool {
	switch c.Kind {
	case Int, Decimal, Float, Double, Bit, Binary, Bytes, Date, Time, DateTime, Timestamp:
		return true
	case Enum:
		return len(c.Members) <= maxListed
	case String:
		return c.byteOrdered() || c.weighed
	}
	return false
}

// byteOrdered names the charsets whose _bin collations order by the bytes themselves: in UTF-8
// that is the order of code points, in a single-byte charset there is no other. The multi-byte
// charsets of East Asia and the 16- and 32-bit ones are left out.
func (c *Column) byteOrdered() bool {
	if !strings.HasSuffix(c.Collation, "_bin") {
		return false
	}
	switch c.Charset {
	case "utf8mb4", "utf8mb3", "utf8", "ascii", "latin1", "latin2", "latin5", "latin7",
		"cp850", "cp852", "cp866", "cp1250", "cp1251", "cp1256", "cp1257",
		"koi8r", "koi8u", "greek", "hebrew", "macce", "macroman", "armscii8", "dec8", "hp8", "keybcs2", "geostd8", "swe7":
		return true
	}
	return false
}

// padSpace tells whether the collation compares as if the shorter string were filled with blanks.
func (c *Column) padSpace() bool {
	return !strings.Contains(c.Collation, "_0900_") && !strings.Contains(c.Collation, "_nopad_") && c.Collation != "binary"
}

// Compare orders two row keys, as Key gives them (and Weigh, of a table that is Weighed), like the
// server's ORDER BY: -1, 0 or 1. It means something only where Ordered is true. Values that are equal
// to the server (-0 and 0, trailing blanks under PAD SPACE) are equal here, although their bytes
// differ.
func (t *Table) Compare(a, b Row) int {
	parts := t.Keys[t.RowKey].Parts
	weight := len(parts)
	for i, p := range parts {
		c := &t.Columns[p.Column]
		d := 0
		if c.weighed {
			d = bytes.Compare(a[weight], b[weight])
			weight++
		} else {
			d = c.compare(a[i], b[i])
		}
		if d != 0 {
			return d
		}
	}
	return 0
}

func (c *Column) compare(a, b Value) int {
	if a == nil || b == nil {
		return compareNull(a, b)
	}
	switch c.Kind {
	case Int, Decimal, Enum, Set, Time:
		return compareSigned(a, b)
	case Float, Double:
		return compareFloat(a, b)
	case String:
		if c.padSpace() {
			return comparePadded(a, b)
		}
	}
	return bytes.Compare(a, b)
}

// compareNull has NULL before everything.
func compareNull(a, b Value) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	}
	return 1
}

// compareSigned orders numbers of one scale, and times, by their text: after the sign the longer
// one is farther from zero, and among texts of one length the bytes decide.
func compareSigned(a, b Value) int {
	negA, negB := negative(a), negative(b)
	switch {
	case negA && negB:
		return -compareMagnitude(a[1:], b[1:])
	case negA:
		return -1
	case negB:
		return 1
	}
	return compareMagnitude(a, b)
}

func negative(v Value) bool { return len(v) > 0 && v[0] == '-' }

func compareMagnitude(a, b Value) int {
	if d := cmp.Compare(len(a), len(b)); d != 0 {
		return d
	}
	return bytes.Compare(a, b)
}

func compareFloat(a, b Value) int {
	x, _ := strconv.ParseFloat(string(a), 64)
	y, _ := strconv.ParseFloat(string(b), 64)
	return cmp.Compare(x, y)
}

// comparePadded compares as if the shorter string went on with blanks: "a\t" < "a" = "a ".
func comparePadded(a, b Value) int {
	n := min(len(a), len(b))
	if d := bytes.Compare(a[:n], b[:n]); d != 0 {
		return d
	}
	for _, x := range a[n:] {
		if d := cmp.Compare(x, ' '); d != 0 {
			return d
		}
	}
	for _, x := range b[n:] {
		if d := cmp.Compare(' ', x); d != 0 {
			return d
		}
	}
	return 0
}

// Contains tells whether a key lies in the range: Low < key ≤ High in the order of Compare. A
// range without bounds contains every key of every table; one with bounds has a meaning only
// where t.Ordered is true.
func (r Range) Contains(t *Table, key Row) bool {
	if r.Low != nil && t.Compare(key, r.Low) <= 0 {
		return false
	}
	return r.High == nil || t.Compare(key, r.High) <= 0
}
