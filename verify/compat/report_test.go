package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

// prints are the fingerprints of a rule's findings, in their order.
func prints(r *Report, rule string) (all []string) {
	for _, f := range r.Findings {
		if f.Rule == rule {
			all = append(all, f.Fingerprint)
		}
	}
	return all
}

// What is cut for people to read is not cut for the fingerprint: a baseline hides what was there, and nothing that
// begins alike.
func TestAFingerprintIsOfAllThatWasFound(t *testing.T) {
	long := strings.Repeat("x", 3*evidenceLength)
	commented := func(comment string) *Picture {
		sql := "CREATE TABLE `t` (\n  `id` int NOT NULL COMMENT '" + comment + "',\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB"
		return &Picture{Flavor: server.MySQL, Version: "9.7.4", Databases: []Database{{Name: "a"}}, Objects: []Object{{Kind: "table", Schema: "a", Name: "t", Engine: "InnoDB", SQL: sql,
			Columns: []ColumnFacts{{Name: "id", Type: "int"}}}}}
	}
	differing := func(comment string, baseline ...string) *Report {
		return differ(t, &Input{}, Options{Source: commented("none"), Target: commented(comment), Same: true, Baseline: baseline})
	}
	one, other := differing(long+"1"), differing(long+"2") // both are cut before the number
	if len(one.Findings) != 1 || len(other.Findings) != 1 || one.Findings[0].Rule != "DIF1113" || one.Findings[0].Evidence != other.Findings[0].Evidence {
		t.Fatalf("%+v\n%+v", one, other)
	}
	old := prints(one, "DIF1113")
	if r := differing(long+"1", old...); len(r.Findings) > 0 {
		t.Errorf("a baseline does not hide what it has: %+v", r.Findings)
	}
	if r := differing(long+"2", old...); len(r.Findings) != 1 {
		t.Errorf("a baseline hides another comment: %+v", r.Suppressed)
	}
}

// Two differences in one place of which no more than the beginnings are shown are two.
func TestTwoFindingsThatAreCutAlikeAreTwo(t *testing.T) {
	rule, _ := RuleByID("DIF1113")
	c := &checker{input: &Input{}, rule: rule, report: &Report{}, found: map[identity]bool{}}
	for _, whole := range []string{"ab", "ac", "ac"} {
		c.emit(hit{object: "t", evidence: "a…", whole: whole})
	}
	if n := len(c.report.Findings); n != 2 {
		t.Errorf("%d findings", n)
	}
	long := "CREATE VIEW v AS SELECT '" + strings.Repeat("x", evidenceLength)
	prints := map[string]bool{}
	for _, sql := range []string{long + "1'", long + "2'", strings.ToLower(long) + "1'"} {
		st := ddl.Read(ddl.NewFile("a.sql", sql), ddl.MySQL, false)[0]
		c.emit(hit{st: &st, object: "v"})
		prints[c.report.Findings[len(c.report.Findings)-1].Fingerprint] = true
	}
	if len(prints) != 2 { // the third is the first in other letters
		t.Errorf("%d of two texts that begin alike", len(prints))
	}
}

// A query has no name. A baseline that has a word in one hides the word in no other, and not in the same one once
// it says something else.
func TestAWordInAQueryIsKnownByTheQuery(t *testing.T) {
	const rule, query = "MDB215", "SELECT JSON_DETAILED(a) FROM t;\n"
	found := func(sql string, baseline ...string) *Report {
		return check(t, text("q.sql", sql), func(o *Options) { o.From, o.Baseline = server.MariaDB, baseline })
	}
	old := prints(found(query), rule)
	if len(old) != 1 {
		t.Fatalf("%q", old)
	}
	for sql, want := range map[string]int{
		query:                              0,
		"\n\n" + query:                     0, // it moved
		"select  json_detailed(a)\nfrom t": 0,
		query + "SELECT JSON_DETAILED(b) FROM u;":           1,
		"SELECT JSON_DETAILED(a) FROM t WHERE b;":           1,
		"SELECT JSON_DETAILED(a) FROM t LIMIT 1;\n" + query: 1,
	} {
		if p := prints(found(sql, old...), rule); len(p) != want {
			t.Errorf("%q: %d are new, not %d", sql, len(p), want)
		}
	}
	again := prints(found(query+"SELECT JSON_DETAILED(b) FROM t;"), rule)
	if len(again) != 2 || again[0] == again[1] {
		t.Errorf("two queries: %q", again)
	}
}

// A password is in no fingerprint either: who guesses one could try it there.
func TestAFingerprintDoesNotGoByAPassword(t *testing.T) {
	set := func(password string) string {
		return check(t, text("a.sql", "SET PASSWORD FOR 'a'@'%' = PASSWORD('"+password+"');")).fingerprints()
	}
	if one, other := set("one"), set("other"); one != other {
		t.Errorf("%s, %s", one, other)
	}
}

func (r *Report) fingerprints() string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, f.Rule+" "+f.Fingerprint)
	}
	return strings.Join(all, "\n")
}

// A statement that loads rows may have a finding in each of thousands.
func TestManyFindingsInOneStatementTakeTimeOnce(t *testing.T) {
	took := func(rows int) time.Duration {
		sql := "SELECT 1" + strings.Repeat(", JSON_DETAILED(a)", rows)
		f := ddl.NewFile("q.sql", sql)
		rule, _ := RuleByID("MDB215")
		c := &checker{input: &Input{}, rule: rule, report: &Report{}, found: map[identity]bool{}, sums: map[*ddl.Statement]string{}}
		all := ddl.Read(f, ddl.MariaDB, false)
		began := time.Now()
		rule.Finds[0].match(&all[0], c.emit)
		if len(c.report.Findings) != rows {
			t.Fatalf("%d findings of %d", len(c.report.Findings), rows)
		}
		return time.Since(began)
	}
	var few, many time.Duration
	for range 3 { // another process may have the machine for a moment
		few, many = took(2_000), took(16_000)
		if many < 24*few { // for 8 times as many; 64 where each goes through the statement
			return
		}
	}
	t.Errorf("2,000 take %v, 16,000 %v", few, many)
}

// Files are known by their names, however somebody called the folder.
func TestAPathIsNoPartOfAFingerprint(t *testing.T) {
	folder(t, map[string]string{"1_a.up.sql": "CREATE TABLE a (id INT PRIMARY KEY);\nSET NAMES utf8mb4;\n", "1_a.down.sql": "DROP TABLE a;\n", "2_b.up.sql": "DELIMITER ;\n", "2_b.down.sql": "DO 1;\n"})
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	found := func(path string) string {
		in, err := ReadInput(path)
		if err != nil {
			t.Fatal(err)
		}
		lock, err := ReadLock("lock", fmt.Appendf(nil, "%064d  1_a.up.sql\n%064d  3_c.up.sql\n", 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		var of []Outcome
		for _, f := range []*ddl.File{in.Steps[0].Up, in.Steps[1].Up} { // a statement without an object, and what is none
			start := max(strings.Index(f.Text, "SET"), 0)
			of = append(of, Outcome{File: f, Start: start, End: len(f.Text) - 1, Error: &ServerError{Flavor: server.MySQL, Errno: 1064, Message: "no"}})
		}
		r := check(t, in, func(o *Options) {
			o.Lock, o.Ran = lock, &Ran{Servers: []RanServer{{Flavor: server.MySQL, Outcomes: of}}}
		})
		r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return f.Rule != "MIG1007" && f.Rule != "MIG1014" })
		if len(r.Findings) != 5 {
			t.Fatalf("%d findings: %+v", len(r.Findings), r.Findings)
		}
		for _, f := range r.Findings {
			if strings.Contains(f.Object, "/") {
				t.Errorf("%s is about %s", f.Rule, f.Object)
			}
		}
		return r.fingerprints()
	}
	if one, other := found("m"), found(filepath.Join(here, "m")); one != other {
		t.Errorf("m:\n%s\n%s/m:\n%s", one, here, other)
	}
}
