package run

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"changeover/internal/server"
	"changeover/verify/compat"
)

// found are the findings of rules about runs, and of those that servers confirmed: rule file:line object errno message.
func found(t *testing.T, in *compat.Input, o compat.Options) (all []string, r *compat.Report) {
	t.Helper()
	if o.To == nil {
		o.To = profile(t)
	}
	r, err := compat.Check(t.Context(), in, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if !slices.Contains(f.DetectedBy, compat.Run) || strings.HasPrefix(f.Rule, "DIF") && f.Rule != "DIF1116" {
			continue
		}
		errno := 0
		if f.ServerError != nil {
			if errno = f.ServerError.Errno; errno == 0 {
				t.Errorf("%s: a server's answer without a number: %s", f.Rule, f.ServerError.Message)
			}
		}
		all = append(all, fmt.Sprintf("%s %s:%d %s %d %v: %s", f.Rule, filepath.Base(f.Location.File), f.Location.Line, filepath.Base(f.Object), errno, f.DetectedBy, f.Message))
	}
	return all, r
}

func profile(t *testing.T) *compat.Profile {
	t.Helper()
	p, err := compat.LoadProfile("mysql-9.7")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRulesAboutRuns(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  []string // "RULE file:line object errno [means]: the beginning of the message"
	}{
		{
			name:  "nothing is said of what runs on both and leads back",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, n VARCHAR(20) CHARACTER SET ascii);\nDROP TABLE IF EXISTS b;", "1_a.down.sql", "DROP TABLE a;"},
		},
		{
			name:  "what fails on one engine, with what confirms the rule that saw it in the text",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);\nALTER TABLE a ADD COLUMN IF NOT EXISTS n INT;\nALTER TABLE a ADD COLUMN IF NOT EXISTS m INT; -- not run"},
			want: []string{
				"MDB203 1_a.up.sql:2 a 1064 [static run]: ",
				"DIF1116 1_a.up.sql:2 a 1064 [run]: mariadb does it, and it fails on mysql: 1064 You have an error in your SQL syntax",
			},
		},
		{
			name:  "what fails everywhere is no difference, and what was done by then is said",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);\nCREATE TABLE b (id INT PRIMARY KEY);\nINSERT INTO none VALUES (1);"},
			want: []string{
				"MIG1014 1_a.up.sql:3 none 1146 [run]: it fails on mysql and mariadb: 1146 Table 'changeover_check.none' doesn't exist; by then the file has changed a, b, and stays half done",
			},
		},
		{
			name:  "a way down that fails",
			files: []string{"1_a.up.sql", "DO 1;", "1_a.down.sql", "DROP TABLE none;"},
			want: []string{
				"MIG1014 1_a.down.sql:1 none 1051 [run]: it fails on mysql and mariadb on the way down: 1051 Unknown table 'changeover_check.none'",
			},
		},
		{
			name:  "a way down that does not lead back is said once for both servers",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, n INT, m INT);", "1_a.down.sql", "DROP TABLE a;", "2_b.up.sql", "ALTER TABLE a DROP COLUMN n;", "2_b.down.sql", "-- at the end\nALTER TABLE a ADD COLUMN n INT;"},
			want: []string{
				"MIG1008 2_b.down.sql:2 a 0 [run]: after the way down of version 2, its columns stand in another order (on mysql and mariadb)",
			},
		},
		{
			name:  "a version that can't go up again",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "1_a.down.sql", "DO 1;"},
			want: []string{
				"MIG1008 1_a.up.sql:1 a 1050 [run]: after the way down it can't go up again on mysql and mariadb: 1050 Table 'a' already exists",
				"MIG1008 1_a.down.sql:1 a 0 [run]: after the way down of version 1, the table is left behind (on mysql and mariadb)",
			},
		},
		{
			name:  "a server confirms that at which it stopped, not what comes after",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, g INT AS (id * 2) PERSISTENT, x INET6, KEY k (g) IGNORED);"},
			want: []string{
				"MDB207 1_a.up.sql:1 a.g 1064 [static run]: ",
				"DIF1116 1_a.up.sql:1 a 1064 [run]: mariadb does it, and it fails on mysql: 1064 ",
			},
		},
		{
			name:  "nor what comes before, wherever it stands in the file",
			files: []string{"1_a.up.sql", "DO 1; -- é\n\nCREATE TABLE a (g INT,\n  `é` INT CHECK (g > 0),\n  b VECTOR(3), x INET6,\n  KEY k (g) IGNORED) COMMENT 'a long text, so that the server does not quote all of it: eighty bytes and no more';"},
			want: []string{
				"MDB206 1_a.up.sql:5 a.x 1064 [static run]: ",
				"MIG1014 1_a.up.sql:3 a 1064 [run]: it fails on mysql: 1064 ",
			},
		},
		{
			name:  "an answer that names something confirms what it names",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);\nSELECT\n  NVL2(id, 1, 2),\n  ADD_MONTHS(NOW(), 1)\nFROM a;"},
			want: []string{
				"MDB215 1_a.up.sql:3 . 1305 [static run]: ",
				"DIF1116 1_a.up.sql:2 1_a.up.sql 1305 [run]: mariadb does it, and it fails on mysql: 1305 FUNCTION changeover_check.NVL2 does not exist",
			},
		},
		{
			name:  "each server's own error is said",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, g INT AS (id * 2) PERSISTENT, v NONE(3));"},
			want: []string{
				"MDB207 1_a.up.sql:1 a.g 1064 [static run]: ",
				"MIG1014 1_a.up.sql:1 a 1064 [run]: it fails on mysql: 1064 You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'PERSISTENT, v NONE(3))'; on mariadb: 4161 Unknown data type: 'NONE'",
			},
		},
		{
			name:  "and of one number too, where they stop at something else",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, g INT AS (id * 2) PERSISTENT, KEY k (g) INVISIBLE);"},
			want: []string{
				"MDB207 1_a.up.sql:1 a.g 1064 [static run]: ",
				"MIG1014 1_a.up.sql:1 a 1064 [run]: it fails on mysql: 1064 You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'PERSISTENT, KEY k (g) INVISIBLE)'; on mariadb: 1064 You have an error in your SQL syntax; check the manual that corresponds to your MariaDB server version for the right syntax to use near 'INVISIBLE)'",
			},
		},
		{
			name:  "or lack something else",
			files: []string{"1_a.up.sql", "SELECT NVL2(1, 2, 3), UUID_TO_BIN('a');"},
			want: []string{
				"MDB215 1_a.up.sql:1 . 1305 [static run]: ",
				"MIG1014 1_a.up.sql:1 1_a.up.sql 1305 [run]: it fails on mysql: 1305 FUNCTION changeover_check.NVL2 does not exist; on mariadb: 1305 FUNCTION changeover_check.UUID_TO_BIN does not exist",
			},
		},
		{
			name:  "what is not sent to a server fails nowhere",
			files: []string{"1_a.up.sql", "DO 1;\nSHUTDOWN;", "2_b.up.sql", "DROP TABLE none;"},
		},
		{
			name:  "what the driver refuses is no server's answer",
			files: []string{"1_a.up.sql", "CREATE TABLE a (t TEXT);\nLOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE a;"},
			want:  []string{"MIG1014 1_a.up.sql:2 a 0 [run]: it fails on mysql and mariadb: local file"},
		},
		{
			name: "warnings, each number once",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, n DOUBLE(8, 2));\nCREATE TABLE b (id INT PRIMARY KEY, n DOUBLE(9, 2));",
				"1_a.down.sql", "DROP TABLE a, b;", "2_b.up.sql", "SELECT 1 / 0;\nSELECT CAST('x' AS SIGNED);"},
			want: []string{
				"MIG1013 1_a.up.sql:1 a 1681 [run]: warning of mysql: 1681 Specifying number of digits for floating point data types is deprecated and will be removed in a future release. (2 statements have it, this is the first)",
				"MIG1013 2_b.up.sql:1 2_b.up.sql 1365 [run]: warning of mysql and mariadb: 1365 Division by 0",
				"MIG1013 2_b.up.sql:2 2_b.up.sql 1292 [run]: warning of mysql and mariadb: 1292 Truncated incorrect INTEGER value: 'x'",
			},
		},
		{
			name:  "a warning confirms too what was seen in the text",
			files: []string{"1_a.up.sql", "SET SESSION sql_mode = '';\nCREATE TABLE a (id INT PRIMARY KEY, t TEXT DEFAULT '');\nSET SESSION sql_mode = DEFAULT;", "1_a.down.sql", "DROP TABLE a;"},
			want: []string{
				"MDB209 1_a.up.sql:2 a.t 1101 [static run]: ",
				"MIG1013 1_a.up.sql:2 a 1101 [run]: warning of mysql: 1101 BLOB, TEXT, GEOMETRY or JSON column 't' can't have a default value",
			},
		},
		{
			name:  "a transaction that is left open fails wherever golang-migrate notes the version",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "2_b.up.sql", "START TRANSACTION;\nINSERT INTO a VALUES (1);"},
			want: []string{
				"MIG1014 2_b.up.sql:2 a 1568 [run]: it fails on mysql and mariadb: 1568 Transaction characteristics can't be changed while a transaction is in progress (to golang-migrate, ",
			},
		},
		{
			name:  "the client's commands are no statements, and no password is shown",
			files: []string{"1_a.up.sql", "DELIMITER //\nCREATE USER a IDENTIFIED BY 'geheim' //\n"},
			want: []string{
				"MIG1002 1_a.up.sql:1 1_a.up.sql 1064 [static run]: ",
				"MIG1014 1_a.up.sql:1 1_a.up.sql 1064 [run]: it fails on mysql and mariadb: 1064 ",
			},
		},
		{
			name:  "nor where the server quotes it",
			files: []string{"1_a.up.sql", "CREATE USER a IDENTIFIED BY BY 'geheim';"},
			want:  []string{"MIG1014 1_a.up.sql:1 1_a.up.sql 1064 [run]: it fails on mysql and mariadb: 1064 You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'BY …'"},
		},
		{
			name:  "nor an address in a definition",
			files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY) COMMENT 'x';", "1_a.down.sql", "DROP TABLE a;", "2_b.up.sql", "ALTER TABLE a COMMENT 'y' CONNECTION 'mysql://me:geheim@nowhere/db/a';", "2_b.down.sql", "DO 1;"},
			want:  []string{"MIG1008 2_b.down.sql:1 a 0 [run]: after the way down of version 2, it lacks ) ENGINE=InnoDB"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := folder(t, c.files...)
			ran := onShared(t, in, Options{})
			got, r := found(t, in, compat.Options{Ran: ran})
			again, _ := found(t, in, compat.Options{Ran: ran})
			if !slices.Equal(got, again) {
				t.Errorf("the second check says %q", again)
			}
			if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), "geheim") {
				t.Errorf("a secret is told: %s, error %v", text, err)
			}
			if len(got) != len(c.want) {
				t.Errorf("found\n%s", strings.Join(got, "\n"))
			}
			for i := range min(len(got), len(c.want)) {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("found %s\n want %s", got[i], c.want[i])
				}
			}
			for i := range ran.Servers {
				s := &ran.Servers[i]
				said := slices.ContainsFunc(r.Unchecked, func(u compat.Unchecked) bool {
					return u.Rule == "MIG1008" && strings.Contains(u.Reason, string(s.Flavor)+": version")
				})
				for _, version := range s.Unrun {
					said = said && slices.ContainsFunc(r.Unchecked, func(u compat.Unchecked) bool {
						return u.Rule == "" && u.Object == version && strings.Contains(u.Reason, string(s.Flavor)) && strings.HasSuffix(u.Reason, ": "+s.Stopped)
					})
				}
				if said != (s.Stopped != "") {
					t.Errorf("%s: stopped: %q, and not checked: %v", s.Flavor, s.Stopped, r.Unchecked)
				}
			}
		})
	}
}

// A version that can't come up again is an error, one that leaves something else behind a warning.
func TestAVersionThatCannotGoUpAgainIsAnError(t *testing.T) {
	in := folder(t, "1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "1_a.down.sql", "DO 1;", "2_b.up.sql", "DO 1;", "3_c.up.sql", "DO 1;")
	_, r := found(t, in, compat.Options{Ran: onShared(t, in, Options{})})
	var got []string
	for _, f := range r.Findings {
		if f.Rule == "MIG1008" {
			got = append(got, fmt.Sprintf("%s %s:%d", f.Severity, filepath.Base(f.Location.File), f.Location.Line))
		}
	}
	if want := []string{"error 1_a.up.sql:1", "warning 1_a.down.sql:1"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	var unrun []string
	for _, u := range r.Unchecked {
		if u.Rule == "" {
			unrun = append(unrun, u.Object+" "+strings.ReplaceAll(u.Reason, in.Files[0].Name, "1_a.up.sql"))
		}
	}
	const why = " it was not run on mysql and mariadb: version 0001_a is dirty: its way up again failed at "
	if len(unrun) != 2 || !strings.HasPrefix(unrun[0], "0002_b"+why) || !strings.HasPrefix(unrun[1], "0003_c"+why) {
		t.Errorf("not checked: %q", unrun)
	}
}

// A dump goes on after errors: what fails for want of what failed before is no error of its own.
func TestADumpsFollowingErrorsAreOfTheirCause(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string // "RULE line errno: message"
		unchecked  []string
	}{
		{
			name: "rows, keys, views, triggers and tables that refer to one that can't be made",
			text: `CREATE TABLE customers (id UUID PRIMARY KEY);
CREATE TABLE orders (id INT PRIMARY KEY, customer INT, FOREIGN KEY (customer) REFERENCES customers (id));
CREATE TABLE fine (id INT PRIMARY KEY);
INSERT INTO customers VALUES ('5a2b0d4c-0000-11ee-8000-000000000000');
INSERT INTO orders VALUES (1, NULL);
ALTER TABLE customers ADD KEY more (id);
CREATE VIEW v AS SELECT id FROM customers;
CREATE VIEW w AS SELECT id FROM v;
CREATE TRIGGER t BEFORE INSERT ON fine FOR EACH ROW SET NEW.id = 1;
DROP VIEW w;
INSERT INTO none VALUES (1);`,
			want: []string{
				// MariaDB can make customers, and no key of an INT to it.
				"MIG1014 2 1005: it fails on mariadb: 1005 Can't create table `changeover_check`.`orders` (errno: 150 \"Foreign key constraint is incorrectly formed\"); on mysql what it needs failed before; for want of it another statement fails, at dump.sql:5",
				"MIG1014 11 1146: it fails on mysql and mariadb: 1146 Table 'changeover_check.none' doesn't exist",
				"DIF1116 1 1064: mariadb does it, and it fails on mysql: 1064 You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'UUID PRIMARY KEY)'; for want of it 7 other statements fail, the first at dump.sql:2",
			},
			unchecked: []string{
				"on mariadb a statement fails for want of what failed before: what else there may be to say is not known",
				"on mysql 7 statements fail for want of what failed before: what else there may be to say is not known",
			},
		},
		{
			name: "a column that can't be added",
			text: "CREATE TABLE a (id INT PRIMARY KEY);\nALTER TABLE a ADD n NONE;\nALTER TABLE a ADD KEY (n);\nALTER TABLE a RENAME TO b;\nSELECT n FROM b;",
			want: []string{
				"MIG1014 2 1064: it fails on mysql: 1064 You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'NONE'; on mariadb: 4161 Unknown data type: 'NONE'; for want of it another statement fails, at dump.sql:3",
				"MIG1014 5 1054: it fails on mysql and mariadb: 1054 Unknown column 'n' in ",
			},
			unchecked: []string{
				"on mariadb a statement fails for want of what failed before: what else there may be to say is not known",
				"on mysql a statement fails for want of what failed before: what else there may be to say is not known",
			},
		},
		{
			name: "what can be made in the end is there",
			text: "CREATE TABLE a (n NONE);\nCREATE TABLE a (n INT);\nRENAME TABLE a TO c;\nINSERT INTO a VALUES (1);",
			want: []string{
				"MIG1014 1 1064: it fails on mysql: ",
				"MIG1014 4 1146: it fails on mysql and mariadb: 1146 Table 'changeover_check.a' doesn't exist",
			},
		},
		{
			name: "what is not sent to a server is said, and the dump goes on",
			text: "DO 1;\nSHUTDOWN;\nINSERT INTO none VALUES (1);",
			want: []string{"MIG1014 3 1146: it fails on mysql and mariadb: 1146 "},
			unchecked: []string{
				"dump.sql:2 was not sent: SHUTDOWN is not run: it would end the server under the files that follow",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "dump.sql"), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			in, err := compat.ReadInput(filepath.Join(dir, "dump.sql"))
			if err != nil {
				t.Fatal(err)
			}
			_, r := found(t, in, compat.Options{From: server.MariaDB, Ran: onShared(t, in, Options{})})
			var got, unchecked []string
			for _, f := range r.Findings {
				if f.Rule == "MIG1014" || f.Rule == "DIF1116" {
					got = append(got, strings.ReplaceAll(fmt.Sprintf("%s %d %d: %s", f.Rule, f.Location.Line, f.ServerError.Errno, f.Message), dir+"/", ""))
				}
			}
			slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(b[:1], a[:1]) }) // MIG before DIF
			for _, u := range r.Unchecked {
				if u.Rule == "MIG1014" {
					unchecked = append(unchecked, strings.ReplaceAll(u.Reason, dir+"/", ""))
				}
			}
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) || !slices.Equal(unchecked, c.unchecked) {
				t.Errorf("found\n%s\nnot checked\n%s", strings.Join(got, "\n"), strings.Join(unchecked, "\n"))
			}
		})
	}
}

func TestOneEngineAloneTellsOfNoDifference(t *testing.T) {
	in := folder(t, "1_a.up.sql", "CREATE TABLE a (u NONE);")
	ran := onShared(t, in, Options{From: server.MySQL})
	got, r := found(t, in, compat.Options{Ran: ran})
	got = slices.DeleteFunc(got, func(line string) bool { return strings.HasPrefix(line, "SYN") })
	if len(got) != 1 || !strings.HasPrefix(got[0], "MIG1014 1_a.up.sql:1 a 1064 [run]: it fails on mysql: 1064 ") {
		t.Errorf("found %q", got)
	}
	if !slices.Contains(r.Unchecked, compat.Unchecked{Rule: "DIF1116", Reason: "the statements were run on one engine only"}) {
		t.Errorf("not checked: %v", r.Unchecked)
	}
}

func TestWithoutARunTheRulesAreNotChecked(t *testing.T) {
	in := folder(t, "1_a.up.sql", "CREATE TABLE a (u NONE);")
	got, r := found(t, in, compat.Options{})
	if len(got) > 0 {
		t.Errorf("found %q", got)
	}
	for _, id := range []string{"MIG1008", "MIG1013", "MIG1014", "DIF1116"} {
		if !slices.Contains(r.Unchecked, compat.Unchecked{Rule: id, Reason: "needs a real run"}) {
			t.Errorf("%s is not among %v", id, r.Unchecked)
		}
	}
}

// The platform's own migrations run on both engines without an error, and end in one schema, as far as errors go.
func TestOurOwnMigrationsPass(t *testing.T) {
	const file = "../../../migrations/exemptions.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	exemptions, err := compat.ReadExemptions(file, text)
	if err != nil {
		t.Fatal(err)
	}
	in, err := compat.ReadInput("../../../migrations/sql")
	if err != nil {
		t.Fatal(err)
	}
	to, err := compat.LoadProfile("aurora-3")
	if err != nil {
		t.Fatal(err)
	}
	ran := onShared(t, in, Options{To: to})
	r, err := compat.Check(t.Context(), in, compat.Options{To: to, Ran: ran, Exemptions: exemptions})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Severity == compat.Error {
			t.Errorf("%s %s: %s", f.Rule, f.Object, f.Message)
		}
		if f.Rule == "MIG1008" || f.Rule == "MIG1013" {
			t.Logf("%s %s: %s", f.Rule, f.Object, f.Message)
		}
	}
}
