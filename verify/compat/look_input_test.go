package compat

import (
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat/ddl"
)

// bodies are programs that a reader which looks for semicolons would cut to pieces.
var bodies = []string{
	"CREATE PROCEDURE p1() BEGIN END",
	"CREATE PROCEDURE p2() one: BEGIN two: LOOP LEAVE two; END LOOP two; LEAVE one; END one",
	"CREATE PROCEDURE p3(n int) IF n > 1 THEN SELECT 1; ELSEIF n = 0 THEN SELECT 2; ELSE SELECT IF(n, 3, 4); END IF",
	"CREATE PROCEDURE p4(n int) CASE n WHEN 1 THEN SELECT CASE n WHEN 1 THEN 'end' ELSE ';' END; ELSE BEGIN END; END CASE",
	"CREATE PROCEDURE p5(n int) WHILE n > 0 DO SET n = n - 1; REPEAT SET n = n - 1; UNTIL n < 0 END REPEAT; END WHILE",
	"CREATE PROCEDURE p6() BEGIN DECLARE done int DEFAULT 0; DECLARE c CURSOR FOR SELECT id FROM t; DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1; DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END; OPEN c; FETCH c INTO done; CLOSE c; END",
	"CREATE PROCEDURE p7() BEGIN -- a comment; END\n SELECT ';' /* END; */; # END\n SELECT \"it's; END\"; END",
	"CREATE PROCEDURE p8() BEGIN SELECT `end` FROM (SELECT 1 AS `end`) x; SELECT x.begin FROM (SELECT 1 AS begin) x; END",
	"CREATE PROCEDURE p9() BEGIN START TRANSACTION; INSERT INTO t VALUES (1, 2); COMMIT; END",
	"CREATE PROCEDURE p10() DELETE FROM t",
	"CREATE PROCEDURE p11() BEGIN DECLARE EXIT HANDLER FOR 1062 BEGIN END; IF (SELECT COUNT(*) FROM t) > 0 THEN BEGIN SELECT 1; END; END IF; END",
	"CREATE FUNCTION f1(n int) RETURNS int DETERMINISTIC COMMENT 'a; b' RETURN CASE WHEN n THEN 1 ELSE 2 END",
	"CREATE FUNCTION f2(begin_ int, `end` int) RETURNS varchar(9) CHARSET utf8mb4 READS SQL DATA BEGIN DECLARE r varchar(9) DEFAULT (SELECT MAX(id) FROM t); RETURN IF(r IS NULL, ';', r); END",
	"CREATE TRIGGER t1 BEFORE INSERT ON t FOR EACH ROW BEGIN IF NEW.id > 1 THEN SET NEW.end = 1; END IF; SET @a := NEW.end; END",
	"CREATE TRIGGER t2 AFTER UPDATE ON t FOR EACH ROW IF OLD.id <> NEW.id THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no; no'; END IF",
	"CREATE TRIGGER t3 AFTER DELETE ON t FOR EACH ROW FOLLOWS_ALL: BEGIN DELETE FROM u WHERE id = OLD.id; END",
	"CREATE EVENT e1 ON SCHEDULE EVERY 1 HOUR DISABLE COMMENT 'x; y' DO BEGIN DELETE FROM t; CALL p1(); END",
	"CREATE EVENT e2 ON SCHEDULE AT '2038-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE DO DELETE FROM t WHERE `end` = 1",
	"CREATE VIEW v1 AS SELECT id, CASE WHEN id THEN ';' ELSE 'END' END AS x FROM t",
}

var bodiesOfMariaDB = []string{
	"CREATE PROCEDURE m1() FOR i IN 1..3 DO SELECT i; END FOR",
	"CREATE PROCEDURE m2() BEGIN NOT ATOMIC SELECT 1; END",
	"CREATE PROCEDURE m3() BEGIN FOR r IN (SELECT id FROM t) DO SELECT r.id; END FOR; EXECUTE IMMEDIATE 'SELECT 1; '; END",
	"CREATE AGGREGATE FUNCTION m4(x int) RETURNS int BEGIN DECLARE s int DEFAULT 0; DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s; LOOP FETCH GROUP NEXT ROW; SET s = s + x; END LOOP; END",
	"SET SESSION sql_mode = 'ORACLE'",
	"CREATE PROCEDURE o1 AS n int := 0; BEGIN WHILE n < 2 LOOP n := n + 1; END LOOP; EXCEPTION WHEN OTHERS THEN NULL; END",
	"CREATE FUNCTION o2(n int) RETURN int AS BEGIN IF n > 1 THEN RETURN 1; ELSIF n = 1 THEN RETURN 2; END IF; RETURN 3; END",
	"CREATE PACKAGE o3 AS FUNCTION f1 RETURN int; PROCEDURE p1; END",
	"CREATE PACKAGE BODY o3 AS n int := 1; FUNCTION f1 RETURN int AS BEGIN RETURN n; END; PROCEDURE p1 AS BEGIN SELECT n; END; BEGIN SET n := 2; END",
	"CREATE TRIGGER o4 BEFORE UPDATE ON u FOR EACH ROW BEGIN :NEW.id := 1; SELECT 1 INTO @x; END",
	"SET SESSION sql_mode = DEFAULT",
	"CREATE SEQUENCE s1",
}

// An object is one statement, whatever is in its body.
func TestAnObjectIsReadAsOneStatement(t *testing.T) {
	kinds := map[string]ddl.Kind{"table": ddl.CreateTable, "sequence": ddl.CreateSequence, "view": ddl.CreateView, "procedure": ddl.CreateRoutine,
		"function": ddl.CreateRoutine, "package": ddl.CreatePackage, "package body": ddl.CreatePackage, "trigger": ddl.CreateTrigger, "event": ddl.CreateEvent}
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		in(t, s, database, "CREATE TABLE t (id int PRIMARY KEY, `end` int)", "CREATE TABLE u (id int PRIMARY KEY)")
		in(t, s, database, bodies...)
		dialect, made := ddl.MySQL, len(bodies)+2
		if s.Flavor == sandbox.MariaDB {
			in(t, s, database, bodiesOfMariaDB...)
			dialect, made = ddl.MariaDB, made+len(bodiesOfMariaDB)-2
		}
		p := looked(t, s, sandbox.Root, LookOptions{Databases: []string{database}})
		input := InputOf(p)
		if len(input.Files) != made || len(p.Objects) != made {
			t.Errorf("%d objects, %d files; %d were made", len(p.Objects), len(input.Files), made)
		}
		for i, f := range input.Files {
			o := p.Objects[i]
			statements := ddl.Read(f, dialect, strings.Contains(o.SQLMode, "ANSI_QUOTES"))
			if len(statements) != 1 || statements[0].Kind != kinds[o.Kind] || statements[0].Name != o.Name || statements[0].End != len(o.SQL) {
				t.Errorf("%s %s is %d statements: %+v\n%s", o.Kind, o.Name, len(statements), statements, o.SQL)
			}
		}
	})
}
