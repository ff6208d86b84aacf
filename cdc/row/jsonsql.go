package row

import (
	"bytes"
	"strconv"
)

// appendJSONLiteral appends the expression that stores the document doc, MySQL's text of one.
//
// The parser of JSON text knows no DECIMAL: 12.50 becomes the double 12.5, and a number of thirty
// digits loses half of them. Documents that hold DECIMALs (JSON_OBJECT over a DECIMAL column makes
// them) get them back one by one, as SQL literals:
//
//	JSON_REPLACE(_utf8mb4'{"price": 12.50}', _utf8mb4'$."price"', 12.50)
//
// What the text doesn't show can't be given back: a DATE, TIME or binary value inside a document
// becomes the string that it prints as.
func appendJSONLiteral(dst, doc []byte) []byte {
	if !hasDecimal(doc) {
		return appendQuoted(append(dst, "_utf8mb4"...), doc)
	}
	dst = appendQuoted(append(dst, "JSON_REPLACE(_utf8mb4"...), doc)
	eachDecimal(doc, func(path, number []byte) {
		dst = appendQuoted(append(dst, ",_utf8mb4"...), path)
		dst = append(append(dst, ','), number...)
	})
	return append(dst, ')')
}

// hasDecimal tells whether doc, MySQL's text of a document, holds a DECIMAL. Every document that is
// copied goes through here, so it keeps no track of where it is.
func hasDecimal(doc []byte) bool {
	for i := 0; i < len(doc); {
		switch ch := doc[i]; {
		case ch == '"':
			end, _ := jsonString(doc[i:])
			if end < 0 {
				return false
			}
			i += end
		case ch == '-' || ch >= '0' && ch <= '9':
			n := numberLen(doc[i:])
			if isDecimal(doc[i : i+n]) {
				return true
			}
			i += n
		default:
			i++
		}
	}
	return false
}

// eachDecimal calls found with the path and the text of each DECIMAL in doc.
func eachDecimal(doc []byte, found func(path, number []byte)) {
	var w jsonWalk
	for i := 0; i < len(doc); {
		switch ch := doc[i]; {
		case ch == '"':
			end, _ := jsonString(doc[i:])
			if end < 0 {
				return
			}
			w.key = doc[i : i+end]
			i += end
			continue
		case ch == '-' || ch >= '0' && ch <= '9':
			n := numberLen(doc[i:])
			if number := doc[i : i+n]; isDecimal(number) {
				found(w.path(), number)
			}
			i += n
			continue
		default:
			w.step(ch)
		}
		i++
	}
}

// isDecimal tells a DECIMAL by its spelling: a double of that text would be printed differently,
// an integer of that text wouldn't fit 64 bits.
func isDecimal(number []byte) bool {
	if bytes.IndexByte(number, '.') < 0 {
		return len(number) > 18 && !isInteger(number)
	}
	if bytes.IndexByte(number, 'e') >= 0 {
		return false
	}
	if last := len(number) - 1; last < 16 {
		// A double keeps fifteen digits as they are, but no zero at the end of its fraction.
		return number[last] == '0' && number[last-1] != '.'
	}
	f, err := strconv.ParseFloat(string(number), 64)
	var spelled [32]byte
	return err != nil || !bytes.Equal(appendMySQLDouble(spelled[:0], f), number)
}

func isInteger(number []byte) bool {
	if bytes.IndexByte(number, 'e') >= 0 {
		return true // a double, and no DECIMAL
	}
	if _, err := strconv.ParseInt(string(number), 10, 64); err == nil {
		return true
	}
	_, err := strconv.ParseUint(string(number), 10, 64)
	return err == nil
}

// jsonWalk knows where in a document a token stands.
type jsonWalk struct {
	legs []jsonLeg
	key  []byte // the last string seen: at a colon it is the key
}

// jsonLeg is one step down: into an object's member, or an array's element.
type jsonLeg struct {
	object bool
	key    []byte // quoted, as in the document
	index  int
}

func (w *jsonWalk) step(ch byte) {
	switch ch {
	case '{', '[':
		w.legs = append(w.legs, jsonLeg{object: ch == '{'})
	case '}', ']':
		if n := len(w.legs); n > 0 {
			w.legs = w.legs[:n-1]
		}
	case ':':
		if n := len(w.legs); n > 0 {
			w.legs[n-1].key = w.key
		}
	case ',':
		if n := len(w.legs); n > 0 {
			w.legs[n-1].index++
		}
	}
}

// path is the JSON path of the value at hand.
func (w *jsonWalk) path() []byte {
	p := []byte("$")
	for _, leg := range w.legs {
		if leg.object {
			p = append(append(p, '.'), leg.key...)
			continue
		}
		p = append(strconv.AppendInt(append(p, '['), int64(leg.index), 10), ']')
	}
	return p
}
