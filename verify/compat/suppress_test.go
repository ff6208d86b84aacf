package compat

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"changeover/internal/server"
)

// An exemption in the text is for one statement: the one in which it stands or that ends on its line, else the next.
func TestAnExemptionIsForOneStatement(t *testing.T) {
	const ignore = "-- changeover:ignore MDB206 meant\n"
	const a, b = "CREATE TABLE a (id INT PRIMARY KEY, u UUID);", "CREATE TABLE b (id INT PRIMARY KEY, u UUID);"
	for sql, want := range map[string][]string{
		ignore + a + "\n" + b:                        {"b.u"},
		a + " " + ignore + b:                         {"b.u"},
		a + "\n" + ignore + b:                        {"a.u"},
		a + "\n" + b + " " + ignore:                  {"a.u"},
		a + "\n" + b + "\n" + ignore:                 {"a.u", "b.u"},
		a + b + " " + ignore:                         {"a.u"},
		a + " /* changeover:ignore MDB206 c */ " + b: {"b.u"},
		"CREATE TABLE a (id INT PRIMARY KEY,\n" + ignore + "u UUID);" + b: {"b.u"},
		a + "\n/* changeover:ignore MDB206 c */ " + b:                     {"a.u"},
	} {
		r := check(t, text("x.sql", sql))
		var got []string
		for _, f := range r.Findings {
			if f.Rule == "MDB206" {
				got = append(got, f.Object)
			}
		}
		fits := !slices.ContainsFunc(r.Unchecked, func(u Unchecked) bool { return strings.Contains(u.Reason, "fits nothing") })
		if !slices.Equal(got, want) || fits != (len(want) == 1) {
			t.Errorf("%s\n\tfinds %v, not %v; it fits: %v", sql, got, want, fits)
		}
	}
}

// An exemption of a rule that this check did not ask is no stale one.
func TestAnExemptionOfARuleThatWasNotAskedIsNotStale(t *testing.T) {
	for _, rule := range []string{"VAR801", "DIF1103", "MDB206"} {
		exemptions, err := ReadExemptions("e.yaml", []byte("- {rule: "+rule+", reason: known}\n"))
		if err != nil {
			t.Fatal(err)
		}
		r := check(t, text("x.sql", "CREATE TABLE a (id INT PRIMARY KEY);"), func(o *Options) { o.Exemptions = exemptions })
		stale := slices.ContainsFunc(r.Unchecked, func(u Unchecked) bool { return u.Rule == rule && strings.Contains(u.Reason, "take it out") })
		if stale != (rule == "MDB206") {
			t.Errorf("%s: said to be stale: %v", rule, stale)
		}
	}
}

func TestABaselineIsReadStrictly(t *testing.T) {
	prints, err := ReadBaseline("b", []byte("# ours\n\n0123456789abcdef0123 IDX501 a\n"+strings.Repeat("f", 20)+" X "+strings.Repeat("long", 1<<15)+"\n"))
	if err != nil || len(prints) != 2 {
		t.Errorf("%v %v", prints, err)
	}
	if _, err := ReadBaseline("b", []byte("0123456789abcdef0123\nIDX501 a\n")); err == nil || !strings.Contains(err.Error(), "b:2:") {
		t.Errorf("what is no baseline: %v", err)
	}
}

// What is no text of statements is not called clean, and what golang-migrate passes over is named.
func TestWhatIsNoInputIsSaid(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, text := range map[string]string{"empty.sql": " \n", "utf16.sql": "C\x00R\x00", "binary": "\x7fELF\x00\xff"} {
		if _, err := ReadInput(write(name, text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := ReadInput(write("latin1.sql", "CREATE TABLE a (id INT COMMENT '\xe9');")); err != nil {
		t.Errorf("latin1: %v", err)
	}
	for text, want := range map[string]server.Flavor{
		"-- MySQL dump 10.13  Distrib 9.7.4\nCREATE TABLE a (id INT);":                    server.MySQL,
		"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19-11.8.3-MariaDB": server.MariaDB,
		"-- MySQL dump 10.19  Distrib 10.4.11-MariaDB, for Linux\n":                       server.MariaDB,
		"CREATE TABLE a (id INT); -- MySQL":                                               "",
	} {
		in, err := ReadInput(write("dump.sql", text))
		if err != nil || in.Flavor != want {
			t.Errorf("%q is of %q: %v", text, in.Flavor, err)
		}
	}
	write("m/1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);")
	write("m/2_b.UP.SQL", "CREATE TABLE b (id INT PRIMARY KEY);")
	write("m/sub/3_c.up.sql", "CREATE TABLE c (id INT PRIMARY KEY);")
	write("m/notes/readme.md", "nothing")
	in, err := ReadInput(filepath.Join(dir, "m"))
	if err != nil {
		t.Fatal(err)
	}
	if len(in.Odd) != 2 || !strings.HasSuffix(in.Odd[0], "2_b.UP.SQL") || !strings.HasSuffix(in.Odd[1], "sub/") {
		t.Errorf("passed over: %v", in.Odd)
	}
}

func TestWithinLeavesProgramsOfTheDatabase(t *testing.T) {
	for folds, databases := range map[string][]string{"0": {"shop"}, "1": {"Shop"}} {
		p := &Picture{Variables: map[string]string{"lower_case_table_names": folds}, Objects: []Object{
			{Kind: "table", Schema: "shop", Name: "orders"}, {Kind: "table", Schema: "shop", Name: "logs"}, {Kind: "view", Schema: "shop", Name: "logs_v"},
			{Kind: "trigger", Schema: "shop", Name: "t", Table: "orders"}, {Kind: "trigger", Schema: "shop", Name: "u", Table: "logs"},
			{Kind: "procedure", Schema: "shop", Name: "p"}, {Kind: "event", Schema: "shop", Name: "e"}}}
		p.Within(databases, func(database, table string) bool { return database == databases[0] && table == "orders" })
		var got []string
		for _, o := range p.Objects {
			got = append(got, o.Name)
		}
		if !slices.Equal(got, []string{"orders", "t", "p", "e"}) {
			t.Errorf("lower_case_table_names=%s: %v", folds, got)
		}
	}
}
