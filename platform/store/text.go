package store

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// text checks what a person wrote: valid, without NUL, and from least to most characters long once
// blanks at its ends are gone.
func text(field, s string, least, most int) (string, error) {
	s = strings.TrimSpace(s)
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "", badValue(field, "is not text")
	}
	switch n := utf8.RuneCountInString(s); {
	case n < least && least == 1:
		return "", badValue(field, "is missing")
	case n < least:
		return "", badValue(field, "has %d characters; it needs at least %d", n, least)
	case n > most:
		return "", badValue(field, "has %d characters; at most %d go in", n, most)
	}
	return s, nil
}

// verbatim checks a text that is kept to the last blank, such as a program.
func verbatim(field, s string, most int) error {
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return badValue(field, "is not text")
	}
	if len(s) > most {
		return badValue(field, "has %d bytes; at most %d go in", len(s), most)
	}
	return nil
}

// object checks a JSON object of at most so many bytes.
func object(field string, raw json.RawMessage, most int) error {
	if len(raw) > most {
		return badValue(field, "has %d bytes; at most %d go in", len(raw), most)
	}
	var into map[string]json.RawMessage
	if !utf8.Valid(raw) || json.Unmarshal(raw, &into) != nil || into == nil {
		return badValue(field, "is not a JSON object")
	}
	return nil
}

func within[N int | float64](field string, n, least, most N) error {
	if n < least || n > most {
		return badValue(field, "is %v; it must be from %v to %v", n, least, most)
	}
	return nil
}

// ascii tells whether s has only letters, digits and the characters of extra.
func ascii(s, extra string) bool {
	for _, r := range s {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(extra, r)) {
			return false
		}
	}
	return true
}
