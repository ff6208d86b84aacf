package row

import (
	"bytes"
	"fmt"
	"strconv"
)

// AppendSelect appends the expression under which the copy reads the column. Its text, as the
// server sends it in a session whose results are binary and whose time zone is UTC, goes through
// AppendField or AppendInsertValues into the target without being looked at.
//
// FLOAT is read as DOUBLE, since its own text has six digits; the factor, unlike + 0, keeps -0. A
// DOUBLE(m,d) too: its text is cut to d digits. YEAR is read as text, since a driver that makes
// numbers of numbers makes 0 of the year 0000, and '0' is the year 2000. ENUM and SET go by name
// where names are unmistakable (byName), else by number.
func (c *Column) AppendSelect(dst []byte) []byte {
	switch {
	case c.Type == "year":
		return append(c.appendColumn(append(dst, "CONCAT("...)), ')')
	case c.Kind == Float, c.Kind == Double && c.ColumnType != "double":
		return append(c.appendColumn(dst), "*1e0"...)
	case (c.Kind == Enum || c.Kind == Set) && !c.byName():
		return c.appendCast(dst, " AS UNSIGNED)")
	}
	return c.appendColumn(dst)
}

// AppendKeySelect appends the expression whose text Canonical understands.
func (c *Column) AppendKeySelect(dst []byte) []byte {
	if c.Kind == Enum || c.Kind == Set {
		// Not + 0: that is signed, and a set's 64th member is the sign.
		return c.appendCast(dst, " AS UNSIGNED)")
	}
	return c.AppendSelect(dst)
}

// byName tells whether an ENUM's or SET's members can be copied as text. The text must name one
// member only, on any server, and not be the empty text of ENUM's error value: plain ASCII words,
// different even without case, that aren't numbers (text that is no member is tried as an ordinal).
func (c *Column) byName() bool {
	if !asciiCompatible(c.Charset) {
		return false
	}
	seen := make(map[string]bool, len(c.Members))
	for _, m := range c.Members {
		word, ok := plainWord(m)
		if !ok || seen[word] {
			return false
		}
		seen[word] = true
	}
	return len(c.Members) > 0
}

// plainWord folds a member's name; ok only for printable ASCII that starts with a letter.
func plainWord(s string) (folded string, ok bool) {
	word := []byte(s)
	for i, b := range word {
		if b < 0x20 || b > 0x7e {
			return "", false
		}
		word[i] = foldASCII[b]
	}
	return string(word), len(word) > 0 && (word[0]|0x20 >= 'a' && word[0]|0x20 <= 'z') && word[len(word)-1] != ' '
}

// Canonical makes a value from the text that AppendKeySelect's expression gave; nil is NULL. The
// value is the one that Decoder makes from the binlog, byte for byte. It may alias text.
func (c *Column) Canonical(text []byte) (Value, error) {
	if text == nil {
		return nil, nil
	}
	switch c.Kind {
	case Int:
		if c.Type == "year" {
			return text, nil
		}
		return trimZeros(text), nil // ZEROFILL
	case Decimal:
		return trimZeros(text), nil
	case Float:
		return c.canonicalFloat(text, 32)
	case Double:
		return c.canonicalFloat(text, 64)
	case JSON:
		return appendJSON(make([]byte, 0, len(text)), text)
	case Unsupported:
		return nil, c.unsupported()
	}
	return text, nil
}

func (c *Column) unsupported() error {
	return fmt.Errorf("column %s has the type %s, which Changeover can't carry", c.Name, c.ColumnType)
}

func (c *Column) canonicalFloat(text []byte, bits int) (Value, error) {
	f, err := strconv.ParseFloat(string(text), bits)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", c.Name, err)
	}
	return appendFloat(nil, f, bits), nil
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// trimZeros takes away the zeros with which ZEROFILL pads, but not the one before the point.
func trimZeros(text []byte) []byte {
	if len(text) < 2 || text[0] != '0' {
		return text
	}
	n := len(text)
	if point := bytes.IndexByte(text, '.'); point >= 0 {
		n = point
	}
	i := 0
	for i < n-1 && text[i] == '0' {
		i++
	}
	return text[i:]
}
