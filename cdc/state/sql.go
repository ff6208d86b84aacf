package state

import (
	"encoding/hex"
	"strconv"
	"time"
)

// statement is SQL text under construction. Values are literals and not arguments: the same text
// must mean the same over a connection whose charset is binary (the appliers') and over one whose
// charset is utf8mb4, and must fit into a packet of many statements.
type statement struct{ b []byte }

func newStatement(sql string) *statement { return &statement{b: append([]byte(nil), sql...)} }

// String is the SQL text so far.
func (s *statement) String() string { return string(s.b) }

func (s *statement) sql(text string) *statement { s.b = append(s.b, text...); return s }

// text appends a string with its charset named, so that a comparison with a column can use its
// index whatever the connection's charset is.
func (s *statement) text(v string) *statement { s.b = appendText(s.b, v); return s }

// bytes appends a binary string; nil is NULL.
func (s *statement) bytes(v []byte) *statement { s.b = appendBytes(s.b, v); return s }

func (s *statement) uint(v uint64) *statement { s.b = strconv.AppendUint(s.b, v, 10); return s }

func (s *statement) int(v int64) *statement { s.b = strconv.AppendInt(s.b, v, 10); return s }

// appendText quotes v. Backslashes are doubled: Changeover's sessions never have
// NO_BACKSLASH_ESCAPES.
func appendText(dst []byte, v string) []byte {
	dst = append(dst, "_utf8mb4'"...)
	for i := range len(v) {
		switch c := v[i]; c {
		case '\'', '\\':
			dst = append(dst, '\\', c)
		case 0:
			dst = append(dst, '\\', '0')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\'')
}

func appendBytes(dst []byte, v []byte) []byte {
	if v == nil {
		return append(dst, "NULL"...)
	}
	dst = append(dst, "x'"...)
	dst = hex.AppendEncode(dst, v)
	return append(dst, '\'')
}

// clock is how the server's times are read: as text, since a pool may or may not parse times.
const clock = "2006-01-02 15:04:05.999999"

// parseTime reads a DATETIME(6) of UTC; the zero time where the column is NULL.
func parseTime(text *string) time.Time {
	if text == nil {
		return time.Time{}
	}
	t, err := time.ParseInLocation(clock, *text, time.UTC)
	if err != nil {
		t, _ = time.Parse(time.RFC3339Nano, *text)
	}
	return t
}
