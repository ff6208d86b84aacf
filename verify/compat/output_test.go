package compat

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changeover/internal/server"
)

var update = flag.Bool("update", false, "write the reports in testdata/report anew")

// whole is a report that has everything that a report can have. Its rules are its own, so that it stays as it is when
// the catalogue grows.
func whole() *Report {
	rules := []*Rule{
		{ID: "AUR901", Family: "AUR", Title: "a rule that is clean", Severity: Error, Means: []Means{Static}, Remedy: "Nothing.", Why: "It is here to be clean."},
		{ID: "MDB903", Family: "MDB", Title: "IF NOT EXISTS where MySQL has none", Severity: Error, Means: []Means{Static, Run}, Remedy: "Leave it out.", SQL: "ALTER TABLE t ADD COLUMN c INT",
			Why: "MySQL has it of tables only.", Doc: "https://dev.mysql.com/doc/refman/8.4/en/alter-table.html", Errno: []int{1064}, Confirmed: "mysql"},
		{ID: "CHS904", Family: "CHS", Title: "the default collation differs", Severity: Warning, Means: []Means{Live}, Remedy: "Name it.", Why: "'a' and 'a ' <stop> being equal & more."},
		{ID: "TYP905", Family: "TYP", Title: "a display width", Severity: Info, Means: []Means{Static}, Remedy: "Drop it.", Why: "It is ignored."},
		{ID: "FK906", Family: "FK", Title: "rows without their parent", Severity: Warning, Means: []Means{Data}, Remedy: "Look for them.", Why: "They can't be copied."},
		{ID: "FK907", Family: "FK", Title: "a key across databases", Severity: Error, Means: []Means{Static, Live}, Remedy: "Move both.", Why: "One alone refuses."},
	}
	at := func(file string, line, column, endLine, endColumn int) *Location {
		return &Location{file, line, column, endLine, endColumn}
	}
	r := &Report{SchemaVersion: 1, Source: Source{Flavor: server.MariaDB, Version: "10.11.19-MariaDB"}, Target: &Profile{Name: "aurora-3", Aurora: true, Version: "8.0.39", Source: "the vendor's documentation"},
		Findings: []Finding{
			{Rule: "TYP905", Severity: Info, Object: "shop.orders.n", Location: at("migrations/0002 höhe.up.sql", 12, 6, 12, 13), Message: "int(11): the display width is ignored", Evidence: "int(11)",
				Remedy: Remedy{Text: "Drop it."}, DetectedBy: []Means{Static}},
			{Rule: "CHS904", Severity: Warning, Object: "shop.orders.code", Message: "utf8mb4_general_ci (PAD SPACE) against utf8mb4_0900_ai_ci (NO PAD): 'a' and 'a ' stop being equal",
				Remedy: Remedy{Text: "Keep COLLATE utf8mb4_general_ci on the target, in each column that has it; a unique key that is made anew may otherwise refuse what the source has."}, DetectedBy: []Means{Live},
				near: at("migrations/0001_init.up.sql", 3, 1, 9, 2)},
			{Rule: "FK907", Severity: Error, Object: "shop_audit.log", Message: "a key into a database that is not moved", Remedy: Remedy{Text: "Move both."}, DetectedBy: []Means{Live}},
			{Rule: "MDB903", Severity: Error, Object: "accounts.prefs", Location: at("migrations/0031_prefs.up.sql", 7, 14, 8, 3), Message: "ADD COLUMN IF NOT EXISTS is MariaDB's", Evidence: "ADD COLUMN IF NOT EXISTS `a|b` <b>\x1b[31m\u202e%0A::error::",
				Remedy: Remedy{Text: "Leave it out.", SQL: "ALTER TABLE t ADD COLUMN c INT"}, DetectedBy: []Means{Static, Run}, ServerError: &ServerError{server.MySQL, 1064, "You have an error in your SQL syntax"}},
			{Rule: "MDB903", Severity: Warning, Location: at("migrations/0032_more.up.sql", 1, 1, 1, 5), Message: "one that is not so bad,\nin two lines", Evidence: "DROP", Remedy: Remedy{Text: "Leave it out: 100% of it."}, DetectedBy: []Means{Static}},
		},
		Suppressed: []Finding{
			{Rule: "TYP905", Severity: Info, Object: "log.n", Location: at("migrations/0001_init.up.sql", 2, 1, 2, 5), Message: "int(5): the display width is ignored", Evidence: "int(5)", Remedy: Remedy{Text: "Drop it."},
				DetectedBy: []Means{Static}, Suppression: &Exemption{Rule: "TYP905", Object: "log.n", File: "0001_init.up.sql", Reason: "it has always been so", Until: "2027-01-31", text: true}},
			{Rule: "TYP905", Severity: Info, Object: "old.n", Location: at("migrations/0001_init.up.sql", 4, 1, 4, 5), Message: "int(6): the display width is ignored", Evidence: "int(6)", Remedy: Remedy{Text: "Drop it."},
				DetectedBy: []Means{Static}, Suppression: &Exemption{Rule: "TYP905", Reason: "in the baseline"}},
		},
		Unchecked: []Unchecked{{Rule: "FK906", Reason: "needs leave to look at rows"}, {Rule: "CHS904", Object: "shop_audit", Reason: "needs SELECT on shop_audit.* (1142)"},
			{Object: "accounts", Reason: "SELECT command denied (1142)"}, {Rule: "FK907", Reason: "needs SELECT on shop_audit.* (1142)"}, {Rule: "ZZZ999", Reason: "the exemption at meant.yaml, entry 2 fits nothing any more: take it out"}},
		Summary: Summary{Statements: 214, Files: 41},
		anchor:  "migrations/0001_init.up.sql",
	}
	for _, list := range [][]Finding{r.Findings, r.Suppressed} {
		for i := range list {
			list[i].Fingerprint = list[i].fingerprint(list[i].Evidence)
		}
	}
	r.finish(rules)
	return r
}

// Each format of a report that has everything is as testdata/report has it; go test -update writes it anew, for
// somebody to read.
func TestEveryFormatIsAsItWas(t *testing.T) {
	for _, format := range Formats {
		var b strings.Builder
		if err := whole().Write(&b, format, true); err != nil {
			t.Fatal(err)
		}
		golden(t, format, b.String())
	}
	var b strings.Builder
	if err := whole().TextOn(&b, Screen{Width: 120, Color: true, FailOn: Warning}, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "screen", b.String())
	if err := whole().Write(&b, "xml", true); err == nil {
		t.Error("a format that is none is written")
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "report", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: was (-), is (+):\n%s", name, d)
	}
}

// The page about check has every field of the JSON, and the formats.
func TestThePageHasEveryFieldOfTheJSON(t *testing.T) {
	page, err := os.ReadFile("../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := whole().Write(&b, "json", false); err != nil {
		t.Fatal(err)
	}
	var report any
	if err := json.Unmarshal([]byte(b.String()), &report); err != nil {
		t.Fatal(err)
	}
	names := slices.Clone(Formats)
	var visit func(v any)
	visit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				names = append(names, name)
				visit(inner)
			}
		case []any:
			for _, inner := range v {
				visit(inner)
			}
		}
	}
	visit(report)
	for _, name := range names {
		if !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), "`"+name+"[]`") {
			t.Errorf("docs/check.md does not say what `%s` is", name)
		}
	}
}

// Explain and List say all that the catalogue has of a rule.
func TestARuleIsExplained(t *testing.T) {
	r := &Rule{ID: "MDB903", Severity: Error, Title: "a title", From: []server.Flavor{server.MariaDB}, To: []string{"aurora", ">=8.0"}, Means: []Means{Static, Run}, Why: "It is so.", Remedy: "Do it.",
		SQL: "SELECT 1", Doc: "https://example.org/", Errno: []int{1064, 1305}, Confirmed: "doc"}
	var b strings.Builder
	if err := r.Explain(&b); err != nil {
		t.Fatal(err)
	}
	want := `MDB903 · error · a title

It is so.

Applies to: [mariadb], target [aurora >=8.0]. Found by: [static run].
What to do: Do it.
SQL: SELECT 1
See: https://example.org/
Server's error: [1064 1305]
Confirmed: the vendor's documentation
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
	b.Reset()
	if err := List(&b); err != nil {
		t.Fatal(err)
	}
	for _, f := range Families() {
		for _, rule := range f.Rules {
			if !strings.Contains(b.String(), "\n  "+rule.ID+" ") {
				t.Errorf("%s is not listed", rule.ID)
			}
		}
	}
}
