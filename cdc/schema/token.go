package schema

import "strings"

// tokenKind is what a token is, as far as cutting a definition into parts needs it.
type tokenKind uint8

const (
	end    tokenKind = iota
	word             // a keyword, an unquoted name, a number, 0xFF
	quoted           // a name in backticks
	text             // a string in single or double quotes, with the x, b or n before it
	symbol           // one other character, or /*! and */ of an executable comment
)

// token is one token of a definition. Its place is kept, so that parts are cut from the text as it
// is and nothing is printed anew.
type token struct {
	kind       tokenKind
	start, end int    // its bytes in the text
	text       string // as it stands there
}

// is tells whether the token is this keyword or symbol, in any case.
func (t token) is(words ...string) bool {
	if t.kind != word && t.kind != symbol {
		return false
	}
	for _, w := range words {
		if strings.EqualFold(t.text, w) {
			return true
		}
	}
	return false
}

// name is the identifier that the token is, unquoted.
func (t token) name() string {
	if t.kind != quoted || len(t.text) < 2 {
		return t.text
	}
	return strings.ReplaceAll(t.text[1:len(t.text)-1], "``", "`")
}

// isName tells whether the token can be an identifier.
func (t token) isName() bool { return t.kind == word || t.kind == quoted }

// tokenize cuts a definition into tokens. It reads what SHOW CREATE prints under an empty
// sql_mode: double quotes are strings, a backslash escapes. What an executable comment holds is
// read like the rest; other comments are left out.
func tokenize(sql string) []token {
	var tokens []token
	for pos := skipBlank(sql, 0); pos < len(sql); {
		kind, next := scan(sql, pos)
		tokens = append(tokens, token{kind, pos, next, sql[pos:next]})
		pos = skipBlank(sql, next)
	}
	return tokens
}

// scan finds the end of the token at pos.
func scan(sql string, pos int) (kind tokenKind, next int) {
	c := sql[pos]
	switch {
	case c == '`':
		return quoted, scanQuoted(sql, pos)
	case c == '\'' || c == '"':
		return text, scanQuoted(sql, pos)
	case strings.IndexByte("xXbBnN", c) >= 0 && pos+1 < len(sql) && sql[pos+1] == '\'':
		return text, scanQuoted(sql, pos+1)
	case isWord(c):
		return word, scanWord(sql, pos)
	case strings.HasPrefix(sql[pos:], "/*"):
		return symbol, scanExecutable(sql, pos)
	case strings.HasPrefix(sql[pos:], "*/"):
		return symbol, pos + 2
	}
	return symbol, pos + 1
}

// scanQuoted finds the end of a quoted text: a doubled quote stands for one, and in strings a
// backslash takes the next character's meaning.
func scanQuoted(sql string, pos int) int {
	quote := sql[pos]
	for pos++; pos < len(sql); pos++ {
		switch {
		case sql[pos] == '\\' && quote != '`':
			pos++
		case sql[pos] != quote:
		case pos+1 < len(sql) && sql[pos+1] == quote:
			pos++
		default:
			return pos + 1
		}
	}
	return len(sql)
}

func scanWord(sql string, pos int) int {
	for pos < len(sql) && isWord(sql[pos]) {
		pos++
	}
	return pos
}

// scanExecutable finds the end of /*!80023 or /*M!100301, which open an executable comment.
func scanExecutable(sql string, pos int) int {
	pos += 2
	for pos < len(sql) && (sql[pos] == 'M' || sql[pos] == '!' || sql[pos] >= '0' && sql[pos] <= '9') {
		pos++
	}
	return pos
}

// isWord: letters, digits, _, $, and every byte of a multi-byte character.
func isWord(c byte) bool {
	return c >= 0x80 || c == '_' || c == '$' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// skipBlank finds the next byte that is neither blank nor in a comment that isn't executed.
func skipBlank(sql string, pos int) int {
	for pos < len(sql) {
		rest := sql[pos:]
		switch {
		case strings.IndexByte(" \t\r\n\v\f", rest[0]) >= 0:
			pos++
		case strings.HasPrefix(rest, "/*!"), strings.HasPrefix(rest, "/*M!"):
			return pos
		case strings.HasPrefix(rest, "/*"):
			pos = after(sql, pos+2, "*/")
		case rest[0] == '#', strings.HasPrefix(rest, "-- "), strings.HasPrefix(rest, "--\n"):
			pos = after(sql, pos, "\n")
		default:
			return pos
		}
	}
	return pos
}

// after finds the byte after the next mark, or the end of the text.
func after(sql string, pos int, mark string) int {
	if i := strings.Index(sql[pos:], mark); i >= 0 {
		return pos + i + len(mark)
	}
	return len(sql)
}

// literal is the bytes that a string token stands for; ok is false for x'…' and b'…'.
func (t token) literal() (value []byte, ok bool) {
	if t.kind != text || len(t.text) < 2 || t.text[0] != '\'' && t.text[0] != '"' {
		return nil, false
	}
	quote, body := t.text[0], t.text[1:len(t.text)-1]
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == '\\' && i+1 < len(body):
			i++
			c = unescape(body[i])
		case c == quote && i+1 < len(body):
			i++
		}
		value = append(value, c)
	}
	return value, true
}

// unescape is the character for which a backslash and c stand.
func unescape(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'Z':
		return 0x1a
	}
	return c
}
