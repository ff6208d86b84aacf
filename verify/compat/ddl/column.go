package ddl

import "strings"

// column reads a column's definition, up to a comma, a closing parenthesis, FIRST, AFTER or, of ALTER TABLE,
// what may follow without a comma.
func (c *cursor) column() Column {
	col := Column{At: Range{From: c.i}}
	_, col.Name, _ = c.name()
	if c.ahead(0).Kind == Word && !c.ends() && !c.ahead(0).Is("GENERATED", "AS", "DEFAULT", "NOT", "NULL", "FIRST", "AFTER") {
		c.kind(&col)
	}
	for !c.ends() && !c.placed() {
		c.attribute(&col)
	}
	col.At.To = c.i
	return col
}

// placed tells whether a clause of ALTER TABLE goes on behind the column's definition.
func (c *cursor) placed() bool {
	return c.s.Kind == AlterTable && (c.ahead(0).Is("FIRST", "AFTER") || c.sees("PARTITION", "BY") || c.sees("REMOVE", "PARTITIONING"))
}

// kind reads a type. SERIAL sets what it stands for: BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE.
func (c *cursor) kind(col *Column) {
	if c.ahead(1).Is(".") { // mariadb_schema.date
		col.Rest = append(col.Rest, c.i)
		c.i += 2
	}
	col.TypeAt = c.i
	words := []string{upper(c.step())}
	for {
		t := c.ahead(0)
		switch words[len(words)-1] {
		case "DOUBLE":
			if !t.Is("PRECISION") {
				t = Token{}
			}
		case "NATIONAL", "NCHAR", "LONG":
			if !t.Is("CHAR", "CHARACTER", "VARCHAR", "VARCHARACTER", "VARBINARY", "VARYING") {
				t = Token{}
			}
		case "CHAR", "CHARACTER", "VARCHAR", "VARCHARACTER":
			if !t.Is("VARYING") {
				t = Token{}
			}
		default:
			t = Token{}
		}
		if t.Text == "" {
			break
		}
		words = append(words, upper(c.step()))
	}
	col.Type = strings.Join(words, " ")
	if col.Type == "SERIAL" {
		col.Unsigned, col.Null, col.Auto, col.Unique = true, NotNull, true, true
	}
	if c.sees("(") {
		col.Args = c.arguments()
	}
}

// arguments reads texts in parentheses.
func (c *cursor) arguments() (args []string) {
	c.step()
	for !c.done() && !c.sees(")") {
		from := c.i
		c.rest()
		args = append(args, c.s.Between(Range{from, c.i}))
		c.take(",")
	}
	c.take(")")
	return args
}

// charset reads a character set or a collation, if one stands here.
func (c *cursor) charset(col *Column) bool {
	switch {
	case c.take("CHARACTER", "SET"), c.take("CHAR", "SET"), c.take("CHARSET"):
		c.take("=")
		col.Charset = c.step().Value()
	case c.take("COLLATE"):
		c.take("=")
		col.Collation = c.step().Value()
	case c.ahead(0).Is("ASCII", "UNICODE", "BYTE"):
		col.Charset = c.step().Text
	default:
		return false
	}
	return true
}

// attribute reads one attribute of a column. It goes on by one token at least.
func (c *cursor) attribute(col *Column) {
	at := c.i
	if c.charset(col) {
		return
	}
	switch {
	case c.take("UNSIGNED"):
		col.Unsigned = true
	case c.take("SIGNED"):
	case c.take("ZEROFILL"): // makes it unsigned too
		col.Zerofill, col.Unsigned = true, true
	case c.take("BINARY"):
		col.Binary = true
	case c.take("NOT", "NULL"):
		col.Null = NotNull
	case c.take("NULL"):
		col.Null = Nullable
	case c.take("DEFAULT"):
		col.Default = c.value()
	case c.take("ON", "UPDATE"):
		col.OnUpdate = c.value()
	case c.take("AUTO_INCREMENT"):
		col.Auto = true
	case c.take("PRIMARY", "KEY"), c.take("PRIMARY"), c.take("KEY"):
		col.Primary = true
	case c.take("UNIQUE"):
		c.take("KEY")
		col.Unique = true
	case c.take("COMMENT"):
		c.take("=")
		col.Comment = c.step().Value()
	case c.take("INVISIBLE"):
		col.Invisible = true
	case c.sees("SRID"):
		c.i += 2
		c.i = min(c.i, len(c.t))
		col.SRID = Range{at, c.i}
	case c.sees("GENERATED"), c.sees("AS"):
		c.generated(col)
	case c.take("VIRTUAL"):
	case c.take("STORED"):
		col.Stored = true
	case c.take("PERSISTENT"):
		col.Stored, col.Rest = true, append(col.Rest, at)
	case c.take("SERIAL", "DEFAULT", "VALUE"):
		col.Null, col.Auto, col.Unique, col.Rest = NotNull, true, true, append(col.Rest, at)
	case c.sees("REFERENCES"):
		k := Key{Kind: Foreign, Parts: []Part{{Column: col.Name}}}
		c.references(&k)
		k.At = Range{at, c.i}
		col.References, col.Parent = k.At, &k
	case c.sees("CHECK"):
		col.Checks = append(col.Checks, c.check(at, ""))
	case c.take("CONSTRAINT"):
		var name string
		if !c.ahead(0).Is("CHECK", "REFERENCES", "PRIMARY", "UNIQUE") {
			name = c.ident()
		}
		if c.sees("CHECK") {
			col.Checks = append(col.Checks, c.check(at, name))
		}
	default:
		c.other(col)
	}
}

// other goes past what the reader does not know, with its value if an equals sign says that it has one.
func (c *cursor) other(col *Column) {
	if c.named() {
		col.Rest = append(col.Rest, c.i)
	}
	c.pass()
	if c.take("=") && !c.ends() {
		c.pass()
	}
}

// generated reads [GENERATED ALWAYS] AS (…), or AS ROW START and AS ROW END.
func (c *cursor) generated(col *Column) {
	c.take("GENERATED")
	c.take("ALWAYS")
	if !c.take("AS") {
		return
	}
	if c.sees("ROW") && c.ahead(1).Is("START", "END") {
		col.Rest = append(col.Rest, c.i, c.i+1)
		c.i += 2
		return
	}
	col.Generated = c.group()
}

// value reads what stands behind DEFAULT or ON UPDATE: a literal, an expression in parentheses, a function with
// its arguments, CASE … END, NEXT VALUE FOR ….
func (c *cursor) value() Range {
	r := Range{From: c.i}
	if c.ahead(0).Is("-", "+") {
		c.step()
	}
	switch t := c.ahead(0); {
	case c.ends():
	case c.sees("("):
		c.group()
	case c.take("NEXT", "VALUE", "FOR"), c.take("PREVIOUS", "VALUE", "FOR"):
		c.name()
	case c.sees("CASE"):
		c.caseValue()
	case t.Is("{"):
		for !c.ends() && !c.take("}") {
			c.pass()
		}
	case t.Kind == String:
		c.strings()
	case t.Kind == Word && c.ahead(1).Kind == String && (t.Text[0] == '_' || t.Is("N", "DATE", "TIME", "TIMESTAMP")):
		c.step()
		c.strings()
	case t.Kind == Word && t.Text[0] == '_' && c.ahead(1).Kind == Number: // _latin1 0x41
		c.i += 2
	case t.Kind == Word, t.Kind == Quoted:
		c.name()
		c.group()
	default:
		c.step()
	}
	r.To = c.i
	if r.From == r.To {
		return Range{}
	}
	return r
}

func (c *cursor) strings() {
	for c.ahead(0).Kind == String {
		c.step()
	}
}

func (c *cursor) caseValue() {
	for depth := 0; !c.ends(); {
		switch t := c.ahead(0); {
		case t.Is("CASE"):
			depth++
		case t.Is("END"):
			depth--
		}
		c.pass()
		if depth == 0 {
			return
		}
	}
}
