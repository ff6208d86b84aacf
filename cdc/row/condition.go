package row

import "strconv"

// AppendRange appends the condition for the keys of r: Low < key ≤ High, TRUE without bounds.
//
// It is written out as a > x OR (a = x AND b > y): a row constructor, (a,b) > (x,y), would scan
// the whole index.
func (t *Table) AppendRange(dst []byte, r Range) []byte {
	if r.Low == nil && r.High == nil {
		return append(dst, "TRUE"...)
	}
	if r.Low != nil {
		dst = t.appendBound(dst, r.Low, ">", ">")
	}
	if r.Low != nil && r.High != nil {
		dst = append(dst, " AND "...)
	}
	if r.High != nil {
		dst = t.appendBound(dst, r.High, "<", "<=")
	}
	return dst
}

// appendBound appends (a > x OR a = x AND (b > y OR b = y AND c >= z)): op for all parts but the
// last, which has last.
func (t *Table) appendBound(dst []byte, bound Row, op, last string) []byte {
	parts := t.Keys[t.RowKey].Parts
	for i, p := range parts {
		c := &t.Columns[p.Column]
		dst = append(dst, '(')
		if i == len(parts)-1 {
			dst = c.appendCompare(dst, last, bound[i])
			break
		}
		dst = c.appendCompare(dst, op, bound[i])
		dst = c.appendCompare(append(dst, " OR "...), "=", bound[i])
		dst = append(dst, " AND "...)
	}
	for range parts {
		dst = append(dst, ')')
	}
	return dst
}

// appendCompare appends column op literal.
func (c *Column) appendCompare(dst []byte, op string, v Value) []byte {
	if c.Kind == Enum && op != "=" && len(c.Members) <= maxListed {
		return c.appendOrdinals(dst, op, v)
	}
	dst = c.appendOperand(dst, c.misread(v))
	return c.appendCompared(append(dst, op...), v)
}

// maxListed is the most members of an ENUM that appendOrdinals lists.
const maxListed = 1000

// appendOrdinals appends an ENUM's comparison with v as the list of the ordinals for which it
// holds: no index answers e > 2, but every index answers e IN (3,4).
func (c *Column) appendOrdinals(dst []byte, op string, v Value) []byte {
	at, _ := strconv.Atoi(string(v))
	low, high := 0, len(c.Members)
	switch op {
	case ">":
		low = at + 1
	case "<":
		high = at - 1
	case "<=":
		high = at
	}
	if low > high {
		return append(dst, "FALSE"...)
	}
	dst = append(c.appendColumn(dst), " IN ("...)
	for n := low; n <= high; n++ {
		dst = append(strconv.AppendInt(dst, int64(n), 10), ',')
	}
	dst[len(dst)-1] = ')'
	return dst
}

// misread tells whether a comparison with v would take it for another value: beside a YEAR the
// literal 0 is 2000, and a SET's 64th member is a sign. The column is then compared as a number,
// which no index can answer.
func (c *Column) misread(v Value) bool {
	return c.Type == "year" && string(v) == "0000" ||
		c.Kind == Set && len(c.Members) == 64 && compareMagnitude(v, Value("9223372036854775808")) >= 0
}

func (c *Column) appendOperand(dst []byte, asNumber bool) []byte {
	if asNumber {
		return c.appendCast(dst, " AS UNSIGNED)")
	}
	return c.appendColumn(dst)
}

// AppendOrder appends the ORDER BY list of the row key.
func (t *Table) AppendOrder(dst []byte) []byte {
	for i, p := range t.Keys[t.RowKey].Parts {
		dst = t.Columns[p.Column].appendColumn(appendComma(dst, i))
	}
	return dst
}

// AppendKeyIn appends the condition for a set of row keys, at most 1,000 of them (with tens of
// thousands the server gives up its range access), FALSE for none. Strings are compared by the
// column's collation, in which the key is unique.
func (t *Table) AppendKeyIn(dst []byte, keys []Row) []byte {
	parts := t.Keys[t.RowKey].Parts
	switch {
	case len(keys) == 0:
		return append(dst, "FALSE"...)
	case len(parts) == 1:
		c := &t.Columns[parts[0].Column]
		dst = append(c.appendOperand(dst, c.anyMisread(keys, 0)), " IN ("...)
		for i, key := range keys {
			dst = c.appendCompared(appendComma(dst, i), key[0])
		}
		return append(dst, ')')
	case t.tupleComparable():
		return t.appendTuplesIn(dst, keys)
	}
	return t.appendKeysOr(dst, keys)
}

func appendComma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

// tupleComparable tells whether the key's columns compare in (a,b) IN (…) as they do alone. MySQL
// compares an ENUM there as text: (e,n) IN ((2,568)) finds nothing, where e=2 AND n=568 does.
func (t *Table) tupleComparable() bool {
	for _, p := range t.Keys[t.RowKey].Parts {
		switch c := &t.Columns[p.Column]; c.Kind {
		case Int:
			if c.Type == "year" {
				return false
			}
		case Decimal, String, Binary, Bytes:
		default:
			return false
		}
	}
	return true
}

// appendTuplesIn appends (a,b) IN ((1,2),(3,4)), which the server answers as ranges.
func (t *Table) appendTuplesIn(dst []byte, keys []Row) []byte {
	parts := t.Keys[t.RowKey].Parts
	dst = append(dst, '(')
	for i, p := range parts {
		dst = t.Columns[p.Column].appendColumn(appendComma(dst, i))
	}
	dst = append(dst, ") IN ("...)
	for n, key := range keys {
		dst = append(appendComma(dst, n), '(')
		for i, p := range parts {
			dst = t.Columns[p.Column].appendCompared(appendComma(dst, i), key[i])
		}
		dst = append(dst, ')')
	}
	return append(dst, ')')
}

// appendKeysOr appends (a=1 AND b=2 OR a=3 AND b=4), longer than tuples but with no rules of its own.
func (t *Table) appendKeysOr(dst []byte, keys []Row) []byte {
	dst = append(dst, '(')
	for n, key := range keys {
		if n > 0 {
			dst = append(dst, " OR "...)
		}
		for i, p := range t.Keys[t.RowKey].Parts {
			if i > 0 {
				dst = append(dst, " AND "...)
			}
			dst = t.Columns[p.Column].appendCompare(dst, "=", key[i])
		}
	}
	return append(dst, ')')
}

func (c *Column) anyMisread(keys []Row, part int) bool {
	if c.Kind != Set && c.Type != "year" {
		return false
	}
	for _, key := range keys {
		if c.misread(key[part]) {
			return true
		}
	}
	return false
}
