package compat

import (
	"maps"
	"path"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"rebuilds":         rebuilds,
		"not-understood":   notUnderstood,
		"not-the-same":     notTheSame,
		"client-command":   clientCommand,
		"without-way-down": withoutWayDown,
	})
}

// forward goes through the statements of migrations that go forward.
func (c *checker) forward(fn func(t *readText, st *ddl.Statement)) {
	if len(c.input.Steps) == 0 {
		return
	}
	for i := range c.files {
		if c.files[i].down {
			continue
		}
		for j := range c.files[i].statements {
			fn(&c.files[i], &c.files[i].statements[j])
		}
	}
}

// rebuilds finds clauses of ALTER TABLE for which a server copies the table, or lets nobody write meanwhile. What
// it takes to change a column is known by what the column was, so all statements are gone through once more. One
// that says ALGORITHM=INSTANT, or LOCK=NONE, fails instead of blocking.
func rebuilds(c *checker, emit func(hit)) {
	before := &state{tables: map[string]*table{}}
	c.forward(func(file *readText, st *ddl.Statement) {
		if t := before.tables[keyOf(st.Schema, st.Name)]; st.Kind == ddl.AlterTable && t != nil && !c.madeHere(file, st) && !asserted(st) {
			for i := range st.Clauses {
				cl := &st.Clauses[i]
				if why := t.rebuiltBy(st, cl); why != "" {
					emit(hit{st: st, from: cl.At.From, to: cl.At.To, object: objectOf(st), says: why})
				}
			}
		}
		before.apply(st)
	})
}

// asserted tells whether a statement would fail rather than block writers.
func asserted(st *ddl.Statement) bool {
	return slices.ContainsFunc(st.Clauses, func(cl ddl.Clause) bool {
		return cl.What == "ALGORITHM" && strings.EqualFold(cl.Name, "INSTANT") || cl.What == "LOCK" && strings.EqualFold(cl.Name, "NONE")
	})
}

// rebuiltBy is why writers wait for a clause; empty if they don't, or it is not known.
func (t *table) rebuiltBy(st *ddl.Statement, cl *ddl.Clause) string {
	switch cl.Verb {
	case ddl.ConvertCharset:
		return "another character set: the table is copied, and nobody writes meanwhile"
	case ddl.DropKey:
		if cl.What == "PRIMARY KEY" && !slices.ContainsFunc(st.Clauses, func(o ddl.Clause) bool {
			return o.Verb == ddl.AddKey && o.Table != nil && slices.ContainsFunc(o.Table.Keys, func(k ddl.Key) bool { return k.Kind == ddl.Primary })
		}) {
			return "without its primary key the table is copied, and nobody writes meanwhile"
		}
	case ddl.AddKey:
		for _, k := range cl.Table.Keys {
			switch k.Kind {
			case ddl.Foreign:
				return "a new foreign key, with checks on: the table is copied, and nobody writes meanwhile"
			case ddl.FullText, ddl.Spatial:
				return "nobody writes while a FULLTEXT or SPATIAL key is made"
			}
		}
		if len(cl.Table.Checks) > 0 {
			return "a new CHECK: the table is copied, and nobody writes meanwhile"
		}
	case ddl.AddColumn:
		for i := range cl.Table.Columns {
			switch col := &cl.Table.Columns[i]; {
			case col.Generated.From < col.Generated.To && col.Stored:
				return "a new stored column: the table is copied, and nobody writes meanwhile"
			case col.Auto:
				return "a new AUTO_INCREMENT column: nobody writes while it is made"
			}
		}
	case ddl.ModifyColumn, ddl.ChangeColumn:
		return t.changed(cl)
	case ddl.Partitioning:
		if cl.What == "PARTITION" || cl.What == "REMOVE" {
			return "the table is copied into its partitions, or out of them, and nobody writes meanwhile"
		}
	}
	return ""
}

// changed is why writers wait for a column's new definition.
func (t *table) changed(cl *ddl.Clause) string {
	if cl.Table == nil || len(cl.Table.Columns) == 0 {
		return ""
	}
	now, name := &cl.Table.Columns[0], cl.Table.Columns[0].Name
	if cl.Verb == ddl.ChangeColumn {
		name = cl.Name
	}
	was := t.column(name)
	if was == nil || was.is.Type == "" || now.Type == "" {
		return ""
	}
	const copied = ": the table is copied, and nobody writes meanwhile"
	switch before, after := t.charset(&was.is), t.charset(now); {
	case like(&was.is) != like(now):
		return "another type" + copied
	case slices.Contains(texts, now.Type) && (before != after || !strings.EqualFold(was.is.Collation, now.Collation)):
		return "another character set or collation" + copied
	case now.Type == "VARCHAR" || now.Type == "VARBINARY":
		a, _, _ := t.columnBytes(&was.is)
		b, _, _ := t.columnBytes(now)
		if b < a || a <= 256 && b > 257 { // the length takes another byte
			return "a length that is smaller, or beyond 255 bytes for the first time" + copied
		}
	case now.Type == "ENUM" || now.Type == "SET":
		if len(now.Args) < len(was.is.Args) || !slices.Equal(was.is.Args, now.Args[:len(was.is.Args)]) {
			return "other values than at the end of the list" + copied
		}
	case !slices.Contains(wholes, now.Type) && !slices.Equal(was.is.Args, now.Args):
		return "another size" + copied
	}
	return ""
}

// verbs are first words of statements that need no reading: they define nothing.
var verbs = []string{"SHOW", "EXPLAIN", "DESCRIBE", "DESC", "USE", "BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "LOCK", "UNLOCK", "FLUSH", "RESET", "ANALYZE", "OPTIMIZE",
	"CHECK", "REPAIR", "CHECKSUM", "DO", "CALL", "PREPARE", "EXECUTE", "DEALLOCATE", "XA", "KILL", "HANDLER", "INSTALL", "UNINSTALL", "HELP", "SIGNAL", "RESIGNAL", "GET", "IMPORT", "CACHE",
	"BINLOG", "PURGE", "CHANGE", "STOP", "SHUTDOWN", "RESTART", "CLONE", "BACKUP", "IF", "CASE", "LOOP", "REPEAT", "WHILE", "FOR", "DECLARE", "DELIMITER", "SOURCE"}

// things are what CREATE, ALTER and DROP have behind them in statements that the reader leaves alone.
var things = []string{"DATABASE", "SCHEMA", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SEQUENCE", "PACKAGE", "SERVER", "TABLESPACE", "UNDO", "LOGFILE", "RESOURCE", "INSTANCE",
	"SPATIAL", "OR", "PREPARE", "LIBRARY", "JSON", "AGGREGATE", "TEMPORARY", "MASKING"}

// clauses are first words of clauses of ALTER TABLE that the reader passes over, knowingly.
var clauses = []string{"ADD", "DROP", "ALTER", "ORDER", "DISCARD", "IMPORT", "INDEX", "CHECK", "CONSTRAINT", "KEY", "PERIOD", "SYSTEM VERSIONING", "VALIDATE", "UPGRADE", "SECONDARY_LOAD", "SECONDARY_UNLOAD"}

// notUnderstood finds what the reader does not know: no rule has looked at it.
func notUnderstood(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		if len(st.Tokens) == 0 {
			return
		}
		first := st.Tokens[0]
		if len(st.Tokens) == 1 && (first.Is("SOURCE") || first.Text == `\.`) && len(c.input.Steps) == 0 {
			line, _ := st.Pos(0)
			c.unchecked("%s:%d reads another file, %s, which was not looked at", path.Base(st.File.Name), line, strings.TrimSpace(st.File.Text[first.End:st.End]))
			return
		}
		if st.Kind == ddl.Other && !first.Is(verbs...) && !(first.Is("CREATE", "ALTER", "DROP") && len(st.Tokens) > 1 && st.Tokens[1].Is(things...)) && !first.Is("(") && (len(st.Tokens) < 2 || !st.Tokens[1].Is(":")) {
			emit(hit{st: st, from: 0, to: min(2, len(st.Tokens))})
		}
		if st.Kind != ddl.AlterTable {
			return
		}
		for i := range st.Clauses {
			if cl := &st.Clauses[i]; cl.Verb == ddl.OtherClause && !slices.Contains(clauses, cl.What) {
				emit(hit{st: st, from: cl.At.From, to: cl.At.To, object: objectOf(st)})
			}
		}
	})
}

// notTheSame finds statements of migrations that do not do the same on each server where they run.
func notTheSame(c *checker, emit func(hit)) {
	unsteady := []string{"UUID", "UUID_SHORT", "RAND", "RANDOM_BYTES", "NOW", "SYSDATE", "CURDATE", "CURTIME", "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "LOCALTIME", "LOCALTIMESTAMP",
		"UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", "UNIX_TIMESTAMP", "CONNECTION_ID", "LAST_INSERT_ID"}
	c.forward(func(_ *readText, st *ddl.Statement) {
		if st.Kind != ddl.Change || st.Tokens[0].Is("CALL") {
			return
		}
		limited, sorted := -1, false
		for i, t := range st.Tokens {
			call := i+1 < len(st.Tokens) && st.Tokens[i+1].Is("(")
			switch {
			case i > 0 && st.Tokens[i-1].Is("."):
			case t.Is(unsteady...) && (call || t.Is(bare...)):
				emit(hit{st: st, from: i, to: i + 1, object: objectOf(st), says: strings.ToUpper(t.Text) + " is another value on each server, and each time"})
				return
			case t.Is("LIMIT"):
				limited = i
			case t.Is("ORDER"):
				sorted = true
			}
		}
		if limited > 0 && !sorted {
			emit(hit{st: st, from: limited, to: limited + 1, object: objectOf(st), says: "LIMIT without ORDER BY takes other rows on each server"})
		}
	})
}

// clientCommand finds commands of the client in migrations, which the driver sends to the server.
func clientCommand(c *checker, emit func(hit)) {
	if len(c.input.Steps) == 0 {
		return // a dump is for the client
	}
	for i := range c.files {
		f := c.files[i].file
		for _, command := range f.Commands() {
			emit(hit{st: &ddl.Statement{File: f, Start: command.Start, End: command.End}, object: path.Base(f.Name)}) // it is in no statement
		}
	}
}

func withoutWayDown(c *checker, emit func(hit)) {
	for _, s := range c.input.Steps {
		if s.Down == nil && s.Up != nil {
			name := path.Base(s.Up.Name)
			emit(hit{object: name, evidence: name})
		}
	}
}
