package normal

import (
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// node is a part of an expression or of a query: an operator with what it joins, or a leaf.
type node struct {
	op   string
	args []*node
}

func leaf(text string) *node { return &node{op: text} }

// call joins nodes; one that was not to be read is left out.
func call(op string, args ...*node) *node {
	n := &node{op: op, args: []*node{}}
	for _, a := range args {
		if a != nil {
			n.args = append(n.args, a)
		}
	}
	return n
}

// String is the form in which nodes are compared: all parentheses, one spelling.
func (n *node) String() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *node) write(b *strings.Builder) {
	b.WriteString(n.op)
	if n.args == nil {
		return
	}
	b.WriteByte('(')
	for i, a := range n.args {
		if i > 0 {
			b.WriteString(", ")
		}
		a.write(b)
	}
	b.WriteByte(')')
}

// names tells how names of databases are written: that of the object itself is left out, since a server shows it
// or not as the session has it; another is replaced by what it is called on the other side.
type names struct {
	own string
	as  map[string]string
}

// form is the one form of a text that MySQL and MariaDB print each in its own way: letters' case, parentheses,
// introducers, synonyms of functions.
func (n names) form(tokens []ddl.Token) string {
	p := parser{t: tokens, names: n}
	var parts []string
	for !p.done() {
		for _, i := range p.items() {
			parts = append(parts, i.String())
		}
		if !p.done() { // a parenthesis that nothing opened
			parts = append(parts, p.raw().op)
		}
	}
	return strings.Join(parts, " ")
}

// parser reads expressions by the precedences that both servers have, and whatever stands around them. What it
// doesn't know it leaves as it is: then two texts are equal if they are written alike.
type parser struct {
	t     []ddl.Token
	i     int
	depth int // of expressions within each other
	names
}

// deepest is how deep expressions may be within each other. What is deeper stays as it is written: no server takes
// that, and a text must not use up the stack.
const deepest = 1000

func (p *parser) ahead(n int) ddl.Token {
	if p.i+n < len(p.t) {
		return p.t[p.i+n]
	}
	return ddl.Token{Kind: ddl.EndToken}
}

func (p *parser) done() bool { return p.i >= len(p.t) }

func (p *parser) take(words ...string) bool {
	for n, w := range words {
		if !p.ahead(n).Is(w) {
			return false
		}
	}
	p.i += len(words)
	return true
}

func (p *parser) step() ddl.Token {
	t := p.ahead(0)
	p.i = min(p.i+1, len(p.t))
	return t
}

// words that separate expressions. One in callable is a function's name if a parenthesis follows.
var words = set(`select distinct distinctrow all as from join inner left right cross outer natural straight_join on using where group
	by having order asc desc limit offset union except intersect minus with recursive rollup for update insert into values value set delete
	replace begin end if then else elseif while do loop repeat until leave iterate declare default cursor handler continue exit call
	return when case signal resignal sqlstate window over partition subpartition partitions subpartitions rows range list hash linear
	columns key unbounded preceding following row separator lateral force index use ignore less than in open close fetch out inout
	found sqlexception sqlwarning cascaded local check option temporary table drop create truncate lock share mode both leading trailing
	boolean language current and or xor between is like regexp rlike before after each schedule every completion preserve starts ends enable disable replica at comment`)

var callable = set(`left right replace insert if repeat values default row hash truncate`)

// constants are words that stand for a value.
var constants = set(`null true false unknown maxvalue`)

// niladic are functions that need no parentheses.
var niladic = set(`current_timestamp current_date current_time current_user localtime localtimestamp utc_date utc_time utc_timestamp`)

// synonyms are functions of more than one name; each server prints its own.
var synonyms = map[string]string{
	"lcase": "lower", "ucase": "upper", "substring": "substr", "mid": "substr", "octet_length": "length", "day": "dayofmonth",
	"now": "current_timestamp", "localtime": "current_timestamp", "localtimestamp": "current_timestamp", "curdate": "current_date",
	"curtime": "current_time", "character_length": "char_length", "power": "pow", "ceiling": "ceil", "schema": "database",
	"session_user": "user", "system_user": "user", "sha": "sha1", "st_geometryfromtext": "st_geomfromtext", "geomfromtext": "st_geomfromtext",
	"std": "stddev_pop", "stddev": "stddev_pop", "variance": "var_pop",
}

func set(list string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}

// separates tells whether the token here is a word between expressions.
func (p *parser) separates() bool {
	t := p.ahead(0)
	if t.Kind != ddl.Word {
		return false
	}
	w := strings.ToLower(t.Text)
	return words[w] && !(callable[w] && p.ahead(1).Is("(")) && !(w == "case")
}

// items are expressions, and the words and signs between them, up to the end or to a closing parenthesis.
func (p *parser) items() (items []*node) {
	for !p.done() && !p.ahead(0).Is(")") {
		if p.separates() {
			if w := strings.ToLower(p.step().Text); w != "asc" {
				items = append(items, leaf(w))
			}
			continue
		}
		before := p.i
		n := p.expression(0)
		if n == nil || p.i == before {
			p.i = before
			n = p.raw()
		}
		items = append(items, n)
	}
	return items
}

// raw is a token that no expression begins with.
func (p *parser) raw() *node {
	t := p.step()
	if t.Kind == ddl.Word {
		return leaf(strings.ToLower(t.Text))
	}
	return leaf(t.Text)
}

// group reads what stands in parentheses. A single expression loses them.
func (p *parser) group() *node {
	p.step()
	items := p.items()
	p.take(")")
	if len(items) == 1 && (items[0].args != nil || !words[items[0].op]) {
		return items[0]
	}
	return listOf(items)
}

// listOf is what stands in parentheses where they mean something: a row, a query, arguments.
func listOf(items []*node) *node {
	parts := make([]string, len(items))
	for i, n := range items {
		parts[i] = n.String()
	}
	return leaf("(" + strings.Join(parts, " ") + ")")
}

// The precedences, from the loosest.
const (
	orTier = iota + 1
	xorTier
	andTier
	notTier
	compareTier
	predicateTier
	bitOrTier
	bitAndTier
	shiftTier
	sumTier
	productTier
	powerTier
	signTier
	bangTier
	collateTier
)

type infix struct {
	op   string
	tier int
}

var infixes = map[string]infix{
	"or": {"or", orTier}, "||": {"or", orTier}, "xor": {"xor", xorTier}, "and": {"and", andTier}, "&&": {"and", andTier},
	"=": {"=", compareTier}, "<=>": {"<=>", compareTier}, ">=": {">=", compareTier}, ">": {">", compareTier}, "<=": {"<=", compareTier},
	"<": {"<", compareTier}, "<>": {"<>", compareTier}, "!=": {"<>", compareTier},
	"|": {"|", bitOrTier}, "&": {"&", bitAndTier}, "+": {"+", sumTier}, "-": {"-", sumTier},
	"*": {"*", productTier}, "/": {"/", productTier}, "%": {"%", productTier}, "div": {"div", productTier}, "mod": {"%", productTier}, "^": {"^", powerTier},
}

// expression reads one whose operators bind tighter than above; nil if none begins here.
func (p *parser) expression(above int) *node {
	if p.depth++; p.depth > deepest {
		p.depth--
		return nil
	}
	defer func() { p.depth-- }()
	left := p.operand()
	for left != nil {
		next := p.further(left, above)
		if next == nil {
			return left
		}
		left = next
	}
	return nil
}

// further reads an operator and what it joins left with; nil if none comes that binds tighter than above.
func (p *parser) further(left *node, above int) *node {
	t := p.ahead(0)
	if t.Kind != ddl.Word && t.Kind != ddl.Symbol {
		return nil
	}
	op := strings.ToLower(t.Text)
	if op == "<" && p.ahead(1).Is("<") || op == ">" && p.ahead(1).Is(">") {
		return p.shift(left, op, above)
	}
	if in, ok := infixes[op]; ok {
		if in.tier <= above {
			return nil
		}
		return p.joined(left, in)
	}
	switch op {
	case "->", "->>":
		p.step()
		n := call("json_extract", left, p.expression(collateTier-1))
		if op == "->>" {
			n = call("json_unquote", n)
		}
		return n
	case "collate":
		if collateTier <= above {
			return nil
		}
		p.step()
		return call("collate", left, leaf(collationName(p.step().Name())))
	case "is":
		if compareTier <= above {
			return nil
		}
		return p.is(left)
	}
	if predicateTier <= above {
		return nil
	}
	return p.predicate(left)
}

func (p *parser) shift(left *node, op string, above int) *node {
	if shiftTier <= above {
		return nil
	}
	p.i += 2
	if right := p.expression(shiftTier); right != nil {
		return call(op+op, left, right)
	}
	return nil
}

// joined reads the right side. AND and OR of more than two are one: servers set parentheses there as they like.
func (p *parser) joined(left *node, in infix) *node {
	at := p.i
	p.step()
	right := p.expression(in.tier)
	if right == nil {
		p.i = at
		return nil
	}
	switch in.op {
	case "and", "or":
		return call(in.op, slices.Concat(flat(truth(left), in.op), flat(truth(right), in.op))...)
	case "xor":
		return call(in.op, truth(left), truth(right))
	}
	if turned := turns[in.op]; turned != "" && left.constant() && !right.constant() {
		return call(turned, right, left)
	}
	return call(in.op, left, right)
}

// turns are comparisons with their sides the other way round: MySQL writes a constant first where it adds one.
var turns = map[string]string{"=": "=", "<>": "<>", "<=>": "<=>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}

func (n *node) constant() bool {
	return n.args == nil && n.op != "" && (n.op[0] == '\'' || n.op[0] >= '0' && n.op[0] <= '9')
}

// truth is a number where it stands for true or false: MySQL says there that it is not 0.
func truth(n *node) *node {
	if n.op == "<>" && len(n.args) == 2 && n.args[1].op == "0" {
		return n.args[0]
	}
	return n
}

func flat(n *node, op string) []*node {
	if n.op == op && n.args != nil {
		return n.args
	}
	return []*node{n}
}

func (p *parser) is(left *node) *node {
	p.step()
	negative := p.take("NOT")
	what := strings.ToLower(p.step().Text)
	if what == "true" || what == "false" {
		left = truth(left)
	}
	n := call("is "+what, left)
	if what == "false" && left.op == "in" { // MySQL's for NOT IN of a subquery
		n = negate(left)
	}
	if negative {
		return negate(n)
	}
	return n
}

// predicate reads [NOT] IN, BETWEEN, LIKE, REGEXP, SOUNDS LIKE, MEMBER OF; nil if none of them comes. It never goes
// back, so that no text takes longer than it is long.
func (p *parser) predicate(left *node) *node {
	at := p.i
	negative := p.take("NOT")
	var n *node
	switch {
	case p.take("BETWEEN"):
		low := p.expression(predicateTier)
		p.take("AND")
		n = call("between", left, low, p.expression(predicateTier-1))
	case p.ahead(0).Is("IN") && p.ahead(1).Is("("):
		p.i += 2
		items := p.items()
		p.take(")")
		n = call("in", left, listOf(items))
	case p.take("LIKE"):
		n = p.like(left)
	case p.take("REGEXP"), p.take("RLIKE"):
		n = call("regexp", left, p.expression(predicateTier))
	case p.take("SOUNDS", "LIKE"):
		n = call("sounds like", left, p.expression(predicateTier))
	case p.take("MEMBER", "OF"), p.take("MEMBER"):
		n = call("member of", left, p.expression(predicateTier))
	default:
		p.i = at
		return nil
	}
	if negative {
		return negate(n)
	}
	return n
}

func (p *parser) like(left *node) *node {
	n := call("like", left, p.expression(predicateTier))
	if p.take("ESCAPE") {
		if by := p.expression(predicateTier); by != nil && by.String() != `'\'` {
			n.args = append(n.args, by)
		}
	}
	return n
}

// opposites are comparisons of which servers print the one for the negation of the other.
var opposites = map[string]string{"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}

func negate(n *node) *node {
	switch {
	case n.op == "not" && n.args != nil:
		return n.args[0]
	case opposites[n.op] != "" && len(n.args) == 2:
		return call(opposites[n.op], n.args...)
	}
	return call("not", n)
}
