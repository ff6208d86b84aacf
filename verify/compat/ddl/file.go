package ddl

import (
	"sort"
	"strings"
	"unicode/utf8"
)

const byteOrderMark = "\ufeff"

// NewFile is a text under a name.
func NewFile(name, text string) *File {
	first := 0
	if strings.HasPrefix(text, byteOrderMark) {
		first = len(byteOrderMark)
	}
	lines := []int{first}
	for i := first; i < len(text); i++ {
		switch {
		case text[i] == '\n', text[i] == '\r' && !strings.HasPrefix(text[i+1:], "\n"):
			lines = append(lines, i+1)
		}
	}
	return &File{Name: name, Text: text, lines: lines, ascii: !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })}
}

// At is the place of a byte: the line and the character in it, both from 1 on. \n, \r\n and a lone \r end
// a line. An offset outside of the text counts as the nearest one inside.
func (f *File) At(offset int) (line, column int) {
	offset = max(0, min(offset, len(f.Text)))
	i := sort.SearchInts(f.lines, offset+1) - 1
	if i < 0 {
		return 1, 1
	}
	if f.ascii { // a dump may be one line
		return i + 1, offset - f.lines[i] + 1
	}
	return i + 1, utf8.RuneCountInString(f.Text[f.lines[i]:offset]) + 1
}

// Comment is a comment that is not executed, with what marks it: "-- why", "# why", "/* why */"; or a command.
type Comment struct {
	Text       string
	Start, End int // its bytes; the end of the line is not among them
}

// Comments are the comments of the text in their order.
func (f *File) Comments() []Comment {
	f.noted.Do(f.note)
	return f.comments
}

// Commands are what in the text is for the client, in its order; a server that is sent it answers with 1064:
// DELIMITER and SOURCE lines, \g, \G, lines that begin with \. and the like, and a backslash at the end of a line.
func (f *File) Commands() []Comment {
	f.noted.Do(f.note)
	return f.commands
}

func (f *File) note() {
	s := splitter{lexer: newLexer(f.Text, false)}
	s.lexer.keep = true
	s.run()
	f.comments, f.commands, f.torn = s.lexer.comments, s.lexer.commands, s.lexer.torn
	if f.torn < 0 && len(s.lexer.gates) > 0 {
		f.torn = s.lexer.gated
	}
}

// Torn is the byte at which a quote, or a comment, begins that nothing closes: whatever follows is lost. It is -1 if
// there is none.
func (f *File) Torn() int {
	f.noted.Do(f.note)
	return f.torn
}

// Between is the text of some tokens and of what stands between them; empty if there are none.
func (s *Statement) Between(r Range) string {
	from, to := max(0, r.From), min(r.To, len(s.Tokens))
	if from >= to {
		return ""
	}
	return s.File.Text[s.Tokens[from].Start:s.Tokens[to-1].End]
}

// Pos is the place of the statement's i-th token; its end if there are fewer.
func (s *Statement) Pos(i int) (line, column int) {
	switch {
	case i < 0:
		return s.File.At(s.Start)
	case i >= len(s.Tokens):
		return s.File.At(s.End)
	}
	return s.File.At(s.Tokens[i].Start)
}
