package row

import (
	"changeover/internal/server"
)

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
	dst = c.appendOperand(dst, c.misread(v))
	return c.appendCompared(append(dst, op...), v)
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
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, server.Name(t.Columns[p.Column].Name)...)
	}
	return dst
}

// AppendKeyIn appends the condition for a set of row keys, at most 1,000 of them (with tens of
// thousands the server gives up its range access), FALSE for none. Strings are compared by the
// column's collation, in which the key is unique.
func (t *Table) AppendKeyIn(dst []byte, keys []Row) []byte {
	if len(keys) == 0 {
		return append(dst, "FALSE"...)
	}
	parts := t.Keys[t.RowKey].Parts
	dst = t.appendTuple(dst, len(parts), func(dst []byte, i int) []byte {
		c := &t.Columns[parts[i].Column]
		return c.appendOperand(dst, c.anyMisread(keys, i))
	})
	dst = append(dst, " IN ("...)
	for n, key := range keys {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = t.appendTuple(dst, len(parts), func(dst []byte, i int) []byte {
			return t.Columns[parts[i].Column].appendCompared(dst, key[i])
		})
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

// appendTuple appends n items as (a,b), or the only one without parentheses.
func (t *Table) appendTuple(dst []byte, n int, item func([]byte, int) []byte) []byte {
	if n == 1 {
		return item(dst, 0)
	}
	for i := range n {
		sep := byte(',')
		if i == 0 {
			sep = '('
		}
		dst = item(append(dst, sep), i)
	}
	return append(dst, ')')
}
