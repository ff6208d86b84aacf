package verify

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// found says in one line what differs: for each row its key, how often it is on either side, and the
// columns, sorted by key.
func (s servers) found(t *testing.T, table string) string {
	t.Helper()
	var all []string
	for _, d := range s.differences(t, table, 1000) {
		line := ""
		for _, k := range d.Key {
			line += fmt.Sprintf("%s=%s ", k.Column, k.Value)
		}
		line += fmt.Sprintf("%d/%d:", d.Source, d.Target)
		for _, c := range d.Columns {
			line += " " + c.Column
		}
		all = append(all, line+"; ")
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// mutation is something that happens to the target's rows, and what must be found of it.
type mutation struct {
	name    string
	columns string
	rows    string
	change  []string // statements of the target; t is the table
	want    string   // empty: nothing is different
	// unseen tells that BIT_XOR(CRC32(CONCAT_WS('#', …))), which others use, finds nothing.
	unseen bool
}

var rowMutations = []mutation{
	{name: "a row is deleted", columns: "id int PRIMARY KEY, v int", rows: "(1,1),(2,2),(3,3)", change: []string{"DELETE FROM t WHERE id=2"}, want: "id=2 1/0:; "},
	{name: "a row is added", columns: "id int PRIMARY KEY, v int", rows: "(1,1),(2,2)", change: []string{"INSERT INTO t VALUES (3,3)"}, want: "id=3 0/1:; "},
	{name: "the only row is deleted", columns: "id int PRIMARY KEY, v int", rows: "(1,1)", change: []string{"DELETE FROM t"}, want: "id=1 1/0:; "},
	{name: "a row has another key", columns: "id int PRIMARY KEY, v int", rows: "(1,1),(2,2)", change: []string{"UPDATE t SET id=7 WHERE id=2"}, want: "id=2 1/0:; id=7 0/1:; "},
	{name: "a row has a key of another case", columns: "k varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY", rows: "('a'),('b')", change: []string{"UPDATE t SET k='B' WHERE k='b'"}, want: "k=B 0/1:; k=b 1/0:; "},
	{name: "a row is there twice", columns: "a int, v varchar(9)", rows: "(1,'x'),(2,'y')", change: []string{"INSERT INTO t VALUES (2,'y')"}, want: "a=2 v=y 1/2:; "},
	{name: "a row of two is gone", columns: "a int, v varchar(9)", rows: "(1,'x'),(2,'y'),(2,'y')", change: []string{"DELETE FROM t WHERE a=2 LIMIT 1"}, want: "a=2 v=y 2/1:; "},
	{name: "other rows are there twice", columns: "a int, v varchar(9)", rows: "(1,'x'),(1,'x'),(2,'y')", change: []string{"UPDATE t SET a=3 WHERE a=1"}, want: "a=1 v=x 2/0:; a=3 v=x 0/2:; ", unseen: true},
	{name: "another row is there twice", columns: "a int", rows: "(1),(2),(2)", change: []string{"DELETE FROM t", "INSERT INTO t VALUES (1),(3),(3)"}, want: "a=2 2/0:; a=3 0/2:; ", unseen: true},
	{name: "rows of NULLs alone", columns: "a int, v varchar(9)", rows: "(NULL,NULL),(NULL,NULL)", change: []string{"INSERT INTO t VALUES (NULL,NULL),(NULL,NULL)"}, want: "a= v= 2/4:; "},
	{name: "two values change places", columns: "id int PRIMARY KEY, a varchar(9), b varchar(9)", rows: "(1,'x','y'),(2,'z','z')", change: []string{"UPDATE t SET a='y', b='x' WHERE id=1"}, want: "id=1 1/1: a b; "},
	{name: "two numbers change places", columns: "id int PRIMARY KEY, a int, b int, c double, d double", rows: "(1,1,2,3,4)", change: []string{"UPDATE t SET a=2, b=1, c=4, d=3"}, want: "id=1 1/1: a b c d; "},
	{name: "NULL and a value change places", columns: "id int PRIMARY KEY, a int, b int", rows: "(1,NULL,1)", change: []string{"UPDATE t SET a=1, b=NULL"}, want: "id=1 1/1: a b; "},
	{name: "two rows change places", columns: "id int PRIMARY KEY, a int, v varchar(9)", rows: "(1,1,'x'),(2,2,'y'),(3,1,'x')", change: []string{"UPDATE t SET a=3-a, v=IF(v='x','y','x') WHERE id<3"}, want: "id=1 1/1: a v; id=2 1/1: a v; ", unseen: true},
	{name: "the same change in two rows", columns: "id int PRIMARY KEY, v varchar(9)", rows: "(1,'a'),(2,'a'),(3,'a')", change: []string{"UPDATE t SET v='b' WHERE id<3"}, want: "id=1 1/1: v; id=2 1/1: v; ", unseen: true},
	{name: "the same change in four rows", columns: "id int PRIMARY KEY, a int, d datetime", rows: "(1,10,'2020-01-01'),(2,10,'2020-01-01'),(3,10,'2020-01-01'),(4,10,'2020-01-01'),(5,10,'2020-01-01')",
		change: []string{"UPDATE t SET a=11, d='2021-01-01' WHERE id<5"}, want: "id=1 1/1: a d; id=2 1/1: a d; id=3 1/1: a d; id=4 1/1: a d; ", unseen: true},
	{name: "a bit flips in two rows", columns: "id int PRIMARY KEY, b varbinary(9)", rows: "(1,x'00'),(2,x'00')", change: []string{"UPDATE t SET b=x'01'"}, want: "id=1 1/1: b; id=2 1/1: b; ", unseen: true},
	{name: "a value moves over the separator", columns: "id int PRIMARY KEY, a varchar(9), b varchar(9)", rows: "(1,'x#y','z')", change: []string{"UPDATE t SET a='x', b='y#z'"}, want: "id=1 1/1: a b; ", unseen: true},
	{name: "a length moves over the separator", columns: "id int PRIMARY KEY, a varchar(9), b varchar(9)", rows: "(1,'1:x','')", change: []string{"UPDATE t SET a='', b='1:x'"}, want: "id=1 1/1: a b; "},
	{name: "a length is the beginning of another", columns: "id int PRIMARY KEY, a varchar(20), b varchar(20)", rows: "(1,'10aaaaaaaaa','')", change: []string{"UPDATE t SET a='1', b='aaaaaaaaa0'"}, want: "id=1 1/1: a b; "},
	{name: "digits move over the separator", columns: "id int PRIMARY KEY, a bigint, b bigint", rows: "(1,12,3)", change: []string{"UPDATE t SET a=1, b=23"}, want: "id=1 1/1: a b; "},
	{name: "changed and changed back", columns: "id int PRIMARY KEY, v varchar(9), j json", rows: `(1,'a','{"a": 1}'),(2,'b',NULL)`,
		change: []string{"UPDATE t SET v='x', j='[]'", `UPDATE t SET v='a', j='{"a": 1}' WHERE id=1`, "UPDATE t SET v='b', j=NULL WHERE id=2", "DELETE FROM t WHERE id=2", "INSERT INTO t VALUES (2,'b',NULL)"}},
	{name: "rows in another order", columns: "a int, b int", rows: "(1,1),(2,2),(2,2),(NULL,3)", change: []string{"DELETE FROM t", "INSERT INTO t VALUES (2,2),(NULL,3),(1,1),(2,2)"}},
}

func TestWhatHappensToRowsIsFoundInTheirRowAndColumn(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServers(t, source(t))
			for _, m := range rowMutations {
				s.exec(t, s.source, "DROP TABLE IF EXISTS t", "CREATE TABLE t ("+m.columns+") CHARSET utf8mb4", "INSERT INTO t VALUES "+m.rows)
				if s.source.Flavor == sandbox.MariaDB { // as it is translated
					m.columns = strings.Replace(m.columns, " json", " longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", 1)
				}
				s.exec(t, s.target, "DROP TABLE IF EXISTS t", "CREATE TABLE t ("+m.columns+") CHARSET utf8mb4", "INSERT INTO t VALUES "+m.rows)
				if r := s.compare(t, "t"); !r.Equal {
					t.Errorf("before %s: %+v", m.name, r)
				}
				s.exec(t, s.target, m.change...)
				if r := s.compare(t, "t"); r.Equal != (m.want == "") {
					t.Errorf("%s: equal %v", m.name, r.Equal)
				}
				if found := s.found(t, "t"); found != m.want {
					t.Errorf("%s: found %q, want %q", m.name, found, m.want)
				}
				if m.want != "" && s.crc(t, s.src) == s.crc(t, s.dst) != m.unseen {
					t.Errorf("%s: unseen by others: %v", m.name, !m.unseen)
				}
			}
		})
	}
}

// crc is the checksum of the table t as other tools compute it.
func (s servers) crc(t *testing.T, db *sql.DB) (sum string) {
	t.Helper()
	rows, err := db.Query("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA=? AND TABLE_NAME='t' ORDER BY ORDINAL_POSITION", s.database)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var values, nulls []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		values, nulls = append(values, server.Name(name)), append(nulls, "ISNULL("+server.Name(name)+")")
	}
	query := fmt.Sprintf("SELECT CONCAT(COUNT(*), ' ', BIT_XOR(CRC32(CONCAT_WS('#', %s, CONCAT(%s))))) FROM %s.t", strings.Join(values, ","), strings.Join(nulls, ","), s.database)
	if err := db.QueryRow(query).Scan(&sum); err != nil {
		t.Fatal(err)
	}
	return sum
}

// common is a table of the types that both flavors have, and rows with the values that servers print
// differently if they are given the chance.
const common = `CREATE TABLE t (
	id bigint NOT NULL, k varchar(20) COLLATE utf8mb4_general_ci NOT NULL,
	ti tinyint unsigned, si smallint NOT NULL, mi mediumint unsigned, i int, bi bigint, bu bigint unsigned NOT NULL, zf int(7) zerofill,
	f float, fn float NOT NULL, fm float(10,3), d double, dn double NOT NULL, dm double(20,5), de decimal(30,10), d0 decimal(20,0) NOT NULL, b bit(40), b64 bit(64), y year,
	c char(5) CHARACTER SET latin1, cn char(5) CHARACTER SET utf8mb4 NOT NULL, v varchar(50) CHARACTER SET utf8mb4, vn varchar(50) CHARACTER SET ascii NOT NULL, u16 varchar(20) CHARACTER SET utf16,
	tt tinytext CHARACTER SET utf8mb4, t mediumtext CHARACTER SET utf8mb4, lt longtext CHARACTER SET latin1 NOT NULL,
	bn binary(4), bf binary(4) NOT NULL, vb varbinary(9), tb tinyblob, bl mediumblob,
	e enum('a','','c,d'), en enum('1','2','3','4','5','6','7','8','9','10','11') NOT NULL, s set('x','y','z'),
	da date, dx date NOT NULL, tm time(3), t0 time, dt datetime(6), ts timestamp(2) NULL, p point, g geometry,
	gv int AS (length(v)) VIRTUAL, gs varchar(60) CHARACTER SET utf8mb4 AS (concat(v, '!')) STORED,
	PRIMARY KEY (id, k))`

const commonRows = `INSERT INTO t (id, k, ti, si, mi, i, bi, bu, zf, f, fn, fm, d, dn, dm, de, d0, b, b64, y, c, cn, v, vn, u16, tt, t, lt, bn, bf, vb, tb, bl, e, en, s, da, dx, tm, t0, dt, ts, p, g) VALUES
	(-1, 'a', 0, 5, 16777214, -2147483648, -9223372036854775808, 18446744073709551615, 5, 0.1, 16777216, 12.125, 0.1, 1e300, 1.5, 1.5, 12345678901234567890, b'101', 9223372036854775808, 2000,
		'é', 'é', 'é😀', 'a', 'é', 'a', 'long', 'ÿ', 'a', 'a', '\0a', '\0', '\0', 'a', '1', 'x,z', '2020-02-30', '2020-01-01', '-800:01:02.5', '-00:00:01', '2020-01-01 00:00:00.5', '2020-01-01 00:00:00.5', ST_GeomFromText('POINT(1 2)'), ST_GeomFromText('LINESTRING(1 2,3 4)')),
	(0, 'a', 255, 0, 0, 0, 0, 0, 0, -0e0, -0e0, -0e0, -0e0, -0e0, -0.00001, -1, 0, 0, 0, 0,
		'', '', '', '', '', '', '', '', '', '', '', '', '', '', '2', '', '0000-00-00', '0000-00-00', '00:00:00', '00:00:00', '0000-00-00 00:00:00', NULL, NULL, NULL),
	(1, 'N', NULL, 1, NULL, NULL, NULL, 1, NULL, NULL, 1, NULL, NULL, 1, NULL, NULL, 1, NULL, NULL, NULL,
		NULL, 'N', NULL, 'N', NULL, NULL, NULL, 'N', NULL, 'N', NULL, NULL, NULL, NULL, '10', NULL, NULL, '2021-01-01', NULL, NULL, NULL, NULL, NULL, NULL),
	(2, 'b', 1, -32768, 1, 2147483647, 9223372036854775807, 9223372036854775808, 1, 1.1754944e-38, 3.4e38, 0.001, 2.2250738585072014e-308, -1.7976931348623157e308, 123456789.12345, 12345678901234567890.0123456789, -1, 1099511627775, 18446744073709551615, 2155,
		'ab', 'ab', '1:a', '1:a', 'x', 'N', 'N', 'x', 'abcd', 'abcd', 'ab', 'x', 'x', 'c,d', '11', 'y', '9999-12-31', '9999-12-31', '838:59:59', '838:59:59', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.99', ST_GeomFromText('POINT(-1.5 2e10)'), ST_GeomFromText('POINT(1 2)')),
	(3, 'b', 1, 1, 1, 1, 1, 1, 1, -3.4e38, 1e-45, -0.125, -1.7976931348623157e308, 5e-324, 0, 0, 0, 1, 1, 1901,
		' a', ' a', 'N', 'N', 'N', '1:N', '1:N', 'N', 'N', 'N', 'N', 'N', 'N', 'a', '3', '', '2021-01-01', '1000-01-01', '00:00:00.001', '1', '2021-01-01', '1970-01-01 00:00:01', NULL, NULL),
	(4, 'c', 1, 1, 1, 1, 1, 1, 1, 1e-7, -1.2345678e-5, 1, 1e-7, 4.934040000000001e-13, 0, 0, 0, 1, 1, 1999,
		'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'a', '3', 'x', '2021-01-01', '2021-01-01', '1', '1', '2021-01-01', NULL, NULL, NULL),
	(5, 'c', 1, 1, 1, 1, 1, 1, 1, -1.2345678e-5, 16777217, 1, -1.2345678901234567e-5, -9.250086831160303e-12, 0, 0, 0, 1, 1, 1999,
		'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'a', '3', 'x', '2021-01-01', '2021-01-01', '1', '1', '2021-01-01', NULL, NULL, NULL)`

// valueMutations change one value each of the row −1, or of the row before the colon. The column that must
// be found is before the first =.
var valueMutations = []string{
	"ti = 1", "ti = NULL", "1: ti = 0", "si = 4", "si = -5", "mi = 16777215", "1: mi = 0", "i = -2147483647", "i = 2147483647", "i = NULL", "1: i = 0",
	"bi = -9223372036854775807", "bi = NULL", "1: bi = 0", "bu = 18446744073709551614", "bu = 9223372036854775807", "zf = 4", "zf = 50", "1: zf = 0",
	"f = 0.10000001", "f = NULL", "1: f = 0", "fn = 16777215", "fn = -16777216", "4: fn = -1.2345679e-5", "fm = 12.126", "1: fm = 0",
	"d = 0.1 + 0.00000000000000002e0", "d = NULL", "1: d = 0", "dn = 1.0000000000000002e300", "2: dn = -1.7976931348623155e308", "3: dn = 1e-323", "4: dn = 4.93404e-13", "5: dn = 9.250086831160303e-12", "dm = 1.50001", "1: dm = 0",
	"de = 1.5000000001", "de = NULL", "1: de = 0", "d0 = 12345678901234567891", "d0 = -12345678901234567890", "b = b'100'", "b = NULL", "1: b = 0", "b64 = 9223372036854775809", "b64 = 0", "1: b64 = 0", "y = 2001", "y = 0", "1: y = 0",
	"c = 'e'", "c = 'É'", "c = ''", "1: c = ''", "cn = 'è'", "cn = 'e'", "cn = ''", "1: cn = ''", "vn = 'A'", "vn = 'a '", "vn = 'a,'", "u16 = 'è'", "u16 = 'é '", "1: u16 = ''",
	"tt = 'A'", "tt = 'a '", "1: tt = ''", "t = 'lonG'", "t = 'long '", "t = NULL", "1: t = ''", "1: t = 'N'", "lt = 'y'", "lt = 'ÿ '", "lt = ''",
	"bn = 'A'", "bn = 'a '", "1: bn = ''", "bf = 'A'", "bf = 'a\\0\\0\\Z'", "vb = '\\0b'", "vb = '\\0a\\0'", "vb = NULL", "1: vb = ''", "tb = '\\0\\0'", "1: tb = ''", "bl = ''", "bl = '\\0 '", "bl = NULL", "1: bl = ''",
	"e = 'c,d'", "e = 0", "e = ''", "e = NULL", "0: e = 0", "1: e = ''", "1: e = 0", "en = '10'", "en = 0", "s = 'x,y'", "s = ''", "s = NULL", "1: s = ''",
	"da = '2020-02-29'", "da = '0000-00-00'", "da = NULL", "1: da = '0000-00-00'", "dx = '2020-01-02'", "dx = '0000-00-00'", "tm = '-800:01:02.501'", "tm = '800:01:02.5'", "1: tm = 0", "t0 = '00:00:01'", "1: t0 = 0",
	"dt = '2020-01-01 00:00:00.500001'", "dt = '0000-00-00'", "dt = NULL", "1: dt = '0000-00-00'", "ts = '2020-01-01 00:00:00.51'", "ts = '0000-00-00'", "ts = NULL", "1: ts = '0000-00-00'",
	"p = ST_GeomFromText('POINT(1 3)')", "p = ST_GeomFromText('POINT(2 1)')", "p = NULL", "1: p = ST_GeomFromText('POINT(0 0)')", "g = ST_GeomFromText('LINESTRING(1 2,3 5)')", "g = ST_GeomFromText('LINESTRING(1 2,3 4)', 4326)", "g = NULL",
	"v = 'é😁'", "v = 'É😀'", "v = 'é😀 '", "v = 'é😀'", "v = NULL", "v = ''", "1: v = ''", "0: v = 'N'",
}

func TestAnyChangedValueIsFoundInItsRowAndColumn(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServers(t, source(t))
			s.both(t, common, commonRows)
			if r := s.compare(t, "t"); !r.Equal || r.Source.Rows != 7 {
				t.Fatalf("equal rows: %+v; %s", r, describe(s.differences(t, "t", 100)))
			}
			for _, m := range valueMutations {
				s.change(t, m)
			}
		})
	}
}

// change makes one of the mutations in the table t, sees that it is found, and takes it back.
func (s servers) change(t *testing.T, mutation string) {
	t.Helper()
	id, set, other := strings.Cut(mutation, ": ")
	if !other {
		id, set = "-1", mutation
	}
	var key string
	if err := s.dst.QueryRow(fmt.Sprintf("SELECT k FROM %s.t WHERE id = %s", s.database, id)).Scan(&key); err != nil {
		t.Fatal(err)
	}
	s.exec(t, s.target, "UPDATE t SET "+set+" WHERE id = "+id)
	column, _, _ := strings.Cut(set, " ")
	want := fmt.Sprintf("id=%s k=%s 1/1: %s", id, key, column)
	found := s.found(t, "t")
	rest, ok := strings.CutPrefix(found, want)
	if !ok || column != "v" && rest != "; " || strings.Count(found, ";") != 1 {
		t.Errorf("%s: found %q", mutation, found)
	}
	if r := s.compare(t, "t"); r.Equal {
		t.Errorf("%s: equal", mutation)
	}
	s.exec(t, s.target, "DELETE FROM t", commonRows)
}

// What only one flavor has: on the target of a MariaDB it is text.
func TestValuesOfOneFlavorAreComparedAndTheirChangesFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source         func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server
		ours, theirs   string
		rows           string
		same, mutation []string
	}{
		"MySQL": {sandboxtest.MySQLSource, "j json, v vector(2), g geometry SRID 4326", "j json, v vector(2), g geometry SRID 4326",
			`(1, '{"b": 1, "a": [1.0, "x"]}', STRING_TO_VECTOR('[1,2]'), ST_GeomFromText('POINT(1 2)', 4326)), (2, NULL, NULL, NULL), (3, 'null', NULL, NULL), (4, '12', NULL, NULL)`,
			[]string{`j = '{ "a":[1.0,"x"],"b":1 }' WHERE id = 1`},
			[]string{`j = '{"b": 1, "a": [2.0, "x"]}' WHERE id = 1`, "j = 'null' WHERE id = 2", "j = '{}' WHERE id = 2", "j = NULL WHERE id = 3", "j = '\"null\"' WHERE id = 3", "j = '123' WHERE id = 4",
				"v = STRING_TO_VECTOR('[1,3]') WHERE id = 1", "v = STRING_TO_VECTOR('[0,0]') WHERE id = 2", "g = ST_GeomFromText('POINT(2 1)', 4326) WHERE id = 1"}},
		"MariaDB": {sandboxtest.MariaDBSource, "j json, u uuid, a inet6", "j longtext CHARACTER SET utf8mb4, u char(36) CHARACTER SET ascii, a varchar(45) CHARACTER SET ascii",
			`(1, '{"b": 1, "a": [1.0, "x"]}', '123e4567-e89b-12d3-a456-426655440000', '::ffff:192.168.0.1'), (2, NULL, NULL, NULL), (3, 'null', '00000000-0000-0000-0000-000000000000', '::')`,
			nil,
			[]string{`j = '{"b":1, "a": [1.0, "x"]}' WHERE id = 1`, "j = 'null' WHERE id = 2", "j = '' WHERE id = 2", "j = NULL WHERE id = 3",
				"u = '123e4567-e89b-12d3-a456-426655440001' WHERE id = 1", "u = '' WHERE id = 2", "a = '::ffff:192.168.0.2' WHERE id = 1", "a = '' WHERE id = 2", "a = '::1' WHERE id = 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServers(t, c.source(t))
			s.exec(t, s.source, "CREATE TABLE t (id int PRIMARY KEY, "+c.ours+")", "INSERT INTO t VALUES "+c.rows)
			s.exec(t, s.target, "CREATE TABLE t (id int PRIMARY KEY, "+c.theirs+")", "INSERT INTO t VALUES "+c.rows)
			for _, m := range append([]string{"id = id"}, c.same...) {
				s.exec(t, s.target, "UPDATE t SET "+m)
				if r := s.compare(t, "t"); !r.Equal {
					t.Errorf("%s: %+v: %s", m, r, s.found(t, "t"))
				}
			}
			for _, m := range c.mutation {
				s.exec(t, s.target, "UPDATE t SET "+m)
				if found := s.found(t, "t"); found != "id="+m[len(m)-1:]+" 1/1: "+m[:1]+"; " || s.compare(t, "t").Equal {
					t.Errorf("%s: found %q", m, found)
				}
				s.exec(t, s.target, "DELETE FROM t", "INSERT INTO t VALUES "+c.rows)
			}
		})
	}
}

// small is a packet that the rows below don't fit into.
const small = 20 << 10

// packetServers are two servers of which the source's packets are small, and perhaps the target's.
func packetServers(t *testing.T, source func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server, both bool) servers {
	option := sandboxtest.Options(fmt.Sprintf("--max-allowed-packet=%d", small))
	s := servers{source: source(t, option)}
	if both {
		s.target = sandboxtest.Target(t, option)
	} else {
		s.target = sandboxtest.Target(t)
	}
	s.database = (&sandboxtest.Pair{Source: s.source, Target: s.target}).Database(t)
	s.src, s.dst = s.source.DB(t, sandbox.Changeover), s.target.DB(t, sandbox.Admin)
	return s
}

// stretched runs statements in a session whose packets are large: the rows were there before the setting.
func (s servers) stretched(t *testing.T, on *sandboxtest.Server, statements ...string) {
	t.Helper()
	var before int
	if err := on.DB(t, sandbox.Root).QueryRow("SELECT @@GLOBAL.max_allowed_packet").Scan(&before); err != nil {
		t.Fatal(err)
	}
	on.Exec(t, "SET GLOBAL max_allowed_packet = 16777216")
	defer on.Exec(t, fmt.Sprintf("SET GLOBAL max_allowed_packet = %d", before))
	s.exec(t, on, statements...)
}

func TestADifferenceInARowThatIsLongerThanAPacketIsFound(t *testing.T) {
	t.Parallel()
	many, full := "", ""
	for i := range 40 {
		many += fmt.Sprintf(", c%d varchar(1000) CHARACTER SET latin1", i)
		full += ", REPEAT('c', 900)"
	}
	table := "CREATE TABLE t (id int PRIMARY KEY, t longtext CHARACTER SET utf8mb4, u longtext CHARACTER SET utf16, b longblob" + many + ")"
	rows := []string{
		"INSERT INTO t (id, t, u, b, c1) VALUES (1, REPEAT('é', 30000), REPEAT('é', 30000), REPEAT('b', 30000), 'short'), (2, 'short', '', NULL, NULL)",
		"INSERT INTO t VALUES (3, 't', 'u', 'b'" + full + "), (4, 't', 'u', 'b'" + full + ")",
	}
	changes := map[string]string{
		"t = CONCAT(REPEAT('é', 29999), 'e') WHERE id = 1": "id=1 1/1: t; ",
		"u = CONCAT(REPEAT('é', 30000), ' ') WHERE id = 1": "id=1 1/1: u; ",
		"b = CONCAT('B', REPEAT('b', 29999)) WHERE id = 1": "id=1 1/1: b; ",
		"b = NULL WHERE id = 1":                            "id=1 1/1: b; ",
		"c1 = 'shorT' WHERE id = 1":                        "id=1 1/1: c1; ",
		"b = '' WHERE id = 2":                              "id=2 1/1: b; ",
		"c39 = CONCAT(REPEAT('c', 899), 'C') WHERE id = 3": "id=3 1/1: c39; ",
		"c7 = NULL WHERE id > 2":                           "id=3 1/1: c7; id=4 1/1: c7; ",
	}
	for name, source := range flavors {
		for _, both := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, the target's packets small too: %v", name, both), func(t *testing.T) {
				s := packetServers(t, source, both)
				for _, on := range []*sandboxtest.Server{s.source, s.target} {
					s.stretched(t, on, append([]string{table}, rows...)...)
				}
				if r := s.compare(t, "t"); !r.Equal || r.Source.Rows != 4 {
					t.Fatalf("equal: %+v", r)
				}
				for change, want := range changes {
					s.stretched(t, s.target, "UPDATE t SET "+change)
					if r := s.compare(t, "t"); r.Equal {
						t.Errorf("%s: equal", change)
					}
					if found := s.found(t, "t"); found != want {
						t.Errorf("%s: found %q", change, found)
					}
					s.stretched(t, s.target, append([]string{"DELETE FROM t"}, rows...)...)
				}
			})
		}
	}
}

// longJSON makes a row whose JSON is longer than a packet of 20 KiB. MySQL prints that as nothing at all, so
// there is no digest of it.
func longJSON(filling string) []string {
	return []string{"CREATE TABLE t (id int PRIMARY KEY, j json)",
		fmt.Sprintf("INSERT INTO t VALUES (1, JSON_ARRAY(REPEAT('%s', 12000), REPEAT('x', 12000))), (2, '1')", filling)}
}

// lostLongText makes a row with a character that UTF-8 has not, whose bytes are longer than a packet.
func lostLongText() []string {
	return []string{"CREATE TABLE t (id int PRIMARY KEY, v longtext CHARACTER SET sjis)",
		"INSERT INTO t VALUES (1, CONCAT(_sjis x'8540', REPEAT(_sjis'x', 30000)))"}
}

// A digest that is NULL would vanish from the sum, and with it the row.
func TestARowThatAServerCannotDigestIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		source         func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server
		ours, theirs   []string
		bothAreTooLong bool
	}{
		"a JSON on the source": {source: sandboxtest.MySQLSource, ours: longJSON("a"), theirs: longJSON("b")},
		"a JSON on both sides": {source: sandboxtest.MySQLSource, ours: longJSON("a"), theirs: longJSON("b"), bothAreTooLong: true},
		"a text from MariaDB":  {source: sandboxtest.MariaDBSource, ours: lostLongText(), theirs: []string{"CREATE TABLE t (id int PRIMARY KEY, v longtext)", "INSERT INTO t VALUES (1, 'x')"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := packetServers(t, c.source, c.bothAreTooLong)
			s.stretched(t, s.source, c.ours...)
			s.stretched(t, s.target, c.theirs...)
			if r, err := Compare(t.Context(), s.src, s.dst, []Name{{s.database, "t"}}, Options{}); err == nil || !strings.Contains(err.Error(), "max_allowed_packet") {
				t.Errorf("%v: %+v", err, r)
			}
			if d, err := Differences(t.Context(), s.src, s.dst, Name{s.database, "t"}, 9); err == nil {
				t.Errorf("found %s", describe(d))
			}
		})
	}
}
