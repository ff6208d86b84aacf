package row

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// ConflictKey stands for one value of one primary or unique key of one table. Two changes whose
// keys have the same Hash may touch the same row or collide in the same key, and keep their order.
// Different values may share a Hash: that costs waiting, never order.
type ConflictKey struct {
	Hash  uint64 // of table, key and values, folded so that what the server calls equal is equal
	Index uint64 // of table and key
	// Wild: the value may equal any other in this key: it conflicts with every holder of Index.
	Wild bool
}

// AppendConflicts appends the conflict keys of a row: one for each primary and unique key, but for
// keys in which the row has a NULL, which collide with nothing. A table without a row key has one
// more, over the whole row. The hashes depend on nothing but names and values.
func (t *Table) AppendConflicts(dst []ConflictKey, r Row) []ConflictKey {
	table := hashString(hashString(hashSeed, t.Schema), t.Name)
	for i := range t.Keys {
		if k, ok := t.conflict(table, i, r); ok {
			dst = append(dst, k)
		}
	}
	if t.RowKey < 0 {
		index := hashNumber(table, 1<<32)
		dst = append(dst, ConflictKey{Hash: mix(t.hashRow(index, r)), Index: mix(index)})
	}
	return dst
}

// conflict makes the conflict key of the i-th key; ok is false if a part is NULL.
func (t *Table) conflict(table uint64, i int, r Row) (key ConflictKey, ok bool) {
	index := hashNumber(table, uint64(i))
	h, wild := index, false
	for _, p := range t.Keys[i].Parts {
		if p.Column < 0 {
			// What an expression makes of its columns isn't known here.
			wild = true
			continue
		}
		v := r[p.Column]
		if v == nil {
			return ConflictKey{}, false
		}
		var exact bool
		h, exact = t.Columns[p.Column].hash(h, v, p.Prefix)
		wild = wild || !exact
	}
	return ConflictKey{Hash: mix(h), Index: mix(index), Wild: wild}, true
}

// hashRow is over the values that AppendMatch compares.
func (t *Table) hashRow(h uint64, r Row) uint64 {
	for i, v := range r {
		if t.Columns[i].Generated {
			continue
		}
		if v == nil {
			h = hashNumber(h, 1<<63)
			continue
		}
		h = hashBytes(h, v)
	}
	return h
}

// hash adds a value so that values that are equal in the key are added alike; ok is false if that
// can't be promised.
func (c *Column) hash(h uint64, v Value, prefix int) (sum uint64, ok bool) {
	switch c.Kind {
	case String:
		return c.hashText(h, v, prefix)
	case Float, Double:
		if string(v) == "-0" {
			v = v[1:]
		}
	case Binary, Bytes:
		if prefix > 0 && prefix < len(v) {
			v = v[:prefix]
		}
	case JSON, Geometry, Vector, Unsupported:
		return h, false
	}
	return hashBytes(h, v), true
}

// hashText knows two kinds of collations: _bin, in which only trailing blanks may not count, and
// the others, in which ASCII is folded as coarsely as the coarsest of them.
func (c *Column) hashText(h uint64, v Value, prefix int) (sum uint64, ok bool) {
	if !asciiCompatible(c.Charset) {
		return h, false
	}
	v, ok = c.cutPrefix(v, prefix)
	if !ok {
		return h, false
	}
	if strings.HasSuffix(c.Collation, "_bin") || c.Collation == "binary" {
		return hashBytes(h, trimBlanks(v)), true
	}
	if !c.foldable() {
		return h, false
	}
	return hashFolded(h, v)
}

// unfoldable has the collations in which strings of different letters and lengths are equal, by
// language: ccs = cscs in Hungarian, ch = c in Lithuanian, and the Czech _cs collations of the
// eight-bit charsets leave blanks for last. (Found by comparing strings in every collation that
// MySQL 9.7 and MariaDB 10.11 have; all others keep to foldASCII.)
var unfoldable = []string{"hungarian", "_hu_", "lithuanian", "_lt_", "czech_cs"}

func (c *Column) foldable() bool {
	for _, language := range unfoldable {
		if strings.Contains(c.Collation, language) {
			return false
		}
	}
	return true
}

// cutPrefix takes the first n characters; ok is false where it can't count them.
func (c *Column) cutPrefix(v Value, n int) (_ Value, ok bool) {
	if n <= 0 || n >= len(v) {
		return v, true
	}
	if isASCII(v) || c.singleByte() {
		return v[:n], true
	}
	if c.Charset != "utf8mb4" && c.Charset != "utf8mb3" && c.Charset != "utf8" {
		return nil, false
	}
	i := 0
	for ; n > 0 && i < len(v); n-- {
		_, size := utf8.DecodeRune(v[i:])
		i += size
	}
	return v[:i], true
}

func (c *Column) singleByte() bool {
	switch c.Charset {
	case "ascii", "latin1", "latin2", "latin5", "latin7":
		return true
	}
	return false
}

func trimBlanks(v Value) Value {
	n := len(v)
	for n > 0 && v[n-1] == ' ' {
		n--
	}
	return v[:n]
}

// foldASCII maps each ASCII byte to what stands for all bytes that any collation may hold equal to
// it; 0 where some hold it for nothing at all.
//
// Letters lose their case. v and w are one letter in Swedish and Finnish, u and v, i and j in
// Latin, i and y in Lithuanian and Latvian. Control characters are ignored by Unicode's collations.
var foldASCII = func() (fold [utf8.RuneSelf]byte) {
	for b := byte(0x20); b < 0x7f; b++ {
		fold[b] = b
		if b >= 'A' && b <= 'Z' {
			fold[b] = b | 0x20
		}
	}
	for _, b := range []byte("uUwW") {
		fold[b] = 'v'
	}
	for _, b := range []byte("jJyY") {
		fold[b] = 'i'
	}
	return fold
}()

// hashFolded adds ASCII text by its fold; ok is false if the text isn't ASCII.
func hashFolded(h uint64, v Value) (sum uint64, ok bool) {
	blanks := 0
	for _, b := range v {
		if b >= utf8.RuneSelf {
			return h, false
		}
		switch f := foldASCII[b]; f {
		case 0:
		case ' ':
			blanks++ // counts only if something follows
		default:
			for ; blanks > 0; blanks-- {
				h = hashByte(h, ' ')
			}
			h = hashByte(h, f)
		}
	}
	return hashByte(h, 0), true
}

// The hash is FNV-1a with 64 bits (Fowler, Noll, Vo): it needs no state, takes bytes one by one, as
// folding gives them, and is the same on every run.
const (
	hashSeed  = 14695981039346656037
	hashPrime = 1099511628211
)

func hashByte(h uint64, b byte) uint64 { return (h ^ uint64(b)) * hashPrime }

// hashBytes ends with the length, so that ("ab","c") differs from ("a","bc").
func hashBytes(h uint64, v []byte) uint64 {
	n := len(v)
	for len(v) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64(v)) * hashPrime
		h ^= h >> 32
		v = v[8:]
	}
	for _, b := range v {
		h = hashByte(h, b)
	}
	return hashNumber(h, uint64(n))
}

func hashString(h uint64, s string) uint64 {
	for i := range len(s) {
		h = hashByte(h, s[i])
	}
	return hashByte(h, 0)
}

func hashNumber(h, n uint64) uint64 { return (h ^ n) * hashPrime }

// mix spreads FNV's weak last bytes over all bits (the finaliser of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
