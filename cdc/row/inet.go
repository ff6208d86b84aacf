package row

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

const uuidBytes = 16

func (c *Column) inetBytes() int {
	if c.Type == "inet4" {
		return 4
	}
	return 16
}

// padded gives back the trailing zeros that the binlog strips from fixed-length columns.
func padded(b []byte) (full [16]byte) {
	copy(full[:], b)
	return full
}

// appendUUID prints a UUID as MariaDB does, from its stored form. The versions 1 to 5 of RFC 4122
// are stored with their groups in the reverse order, so that they sort by time; others as they are.
func appendUUID(dst, b []byte) []byte {
	u := padded(b)
	if u[6]&0x80 != 0 && u[8] > 0 && u[8] < 0x60 {
		s := u
		copy(u[0:4], s[12:16])
		copy(u[4:6], s[10:12])
		copy(u[6:8], s[8:10])
		copy(u[8:10], s[6:8])
		copy(u[10:16], s[0:6])
	}
	return appendUUIDBytes(dst, u)
}

func appendUUIDBytes(dst []byte, u [uuidBytes]byte) []byte {
	from := 0
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, u[from:from+n])
		from += n
	}
	return dst
}

// appendInet prints an address of n bytes, stored as b, as MariaDB does.
func appendInet(dst, b []byte, n int) []byte {
	full := padded(b)
	if n == 4 {
		return netip.AddrFrom4([4]byte(full[:4])).AppendTo(dst)
	}
	return appendInet6(dst, full)
}

// appendUUIDText spells a text as MariaDB spells the UUID that it makes of it: so equal keys are equal
// bytes, however an application on MySQL has written them. What is no UUID stays as it is, and MariaDB
// refuses it.
func appendUUIDText(dst []byte, s string) []byte {
	var u [uuidBytes]byte
	digits := strings.ReplaceAll(s, "-", "")
	if len(digits) != 2*uuidBytes {
		return append(dst, s...)
	}
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return append(dst, s...)
	}
	return appendUUIDBytes(dst, u)
}

// appendInetText does the same for an address of n bytes.
func appendInetText(dst []byte, s string, n int) []byte {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil || a.Zone() != "":
	case n == 4 && a.Is4():
		return a.AppendTo(dst)
	case n == 16 && a.Is6():
		return appendInet6(dst, a.As16())
	}
	return append(dst, s...)
}

// Spell is v as a MariaDB whose column is c gives it back, where c's type holds less than the text or number
// that another server has for it: one spelling of a UUID or an address, no -0. Other values are as they were.
func (c *Column) Spell(v Value) Value {
	switch {
	case v == nil:
	case c.Kind == UUID:
		return appendUUIDText(nil, string(v))
	case c.Kind == Inet:
		return appendInetText(nil, string(v), c.inetBytes())
	case (c.Kind == Float || c.Kind == Double) && string(v) == "-0":
		return Value("0")
	}
	return v
}

// appendInet6 differs from RFC 5952, and so from net/netip: a single zero group is shortened too,
// and ::1.2.3.4 keeps its dots (MariaDB's plugin/type_inet/sql_type_inet.cc).
func appendInet6(dst []byte, b [16]byte) []byte {
	var words [8]uint16
	for i := range words {
		words[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	gap, length := longestGap(words)
	for i := 0; i < len(words); i++ {
		switch {
		case i == gap:
			if i == 0 {
				dst = append(dst, ':')
			}
			dst = append(dst, ':')
			i += length - 1
		case i == 6 && gap == 0 && (length == 6 || length == 5 && words[5] == 0xffff):
			return netip.AddrFrom4([4]byte(b[12:])).AppendTo(dst)
		default:
			dst = strconv.AppendUint(dst, uint64(words[i]), 16)
			if i < len(words)-1 {
				dst = append(dst, ':')
			}
		}
	}
	return dst
}

// longestGap finds the first of the longest runs of zeros; start is -1 if there is none.
func longestGap(words [8]uint16) (start, length int) {
	start = -1
	for i := 0; i < len(words); i++ {
		n := 0
		for i+n < len(words) && words[i+n] == 0 {
			n++
		}
		if n > length {
			start, length = i, n
		}
		i += n
	}
	return start, length
}
