package verify

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// common is a table of the types that both flavors have, and rows with the values that servers
// print differently if they are given the chance.
const common = `CREATE TABLE t (
	id bigint NOT NULL, k varchar(20) COLLATE utf8mb4_general_ci NOT NULL,
	ti tinyint unsigned, zf int(7) zerofill, f float, d double, dm double(20,5), de decimal(30,10), b bit(40),
	c char(5) CHARACTER SET latin1, v varchar(50) CHARACTER SET utf8mb4, u16 varchar(20) CHARACTER SET utf16, t mediumtext CHARACTER SET utf8mb4,
	bi binary(4), vb varbinary(9), bl mediumblob, e enum('a','','c,d'), s set('x','y','z'),
	da date, tm time(3), dt datetime(6), ts timestamp(2) NULL, y year, p point,
	g int AS (length(v)) VIRTUAL, gs varchar(60) CHARACTER SET utf8mb4 AS (concat(v, '!')) STORED,
	PRIMARY KEY (id, k))`

const commonRows = `INSERT INTO t (id, k, ti, zf, f, d, dm, de, b, c, v, u16, t, bi, vb, bl, e, s, da, tm, dt, ts, y, p) VALUES
	(-1, 'a', 0, 5, 0.1, 0.1, 1.5, 1.5, b'101', 'é', 'é😀', 'é', 'long', 'a', '\0a', '\0', 'a', 'x,z', '2020-02-30', '-800:01:02.5', '2020-01-01 00:00:00.5', '2020-01-01 00:00:00.5', 2000, ST_GeomFromText('POINT(1 2)')),
	(0, 'a', 255, 0, -0e0, -0e0, -0.00001, -1, 0, '', '', '', '', '', '', '', '', '', '0000-00-00', '00:00:00', '0000-00-00 00:00:00', NULL, 0, NULL),
	(1, 'N', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(2, 'b', 1, 1, 1.1754944e-38, 2.2250738585072014e-308, 123456789.12345, 12345678901234567890.0123456789, 1099511627775, 'ab', '1:a', 'x', 'N', 'abcd', 'ab', 'x', 'c,d', 'y', '9999-12-31', '838:59:59', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.99', 2155, ST_GeomFromText('POINT(-1.5 2e10)')),
	(3, 'b', 1, 1, -3.4e38, -1.7976931348623157e308, 0, 0, 1, ' a', 'N', 'N', '1:N', 'N', 'N', 'N', 'a', '', '2021-01-01', '00:00:00.001', '2021-01-01', '1970-01-01 00:00:01', 1901, NULL),
	(4, 'c', 1, 1, 1e-7, 1e-7, 0, 0, 1, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'a', 'x', '2021-01-01', '1', '2021-01-01', NULL, 1999, NULL),
	(5, 'c', 1, 1, -1.2345678e-5, -1.2345678901234567e-5, 0, 0, 1, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'a', 'x', '2021-01-01', '1', '2021-01-01', NULL, 1999, NULL),
	(6, 'c', 1, 1, 1e15, 123456789012345678, 0, 0, 1, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'a', 'x', '2021-01-01', '1', '2021-01-01', NULL, 1999, NULL),
	(7, 'c', 1, 1, 16777217, -1e22, 0, 0, 1, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'a', 'x', '2021-01-01', '1', '2021-01-01', NULL, 1999, NULL)`

// mutations changes one value each; the column that must be found is before the first =.
var mutations = []string{
	"ti = 2", "zf = 2", "f = 0.10000001", "d = 0.1 + 0.00000000000000002e0", "dm = 1.50001", "de = 1.5000000001", "b = b'100'",
	"c = 'e'", "v = 'é😁'", "u16 = 'è'", "t = 'lonG'", "bi = 'A'", "vb = '\\0b'", "bl = ''", "e = 'c,d'", "e = 0", "e = ''", "s = 'x,y'",
	"da = '2020-02-29'", "tm = '-800:01:02.501'", "dt = '2020-01-01 00:00:00.500001'", "ts = '2020-01-01 00:00:00.51'", "y = 2001",
	"p = ST_GeomFromText('POINT(1 3)')",
	"ti = NULL", "f = NULL", "v = NULL", "t = NULL", "e = NULL", "p = NULL", "dt = NULL",
}

type servers struct {
	source, target *sandboxtest.Server
	database       string
	src, dst       *sql.DB
}

func newServers(t *testing.T, source *sandboxtest.Server) servers {
	s := servers{source: source, target: sandboxtest.Target(t)}
	s.database = (&sandboxtest.Pair{Source: source, Target: s.target}).Database(t)
	s.src, s.dst = source.DB(t, sandbox.Changeover), s.target.DB(t, sandbox.Admin)
	return s
}

// exec runs statements in the database of a server, in a session that accepts odd dates.
func (s servers) exec(t *testing.T, on *sandboxtest.Server, statements ...string) {
	t.Helper()
	on.Exec(t, append([]string{"USE " + s.database, "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'"}, statements...)...)
}

func (s servers) both(t *testing.T, statements ...string) {
	t.Helper()
	s.exec(t, s.source, statements...)
	s.exec(t, s.target, statements...)
}

func (s servers) compare(t *testing.T, table string) TableResult {
	t.Helper()
	results, err := Compare(t.Context(), s.src, s.dst, []Name{{s.database, table}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

func (s servers) differences(t *testing.T, table string, limit int) []Difference {
	t.Helper()
	d, err := Differences(t.Context(), s.src, s.dst, Name{s.database, table}, limit)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEqualRowsAreEqualAndOneChangedValueIsFound(t *testing.T) {
	for name, source := range map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{
		"from MySQL": sandboxtest.MySQLSource, "from MariaDB": sandboxtest.MariaDBSource,
	} {
		t.Run(name, func(t *testing.T) {
			s := newServers(t, source(t))
			s.both(t, common, commonRows)
			if r := s.compare(t, "t"); !r.Equal || r.Source.Rows != 9 {
				t.Fatalf("equal rows: %+v; %s", r, describe(s.differences(t, "t", 100)))
			}
			for _, m := range mutations {
				s.exec(t, s.target, "UPDATE t SET "+m+" WHERE id = -1")
				column, _, _ := strings.Cut(m, " ")
				d := s.differences(t, "t", 10)
				if r := s.compare(t, "t"); r.Equal || len(d) != 1 || len(d[0].Columns) == 0 || d[0].Columns[0].Column != column {
					t.Errorf("%s: %+v; %s", m, r, describe(d))
				}
				s.exec(t, s.target, "DELETE FROM t", commonRows)
			}
		})
	}
}

func describe(all []Difference) string {
	var b strings.Builder
	for _, d := range all {
		for _, k := range d.Key {
			fmt.Fprintf(&b, "%s=%s ", k.Column, k.Value)
		}
		fmt.Fprintf(&b, "%d/%d:", d.Source, d.Target)
		for _, c := range d.Columns {
			fmt.Fprintf(&b, " %s %q %q", c.Column, c.Source, c.Target)
		}
		b.WriteString("; ")
	}
	return b.String()
}

func TestValuesOfMySQLAlone(t *testing.T) {
	s := newServers(t, sandboxtest.MySQLSource(t))
	s.both(t, "CREATE TABLE t (id int PRIMARY KEY, j json, v vector(2), g geometry SRID 4326)",
		`INSERT INTO t VALUES (1, '{"b": 1, "a": [1.0, "x"]}', STRING_TO_VECTOR('[1,2]'), ST_GeomFromText('POINT(1 2)', 4326)), (2, NULL, NULL, NULL), (3, 'null', NULL, NULL)`)
	if r := s.compare(t, "t"); !r.Equal {
		t.Fatalf("%+v", r)
	}
	s.exec(t, s.target, `UPDATE t SET j = '{ "a":[1.0,"x"],"b":1 }' WHERE id = 1`)
	if r := s.compare(t, "t"); !r.Equal {
		t.Errorf("the same JSON value, written differently: %+v", r)
	}
	for _, m := range []string{`j = '{"b": 1, "a": [2.0, "x"]}' WHERE id = 1`, "j = 'null' WHERE id = 2", "j = NULL WHERE id = 3",
		"v = STRING_TO_VECTOR('[1,3]') WHERE id = 1", "g = ST_GeomFromText('POINT(2 1)', 4326) WHERE id = 1"} {
		s.exec(t, s.target, "UPDATE t SET "+m)
		if d := s.differences(t, "t", 10); len(d) != 1 || d[0].Columns[0].Column != m[:1] {
			t.Errorf("%s: %s", m, describe(d))
		}
		s.exec(t, s.target, "DELETE FROM t", `INSERT INTO t VALUES (1, '{"b": 1, "a": [1.0, "x"]}', STRING_TO_VECTOR('[1,2]'), ST_GeomFromText('POINT(1 2)', 4326)), (2, NULL, NULL, NULL), (3, 'null', NULL, NULL)`)
	}
}

func TestMissingAndExtraRowsAreFoundWithTheirKey(t *testing.T) {
	s := newServers(t, sandboxtest.MySQLSource(t))
	s.both(t, "CREATE TABLE t (a int, b varchar(9), v int, PRIMARY KEY (a, b))", "INSERT INTO t VALUES (1,'x',1), (1,'y',2), (2,'x',3)", "CREATE TABLE nothing (a int)")
	s.exec(t, s.source, "INSERT INTO t VALUES (3,'only here',1)")
	s.exec(t, s.target, "DELETE FROM t WHERE a = 2", "INSERT INTO t VALUES (2,'X',3)")
	got := describe(s.differences(t, "t", 100))
	for _, want := range []string{"a=3 b=only here 1/0:; ", "a=2 b=x 1/0:; ", "a=2 b=X 0/1:; "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if n := len(s.differences(t, "t", 2)); n != 2 {
		t.Errorf("%d differences under a limit of 2", n)
	}
	if r := s.compare(t, "nothing"); !r.Equal || r.Source.Rows != 0 {
		t.Errorf("no rows on either side: %+v", r)
	}
}

func TestTablesThatCannotBeEqualSayWhy(t *testing.T) {
	s := newServers(t, sandboxtest.MySQLSource(t))
	s.exec(t, s.source, "CREATE TABLE gone (a int)", "CREATE TABLE other (a int, b int)", "CREATE TABLE more (a int)")
	s.exec(t, s.target, "CREATE TABLE other (b int, a int)", "CREATE TABLE more (a int, b int)")
	for table, want := range map[string]string{"gone": "no such table on the target", "other": "column 1 is a on the source, b on the target", "more": "1 columns on the source, 2 on the target"} {
		if r := s.compare(t, table); r.Equal || r.Problem != want {
			t.Errorf("%s: %+v", table, r)
		}
	}
}

// XOR would cancel two equal rows out.
func TestRowsWithoutAKeyAreCounted(t *testing.T) {
	for name, source := range map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{
		"from MySQL": sandboxtest.MySQLSource, "from MariaDB": sandboxtest.MariaDBSource,
	} {
		t.Run(name, func(t *testing.T) {
			s := newServers(t, source(t))
			s.both(t, "CREATE TABLE t (a int, b varchar(9) CHARACTER SET utf8mb4)", "INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (3, 'y')")
			if r := s.compare(t, "t"); !r.Equal {
				t.Fatalf("%+v", r)
			}
			s.exec(t, s.target, "UPDATE t SET a = 2 WHERE a = 1")
			if r := s.compare(t, "t"); r.Equal {
				t.Errorf("two rows changed alike: %+v", r)
			}
			if got := describe(s.differences(t, "t", 10)); !strings.Contains(got, "a=1 b=x 2/0:; ") || !strings.Contains(got, "a=2 b=x 0/2:; ") {
				t.Errorf("found %s", got)
			}
		})
	}
}

// The encodings of neighbouring columns must not flow into each other.
func TestColumnsDoNotFlowIntoEachOther(t *testing.T) {
	s := newServers(t, sandboxtest.MySQLSource(t))
	s.both(t, "CREATE TABLE t (id int PRIMARY KEY, a varchar(9), b varchar(9), c int, d int)")
	pairs := [][2]string{{"'ab','c',1,NULL", "'a','bc',1,NULL"}, {"'a,b','c',NULL,1", "'a','b,c',NULL,1"}, {"NULL,'N',1,23", "'N',NULL,1,23"}, {"'','',12,3", "'','',1,23"}, {"'1:x','',1,1", "'','1:x',1,1"}, {"'0',NULL,0,1", "'0',NULL,NULL,1"}}
	for _, p := range pairs {
		s.exec(t, s.source, "REPLACE INTO t VALUES (1,"+p[0]+")")
		s.exec(t, s.target, "REPLACE INTO t VALUES (1,"+p[1]+")")
		if r := s.compare(t, "t"); r.Equal {
			t.Errorf("%s counts as %s", p[0], p[1])
		}
	}
}

// A digest that is NULL would vanish from the sum, and with it the row.
func TestRowsThatAServerCannotDigestAreAnError(t *testing.T) {
	for name, source := range map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{
		"on MySQL": sandboxtest.MySQLSource, "on MariaDB": sandboxtest.MariaDBSource,
	} {
		t.Run(name, func(t *testing.T) {
			s := newServers(t, source(t, sandboxtest.Options("--max-allowed-packet=16K")))
			// 16,000 bytes of text and what is put in front of it are more than 16 KiB.
			s.both(t, "CREATE TABLE t (id int PRIMARY KEY, v varchar(16000) CHARACTER SET latin1, w varchar(400) CHARACTER SET latin1)",
				"INSERT INTO t VALUES (1, REPEAT('x', 16000), REPEAT('y', 400)), (2, 'x', 'y')")
			if r, err := Compare(t.Context(), s.src, s.dst, []Name{{s.database, "t"}}, Options{}); err == nil || !strings.Contains(err.Error(), "max_allowed_packet") {
				t.Errorf("%v: %+v", err, r)
			}
		})
	}
}
