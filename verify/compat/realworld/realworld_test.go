package realworld

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat"
	"changeover/verify/compat/ddl"
)

// standIn is the profile of the server that is asked: a MySQL 9.7 that refuses other engines, as Aurora does.
func standIn(t *testing.T) *compat.Profile {
	t.Helper()
	p, err := compat.LoadProfile("mysql-9.7")
	if err != nil {
		t.Fatal(err)
	}
	p.Aurora = true
	return p
}

// answers are what the server says to rules whose errno is not of this server: it is not Aurora.
var answers = map[string][]int{
	"AUR101": {3161}, // the engine is disabled
}

// facts are how a server is asked about rules that it answers with no error to root: "" is its no.
var facts = map[string]func(s *session, a *asked) string{
	"IDX501": func(s *session, a *asked) string {
		if len(s.rows("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?", a.st.Name)) == 1 &&
			len(s.rows("SELECT 1 FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND CONSTRAINT_TYPE = 'PRIMARY KEY'", a.st.Name)) == 0 {
			return "it has none"
		}
		return ""
	},
	"AUR111": mayNot,
	"AUR118": mayNot,
}

// mayNot is the answer to the account that has the privileges of Aurora's.
func mayNot(_ *session, a *asked) string {
	if a.denied {
		return "1227 to Aurora's account"
	}
	return ""
}

// missed are the statements that the server refuses and check has no word for.
var missed = []struct {
	schema string
	errno  int
	begins string
	why    string
}{
	{"cacti", 1231, "SET SESSION sql_mode", "it puts NO_AUTO_CREATE_USER back, of a variable"},
	{"cacti", 1366, "INSERT INTO `sites`", "a value of a row: '' for a number"},
}

// others are the statements of Kind Other that these schemas have: the reader need not know more of them.
var others = []string{"BEGIN", "COMMIT", "DROP", "LOCK", "SOURCE", "START", "UNLOCK", "USE"}

// verdict is what came of one error of the check.
type verdict struct {
	finding compat.Finding
	says    string // the server: "1067", "warning 1101", "it has none", "no", "not asked: 1064 comes first"
}

// result is what came of a schema.
type result struct {
	schema                    *schema
	lines, statements, tables int
	warnings, infos           int
	verdicts                  []verdict
	// refused are the server's: asError and asWarning are those that check told of.
	refused, asError, asWarning int
	missed                      []string
}

// Every schema is read and checked, the same each time; what check calls an error the server refuses, and what the
// server refuses check has a word for. Some are also loaded into a MariaDB and into a MySQL, and what these dump is
// judged likewise.
func TestSchemasThatNobodyHereWrote(t *testing.T) {
	root, server := unpacked(t), sandboxtest.Target(t)
	j := &judge{server: server, used: map[int]bool{}}
	for i := range schemas {
		s := &schemas[i]
		t.Run(s.name, func(t *testing.T) {
			in := s.input(t, root)
			checkEverywhere(t, in)
			database := j.judge(t, s, in, compat.Options{To: standIn(t)})
			if !s.dumped {
				return
			}
			t.Run("mysqldump", func(t *testing.T) {
				dumped := *s
				dumped.name += ", by mysqldump"
				j.judge(t, &dumped, dump(t, "mysqldump", server, database), compat.Options{From: "mysql", To: standIn(t)})
			})
			t.Run("mariadb-dump", func(t *testing.T) {
				dumped := *s
				dumped.name += ", by mariadb-dump"
				source := sandboxtest.MariaDBSource(t)
				j.judge(t, &dumped, dump(t, "mariadb-dump", source, load(t, source, in)), compat.Options{From: "mariadb", To: standIn(t)})
			})
		})
	}
	for i, m := range missed {
		ran := slices.ContainsFunc(j.results, func(x *result) bool { return x.schema.name == m.schema })
		if ran && !j.used[i] {
			t.Errorf("the server refuses no %s of %s with %d any more, or check says so now: %s", m.begins, m.schema, m.errno, m.why)
		}
	}
	if file := os.Getenv("CHANGEOVER_CHECK_REPORT"); file != "" && !t.Failed() {
		version := newSession(t, server).rows("SELECT VERSION()")[0][0]
		before, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(document(j.results, version, string(before))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// judge compares what check says with what a server says.
type judge struct {
	server  *sandboxtest.Server
	results []*result
	used    map[int]bool // of missed
}

// judge checks a schema and loads it; it gives the database, in which it stays until the test ends.
func (j *judge) judge(t *testing.T, s *schema, in *compat.Input, o compat.Options) string {
	t.Helper()
	r := check(t, in, o)
	x := &result{schema: s, warnings: r.Summary.Warning, infos: r.Summary.Info}
	session := newSession(t, j.server)
	var all []asked
	for _, f := range in.Files {
		x.lines += strings.Count(f.Text, "\n")
		commands := f.Commands()
		for _, st := range ddl.Read(f, dialect(o), false) {
			understood(t, &st)
			a := session.ask(st, commands)
			if a.errno == 0 && !a.skipped {
				sameAsServer(t, session, &st)
			}
			all = append(all, a)
		}
	}
	for i := range all {
		x.weigh(t, session, &all[i], r, j.used)
	}
	j.results = append(j.results, x)
	return session.database
}

// dialect is what check reads by.
func dialect(o compat.Options) ddl.Dialect {
	if o.From == "mariadb" {
		return ddl.MariaDB
	}
	return ddl.MySQL
}

// load runs a schema on a source, which may refuse some of it, and gives its database.
func load(t *testing.T, source *sandboxtest.Server, in *compat.Input) string {
	t.Helper()
	session := newSession(t, source)
	for _, f := range in.Files {
		commands := f.Commands()
		for _, st := range ddl.Read(f, ddl.MariaDB, false) {
			if a := session.ask(st, commands); a.errno == 0 && !a.skipped {
				sameAsServer(t, session, &st)
			}
		}
	}
	return session.database
}

// dump has a server's own program write a database down.
func dump(t *testing.T, program string, from *sandboxtest.Server, database string) *compat.Input {
	t.Helper()
	tool, err := sandbox.FindTool(t.Context(), program, nil)
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := from.DefaultsFile(sandbox.Root)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--defaults-file=" + defaults, "--no-data", "--routines", "--triggers", "--events", database}
	if program == "mariadb-dump" { // it wants TLS, of which a sandbox has none
		args = slices.Insert(args, 1, "--skip-ssl")
	}
	cmd := tool.Command(t.Context(), args...)
	var text, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, errs.String())
	}
	return &compat.Input{Files: []*ddl.File{ddl.NewFile(program+".sql", text.String())}}
}

// check checks twice, and wants one report.
func check(t *testing.T, in *compat.Input, o compat.Options) *compat.Report {
	t.Helper()
	o.Now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var texts [2]strings.Builder
	var report *compat.Report
	for i := range texts {
		r, err := compat.Check(t.Context(), in, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Write(&texts[i], "json", true); err != nil {
			t.Fatal(err)
		}
		report = r
	}
	if texts[0].String() != texts[1].String() {
		t.Error("a second check says something else")
	}
	return report
}

// checkEverywhere checks for each target that is known, and as a MariaDB's.
func checkEverywhere(t *testing.T, in *compat.Input) {
	t.Helper()
	for _, name := range compat.ProfileNames() {
		to, err := compat.LoadProfile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := compat.Check(t.Context(), in, compat.Options{From: "mariadb", To: to}); err != nil {
			t.Errorf("for %s: %v", name, err)
		}
	}
}

// understood fails the test if the reader did not make out a statement.
func understood(t *testing.T, st *ddl.Statement) {
	t.Helper()
	line, _ := st.Pos(0)
	unread := func(what string) {
		t.Errorf("%s:%d: %s of %.80q", st.File.Name, line, what, st.File.Text[st.Start:st.End])
	}
	first := st.Tokens[0]
	switch {
	case st.Kind == ddl.Other && !first.Is(others...):
		unread("the kind")
	case st.Kind == ddl.CreateTable && (st.Name == "" || !st.Table.Like && !st.Table.Select && len(st.Table.Columns) == 0):
		unread("the table")
	case st.Kind == ddl.AlterTable && len(st.Clauses) == 0:
		unread("the clauses")
	}
	column := func(c *ddl.Column) {
		for _, i := range c.Rest {
			unread("the word " + st.Tokens[i].Text)
		}
	}
	if st.Table != nil {
		for i := range st.Table.Columns {
			column(&st.Table.Columns[i])
		}
	}
	for i := range st.Clauses {
		c := &st.Clauses[i]
		if c.Verb == ddl.OtherClause {
			unread("clause " + st.Between(c.At))
		}
		if c.Table != nil {
			for i := range c.Table.Columns {
				column(&c.Table.Columns[i])
			}
		}
	}
}

// weigh compares what check says about a statement with what the server says.
func (x *result) weigh(t *testing.T, s *session, a *asked, r *compat.Report, used map[int]bool) {
	t.Helper()
	x.statements++
	if a.st.Kind == ddl.CreateTable {
		x.tables++
	}
	line, _ := a.st.Pos(0)
	place := fmt.Sprintf("%s:%d", a.st.File.Name, line)
	told := compat.Severity("")
	for _, f := range r.Findings {
		if !contains(&a.st, f.Location) {
			continue
		}
		rule, _ := compat.RuleByID(f.Rule)
		means := slices.Concat(rule.Errno, answers[f.Rule])
		if a.errno != 0 && slices.Contains(means, a.errno) && (told == "" || f.Severity.AtLeast(told)) {
			told = f.Severity
		}
		if f.Severity != compat.Error {
			continue
		}
		v := verdict{f, s.says(a, &f, means)}
		if x.verdicts = append(x.verdicts, v); v.says == "no" {
			t.Errorf("%s: %s %s: %s\n\tthe server says no to this error: it answers %d %s, warnings %v", place, f.Rule, f.Object, f.Message, a.errno, a.message, a.warnings)
		}
	}
	if a.errno == 0 || a.follows {
		return
	}
	x.refused++
	switch told {
	case compat.Error:
		x.asError++
	case compat.Warning, compat.Info:
		x.asWarning++
	default:
		x.miss(t, a, place, used)
	}
}

func (x *result) miss(t *testing.T, a *asked, place string, used map[int]bool) {
	t.Helper()
	text := a.st.File.Text[a.st.Start:a.st.End]
	for i, m := range missed {
		if m.schema == x.schema.name && m.errno == a.errno && strings.HasPrefix(text, m.begins) {
			used[i] = true
			x.missed = append(x.missed, fmt.Sprintf("%s is refused (%d): %s", place, a.errno, m.why))
			return
		}
	}
	t.Errorf("%s: %.100q\n\tthe server refuses it, and check has no word for that: %d %s", place, text, a.errno, a.message)
}

// says is the server's yes or no to an error.
func (s *session) says(a *asked, f *compat.Finding, means []int) string {
	s.t.Helper()
	fact := ""
	if ask := facts[f.Rule]; ask != nil {
		fact = ask(s, a)
	}
	switch {
	case fact != "":
		return fact
	case a.skipped:
		return "no" // as good as: nobody asked
	case slices.Contains(means, a.errno):
		return fmt.Sprint(a.errno)
	case a.errno != 0 && facts[f.Rule] == nil: // refused for another reason, so it came not that far
		return fmt.Sprintf("not asked: %d comes first", a.errno)
	}
	for _, w := range a.warnings {
		if slices.Contains(means, w) {
			return fmt.Sprintf("warning %d", w)
		}
	}
	return "no"
}

// contains tells whether a place is in a statement.
func contains(st *ddl.Statement, l *compat.Location) bool {
	if l == nil || l.File != st.File.Name {
		return false
	}
	line, column := st.File.At(st.Start)
	endLine, endColumn := st.File.At(st.End)
	return (l.Line > line || l.Line == line && l.Column >= column) && (l.Line < endLine || l.Line == endLine && l.Column < endColumn)
}
