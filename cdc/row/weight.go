package row

import (
	"bytes"
	"slices"
	"strings"

	"changeover/internal/server"
)

// Most collations don't order strings by their bytes. The server does it by weights, and says them
// (WEIGHT_STRING): a key of such a column is compared by its weights, which stand behind its values,
// in the same Row. AppendKey, AppendRange and AppendKeyIn look at the values only.

// UseWeights has the row key's strings ordered by weights where that is exact: where the collation
// orders by what WEIGHT_STRING says, on the source as on the target, whose definition this is. with is
// MariaDB if either of them is one. Keys are compared only with their weights then, which Weigh puts there.
func (t *Table) UseWeights(with server.Flavor) {
	if t.RowKey < 0 {
		return
	}
	for _, p := range t.Keys[t.RowKey].Parts {
		if p.Column >= 0 {
			c := &t.Columns[p.Column]
			c.weighed = c.Kind == String && !c.byteOrdered() && weighable(c.Collation, with)
		}
	}
}

// weighable tells whether an index orders by the weights. Some collations of big5, gb18030 and
// Central Europe do not. Between MariaDB and MySQL the weights must be the same too: Croatian has
// others, Thai for a few characters; and what MariaDB alone has became the nearest that MySQL has,
// unicode_520 or one of 0900, whose names say nothing of the source then. (Found by comparing, in
// every collation that both have, the weights of 69,632 characters and of 3,000 strings, and on each
// server the order of an index with that of the weights.)
func weighable(collation string, with server.Flavor) bool {
	never := []string{"_czech_cs", "big5_chinese_", "gb18030_chinese_", "tis620_thai_"}
	if with == server.MariaDB {
		never = append(never, "_croatian_", "_unicode_520_", "_0900_", "_uca1400_", "_520_w2")
	}
	return collation != "" && !slices.ContainsFunc(never, func(s string) bool { return strings.Contains(collation, s) })
}

// Weighed tells whether Compare wants the row key's weights behind its values.
func (t *Table) Weighed() bool {
	if t.RowKey < 0 {
		return false
	}
	for _, p := range t.Keys[t.RowKey].Parts {
		if p.Column >= 0 && t.Columns[p.Column].weighed {
			return t.Ordered()
		}
	}
	return false
}

// Weigh returns a row key with the weights behind its values; weight gives each in the form that
// Weight has. A table that is not Weighed, and no key, stay as they are.
func (t *Table) Weigh(key Row, weight func(c *Column, v Value) Value) Row {
	if key == nil || !t.Weighed() {
		return key
	}
	parts := t.Keys[t.RowKey].Parts
	out := append(make(Row, 0, 2*len(parts)), key[:len(parts)]...)
	for i, p := range parts {
		if c := &t.Columns[p.Column]; c.weighed {
			out = append(out, weight(c, key[i]))
		}
	}
	return out
}

// Values is a row key without weights.
func (t *Table) Values(key Row) Row {
	if key == nil {
		return nil
	}
	return key[:len(t.Keys[t.RowKey].Parts)]
}

// AppendWeightOf appends the expression for what the server says of a value of the column: its
// WEIGHT_STRING. It is the same on every connection, whatever its charset.
func (c *Column) AppendWeightOf(dst []byte, v Value) []byte {
	dst = append(append(dst, "WEIGHT_STRING(_"...), c.Charset...)
	dst = appendHex(dst, v)
	return append(append(append(dst, " COLLATE "...), c.Collation...), ')')
}

// BlankOf is a blank in the column's charset.
func (c *Column) BlankOf() Value {
	switch c.Charset {
	case "ucs2", "utf16":
		return Value("\x00 ")
	case "utf16le":
		return Value(" \x00")
	case "utf32":
		return Value("\x00\x00\x00 ")
	}
	return Value(" ")
}

// PadSpace tells whether the column's collation compares as if the shorter string were filled with
// blanks.
func (c *Column) PadSpace() bool { return c.padSpace() }

// segment is how many blanks' weights make one piece of Weight's form.
const segment = 8

// Weight turns what WEIGHT_STRING says into bytes whose order is the collation's: the same bytes
// where the collation does not pad (blank is nil). Where it does, a string goes on for ever with
// blanks, whose weight is blank. So the weights are cut into pieces, the last one filled up, and
// behind each stands whether what comes next is less than blanks (1), nothing but blanks (2: the
// end), or more (3). For "a" and "a\t", with one byte a character and pieces of two:
// "a ",2 and "a\t",2; for "ab" and "ab\t": "ab",2 and "ab",1,"\t ",2.
// (The form is that of MyRocks' keys for strings with padding.)
func Weight(said, blank []byte) Value {
	if len(blank) == 0 {
		return said
	}
	n := len(said)
	for n >= len(blank) && bytes.Equal(said[n-len(blank):n], blank) {
		n -= len(blank)
	}
	said = said[:n]
	filling := bytes.Repeat(blank, segment)
	out := make(Value, 0, (n/len(filling)+1)*(len(filling)+1))
	for {
		piece := said[:min(len(said), len(filling))]
		out = append(append(out, piece...), filling[len(piece):]...)
		said = said[len(piece):]
		if len(said) == 0 {
			return append(out, 2)
		}
		out = append(out, byte(2+againstBlanks(said, blank)))
	}
}

// againstBlanks compares weights, which don't end with a blank's, with blanks without end.
func againstBlanks(w, blank []byte) int {
	for len(w) >= len(blank) {
		if d := bytes.Compare(w[:len(blank)], blank); d != 0 {
			return d
		}
		w = w[len(blank):]
	}
	return bytes.Compare(w, blank)
}
