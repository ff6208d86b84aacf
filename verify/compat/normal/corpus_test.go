package normal_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat"
	"changeover/verify/compat/ddl"
	"changeover/verify/compat/normal"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// bed is a database of a test on a server.
type bed struct {
	name string
	conn *sql.Conn
	pool *sql.DB
}

// beds are one on each server, with the same defaults. Statements run in one session that has the same settings on both.
func newBed(t testing.TB, s *sandboxtest.Server) *bed {
	t.Helper()
	b := &bed{name: s.Database(t), pool: s.DB(t, sandbox.Root)}
	conn, err := b.pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	b.conn = conn
	b.exec(t, "ALTER DATABASE "+b.name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
	b.exec(t, "USE "+b.name)
	b.exec(t, "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci")
	return b
}

func (b *bed) exec(t testing.TB, statement string) {
	t.Helper()
	if err := b.try(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (b *bed) try(statement string) error {
	_, err := b.conn.ExecContext(context.Background(), statement)
	return err
}

func (b *bed) look(t testing.TB) *compat.Picture {
	t.Helper()
	p, err := compat.Look(t.Context(), b.pool, compat.LookOptions{Databases: []string{b.name}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// between are the differences of two databases, as lines of rule, object and words.
func between(t testing.TB, a, b *bed) (lines []string) {
	t.Helper()
	for _, d := range compat.Differences(a.look(t), b.look(t), nil) {
		lines = append(lines, said(d))
	}
	return lines
}

func said(d normal.Difference) string {
	return fmt.Sprintf("%s %s %s: %s: %q, %q", d.Rule, d.Severity, strings.TrimPrefix(d.Object(), d.Schema+"."), d.What, d.A, d.B)
}

// definition is a statement of the corpus with what stands above it.
type definition struct {
	sql     string
	name    string
	differs string // the rule of a difference that there is between MySQL and MariaDB, for the reason behind it
}

// corpus reads testdata/*.sql, whose statements mean the same on both servers but for those with a line
// "-- differs: RULE why" before them.
func corpus(t testing.TB) (all []definition) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f := ddl.NewFile(name, string(text))
		for _, st := range ddl.Read(f, ddl.MySQL, false) {
			d := definition{sql: f.Text[st.Start:st.End], name: st.Name}
			before := strings.TrimSpace(f.Text[:st.Start])
			if i := strings.LastIndexByte(before, '\n'); i >= 0 || strings.HasPrefix(before, "--") {
				if rule, ok := strings.CutPrefix(before[i+1:], "-- differs: "); ok {
					d.differs, _, _ = strings.Cut(rule, " ")
				}
			}
			all = append(all, d)
		}
	}
	return all
}

// The same statement leaves the same schema on MySQL and on MariaDB, and what each then shows is the same in
// normal form; where the servers themselves do otherwise, the corpus says so, and it is found.
func TestWhatMeansTheSameIsTheSameOnBothServers(t *testing.T) {
	mysql, maria := newBed(t, sandboxtest.MySQLSource(t)), newBed(t, sandboxtest.MariaDBSource(t))
	want := map[string]string{}
	for _, d := range corpus(t) {
		mysql.exec(t, d.sql)
		maria.exec(t, d.sql)
		if d.differs != "" {
			want[d.name] = d.differs
		}
	}
	a, b := mysql.look(t), maria.look(t)
	found := map[string]bool{}
	for _, d := range compat.Differences(a, b, nil) {
		if want[d.Name] == d.Rule {
			found[d.Name] = true
			continue
		}
		t.Error(said(d))
	}
	for name, rule := range want {
		if !found[name] {
			t.Errorf("%s differs by nothing of %s", name, rule)
		}
	}
	for _, p := range []*compat.Picture{a, b} {
		if d := compat.Differences(p, p, nil); len(d) > 0 {
			t.Errorf("%s differs from itself: %v", p.Version, d)
		}
	}
	t.Logf("%d objects", len(a.Objects))
}

// The way back finds the same, told from the other side.
func TestTheWayBackFindsTheSame(t *testing.T) {
	mysql, maria := newBed(t, sandboxtest.MySQLSource(t)), newBed(t, sandboxtest.MariaDBSource(t))
	all := corpus(t)
	for _, d := range all {
		if slices.ContainsFunc(all, func(e definition) bool { return e.name == d.name && e.differs != "" }) {
			mysql.exec(t, d.sql)
			maria.exec(t, d.sql)
		}
	}
	a, b := mysql.look(t), maria.look(t)
	var there, back []string
	for _, d := range compat.Differences(a, b, nil) {
		there = append(there, d.Rule+" "+d.Name+" "+d.Part+" "+d.A+" "+d.B)
	}
	for _, d := range compat.Differences(b, a, nil) {
		back = append(back, d.Rule+" "+d.Name+" "+d.Part+" "+d.B+" "+d.A)
	}
	slices.Sort(there)
	slices.Sort(back)
	if !slices.Equal(there, back) {
		t.Errorf("there:\n%s\nback:\n%s", strings.Join(there, "\n"), strings.Join(back, "\n"))
	}
}
