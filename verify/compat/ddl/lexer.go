package ddl

import (
	"slices"
	"strconv"
	"strings"
)

// found is what the lexer came upon.
type found uint8

const (
	aToken found = iota
	aDelimiter
	aDelimiterLine // DELIMITER x behind a statement that had not ended
	aCommand       // a line that is the client's, where a statement may begin: its word
	theEnd
)

// lexer goes over a text once. It knows the comments, the strings and, as the client does that reads
// such files, the delimiter and the lines that change it.
type lexer struct {
	text      string
	at        int
	quotes    bool // ANSI_QUOTES
	delimiter string
	gates     []*Gate
	// fresh is kept by who reads the tokens: the statement has none yet, so DELIMITER is the client's word.
	fresh bool
	// opened is where the executable comment begins that the next token is the first of, -1 if it is not.
	// began and end are of the last token, with the beginning and the end of such a comment around it; before is
	// the end of the one before.
	opened, began, end, before int
	last                       Token
	dotted                     bool // last is the dot behind a name
	keep                       bool // comments and commands are asked for
	comments, commands         []Comment
	// torn is where a quote, or a comment, begins that nothing closes; -1 if there is none. gated is where the last
	// executable comment begins that is in no other.
	torn, gated int
}

func newLexer(text string, quotes bool) *lexer {
	l := &lexer{text: text, quotes: quotes, delimiter: ";", fresh: true, opened: -1, torn: -1}
	if strings.HasPrefix(text, byteOrderMark) {
		l.at = len(byteOrderMark)
	}
	return l
}

func blank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func digit(c byte) bool { return '0' <= c && c <= '9' }

func letter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || digit(c)
}

func ofWord(c byte) bool { return letter(c) || c == '$' || c >= 0x80 }

// peek is the byte n from here, 0 behind the end.
func (l *lexer) peek(n int) byte {
	if l.at+n < len(l.text) {
		return l.text[l.at+n]
	}
	return 0
}

func (l *lexer) sees(s string) bool { return strings.HasPrefix(l.text[l.at:], s) }

// next is the next token, or a delimiter with its text.
func (l *lexer) next() (Token, found) {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case blank(c):
			l.at++
		case l.delimits(l.at):
			start := l.at
			l.at += len(l.delimiter)
			return l.token(Symbol, start, l.at), aDelimiter
		case c == '*' && len(l.gates) > 0 && l.sees("*/"):
			l.leave()
		case c == '/' && l.sees("/*"):
			l.comment()
		case c == '#', c == '-' && l.dashes():
			l.line()
		case (c == 'd' || c == 'D') && l.delimiterLine(len("delimiter")):
			if !l.fresh {
				return Token{}, aDelimiterLine
			}
		case l.fresh && (c == 's' || c == 'S') && l.sourceLine():
			return l.command(len("source")), aCommand
		case c == '\\':
			if t, what := l.backslash(); what != theEnd {
				return t, what
			}
		default:
			kind, start := l.measure()
			t := l.token(kind, start, l.at)
			l.take(t)
			return t, aToken
		}
	}
	return Token{}, theEnd
}

// take makes a token the last one.
func (l *lexer) take(t Token) {
	l.dotted = t.Text == "." && l.afterName(t.Start)
	l.before, l.last, l.began, l.end = l.end, t, t.Start, t.End
	if l.opened >= 0 {
		l.began, l.opened = l.opened, -1
	}
}

func (l *lexer) token(kind TokenKind, start, end int) Token {
	t := Token{Kind: kind, Text: l.text[start:end], Start: start, End: end}
	if n := len(l.gates); n > 0 {
		t.Gate = l.gates[n-1]
	}
	return t
}

// delimits tells whether the delimiter stands at i. One of letters is a word of its own.
func (l *lexer) delimits(i int) bool {
	d := l.delimiter
	if l.text[i] != d[0] || !strings.HasPrefix(l.text[i:], d) {
		return false
	}
	after := i + len(d)
	return !letter(d[len(d)-1]) || after == len(l.text) || !ofWord(l.text[after])
}

// leave ends an executable comment. If a token stood in it, the comment belongs to that token's statement.
func (l *lexer) leave() {
	l.at += 2
	l.gates = l.gates[:len(l.gates)-1]
	if l.opened < 0 {
		l.end = l.at
	} else if len(l.gates) == 0 {
		l.opened = -1
	}
}

// comment passes a comment, or the beginning of an executable one. MariaDB's dumps begin with
// /*M!999999\- … */, which is a command to the client only.
func (l *lexer) comment() {
	mark := 0
	switch {
	case l.sees("/*!"):
		mark = 3
	case l.sees("/*M!"):
		mark = 4
	}
	if mark > 0 {
		digits := 0
		for digits < 6 && digit(l.peek(mark+digits)) {
			digits++
		}
		if digits < 5 {
			digits = 0
		}
		if l.peek(mark+digits) != '\\' {
			version, _ := strconv.Atoi(l.text[l.at+mark : l.at+mark+digits])
			if len(l.gates) == 0 {
				l.opened, l.gated = l.at, l.at
			}
			l.gates = append(l.gates, &Gate{MariaDB: mark == 4, Version: version})
			l.at += mark + digits
			return
		}
	}
	start := l.at
	if n := strings.Index(l.text[l.at+2:], "*/"); n >= 0 {
		l.at += n + 4
	} else {
		l.at, l.torn = len(l.text), start
	}
	l.note(start)
}

// dashes tells whether two dashes begin a comment here.
func (l *lexer) dashes() bool {
	if l.peek(1) != '-' {
		return false
	}
	c := l.peek(2)
	return c <= ' ' || c == 0x7f
}

// line passes a comment that goes to the end of its line.
func (l *lexer) line() {
	start := l.at
	l.at = l.lineEnd()
	l.note(start)
}

func (l *lexer) lineEnd() int {
	if n := strings.IndexAny(l.text[l.at:], "\r\n"); n >= 0 {
		return l.at + n
	}
	return len(l.text)
}

// back has the text read again from a byte outside of comments on.
func (l *lexer) back(at int) {
	l.at, l.gates, l.opened, l.torn, l.dotted, l.last = at, nil, -1, -1, false, Token{}
	again := func(c Comment) bool { return c.Start >= at }
	l.comments, l.commands = slices.DeleteFunc(l.comments, again), slices.DeleteFunc(l.commands, again)
}

func (l *lexer) noteCommand(start int) {
	if l.keep {
		l.commands = append(l.commands, Comment{Text: l.text[start:l.at], Start: start, End: l.at})
	}
}

func (l *lexer) note(start int) {
	if l.keep {
		l.comments = append(l.comments, Comment{Text: l.text[start:l.at], Start: start, End: l.at})
	}
}

// delimiterLine takes a line of the client that sets the delimiter, by a word of n bytes. Where a statement has
// not ended, a name may well be "delimiter": there the line must have nothing but the word, from its beginning,
// and signs.
func (l *lexer) delimiterLine(n int) bool {
	start, rest := l.at, l.text[l.at:]
	if len(rest) <= n || !blank(rest[n]) || !strings.EqualFold(rest[:n], "delimiter") && rest[:n] != `\d` {
		return false
	}
	if !l.fresh && l.at > 0 && l.text[l.at-1] != '\n' && l.text[l.at-1] != '\r' {
		return false
	}
	end := l.lineEnd()
	arguments := strings.Fields(l.text[min(l.at+n, end):end])
	if !l.fresh && (len(arguments) != 1 || strings.Trim(arguments[0], "$/;|&^~!%") != "") {
		return false
	}
	if len(arguments) > 0 {
		d := arguments[0]
		if n := len(d); n > 2 && d[0] == d[n-1] && (d[0] == '\'' || d[0] == '"') {
			d = d[1 : n-1]
		}
		l.delimiter = d
	}
	l.at = end
	l.noteCommand(start)
	return true
}

// sourceLine tells whether a line begins here that has the client read another file. No statement begins so.
func (l *lexer) sourceLine() bool {
	const word = "source"
	rest := l.text[l.at:]
	return len(rest) > len(word) && strings.EqualFold(rest[:len(word)], word) && blank(rest[len(word)]) &&
		strings.TrimSpace(l.text[min(l.at+len(word), l.lineEnd()):l.lineEnd()]) != ""
}

// command takes a line of the client, whose word has n bytes. Its delimiter, if it has one, is left.
func (l *lexer) command(n int) Token {
	start := l.at
	t := l.token(Word, start, start+n)
	line := strings.TrimRight(l.text[start:l.lineEnd()], " \t")
	l.at = start + max(n, len(strings.TrimRight(strings.TrimSuffix(line, l.delimiter), " \t")))
	l.noteCommand(start)
	l.began, l.end, l.last, l.dotted = start, l.at, t, false
	return t
}

// backslash takes what the client reads outside of strings: \g and \G end a statement, one at the end of a line
// is dropped, and some begin a line that is the client's. It answers theEnd if there is no token in it. Any other
// is left to the server, which knows none but the \N of old.
func (l *lexer) backslash() (Token, found) {
	start := l.at
	switch c := l.peek(1); {
	case c == 0, c == '\r', c == '\n':
		l.at++
		l.noteCommand(start)
		return Token{}, theEnd
	case c == 'g', c == 'G':
		l.at += 2
		l.noteCommand(start)
		return l.token(Symbol, start, l.at), aDelimiter
	case l.fresh && c == 'd' && l.delimiterLine(len(`\d`)):
		return Token{}, theEnd
	case l.fresh && strings.IndexByte(".!uTRPC", c) >= 0:
		return l.command(2), aCommand
	}
	l.at++
	t := l.token(Symbol, start, l.at)
	l.take(t)
	return t, aToken
}

// afterName tells whether what begins at start touches a name before it.
func (l *lexer) afterName(start int) bool {
	return l.last.End == start && start > 0 && (l.last.Kind == Word || l.last.Kind == Quoted || l.last.Kind == Variable)
}

// measure goes over one token and says what it is and where it began. It always goes on.
func (l *lexer) measure() (TokenKind, int) {
	start := l.at
	switch c := l.text[l.at]; {
	case c == '\'':
		l.quoted(c, true)
		return String, start
	case c == '"' && !l.quotes:
		l.quoted(c, true)
		return String, start
	case c == '"', c == '`':
		l.quoted(c, false)
		return Quoted, start
	case (c|0x20 == 'x' || c|0x20 == 'b') && l.peek(1) == '\'':
		l.at++
		l.quoted('\'', true)
		return String, start
	case c == '@':
		return l.variable(), start
	case digit(c) && !(l.dotted && l.last.End == start):
		return l.number(), start
	case c == '.' && digit(l.peek(1)) && !l.afterName(start):
		return l.number(), start
	case c == '$' && l.last.Is("AS") && l.dollars():
		return String, start
	case ofWord(c):
		l.word()
		return Word, start
	}
	l.at += l.symbol()
	return Symbol, start
}

// symbol is the length of the symbol here.
func (l *lexer) symbol() int {
	for _, s := range [...]string{"->>", "<=>", "<=", ">=", "<>", "!=", ":=", "||", "&&", "->"} {
		if l.sees(s) {
			return len(s)
		}
	}
	return 1
}

// quoted goes to behind the closing quote; a doubled one does not close.
func (l *lexer) quoted(quote byte, escapes bool) {
	start := l.at
	for l.at++; l.at < len(l.text); l.at++ {
		switch c := l.text[l.at]; {
		case c == '\\' && escapes:
			l.at++
		case c == quote && l.peek(1) == quote:
			l.at++
		case c == quote:
			l.at++
			return
		}
	}
	l.at, l.torn = len(l.text), start
}

// word goes over a name. A delimiter like $$ ends it, as END$$ shows.
func (l *lexer) word() {
	d := l.delimiter[0]
	inside := ofWord(d) && !letter(d)
	for l.at < len(l.text) && ofWord(l.text[l.at]) {
		if inside && l.text[l.at] == d && l.delimits(l.at) {
			return
		}
		l.at++
	}
}

// number goes over a number, or over a name that begins with digits.
func (l *lexer) number() TokenKind {
	start := l.at
	l.word()
	text := l.text[start:l.at]
	switch {
	case len(text) > 2 && text[:2] == "0x" && only(text[2:], "0123456789abcdefABCDEF"),
		len(text) > 2 && text[:2] == "0b" && only(text[2:], "01"):
		return Number
	case !only(text, "0123456789"):
		return l.exponent(text)
	}
	if l.peek(0) != '.' || l.peek(1) == '.' || l.delimits(l.at) {
		return Number
	}
	l.at++
	for digit(l.peek(0)) {
		l.at++
	}
	if l.peek(0)|0x20 == 'e' {
		sign := 1
		if c := l.peek(1); c == '+' || c == '-' {
			sign = 2
		}
		if digit(l.peek(sign)) {
			for l.at += sign; digit(l.peek(0)); {
				l.at++
			}
		}
	}
	return Number
}

// exponent tells 1e5 and the 1e of 1e-5, which it completes, from a name that begins with a digit.
func (l *lexer) exponent(text string) TokenKind {
	digits, power, _ := strings.Cut(strings.ToLower(text), "e")
	switch {
	case !only(digits, "0123456789") || !only(power, "0123456789"):
		return Word
	case power != "":
		return Number
	case l.peek(0) != '+' && l.peek(0) != '-' || !digit(l.peek(1)):
		return Word
	}
	for l.at++; digit(l.peek(0)); {
		l.at++
	}
	return Number
}

func only(text, of string) bool { return strings.Trim(text, of) == "" }

// variable goes over @a, @@global.b, @'a' and the host of 'user'@'host'.
func (l *lexer) variable() TokenKind {
	start := l.at
	l.at++
	if l.peek(0) == '@' {
		l.at++
	}
	switch c := l.peek(0); {
	case c == '\'' || c == '"' || c == '`':
		l.quoted(c, c != '`')
		return Variable
	case !ofWord(c):
		l.at = start + 1
		return Symbol
	}
	name := l.at
	for l.word(); l.peek(0) == '.' && ofWord(l.peek(1)) && !l.delimits(l.at); l.word() {
		l.at++
	}
	if l.at == name {
		l.at = start + 1
		return Symbol
	}
	return Variable
}

// dollars goes over $$ … $$ or $tag$ … $tag$, if it is closed: the text of a routine in another language.
func (l *lexer) dollars() bool {
	rest := l.text[l.at:]
	n := 1
	for n < len(rest) && letter(rest[n]) {
		n++
	}
	if n == len(rest) || rest[n] != '$' {
		return false
	}
	tag := rest[:n+1]
	end := strings.Index(rest[n+1:], tag)
	if end < 0 {
		return false
	}
	l.at += end + 2*len(tag)
	return true
}
