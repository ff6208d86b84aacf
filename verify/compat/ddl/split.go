package ddl

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
}

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
		case theEnd:
			s.cut()
			return
		}
	}
}

func (s *splitter) add(t Token) {
	s.tokens = append(s.tokens, t)
	if s.program != nil {
		s.program.take(t)
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
