package source

import (
	"reflect"
	"testing"

	"changeover/internal/server"
)

// tables makes Names of "schema.table".
func names(pairs ...string) (out []Name) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, Name{pairs[i], pairs[i+1]})
	}
	return out
}

func TestClassifyTableDDL(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want Class
	}{
		{"CREATE TABLE t (id INT)", Class{Verb: "CREATE TABLE", Tables: names("d", "t")}},
		{"create table if not exists `a``b`.`c.d` (id int)", Class{Verb: "CREATE TABLE", Tables: names("a`b", "c.d")}},
		{`CREATE TABLE "s"."t" (id int)`, Class{Verb: "CREATE TABLE", Tables: names("s", "t")}},
		{"CREATE OR REPLACE TABLE s.t (id INT)", Class{Verb: "CREATE TABLE", Tables: names("s", "t")}},
		{"CREATE /*!40000 TEMPORARY */ TABLE t (id INT)", Class{Verb: "CREATE TABLE", Tables: names("d", "t"), Temporary: true}},
		{"CREATE TEMPORARY TABLE t SELECT 1", Class{Verb: "CREATE TABLE", Tables: names("d", "t"), Temporary: true, Select: true}},
		{"CREATE TABLE t LIKE s.u", Class{Verb: "CREATE TABLE", Tables: names("d", "t", "s", "u"), Like: true}},
		{"CREATE TABLE t (LIKE u)", Class{Verb: "CREATE TABLE", Tables: names("d", "t", "d", "u"), Like: true}},
		{"CREATE TABLE t AS SELECT * FROM u", Class{Verb: "CREATE TABLE", Tables: names("d", "t"), Select: true}},
		{"CREATE TABLE t (a INT) ENGINE=InnoDB SELECT 1 AS a", Class{Verb: "CREATE TABLE", Tables: names("d", "t"), Select: true}},
		{"CREATE TABLE t (SELECT 1 AS a)", Class{Verb: "CREATE TABLE", Tables: names("d", "t"), Select: true}},
		{"CREATE TABLE t AS (SELECT 1 AS a)", Class{Verb: "CREATE TABLE", Tables: names("d", "t"), Select: true}},
		{"CREATE TABLE t WITH x AS (SELECT 1) SELECT * FROM x", Class{Verb: "CREATE TABLE", Tables: names("d", "t"), Select: true}},
		{"CREATE TABLE `t` (\n  `a` int\n) START TRANSACTION", Class{Verb: "CREATE TABLE", Tables: names("d", "t"), Select: true}},
		{"CREATE TABLE t (a INT COMMENT 'SELECT', `select` INT)", Class{Verb: "CREATE TABLE", Tables: names("d", "t")}},
		{"CREATE TABLE t (a INT) COMMENT='x SELECT'", Class{Verb: "CREATE TABLE", Tables: names("d", "t")}},
		{"CREATE TABLE t (a INT) PARTITION BY LIST (a) (PARTITION p VALUES IN (1))", Class{Verb: "CREATE TABLE", Tables: names("d", "t")}},
		{"CREATE TABLE t (a INT) WITH SYSTEM VERSIONING", Class{Verb: "CREATE TABLE", Tables: names("d", "t")}},
		{"CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY)", Class{Verb: "CREATE TABLE", Tables: names("d", "t")}},

		{"ALTER TABLE t ADD COLUMN c INT", Class{Verb: "ALTER TABLE", Tables: names("d", "t")}},
		{"ALTER TABLE IF EXISTS t DROP c", Class{Verb: "ALTER TABLE", Tables: names("d", "t")}},
		{"ALTER ONLINE IGNORE TABLE t DROP c", Class{Verb: "ALTER TABLE", Tables: names("d", "t")}},
		{"ALTER TABLE a RENAME TO b", Class{Verb: "ALTER TABLE", Tables: names("d", "a", "d", "b"), Renames: []Rename{{Name{"d", "a"}, Name{"d", "b"}}}}},
		{"ALTER TABLE a RENAME s.b, ADD c INT", Class{Verb: "ALTER TABLE", Tables: names("d", "a", "s", "b"), Renames: []Rename{{Name{"d", "a"}, Name{"s", "b"}}}}},
		{"ALTER TABLE a ADD c INT, RENAME AS b", Class{Verb: "ALTER TABLE", Tables: names("d", "a", "d", "b"), Renames: []Rename{{Name{"d", "a"}, Name{"d", "b"}}}}},
		{"ALTER TABLE a RENAME = `to`", Class{Verb: "ALTER TABLE", Tables: names("d", "a", "d", "to"), Renames: []Rename{{Name{"d", "a"}, Name{"d", "to"}}}}},
		{"ALTER TABLE a RENAME COLUMN x TO y", Class{Verb: "ALTER TABLE", Tables: names("d", "a")}},
		{"ALTER TABLE a RENAME INDEX x TO y, RENAME KEY u TO v", Class{Verb: "ALTER TABLE", Tables: names("d", "a")}},
		{"ALTER TABLE a EXCHANGE PARTITION p WITH TABLE s.x WITHOUT VALIDATION", Class{Verb: "ALTER TABLE", Tables: names("d", "a", "s", "x")}},
		{"ALTER TABLE a CONVERT PARTITION p TO TABLE x", Class{Verb: "ALTER TABLE", Tables: names("d", "a", "d", "x")}},
		{"ALTER TABLE a CONVERT TABLE x TO PARTITION p VALUES LESS THAN (5)", Class{Verb: "ALTER TABLE", Tables: names("d", "a", "d", "x")}},
		{"ALTER TABLE a CONVERT TO CHARACTER SET utf8mb4", Class{Verb: "ALTER TABLE", Tables: names("d", "a")}},
		{"ALTER TABLE a DROP PARTITION p", Class{Verb: "ALTER TABLE", Tables: names("d", "a")}},
		{"ALTER TABLE a ADD id INT AUTO_INCREMENT PRIMARY KEY", Class{Verb: "ALTER TABLE", Tables: names("d", "a"), Numbers: true}},
		{"ALTER TABLE a ADD (id INT AUTO_INCREMENT, KEY (id))", Class{Verb: "ALTER TABLE", Tables: names("d", "a"), Numbers: true}},
		{"ALTER TABLE a AUTO_INCREMENT = 5", Class{Verb: "ALTER TABLE", Tables: names("d", "a")}},
		{"ALTER TABLE a AUTO_INCREMENT 5", Class{Verb: "ALTER TABLE", Tables: names("d", "a")}},
		{"ALTER TABLE a ADD u CHAR(36) DEFAULT (UUID())", Class{Verb: "ALTER TABLE", Tables: names("d", "a"), Computes: true}},
		{"ALTER TABLE a ADD u CHAR(36) DEFAULT uuid()", Class{Verb: "ALTER TABLE", Tables: names("d", "a"), Computes: true}},
		{"ALTER TABLE a ADD j JSON NOT NULL, ADD k INT", Class{Verb: "ALTER TABLE", Tables: names("d", "a"), FillsJSON: true}},
		{"ALTER TABLE a ADD j JSON, ADD k INT NOT NULL", Class{Verb: "ALTER TABLE", Tables: names("d", "a")}},
		{"ALTER TABLE a ADD n DATETIME DEFAULT CURRENT_TIMESTAMP(6), ADD m INT DEFAULT 7", Class{Verb: "ALTER TABLE", Tables: names("d", "a")}},
		{"ALTER TABLE a DEFAULT CHARACTER SET utf8mb4", Class{Verb: "ALTER TABLE", Tables: names("d", "a")}},
		{"ALTER TABLE a COMMENT 'it''s RENAME TO b \\' RENAME TO c'", Class{Verb: "ALTER TABLE", Tables: names("d", "a")}},

		{"DROP TABLE t", Class{Verb: "DROP TABLE", Tables: names("d", "t")}},
		{"DROP TABLES IF EXISTS a, s.b , `c` CASCADE", Class{Verb: "DROP TABLE", Tables: names("d", "a", "s", "b", "d", "c")}},
		{"DROP TABLE `t` /* generated by server */", Class{Verb: "DROP TABLE", Tables: names("d", "t")}},
		{"DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `t`", Class{Verb: "DROP TABLE", Tables: names("d", "t"), Temporary: true}},
		{"RENAME TABLE a TO b, s.c TO s.d", Class{Verb: "RENAME TABLE", Tables: names("d", "a", "d", "b", "s", "c", "s", "d"),
			Renames: []Rename{{Name{"d", "a"}, Name{"d", "b"}}, {Name{"s", "c"}, Name{"s", "d"}}}}},
		{"RENAME TABLE IF EXISTS a WAIT 5 TO b", Class{Verb: "RENAME TABLE", Tables: names("d", "a", "d", "b"), Renames: []Rename{{Name{"d", "a"}, Name{"d", "b"}}}}},
		{"TRUNCATE t", Class{Verb: "TRUNCATE TABLE", Tables: names("d", "t")}},
		{"truncate table s.t", Class{Verb: "TRUNCATE TABLE", Tables: names("s", "t")}},
		{"CREATE UNIQUE INDEX i ON s.t (a)", Class{Verb: "CREATE INDEX", Tables: names("s", "t")}},
		{"CREATE INDEX IF NOT EXISTS i USING BTREE ON t (a)", Class{Verb: "CREATE INDEX", Tables: names("d", "t")}},
		{"DROP INDEX `on` ON t ALGORITHM=INPLACE", Class{Verb: "DROP INDEX", Tables: names("d", "t")}},

		{"/* x */ -- y\n# z\n ALTER /*! TABLE */ t ADD c INT", Class{Verb: "ALTER TABLE", Tables: names("d", "t")}},
		{"--\nALTER TABLE t ADD c INT", Class{Verb: "ALTER TABLE", Tables: names("d", "t")}},
		{"/* changeover school */ ALTER TABLE t ADD c INT", Class{Verb: "ALTER TABLE", Tables: names("d", "t"), Ours: true}},
		{"SET STATEMENT max_statement_time=5, lock_wait_timeout=1 FOR ALTER TABLE t ADD c INT", Class{Verb: "ALTER TABLE", Tables: names("d", "t")}},
		{"ALTER TABLE täble ADD c INT", Class{Verb: "ALTER TABLE", Tables: names("d", "täble")}},
		{"ALTER TABLE s.1t ADD c INT", Class{Verb: "ALTER TABLE", Tables: names("s", "1t")}},
		{"ALTER TABLE s . `t` ADD c INT", Class{Verb: "ALTER TABLE", Tables: names("s", "t")}},
		{"ALTER TABLE .t ADD c INT", Class{Verb: "ALTER TABLE", Tables: names("d", "t")}},
	} {
		c.want.Kind = TableDDL
		if got := Classify(c.sql, "d", server.MariaDB); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s\n got %+v\nwant %+v", c.sql, got, c.want)
		}
	}
}

func TestClassifyTellsTheKinds(t *testing.T) {
	for sql, want := range map[string]struct {
		kind Kind
		verb string
	}{
		"CREATE DATABASE x": {DatabaseDDL, "CREATE DATABASE"},
		"create schema if not exists `x` charset latin1": {DatabaseDDL, "CREATE DATABASE"},
		"ALTER DATABASE x READ ONLY=1":                   {DatabaseDDL, "ALTER DATABASE"},
		"DROP SCHEMA IF EXISTS x":                        {DatabaseDDL, "DROP DATABASE"},
		"CREATE DEFINER=`root`@`localhost` TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a=1": {ObjectDDL, "CREATE TRIGGER"},
		"CREATE DEFINER=CURRENT_USER() PROCEDURE p() DROP TABLE t":                             {ObjectDDL, "CREATE PROCEDURE"},
		"CREATE DEFINER=a@10.0.0.1 EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t":           {ObjectDDL, "CREATE EVENT"},
		"CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW v AS select 1":   {ObjectDDL, "CREATE VIEW"},
		"CREATE OR REPLACE AGGREGATE FUNCTION f() RETURNS INT RETURN 1":                        {ObjectDDL, "CREATE FUNCTION"},
		"CREATE PACKAGE BODY x AS END":                                                         {ObjectDDL, "CREATE PACKAGE"},
		"ALTER DEFINER=a EVENT e DISABLE":                                                      {ObjectDDL, "ALTER EVENT"},
		"DROP VIEW IF EXISTS v":                                                                {ObjectDDL, "DROP VIEW"},
		"DROP TRIGGER t":                                                                       {ObjectDDL, "DROP TRIGGER"},
		"CREATE USER 'a'@'%' IDENTIFIED WITH 'x' AS 'y'":                                       {Account, "CREATE USER"},
		"DROP ROLE r":                             {Account, "DROP ROLE"},
		"RENAME USER a TO b":                      {Account, "RENAME USER"},
		"GRANT SELECT ON a.b TO c":                {Account, "GRANT"},
		"REVOKE ALL ON *.* FROM c":                {Account, "REVOKE"},
		"SET PASSWORD FOR a='x'":                  {Account, "SET PASSWORD"},
		"SET DEFAULT ROLE r FOR a":                {Account, "SET DEFAULT"},
		"ANALYZE TABLE t":                         {Maintenance, "ANALYZE"},
		"FLUSH TABLES":                            {Maintenance, "FLUSH"},
		"ALTER INSTANCE ROTATE INNODB MASTER KEY": {Maintenance, "ALTER INSTANCE"},
		"SET @@SESSION.x=1":                       {Maintenance, "SET"},
		"LOAD INDEX INTO CACHE t":                 {Maintenance, "LOAD INDEX"},
		"BEGIN":                                   {Transaction, "BEGIN"},
		"START TRANSACTION":                       {Transaction, "START TRANSACTION"},
		"COMMIT":                                  {Transaction, "COMMIT"},
		"ROLLBACK TO `sp`":                        {Transaction, "ROLLBACK"},
		"SAVEPOINT `sp`":                          {Transaction, "SAVEPOINT"},
		"XA COMMIT X'41',X'',1":                   {Transaction, "XA"},
		"insert into t values (1)":                {DML, "INSERT"},
		"/* a */ UPDATE t SET a=1":                {DML, "UPDATE"},
		"DELETE FROM t":                           {DML, "DELETE"},
		"REPLACE INTO t VALUES (1)":               {DML, "REPLACE"},
		"LOAD DATA INFILE 'x' INTO TABLE t":       {DML, "LOAD DATA"},
		"WITH x AS (SELECT 1) DELETE FROM t":      {DML, "WITH"},
		"CALL p()":                                {DML, "CALL"},
		"SELECT `f`()":                            {DML, "SELECT"},
		"":                                        {Unknown, ""},
		"/* only a comment":                       {Unknown, ""},
		"`CREATE` TABLE t":                        {Unknown, ""},
		"'CREATE' TABLE t":                        {Unknown, ""},
		"CREATE SEQUENCE s":                       {Unknown, "CREATE SEQUENCE"},
		"CREATE UNDO TABLESPACE u":                {Unknown, "CREATE UNDO"},
		"CREATE SPATIAL REFERENCE SYSTEM 4000":    {Unknown, "CREATE SPATIAL"},
		"CREATE SERVER s":                         {Unknown, "CREATE SERVER"},
		"DROP TABLESPACE x":                       {Unknown, "DROP TABLESPACE"},
		"CREATE":                                  {Unknown, "CREATE"},
		"CREATE TABLE":                            {Unknown, "CREATE TABLE"},
		"CREATE INDEX i":                          {Unknown, "CREATE INDEX"},
		"RENAME":                                  {Unknown, "RENAME"},
		"IMPORT TABLE FROM 'x'":                   {Unknown, "IMPORT"},
		"FROBNICATE TABLE t":                      {Unknown, "FROBNICATE"},
		"(SELECT 1)":                              {Unknown, "("},
	} {
		got := Classify(sql, "d", server.MySQL)
		if got.Kind != want.kind || got.Verb != want.verb || got.Kind != TableDDL && got.Tables != nil {
			t.Errorf("%s is %s %q %v, want %s %q", sql, got.Kind, got.Verb, got.Tables, want.kind, want.verb)
		}
	}
}

func TestClassifyNamesTheDatabase(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE DATABASE x":                       "x",
		"CREATE DATABASE IF NOT EXISTS `x``y`":    "x`y",
		"ALTER DATABASE CHARACTER SET utf8mb4":    "d",
		"ALTER DATABASE DEFAULT COLLATE = binary": "d",
		"ALTER SCHEMA `default` CHARSET x":        "default",
		"ALTER DATABASE READ ONLY = 1":            "d",
		"DROP DATABASE x":                         "x",
	} {
		if got := Classify(sql, "d", server.MySQL).Database; got != want {
			t.Errorf("%s names %q, want %q", sql, got, want)
		}
	}
}

func TestMariaDBsCommentsAreCommentsElsewhere(t *testing.T) {
	sql := "CREATE /*M!100300 OR REPLACE TEMPORARY */ TABLE t (a INT)"
	if !Classify(sql, "d", server.MariaDB).Temporary || Classify(sql, "d", server.MySQL).Temporary {
		t.Error(sql)
	}
}

func FuzzClassify(f *testing.F) {
	for _, sql := range []string{"CREATE DEFINER=`a`@b TABLE t LIKE (u)", "ALTER TABLE a RENAME TO b", "/*!50000 x*/ RENAME TABLE a TO b,",
		"DROP TABLE a,b.c", "SET STATEMENT a=1 FOR x", "CREATE TABLE t (((", "ALTER TABLE t DEFAULT"} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		for _, flavor := range []server.Flavor{server.MySQL, server.MariaDB} {
			c := Classify(sql, "d", flavor)
			if c.Kind == TableDDL && len(c.Tables) == 0 {
				t.Errorf("%q is table DDL of no table", sql)
			}
		}
	})
}
