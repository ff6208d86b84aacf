package row

import (
	"encoding/binary"
	"errors"
)

// Key takes the values of the row key out of r, in the order of its parts; nil if the table has
// no row key. The values are r's own memory.
func (t *Table) Key(r Row) Row {
	if t.RowKey < 0 {
		return nil
	}
	parts := t.Keys[t.RowKey].Parts
	key := make(Row, len(parts))
	for i, p := range parts {
		key[i] = r[p.Column]
	}
	return key
}

// AppendKey appends key in the one form by which keys are compared: for each value 0 for NULL, or
// the length plus one as a uvarint, and the bytes. Two keys give the same bytes only if they are
// the same.
func AppendKey(dst []byte, key Row) []byte {
	for _, v := range key {
		if v == nil {
			dst = append(dst, 0)
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(len(v))+1)
		dst = append(dst, v...)
	}
	return dst
}

var errKey = errors.New("not the encoding of a key")

// DecodeKey undoes AppendKey. The values share b's memory. Nothing is nil, as an open bound is.
func DecodeKey(b []byte) (Row, error) {
	var key Row
	for len(b) > 0 {
		n, used := binary.Uvarint(b)
		// A padded varint would be a second encoding of the same key.
		if used <= 0 || used > 1 && b[used-1] == 0 {
			return nil, errKey
		}
		b = b[used:]
		if n == 0 {
			key = append(key, nil)
			continue
		}
		n--
		if n > uint64(len(b)) {
			return nil, errKey
		}
		key, b = append(key, Value(b[:n:n])), b[n:]
	}
	return key, nil
}
