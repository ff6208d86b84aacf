package verify

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

type servers struct {
	source, target *sandboxtest.Server
	database       string
	src, dst       *sql.DB
}

func newServers(t *testing.T, source *sandboxtest.Server) servers {
	s := servers{source: source, target: sandboxtest.Target(t)}
	s.database = (&sandboxtest.Pair{Source: source, Target: s.target}).Database(t)
	s.src, s.dst = source.DB(t, sandbox.Changeover), s.target.DB(t, sandbox.Admin)
	return s
}

// exec runs statements in the database of a server, in a session that accepts odd dates.
func (s servers) exec(t *testing.T, on *sandboxtest.Server, statements ...string) {
	t.Helper()
	on.Exec(t, append([]string{"USE " + s.database, "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'"}, statements...)...)
}

func (s servers) both(t *testing.T, statements ...string) {
	t.Helper()
	s.exec(t, s.source, statements...)
	s.exec(t, s.target, statements...)
}

func (s servers) compare(t *testing.T, table string) TableResult {
	t.Helper()
	results, err := Compare(t.Context(), s.src, s.dst, []Name{{s.database, table}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

func (s servers) differences(t *testing.T, table string, limit int) []Difference {
	t.Helper()
	d, err := Differences(t.Context(), s.src, s.dst, Name{s.database, table}, limit)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func describe(all []Difference) string {
	var b strings.Builder
	for _, d := range all {
		for _, k := range d.Key {
			fmt.Fprintf(&b, "%s=%s ", k.Column, k.Value)
		}
		fmt.Fprintf(&b, "%d/%d:", d.Source, d.Target)
		for _, c := range d.Columns {
			fmt.Fprintf(&b, " %s %q %q", c.Column, c.Source, c.Target)
		}
		b.WriteString("; ")
	}
	return b.String()
}

func TestMissingAndExtraRowsAreFoundWithTheirKey(t *testing.T) {
	s := newServers(t, sandboxtest.MySQLSource(t))
	s.both(t, "CREATE TABLE t (a int, b varchar(9), v int, PRIMARY KEY (a, b))", "INSERT INTO t VALUES (1,'x',1), (1,'y',2), (2,'x',3)", "CREATE TABLE nothing (a int)")
	s.exec(t, s.source, "INSERT INTO t VALUES (3,'only here',1)")
	s.exec(t, s.target, "DELETE FROM t WHERE a = 2", "INSERT INTO t VALUES (2,'X',3)")
	got := describe(s.differences(t, "t", 100))
	for _, want := range []string{"a=3 b=only here 1/0:; ", "a=2 b=x 1/0:; ", "a=2 b=X 0/1:; "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if n := len(s.differences(t, "t", 2)); n != 2 {
		t.Errorf("%d differences under a limit of 2", n)
	}
	if r := s.compare(t, "nothing"); !r.Equal || r.Source.Rows != 0 {
		t.Errorf("no rows on either side: %+v", r)
	}
}

func TestTablesThatCannotBeEqualSayWhy(t *testing.T) {
	s := newServers(t, sandboxtest.MySQLSource(t))
	s.exec(t, s.source, "CREATE TABLE gone (a int)", "CREATE TABLE other (a int, b int)", "CREATE TABLE more (a int)")
	s.exec(t, s.target, "CREATE TABLE other (b int, a int)", "CREATE TABLE more (a int, b int)")
	for table, want := range map[string]string{"gone": "no such table on the target", "other": "column 1 is a on the source, b on the target", "more": "1 columns on the source, 2 on the target"} {
		if r := s.compare(t, table); r.Equal || r.Problem != want {
			t.Errorf("%s: %+v", table, r)
		}
	}
}
