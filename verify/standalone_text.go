package verify

import (
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is a value of a Cell or a ColumnDifference for people and programs: the text itself if it is
// printable UTF-8, else 0x and its bytes in hexadecimal. Text that begins with 0x is written in
// hexadecimal too, so the two can't be mistaken for each other. NULL has no text: ok is false.
func Text(v []byte) (text string, ok bool) {
	if v == nil {
		return "", false
	}
	if len(v) == shown {
		v = wholeRunes(v)
	}
	if !utf8.Valid(v) || strings.HasPrefix(string(v), "0x") || strings.ContainsFunc(string(v), unprintable) {
		return "0x" + hex.EncodeToString(v), true
	}
	return string(v), true
}

// wholeRunes takes the bytes away of a character that was cut in two.
func wholeRunes(v []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(v); n++ {
		if last := v[len(v)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return v[:len(v)-n]
			}
			return v
		}
	}
	return v
}

func unprintable(r rune) bool {
	return !unicode.IsPrint(r) && r != '\n' && r != '\r' && r != '\t'
}
