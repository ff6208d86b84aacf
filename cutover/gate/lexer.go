package gate

import "strings"

// tokenKind is a kind of a statement's pieces.
type tokenKind int

const (
	end    tokenKind = iota
	word             // a keyword or a name
	quoted           // a name in backquotes
	text             // a string
	number
	sign
)

// token is a piece of a statement.
type token struct {
	kind      tokenKind
	text      string
	from      int
	qualified bool // a word or name behind a dot
}

func (t token) is(s string) bool { return t.kind == sign && t.text == s }

// word is the token in capital letters if it is a word, and may be a keyword; else empty.
func (t token) word() string {
	if t.kind != word || t.qualified {
		return ""
	}
	return strings.ToUpper(t.text)
}

// lexer cuts a statement into tokens, as far as classify needs it.
type lexer struct {
	text     string
	at       int
	dot      bool // the last token was one
	doubtful bool // there was something that not every server, or sql_mode, reads as it is read here
}

// next returns the next token; comments are passed over.
func (l *lexer) next() token {
	l.pass()
	t := token{from: l.at, qualified: l.dot}
	l.dot = false
	if l.at >= len(l.text) {
		return t
	}
	switch c := l.text[l.at]; {
	case isWord(c):
		t.kind = word
		if c >= '0' && c <= '9' && !t.qualified {
			t.kind = number
		}
		for l.at < len(l.text) && isWord(l.text[l.at]) {
			l.at++
		}
	case c == '`', c == '\'', c == '"':
		t.kind = text
		if c == '`' {
			t.kind = quoted
		}
		l.quotation(c)
	default:
		t.kind = sign
		l.at++
		if c == ':' && l.at < len(l.text) && l.text[l.at] == '=' {
			l.at++
		}
		l.dot = c == '.'
	}
	t.text = l.text[t.from:l.at]
	return t
}

// peek is the next token, which stays there.
func (l *lexer) peek() token {
	there := *l
	return there.next()
}

// spaced tells whether a blank or a comment stands before t.
func (l *lexer) spaced(t token) bool {
	return t.from > 0 && !isWord(l.text[t.from-1]) && l.text[t.from-1] != '`' && l.text[t.from-1] != '"'
}

// pass passes over blanks and comments.
func (l *lexer) pass() {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			l.at++
		case rest[0] == '#', strings.HasPrefix(rest, "-- "), strings.HasPrefix(rest, "--\t"), strings.HasPrefix(rest, "--\n"), rest == "--":
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				l.at += i + 1
			} else {
				l.at = len(l.text)
			}
		case strings.HasPrefix(rest, "/*"):
			if strings.HasPrefix(rest, "/*!") || strings.HasPrefix(rest, "/*M!") {
				l.doubtful = true // it runs
			}
			if i := strings.Index(rest[2:], "*/"); i >= 0 {
				l.at += i + 4
			} else {
				l.at, l.doubtful = len(l.text), true
			}
		default:
			return
		}
	}
}

// quotation passes over a string or a quoted name; the quotation mark in it is doubled.
func (l *lexer) quotation(mark byte) {
	for l.at++; l.at < len(l.text); l.at++ {
		switch l.text[l.at] {
		case '\\':
			if mark != '`' { // what it means depends on sql_mode, so where the string ends is not known
				l.doubtful = true
				l.at++
			}
		case mark:
			if l.at+1 < len(l.text) && l.text[l.at+1] == mark {
				l.at++
				continue
			}
			l.at++
			return
		}
	}
	l.at, l.doubtful = len(l.text), true // it does not end
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
