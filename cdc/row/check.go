package row

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// CheckKey tells whether the values of a row key are of their columns' kinds; nil is no key, and in
// order. Where a source's table has been altered and nobody here knows of it yet, what is read as a
// number may be text: as the end of a range it would be no SQL, or mean different things to the two
// servers.
func (t *Table) CheckKey(key Row) error {
	if key == nil {
		return nil
	}
	for i, p := range t.Keys[t.RowKey].Parts {
		if c := &t.Columns[p.Column]; !c.holds(key[i]) {
			return fmt.Errorf("%.40q in column %s, which is %s", key[i], c.Name, c.ColumnType)
		}
	}
	return nil
}

// holds tells whether v has the form of the column's kind; not whether it is in the type's range.
func (c *Column) holds(v Value) bool {
	switch c.Kind {
	case Int:
		return isNumber(v)
	case Enum, Set:
		return isDigits(v)
	case Decimal:
		whole, fraction, point := strings.Cut(string(v), ".")
		return isNumber(Value(whole)) && (!point || isDigits(Value(fraction)))
	case Float, Double:
		_, err := strconv.ParseFloat(string(v), 64)
		return err == nil
	case Bit:
		return len(v) == (c.Length+7)/8
	case Binary:
		return len(v) == c.Length
	case Date:
		return looksLike(v, "0000-00-00")
	case DateTime, Timestamp:
		return looksLike(v, "0000-00-00 00:00:00")
	case Time:
		v = Value(strings.TrimPrefix(string(v), "-"))
		return looksLike(v, "00:00:00") || looksLike(v, "000:00:00")
	case String:
		switch c.Charset {
		case "utf8mb4", "utf8mb3", "utf8":
			return utf8.Valid(v)
		case "ascii":
			return isASCII(v)
		}
	}
	return v != nil
}

func isNumber(v Value) bool {
	if negative(v) {
		v = v[1:]
	}
	return isDigits(v)
}

func isDigits(v Value) bool {
	for _, b := range v {
		if b < '0' || b > '9' {
			return false
		}
	}
	return len(v) > 0
}

// looksLike compares with a pattern in which 0 is any digit; a fraction may follow.
func looksLike(v Value, pattern string) bool {
	if len(v) < len(pattern) {
		return false
	}
	for i := range len(pattern) {
		if digit := v[i] >= '0' && v[i] <= '9'; digit != (pattern[i] == '0') || !digit && v[i] != pattern[i] {
			return false
		}
	}
	rest := v[len(pattern):]
	return len(rest) == 0 || rest[0] == '.' && isDigits(rest[1:])
}
