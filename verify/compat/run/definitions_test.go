package run

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
	"changeover/verify/compat"
)

// A server's definitions are made whatever their order is, each under its own sql_mode; what the other engine
// refuses is said of its object.
func TestDefinitionsOfAServerAreMade(t *testing.T) {
	source := sandboxtest.MariaDBSource(t)
	name := source.Database(t)
	source.Exec(t,
		"USE "+name,
		"CREATE TABLE a (id INT PRIMARY KEY, b INT, day DATE NOT NULL DEFAULT '0000-00-00') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
		"CREATE TABLE z (id INT PRIMARY KEY) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
		"ALTER TABLE a ADD CONSTRAINT a_z FOREIGN KEY (b) REFERENCES z (id)",
		"CREATE FUNCTION f(n INT) RETURNS INT DETERMINISTIC RETURN n + 1",
		"CREATE VIEW w AS SELECT f(id) AS n FROM a",
		"CREATE VIEW v AS SELECT n FROM w",
		"CREATE DEFINER = nobody@nowhere TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET NEW.b = 1; SET NEW.id = 2; END",
		"SET SESSION sql_mode = 'ANSI_QUOTES,NO_AUTO_CREATE_USER,PIPES_AS_CONCAT'",
		`CREATE PROCEDURE p() BEGIN SELECT 'a' || "id" FROM a; END`,
		"CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DISABLE DO DELETE FROM a",
		"CREATE SEQUENCE s",
	)
	p, in, ran := ranAsItIs(t, source, name)
	for i := range ran.Servers {
		s := &ran.Servers[i]
		var got []string
		for _, o := range s.Outcomes {
			if o.Error != nil || len(o.Warnings) > 0 {
				got = append(got, fmt.Sprintf("%s %v %v", strings.TrimPrefix(o.File.Name, name+"."), o.Error, o.Warnings))
			}
		}
		want := 0
		if s.Flavor == server.MySQL {
			want = 1
		}
		if len(s.Outcomes) != 9 || len(got) != want || want == 1 && !strings.HasPrefix(got[0], "s &{mysql 1064 ") || (s.Picture == nil) != (want == 1) {
			t.Errorf("%s: %d outcomes, of which\n%s", s.Flavor, len(s.Outcomes), strings.Join(got, "\n"))
		}
	}
	r, err := compat.Check(t.Context(), in, compat.Options{From: server.MariaDB, To: profile(t), Source: p, Ran: ran})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Findings, func(f compat.Finding) bool {
		return f.Rule == "DIF1116" && f.Object == name+".s" && f.Location == nil && f.ServerError != nil && f.ServerError.Errno == 1064
	}) {
		t.Errorf("the sequence is not among %+v", r.Findings)
	}
}

// ranAsItIs runs what a server has in a database. The servers of the run are the test's too: what is there under the
// name is in the way, before and after.
func ranAsItIs(t *testing.T, source *sandboxtest.Server, name string) (*compat.Picture, *compat.Input, *compat.Ran) {
	t.Helper()
	p, err := compat.Look(t.Context(), source.DB(t, sandbox.Root), compat.LookOptions{Databases: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	in := compat.InputOf(p)
	source.Exec(t, "DROP DATABASE "+name)
	ran := onShared(t, in, Options{})
	for i := range ran.Servers {
		sandboxtest.Shared(t, spec(ran.Servers[i].Flavor, Options{}.complete())).Exec(t, "DROP DATABASE IF EXISTS "+name)
	}
	return p, in, ran
}

// What can't be made for want of something that can't be made is of its cause, in whatever order it comes.
func TestViewsOfATableThatCannotBeMadeAreOfItsCause(t *testing.T) {
	source := sandboxtest.MariaDBSource(t)
	name := source.Database(t)
	source.Exec(t,
		"USE "+name,
		"CREATE TABLE b (id UUID PRIMARY KEY) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
		"CREATE TABLE t (id UUID PRIMARY KEY) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
		"CREATE VIEW z AS SELECT id FROM t",
		"CREATE VIEW m AS SELECT id FROM z",
		"CREATE VIEW a AS SELECT id FROM m",
	)
	p, in, ran := ranAsItIs(t, source, name)
	r, err := compat.Check(t.Context(), in, compat.Options{From: server.MariaDB, To: profile(t), Source: p, Ran: ran})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Findings {
		if f.Rule == "MIG1014" || f.Rule == "DIF1116" {
			got = append(got, f.Rule+" "+f.Object+" "+f.Message)
		}
	}
	const fails = " mariadb does it, and it fails on mysql: 1064 "
	if len(got) != 2 || !strings.HasPrefix(got[0], "DIF1116 "+name+".b"+fails) || strings.Contains(got[0], "for want") ||
		!strings.HasPrefix(got[1], "DIF1116 "+name+".t"+fails) || !strings.HasSuffix(got[1], "; for want of it 3 other statements fail, the first at "+name+".a") {
		t.Errorf("found %q", got)
	}
}
