package schema

import (
	"slices"
	"strings"
)

// rewrite edits a piece of SQL by its tokens and leaves the rest as it is, byte for byte.
type rewrite struct {
	sql    string
	tokens []token
	edits  []edit
}

type edit struct {
	start, end int
	with       string
}

func newRewrite(sql string) *rewrite { return &rewrite{sql: sql, tokens: tokenize(sql)} }

// replace puts text in the place of the tokens from…to-1.
func (r *rewrite) replace(from, to int, with string) {
	r.edits = append(r.edits, edit{r.tokens[from].start, r.tokens[to-1].end, with})
}

// drop takes the tokens from…to-1 away, and the blank before them.
func (r *rewrite) drop(from, to int) {
	start := r.tokens[from].start
	for start > 0 && r.sql[start-1] == ' ' {
		start--
	}
	r.edits = append(r.edits, edit{start, r.tokens[to-1].end, ""})
}

// wrap puts parentheses around the tokens from…to-1.
func (r *rewrite) wrap(from, to int) { r.replace(from, to, "("+r.between(from, to)+")") }

// between is the text of the tokens from…to-1.
func (r *rewrite) between(from, to int) string {
	return r.sql[r.tokens[from].start:r.tokens[to-1].end]
}

// at is the token i; past the end, one that is nothing.
func (r *rewrite) at(i int) token {
	if i < 0 || i >= len(r.tokens) {
		return token{}
	}
	return r.tokens[i]
}

// find is the first place, from i on and outside parentheses, where these keywords stand side by
// side; -1 if there is none.
func (r *rewrite) find(i int, keywords ...string) int {
	depth := 0
	for ; i < len(r.tokens); i++ {
		switch t := r.tokens[i]; {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case depth == 0 && matches(r.tokens[i:], keywords...):
			return i
		}
	}
	return -1
}

// String is the text with the edits made. Where two overlap the one that begins first is made.
func (r *rewrite) String() string {
	var b strings.Builder
	slices.SortStableFunc(r.edits, func(a, b edit) int { return a.start - b.start })
	done := 0
	for _, e := range r.edits {
		if e.start < done {
			continue
		}
		b.WriteString(r.sql[done:e.start])
		b.WriteString(e.with)
		done = e.end
	}
	b.WriteString(r.sql[done:])
	return b.String()
}
