package row

import (
	"bytes"
	"errors"
	"slices"
	"strconv"

	"changeover/internal/server"
)

// The marks of a LOAD DATA stream. They are control characters that text hardly ever holds: with
// the usual tab, newline and backslash every second JSON document would need escapes.
const (
	FieldEnd   = 0x1f // between the fields of a line
	LineEnd    = 0x1e // after each line
	fieldQuote = 0x1d // before a mark that is data, and before the N of NULL
)

// CopyColumns lists the columns that are copied, as indexes into Columns: all but generated ones.
func (t *Table) CopyColumns() []int {
	list := make([]int, 0, len(t.Columns))
	for i := range t.Columns {
		if !t.Columns[i].Generated {
			list = append(list, i)
		}
	}
	return list
}

// AppendSelectList appends the expressions of CopyColumns, in their order, separated by commas.
func (t *Table) AppendSelectList(dst []byte) []byte {
	for n, i := range t.CopyColumns() {
		dst = t.Columns[i].AppendSelect(appendComma(dst, n))
	}
	return dst
}

// AppendLoad appends the LOAD DATA LOCAL statement that takes lines, as AppendLine makes them,
// from the reader that is registered with go-sql-driver as readerName.
//
// The stream is binary: bytes go into a column as they are. Only where binary means something else
// to the column (JSON refuses it, MariaDB's UUID takes it for its stored form, an ordinal would be
// looked up as a name) the field takes the way through a variable. If one does, the AUTO_INCREMENT column
// does too: else a MariaDB forgets that its value was given, and makes a new number of a 0 (tried: 10.11).
func (t *Table) AppendLoad(dst []byte, readerName string) []byte {
	dst = appendQuoted(append(dst, "LOAD DATA LOCAL INFILE "...), []byte("Reader::"+readerName))
	dst = append(append(dst, " INTO TABLE "...), server.Name(t.Schema, t.Name)...)
	dst = append(dst, " CHARACTER SET binary FIELDS TERMINATED BY x'1f' ESCAPED BY x'1d' LINES TERMINATED BY x'1e' ("...)
	var set []byte
	columns := t.CopyColumns()
	told := slices.ContainsFunc(columns, func(i int) bool { before, _ := t.Columns[i].loadVia(); return before != "" })
	for n, i := range columns {
		c := &t.Columns[i]
		dst = appendComma(dst, n)
		before, after := c.loadVia()
		if before == "" && !(told && c.AutoIncrement) {
			dst = c.appendColumn(dst)
			continue
		}
		variable := "@c" + strconv.Itoa(i)
		dst = append(dst, variable...)
		set = c.appendColumn(appendComma(set, len(set)))
		set = append(set, "="+before+variable+after...)
	}
	dst = append(dst, ')')
	if set != nil {
		dst = append(append(dst, " SET "...), set...)
	}
	return dst
}

// loadVia is what stands around the variable of a column that can't take the field itself.
func (c *Column) loadVia() (before, after string) {
	switch c.Kind {
	case JSON:
		return "CONVERT(", " USING utf8mb4)"
	case UUID, Inet:
		return "CONVERT(", " USING latin1)"
	case Enum, Set:
		if !c.byName() {
			return "CAST(", " AS UNSIGNED)"
		}
	}
	return "", ""
}

// AppendLine appends one row's line: the texts of AppendSelectList's expressions, nil for NULL.
func AppendLine(dst []byte, texts [][]byte) []byte {
	for i, text := range texts {
		if i > 0 {
			dst = append(dst, FieldEnd)
		}
		dst = AppendField(dst, text)
	}
	return append(dst, LineEnd)
}

// AppendField appends one text as a field of a LOAD DATA line, with its escapes; nil is NULL.
func AppendField(dst, text []byte) []byte {
	if text == nil {
		return append(dst, fieldQuote, 'N')
	}
	if len(text) > longField {
		return appendLongField(dst, text)
	}
	for _, b := range text {
		if b-fieldQuote <= FieldEnd-fieldQuote {
			return appendEscaped(dst, text)
		}
	}
	return append(dst, text...)
}

// SplitLine takes a line of AppendLine apart again: it appends its texts to dst, nil for NULL.
// They may alias line.
func SplitLine(dst [][]byte, line []byte) ([][]byte, error) {
	text, quotes := []byte{}, false
	start := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case fieldQuote:
			if !quotes {
				text, quotes = append(text[:0:0], line[start:i]...), true
			}
			i++
			if i == len(line) {
				return nil, errSplit
			}
			if line[i] == 'N' {
				text = nil
				continue
			}
			text = append(text, line[i])
		case FieldEnd, LineEnd:
			if !quotes {
				text = line[start:i:i]
			}
			dst = append(dst, text)
			text, quotes, start = []byte{}, false, i+1
			if start == len(line) {
				return dst, nil
			}
		default:
			if quotes {
				text = append(text, line[i])
			}
		}
	}
	return nil, errSplit
}

var errSplit = errors.New("a line of LOAD DATA has no end")

// longField is where three passes of the vectorised IndexByte overtake one loop over the bytes.
const longField = 32

func appendLongField(dst, text []byte) []byte {
	if bytes.IndexByte(text, FieldEnd) < 0 && bytes.IndexByte(text, LineEnd) < 0 && bytes.IndexByte(text, fieldQuote) < 0 {
		return append(dst, text...)
	}
	return appendEscaped(dst, text)
}

func appendEscaped(dst, text []byte) []byte {
	for _, b := range text {
		if b-fieldQuote <= FieldEnd-fieldQuote {
			dst = append(dst, fieldQuote)
		}
		dst = append(dst, b)
	}
	return dst
}

// Loadable tells whether LOAD DATA stores the row as it is: not so ENUM's error value, which only
// an INSERT under a relaxed sql_mode stores, nor DECIMALs in JSON, which AppendInsertValues writes
// out. The texts are of AppendSelectList's expressions.
func (t *Table) Loadable(texts [][]byte) bool {
	n := 0
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Generated {
			continue
		}
		switch text := texts[n]; {
		case c.Kind == Enum && text != nil && (len(text) == 0 || string(text) == "0"):
			return false
		case c.Kind == JSON && hasDecimal(text):
			return false
		}
		n++
	}
	return true
}

// AppendInsert appends the head of a multi-row INSERT over CopyColumns: INSERT INTO … (…) VALUES.
// Rows follow as AppendInsertValues makes them, separated by commas.
func (t *Table) AppendInsert(dst []byte) []byte {
	dst = append(append(dst, "INSERT INTO "...), server.Name(t.Schema, t.Name)...)
	dst = append(dst, " ("...)
	for n, i := range t.CopyColumns() {
		dst = t.Columns[i].appendColumn(appendComma(dst, n))
	}
	return append(dst, ") VALUES "...)
}

// AppendInsertValues appends one row in parentheses, from the texts of AppendSelectList's
// expressions, nil for NULL. The session is AppendLiteral's.
func (t *Table) AppendInsertValues(dst []byte, texts [][]byte) []byte {
	dst = append(dst, '(')
	n := 0
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Generated {
			continue
		}
		dst = c.appendTextLiteral(appendComma(dst, n), texts[n])
		n++
	}
	return append(dst, ')')
}

// appendTextLiteral is AppendLiteral for the text of AppendSelect instead of a canonical value.
func (c *Column) appendTextLiteral(dst, text []byte) []byte {
	if text == nil {
		return append(dst, "NULL"...)
	}
	switch c.Kind {
	case Float, Double:
		return appendQuoted(dst, text)
	case Enum, Set:
		if c.byName() {
			return appendQuoted(dst, text)
		}
	}
	return c.AppendLiteral(dst, text)
}
