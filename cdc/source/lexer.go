package source

import "strings"

// tokenKind is what a token is, as far as reading names needs it.
type tokenKind uint8

const (
	endOfText tokenKind = iota
	word                // a keyword, an unquoted name or a number
	quoted              // a name in backticks, or in double quotes (a name under ANSI_QUOTES)
	text                // a string in single quotes
	symbol              // any other character
)

// token is one token of a statement.
type token struct {
	kind tokenKind
	text string // unquoted
	bare string // of a word: in capitals, to compare with keywords; of a symbol: the character
}

// is tells whether the token is one of the keywords or symbols.
func (t token) is(words ...string) bool {
	if t.kind != word && t.kind != symbol {
		return false
	}
	for _, w := range words {
		if t.bare == w {
			return true
		}
	}
	return false
}

// isName tells whether the token can be an identifier.
func (t token) isName() bool { return t.kind == word || t.kind == quoted }

// lexer cuts a statement into tokens. It reads what a server's binlog holds, so it knows
// comments of all kinds, and what is in an executable comment is read like the rest.
type lexer struct {
	sql     string
	pos     int
	mariaDB bool // /*M! is executed there, and a comment elsewhere
	inside  bool // an executable comment
}

// next is the next token; at the end of the text, and ever after, endOfText.
func (l *lexer) next() token {
	l.skipBlank()
	if l.pos >= len(l.sql) {
		return token{}
	}
	c := l.sql[l.pos]
	switch {
	case c == '`' || c == '"':
		return token{kind: quoted, text: l.quotedText(c)}
	case c == '\'':
		return token{kind: text, text: l.quotedText(c)}
	case isWordByte(c):
		start := l.pos
		for l.pos < len(l.sql) && isWordByte(l.sql[l.pos]) {
			l.pos++
		}
		w := l.sql[start:l.pos]
		return token{kind: word, text: w, bare: strings.ToUpper(w)}
	default:
		l.pos++
		return token{kind: symbol, text: string(c), bare: string(c)}
	}
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '$' || c >= 0x80
}

// skipBlank passes white space and comments, and steps into and out of executable comments.
func (l *lexer) skipBlank() {
	for l.pos < len(l.sql) {
		rest := l.sql[l.pos:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v\x00", rest[0]) >= 0:
			l.pos++
		case rest[0] == '#':
			l.skipLine()
		case strings.HasPrefix(rest, "--") && (len(rest) == 2 || rest[2] <= ' '):
			l.skipLine()
		case l.inside && strings.HasPrefix(rest, "*/"):
			l.inside = false
			l.pos += 2
		case strings.HasPrefix(rest, "/*"):
			l.comment(rest)
		default:
			return
		}
	}
}

func (l *lexer) skipLine() {
	if i := strings.IndexByte(l.sql[l.pos:], '\n'); i >= 0 {
		l.pos += i + 1
		return
	}
	l.pos = len(l.sql)
}

// comment passes one comment, or the head of an executable one: /*!, /*!50100, /*M!100500.
func (l *lexer) comment(rest string) {
	head := 0
	if strings.HasPrefix(rest, "/*!") {
		head = 3
	} else if l.mariaDB && strings.HasPrefix(rest, "/*M!") {
		head = 4
	}
	if head > 0 && !l.inside {
		for n := 0; n < 6 && head < len(rest) && rest[head] >= '0' && rest[head] <= '9'; n++ {
			head++
		}
		l.inside = true
		l.pos += head
		return
	}
	if i := strings.Index(rest[2:], "*/"); i >= 0 {
		l.pos += i + 4
		return
	}
	l.pos = len(l.sql)
}

// quotedText reads to the closing quote. A doubled quote stands for one; a backslash escapes
// outside of backticks (under NO_BACKSLASH_ESCAPES too much is read: see Classify).
func (l *lexer) quotedText(quote byte) string {
	l.pos++
	var b strings.Builder
	for l.pos < len(l.sql) {
		c := l.sql[l.pos]
		l.pos++
		switch {
		case c == quote && l.pos < len(l.sql) && l.sql[l.pos] == quote:
			l.pos++
		case c == quote:
			return b.String()
		case c == '\\' && quote != '`' && l.pos < len(l.sql):
			c = l.sql[l.pos]
			l.pos++
		}
		b.WriteByte(c)
	}
	return b.String()
}
