package row_test

import (
	"bytes"
	"testing"

	"changeover/cdc/row"
)

func FuzzKeysEncodeInjectively(f *testing.F) {
	f.Add([]byte("a"), []byte(""), false, []byte("\x01a"), []byte("b"), true)
	f.Add([]byte(""), []byte(""), true, []byte(""), []byte(""), false)
	f.Fuzz(func(t *testing.T, a, b []byte, bNull bool, c, d []byte, dNull bool) {
		x, y := fuzzKey(a, b, bNull), fuzzKey(c, d, dNull)
		same := bytes.Equal(a, c) && bNull == dNull && (bNull || bytes.Equal(b, d))
		encoded := row.AppendKey(nil, x)
		if bytes.Equal(encoded, row.AppendKey(nil, y)) != same {
			t.Fatalf("%q and %q: the same is %v, not so encoded", x, y, same)
		}
		back, err := row.DecodeKey(encoded)
		if err != nil || len(back) != 2 || !bytes.Equal(back[0], x[0]) || (back[1] == nil) != bNull || !bytes.Equal(back[1], x[1]) {
			t.Fatalf("%q comes back as %q, %v", x, back, err)
		}
	})
}

func fuzzKey(a, b []byte, null bool) row.Row {
	key := row.Row{append(row.Value{}, a...), append(row.Value{}, b...)}
	if null {
		key[1] = nil
	}
	return key
}

func FuzzADecodedKeyEncodesToTheSameBytes(f *testing.F) {
	f.Add([]byte{0, 1, 2, 'a'})
	f.Add([]byte{0x81, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := row.DecodeKey(b)
		if err == nil && !bytes.Equal(row.AppendKey(nil, key), b) {
			t.Fatalf("%x decodes to %q, which encodes to something else", b, key)
		}
	})
}

func FuzzFieldsHoldNoBareMark(f *testing.F) {
	f.Add([]byte("a\x1d\x1e\x1fN"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if text == nil {
			text = []byte{}
		}
		field := row.AppendField(nil, text)
		var back []byte
		for i := 0; i < len(field); i++ {
			switch field[i] {
			case 0x1d:
				i++
				if field[i] == 'N' {
					t.Fatalf("%q has the mark of NULL", field)
				}
			case row.FieldEnd, row.LineEnd:
				t.Fatalf("%q has a bare mark", field)
			}
			back = append(back, field[i])
		}
		if !bytes.Equal(back, text) {
			t.Fatalf("%q comes back as %q", text, back)
		}
	})
}
