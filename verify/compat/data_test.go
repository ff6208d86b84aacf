package compat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// recorder remembers what a server is asked, before it is.
type recorder struct {
	server.Queryer
	asked  []string
	before func()
}

func (r *recorder) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r.asked = append(r.asked, strings.TrimSpace(fmt.Sprint(append([]any{query}, args...)...)))
	if r.before != nil {
		r.before()
	}
	return r.Queryer.QueryContext(ctx, query, args...)
}

// records puts a recorder before a picture's server.
func records(p *Picture) *recorder {
	r := &recorder{Queryer: p.Probe}
	p.Probe = r
	return r
}

func sources(t *testing.T) map[string]*sandboxtest.Server {
	return map[string]*sandboxtest.Server{"MySQL": sandboxtest.MySQLSource(t), "MariaDB": sandboxtest.MariaDBSource(t)}
}

// both makes a database on both servers, and looks at it.
func both(t *testing.T, source *sandboxtest.Server, here, there []string) (database string, a, b *Picture) {
	t.Helper()
	target := sandboxtest.Target(t)
	database = source.Database(t)
	target.Exec(t, "CREATE DATABASE "+database)
	t.Cleanup(func() { target.Exec(t, "DROP DATABASE "+database) })
	in(t, source, database, here...)
	in(t, target, database, there...)
	return database, seen(t, source, database), seen(t, target, database)
}

// What rows have in them neither is in an answer of the source, nor in a question to anybody.
func TestNoValueLeavesTheSource(t *testing.T) {
	for name, source := range sources(t) {
		t.Run(name, func(t *testing.T) {
			here := []string{
				"CREATE TABLE k (id VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY, mail VARCHAR(90) COLLATE utf8mb4_bin, n INT, UNIQUE KEY (mail(9), n), d DATE, l TEXT CHARACTER SET latin1, e ENUM('hush-e', 'f'), j JSON, CHECK (mail <> 'never'))",
				"CREATE TABLE c (id INT PRIMARY KEY, k VARCHAR(20) COLLATE utf8mb4_bin, FOREIGN KEY (k) REFERENCES k (id))",
				`INSERT INTO k VALUES ('hush-a', 'hush-mail', 1, '2001-01-01', 'hush-l', 'hush-e', '["hush-j"]'), ('hush-A', 'hush-MAIL', 1, NULL, NULL, NULL, NULL)`,
				"INSERT INTO c VALUES (1, 'hush-a')",
			}
			_, a, b := both(t, source, here, []string{"CREATE TABLE k (id VARCHAR(20) COLLATE utf8mb4_unicode_520_ci PRIMARY KEY, mail VARCHAR(90) COLLATE utf8mb4_unicode_520_ci, n INT)"})
			asked, there := records(a), records(b)
			r := checkServers(t, a, b)
			if n := len(foundBy(r, "CHS404", "no database")); n == 0 {
				t.Error("no key is found: this test sees nothing")
			}
			for _, q := range slices.Concat(asked.asked, there.asked) {
				if strings.Contains(strings.ToLower(strings.ReplaceAll(q, "'never'", "")), "hush") {
					t.Errorf("a question has a value: %s", q)
				}
			}
			for _, q := range asked.asked {
				_, rows, err := server.Rows(t.Context(), asked.Queryer, q)
				if err != nil && answer(err) != 1109 { // the plugin of GET_LOCK
					t.Errorf("%s: %v", q, err)
				}
				if strings.Contains(strings.ToLower(fmt.Sprint(rows)), "hush") {
					t.Errorf("the answer to %s has values: %v", q, rows)
				}
			}
		})
	}
}

// Long texts are not written to the source's disk to be looked at.
func TestLongTextsMakeNoTableOnDisk(t *testing.T) {
	s := sandboxtest.MariaDBSource(t)
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE j (id INT PRIMARY KEY, j JSON, p INT, CHECK (LENGTH(j) > 1))", "INSERT INTO j SELECT seq, JSON_ARRAY(REPEAT('x', 100000)), 1 FROM seq_1_to_50")
	p := seen(t, s, database)
	db := s.DBIn(t, sandbox.Root, database)
	db.SetMaxOpenConns(1) // the session's counter
	p.Probe = db
	made := func() uint64 {
		_, rows, err := server.Rows(t.Context(), db, "SHOW SESSION STATUS LIKE 'Created_tmp_disk_tables'")
		if err != nil {
			t.Fatal(err)
		}
		return count(rows[0][1].String)
	}
	before := made()
	c := &checker{ctx: t.Context(), opts: Options{Source: p}, report: &Report{}, rule: &Rule{ID: "MDB221"}}
	jsonText(c, func(hit) {})
	checkViolations(c, func(hit) { t.Error("a row breaks its CHECK") })
	if n := made() - before; n > 0 || len(c.report.Unchecked) > 0 {
		t.Errorf("%d tables on disk, not checked: %+v", n, c.report.Unchecked)
	}
}

// What the source can't compare as the target does it says, and compares nearly so if it can.
func TestKeysWhoseCollationTheSourceLacks(t *testing.T) {
	bytes := map[string]string{"MySQL": "utf8mb4_0900_bin", "MariaDB": "utf8mb4_nopad_bin"}
	for _, x := range []struct {
		name, values, target string
		want                 []string
		why                  string // is not checked, of MariaDB
	}{
		{"nearly the target's", "('a'), ('A'), ('b')", "CREATE TABLE k (a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY)", []string{"warning db.k"}, "utf8mb4_uca1400_nopad_ai_ci, which is near"},
		{"that pads nothing", "('a'), ('a '), ('b')", "CREATE TABLE k (a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY)", []string{}, "utf8mb4_uca1400_nopad_ai_ci, which is near"},
		{"nothing like it", "('a'), ('A'), ('b')", "CREATE TABLE k (a VARCHAR(20) COLLATE utf8mb4_de_pb_0900_ai_ci PRIMARY KEY)", []string{}, "no collation like the target's to compare the keys of PRIMARY by"},
		{"of the same name and another order", "('a'), ('A'), ('b')", "CREATE TABLE k (a VARCHAR(20) COLLATE utf8mb4_croatian_ci PRIMARY KEY)", []string{"warning db.k"}, "utf8mb4_croatian_ci, which is near"},
		{"the target's", "('a'), ('A'), ('b')", "CREATE TABLE k (a VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY)", []string{"error db.k"}, ""},
		{"by an older name", "('a'), ('A'), ('b')", "CREATE TABLE k (a VARCHAR(20) COLLATE utf8mb3_general_ci PRIMARY KEY)", []string{"error db.k"}, ""},
		{"of a charset that lacks characters", "('я'), ('ю'), ('b')", "CREATE TABLE k (a VARCHAR(20) COLLATE latin1_swedish_ci PRIMARY KEY)", []string{}, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			for name, source := range sources(t) {
				database, a, b := both(t, source, []string{"CREATE TABLE k (a VARCHAR(20) COLLATE " + bytes[name] + " PRIMARY KEY)", "INSERT INTO k VALUES " + x.values}, []string{x.target})
				b.Probe = nil // it isn't asked
				r := checkServers(t, a, b)
				want, why := slices.Clone(x.want), x.why
				if name == "MySQL" { // which has them all
					if why = ""; len(want) > 0 || strings.Contains(x.target, "_de_pb_") {
						want = []string{"error db.k"}
					}
				}
				if d := cmp.Diff(want, foundBy(r, "CHS404", database)); d != "" {
					t.Errorf("%s: wanted (-), found (+):\n%s", name, d)
				}
				if got := strings.Join(uncheckedBy(r, "CHS404"), "\n"); !strings.Contains(got, why) || why == "" && got != "" {
					t.Errorf("%s: not checked is %q, without %q", name, got, why)
				}
			}
		})
	}
}

// A check that is cancelled asks nothing more.
func TestACancelledCheckAsksNoMore(t *testing.T) {
	s := sandboxtest.MySQLSource(t)
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE a (id INT PRIMARY KEY, d DATE)", "CREATE TABLE b (id INT PRIMARY KEY, d DATE)")
	p := seen(t, s, database)
	asked := records(p)
	ctx, cancel := context.WithCancel(t.Context())
	asked.before = cancel
	_, err := Check(ctx, InputOf(p), Options{From: p.Flavor, To: target(t), Source: p, Families: []string{"TYP"}})
	if !errors.Is(err, context.Canceled) || len(asked.asked) != 1 {
		t.Errorf("%v, and it has asked %q", err, asked.asked)
	}
}

// The source's accounts are read once, by questions that end by themselves.
func TestAccountsAreReadOnce(t *testing.T) {
	for name, source := range sources(t) {
		p, target := seen(t, source, source.Database(t)), seen(t, sandboxtest.Target(t))
		asked := records(p)
		r := checkServers(t, p, target)
		if !r.Target.Aurora || len(uncheckedBy(r, "CUT931")) > 0 {
			t.Fatalf("not checked: %+v", r.Unchecked)
		}
		n := 0
		for _, q := range asked.asked {
			if strings.Contains(q, "account_locked") {
				n++
			}
			if strings.Contains(q, "SELECT") && !strings.HasPrefix(q, "SELECT /*+ MAX_EXECUTION_TIME") && !strings.HasPrefix(q, "SET STATEMENT max_statement_time") {
				t.Errorf("%s: it does not end by itself: %s", name, q)
			}
		}
		if n != 1 {
			t.Errorf("%s: the accounts are read %d times", name, n)
		}
	}
}
