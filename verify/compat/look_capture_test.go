package compat

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// A profile is the same whether it is captured, made of a picture, or read from the file that was written; it
// has values as a picture has them, since rules compare the two; and nothing in it is anybody's secret.
func TestAProfileIsCaptured(t *testing.T) {
	s := sandboxtest.Target(t)
	db := s.DB(t, sandbox.Admin)
	p, err := Capture(t.Context(), db, "ours")
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "ours" || p.version()[0] < 8 || !slices.Contains(p.Collations, "utf8mb4_0900_ai_ci") || !slices.Contains(p.Charsets, "latin1") || !slices.Contains(p.Reserved, "RANK") {
		t.Errorf("%+v", p)
	}
	for name, want := range map[string]string{"innodb_strict_mode": "ON", "lower_case_table_names": "0", "innodb_page_size": "16384", "autocommit": "ON", "init_connect": ""} {
		if got, ok := p.Variables[name]; !ok || got != want {
			t.Errorf("%s is %q, %v", name, got, ok)
		}
	}
	seen := looked(t, s, sandbox.Admin, LookOptions{})
	if of, err := ProfileOf(t.Context(), db, seen, "ours"); err != nil || !reflect.DeepEqual(of, p) {
		t.Errorf("%v: a picture makes %+v", err, of)
	}
	text, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ours.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if read, err := LoadProfile(file); err != nil || !reflect.DeepEqual(read, p) {
		t.Errorf("%v: the file has %+v", err, read)
	}

	// Aurora is told by a variable that only it has; what a connection is greeted with is nobody's business.
	seen.Variables["aurora_version"], seen.Variables["init_connect"] = "3.08.0", "INSERT INTO audit.logins VALUES (USER())"
	of, err := ProfileOf(t.Context(), db, seen, "ours")
	if err != nil || !of.Aurora || !strings.Contains(of.Source, "3.08.0") {
		t.Errorf("%v: %+v", err, of)
	}
	if _, told := of.Variables["init_connect"]; told {
		t.Error("init_connect is told")
	}
	if _, err := Capture(t.Context(), sandboxtest.MariaDBSource(t).DB(t, sandbox.Root), "ours"); err == nil {
		t.Error("a MariaDB is taken for a target")
	}
}

// A profile that is captured answers all that rules ask of a target's variables.
func TestAProfileAnswersWhatRulesAsk(t *testing.T) {
	p, err := Capture(t.Context(), sandboxtest.Target(t).DB(t, sandbox.Admin), "ours")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*sandboxtest.Server{sandboxtest.MySQLSource(t), sandboxtest.MariaDBSource(t)} {
		database := s.Database(t)
		in(t, s, database, "CREATE TABLE t (id INT PRIMARY KEY, a TEXT, FULLTEXT KEY (a))", "CREATE EVENT e"+event+"DO DO 1")
		source := seen(t, s, database)
		r := check(t, InputOf(source), func(o *Options) { o.From, o.To, o.Source = source.Flavor, p, source })
		for _, u := range r.Unchecked {
			if strings.Contains(u.Reason, "does not say") {
				t.Errorf("%s of %s: %s", u.Rule, source.Flavor, u.Reason)
			}
		}
	}
}
