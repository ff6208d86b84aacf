package normal

import (
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"changeover/verify/compat/ddl"
)

// operand reads what stands between operators, with the signs before it.
func (p *parser) operand() *node {
	t := p.ahead(0)
	switch t.Kind {
	case ddl.Number:
		p.step()
		return leaf(octets(numeral(t.Text)))
	case ddl.String:
		return p.text()
	case ddl.Variable:
		p.step()
		return leaf(strings.ToLower(t.Text))
	case ddl.Quoted:
		return p.name()
	case ddl.Symbol:
		return p.signed(t)
	case ddl.Word:
		return p.worded(t)
	}
	return nil
}

func (p *parser) signed(t ddl.Token) *node {
	switch t.Text {
	case "(":
		return p.group()
	case "-", "+", "~", "!":
		p.step()
		tier := signTier - 1
		if t.Text == "!" {
			tier = bangTier - 1
		}
		n := p.expression(tier)
		switch {
		case n == nil:
			return leaf(t.Text)
		case t.Text == "!":
			return negate(n)
		case t.Text == "-" && n.constant() && n.op[0] != '\'':
			return leaf("-" + n.op)
		case t.Text != "+":
			return call(t.Text, n)
		}
		return n
	}
	return nil
}

// text reads a string with all that belongs to it: 'a' 'b' is 'ab'.
func (p *parser) text() *node {
	t := p.ahead(0)
	if c := t.Text[0] | 0x20; c == 'x' || c == 'b' {
		p.step()
		return leaf(octets(strings.ToLower(t.Text)))
	}
	var b strings.Builder
	for p.ahead(0).Kind == ddl.String {
		b.WriteString(p.step().Value())
	}
	return leaf(quote(b.String()))
}

// octets is a literal in hex as a string, if it can be one: MariaDB shows x'41' as 'A', MySQL as 0x41.
func octets(s string) string {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		if digits, ok = strings.CutPrefix(strings.TrimSuffix(s, "'"), "x'"); !ok {
			return s
		}
	}
	if b, err := hex.DecodeString(digits); err == nil && utf8.Valid(b) {
		return quote(string(b))
	}
	return s
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (p *parser) worded(t ddl.Token) *node {
	w, next := strings.ToLower(t.Text), p.ahead(1)
	switch {
	case t.Text[0] == '_' && (next.Kind == ddl.String || next.Kind == ddl.Number):
		p.step()
		if w == "_binary" {
			return call("binary", p.operand())
		}
		return p.operand()
	case w == "n" && next.Kind == ddl.String:
		p.step()
		return p.text()
	case (w == "date" || w == "time" || w == "timestamp") && next.Kind == ddl.String:
		p.step()
		return call(w, p.text())
	case w == "not":
		p.step()
		if n := p.expression(notTier - 1); n != nil {
			return negate(n)
		}
		return leaf(w)
	case w == "case":
		return p.choice()
	case w == "interval":
		return p.interval()
	case w == "match":
		return p.match()
	case w == "binary" && !next.Is("(", ",", ")") && next.Kind != ddl.EndToken:
		p.step()
		return call("binary", p.expression(signTier-1))
	case constants[w]:
		p.step()
		return leaf(w)
	case words[w] && !(callable[w] && next.Is("(")):
		return nil
	case next.Is("("):
		return p.function(w)
	case niladic[w]:
		p.step()
		return called(w, nil)
	}
	return p.name()
}

// name reads a name with its qualifiers.
func (p *parser) name() *node {
	var parts []string
	for {
		t := p.ahead(0)
		if t.Kind != ddl.Word && t.Kind != ddl.Quoted && !t.Is("*") {
			break
		}
		p.step()
		if t.Is("utf8") { // a character set, for CONVERT and CAST
			t.Text = "utf8mb3"
		}
		parts = append(parts, t.Name())
		if !p.ahead(0).Is(".") {
			break
		}
		p.step()
	}
	if len(parts) > 1 {
		if parts[0] == p.own {
			parts = parts[1:]
		} else if other := p.as[parts[0]]; other != "" {
			parts[0] = other
		}
	}
	if p.ahead(0).Is("(") && len(parts) > 1 { // a stored function
		return call("`"+strings.Join(parts, ".")+"`", p.group())
	}
	for i := range parts {
		parts[i] = "`" + parts[i] + "`"
	}
	return leaf(strings.Join(parts, "."))
}

// choice reads CASE … END.
func (p *parser) choice() *node {
	p.step()
	n := call("case")
	for !p.done() && !p.take("END") {
		at := p.i
		if w := p.ahead(0); w.Is("WHEN", "THEN", "ELSE") {
			n.args = append(n.args, leaf(strings.ToLower(p.step().Text)))
			continue
		}
		if e := p.expression(0); e != nil && p.i > at {
			n.args = append(n.args, e)
			continue
		}
		p.i = at
		n.args = append(n.args, p.raw())
	}
	p.take("CASE")
	return n
}

// interval reads INTERVAL n DAY, or the function of that name.
func (p *parser) interval() *node {
	p.step()
	n := p.expression(0)
	unit := p.ahead(0)
	if n == nil || unit.Kind != ddl.Word || words[strings.ToLower(unit.Text)] {
		if n == nil {
			return leaf("interval")
		}
		return call("interval", n)
	}
	p.step()
	return call("interval", n, leaf(strings.ToLower(unit.Text)))
}

// match reads MATCH … AGAINST (…): MySQL's own text of it has no parentheses about the columns.
func (p *parser) match() *node {
	p.step()
	n := call("match")
	wrapped := p.take("(")
	for !p.done() && !p.ahead(0).Is("AGAINST") {
		if t := p.ahead(0); wrapped && t.Is(")") || t.Is(",") {
			p.step()
			continue
		}
		at := p.i
		if e := p.expression(0); e != nil {
			n.args = append(n.args, e)
		}
		if p.i == at {
			p.step()
		}
	}
	if p.take("AGAINST") && p.ahead(0).Is("(") {
		n.args = append(n.args, p.group())
	}
	return n
}

// function reads a call, with the window behind it.
func (p *parser) function(name string) *node {
	p.i += 2
	items := p.items()
	p.take(")")
	n := called(name, items)
	if p.take("OVER") {
		if p.ahead(0).Is("(") {
			return call("over", n, p.group())
		}
		return call("over", n, p.name())
	}
	return n
}

// called is a call under the name that both servers have for it.
func called(name string, items []*node) *node {
	if s := synonyms[name]; s != "" {
		name = s
	}
	args := arguments(items)
	switch two := len(args) == 2; {
	case name == "mod" && two:
		return call("%", args...)
	case name == "regexp_like" && two:
		return call("regexp", args...)
	case name == "isnull" && len(args) == 1:
		return call("is null", args...)
	case (name == "date_add" || name == "adddate") && two && args[1].op == "interval":
		return call("+", args...)
	case (name == "date_sub" || name == "subdate") && two && args[1].op == "interval":
		return call("-", args...)
	case name == "exists":
		return call(name, listOf(withoutLimit(items)))
	}
	if args == nil && len(items) > 0 {
		args = []*node{listOf(items)}
	}
	return call(name, args...)
}

// arguments are those of a call if nothing but commas stands between them; nil if something does.
func arguments(items []*node) (args []*node) {
	for i, n := range items {
		if (i%2 == 1) != (n.op == "," && n.args == nil) || n.args == nil && words[n.op] {
			return nil
		}
		if i%2 == 0 {
			args = append(args, n)
		}
	}
	return args
}

// withoutLimit is a subquery of EXISTS without the LIMIT 1 that MariaDB adds.
func withoutLimit(items []*node) []*node {
	if n := len(items); n > 2 && items[n-2].op == "limit" && items[n-1].op == "1" {
		return items[:n-2]
	}
	return items
}

// numeral is a number in one spelling: 1.50 is 1.5, and 010 is 10.
func numeral(s string) string {
	s = strings.ToLower(s)
	if strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0b") {
		return s
	}
	if strings.Contains(s, "e") {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return strconv.FormatFloat(f, 'e', -1, 64)
		}
		return s
	}
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	if s = strings.TrimLeft(s, "0"); s == "" || s[0] == '.' {
		s = "0" + s
	}
	return s
}
