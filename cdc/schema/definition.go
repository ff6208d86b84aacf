package schema

import (
	"fmt"
	"slices"
	"strings"

	"changeover/internal/server"
)

// PartKind is what a part of a table's definition is.
type PartKind uint8

// The kinds of parts.
const (
	Column PartKind = iota
	PrimaryKey
	UniqueKey
	PlainKey
	FullTextKey
	SpatialKey
	ForeignKey
	Check
	OtherPart // PERIOD FOR, VECTOR KEY, and what is not known here
)

// Part is one line of a table's definition: a column, a key or a constraint.
type Part struct {
	Kind PartKind
	Name string // empty where the part has none
	Text string // as it stands in the definition, without the comma
	// Columns are a key's parts in order: the column's name, or empty for an expression.
	Columns []string
	// Prefixed tells of each of Columns whether only a prefix of it is in the key.
	Prefixed []bool
	// Of a foreign key: the table that it refers to; RefSchema is empty if it is in the same
	// database.
	RefSchema, RefTable string
	RefColumns          []string
}

// Definition is a CREATE TABLE statement, cut into its parts.
type Definition struct {
	Name    string
	Parts   []Part
	Options string // what follows the closing parenthesis: table options and partitions
}

// Parse cuts a CREATE TABLE statement, as SHOW CREATE TABLE prints it, into its parts.
func Parse(create string) (*Definition, error) {
	tokens := tokenize(create)
	open := slices.IndexFunc(tokens, func(t token) bool { return t.is("(") })
	if open < 1 || !tokens[0].is("CREATE") || !tokens[open-1].isName() {
		return nil, fmt.Errorf("not a CREATE TABLE statement: %s", shorten(create))
	}
	shut := closing(tokens, open)
	if shut < 0 {
		return nil, fmt.Errorf("a parenthesis is not closed: %s", shorten(create))
	}
	d := &Definition{Name: tokens[open-1].name(), Options: strings.TrimSpace(create[tokens[shut].end:])}
	for _, part := range splitParts(tokens[open+1 : shut]) {
		d.Parts = append(d.Parts, parsePart(create, part))
	}
	return d, nil
}

// closing finds the parenthesis that closes the one at open; -1 if there is none.
func closing(tokens []token, open int) int {
	depth := 0
	for i := open; i < len(tokens); i++ {
		switch {
		case tokens[i].is("("):
			depth++
		case tokens[i].is(")"):
			depth--
		}
		if depth == 0 {
			return i
		}
	}
	return -1
}

// splitParts cuts tokens at the commas that aren't inside parentheses.
func splitParts(tokens []token) [][]token {
	var parts [][]token
	depth, begin := 0, 0
	for i, t := range tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case depth == 0 && t.is(","):
			parts = append(parts, tokens[begin:i])
			begin = i + 1
		}
	}
	if begin < len(tokens) {
		parts = append(parts, tokens[begin:])
	}
	return slices.DeleteFunc(parts, func(p []token) bool { return len(p) == 0 })
}

// parsePart says what the tokens of one part are. A column's name is always quoted here, so an
// unquoted word first is a keyword.
func parsePart(sql string, tokens []token) Part {
	p := Part{Kind: OtherPart, Text: sql[tokens[0].start:tokens[len(tokens)-1].end]}
	if tokens[0].kind == quoted {
		p.Kind, p.Name = Column, tokens[0].name()
		return p
	}
	rest := tokens
	if rest[0].is("CONSTRAINT") && len(rest) > 2 {
		p.Name, rest = rest[1].name(), rest[2:]
	}
	p.Kind = keyKind(rest)
	switch p.Kind {
	case ForeignKey:
		p.parseForeignKey(rest)
	case UniqueKey, PlainKey, FullTextKey, SpatialKey, PrimaryKey:
		p.parseKey(rest)
	}
	return p
}

func keyKind(tokens []token) PartKind {
	switch t := tokens[0]; {
	case t.is("PRIMARY"):
		return PrimaryKey
	case t.is("UNIQUE"):
		return UniqueKey
	case t.is("KEY", "INDEX"):
		return PlainKey
	case t.is("FULLTEXT"):
		return FullTextKey
	case t.is("SPATIAL"):
		return SpatialKey
	case t.is("FOREIGN"):
		return ForeignKey
	case t.is("CHECK"):
		return Check
	}
	return OtherPart
}

func (p *Part) parseKey(tokens []token) {
	open := slices.IndexFunc(tokens, func(t token) bool { return t.is("(") })
	if open < 0 {
		p.Kind = OtherPart
		return
	}
	if tokens[open-1].kind == quoted {
		p.Name = tokens[open-1].name()
	}
	p.Columns, p.Prefixed = columnList(tokens, open)
}

func (p *Part) parseForeignKey(tokens []token) {
	open := slices.IndexFunc(tokens, func(t token) bool { return t.is("(") })
	refers := slices.IndexFunc(tokens, func(t token) bool { return t.is("REFERENCES") })
	if open < 0 || refers < open || refers+2 >= len(tokens) {
		p.Kind = OtherPart
		return
	}
	p.Columns, p.Prefixed = columnList(tokens, open)
	at := refers + 1
	p.RefTable = tokens[at].name()
	if tokens[at+1].is(".") && at+2 < len(tokens) {
		p.RefSchema, p.RefTable, at = p.RefTable, tokens[at+2].name(), at+2
	}
	if at+1 < len(tokens) && tokens[at+1].is("(") {
		p.RefColumns, _ = columnList(tokens, at+1)
	}
}

// columnList reads the names of (`a`, `b`(10) DESC, (expression)).
func columnList(tokens []token, open int) (names []string, prefixed []bool) {
	shut := closing(tokens, open)
	if shut < 0 {
		return nil, nil
	}
	for _, part := range splitParts(tokens[open+1 : shut]) {
		name := ""
		if part[0].isName() {
			name = part[0].name()
		}
		names = append(names, name)
		prefixed = append(prefixed, name != "" && len(part) > 1 && part[1].is("("))
	}
	return names, prefixed
}

// SQL is the statement again, for the table of the given name.
func (d *Definition) SQL(schema, name string) string {
	lines := make([]string, len(d.Parts))
	for i, p := range d.Parts {
		lines[i] = "  " + p.Text
	}
	return "CREATE TABLE " + server.Name(schema, name) + " (\n" + strings.Join(lines, ",\n") + "\n) " + d.Options
}

// Without is the definition without the parts that drop picks.
func (d *Definition) Without(drop func(Part) bool) *Definition {
	kept := *d
	kept.Parts = slices.DeleteFunc(slices.Clone(d.Parts), drop)
	return &kept
}

// column finds a column's part by name; nil if there is none.
func (d *Definition) column(name string) *Part {
	for i, p := range d.Parts {
		if p.Kind == Column && strings.EqualFold(p.Name, name) {
			return &d.Parts[i]
		}
	}
	return nil
}

// generatedKeyName is the column that MySQL makes for a table without a primary key, where
// sql_generate_invisible_primary_key is on.
const generatedKeyName = "my_row_id"

// generatedKey tells whether the table has that column, which on MySQL is always the first.
func (d *Definition) generatedKey() bool {
	c := d.column(generatedKeyName)
	return c != nil && c.has("AUTO_INCREMENT") && c.has("INVISIBLE")
}

// has tells whether the part, of a column, has the keywords in this order, side by side.
func (p *Part) has(keywords ...string) bool {
	tokens := tokenize(p.Text)
	for i := range tokens {
		if matches(tokens[i:], keywords...) {
			return true
		}
	}
	return false
}

// matches tells whether the tokens begin with these keywords.
func matches(tokens []token, keywords ...string) bool {
	if len(tokens) < len(keywords) {
		return false
	}
	for i, w := range keywords {
		if !tokens[i].is(w) {
			return false
		}
	}
	return true
}

// shorten cuts a statement for an error's text.
func shorten(sql string) string {
	const most = 200
	sql = strings.Join(strings.Fields(sql), " ")
	if len(sql) > most {
		return strings.ToValidUTF8(sql[:most], "") + " …"
	}
	return sql
}
