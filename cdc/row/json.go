package row

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var errJSON = errors.New("not a JSON document")

// appendJSON appends a JSON document in the spelling of MySQL's SELECT: ", " and ": " between
// values, its escapes, its doubles. The binlog's reader spells otherwise ("1e-05", no blanks). The
// order of keys is the document's.
//
// A document is not parsed into a tree: tokens are copied, so depth and size don't matter.
func appendJSON(dst, doc []byte) ([]byte, error) {
	if len(doc) == 0 {
		// An empty document comes from INSERT IGNORE of NULL; the server prints it as null.
		return append(dst, "null"...), nil
	}
	for i := 0; i < len(doc); {
		switch ch := doc[i]; {
		case ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r':
			i++
		case ch == ',' || ch == ':':
			dst = append(dst, ch, ' ')
			i++
		case ch == '"':
			end, plain := jsonString(doc[i:])
			if end < 0 {
				return dst, errJSON
			}
			if plain {
				dst = append(dst, doc[i:i+end]...)
			} else {
				dst = appendJSONString(dst, doc[i:i+end])
			}
			i += end
		case ch == '-' || ch >= '0' && ch <= '9':
			n := numberLen(doc[i:])
			dst = appendJSONNumber(dst, doc[i:i+n])
			i += n
		default: // brackets, true, false, null
			dst = append(dst, ch)
			i++
		}
	}
	return dst, nil
}

// jsonString finds the end of the string at the start of s; plain if it holds no escapes.
func jsonString(s []byte) (end int, plain bool) {
	plain = true
	for i := 1; i < len(s); i++ {
		q := bytes.IndexByte(s[i:], '"')
		if q < 0 {
			return -1, false
		}
		b := bytes.IndexByte(s[i:i+q], '\\')
		if b < 0 {
			return i + q + 1, plain
		}
		plain = false
		i += b + 1 // the escaped byte is skipped by the loop
	}
	return -1, false
}

// appendJSONString appends a quoted string with the escapes that MySQL writes and no others.
func appendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	s = s[1 : len(s)-1]
	for len(s) > 0 {
		if s[0] != '\\' || len(s) < 2 {
			dst = append(dst, s[0])
			s = s[1:]
			continue
		}
		if s[1] != 'u' {
			dst = appendJSONRune(dst, simpleEscape(s[1]))
			s = s[2:]
			continue
		}
		r, n := hexEscape(s)
		dst = appendJSONRune(dst, r)
		s = s[n:]
	}
	return append(dst, '"')
}

func simpleEscape(c byte) rune {
	if i := strings.IndexByte("bfnrt", c); i >= 0 {
		return rune("\b\f\n\r\t"[i])
	}
	return rune(c)
}

// hexEscape reads \uXXXX, or a surrogate pair of them.
func hexEscape(s []byte) (r rune, n int) {
	high, ok := hex4(s)
	if !ok {
		return utf8.RuneError, min(6, len(s))
	}
	if utf16.IsSurrogate(high) && len(s) >= 12 {
		if low, ok := hex4(s[6:]); ok {
			return utf16.DecodeRune(high, low), 12
		}
	}
	return high, 6
}

func hex4(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s[2:6]), 16, 16)
	return rune(n), err == nil
}

func appendJSONRune(dst []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	if i := strings.IndexRune("\"\\\b\f\n\r\t", r); i >= 0 && r < 0x80 {
		return append(dst, '\\', "\"\\bfnrt"[i])
	}
	if r < 0x20 {
		return append(dst, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
	}
	return utf8.AppendRune(dst, r)
}

func numberLen(s []byte) int {
	for i, ch := range s {
		if !(ch >= '0' && ch <= '9' || ch == '-' || ch == '+' || ch == '.' || ch == 'e' || ch == 'E') {
			return i
		}
	}
	return len(s)
}

// appendJSONNumber leaves integers and DECIMALs alone and spells doubles as MySQL does. What is a
// DOUBLE can be told by its spelling alone: either it has an exponent, or it is exactly what the
// binlog's reader prints for that double. A DECIMAL of that very spelling (16 digits and more,
// then .0) is taken for one: the value is the same.
func appendJSONNumber(dst, s []byte) []byte {
	exponent := bytes.ContainsAny(s, "eE")
	if !exponent && bytes.IndexByte(s, '.') < 0 {
		return append(dst, s...)
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil || !exponent && readerDouble(f) != string(s) {
		return append(dst, s...)
	}
	return appendMySQLDouble(dst, f)
}

// readerDouble is go-mysql's spelling of a double (json_mysql_text.go).
func readerDouble(f float64) string {
	if f == math.Trunc(f) {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// appendMySQLDouble is my_gcvt of MySQL's strings/dtoa.cc, as JSON uses it: the shortest digits
// that are f, with an exponent only outside of 1e-15 … 1e15, and .0 after a whole number.
func appendMySQLDouble(dst []byte, f float64) []byte {
	if f == 0 {
		return strconv.AppendFloat(dst, f, 'f', 1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	e := start + bytes.IndexByte(dst[start:], 'e')
	exp, _ := strconv.Atoi(string(dst[e+1:]))
	if exp >= 15 || exp < -15 {
		return strconv.AppendInt(dst[:e+1], int64(exp), 10)
	}
	dst = strconv.AppendFloat(dst[:start], f, 'f', -1, 64)
	if bytes.IndexByte(dst[start:], '.') < 0 {
		dst = append(dst, '.', '0')
	}
	return dst
}
