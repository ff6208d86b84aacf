package row

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"changeover/internal/server"
)

// AppendLiteral appends the SQL literal that stores exactly v in the column, in a session whose
// client and connection character sets are binary, whose time zone is UTC and whose sql_mode is
// server.ApplierMode. Nil is NULL.
//
// Strings are binary literals: the server then takes the bytes as they are, in the column's
// charset, whatever that is. JSON alone refuses binary strings. In that session a literal's escapes
// are read byte by byte, so that no multi-byte charset can hide a quote.
func (c *Column) AppendLiteral(dst []byte, v Value) []byte {
	if v == nil {
		return append(dst, "NULL"...)
	}
	switch c.Kind {
	case Int, Decimal, Enum, Set:
		return append(dst, v...)
	case Float, Double:
		return c.appendFloatLiteral(dst, v)
	case Bit:
		return strconv.AppendUint(dst, bitNumber(v), 10)
	case JSON:
		return appendJSONLiteral(dst, v)
	case UUID, Inet:
		// A binary string would be taken for the sixteen stored bytes.
		return appendQuoted(append(dst, "_latin1"...), v)
	}
	return appendQuoted(dst, v)
}

// appendFloatLiteral writes a floating-point literal, never a DECIMAL or an integer: those know no
// -0 and stop at 65 digits. A FLOAT is spelled as the double that it is: its own shortest digits
// would be rounded twice.
func (c *Column) appendFloatLiteral(dst []byte, v Value) []byte {
	if c.Kind == Float {
		if f, err := strconv.ParseFloat(string(v), 32); err == nil {
			return strconv.AppendFloat(dst, f, 'e', -1, 64)
		}
	}
	dst = append(dst, v...)
	if bytes.IndexByte(v, 'e') < 0 {
		dst = append(dst, 'e', '0')
	}
	return dst
}

// bitNumber reads big-endian bytes.
func bitNumber(v Value) uint64 {
	var b [8]byte
	if len(v) <= len(b) {
		copy(b[len(b)-len(v):], v)
	}
	return binary.BigEndian.Uint64(b[:])
}

// mustEscape marks the bytes that end a literal or begin an escape, and those that are easily
// mangled on the way.
var mustEscape = [256]byte{0: '0', '\'': '\'', '\\': '\\', '\n': 'n', '\r': 'r', 0x1a: 'Z'}

// appendQuoted appends 'v' with its escapes.
func appendQuoted(dst []byte, v []byte) []byte {
	dst = append(dst, '\'')
	start := 0
	for i, b := range v {
		if e := mustEscape[b]; e != 0 {
			dst = append(append(dst, v[start:i]...), '\\', e)
			start = i + 1
		}
	}
	return append(append(dst, v[start:]...), '\'')
}

// appendCompared appends the literal with which the column is compared. A string takes the column's
// charset as its introducer: then the column's collation decides and its index is used, where a
// binary literal would compare bytes and scan. This is right in a session of any charset.
func (c *Column) appendCompared(dst []byte, v Value) []byte {
	switch {
	case v == nil:
		return append(dst, "NULL"...)
	case c.Kind == String:
		dst = append(append(dst, '_'), c.Charset...)
		if !asciiCompatible(c.Charset) {
			return appendHex(dst, v)
		}
		return appendQuoted(dst, v)
	case c.Kind == Binary, c.Kind == Bytes:
		return appendQuoted(append(dst, "_binary"...), v)
	}
	return c.AppendLiteral(dst, v)
}

func appendHex(dst []byte, v []byte) []byte {
	return append(hex.AppendEncode(append(dst, " x'"...), v), '\'')
}

// appendColumn appends the column's name as it stands in a comparison.
func (c *Column) appendColumn(dst []byte) []byte {
	return append(dst, server.Name(c.Name)...)
}

// asciiCompatible tells whether bytes below 0x80 outside of a longer character mean ASCII. In swe7
// some are letters; the 16- and 32-bit charsets have no such bytes.
func asciiCompatible(charset string) bool {
	switch charset {
	case "ucs2", "utf16", "utf16le", "utf32", "swe7", "":
		return false
	}
	return true
}
