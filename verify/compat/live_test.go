package compat

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// seen looks at a server as root, with leave to ask about rows.
func seen(t *testing.T, s *sandboxtest.Server, databases ...string) *Picture {
	t.Helper()
	return looked(t, s, sandbox.Root, LookOptions{Databases: databases, Data: true})
}

// checkServers checks what a source has against a target; the input is the source.
func checkServers(t *testing.T, source, target *Picture) *Report {
	t.Helper()
	return check(t, InputOf(source), func(o *Options) { o.From, o.Source, o.Target = source.Flavor, source, target })
}

// foundBy lists the findings of a rule, as severity and object, with a name for the test's own database.
func foundBy(r *Report, rule, database string) []string {
	all := []string{}
	for _, f := range r.Findings {
		if f.Rule == rule {
			all = append(all, strings.ReplaceAll(fmt.Sprintf("%s %s", f.Severity, f.Object), database, "db"))
		}
	}
	slices.Sort(all)
	return all
}

// uncheckedBy lists why a rule was not checked.
func uncheckedBy(r *Report, rule string) (reasons []string) {
	for _, u := range r.Unchecked {
		if u.Rule == rule {
			reasons = append(reasons, u.Reason)
		}
	}
	return reasons
}

// answers runs a statement that a server is to refuse, and gives its number.
func answers(t *testing.T, s *sandboxtest.Server, statements ...string) int {
	t.Helper()
	conn, err := s.DB(t, sandbox.Root).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, q := range statements {
		_, err := conn.ExecContext(t.Context(), q)
		var answer *mysql.MySQLError
		if errors.As(err, &answer) {
			return int(answer.Number)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return 0
}

// refuses wants a server to answer a statement with one of a rule's numbers.
func refuses(t *testing.T, s *sandboxtest.Server, rule string, statements ...string) {
	t.Helper()
	r, ok := RuleByID(rule)
	if got := answers(t, s, statements...); !ok || !slices.Contains(r.Errno, got) {
		t.Errorf("%s: %q is answered with %d", rule, statements, got)
	}
}

// situation is a source and a target on which a rule finds what is wanted, and nothing else.
type situation struct {
	name, rule     string
	mariaDB        bool
	source, target []string // statements, in a database of its own
	want           []string
}

var (
	ghostly = []string{"CREATE DEFINER=ghost@localhost PROCEDURE gone() SELECT 1", "CREATE DEFINER=ghost@localhost PROCEDURE free() SQL SECURITY INVOKER SELECT 1", "CREATE DEFINER=root@localhost PROCEDURE there() SELECT 1"}
	counted = "CREATE TABLE same (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 7"
	tinies  = []string{"CREATE TABLE t (id TINYINT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 123", "CREATE TABLE s (id SMALLINT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 27000",
		"CREATE TABLE r (id SMALLINT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 30000", "CREATE TABLE u (id SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 27000", "CREATE TABLE b (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 27000", "CREATE TABLE n (id TINYINT PRIMARY KEY)"}
	keys = []string{"CREATE TABLE f (a FLOAT PRIMARY KEY)", "CREATE TABLE d (a TIMESTAMP PRIMARY KEY)", "CREATE TABLE c (a VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY) CHARSET utf8mb4", "CREATE TABLE g (a VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY) CHARSET utf8mb4",
		"CREATE TABLE o (a VARCHAR(9) COLLATE utf8mb4_bin PRIMARY KEY, b FLOAT, KEY (b)) CHARSET utf8mb4", "CREATE TABLE i (a INT PRIMARY KEY, b VARCHAR(9))"}
	twice = []string{"CREATE TABLE two (id INT PRIMARY KEY, a INT, UNIQUE KEY u (a))", "CREATE TABLE one (id INT PRIMARY KEY, a INT, KEY u (a))"}
	zero  = []string{"SET sql_mode = ''", "CREATE TABLE z (id INT PRIMARY KEY, a DATE, b DATETIME, c DATE, d TIMESTAMP NULL)",
		"INSERT INTO z VALUES (1, '0000-00-00', '2024-00-01', '2024-01-01', NULL), (2, NULL, NULL, NULL, '2024-05-06')"}
	lonely = []string{"CREATE TABLE p (id INT PRIMARY KEY)", "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id))", "CREATE TABLE d (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id))",
		"INSERT INTO p VALUES (1)", "INSERT INTO d VALUES (1, 1), (2, NULL)", "SET foreign_key_checks = 0", "INSERT INTO c VALUES (1, 1), (2, 2), (3, NULL)"}
	misread = []string{
		"CREATE TABLE m (id INT PRIMARY KEY, l VARCHAR(20) CHARACTER SET latin1, l2 TEXT CHARACTER SET latin1, u VARCHAR(20) CHARACTER SET utf8mb4, u2 TEXT CHARACTER SET utf8mb4, b VARBINARY(20))",
		"INSERT INTO m VALUES (1, CONVERT(0xc3a4 USING latin1), 'ä', CONVERT(CONVERT(0xc3a4 USING latin1) USING utf8mb4), 'ä 😀', 0xc3a4), (2, 'a', 'a', 'a', 'a', 'a')"}
	oldClient = []string{"SET NAMES latin1", "CREATE PROCEDURE old() SELECT 1", "SET NAMES utf8mb3", "CREATE PROCEDURE some() SELECT 1", "SET NAMES utf8mb4", "CREATE PROCEDURE new() SELECT 1"}
	broken    = []string{"CREATE TABLE t (id INT, x INT)", "CREATE TABLE u (id INT)", "CREATE VIEW a AS SELECT x FROM t", "CREATE VIEW b AS SELECT * FROM u", "CREATE VIEW c AS SELECT id FROM t",
		"CREATE DEFINER=ghost@localhost VIEW d AS SELECT 1", "ALTER TABLE t DROP COLUMN x", "DROP TABLE u"}
	event = " ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' "
)

var situations = []situation{
	{name: "a trigger of the target fires twice, one of the source is its own affair", rule: "CUT901",
		source: []string{"CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TRIGGER s BEFORE INSERT ON t FOR EACH ROW SET @a = 1"},
		target: []string{"CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a = 1"}, want: []string{"error db.x"}},
	{name: "an enabled event of the target runs, a disabled one does not", rule: "CUT902",
		target: []string{"CREATE EVENT e" + event + "DO DO 1", "CREATE EVENT d" + event + "DISABLE DO DO 1"}, want: []string{"error db.e"}},
	{name: "an event of the source would run on both servers", rule: "CUT902", source: []string{"CREATE EVENT e" + event + "DO DO 1"}, want: []string{"warning event_scheduler"}},
	{name: "a disabled event of the source runs nowhere", rule: "CUT902", source: []string{"CREATE EVENT e" + event + "DISABLE DO DO 1"}},
	{name: "MyISAM has no transactions", rule: "CUT904", source: []string{"CREATE TABLE m (id INT PRIMARY KEY) ENGINE=MyISAM", "CREATE TABLE i (id INT PRIMARY KEY)", "CREATE VIEW v AS SELECT 1"}, want: []string{"error db.m"}},
	{name: "Aria and CSV have no transactions", rule: "CUT904", mariaDB: true,
		source: []string{"CREATE TABLE a (id INT PRIMARY KEY) ENGINE=Aria", "CREATE TABLE c (id INT NOT NULL) ENGINE=CSV", "CREATE TABLE i (id INT PRIMARY KEY)"}, want: []string{"error db.a", "error db.c"}},
	{name: "the target's next number is behind", rule: "CUT906",
		source: []string{"CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 100", counted, "CREATE TABLE b (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 5"},
		target: []string{"CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 9", counted, "CREATE TABLE b (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 50"}, want: []string{"warning db.a"}},
	{name: "a row is on the target already", rule: "CUT908",
		target: []string{"CREATE TABLE full (id INT PRIMARY KEY)", "CREATE TABLE none (id INT PRIMARY KEY)", "INSERT INTO full VALUES (1)", "CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, dirty BOOL)", "INSERT INTO schema_migrations VALUES (1, 0)"}, want: []string{"error db.full"}},
	{name: "a unique key may swap its values", rule: "CUT909", source: twice, want: []string{"info db.two"}},
	{name: "primary keys that are ordered otherwise", rule: "CUT910", source: keys, target: []string{"CREATE TABLE c (a VARCHAR(9) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY)"},
		want: []string{"warning db.c.a", "warning db.d.a", "warning db.f.a"}},
	{name: "primary keys that are ordered otherwise, of MariaDB", rule: "CUT910", mariaDB: true, source: append([]string{"CREATE TABLE u (a VARCHAR(9) COLLATE utf8mb4_uca1400_ai_ci PRIMARY KEY)", "CREATE TABLE h (a VARCHAR(9) COLLATE utf8mb4_croatian_ci PRIMARY KEY)"}, keys...),
		want: []string{"warning db.d.a", "warning db.f.a", "warning db.h.a", "warning db.u.a"}},
	{name: "the database's collation differs", rule: "CHS406", source: []string{"ALTER DATABASE COLLATE utf8mb4_general_ci"}, target: []string{"ALTER DATABASE COLLATE utf8mb4_unicode_ci"}, want: []string{"warning db"}},
	{name: "the database's collation is the same by another name", rule: "CHS406", mariaDB: true, source: []string{"ALTER DATABASE COLLATE utf8mb3_general_ci"}, target: []string{"ALTER DATABASE COLLATE utf8mb3_general_ci"}},
	{name: "a program of a latin1 client", rule: "CHS408", source: oldClient, want: []string{"info db.some", "warning db.old"}},
	{name: "a program of a collation that only MariaDB has", rule: "CHS408", mariaDB: true,
		source: append([]string{"SET NAMES utf8mb4 COLLATE utf8mb4_uca1400_ai_ci", "CREATE PROCEDURE uca() SELECT 1"}, oldClient...), want: []string{"error db.uca", "info db.some", "warning db.old"}},
	{name: "a definer that the target has not", rule: "PRG701", source: ghostly, want: []string{"error db.gone", "info db.free"}},
	{name: "a definer that the target has not, of MariaDB", rule: "PRG701", mariaDB: true, source: ghostly, want: []string{"error db.gone", "info db.free"}},
	{name: "a program of another sql_mode", rule: "PRG707", source: []string{"SET sql_mode = 'ANSI_QUOTES'", "CREATE PROCEDURE q() SELECT 1", "SET sql_mode = DEFAULT", "CREATE PROCEDURE p() SELECT 1"}, want: []string{"warning db.q"}},
	{name: "a program of MariaDB's modes", rule: "PRG707", mariaDB: true,
		source: []string{"SET sql_mode = 'EMPTY_STRING_IS_NULL'", "CREATE PROCEDURE e() SELECT 1", "SET sql_mode = 'NO_AUTO_CREATE_USER'", "CREATE PROCEDURE n() SELECT 1", "SET sql_mode = ''", "CREATE PROCEDURE p() SELECT 1"}, want: []string{"error db.e", "info db.n"}},
	{name: "programs with root's rights", rule: "PRG712", source: []string{"CREATE DEFINER=root@localhost PROCEDURE a() SELECT 1", "CREATE DEFINER=root@localhost PROCEDURE b() SQL SECURITY INVOKER SELECT 1", "CREATE DEFINER=app@localhost PROCEDURE c() SELECT 1"}, want: []string{"warning root@localhost"}},
	{name: "programs with nobody's rights", rule: "PRG712", source: []string{"CREATE DEFINER=root@localhost PROCEDURE b() SQL SECURITY INVOKER SELECT 1", "CREATE DEFINER=app@localhost PROCEDURE c() SELECT 1"}},
	{name: "views that do not work", rule: "PRG708", source: broken, want: []string{"error db.a", "error db.b", "error db.d"}},
	{name: "views that do not work, of MariaDB", rule: "PRG708", mariaDB: true, source: broken, want: []string{"error db.a", "error db.b", "error db.d"}},
	{name: "an invisible column", rule: "MDB222", mariaDB: true, source: []string{"CREATE TABLE t (id INT PRIMARY KEY, a INT INVISIBLE, b INT)"}, want: []string{"warning db.t.a"}},
	{name: "numbers that are nearly used up", rule: "TYP315", source: tinies, want: []string{"error db.t.id", "warning db.r.id", "warning db.s.id"}},
	{name: "numbers that are nearly used up, of MariaDB", rule: "TYP315", mariaDB: true, source: tinies, want: []string{"error db.t.id", "warning db.r.id", "warning db.s.id"}},
	{name: "rows with zero dates", rule: "TYP303", source: zero, want: []string{"warning db.z.a", "warning db.z.b"}},
	{name: "rows with zero dates, of MariaDB", rule: "TYP303", mariaDB: true, source: zero, want: []string{"warning db.z.a", "warning db.z.b"}},
	{name: "rows with no value of their ENUM", rule: "TYP308",
		source: []string{"CREATE TABLE e (id INT PRIMARY KEY, a ENUM('x', 'y'), b ENUM('', 'x'), c ENUM('x'))", "SET sql_mode = ''", "INSERT INTO e VALUES (1, 'z', '', 'x'), (2, NULL, NULL, NULL)"}, want: []string{"warning db.e.a"}},
	{name: "rows with no value of their ENUM, of MariaDB", rule: "TYP308", mariaDB: true,
		source: []string{"CREATE TABLE e (id INT PRIMARY KEY, a ENUM('x', 'y'), b ENUM('', 'x'), c ENUM('x'))", "SET sql_mode = ''", "INSERT INTO e VALUES (1, 'z', '', 'x'), (2, NULL, NULL, NULL)"}, want: []string{"warning db.e.a"}},
	{name: "rows that a CHECK forbids", rule: "TYP313", mariaDB: true,
		source: []string{"CREATE TABLE k (id INT PRIMARY KEY, `a b` INT CHECK (`a b` > 0), b INT, j JSON, CONSTRAINT fine CHECK (b < 10 OR b IS NULL), CONSTRAINT unknown CHECK (b <> 5))",
			"SET check_constraint_checks = 0", "INSERT INTO k VALUES (1, -1, 1, '{'), (2, 1, NULL, '{}')"}, want: []string{"error db.k"}},
	{name: "two CHECKs that begin alike", rule: "TYP313", mariaDB: true,
		source: []string{"CREATE TABLE k (id INT PRIMARY KEY, a INT, CHECK (a + " + strings.Repeat("1 + ", 40) + "1 < 0), CHECK (a + " + strings.Repeat("1 + ", 40) + "2 < 0))", "SET check_constraint_checks = 0", "INSERT INTO k VALUES (1, 1)"},
		want:   []string{"error db.k", "error db.k"}},
	{name: "a CHECK that all rows keep", rule: "TYP313", source: []string{"CREATE TABLE k (id INT PRIMARY KEY, a INT, CHECK (a > 0), CHECK (a > 5) NOT ENFORCED)", "INSERT INTO k VALUES (1, 1), (2, NULL)"}},
	{name: "JSON of MariaDB, and text that is none", rule: "MDB221", mariaDB: true,
		source: []string{"CREATE TABLE j (id INT PRIMARY KEY, good JSON, bad JSON, plain LONGTEXT)", "SET check_constraint_checks = 0", "INSERT INTO j VALUES (1, '{}', '{', '{')"},
		want:   []string{"error db.j.bad", "warning db.j.bad", "warning db.j.good"}},
	{name: "rows without parents", rule: "FK606", source: lonely, want: []string{"warning db.c"}},
	{name: "rows without parents, of MariaDB", rule: "FK606", mariaDB: true, source: lonely, want: []string{"warning db.c"}},
	{name: "text in another character set than said", rule: "CHS409", source: misread, want: []string{"warning db.m.l", "warning db.m.u"}},
	{name: "text in another character set than said, of MariaDB", rule: "CHS409", mariaDB: true, source: misread, want: []string{"warning db.m.l", "warning db.m.u"}},
	{name: "keys that are equal on the target", rule: "CHS404",
		source: []string{"CREATE TABLE k (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_bin, n INT, UNIQUE KEY one (a, n), UNIQUE KEY two (a(1)))", "INSERT INTO k VALUES (1, 'A', 1), (2, 'b', 1), (3, NULL, 1), (4, NULL, 1)",
			"CREATE TABLE l (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_bin, n VARBINARY(9), UNIQUE KEY one (a, n), UNIQUE KEY two (a(2)))", "INSERT INTO l VALUES (1, 'ab', 0x61), (2, 'Abc', 0x61), (3, 'ABC', 0x41)",
			"CREATE TABLE q (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_bin, UNIQUE KEY (a(2)))", "INSERT INTO q VALUES (1, 'ab'), (2, 'Abc')",
			"CREATE TABLE m (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_bin UNIQUE)", "INSERT INTO m VALUES (1, 'a'), (2, 'A')"},
		target: []string{"CREATE TABLE k (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, n INT, UNIQUE KEY one (a, n))",
			"CREATE TABLE l (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, n VARBINARY(9), UNIQUE KEY one (a, n))",
			"CREATE TABLE q (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci)",
			"CREATE TABLE m (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_bin UNIQUE)"}, want: []string{"error db.l", "error db.q"}},
	{name: "keys that are equal on the target, of MariaDB", rule: "CHS404", mariaDB: true,
		source: []string{"CREATE TABLE k (a VARCHAR(20) COLLATE utf8mb4_uca1400_as_cs PRIMARY KEY)", "INSERT INTO k VALUES ('a'), ('A'), ('ä'), ('b')", "CREATE TABLE l (a VARCHAR(20) COLLATE utf8mb4_uca1400_ai_ci PRIMARY KEY)", "INSERT INTO l VALUES ('a'), ('b')"},
		target: []string{"CREATE TABLE k (a VARCHAR(20) COLLATE utf8mb4_unicode_520_ci PRIMARY KEY)", "CREATE TABLE l (a VARCHAR(20) COLLATE utf8mb4_unicode_520_ci PRIMARY KEY)"}, want: []string{"error db.k"}},
}

func TestRulesFindWhatServersShow(t *testing.T) {
	for _, x := range situations {
		t.Run(x.rule+" "+x.name, func(t *testing.T) {
			source, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
			if x.mariaDB {
				source = sandboxtest.MariaDBSource(t)
			}
			database := source.Database(t)
			target.Exec(t, "CREATE DATABASE "+database)
			t.Cleanup(func() { target.Exec(t, "DROP DATABASE "+database) })
			in(t, source, database, x.source...)
			in(t, target, database, x.target...)
			r := checkServers(t, seen(t, source, database), seen(t, target, database))
			if d := cmp.Diff(append([]string{}, x.want...), foundBy(r, x.rule, database)); d != "" {
				t.Errorf("wanted (-), found (+):\n%s", d)
			}
			if why := uncheckedBy(r, x.rule); len(why) > 0 {
				t.Errorf("not checked: %q", why)
			}
		})
	}
}

// with is a picture whose variables are these; the other fields are shared.
func with(p *Picture, variables map[string]string) *Picture {
	changed := *p
	changed.Variables = maps.Clone(p.Variables)
	maps.Copy(changed.Variables, variables)
	return &changed
}

func TestOnlyAnEventIsAnEvent(t *testing.T) {
	for sql, want := range map[string]int{
		"CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DO 1":                                                                   1,
		"CREATE DEFINER=root@localhost EVENT IF NOT EXISTS e ON SCHEDULE EVERY 1 DAY DO DO 1":                              1,
		"CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN (SELECT COUNT(*) FROM log WHERE event = 1)":                  0,
		"CREATE DEFINER=root@localhost PROCEDURE p() SELECT event FROM log":                                                0,
		"CREATE OR REPLACE ALGORITHM=MERGE VIEW v AS SELECT event FROM log":                                                0,
		"CREATE TABLE log (event INT PRIMARY KEY)":                                                                         0,
		"CREATE DEFINER=root@localhost TRIGGER x BEFORE INSERT ON log FOR EACH ROW SET @a = 1 /* EVENT */, NEW.event = @a": 0,
	} {
		if got := len(foundBy(check(t, text("a.sql", sql+";\n")), "CUT926", "no database")); got != want {
			t.Errorf("%s: %d findings", sql, got)
		}
	}
}
