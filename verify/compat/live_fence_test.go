package compat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"

	"changeover/internal/accounts"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// fenced are a MySQL and a MariaDB of the test's own, with accounts and programs that pass a fence and others.
func fenced(t *testing.T) map[string]*sandboxtest.Server {
	all := map[string]*sandboxtest.Server{
		"MySQL":   sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}),
		"MariaDB": sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source, Flavor: sandbox.MariaDB}),
	}
	for name, s := range all {
		admin := "CONNECTION_ADMIN"
		if name == "MariaDB" {
			admin = "READ_ONLY ADMIN"
		}
		s.Exec(t, "CREATE DATABASE shop", "CREATE TABLE shop.t (id INT AUTO_INCREMENT PRIMARY KEY)", "INSERT INTO shop.t VALUES (1)",
			"CREATE USER plain@`%` IDENTIFIED BY 'Some-Pass-1'", "GRANT ALL ON shop.* TO plain@`%`",
			"CREATE USER passer@`%` IDENTIFIED BY 'Some-Pass-1'", "GRANT ALL ON shop.* TO passer@`%`", "GRANT "+admin+" ON *.* TO passer@`%`",
			"CREATE USER shut@`%` IDENTIFIED BY 'Some-Pass-1' ACCOUNT LOCK", "GRANT "+admin+" ON *.* TO shut@`%`",
			"CREATE DEFINER=passer@`%` PROCEDURE shop.writes() INSERT INTO shop.t () VALUES ()",
			"CREATE DEFINER=passer@`%` PROCEDURE shop.invoked() SQL SECURITY INVOKER INSERT INTO shop.t () VALUES ()",
			"CREATE DEFINER=passer@`%` PROCEDURE shop.reads() SELECT REPLACE('a', 'b', 'c') FROM shop.t",
			"CREATE DEFINER=plain@`%` PROCEDURE shop.harmless() INSERT INTO shop.t () VALUES ()",
			"CREATE DEFINER=passer@`%` FUNCTION shop.f() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO shop.t () VALUES (); RETURN 1; END",
			"CREATE DEFINER=passer@`%` SQL SECURITY DEFINER VIEW shop.v AS SELECT * FROM shop.t",
			"CREATE DEFINER=passer@`%` EVENT shop.e"+event+"DO INSERT INTO shop.t () VALUES ()",
			"CREATE DEFINER=passer@`%` EVENT shop.off"+event+"DISABLE DO INSERT INTO shop.t () VALUES ()",
			"CREATE DEFINER=plain@`%` EVENT shop.own"+event+"DO INSERT INTO shop.t () VALUES ()")
	}
	return all
}

// by is a pool of an account of fenced.
func by(t *testing.T, s *sandboxtest.Server, user string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:Some-Pass-1@tcp(%s:%d)/shop", user, s.Host, s.Port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// refusal is what a server answers to a statement: 1290 if read_only is why.
func refusal(ctx context.Context, db *sql.DB, statement string) int {
	_, err := db.ExecContext(ctx, statement)
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		return int(answer.Number)
	}
	return 0
}

func TestWhatPassesAFence(t *testing.T) {
	target := seen(t, sandboxtest.Target(t))
	for name, s := range fenced(t) {
		t.Run(name, func(t *testing.T) {
			r := checkServers(t, seen(t, s, "shop"), target)
			own := func(s string) bool { return strings.Contains(s, "changeover@") || strings.Contains(s, "rdslike@") } // of the sandbox
			for rule, want := range map[string][]string{
				"CUT931": {"warning passer@%"},
				"CUT932": {"warning shop.e", "warning shop.writes"},
			} {
				got := slices.DeleteFunc(foundBy(r, rule, "no database"), func(f string) bool { return own(f) || strings.HasPrefix(f, "info") })
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s: wanted (-), found (+):\n%s", rule, d)
				}
			}
			// The server says so too.
			s.Exec(t, "SET GLOBAL read_only = 1")
			defer s.Exec(t, "SET GLOBAL read_only = 0")
			plain, passer := by(t, s, "plain"), by(t, s, "passer")
			for _, x := range []struct {
				db        *sql.DB
				statement string
				passes    bool
			}{
				{passer, "INSERT INTO t VALUES ()", true}, {plain, "INSERT INTO t VALUES ()", false}, {plain, "CALL writes()", true}, {plain, "CALL invoked()", false},
				{plain, "CALL harmless()", false}, {plain, "DO f()", false}, {plain, "SELECT f()", false}, {plain, "SET @a = f()", false}, {plain, "INSERT INTO v VALUES ()", false},
			} {
				if got := refusal(t.Context(), x.db, x.statement); (got == 0) != x.passes || !x.passes && got != 1290 {
					t.Errorf("%s is answered with %d", x.statement, got)
				}
			}
		})
	}
}

// Each form that CUT934 names is refused under read_only, and what is like it is not.
func TestReadsThatAFenceRefuses(t *testing.T) {
	for name, s := range fenced(t) {
		t.Run(name, func(t *testing.T) {
			if name == "MariaDB" {
				s.Exec(t, "CREATE SEQUENCE shop.s")
			}
			s.Exec(t, "SET GLOBAL read_only = 1")
			defer s.Exec(t, "SET GLOBAL read_only = 0")
			db := by(t, s, "plain")
			db.SetMaxOpenConns(1)
			for _, statement := range []string{
				"SELECT * FROM t FOR UPDATE", "SELECT * FROM v FOR UPDATE", "LOCK TABLES t WRITE", "LOCK TABLES v READ, t WRITE", "START TRANSACTION READ WRITE", "ANALYZE TABLE t", "OPTIMIZE TABLE t", "SELECT NEXT VALUE FOR s",
				"SELECT * FROM t", "SELECT * FROM t LOCK IN SHARE MODE", "LOCK TABLES t READ", "UNLOCK TABLES", "START TRANSACTION", "COMMIT", "CHECK TABLE t", "SELECT GET_LOCK('a', 0)",
				"CREATE TEMPORARY TABLE x AS SELECT * FROM t", "INSERT INTO x VALUES (7)", "DROP TEMPORARY TABLE x",
			} {
				if name == "MySQL" && strings.Contains(statement, "NEXT VALUE") {
					continue
				}
				r := check(t, text("a.sql", statement))
				found := len(foundBy(r, "CUT934", "no database")) > 0
				if got := refusal(t.Context(), db, statement); (got == 1290) != found || got != 0 && got != 1290 {
					t.Errorf("%s is answered with %d, and found is %v", statement, got, found)
				}
			}
		})
	}
}

func TestAccountsAndChannelsOfASource(t *testing.T) {
	target := seen(t, sandboxtest.Target(t))
	for name, s := range fenced(t) {
		t.Run(name, func(t *testing.T) {
			s.Exec(t, "CREATE USER free@`%`", "CREATE USER file@`%` IDENTIFIED BY 'Some-Pass-1'", "GRANT FILE ON *.* TO file@`%`")
			want, two := []string{"warning file@%", "warning free@%"}, []string{"CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=1 FOR CHANNEL 'a'", "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=2 FOR CHANNEL 'b'"}
			if name == "MariaDB" {
				s.Exec(t, "CREATE USER machine@`%` IDENTIFIED VIA unix_socket", "CREATE ROLE clerk", "UPDATE mysql.proc SET db = 'gone' WHERE name = 'reads'")
				want, two = []string{"warning file@%", "warning free@%", "warning machine@%"}, []string{"CHANGE MASTER 'a' TO MASTER_HOST='127.0.0.1', MASTER_PORT=1", "CHANGE MASTER 'b' TO MASTER_HOST='127.0.0.1', MASTER_PORT=2"}
			}
			r := checkServers(t, seen(t, s, "shop"), target)
			got := slices.DeleteFunc(foundBy(r, "PRG711", "no database"), func(f string) bool {
				return strings.HasPrefix(f, "info") || strings.Contains(f, "root@") || strings.Contains(f, "changeover@") || accounts.System(f)
			})
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("accounts: wanted (-), found (+):\n%s", d)
			}
			orphans := []string{}
			if name == "MariaDB" {
				orphans = append(orphans, "warning gone.reads")
			}
			if d := cmp.Diff(orphans, foundBy(r, "PRG710", "no database")); d != "" {
				t.Errorf("orphans: wanted (-), found (+):\n%s", d)
			}
			for n, want := range [][]string{{}, {"info replication channels"}, {"warning replication channels"}} {
				if n > 0 {
					s.Exec(t, two[n-1])
				}
				if d := cmp.Diff(want, foundBy(checkServers(t, seen(t, s, "shop"), target), "AUR116", "no database")); d != "" {
					t.Errorf("%d channels: wanted (-), found (+):\n%s", n, d)
				}
			}
		})
	}
}

// A target that refuses writes is seen as such, and does refuse them.
func TestATargetThatRefusesWrites(t *testing.T) {
	s := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true})
	s.Exec(t, "CREATE DATABASE shop")
	source := seen(t, sandboxtest.MySQLSource(t))
	if got := foundBy(checkServers(t, source, seen(t, s)), "CUT908", "no database"); len(got) > 0 {
		t.Errorf("of one that is open: %q", got)
	}
	s.Exec(t, "SET GLOBAL super_read_only = 1")
	if got := foundBy(checkServers(t, source, seen(t, s)), "CUT908", "no database"); !slices.Equal(got, []string{"error super_read_only"}) {
		t.Errorf("of one that is shut: %q", got)
	}
	refuses(t, s, "CUT908", "CREATE TABLE shop.t (id INT PRIMARY KEY)")
}

// Who may not name another definer on the target is told so, as the server would.
func TestWhoMayNameADefiner(t *testing.T) {
	source, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	database := source.Database(t)
	in(t, source, database, "CREATE DEFINER=root@localhost PROCEDURE p() SELECT 1")
	p := seen(t, source, database)
	there := target.Database(t)
	for _, x := range []struct {
		grants []string
		want   []string
		answer int
	}{
		{nil, []string{"error the target's account"}, 1227},
		{[]string{"SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER ON *.*"}, []string{}, 0},
	} {
		db := as(t, target, append([]string{"SELECT ON mysql.*", "ALL ON " + there + ".*"}, x.grants...)...)
		to, err := Look(t.Context(), db, LookOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(x.want, foundBy(checkServers(t, p, to), "PRG701", database)); d != "" {
			t.Errorf("with %q: wanted (-), found (+):\n%s", x.grants, d)
		}
		if got := refusal(t.Context(), db, "CREATE DEFINER=nobody@localhost PROCEDURE "+there+".p() SELECT 1"); got != x.answer {
			t.Errorf("with %q the server answers %d", x.grants, got)
		}
	}
}

// What the rules say that a MySQL answers, the stand-in of the target does.
func TestTheTargetSaysWhatLiveRulesSay(t *testing.T) {
	s := sandboxtest.Target(t)
	confirmed := map[string]bool{}
	for rule, all := range map[string][][]string{
		"VAR801": {{"CREATE TABLE m (a VARCHAR(1))", "INSERT INTO m VALUES ('ab')"}, {"SET sql_mode = 'ANSI_QUOTES'", `SELECT "a"`}, {"SET sql_mode = 'ORACLE'"}, {"CREATE TABLE m (a INT, b INT)", "SELECT a, b FROM m GROUP BY a"},
			{"CREATE TABLE m (a DATE)", "INSERT INTO m VALUES ('0000-00-00')"}, {"CREATE TABLE m (a DATE)", "INSERT INTO m VALUES ('2024-00-01')"}, {"CREATE TABLE m (a INT)", "INSERT INTO m VALUES (1 / 0)"}, {"SET sql_mode = 'EMPTY_STRING_IS_NULL'"}},
		"VAR802": {{"SET time_zone = 'Europe/Nowhere'"}},
		"VAR804": {{"SET group_concat_max_len = 4", "CREATE TABLE m AS SELECT GROUP_CONCAT(a SEPARATOR '') FROM (SELECT 'abc' AS a UNION ALL SELECT 'def') AS x"}},
		"CUT904": {{"CREATE TABLE m (id INT PRIMARY KEY) ENGINE=MyISAM"}},
		"CUT909": {{"CREATE TABLE m (id INT PRIMARY KEY, u INT UNIQUE)", "INSERT INTO m VALUES (1, 1), (2, 2)", "UPDATE m SET u = 2 WHERE id = 1"}},
		"CHS404": {{"CREATE TABLE m (a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci UNIQUE)", "INSERT INTO m VALUES ('Abc'), ('ABC')"}},
		"CHS408": {{"SET collation_connection = utf8mb4_uca1400_ai_ci"}},
		"PRG701": {{"CREATE DEFINER=ghost@localhost PROCEDURE p() SELECT 1", "CALL p()"}},
		"PRG707": {{"SET sql_mode = 'NO_AUTO_CREATE_USER'"}, {"SET sql_mode = 'EMPTY_STRING_IS_NULL'"}},
		"PRG708": {{"CREATE TABLE u (id INT)", "CREATE VIEW v AS SELECT * FROM u", "DROP TABLE u", "SELECT 1 FROM v LIMIT 0"}, {"CREATE VIEW v AS SELECT * FROM u"}},
		"PRG711": {{"CREATE USER IF NOT EXISTS nobody@`%` IDENTIFIED WITH unix_socket"}, {"CREATE USER IF NOT EXISTS nobody@`%` IDENTIFIED WITH mysql_native_password"}},
		"TYP302": {{"CREATE TABLE m (a TIMESTAMP)", "INSERT INTO m VALUES ('2040-01-01 00:00:00')"}},
		"TYP313": {{"CREATE TABLE m (a INT, CHECK (a > 0))", "INSERT INTO m VALUES (0)"}},
		"TYP315": {{"CREATE TABLE m (a TINYINT AUTO_INCREMENT PRIMARY KEY)", "INSERT INTO m VALUES (127)", "INSERT INTO m VALUES ()"}},
		"MDB221": {{"CREATE TABLE m (a JSON)", "INSERT INTO m VALUES ('{')"}},
		"FK606":  {{"CREATE TABLE p (id INT PRIMARY KEY)", "CREATE TABLE m (p INT)", "INSERT INTO m VALUES (1)", "ALTER TABLE m ADD FOREIGN KEY (p) REFERENCES p (id)"}},
	} {
		for _, statements := range all {
			database := s.Database(t)
			refuses(t, s, rule, slices.Concat([]string{"USE " + database}, statements)...)
		}
		confirmed[rule] = true
	}
	// These have tests of their own, here and in live_confirmed_test.go.
	for _, rule := range []string{"CUT901", "CUT902", "CUT903", "CUT905", "CUT908", "CUT931", "CUT932", "CUT934"} {
		confirmed[rule] = true
	}
	for _, f := range Families() {
		for _, rule := range f.Rules {
			if rule.Confirmed == "live" && !slices.Contains(rule.Means, Run) && !slices.Contains(rule.Means, Static) && !confirmed[rule.ID] {
				t.Errorf("%s says that a test sees a server confirm it, and none does", rule.ID)
			}
		}
	}
}
