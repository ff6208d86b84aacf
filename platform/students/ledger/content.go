package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Canonical is the one form of a JSON value in which two that are equal have equal bytes: keys sorted,
// no space, numbers as they are written. A database's JSON type keeps the value, not the text.
func Canonical(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("not JSON: more follows the value")
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// DigestOfJSON is the digest of the canonical form.
func DigestOfJSON(text []byte) (Digest, error) {
	c, err := Canonical(text)
	return DigestOf(c), err
}

// DigestOfFields is the digest of texts in order: "ab", "c" and "a", "bc" differ.
func DigestOfFields(fields ...string) Digest {
	text, _ := json.Marshal(fields) // strings always can
	return DigestOf(text)
}

// EventDigest is the digest of what is compared of an event.
func EventDigest(name, description, country, city, date string, size int) Digest {
	return DigestOfFields(name, description, country, city, date, fmt.Sprint(size))
}
