package ddl

import (
	"strconv"
	"strings"
)

// Value is the text of a string, without quotes and escapes; of another token it is its Name.
func (t Token) Value() string {
	if t.Kind != String || len(t.Text) < 2 || t.Text[0] != '\'' && t.Text[0] != '"' {
		return t.Name()
	}
	quote, text := t.Text[0], t.Text[1:]
	if !strings.ContainsRune(text, '\\') {
		return strings.ReplaceAll(strings.TrimSuffix(text, string(quote)), string([]byte{quote, quote}), string(quote))
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteString(escaped(text[i]))
		case c == quote && i+1 < len(text) && text[i+1] == quote:
			i++
			b.WriteByte(quote)
		case c != quote:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escaped is what a backslash before c means.
func escaped(c byte) string {
	switch c {
	case '0':
		return "\x00"
	case 'b':
		return "\b"
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case 'Z':
		return "\x1a"
	case '%', '_':
		return "\\" + string(rune(c))
	}
	return string([]byte{c})
}

// table reads what stands behind the name of CREATE TABLE.
func (c *cursor) table() *Table {
	t := &Table{}
	if c.take("LIKE") {
		t.Like = true
		return t
	}
	if c.sees("(") {
		switch next := c.ahead(1); {
		case next.Is("LIKE"):
			t.Like = true
			c.group()
		case next.Is("SELECT", "WITH", "VALUES", "TABLE", "("):
		default:
			c.elements(t)
		}
	}
	t.Options = c.options()
	if c.sees("PARTITION", "BY") {
		t.Partition = c.i
		for !c.done() && !c.selects() {
			c.pass()
		}
		t.PartitionEnd = c.i
	}
	t.Select = !c.done() && c.selects()
	return t
}

// selects tells whether the query of CREATE TABLE … SELECT begins here.
func (c *cursor) selects() bool {
	return c.ahead(0).Is("SELECT", "AS", "IGNORE", "REPLACE", "VALUES", "TABLE") || c.sees("WITH") && !c.sees("WITH", "SYSTEM") ||
		c.sees("(") && c.ahead(1).Is("SELECT", "WITH", "VALUES", "TABLE", "(")
}

// ends tells whether what is read here ends: at a comma, at a closing parenthesis, with the statement.
func (c *cursor) ends() bool { return c.done() || c.ahead(0).Is(",", ")") }

// rest goes to where what is read here ends.
func (c *cursor) rest() {
	for !c.ends() {
		c.pass()
	}
}

// elements reads the definitions in parentheses.
func (c *cursor) elements(t *Table) {
	c.step()
	for !c.done() {
		c.element(t)
		c.rest()
		if !c.take(",") {
			c.take(")")
			return
		}
	}
}

// element reads a column, a key, a check or a period.
func (c *cursor) element(t *Table) {
	from := c.i
	if c.sees("PERIOD", "FOR") {
		c.i += 2
		c.step()
		c.group()
		t.Periods = append(t.Periods, Range{from, c.i})
		return
	}
	if c.constraint(t) {
		return
	}
	if c.named() || c.sees(".") {
		t.Columns = append(t.Columns, c.column())
	} else if !c.done() {
		t.Odd = append(t.Odd, c.i)
	}
}

// constraint reads a key or a check, if one is defined here.
func (c *cursor) constraint(t *Table) bool {
	from := c.i
	var name string
	if c.take("CONSTRAINT") {
		c.ifExists()
		if !c.ahead(0).Is("PRIMARY", "UNIQUE", "FOREIGN", "CHECK") {
			name = c.ident()
		}
	}
	if c.sees("CHECK") {
		t.Checks = append(t.Checks, c.check(from, name))
		return true
	}
	k := Key{Constraint: name, At: Range{From: from}}
	switch word := upper(c.ahead(0)); {
	case word == "PRIMARY":
		k.Kind = Primary
	case word == "UNIQUE":
		k.Kind = Unique
	case word == "FOREIGN":
		k.Kind = Foreign
	case word == "INDEX", word == "KEY":
		k.Kind = Plain
	case word == "FULLTEXT":
		k.Kind = FullText
	case word == "SPATIAL":
		k.Kind = Spatial
	case word == "VECTOR" && (c.ahead(1).Is("INDEX", "KEY") || c.d == MariaDB && c.ahead(1).Is("(")):
		k.Kind = VectorKey
	default:
		return c.i > from
	}
	c.step()
	c.key(&k)
	t.Keys = append(t.Keys, k)
	return true
}

// check reads a CHECK that begins, with its CONSTRAINT, at from.
func (c *cursor) check(from int, name string) Check {
	c.take("CHECK")
	check := Check{Name: name, Expr: c.group()}
	if c.take("NOT", "ENFORCED") {
		check.NotEnforced = true
	} else {
		c.take("ENFORCED")
	}
	check.At = Range{from, c.i}
	return check
}

// key reads a key behind the first word of its kind.
func (c *cursor) key(k *Key) {
	if k.Kind != Plain {
		c.any("INDEX", "KEY")
	}
	c.ifExists()
	if k.Kind == Foreign {
		k.Name, k.IndexName = k.Constraint, c.ident()
		for _, p := range c.parts(k) {
			k.Parts = append(k.Parts, Part{Column: p.Column})
		}
		if c.sees("REFERENCES") {
			c.references(k)
		}
		k.At.To = c.i
		return
	}
	if c.named() && !c.sees("USING") && !c.sees("TYPE") || c.sees("TYPE", "(") {
		k.Name = c.ident()
	}
	if k.Kind == Unique && k.Name == "" {
		k.Name = k.Constraint
	}
	c.using(k)
	k.Parts = c.parts(k)
	c.keyOptions(k)
	k.At.To = c.i
}

func (c *cursor) using(k *Key) bool {
	if c.any("USING", "TYPE") == "" {
		return false
	}
	k.Using = upper(c.step())
	return true
}

// parts reads the columns and expressions of a key.
func (c *cursor) parts(k *Key) (parts []Part) {
	if !c.take("(") {
		return nil
	}
	for !c.done() {
		var p Part
		if c.sees("(") {
			p.Expr = c.group()
		} else if p.Column = c.ident(); c.sees("(") {
			if n := c.ahead(1); n.Kind == Number {
				p.Prefix, _ = strconv.Atoi(n.Text)
			}
			c.group()
		}
		for !c.ends() {
			switch {
			case c.sees("DESC"):
				p.Desc, p.DescAt = true, c.i
				c.step()
			case c.take("WITHOUT", "OVERLAPS"):
				k.Without = true
			default:
				c.pass()
			}
		}
		parts = append(parts, p)
		if !c.take(",") {
			c.take(")")
			return parts
		}
	}
	return parts
}

// keyOptions reads what stands behind the parts of a key.
func (c *cursor) keyOptions(k *Key) {
	for !c.ends() {
		at := c.i
		switch {
		case c.using(k):
		case c.take("WITH", "PARSER"):
			k.Parser = c.ident()
		case c.take("INVISIBLE"), c.take("IGNORED"):
			k.Invisible, k.InvisibleAt = true, at
		case c.take("VISIBLE"):
			k.InvisibleAt = at
		case c.take("NOT", "IGNORED"):
			k.InvisibleAt = at + 1
		case c.sees("PARTITION", "BY"), c.sees("REMOVE", "PARTITIONING"):
			return
		default:
			if o, ok := c.option(); ok {
				k.Options = append(k.Options, o)
			} else {
				c.pass()
			}
		}
	}
}

// references reads REFERENCES … with its actions.
func (c *cursor) references(k *Key) {
	c.take("REFERENCES")
	k.RefSchema, k.RefTable, _ = c.name()
	var columns Key
	for _, p := range c.parts(&columns) {
		k.RefColumns = append(k.RefColumns, p.Column)
	}
	for {
		switch {
		case c.take("MATCH"):
			c.step()
		case c.take("ON", "DELETE"):
			k.OnDelete = c.action()
		case c.sees("ON", "UPDATE") && c.ahead(2).Is("RESTRICT", "CASCADE", "SET", "NO"):
			c.i += 2
			k.OnUpdate = c.action()
		default:
			return
		}
	}
}

func (c *cursor) action() string {
	action := upper(c.step())
	if action == "SET" || action == "NO" {
		action += " " + upper(c.step())
	}
	return action
}

// createIndex reads CREATE INDEX behind that word.
func (c *cursor) createIndex(kind KeyKind) *Key {
	s := c.s
	s.IfExists = c.ifExists() >= 0
	k := &Key{Kind: kind, At: Range{From: c.i}}
	k.Name = c.ident()
	c.using(k)
	if c.take("ON") {
		c.object()
	}
	k.Parts = c.parts(k)
	c.keyOptions(k)
	k.At.To = c.i
	return k
}

// options reads options with or without commas between them.
func (c *cursor) options() (options []Option) {
	for !c.done() && !c.sees(")") {
		if c.take(",") {
			continue
		}
		if c.sees("PARTITION", "BY") || c.selects() {
			return options
		}
		if o, ok := c.option(); ok {
			options = append(options, o)
		} else {
			c.pass()
		}
	}
	return options
}

// valued are options that need no equals sign before a word that is their value.
var valued = map[string]bool{
	"ENGINE": true, "TYPE": true, "ROW_FORMAT": true, "CHARSET": true, "COLLATE": true, "COMPRESSION": true, "INSERT_METHOD": true,
	"TABLESPACE": true, "STORAGE": true, "SECONDARY_ENGINE": true, "PACK_KEYS": true, "STATS_AUTO_RECALC": true, "STATS_PERSISTENT": true,
	"STATS_SAMPLE_PAGES": true, "UNION": true, "ALGORITHM": true, "LOCK": true, "ENCRYPTION": true, "AUTO_INCREMENT": true, "COMMENT": true,
	"AVG_ROW_LENGTH": true, "CHECKSUM": true, "CONNECTION": true, "DATA DIRECTORY": true, "INDEX DIRECTORY": true, "DELAY_KEY_WRITE": true,
	"KEY_BLOCK_SIZE": true, "MAX_ROWS": true, "MIN_ROWS": true, "PASSWORD": true, "READ ONLY": true, "AUTOEXTEND_SIZE": true,
	"ENGINE_ATTRIBUTE": true, "SECONDARY_ENGINE_ATTRIBUTE": true, "TRANSACTIONAL": true, "PAGE_CHECKSUM": true, "TABLE_CHECKSUM": true,
}

// option reads one option.
func (c *cursor) option() (Option, bool) {
	o := Option{At: Range{From: c.i}}
	switch {
	case c.take("WITH", "SYSTEM", "VERSIONING"):
		o.Name, o.At.To = "SYSTEM VERSIONING", c.i
		return o, true
	case c.take("START", "TRANSACTION"):
		o.Name, o.At.To = "START TRANSACTION", c.i
		return o, true
	}
	if c.ahead(1).Is("CHARACTER", "CHARSET", "CHAR", "COLLATE", "ENCRYPTION") {
		c.take("DEFAULT")
	}
	switch {
	case c.take("CHARACTER", "SET"), c.take("CHAR", "SET"), c.take("CHARSET"):
		o.Name = "CHARSET"
	case c.sees("DATA", "DIRECTORY"), c.sees("INDEX", "DIRECTORY"), c.sees("READ", "ONLY"):
		o.Name = upper(c.step()) + " " + upper(c.step())
	case c.named():
		o.Name = strings.ToUpper(c.step().Name())
	default:
		return o, false
	}
	equals := c.take("=")
	switch value := c.ahead(0); {
	case c.sees("("):
		if equals || valued[o.Name] {
			o.Value = c.s.Between(c.group())
		}
	case value.Kind == String, value.Kind == Number, (value.Kind == Word || value.Kind == Quoted) && (equals || valued[o.Name]):
		o.Value = c.step().Value()
	}
	o.At.To = c.i
	return o, true
}
