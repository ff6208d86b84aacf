package compat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"changeover/verify/compat/ddl"
)

// target is a profile to which every rule applies: Aurora's, with the lists of a server.
func target(t *testing.T) *Profile {
	t.Helper()
	p, err := LoadProfile("mysql-9.7")
	if err != nil {
		t.Fatal(err)
	}
	p.Name, p.Aurora, p.Version = "test", true, "8.0.39"
	return p
}

func check(t *testing.T, in *Input, more ...func(*Options)) *Report {
	t.Helper()
	o := Options{To: target(t)}
	for _, edit := range more {
		edit(&o)
	}
	r, err := Check(t.Context(), in, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(name, sql string) *Input { return &Input{Files: []*ddl.File{ddl.NewFile(name, sql)}} }

var wants = regexp.MustCompile(`(?m)-- want ([A-Z0-9 ]+)$`)

// Each family has a file in which the lines that its rules mean say so, and all others are to be let be.
func TestRulesFindWhatTheFixturesSay(t *testing.T) {
	for _, f := range Families() {
		if f.Name == "CUT" || f.Name == "MIG" || !slices.ContainsFunc(f.Rules, func(r Rule) bool { return slices.Contains(r.Means, Static) }) {
			continue // TestRulesOfMigrations
		}
		t.Run(f.Name, func(t *testing.T) {
			name := filepath.Join("testdata", strings.ToLower(f.Name)+".sql")
			sql, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			r := check(t, text(name, string(sql)))
			compare(t, f.Name, map[string]string{name: string(sql)}, r)
		})
	}
}

// Each pattern of a rule finds something in the fixtures: none is there that nobody has tried.
func TestEachPatternFindsSomething(t *testing.T) {
	for _, f := range Families() {
		sql, err := os.ReadFile(filepath.Join("testdata", strings.ToLower(f.Name)+".sql"))
		if err != nil {
			continue // CUT and MIG are about files, others about servers
		}
		statements := ddl.Read(ddl.NewFile("x.sql", string(sql)), ddl.MySQL, false)
		for _, r := range f.Rules {
			for _, p := range r.Finds {
				found := p.Check != ""
				for i := range statements {
					p.match(&statements[i], func(hit) { found = true })
				}
				if !found {
					t.Errorf("%s: nothing is found by %+v", r.ID, p)
				}
			}
		}
	}
}

// compare looks whether the findings of a family are those that texts want, and that each rule finds something.
func compare(t *testing.T, family string, texts map[string]string, r *Report) {
	t.Helper()
	want, got, found := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for name, sql := range texts {
		for n, line := range strings.Split(sql, "\n") {
			if m := wants.FindStringSubmatch(line); m != nil {
				for _, rule := range strings.Fields(m[1]) {
					want[fmt.Sprintf("%s:%d %s", name, n+1, rule)] = true
				}
			}
		}
	}
	for _, x := range r.Findings {
		if rule, _ := RuleByID(x.Rule); rule.Family == family {
			found[x.Rule] = true
			if x.Location != nil {
				got[fmt.Sprintf("%s:%d %s", x.Location.File, x.Location.Line, x.Rule)] = true
			}
		}
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); d != "" {
		t.Errorf("wanted (-), found (+):\n%s", d)
	}
	for _, f := range Families() {
		for _, rule := range f.Rules {
			if f.Name == family && !found[rule.ID] && slices.Contains(rule.Means, Static) {
				t.Errorf("%s finds nothing in its fixtures", rule.ID)
			}
		}
	}
}

// folder is a folder of migrations in the test's own directory.
func folder(t *testing.T, files map[string]string) *Input {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.Mkdir("m", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, sql := range files {
		if err := os.WriteFile(filepath.Join("m", name), []byte(sql), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in, err := ReadInput("m")
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestRulesOfMigrations(t *testing.T) {
	files := map[string]string{
		"1_first.up.sql":   "CREATE TABLE a (id INT PRIMARY KEY, b INT, source INT, -- want MIG1007\n  source2 INT);\nCREATE TABLE a2 (id INT PRIMARY KEY); -- want MIG1003\n",
		"1_first.down.sql": "DROP TABLE a2, a;\n",
		"2_change.up.sql": `ALTER TABLE a ADD c INT NOT NULL, -- want CUT922
  ADD d INT NOT NULL DEFAULT 1,
  RENAME COLUMN b TO e, -- want CUT921
  ADD UNIQUE KEY u (c), -- want CUT923
  ADD KEY v (c);
`,
		"2_change.down.sql": "ALTER TABLE a DROP COLUMN c;\n",
		"3_wide.up.sql":     "ALTER TABLE a MODIFY e BIGINT; -- want MIG1010\nALTER TABLE nowhere ADD b INT; -- want MIG1003 MIG1017\n",
		"3_wide.down.sql":   "ALTER TABLE a MODIFY e INT; -- want CUT924\n",
		"4_drop.up.sql":     "ALTER TABLE a DROP COLUMN d; -- want CUT921 MIG1009\n",
		"5_event.up.sql":    "CREATE EVENT e ON SCHEDULE EVERY 1 HOUR DO DELETE FROM a WHERE id = 1; -- want CUT926\n",
		"6_xa.up.sql":       "XA START 'x'; -- want CUT925\n",
		"13_lock.up.sql":    "SELECT id FROM a FOR UPDATE; -- want CUT934\nSELECT id FROM a LOCK IN SHARE MODE;\n",
		"7_client.up.sql":   "DELIMITER // -- want MIG1002\nCREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.c = 1//\n",
		"8_begin.up.sql":    "BEGIN; -- want MIG1004\nCREATE TABLE z (id INT PRIMARY KEY);\nCOMMIT;\n",
		"9_use.up.sql":      "USE other; -- want MIG1005\n",
		"10_set.up.sql":     "SET foreign_key_checks = 0; -- want MIG1006\nSET sql_mode = '';\nSET sql_mode = DEFAULT;\nSET @a = 1;\n",
		"10_again.up.sql":   "SELECT 1;\n",
		"eleven.sql":        "SELECT 1;\n",
		"14_rebuild.up.sql": `ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES a (id), -- want MIG1010
  ADD g VARCHAR(10) CHARACTER SET latin1;
ALTER TABLE a MODIFY g VARCHAR(255) CHARACTER SET latin1; -- want MIG1003
ALTER TABLE a MODIFY g VARCHAR(256) CHARACTER SET latin1; -- want MIG1010
ALTER TABLE a CONVERT TO CHARACTER SET utf8mb4; -- want MIG1010
ALTER TABLE a ADD h INT AS (c + 1) STORED, LOCK=NONE;
ALTER TABLE a ADD h INT AS (c + 1) STORED; -- want MIG1010
ALTER TABLE a ADD i ENUM('x', 'y');
ALTER TABLE a MODIFY i ENUM('x', 'y', 'z');
ALTER TABLE a MODIFY i ENUM('y', 'z'); -- want MIG1010
ALTER TABLE a ADD FULLTEXT KEY (g); -- want MIG1010
ALTER TABLE a DROP PRIMARY KEY, ADD PRIMARY KEY (id, c);
ALTER TABLE a DROP PRIMARY KEY; -- want MIG1010
ALTER TABLE a PARTITION BY HASH (id); -- want MIG1010
`,
		"15_odd.up.sql": `FROBNICATE TABLE a; -- want MIG1011
SHOW TABLES;
ALTER TABLE a FROBNICATE; -- want MIG1011
ALTER TABLE a ENGINE = InnoDB, ORDER BY id; -- want MIG1003
CREATE FROB b; -- want MIG1011
INSERT INTO a (id, c) VALUES (1, RAND()); -- want MIG1012
INSERT INTO a (id, c) VALUES (2, LENGTH('NOW()'));
UPDATE a SET c = 1 LIMIT 5; -- want MIG1012
UPDATE a SET c = 1 ORDER BY id LIMIT 5;
UPDATE a SET d = CURRENT_TIMESTAMP; -- want MIG1012
`,
		"16_empty.up.sql": " \n",
		"17_said.up.sql":  "-- nothing to do\n",
		"12_trunc.up.sql": "TRUNCATE TABLE a; -- want MIG1009\nDELETE FROM a; -- want MIG1009\nDELETE FROM a WHERE id = 1;\n",
	}
	in := folder(t, files)
	lock, err := ReadLock("lock", []byte(strings.Repeat("0", 64)+"  1_first.up.sql\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := check(t, in, func(o *Options) { o.Lock = lock })
	named := map[string]string{}
	for name, sql := range files {
		named["m/"+name] = sql
	}
	for _, family := range []string{"CUT", "MIG"} {
		own := map[string]string{}
		for name, sql := range named {
			own[name] = onlyWants(sql, family)
		}
		compare(t, family, own, r)
	}
	var about []string
	for _, f := range r.Findings {
		if f.Location == nil {
			about = append(about, f.Rule+" "+f.Object)
		}
	}
	want := []string{"MIG1001 eleven.sql", "MIG1001 version 10", "MIG1016 16_empty.up.sql"}
	if got := slices.DeleteFunc(about, func(s string) bool { return strings.HasPrefix(s, "MIG1015") }); !slices.Equal(got, want) {
		t.Errorf("of files: %q, not %q", got, want)
	}
}

// onlyWants leaves only what a family is wanted to find.
func onlyWants(sql, family string) string {
	return wants.ReplaceAllStringFunc(sql, func(s string) string {
		var own []string
		for _, rule := range strings.Fields(strings.TrimPrefix(s, "-- want ")) {
			if strings.HasPrefix(rule, family) {
				own = append(own, rule)
			}
		}
		if own == nil {
			return ""
		}
		return "-- want " + strings.Join(own, " ")
	})
}

// An exemption holds for its statement, with a reason, until its day; one that is over, or fits nothing, is told.
func TestExemptions(t *testing.T) {
	const sql = `-- changeover:ignore IDX501 a log that nobody updates
CREATE TABLE a (id INT);
CREATE TABLE b (id INT);
/* changeover:ignore IDX501 until=2026-01-31 will get one */
CREATE TABLE c (id INT);
-- changeover:ignore CHS405 there is none
CREATE TABLE d (id INT PRIMARY KEY);
`
	now := func(day string) func(*Options) {
		return func(o *Options) { o.Now, _ = time.Parse(time.DateOnly, day) }
	}
	objects := func(list []Finding) (out []string) {
		for _, f := range list {
			if f.Rule == "IDX501" {
				out = append(out, f.Object)
			}
		}
		return out
	}
	r := check(t, text("x.sql", sql), now("2026-01-31"))
	if got := objects(r.Findings); !slices.Equal(got, []string{"b"}) {
		t.Errorf("findings about %v", got)
	}
	if got := objects(r.Suppressed); !slices.Equal(got, []string{"a", "c"}) || r.Suppressed[0].Suppression.Reason != "a log that nobody updates" {
		t.Errorf("suppressed about %v", got)
	}
	if len(r.Unchecked) == 0 || !slices.ContainsFunc(r.Unchecked, func(u Unchecked) bool { return u.Rule == "CHS405" && strings.Contains(u.Reason, "x.sql:6") }) {
		t.Errorf("an exemption that fits nothing: %v", r.Unchecked)
	}
	r = check(t, text("x.sql", sql), now("2026-02-01"))
	if got := objects(r.Findings); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("after the day: findings about %v", got)
	}
	if _, err := Check(t.Context(), text("x.sql", "-- changeover:ignore IDX501\nCREATE TABLE a (id INT);"), Options{To: target(t)}); err == nil || !strings.Contains(err.Error(), "x.sql:1: IDX501") {
		t.Errorf("no reason: %v", err)
	}
	file, err := ReadExemptions("e.yaml", []byte("- {rule: IDX501, object: b, reason: later}\n"))
	if err != nil {
		t.Fatal(err)
	}
	r = check(t, text("x.sql", sql), now("2026-01-01"), func(o *Options) { o.Exemptions = file })
	if len(objects(r.Findings)) != 0 {
		t.Errorf("with a file: %v", objects(r.Findings))
	}
	for _, bad := range []string{"- {rule: IDX9, reason: x}", "- {rule: IDX501}", "- {rule: IDX501, reason: x, until: soon}", "- {role: IDX501, reason: x}"} {
		if _, err := ReadExemptions("e.yaml", []byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// A baseline lets old findings be, wherever they stand by now.
func TestABaselineGoesByWhatAFindingIsAbout(t *testing.T) {
	before := check(t, text("x.sql", "CREATE TABLE a (id INT);"))
	var prints []string
	for _, f := range before.Findings {
		prints = append(prints, f.Fingerprint)
	}
	after := check(t, text("x.sql", "CREATE TABLE n (id INT);\n\n\nCREATE  TABLE\ta (id INT);"), func(o *Options) { o.Baseline = prints })
	if len(after.Findings) != 1 || after.Findings[0].Object != "n" || len(after.Suppressed) != 1 {
		t.Errorf("%+v", after)
	}
}

// What a profile says nothing about is not checked, and said so.
func TestWhatIsNotKnownIsNotClean(t *testing.T) {
	p, err := LoadProfile("aurora-3")
	if err != nil {
		t.Fatal(err)
	}
	r := check(t, text("x.sql", "CREATE TABLE a (id INT PRIMARY KEY);"), func(o *Options) { o.To = p })
	for _, rule := range []string{"CHS401", "CHS402"} {
		if !slices.ContainsFunc(r.Unchecked, func(u Unchecked) bool { return u.Rule == rule && strings.Contains(u.Reason, "capture") }) {
			t.Errorf("%s: %v", rule, r.Unchecked)
		}
	}
	if len(r.Findings) != 0 {
		t.Errorf("%v", r.Findings)
	}
}

// A report is the same each time, and its place is exact.
func TestAReportIsTheSameEachTime(t *testing.T) {
	sql, err := os.ReadFile("testdata/mdb.sql")
	if err != nil {
		t.Fatal(err)
	}
	var first strings.Builder
	for i := range 5 {
		var b strings.Builder
		if err := check(t, text("mdb.sql", string(sql))).Write(&b, "json", true); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = b
		} else if b.String() != first.String() {
			t.Fatal("it differs")
		}
	}
	r := check(t, text("x.sql", "\r\nALTER TABLE ä\r\n  ADD COLUMN IF NOT EXISTS ö INT;"))
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Rule == "MDB203" })
	if i < 0 || *r.Findings[i].Location != (Location{"x.sql", 3, 3, 3, 33}) {
		t.Errorf("%+v", r.Findings)
	}
}

// Whoever stops a check gets no report that looks as if all had been asked.
func TestAStoppedCheckHasNoReport(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if r, err := Check(ctx, text("x.sql", "CREATE TABLE a (id INT PRIMARY KEY);"), Options{To: target(t)}); r != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v %v", r, err)
	}
}
