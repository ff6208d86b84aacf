package ddl

import "slices"

// cut is one statement: its tokens and its bytes.
type cut struct{ from, to, start, end int }

// splitter cuts a text into statements.
type splitter struct {
	lexer   *lexer
	dialect Dialect
	tokens  []Token
	cuts    []cut
	from    int // the first token of the statement that is being read
	start   int // and its first byte
	// program follows the blocks of a stored program that is written without DELIMITER; nil if the
	// statement is none, which is known (asked) at its first delimiter.
	program *program
	asked   bool
	rows    rows
	retries int // how often a program that nothing closes was given up
}

// maxRetries bounds how often the rest of a text is read again.
const maxRetries = 8

// run reads all of the text.
func (s *splitter) run() {
	for {
		s.lexer.fresh = len(s.tokens) == s.from
		t, what := s.lexer.next()
		switch what {
		case aToken:
			if s.lexer.fresh {
				s.start = s.lexer.began
			}
			if s.semicolon(t) {
				s.lexer.end = s.lexer.before
				s.cut()
				continue
			}
			s.add(t)
		case aDelimiter:
			if t.Text == ";" && s.within() {
				s.lexer.end = t.End
				s.add(t)
			} else {
				s.cut()
			}
		case aDelimiterLine:
			s.cut()
		case aCommand:
			s.start = s.lexer.began
			s.tokens = append(s.tokens, t)
			s.cut()
		case theEnd:
			if s.giveUp() {
				continue
			}
			s.cut()
			return
		}
	}
}

// semicolon tells whether a token ends a statement although the delimiter is another: a client sends both at
// once, and the server takes them one after the other. Only a program goes on behind it.
func (s *splitter) semicolon(t Token) bool {
	if t.Text != ";" || t.Kind != Symbol || t.Gate != nil || s.lexer.delimiter == ";" {
		return false
	}
	s.within()
	return s.program == nil
}

// giveUp ends a program that nothing closes, at a semicolon behind which a line begins with a word that seldom
// begins one within a program, and has what follows read anew: there may be much of it.
func (s *splitter) giveUp() bool {
	if s.program == nil || !s.program.open() || s.lexer.delimiter != ";" || s.retries == maxRetries {
		return false
	}
	for i := s.from; i+1 < len(s.tokens); i++ {
		t, next := s.tokens[i], s.tokens[i+1]
		if !t.Is(";") || t.Gate != nil || !next.Is("CREATE", "ALTER", "DROP", "GRANT", "INSERT") || next.Gate != nil || s.lexer.text[next.Start-1] != '\n' {
			continue
		}
		s.retries++
		s.lexer.back(t.End)
		s.lexer.end = s.tokens[max(i-1, s.from)].End
		s.tokens = s.tokens[:i]
		s.cut()
		return true
	}
	return false
}

// add takes a token. If it shows that a program is made within another, which no server does, nothing closed the
// first one: it ends before the second.
func (s *splitter) add(t Token) {
	s.tokens = append(s.tokens, t)
	if s.program == nil {
		if from := s.rows.take(s.tokens, len(s.tokens)-1, s.from); from >= 0 {
			s.tokens = s.tokens[:from]
		}
		return
	}
	s.program.take(t)
	if at := s.program.another; at > 0 && s.lexer.delimiter == ";" {
		rest := slices.Clone(s.tokens[s.from+at:])
		s.tokens = s.tokens[:s.from+at]
		end := s.lexer.end
		s.lexer.end = s.tokens[len(s.tokens)-1].End
		s.cut()
		s.start, s.lexer.end = rest[0].Start, end
		s.tokens = append(s.tokens, rest...)
	}
}

// within tells whether a semicolon stands in the body of a stored program.
func (s *splitter) within() bool {
	if !s.asked && len(s.tokens) > s.from {
		s.asked = true
		s.program = bodyOf(&File{Text: s.lexer.text}, s.tokens[s.from:], s.dialect)
	}
	return s.program != nil && s.program.open()
}

// cut ends the statement, if there is one.
func (s *splitter) cut() {
	if n := len(s.tokens); n > s.from {
		s.cuts = append(s.cuts, cut{from: s.from, to: n, start: s.start, end: s.lexer.end})
		s.from = n
	}
	s.program, s.asked = nil, false
}
