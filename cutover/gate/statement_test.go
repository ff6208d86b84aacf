package gate

import "testing"

func TestWhatIsNotSurelyAReadIsAWrite(t *testing.T) {
	for query, want := range map[string]kind{
		"SELECT 1": surelyRead, "select id from t where a = 'for update'": surelyRead,
		" /* hint */ SELECT /*+ MAX_EXECUTION_TIME(5) */ a FROM t -- for update":       surelyRead,
		"(SELECT a FROM t) UNION (SELECT b FROM u)":                                    surelyRead,
		"SELECT COUNT(*), COALESCE(MAX(a), 0) FROM t GROUP BY b HAVING COUNT(*) > (1)": surelyRead,
		"SELECT a FROM t WHERE a IN (1,2) AND (b = 2 OR c LIKE ('x')) LIMIT 3;":        surelyRead,
		"SELECT t.`for`, `update` FROM t USE INDEX FOR JOIN (k)":                       surelyRead,
		"WITH x AS (SELECT 1) SELECT * FROM x":                                         surelyRead,
		"SELECT a FROM t FOR SYSTEM_TIME AS OF '2020-01-01'":                           surelyRead,
		"SELECT @@GLOBAL.read_only, @a, @into":                                         surelyRead, "SELECT 'it''s', \"x\"\"y\"": surelyRead,
		"TABLE t": surelyRead, "VALUES ROW(1,2)": surelyRead, "SHOW CREATE PROCEDURE p": surelyRead, "show tables": surelyRead,
		"EXPLAIN SELECT 1": surelyRead, "DESC t": surelyRead, "START TRANSACTION READ ONLY": surelyRead,
		"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY": surelyRead,
		"COMMIT": ending, "rollback work;": ending, "COMMIT AND CHAIN": otherwise, "ROLLBACK TO SAVEPOINT a": otherwise,
		"SELECT a FROM t FOR UPDATE": otherwise, "SELECT a FROM t FOR SHARE": otherwise, "SELECT a FROM t LOCK IN SHARE MODE": otherwise,
		"SELECT a FROM t for\n/**/update": otherwise, "SELECT a INTO @x FROM t": otherwise, "SELECT a FROM t INTO OUTFILE 'x'": otherwise,
		"SELECT @a := 1": otherwise, "SELECT f(1)": otherwise, "SELECT COUNT (1)": otherwise, "SELECT db.COUNT(1)": otherwise,
		"SELECT `COUNT`(1)": otherwise, "SELECT \"f\"(1)": otherwise, "SELECT GET_LOCK('a', 1)": otherwise, "SELECT SLEEP(1)": otherwise,
		"SELECT NEXT VALUE FOR s": otherwise, "SELECT NEXTVAL(s)": otherwise, "SELECT LAST_INSERT_ID(5)": otherwise,
		"SELECT 1; DELETE FROM t": otherwise, "SELECT 1 /*! FOR UPDATE */": otherwise, "SELECT 1 /*M! FOR UPDATE */": otherwise,
		"SELECT '\\' FOR UPDATE -- '": otherwise, "SELECT 'a": otherwise, "SELECT 1 /* FOR UPDATE": otherwise,
		"WITH x AS (SELECT 1) DELETE FROM t": otherwise, "WITH x AS (SELECT 1) UPDATE t SET a=1": otherwise,
		"EXPLAIN ANALYZE SELECT 1": otherwise, "SHOW TABLES WHERE f(1)": otherwise, "SHOW TABLES; DROP TABLE t": otherwise,
		"INSERT INTO t VALUES (1)": otherwise, "UPDATE t SET a=1": otherwise, "CALL p()": otherwise, "SET @a = 1": otherwise, "USE x": otherwise,
		"BEGIN": otherwise, "START TRANSACTION": otherwise, "START TRANSACTION READ WRITE": otherwise, "DO 1": otherwise, "HANDLER t OPEN": otherwise,
		"": otherwise, "-- nothing": otherwise, "LOCK TABLES t READ": otherwise, "ANALYZE TABLE t": otherwise, "SELECT 1 PROCEDURE ANALYSE()": otherwise,
	} {
		if got := classify(query); got != want {
			t.Errorf("%q is %d, want %d", query, got, want)
		}
	}
}

func TestADescriptionHasNoValues(t *testing.T) {
	for query, want := range map[string]string{
		"INSERT INTO school.users (a) VALUES ('secret')": "INSERT INTO school.users",
		"update `users` set name='x'":                    "update `users` set name",
		"SELECT a, b FROM t WHERE c = 4711":              "SELECT a, b FROM t",
		"KILL 5":                                         "KILL",
		"SELECT 'secret'":                                "SELECT",
	} {
		if got := describe(query); got != want {
			t.Errorf("%q is described as %q, want %q", query, got, want)
		}
	}
}

func FuzzNoStatementHangsOrPanics(f *testing.F) {
	for _, s := range []string{"SELECT '\\", "`", "/*", "a.b(", "--", "START", "SELECT (((", "FOR FOR", ":=", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, query string) {
		classify(query)
		begins(query)
		describe(query)
	})
}
