package run

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	migratemysql "github.com/golang-migrate/migrate/v4/database/mysql"
	_ "github.com/golang-migrate/migrate/v4/source/file" // file://

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
	"changeover/verify/compat"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// folder makes a folder of migrations: name, text, name, text, …
func folder(t *testing.T, files ...string) *compat.Input {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in, err := compat.ReadInput(dir)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// onShared runs an input on the servers that all tests share, as if they were its own.
func onShared(t *testing.T, in *compat.Input, o Options) *compat.Ran {
	t.Helper()
	o = o.complete()
	ran := &compat.Ran{Servers: make([]compat.RanServer, len(o.Flavors))}
	for i, f := range o.Flavors {
		s := sandboxtest.Shared(t, spec(f, o))
		ran.Servers[i].Flavor = f
		t.Cleanup(func() { s.Exec(t, "DROP DATABASE IF EXISTS "+o.Database) })
		if err := on(t.Context(), s.Server, in, o, &ran.Servers[i]); err != nil {
			t.Fatal(err)
		}
	}
	return ran
}

// said is what came of a run on one server, a line for each thing: failures with what is half done, warnings, what
// is left, whether it stopped, and what was not run.
func said(s *compat.RanServer) []string {
	var all []string
	for _, o := range s.Outcomes {
		at, _ := o.File.At(o.Start)
		place := fmt.Sprintf("%s %s:%d", o.Pass, filepath.Base(o.File.Name), at)
		if o.Error != nil {
			all = append(all, fmt.Sprintf("%s fails %d half %v", place, o.Error.Errno, o.Half))
		}
		if o.Unsent != "" {
			all = append(all, place+" is not sent")
		}
		for _, w := range o.Warnings {
			all = append(all, fmt.Sprintf("%s warns %d", place, w.Errno))
		}
	}
	for _, l := range s.Left {
		all = append(all, fmt.Sprintf("left by %d: %s: %s", l.Version, l.Object, l.What))
	}
	if s.Stopped != "" {
		all = append(all, "stopped")
	}
	for _, version := range s.Unrun {
		all = append(all, "not run "+version)
	}
	return all
}

// troubles are folders, and what is said of them on each server.
var troubles = []struct {
	name           string
	files          []string
	to             *compat.Profile
	mysql, mariadb []string
}{
	{
		name:  "what both know runs, and the way back is clean",
		files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, n INT);\nINSERT INTO a VALUES (1, 1);", "1_a.down.sql", "DROP TABLE a;"},
	},
	{
		name:  "MariaDB's words fail on MySQL, and what the file did before is half done",
		files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);\nCREATE TABLE u (id INT);\nINSERT INTO a VALUES (1);\nALTER TABLE a ADD COLUMN IF NOT EXISTS n INT;", "1_a.down.sql", "DROP TABLE a, u;"},
		mysql: []string{"up 1_a.up.sql:4 fails 1064 half [a u]", "stopped"},
	},
	{
		name:    "MySQL's words fail on MariaDB",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, n INT, KEY n (n) INVISIBLE);"},
		mariadb: []string{"up 1_a.up.sql:1 fails 1064 half []", "stopped"},
	},
	{
		name:    "rows that were changed are half done too, unless a transaction brings them back",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "2_b.up.sql", "INSERT INTO a VALUES (1);\nINSERT INTO a VALUES (1);"},
		mysql:   []string{"up 2_b.up.sql:2 fails 1062 half [a]", "stopped"},
		mariadb: []string{"up 2_b.up.sql:2 fails 1062 half [a]", "stopped"},
	},
	{
		name:    "in a transaction they are not",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "2_b.up.sql", "BEGIN;\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (1);\nCOMMIT;"},
		mysql:   []string{"up 2_b.up.sql:3 fails 1062 half []", "stopped"},
		mariadb: []string{"up 2_b.up.sql:3 fails 1062 half []", "stopped"},
	},
	{
		name:    "half of one statement is seen where a server does it by halves",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "2_b.up.sql", "DROP TABLE a, none;"},
		mysql:   []string{"up 2_b.up.sql:1 fails 1051 half []", "stopped"},
		mariadb: []string{"up 2_b.up.sql:1 fails 1051 half [a]", "stopped"},
	},
	{
		name:    "what the way down leaves is told, as it is named",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, n INT, KEY n (n));", "1_a.down.sql", "DROP TABLE a;", "2_b.up.sql", "CREATE TABLE IF NOT EXISTS b (id INT PRIMARY KEY);\nCREATE OR REPLACE VIEW v AS SELECT 1 AS one;", "2_b.down.sql", "ALTER TABLE a ALTER n SET DEFAULT 2, DROP KEY n;"},
		mysql:   []string{"left by 2: a: it lacks `n` int DEFAULT NULL; KEY `n` (`n`), and it has `n` int DEFAULT '2'", "left by 2: b: the table is left behind", "left by 2: v: the view is left behind"},
		mariadb: []string{"left by 2: a: it lacks `n` int(11) DEFAULT NULL; KEY `n` (`n`), and it has `n` int(11) DEFAULT 2", "left by 2: b: the table is left behind", "left by 2: v: the view is left behind"},
	},
	{
		name:    "columns that come back at the end stand in another order",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, n INT, m INT);", "2_b.up.sql", "ALTER TABLE a DROP COLUMN n;", "2_b.down.sql", "ALTER TABLE a ADD COLUMN n INT;"},
		mysql:   []string{"left by 2: a: its columns stand in another order"},
		mariadb: []string{"left by 2: a: its columns stand in another order"},
	},
	{
		name:    "what comes up otherwise the second time is told",
		files:   []string{"1_a.up.sql", "SET @n = IFNULL(@n, 0) + 1;\nSET @q = CONCAT('CREATE TABLE a (c', @n, ' TEXT)');\nPREPARE s FROM @q;\nEXECUTE s;", "1_a.down.sql", "DROP TABLE a;"},
		mysql:   []string{"left by 1: a: when it is up again it lacks `c1` text, and it has `c2` text"},
		mariadb: []string{"left by 1: a: when it is up again it lacks `c1` text DEFAULT NULL, and it has `c2` text DEFAULT NULL"},
	},
	{
		name:    "a table that stays can't be made again",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "1_a.down.sql", "DO 1;"},
		mysql:   []string{"up again 1_a.up.sql:1 fails 1050 half []", "left by 1: a: the table is left behind", "stopped"},
		mariadb: []string{"up again 1_a.up.sql:1 fails 1050 half []", "left by 1: a: the table is left behind", "stopped"},
	},
	{
		name:    "the way down that fails",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "1_a.down.sql", "DROP TABLE a;\nDROP TABLE b;"},
		mysql:   []string{"down 1_a.down.sql:2 fails 1051 half [a]", "stopped"},
		mariadb: []string{"down 1_a.down.sql:2 fails 1051 half [a]", "stopped"},
	},
	{
		name:    "what a session is left with is there for the next file, as on golang-migrate's one connection",
		files:   []string{"1_a.up.sql", "SET SESSION sql_mode = '';", "2_b.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, t TINYINT NOT NULL);\nINSERT INTO a VALUES (1, 300);"},
		mysql:   []string{"up 2_b.up.sql:2 warns 1264"},
		mariadb: []string{"up 2_b.up.sql:2 warns 1264"},
	},
	{
		name:  "tables that a file leaves locked are free after it",
		files: []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);\nLOCK TABLES a WRITE;", "1_a.down.sql", "DROP TABLE a;"},
	},
	{
		name:    "and after one that fails with them",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);\nCREATE TABLE b (id INT PRIMARY KEY);", "2_b.up.sql", "ALTER TABLE a ADD n INT;\nLOCK TABLES b WRITE;\nDROP TABLE none;"},
		mysql:   []string{"up 2_b.up.sql:3 fails 1100 half [a]", "stopped"},
		mariadb: []string{"up 2_b.up.sql:3 fails 1100 half [a]", "stopped"},
	},
	{
		name:    "a transaction that a file leaves open keeps golang-migrate from noting the version",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "2_b.up.sql", "START TRANSACTION;\nINSERT INTO a VALUES (1);"},
		mysql:   []string{"up 2_b.up.sql:2 fails 1568 half []", "stopped"},
		mariadb: []string{"up 2_b.up.sql:2 fails 1568 half []", "stopped"},
	},
	{
		name:    "a comment alone is a query, an empty file is none",
		files:   []string{"1_a.up.sql", "-- to be written\n", "2_b.up.sql", "\n"},
		mysql:   []string{"up 2_b.up.sql:1 fails 1065 half []", "stopped"},
		mariadb: []string{"up 2_b.up.sql:1 fails 1065 half []", "stopped"},
	},
	{
		name:    "the server knows no DELIMITER",
		files:   []string{"1_a.up.sql", "DO 1;\n-- DELIMITER in a comment is none\nDO 2;\nDELIMITER //\nCREATE PROCEDURE p() BEGIN DO 1; END //\n"},
		mysql:   []string{"up 1_a.up.sql:4 fails 1064 half []", "stopped"},
		mariadb: []string{"up 1_a.up.sql:4 fails 1064 half []", "stopped"},
	},
	{
		name:    "a program is one statement",
		files:   []string{"1_a.up.sql", "CREATE PROCEDURE p() BEGIN DO 1; DO 2; END;\nCREATE TABLE a (id INT PRIMARY KEY);\nCREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET NEW.id = 1; SET NEW.id = 2; END;\nCREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO DELETE FROM a;", "1_a.down.sql", "DROP EVENT e; DROP TRIGGER t; DROP PROCEDURE p; DROP TABLE a;"},
		mysql:   nil,
		mariadb: nil,
	},
	{
		name:  "an Aurora refuses what its master user may not, and its engines",
		files: []string{"1_a.up.sql", "SET GLOBAL max_connections = 200;\nSET GLOBAL max_connections = 500;", "2_b.up.sql", "DO 1;"},
		to:    &compat.Profile{Aurora: true},
		mysql: []string{"up 1_a.up.sql:1 fails 1227 half []", "stopped", "not run 0002_b"},
	},
	{
		name:    "a warning is of its statement, not of those that follow",
		files:   []string{"1_a.up.sql", "CREATE PROCEDURE p() DO 1;\nSELECT CAST('x' AS SIGNED);\nDROP PROCEDURE p;\nSET @a = 1;"},
		mysql:   []string{"up 1_a.up.sql:2 warns 1292"},
		mariadb: []string{"up 1_a.up.sql:2 warns 1292"},
	},
	{
		name:    "no file ends the server",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);\nSHUTDOWN;\nDROP TABLE none;", "1_a.down.sql", "DROP TABLE a;", "2_b.up.sql", "DO 1;", "3_c.up.sql", "DO 1;"},
		mysql:   []string{"up 1_a.up.sql:2 is not sent", "stopped", "not run 0002_b", "not run 0003_c"},
		mariadb: []string{"up 1_a.up.sql:2 is not sent", "stopped", "not run 0002_b", "not run 0003_c"},
	},
	{
		name:    "no file of the machine is read",
		files:   []string{"1_a.up.sql", "CREATE TABLE a (t TEXT);", "2_b.up.sql", "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE a;"},
		mysql:   []string{"up 2_b.up.sql:1 fails 0 half []", "stopped"},
		mariadb: []string{"up 2_b.up.sql:1 fails 0 half []", "stopped"},
	},
}

func TestEachKindOfTrouble(t *testing.T) {
	for _, c := range troubles {
		t.Run(c.name, func(t *testing.T) {
			ran := onShared(t, folder(t, c.files...), Options{To: c.to})
			want := map[server.Flavor][]string{server.MySQL: c.mysql, server.MariaDB: c.mariadb}
			for i := range ran.Servers {
				s := &ran.Servers[i]
				if got := said(s); !slices.Equal(got, want[s.Flavor]) {
					t.Errorf("%s %s: %s\nwant %s\n%s", s.Flavor, s.Version, strings.Join(got, "\n  "), strings.Join(want[s.Flavor], "\n  "), s.Stopped)
				}
			}
		})
	}
}

// goMigrate runs a folder as golang-migrate does, each version up, down and up again, and says as said does what
// fails first.
func goMigrate(t *testing.T, s *sandboxtest.Server, in *compat.Input) string {
	t.Helper()
	name := s.Database(t)
	cfg, err := gomysql.ParseDSN(s.DSN(sandbox.Root, name))
	if err != nil {
		t.Fatal(err)
	}
	cfg.MultiStatements = true
	connector, err := gomysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	driver, err := migratemysql.WithInstance(db, &migratemysql.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewWithDatabaseInstance("file://"+filepath.Dir(in.Files[0].Name), "mysql", driver)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = m.Close() }()
	for _, s := range in.Steps {
		ways := []compat.Pass{compat.PassUp}
		if s.Down != nil {
			ways = []compat.Pass{compat.PassUp, compat.PassDown, compat.PassAgain}
		}
		for _, way := range ways {
			f, n := s.Up, 1
			if way == compat.PassDown {
				f, n = s.Down, -1
			}
			err := m.Steps(n)
			var answer *gomysql.MySQLError
			switch {
			case err == nil:
			case errors.As(cause(err), &answer):
				return fmt.Sprintf("%s %s fails %d", way, filepath.Base(f.Name), answer.Number)
			default:
				t.Fatal(err)
			}
		}
	}
	return ""
}

// cause is the server's answer in golang-migrate's errors, which have no Unwrap.
func cause(err error) error {
	var ran database.Error
	var noted *database.Error
	switch {
	case errors.As(err, &ran):
		return ran.OrigErr
	case errors.As(err, &noted):
		return noted.OrigErr
	}
	return err
}

// A run fails where golang-migrate itself does, with the same answer.
func TestItIsDoneAsGolangMigrateDoesIt(t *testing.T) {
	place := regexp.MustCompile(`^(.* fails [1-9][0-9]*) half`)
	for _, c := range troubles {
		if c.to != nil || slices.ContainsFunc(c.mysql, func(line string) bool { return strings.Contains(line, "fails 0") || strings.Contains(line, "not sent") }) {
			continue // an account with fewer rights; what is not sent at all
		}
		t.Run(c.name, func(t *testing.T) {
			in := folder(t, c.files...)
			for flavor, want := range map[server.Flavor][]string{server.MySQL: c.mysql, server.MariaDB: c.mariadb} {
				fails := ""
				for _, line := range want {
					if m := place.FindStringSubmatch(line); m != nil {
						fails = regexp.MustCompile(`:[0-9]+`).ReplaceAllString(m[1], "")
					}
				}
				o := Options{Flavors: []server.Flavor{flavor}}.complete()
				if got := goMigrate(t, sandboxtest.Shared(t, spec(flavor, o)), in); got != fails {
					t.Errorf("%s: golang-migrate: %q, here: %q", flavor, got, fails)
				}
			}
		})
	}
}
