package realworld

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat/ddl"
)

// sameAsServer compares what the reader made of a statement with what the server, which took it, made of it.
func sameAsServer(t *testing.T, s *session, st *ddl.Statement) {
	t.Helper()
	switch st.Kind {
	case ddl.CreateTable:
		sameTable(t, s, st)
	case ddl.AlterTable:
		for i := range st.Clauses {
			sameClause(t, s, st, &st.Clauses[i])
		}
	case ddl.CreateIndex:
		s.has(t, st, "STATISTICS", "INDEX_NAME", st.Index.Name, true)
	case ddl.DropIndex:
		s.has(t, st, "STATISTICS", "INDEX_NAME", st.Index.Name, false)
	case ddl.CreateView:
		s.has(t, st, "VIEWS", "TABLE_NAME", st.Name, true)
	case ddl.CreateTrigger:
		s.has(t, st, "TRIGGERS", "TRIGGER_NAME", st.Name, true)
	case ddl.CreateRoutine:
		s.has(t, st, "ROUTINES", "ROUTINE_NAME", st.Name, true)
	case ddl.CreateEvent:
		s.has(t, st, "EVENTS", "EVENT_NAME", st.Name, true)
	case ddl.DropTable:
		for _, n := range st.Names {
			s.has(t, st, "TABLES", "TABLE_NAME", n.Name, false)
		}
	case ddl.RenameTable:
		for i, n := range st.Names {
			s.has(t, st, "TABLES", "TABLE_NAME", n.Name, i%2 == 1)
		}
	}
}

// columnsOf are the columns of information_schema that have an object's database; of what belongs to a table, and
// its name.
var columnsOf = map[string][2]string{
	"TABLES": {"TABLE_SCHEMA"}, "VIEWS": {"TABLE_SCHEMA"}, "TRIGGERS": {"TRIGGER_SCHEMA"}, "ROUTINES": {"ROUTINE_SCHEMA"}, "EVENTS": {"EVENT_SCHEMA"},
	"COLUMNS": {"TABLE_SCHEMA", "TABLE_NAME"}, "STATISTICS": {"TABLE_SCHEMA", "TABLE_NAME"}, "TABLE_CONSTRAINTS": {"TABLE_SCHEMA", "TABLE_NAME"},
}

// has fails the test if the server has no such object of the statement, or, if it shall not, has it.
func (s *session) has(t *testing.T, st *ddl.Statement, list, column, name string, shall bool) {
	t.Helper()
	where := columnsOf[list]
	query := "SELECT 1 FROM information_schema." + list + " WHERE " + where[0] + " = DATABASE() AND " + column + " = ?"
	args := []any{name}
	if where[1] != "" {
		query, args = query+" AND "+where[1]+" = ?", append(args, st.Name)
	}
	if has := len(s.rows(query, args...)) > 0; has != shall {
		line, _ := st.Pos(0)
		t.Errorf("%s:%d: %s of %s: %q is there: %v, not %v", st.File.Name, line, list, st.Name, name, has, shall)
	}
}

// sameClause looks whether the server has, or has no more, what a clause of ALTER TABLE is about. Others of its
// clauses may be about the same; such a statement is passed over.
func sameClause(t *testing.T, s *session, st *ddl.Statement, c *ddl.Clause) {
	t.Helper()
	if slices.ContainsFunc(st.Clauses, func(o ddl.Clause) bool { return o.Verb == ddl.RenameTo }) {
		return
	}
	switch c.Verb {
	case ddl.AddColumn, ddl.ModifyColumn, ddl.ChangeColumn:
		for _, col := range c.Table.Columns {
			s.has(t, st, "COLUMNS", "COLUMN_NAME", col.Name, true)
		}
	case ddl.RenameColumn:
		s.has(t, st, "COLUMNS", "COLUMN_NAME", c.NewName, true)
	case ddl.DropColumn:
		s.has(t, st, "COLUMNS", "COLUMN_NAME", c.Name, false)
	case ddl.AddKey:
		for _, k := range c.Table.Keys {
			switch {
			case k.Kind == ddl.Foreign && k.Name != "":
				s.has(t, st, "TABLE_CONSTRAINTS", "CONSTRAINT_NAME", k.Name, true)
			case k.Kind == ddl.Primary:
				s.has(t, st, "STATISTICS", "INDEX_NAME", "PRIMARY", true)
			case k.Name != "":
				s.has(t, st, "STATISTICS", "INDEX_NAME", k.Name, true)
			}
		}
	case ddl.DropKey:
		again := slices.ContainsFunc(st.Clauses, func(o ddl.Clause) bool { return o.Verb == ddl.AddKey })
		switch {
		case again:
		case c.What == "INDEX":
			s.has(t, st, "STATISTICS", "INDEX_NAME", c.Name, false)
		case c.What == "PRIMARY KEY":
			s.has(t, st, "STATISTICS", "INDEX_NAME", "PRIMARY", false)
		default:
			s.has(t, st, "TABLE_CONSTRAINTS", "CONSTRAINT_NAME", c.Name, false)
		}
	}
}

func sameTable(t *testing.T, s *session, st *ddl.Statement) {
	t.Helper()
	if st.Temporary || st.Table.Like || st.Table.Select || st.IfExists {
		return
	}
	line, _ := st.Pos(0)
	differ := func(what string, ours, server []string) {
		if !slices.Equal(ours, server) {
			t.Errorf("%s:%d: %s of %s\n\tread: %q\n\tmade: %q", st.File.Name, line, what, st.Name, ours, server)
		}
	}
	differ("columns", readColumns(st), madeColumns(s, st.Name))
	differ("foreign keys", readForeign(st), madeForeign(s, st.Name))
	keys := readKeys(st)
	differ("keys", keys, madeKeys(s, st, keys))
}

// names of types as information_schema has them, where they are others than as they are written.
var sameTypes = map[string]string{"integer": "int", "dec": "decimal", "numeric": "decimal", "fixed": "decimal", "character": "char", "bool": "tinyint", "boolean": "tinyint",
	"real": "double", "double precision": "double", "character varying": "varchar", "serial": "bigint", "int8": "bigint", "int4": "int", "int2": "smallint"}

func readColumns(st *ddl.Statement) (out []string) {
	primary := map[string]bool{}
	for _, k := range st.Table.Keys {
		if k.Kind == ddl.Primary {
			for _, p := range k.Parts {
				primary[strings.ToLower(p.Column)] = true
			}
		}
	}
	for _, c := range st.Table.Columns {
		kind := strings.ToLower(c.Type)
		if same := sameTypes[kind]; same != "" {
			kind = same
		}
		words := []string{c.Name, kind}
		if c.Unsigned {
			words = append(words, "unsigned")
		}
		if c.Null == ddl.NotNull || c.Primary || primary[strings.ToLower(c.Name)] {
			words = append(words, "not null")
		}
		if c.Auto {
			words = append(words, "auto_increment")
		}
		if c.Default.From < c.Default.To && !st.Tokens[c.Default.From].Is("NULL") && !lost(&c) {
			words = append(words, "default")
		}
		if c.Generated.From < c.Generated.To {
			words = append(words, "generated")
		}
		if c.Comment != "" {
			words = append(words, "comment "+c.Comment)
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func madeColumns(s *session, table string) (out []string) {
	for _, r := range s.rows("SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, EXTRA, COALESCE(COLUMN_DEFAULT, 'NULL') <> 'NULL', GENERATION_EXPRESSION, COLUMN_COMMENT"+
		" FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION", table) {
		words := []string{r[0], r[1]}
		if strings.Contains(r[2], "unsigned") {
			words = append(words, "unsigned")
		}
		if r[3] == "NO" {
			words = append(words, "not null")
		}
		if strings.Contains(r[4], "auto_increment") {
			words = append(words, "auto_increment")
		}
		if r[5] == "1" && !strings.HasSuffix(r[1], "text") && !strings.HasSuffix(r[1], "blob") {
			words = append(words, "default")
		}
		if r[6] != "" {
			words = append(words, "generated")
		}
		if r[7] != "" {
			words = append(words, "comment "+r[7])
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

// lost tells whether a MySQL that is not strict drops a column's default; a MariaDB keeps it.
func lost(c *ddl.Column) bool {
	return strings.HasSuffix(c.Type, "TEXT") || strings.HasSuffix(c.Type, "BLOB")
}

// readKeys are the keys with their parts. A name that is not said is that of the first column, or, if that is
// taken, with a number.
func readKeys(st *ddl.Statement) (out []string) {
	lengths := map[string]string{}
	taken := map[string]int{}
	add := func(name string, parts ...string) {
		if taken[name]++; taken[name] > 1 {
			name = fmt.Sprintf("%s_%d", name, taken[name])
		}
		out = append(out, name+" "+strings.Join(parts, " "))
	}
	for _, c := range st.Table.Columns {
		if len(c.Args) == 1 {
			lengths[strings.ToLower(c.Name)] = c.Args[0]
		}
		switch name := strings.ToLower(c.Name); {
		case c.Primary:
			add("primary", name+"(0)")
		case c.Unique:
			add(name, name+"(0)")
		}
	}
	for _, k := range st.Table.Keys {
		if k.Kind == ddl.Foreign {
			continue
		}
		name := strings.ToLower(k.Name)
		var parts []string
		for _, p := range k.Parts {
			column := strings.ToLower(p.Column)
			prefix := fmt.Sprint(p.Prefix)
			if prefix == lengths[column] { // all of it
				prefix = "0"
			}
			parts = append(parts, column+"("+prefix+")")
			name = cmp.Or(name, column)
		}
		if k.Kind == ddl.Primary {
			name = "primary"
		}
		add(name, parts...)
	}
	slices.Sort(out)
	return out
}

// madeKeys leaves out those that the server made by itself for a foreign key, which are not among the read ones.
func madeKeys(s *session, st *ddl.Statement, read []string) (out []string) {
	own := map[string]bool{}
	for _, k := range st.Table.Keys {
		if k.Kind == ddl.Foreign {
			var parts []string
			for _, p := range k.Parts {
				parts = append(parts, strings.ToLower(p.Column)+"(0)")
			}
			own[strings.Join(parts, " ")] = true
		}
	}
	for _, c := range st.Table.Columns {
		if c.References.From < c.References.To {
			own[strings.ToLower(c.Name)+"(0)"] = true
		}
	}
	for _, r := range s.rows("SELECT LOWER(INDEX_NAME), GROUP_CONCAT(CONCAT(LOWER(COLUMN_NAME), '(', COALESCE(SUB_PART, 0), ')') ORDER BY SEQ_IN_INDEX SEPARATOR ' ')"+
		" FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? GROUP BY 1", st.Name) {
		if key := r[0] + " " + r[1]; slices.Contains(read, key) || !own[r[1]] {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// readForeign are the foreign keys, also those within a column's definition, which MySQL 9 makes.
func readForeign(st *ddl.Statement) (out []string) {
	keys := slices.Clone(st.Table.Keys)
	for _, c := range st.Table.Columns {
		if c.Parent != nil {
			keys = append(keys, *c.Parent)
		}
	}
	for _, k := range keys {
		if k.Kind != ddl.Foreign {
			continue
		}
		var own []string
		for _, p := range k.Parts {
			own = append(own, p.Column)
		}
		out = append(out, strings.ToLower(fmt.Sprintf("%s to %s (%s)", strings.Join(own, ","), k.RefTable, strings.Join(k.RefColumns, ","))+actions(k.OnDelete, k.OnUpdate)))
	}
	slices.Sort(out)
	return out
}

// actions leaves out what is the default anyway.
func actions(onDelete, onUpdate string) (out string) {
	for _, a := range [][2]string{{" on delete ", onDelete}, {" on update ", onUpdate}} {
		if a[1] != "" && a[1] != "NO ACTION" && a[1] != "RESTRICT" {
			out += a[0] + a[1]
		}
	}
	return out
}

func madeForeign(s *session, table string) (out []string) {
	for _, r := range s.rows("SELECT GROUP_CONCAT(k.COLUMN_NAME ORDER BY k.ORDINAL_POSITION), r.REFERENCED_TABLE_NAME,"+
		" GROUP_CONCAT(k.REFERENCED_COLUMN_NAME ORDER BY k.ORDINAL_POSITION), r.DELETE_RULE, r.UPDATE_RULE"+
		" FROM information_schema.REFERENTIAL_CONSTRAINTS r JOIN information_schema.KEY_COLUMN_USAGE k USING (CONSTRAINT_SCHEMA, CONSTRAINT_NAME, TABLE_NAME)"+
		" WHERE r.CONSTRAINT_SCHEMA = DATABASE() AND r.TABLE_NAME = ? GROUP BY r.CONSTRAINT_NAME, r.REFERENCED_TABLE_NAME, r.DELETE_RULE, r.UPDATE_RULE", table) {
		out = append(out, strings.ToLower(fmt.Sprintf("%s to %s (%s)", r[0], r[1], r[2])+actions(r[3], r[4])))
	}
	slices.Sort(out)
	return out
}

// What MariaDB makes of its own sys schema, whose text has every sort of stored program, is what the reader reads.
func TestTheReaderKnowsMariaDBsOwnSchema(t *testing.T) {
	root, err := sandbox.DebianFiles(t.Context(), "sys", []string{"mariadb-server-core"}, []string{"usr/share/mysql/mysql_sys_schema.sql"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "usr/share/mysql/mysql_sys_schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	var read []string
	for _, st := range ddl.Read(ddl.NewFile("sys.sql", string(text)), ddl.MariaDB, false) {
		switch st.Kind {
		case ddl.CreateView, ddl.CreateRoutine, ddl.CreateTrigger:
			read = append(read, strings.ToLower(st.Name))
		case ddl.Other: // some views are made within BEGIN NOT ATOMIC, for servers that can't
			for i := 1; i+1 < len(st.Tokens); i++ {
				if st.Tokens[0].Is("BEGIN") && st.Tokens[i].Is("VIEW") {
					read = append(read, strings.ToLower(st.Tokens[i+1].Name()))
				}
			}
		}
	}
	var made []string
	for _, r := range newSession(t, sandboxtest.MariaDBSource(t)).rows("SELECT LOWER(TABLE_NAME) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = 'sys'" +
		" UNION ALL SELECT LOWER(ROUTINE_NAME) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'sys'" +
		" UNION ALL SELECT LOWER(TRIGGER_NAME) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'sys'") {
		made = append(made, r[0])
	}
	slices.Sort(read)
	slices.Sort(made)
	if d := gocmp.Diff(made, read); d != "" || len(made) < 100 {
		t.Errorf("%d are made: made (-), read (+):\n%s", len(made), d)
	}
}
