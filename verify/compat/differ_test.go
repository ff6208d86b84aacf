package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
	"changeover/migrations"
	"changeover/verify/compat/ddl"
	"changeover/verify/compat/normal"
)

// sides makes a database on a MariaDB and on a MySQL, and gives what both have then.
func sides(t *testing.T, maria, mysql []string) (a, b *Picture) {
	t.Helper()
	pictures := make([]*Picture, 2)
	for i, statements := range [][]string{maria, mysql} {
		s := []func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{sandboxtest.MariaDBSource, sandboxtest.MySQLSource}[i](t)
		name := s.Database(t)
		in(t, s, name, append([]string{"ALTER DATABASE " + name + " CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"}, statements...)...)
		pictures[i] = looked(t, s, sandbox.Root, LookOptions{Databases: []string{name}})
	}
	return pictures[0], pictures[1]
}

func differ(t *testing.T, input *Input, o Options) *Report {
	t.Helper()
	o.To, o.Families = target(t), []string{"DIF"}
	r, err := Check(t.Context(), input, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// told are findings and what is not checked as lines, without the names of the databases.
func told(r *Report, databases ...string) (lines []string) {
	short := func(s string) string {
		for _, d := range databases {
			s = strings.ReplaceAll(s, d+".", "")
		}
		return s
	}
	for _, f := range r.Findings {
		at := ""
		if f.Location != nil {
			at = fmt.Sprintf(" at %d", f.Location.Line)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s by %s%s: %s", f.Severity, f.Rule, short(f.Object), f.DetectedBy[0], at, short(f.Evidence)))
	}
	for _, u := range r.Unchecked {
		if u.Rule != "DIF1116" {
			lines = append(lines, fmt.Sprintf("unchecked %s %s: %s", u.Rule, short(u.Object), u.Reason))
		}
	}
	return lines
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// A source and a target that were looked at are compared by every rule, and each difference is found once.
func TestALiveSourceAndATargetAreCompared(t *testing.T) {
	a, b := sides(t, []string{
		"CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL DEFAULT 'x', prefs JSON, at DATETIME DEFAULT NOW())",
		"CREATE TABLE same (id INT(11) PRIMARY KEY, at TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP, b INT CHECK (b > 0))",
		"CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY)",
		"CREATE VIEW v AS SELECT id FROM users",
	}, []string{
		"CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(30) DEFAULT 'y' COMMENT 'n', prefs LONGTEXT, KEY name (name))",
		"CREATE TABLE same (id INT PRIMARY KEY, at TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP, b INT CHECK (b > 0)) AUTO_INCREMENT = 77",
		"CREATE VIEW v AS SELECT id FROM users WHERE id > 1",
	})
	r := differ(t, &Input{}, Options{Source: a, Target: b})
	expect(t, told(r, a.Databases[0].Name, b.Databases[0].Name),
		"error DIF1102 users.at by live: the source: datetime; the target: nothing",
		"error DIF1103 users.name by live: the source: varchar(20); the target: varchar(30)",
		"error DIF1104 users.name by live: the source: NOT NULL; the target: NULL",
		"error DIF1105 users.name by live: the source: 'x'; the target: 'y'",
		"error DIF1107 users.name by live: the source: nothing; the target: name key (name)",
		"error DIF1109 users.prefs by live: the source: (json_valid(`prefs`)); the target: nothing",
		"warning DIF1106 users.prefs by live: the source: utf8mb4_bin; the target: utf8mb4_unicode_ci",
		"warning DIF1114 v by live: the source: select `users`.`id` AS `id` from `users`; the target: select `users`.`id` AS `id` from `users` where (`users`.`id` > 1)",
		"info DIF1113 users.name by live: the source: nothing; the target: n",
	)
	if again := differ(t, &Input{}, Options{Source: a, Target: b}); fmt.Sprint(again.Findings) != fmt.Sprint(r.Findings) {
		t.Error("a second time it says otherwise")
	}
}

// What was not looked at is said, and is not clean: one server alone, a target without tables, a kind of objects
// that an account may not see, a text that may not be seen.
func TestWhatCanNotBeComparedIsSaid(t *testing.T) {
	tables := []string{"CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.id = 1"}
	a, b := sides(t, tables, tables[:1])
	_, empty := sides(t, nil, nil)
	r := differ(t, &Input{}, Options{Source: a})
	if len(r.Findings) > 0 || r.Summary.Clean > 0 || r.Unchecked[0].Reason != "needs a look at the source and at the target, or a real run on both engines" {
		t.Errorf("of one server: %+v", r)
	}
	name := a.Databases[0].Name
	expect(t, told(differ(t, &Input{}, Options{Source: a, Target: empty}), name),
		"unchecked DIF1115 "+name+": database "+empty.Databases[0].Name+" is not compared: the target has nothing in it")
	expect(t, told(differ(t, &Input{}, Options{Source: a, Target: empty, Same: true}), name),
		"error DIF1101 t by live: the first: t; the second: nothing",
		"error DIF1101 tr by live: the first: tr; the second: nothing")
	expect(t, told(differ(t, &Input{}, Options{Source: empty, Target: b, Same: true}), b.Databases[0].Name), "error DIF1101 t by live: the first: nothing; the second: t")
	if r := differ(t, &Input{}, Options{Source: empty, Target: empty, Same: true}); r.Summary.Clean > 0 || !strings.Contains(r.Unchecked[0].Reason, "neither the first nor the second has an object") {
		t.Errorf("of two that are empty: %+v", r)
	}
	expect(t, told(differ(t, &Input{}, Options{Source: a, Target: b}), name), "info DIF1101 tr by live: the source: tr; the target: nothing")
	expect(t, told(differ(t, &Input{}, Options{Source: a, Target: b, Same: true}), name), "error DIF1101 tr by live: the first: tr; the second: nothing")
	expect(t, told(differ(t, &Input{}, Options{Source: b, Target: a}), b.Databases[0].Name, name), "error DIF1101 tr by live: the source: nothing; the target: tr")
	b.Refused = []Refusal{{What: "triggers of " + b.Databases[0].Name, Reason: "no TRIGGER"}}
	expect(t, told(differ(t, &Input{}, Options{Source: a, Target: b}), name),
		"unchecked  triggers of "+b.Databases[0].Name+": the target: no TRIGGER",
		"unchecked DIF1115 tr: only the source has such a trigger, as far as may be seen")
	a.Objects[0].SQL = ""
	expect(t, told(differ(t, &Input{}, Options{Source: a, Target: b}), name),
		"unchecked  triggers of "+b.Databases[0].Name+": the target: no TRIGGER",
		"unchecked DIF1115 t: of the source: its definition may not be seen",
		"unchecked DIF1115 tr: only the source has such a trigger, as far as may be seen")
}

// A picture that contradicts itself is no base for a comparison.
func TestATableThatContradictsItselfIsNotChecked(t *testing.T) {
	for name, spoil := range map[string]func(*Object){
		"the type of column a is \"bigint\" in information_schema, and \"int\" by SHOW CREATE TABLE":     func(o *Object) { o.Columns[1].Type = "bigint" },
		"NULL of column a is \"false\" in information_schema, and \"true\" by SHOW CREATE TABLE":         func(o *Object) { o.Columns[1].Nullable = false },
		"the default of column a is \"2\" in information_schema, and \"1\" by SHOW CREATE TABLE":         func(o *Object) { o.Columns[1].Default.String = "2" },
		"the name of column a is \"b\" in information_schema, and \"a\" by SHOW CREATE TABLE":            func(o *Object) { o.Columns[1].Name = "b" },
		"information_schema has 1 columns, SHOW CREATE TABLE 2":                                          func(o *Object) { o.Columns = o.Columns[:1] },
		"its engine is aria in information_schema, and innodb by SHOW CREATE TABLE":                      func(o *Object) { o.Engine = "Aria" },
		"its collation is latin1_bin in information_schema, and utf8mb4_unicode_ci by SHOW CREATE TABLE": func(o *Object) { o.Collation = "latin1_bin" },
		"frozen is not understood":                       func(o *Object) { o.SQL = strings.Replace(o.SQL, "DEFAULT 1", "FROZEN DEFAULT 1", 1) },
		"with is not understood":                         func(o *Object) { o.SQL = strings.Replace(o.SQL, "KEY (`id`)", "KEY (`id`) WITH SALT", 1) },
		"what the server shows of it is no CREATE TABLE": func(o *Object) { o.SQL = "BROKEN" },
		"the expression of column a is \"+(`id`, 2)\" in information_schema, and \"+(`id`, 1)\" by SHOW CREATE TABLE": func(o *Object) {
			o.SQL = strings.Replace(o.SQL, "DEFAULT 1", "GENERATED ALWAYS AS (`id` + 1) VIRTUAL", 1)
			o.Columns[1].Default.Valid, o.Columns[1].Generation = false, "`id` + 2"
		},
		"locked is not understood": func(o *Object) { o.SQL += " LOCKED=1" },
	} {
		t.Run(name, func(t *testing.T) {
			table := []string{"CREATE TABLE t (id INT PRIMARY KEY, a INT DEFAULT 1)"}
			a, b := sides(t, table, table)
			if d := Differences(a, b, nil); len(d) > 0 {
				t.Fatal(d)
			}
			spoil(&a.Objects[0])
			d := Differences(a, b, nil)
			if len(d) != 1 || d[0].Rule != "DIF1115" || d[0].Severity != normal.Unchecked || !strings.Contains(d[0].What, name) {
				t.Errorf("%+v", d)
			}
		})
	}
}

// What a run finds stands at the statement that made it, and its object is named as the files do.
func TestARunIsComparedAndFindingsStandAtTheirStatements(t *testing.T) {
	files := folder(t, map[string]string{
		"1_a.up.sql":   "CREATE TABLE a (\n  id INT PRIMARY KEY,\n  b JSON\n);\n\nALTER TABLE a ADD c INT REFERENCES a (id);\nALTER TABLE a ADD d VARCHAR(20);\nCREATE VIEW v AS SELECT 1 AS one;\n",
		"1_a.down.sql": "DROP VIEW v;\nDROP TABLE a;\n",
	})
	up := func(more ...string) (statements []string) {
		for _, st := range ddl.Read(files.Files[0], ddl.MySQL, false) {
			statements = append(statements, files.Files[0].Text[st.Start:st.End])
		}
		return append(statements, more...)
	}
	a, b := sides(t, up(), up("ALTER TABLE a MODIFY d VARCHAR(21), COMMENT 'x'", "CREATE OR REPLACE VIEW v AS SELECT 2 AS one"))
	ran := &Ran{Servers: []RanServer{{Flavor: server.MariaDB, Picture: a}, {Flavor: server.MySQL, Picture: b}}}
	expect(t, told(differ(t, files, Options{Ran: ran})),
		"error DIF1103 a.d by run at 7: MariaDB: varchar(20); MySQL: varchar(21)",
		"warning DIF1114 v by run at 8: MariaDB: select 1 AS `one`; MySQL: select 2 AS `one`",
		"info DIF1113 a by run at 1: MariaDB: nothing; MySQL: x")
	ran.Servers[1].Picture = nil
	r := differ(t, files, Options{Ran: ran})
	if len(r.Findings) > 0 || !slices.ContainsFunc(r.Unchecked, func(u Unchecked) bool {
		return u.Rule == "DIF1101" && u.Reason == "a run that came to its end on two servers is needed to compare them"
	}) {
		t.Errorf("of a run that stopped: %+v", r)
	}
}

// Databases may have other names on the other side, also where texts name them.
func TestDatabasesOfOtherNamesAreCompared(t *testing.T) {
	s := sandboxtest.MySQLSource(t)
	one, two, other, more := s.Database(t), s.Database(t), s.Database(t), s.Database(t)
	for _, names := range [][2]string{{one, other}, {two, more}} {
		in(t, s, names[0], "CREATE TABLE p (id INT PRIMARY KEY)", "CREATE TABLE "+names[1]+".c (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES "+names[0]+".p (id))",
			"CREATE VIEW "+names[1]+".v AS SELECT p.id, c.id AS i FROM p JOIN "+names[1]+".c ON c.id = p.id",
			"CREATE TRIGGER tr BEFORE INSERT ON p FOR EACH ROW INSERT INTO "+names[1]+".c VALUES (NEW.id)")
	}
	a := looked(t, s, sandbox.Root, LookOptions{Databases: []string{one, other}})
	b := looked(t, s, sandbox.Root, LookOptions{Databases: []string{two, more}})
	if d := Differences(a, b, map[string]string{one: two, other: more}); len(d) > 0 {
		t.Errorf("%+v", d)
	}
	if d := Differences(a, b, map[string]string{one: two, other: two}); len(d) == 0 {
		t.Error("with wrong names nothing differs")
	}
	if d := Differences(a, b, nil); len(d) != 2*len(a.Objects) || d[0].Rule != "DIF1101" || d[0].Severity != normal.Error {
		t.Errorf("without names: %+v", d)
	}
	// Two databases that are compared with one of another name: none is taken for it.
	last := looked(t, s, sandbox.Root, LookOptions{Databases: []string{more}})
	for name, r := range map[string]*Report{"one more before": differ(t, &Input{}, Options{Source: a, Target: last, Same: true}), "behind": differ(t, &Input{}, Options{Source: last, Target: a, Same: true})} {
		if r.Summary.Error != len(a.Objects)+len(last.Objects) || r.Findings[0].Rule != "DIF1101" {
			t.Errorf("%s: %v", name, told(r))
		}
	}
	if r := differ(t, &Input{}, Options{Source: a, Target: last}); len(r.Findings) > 0 || len(r.Unchecked) == 0 {
		t.Errorf("before a cutover: %v", told(r))
	}
}

// A text that was run has a database that is nobody's: findings name its objects as the text does, and stand there.
func TestATextIsComparedByItsNames(t *testing.T) {
	in := text("a.sql", "CREATE TABLE t (\n  id INT PRIMARY KEY);\nCREATE TABLE u (id INT PRIMARY KEY);")
	a, b := sides(t, []string{"CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE u (id INT PRIMARY KEY)"}, []string{"CREATE TABLE t (id BIGINT PRIMARY KEY)", "CREATE TABLE w (id INT PRIMARY KEY)"})
	a.Throwaway = true
	want := []string{"error DIF1101 w by run: the first: nothing; the second: w", "error DIF1101 u by run at 3: the first: u; the second: nothing",
		"error DIF1103 t.id by run at 1: the first: int; the second: bigint"}
	expect(t, told(differ(t, in, Options{Source: a, Target: b, Same: true})), want...)
	a.Databases = append(a.Databases, Database{Name: "changeover_check"}) // beside what a dump makes
	expect(t, told(differ(t, in, Options{Source: a, Target: b, Same: true})), want...)
	var out strings.Builder
	if err := differ(t, &Input{}, Options{Source: a, Target: b, Same: true}).Text(&out, false); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "live:") || !strings.Contains(out.String(), "run:  t.id\n") || strings.Contains(out.String(), "statements in") {
		t.Error(out.String())
	}
	a.Throwaway = false
	if d := Differences(a, b, nil); len(d) != 4 {
		t.Errorf("of two databases on a live server one is taken for another's: %+v", d)
	}
}

// What may not be seen may be there: of every kind, also where the databases have other names.
func TestAKindThatIsHiddenIsNotMissing(t *testing.T) {
	for kind, plural := range map[string]string{"table": "tables", "view": "tables", "sequence": "tables", "procedure": "routines", "function": "routines", "package": "routines", "package body": "routines",
		"trigger": "triggers", "event": "events"} {
		full := &Picture{Databases: []Database{{Name: "a"}}, Objects: []Object{{Kind: kind, Schema: "a", Name: "x"}}}
		hidden := &Picture{Databases: []Database{{Name: "b"}}, Refused: []Refusal{{What: plural + " of b"}}}
		for _, d := range append(Differences(full, hidden, nil), Differences(hidden, full, nil)...) {
			if d.Rule != "DIF1115" {
				t.Errorf("%s: %+v", kind, d)
			}
		}
		hidden.Refused[0].What = plural + " of c"
		if d := Differences(full, hidden, nil); len(d) != 1 || d[0].Rule != "DIF1101" || d[0].What != "only the first has such a "+kind && d[0].What != "only the first has such an event" {
			t.Errorf("%s: %+v", kind, d)
		}
	}
}

// The platform's own migrations come to one schema on both engines, after each step.
func TestOurOwnMigrationsComeToOneSchema(t *testing.T) {
	pictures := func(to uint) (p []*Picture) {
		for _, start := range []func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{sandboxtest.MariaDBSource, sandboxtest.MySQLSource} {
			s := start(t)
			name := s.Database(t)
			m := migrations.New(s.DBIn(t, sandbox.App, name), zerolog.Nop())
			m.Notice = 0
			if err := m.Up(t.Context(), to); err != nil {
				t.Fatal(err)
			}
			p = append(p, looked(t, s, sandbox.Root, LookOptions{Databases: []string{name}}))
		}
		return p
	}
	steps := migrations.Steps()
	for _, to := range []uint{6, steps[len(steps)-1].Number} {
		p := pictures(to)
		if len(p[0].Objects) < 10 {
			t.Fatalf("at %d there are %d objects", to, len(p[0].Objects))
		}
		for _, d := range Differences(p[0], p[1], nil) {
			t.Errorf("at %d: %+v", to, d)
		}
	}
}
