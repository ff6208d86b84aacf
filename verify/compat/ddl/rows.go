package ddl

// rows follows the rows of an INSERT … VALUES, so that those which say nothing to any rule are let go while the text is
// read: a dump is little else, and a token takes more room than what it stands for. Rows that are literals alone go,
// but for the first; one with a function, a variable or an executable comment stays.
type rows struct {
	began  bool // the statement is an INSERT or a REPLACE
	values bool // and its VALUES have come
	depth  int
	from   int // the token with which the row begins
	plain  bool
	last   Token
}

// take looks at the i-th token, which has just been kept, and tells from which one on tokens may go; -1 if none may.
func (r *rows) take(tokens []Token, i, first int) int {
	t := tokens[i]
	if i == first {
		*r = rows{began: t.Is("INSERT", "REPLACE") && t.Gate == nil}
	}
	if !r.began {
		return -1
	}
	last := r.last
	r.last = t
	switch {
	case t.Is("("):
		if r.depth++; r.depth == 1 {
			r.from, r.plain = i, t.Gate == nil
		} else {
			r.plain = false
		}
	case t.Is(")"):
		r.plain = r.plain && t.Gate == nil && !last.Is(",", "(")
		if r.depth--; r.depth == 0 && r.values {
			return r.row(tokens, first)
		}
	case r.depth == 0:
		r.values = r.values && t.Is(",") || t.Is("VALUES", "VALUE") && t.Gate == nil
	default:
		r.plain = r.plain && literal(t) && !(t.Is(",") && last.Is(",", "("))
	}
	return -1
}

// row ends a row: it may go, with the comma before it, which the first has not.
func (r *rows) row(tokens []Token, first int) int {
	if before := r.from - 1; r.plain && before > first && tokens[before].Is(",") && tokens[before].Gate == nil {
		return before
	}
	return -1
}

// literal tells whether a token is part of a literal, or stands between two.
func literal(t Token) bool {
	switch {
	case t.Gate != nil:
		return false
	case t.Kind == String, t.Kind == Number:
		return true
	}
	return t.Is("NULL", "TRUE", "FALSE", ",", "-", "+", "_binary", "_utf8mb4", "_latin1")
}
