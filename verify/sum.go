package verify

import (
	"fmt"
	"slices"
	"strings"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// digestQuery asks for the number of the rows for which a condition holds (empty: of all), the number of
// their digests, and the sum of these.
//
// The sum is the XOR, bit by bit, of eight CRC32s that are made of each digest. It doesn't depend on the
// order of the rows, and all 256 bits go into it: two sets of rows have the same sum by chance once in
// 2^248 times (CRC32 maps few pairs of eight digits to the same number). Where two rows may be the same
// XOR would cancel them out, so there the numbers are added.
func (t *table) digestQuery(where string) string {
	switch {
	case t.RowKey < 0:
		return t.sumQuery(where)
	case t.wide:
		return t.wideQuery(where)
	}
	return t.narrowQuery(where)
}

// wideQuery is for a server that can XOR whole digests. The CRC32s are made of the result, since CRC32 is
// linear up to a constant, CRC32(a⊕b) = CRC32(a)⊕CRC32(b)⊕CRC32(0), which is left over where the number
// of rows is even.
//
// To ask for COUNT(digest) would compute every digest twice. But the values of a BIT_XOR must be equally
// long: a digest that is NULL makes an error of the empty one.
func (t *table) wideQuery(where string) string {
	parts := make([]string, eighths)
	for i := range parts {
		parts[i] = hex32(eighth("x", i) + "^IF(n&1,0,CRC32(X'0000000000000000'))")
	}
	return fmt.Sprintf("SELECT %s n,n,IF(n=0,NULL,CONCAT(%s)) FROM (SELECT COUNT(*) AS n,BIT_XOR(IFNULL(%s,_binary'')) AS x FROM %s) AS sums",
		t.comment(), strings.Join(parts, ","), t.rowDigest(), t.reference(where, ""))
}

// narrowQuery is for a server whose BIT_XOR takes only integers of 64 bits. No other function makes an
// integer of a digest's digits as quickly as CRC32, which is why it is there.
func (t *table) narrowQuery(where string) string {
	return t.onceQuery(where, func(digest string) string {
		parts := make([]string, eighths)
		for i := range parts {
			parts[i] = hex32("BIT_XOR(" + eighth(digest, i) + ")")
		}
		return "CONCAT(" + strings.Join(parts, ",") + ")"
	})
}

// sumQuery adds the digests of rows that may be there twice.
func (t *table) sumQuery(where string) string {
	return t.onceQuery(where, func(digest string) string {
		parts := make([]string, eighths/2)
		for i := range parts {
			parts[i] = fmt.Sprintf("SUM(%s<<32|%s)", eighth(digest, 2*i), eighth(digest, 2*i+1))
		}
		return "CONCAT(" + strings.Join(parts, ",'+',") + ")"
	})
}

// onceQuery computes each row's digest once for several aggregates, which would do so each for itself.
//
// Where there are lateral tables the digest is a column of one. Where there are none it is kept in a
// variable, which WHERE sets before any aggregate sees the row. The derived table sets it first of all,
// else the server takes it for a constant; to NULL, so that if it were one there would be no digests.
func (t *table) onceQuery(where string, aggregate func(digest string) string) string {
	digest := t.newName("digest")
	from := t.reference(where, fmt.Sprintf(" JOIN LATERAL (SELECT %s AS %s LIMIT 1) AS digests", t.rowDigest(), digest))
	if !t.wide {
		from = fmt.Sprintf("(SELECT @changeover := NULL AS %s) AS start STRAIGHT_JOIN %s", digest,
			t.reference(and(where, "ISNULL(@changeover := "+t.rowDigest()+") < 2"), ""))
		digest = "@changeover"
	}
	return fmt.Sprintf("SELECT %s COUNT(*),COUNT(%s),IF(COUNT(*)=0,NULL,%s) FROM %s", t.comment(), digest, aggregate(digest), from)
}

// newName is a name that no column of the table has.
func (t *table) newName(name string) string {
	for slices.ContainsFunc(t.Columns, func(c row.Column) bool { return strings.EqualFold(c.Name, name) }) {
		name += "_"
	}
	return name
}

const eighths = 8

// eighth is the expression of a digest's n-th 32 bits as a number.
func eighth(digest string, n int) string {
	return fmt.Sprintf("CRC32(SUBSTR(%s,%d,8))", digest, 1+8*n)
}

func hex32(number string) string { return "LPAD(HEX(" + number + "),8,'0')" }

// reference is the table, what is joined to it, and a condition. The key's index is forced where there is
// one: a secondary one that looks cheaper would be read at random.
func (t *table) reference(where, joined string) string {
	from := server.Name(t.Schema, t.Name)
	if where == "" {
		return from + joined
	}
	if t.RowKey >= 0 {
		from += " FORCE INDEX (" + server.Name(t.Keys[t.RowKey].Name) + ")"
	}
	return from + joined + " WHERE " + where
}
