package compat

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// foreignKeys goes through those that the target makes.
func (c *checker) foreignKeys(fn func(t *table, k *key, parent *table)) {
	inline := c.opts.To.meets(">=9.0")
	c.tables(func(t *table) {
		each := func(k *key) {
			if k.is.Kind != ddl.Foreign {
				return
			}
			parent := c.state.tables[keyOf(cmp.Or(k.is.RefSchema, t.schema), k.is.RefTable)]
			if parent != nil && len(k.is.RefColumns) == 0 { // it means the primary key
				filled := *k
				filled.is.RefColumns = parent.primary()
				k = &filled
			}
			fn(t, k, parent)
		}
		for i := range t.keys {
			each(&t.keys[i])
		}
		for i := range t.inline {
			if inline && t.column(t.inline[i].is.Parts[0].Column) != nil {
				each(&t.inline[i])
			}
		}
	})
}

// like is a column's type as a foreign key compares it.
func like(c *ddl.Column) string {
	t := c.Type
	switch t {
	case "INTEGER":
		t = "INT"
	case "NUMERIC", "DEC", "FIXED":
		t = "DECIMAL"
	}
	if slices.Contains(wholes, c.Type) && c.Unsigned {
		t += " UNSIGNED"
	}
	return t
}

// characters are the types of text that a foreign key takes for each other.
var characters = []string{"CHAR", "VARCHAR", "CHARACTER", "CHARACTER VARYING", "NVARCHAR"}

func foreignTypes(c *checker, emit func(hit)) {
	c.foreignKeys(func(t *table, k *key, parent *table) {
		h := hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String()}
		if parent == nil {
			if k.is.RefSchema != "" && !strings.EqualFold(k.is.RefSchema, t.schema) {
				return // FK603's
			}
			h.says = fmt.Sprintf("the parent table %s is not made by these statements", k.is.RefTable)
			if len(c.input.Steps) == 0 { // a dump may be of a part
				h.severity = Warning
			}
			emit(h)
			return
		}
		if column, ok := t.notNull(&k.is); ok && (k.is.OnDelete == "SET NULL" || k.is.OnUpdate == "SET NULL") {
			h.says = "SET NULL, and column " + column + " is NOT NULL"
			emit(h)
		}
		for i, p := range k.is.Parts {
			if parent.unknown || t.unknown || i >= len(k.is.RefColumns) {
				continue
			}
			child, up := t.column(p.Column), parent.column(k.is.RefColumns[i])
			switch {
			case up == nil:
				h.says = fmt.Sprintf("%s has no column %s", parent, k.is.RefColumns[i])
				emit(h)
			case child != nil && like(&child.is) != like(&up.is) && !(slices.Contains(characters, child.is.Type) && slices.Contains(characters, up.is.Type)):
				h.says = fmt.Sprintf("%s is %s, and %s.%s is %s", p.Column, like(&child.is), parent, up.is.Name, like(&up.is))
				emit(h)
			}
		}
	})
}

// notNull is the first column of a key that is NOT NULL.
func (t *table) notNull(k *ddl.Key) (string, bool) {
	primary := t.primary()
	for _, p := range k.Parts {
		if col := t.column(p.Column); col != nil && (col.is.Null == ddl.NotNull || slices.Contains(primary, strings.ToLower(p.Column))) {
			return p.Column, true
		}
	}
	return "", false
}

func foreignAction(c *checker, emit func(hit)) {
	c.foreignKeys(func(t *table, k *key, _ *table) {
		for _, action := range []string{k.is.OnDelete, k.is.OnUpdate} {
			if action == "CASCADE" || action == "SET NULL" || action == "SET DEFAULT" {
				emit(hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String()})
				return
			}
		}
	})
}

func foreignParent(c *checker, emit func(hit)) {
	c.foreignKeys(func(t *table, k *key, parent *table) {
		if parent == nil || parent.unknown {
			return
		}
		for i := range parent.keys {
			if p := &parent.keys[i]; (p.is.Kind == ddl.Primary || p.is.Kind == ddl.Unique) && len(p.is.Parts) == len(k.is.RefColumns) {
				same := true
				for j, part := range p.is.Parts {
					same = same && part.Prefix == 0 && strings.EqualFold(part.Column, k.is.RefColumns[j])
				}
				if same {
					return
				}
			}
		}
		h := hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String()}
		if v, _ := c.targetVariable("restrict_fk_on_non_standard_key"); c.opts.To.meets(">=8.4") && v != "OFF" {
			h.severity = Error
		}
		emit(h)
	})
}

func definer(c *checker, emit func(hit)) {
	// Where the target's accounts are known it is known too which of them are missing (definerMissing).
	known := c.opts.Source != nil && c.opts.Target != nil && len(c.opts.Target.Accounts) > 0
	c.each(func(st *ddl.Statement) {
		if known && c.input.live[st.File] != nil {
			return
		}
		switch st.Kind {
		case ddl.CreateView, ddl.CreateRoutine, ddl.CreateTrigger, ddl.CreateEvent:
		default:
			return
		}
		for i := 0; i+4 < len(st.Tokens) && (st.Body == 0 || i < st.Body); i++ {
			if st.Tokens[i].Is("DEFINER") && st.Tokens[i+1].Is("=") && !st.Tokens[i+2].Is("CURRENT_USER") {
				end := i + 3
				for end < len(st.Tokens) && !st.Tokens[end].Is("SQL", "VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "AGGREGATE") {
					end++
				}
				emit(hit{st: st, from: i, to: end, object: objectOf(st)})
				return
			}
		}
	})
}

func functionKind(c *checker, emit func(hit)) {
	if v, _ := c.targetVariable("log_bin_trust_function_creators"); v == "ON" {
		return
	}
	c.each(func(st *ddl.Statement) {
		if st.Kind != ddl.CreateRoutine {
			return
		}
		function := false
		for i := 0; i < len(st.Tokens) && i < max(st.Body, st.NameAt+1); i++ {
			t := st.Tokens[i]
			function = function || t.Is("FUNCTION") && i < st.NameAt
			if i > st.NameAt && (t.Is("DETERMINISTIC") && !st.Tokens[i-1].Is("NOT") || t.Is("READS") || t.Is("NO") && st.Tokens[min(i+1, len(st.Tokens)-1)].Is("SQL")) {
				return
			}
		}
		if function && st.Body > 0 { // one of a shared library has none
			emit(hit{st: st, from: 0, to: min(st.NameAt+1, len(st.Tokens)), object: objectOf(st)})
		}
	})
}

// ups goes through the statements of ALTER TABLE that go forward, with the table as it is in the end.
func (c *checker) ups(fn func(st *ddl.Statement, cl *ddl.Clause)) {
	for i := range c.files {
		if c.files[i].down || len(c.input.Steps) == 0 {
			continue
		}
		for j := range c.files[i].statements {
			st := &c.files[i].statements[j]
			if st.Kind == ddl.AlterTable && !c.madeHere(&c.files[i], st) {
				for n := range st.Clauses {
					fn(st, &st.Clauses[n])
				}
			}
		}
	}
}

// madeHere tells whether a file makes the table that its statement alters: nobody uses that table yet.
func (c *checker) madeHere(t *readText, st *ddl.Statement) bool {
	if t.made == nil {
		t.made = map[string]bool{}
		for i := range t.statements {
			if s := &t.statements[i]; s.Kind == ddl.CreateTable {
				t.made[keyOf(s.Schema, s.Name)] = true
			}
		}
	}
	return t.made[keyOf(st.Schema, st.Name)]
}

func oldApplication(c *checker, emit func(hit)) {
	c.ups(func(st *ddl.Statement, cl *ddl.Clause) {
		h := hit{st: st, from: cl.At.From, to: cl.At.To, object: objectOf(st)}
		switch {
		case cl.Verb == ddl.RenameTo:
			h.says = "an application of the version before still names the table as it was"
		case cl.Verb == ddl.RenameColumn, cl.Verb == ddl.ChangeColumn && cl.Table != nil && len(cl.Table.Columns) > 0 && !strings.EqualFold(cl.Name, cl.Table.Columns[0].Name):
			h.says = "an application of the version before still names column " + cl.Name
			h.object += "." + cl.Name
		case cl.Verb == ddl.DropColumn:
			h.says = "an application of the version before still names column " + cl.Name
			h.object += "." + cl.Name
		default:
			return
		}
		emit(h)
	})
	for i := range c.files {
		if c.files[i].down || len(c.input.Steps) == 0 {
			continue
		}
		for j := range c.files[i].statements {
			if st := &c.files[i].statements[j]; st.Kind == ddl.RenameTable {
				emit(hit{st: st, object: objectOf(st), says: "an application of the version before still names the table as it was"})
			}
		}
	}
}

func notNullAdded(c *checker, emit func(hit)) {
	c.ups(func(st *ddl.Statement, cl *ddl.Clause) {
		if cl.Verb != ddl.AddColumn || cl.Table == nil {
			return
		}
		for i := range cl.Table.Columns {
			if col := &cl.Table.Columns[i]; col.Null == ddl.NotNull && col.Default.From == col.Default.To && !col.Auto && col.Generated.From == col.Generated.To {
				emit(hit{st: st, from: col.At.From, to: col.At.To, object: objectOf(st) + "." + col.Name})
			}
		}
	})
}

func uniqueAdded(c *checker, emit func(hit)) {
	c.ups(func(st *ddl.Statement, cl *ddl.Clause) {
		if cl.Verb != ddl.AddKey || cl.Table == nil {
			return
		}
		for i := range cl.Table.Keys {
			if k := &cl.Table.Keys[i]; k.Kind == ddl.Unique {
				emit(hit{st: st, from: k.At.From, to: k.At.To, object: objectOf(st)})
			}
		}
	})
}

// narrowerOnWayBack finds down files that make a column smaller than what it may hold by then.
func narrowerOnWayBack(c *checker, emit func(hit)) {
	for i := range c.files {
		if !c.files[i].down {
			continue
		}
		for j := range c.files[i].statements {
			st := &c.files[i].statements[j]
			for n := range st.Clauses {
				cl := &st.Clauses[n]
				if (cl.Verb != ddl.ModifyColumn && cl.Verb != ddl.ChangeColumn) || cl.Table == nil || len(cl.Table.Columns) == 0 {
					continue
				}
				t, name := c.state.tables[keyOf(st.Schema, st.Name)], cl.Table.Columns[0].Name
				if cl.Verb == ddl.ChangeColumn {
					name = cl.Name
				}
				if t == nil || t.column(name) == nil {
					continue
				}
				if was, now := size(&t.column(name).is), size(&cl.Table.Columns[0]); was > 0 && now > 0 && now < was {
					emit(hit{st: st, from: cl.At.From, to: cl.At.To, object: objectOf(st) + "." + name})
				}
			}
		}
	}
}

// size orders the types of one sort by what they hold; 0: not known.
func size(c *ddl.Column) int {
	switch c.Type {
	case "TINYINT":
		return 1
	case "SMALLINT":
		return 2
	case "MEDIUMINT":
		return 3
	case "INT", "INTEGER":
		return 4
	case "BIGINT":
		return 8
	case "CHAR", "VARCHAR", "BINARY", "VARBINARY":
		n := 0
		if len(c.Args) == 1 {
			_, _ = fmt.Sscan(c.Args[0], &n)
		}
		return n
	}
	return 0
}

func systemSchema(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		if strings.EqualFold(st.Schema, "mysql") {
			emit(hit{st: st, object: objectOf(st)})
			return
		}
		if st.Kind != ddl.Change {
			return
		}
		for i := 0; i+2 < len(st.Tokens); i++ {
			if (st.Tokens[i].Is("INTO", "FROM", "UPDATE")) && strings.EqualFold(st.Tokens[i+1].Name(), "mysql") && st.Tokens[i+2].Is(".") {
				emit(hit{st: st, from: i, to: min(i+4, len(st.Tokens)), object: "mysql"})
				return
			}
		}
	})
}

// definition tells whether a statement commits by itself.
func definition(k ddl.Kind) bool {
	switch k {
	case ddl.Other, ddl.Set, ddl.Query, ddl.Change:
		return false
	}
	return true
}

func versions(c *checker, emit func(hit)) {
	for i := 1; i < len(c.input.Steps); i++ {
		a, b := c.input.Steps[i-1], c.input.Steps[i]
		if a.Version == b.Version {
			emit(hit{object: fmt.Sprintf("version %d", b.Version), evidence: a.Title + ", " + b.Title, says: fmt.Sprintf("version %d is there twice: %s and %s", b.Version, a.Title, b.Title)})
		}
	}
	for _, odd := range c.input.Odd {
		name := path.Base(odd)
		if strings.HasSuffix(odd, "/") {
			name += "/"
		}
		emit(hit{object: name, evidence: name, says: name + " is no name of a migration: golang-migrate passes it over in silence"})
	}
}

func severalDDL(c *checker, emit func(hit)) {
	if len(c.input.Steps) == 0 {
		return
	}
	for i := range c.files {
		n := 0
		for j := range c.files[i].statements {
			st := &c.files[i].statements[j]
			if !definition(st.Kind) {
				continue
			}
			if n++; n == 2 {
				emit(hit{st: st, from: 0, to: min(2, len(st.Tokens)), object: path.Base(c.files[i].file.Name), evidence: path.Base(c.files[i].file.Name)})
			}
		}
	}
}

func transactionAboutDDL(c *checker, emit func(hit)) {
	if len(c.input.Steps) == 0 {
		return
	}
	for i := range c.files {
		var begun *ddl.Statement
		for j := range c.files[i].statements {
			st := &c.files[i].statements[j]
			switch {
			case len(st.Tokens) > 0 && (st.Tokens[0].Is("BEGIN") || st.Tokens[0].Is("START")):
				begun = st
			case len(st.Tokens) > 0 && st.Tokens[0].Is("COMMIT", "ROLLBACK"):
				begun = nil
			case begun != nil && definition(st.Kind):
				emit(hit{st: begun, object: path.Base(c.files[i].file.Name)})
				begun = nil
			}
		}
	}
}

func sessionLeft(c *checker, emit func(hit)) {
	if len(c.input.Steps) == 0 {
		return
	}
	for i := range c.files {
		last := map[string]*ddl.Statement{}
		var order []string
		for j := range c.files[i].statements {
			st := &c.files[i].statements[j]
			if st.Kind != ddl.Set || len(st.Tokens) < 3 {
				continue
			}
			at := 1
			if st.Tokens[1].Is("SESSION", "LOCAL") {
				at = 2
			}
			name := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(st.Tokens[at].Name()), "@@session."), "@@"))
			if strings.HasPrefix(name, "@") || st.Tokens[1].Is("GLOBAL", "PERSIST", "ROLE", "PASSWORD", "TRANSACTION") {
				continue
			}
			if last[name] == nil {
				order = append(order, name)
				last[name] = st
				continue
			}
			delete(last, name) // set again: put back
			order = slices.DeleteFunc(order, func(n string) bool { return n == name })
		}
		for _, name := range order {
			emit(hit{st: last[name], object: path.Base(c.files[i].file.Name), says: "the session keeps " + name + " for the files that follow"})
		}
	}
}

func destructive(c *checker, emit func(hit)) {
	for i := range c.files {
		if c.files[i].down || len(c.input.Steps) == 0 {
			continue
		}
		for j := range c.files[i].statements {
			st := &c.files[i].statements[j]
			switch {
			case st.Kind == ddl.DropTable && !st.Temporary, st.Kind == ddl.TruncateTable:
				emit(hit{st: st, object: objectOf(st)})
			case st.Kind == ddl.Change && len(st.Tokens) > 0 && st.Tokens[0].Is("DELETE") && !slices.ContainsFunc(st.Tokens, func(t ddl.Token) bool { return t.Is("WHERE", "LIMIT", "JOIN", "USING") }):
				emit(hit{st: st, object: objectOf(st), says: "DELETE without WHERE"})
			case st.Kind == ddl.AlterTable:
				for n := range st.Clauses {
					if cl := &st.Clauses[n]; cl.Verb == ddl.DropColumn {
						emit(hit{st: st, from: cl.At.From, to: cl.At.To, object: objectOf(st) + "." + cl.Name})
					}
				}
			}
		}
	}
}
