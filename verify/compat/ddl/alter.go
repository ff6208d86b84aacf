package ddl

// alter reads ALTER of anything.
func (c *cursor) alter() {
	s := c.s
	for {
		switch word := upper(c.ahead(0)); word {
		case "ONLINE", "OFFLINE", "IGNORE":
			c.step()
			continue
		case "TABLE":
			c.step()
			s.Kind = AlterTable
			c.objectIf()
			c.clauses()
		case "DATABASE", "SCHEMA":
			c.step()
			s.Kind = AlterDatabase
			if !c.ahead(1).Is("SET", "=") && !c.sees("COLLATE") {
				c.object()
			}
			s.Options = c.options()
		case "VIEW":
			c.step()
			s.Kind = CreateView
			c.objectIf()
			c.view()
		case "EVENT":
			c.step()
			s.Kind = CreateEvent
			c.objectIf()
			c.behind("DO")
			c.body()
		case "USER", "ROLE":
			c.step()
			s.Kind = Account
			s.IfExists = c.ifExists() >= 0
		case "PROCEDURE", "FUNCTION", "SEQUENCE":
			c.step()
			c.objectIf()
		default:
			if c.definer() {
				continue
			}
		}
		return
	}
}

// clauses reads the clauses of ALTER TABLE.
func (c *cursor) clauses() {
	for !c.done() {
		if c.take(",") || c.take(")") {
			continue
		}
		from := c.i
		cl := Clause{At: Range{From: from}}
		c.clause(&cl)
		if c.i == from {
			c.pass()
		}
		for !c.ends() && !c.apart() {
			c.pass()
		}
		cl.At.To = c.i
		c.s.Clauses = append(c.s.Clauses, cl)
	}
}

// apart tells whether a clause begins here that needs no comma before it.
func (c *cursor) apart() bool { return c.sees("PARTITION", "BY") || c.sees("REMOVE", "PARTITIONING") }

func (c *cursor) clause(cl *Clause) {
	cl.What = upper(c.ahead(0))
	switch cl.What {
	case "ADD":
		c.add(cl)
	case "DROP":
		c.dropClause(cl)
	case "MODIFY", "CHANGE":
		c.step()
		c.take("COLUMN")
		c.clauseIf(cl)
		cl.Verb = ModifyColumn
		if cl.What == "CHANGE" {
			cl.Verb, cl.Name = ChangeColumn, c.ident()
		}
		c.defined(cl)
	case "RENAME":
		c.renameClause(cl)
	case "ALTER":
		c.alterClause(cl)
	case "CONVERT":
		c.convert(cl)
	case "PARTITION", "REORGANIZE", "EXCHANGE", "COALESCE", "TRUNCATE", "ANALYZE", "CHECK", "OPTIMIZE", "REBUILD", "REPAIR":
		cl.Verb = Partitioning
		c.toEnd()
	case "REMOVE":
		cl.Verb = Partitioning
		c.step()
		c.take("PARTITIONING")
	case "DISCARD", "IMPORT":
		if c.ahead(1).Is("PARTITION") {
			cl.Verb = Partitioning
			c.toEnd()
		}
	case "ORDER":
		c.toEnd()
	case "ALGORITHM", "LOCK", "WAIT":
		cl.Verb = Algorithm
		c.step()
		c.take("=")
		cl.Name = c.step().Name()
		if cl.What == "WAIT" { // stands behind the table's name, without a comma
			cl.At.To = c.i
			c.separate(cl)
		}
	case "NOWAIT":
		cl.Verb = Algorithm
		c.step()
		c.separate(cl)
	case "FORCE", "ENABLE", "DISABLE":
		cl.Verb = Algorithm
	case "WITH", "WITHOUT":
		cl.Verb = Algorithm
		if c.sees("WITH", "SYSTEM") {
			c.tableOptions(cl)
		}
	default:
		c.tableOptions(cl)
	}
	if cl.Verb != OtherClause && cl.Verb != Algorithm && cl.Verb != Partitioning && cl.Verb != DropKey {
		cl.What = ""
	}
}

// separate ends a clause here and reads the next one in its place.
func (c *cursor) separate(cl *Clause) {
	if c.ends() {
		return
	}
	cl.At.To = c.i
	c.s.Clauses = append(c.s.Clauses, *cl)
	*cl = Clause{At: Range{From: c.i}}
	c.clause(cl)
}

func (c *cursor) toEnd() { c.i = len(c.t) }

// clauseIf goes past IF [NOT] EXISTS within a clause.
func (c *cursor) clauseIf(cl *Clause) {
	if at := c.ifExists(); at >= 0 {
		cl.IfExists, cl.IfAt = true, at
	}
}

// tableOptions reads options up to a comma.
func (c *cursor) tableOptions(cl *Clause) {
	var options []Option
	for !c.ends() && !c.apart() {
		o, ok := c.option()
		if !ok {
			c.pass()
			continue
		}
		if o.Value == "" && len(options) == 0 && o.Name != "SYSTEM VERSIONING" && !valued[o.Name] && o.At.To-o.At.From == 1 {
			return // a word of a clause that is not known
		}
		options = append(options, o)
	}
	if len(options) > 0 {
		cl.Verb, cl.Table = TableOption, &Table{Options: options}
	}
}

// defined reads a column's definition and its place.
func (c *cursor) defined(cl *Clause) {
	if !c.named() && !c.sees(".") {
		return
	}
	cl.Table = &Table{Columns: []Column{c.column()}}
	switch {
	case c.take("FIRST"):
		cl.First = true
	case c.take("AFTER"):
		cl.After = c.ident()
	}
}

func (c *cursor) add(cl *Clause) {
	c.step()
	at := c.i
	switch {
	case c.sees("PARTITION"):
		cl.Verb = Partitioning
		c.toEnd()
		return
	case c.take("SYSTEM", "VERSIONING"):
		cl.Verb, cl.Table = TableOption, &Table{Options: []Option{{Name: "SYSTEM VERSIONING", At: Range{at, c.i}}}}
		return
	case c.sees("PERIOD", "FOR"):
		cl.What, cl.Table = "PERIOD", &Table{}
		c.element(cl.Table)
		return
	}
	column := c.take("COLUMN")
	c.clauseIf(cl)
	if c.sees("(") {
		cl.Verb, cl.Table = AddColumn, &Table{}
		c.elements(cl.Table)
		return
	}
	if !column {
		var t Table
		ifAt := c.i
		if c.constraint(&t) {
			cl.Verb, cl.Table = AddKey, &t
			c.ifWithin(cl, ifAt)
			return
		}
	}
	cl.Verb = AddColumn
	c.defined(cl)
}

// ifWithin finds the IF NOT EXISTS of a key that has been read from a token on.
func (c *cursor) ifWithin(cl *Clause, from int) {
	for i := from; i+2 < c.i && !c.t[i].Is("("); i++ {
		if c.t[i].Is("IF") && c.t[i+1].Is("NOT") && c.t[i+2].Is("EXISTS") {
			cl.IfExists, cl.IfAt = true, i
			return
		}
	}
}

func (c *cursor) dropClause(cl *Clause) {
	c.step()
	switch {
	case c.sees("PARTITION"):
		cl.Verb = Partitioning
		c.toEnd()
		return
	case c.sees("SYSTEM", "VERSIONING"):
		cl.What = "SYSTEM VERSIONING"
		return
	case c.sees("PERIOD", "FOR"):
		cl.What = "PERIOD"
		return
	case c.take("PRIMARY", "KEY"):
		cl.Verb, cl.What = DropKey, "PRIMARY KEY"
		return
	case c.take("FOREIGN", "KEY"):
		cl.Verb, cl.What = DropKey, "FOREIGN KEY"
	case c.any("INDEX", "KEY") != "":
		cl.Verb, cl.What = DropKey, "INDEX"
	case c.sees("CHECK"), c.sees("CONSTRAINT"):
		cl.Verb, cl.What = DropKey, upper(c.step())
	default:
		c.take("COLUMN")
		cl.Verb = DropColumn
	}
	c.clauseIf(cl)
	cl.Name = c.ident()
}

func (c *cursor) renameClause(cl *Clause) {
	c.step()
	switch {
	case c.take("COLUMN"):
		cl.Verb = RenameColumn
	case c.any("INDEX", "KEY") != "":
		cl.Verb = RenameKey
	default:
		cl.Verb = RenameTo
		c.any("TO", "AS", "=")
		cl.NewSchema, cl.NewName, _ = c.name()
		return
	}
	c.clauseIf(cl)
	cl.Name = c.ident()
	c.take("TO")
	cl.NewName = c.ident()
}

func (c *cursor) alterClause(cl *Clause) {
	c.step()
	if what := c.any("INDEX", "KEY", "CHECK", "CONSTRAINT"); what != "" {
		if what == "KEY" {
			what = "INDEX"
		}
		cl.What = what
		c.clauseIf(cl)
		cl.Name = c.ident()
		return
	}
	cl.Verb = AlterColumn
	c.take("COLUMN")
	c.clauseIf(cl)
	cl.Name = c.ident()
	if c.take("SET", "DEFAULT") {
		cl.Default = c.value()
	}
}

func (c *cursor) convert(cl *Clause) {
	c.step()
	if c.ahead(0).Is("PARTITION", "TABLE") {
		cl.Verb = Partitioning
		c.toEnd()
		return
	}
	c.take("TO")
	cl.Verb, cl.Table = ConvertCharset, &Table{}
	for !c.ends() && !c.apart() {
		o, ok := c.option()
		if !ok {
			c.pass()
			continue
		}
		cl.Table.Options = append(cl.Table.Options, o)
	}
}
