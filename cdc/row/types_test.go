package row_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// column is a type and the SQL expressions of its odd values.
type column struct {
	typ    string
	values []string
}

func commonColumns() []column {
	list := []column{
		{"TINYINT", []string{"-128", "127", "0"}},
		{"TINYINT UNSIGNED", []string{"0", "255", "128"}},
		{"SMALLINT", []string{"-32768", "32767"}},
		{"SMALLINT UNSIGNED", []string{"65535", "32768"}},
		{"MEDIUMINT", []string{"-8388608", "8388607", "-1"}},
		{"MEDIUMINT UNSIGNED", []string{"16777215", "8388608"}},
		{"INT", []string{"-2147483648", "2147483647", "-1"}},
		{"INT UNSIGNED", []string{"4294967295"}},
		{"INT(8) ZEROFILL", []string{"42", "0"}},
		{"BIGINT", []string{"-9223372036854775808", "9223372036854775807"}},
		{"BIGINT UNSIGNED", []string{"18446744073709551615", "9223372036854775808"}},
		{"YEAR", []string{"1901", "2155", "'0000'", "2000"}},
		{"DECIMAL(10,2)", []string{"0", "-0.00", "0.05", "-0.05", "12345678.90", "-99999999.99", "1e-2"}},
		{"DECIMAL(65,30)", []string{"0", "-1", "99999999999999999999999999999999999.999999999999999999999999999999", "0.000000000000000000000000000001"}},
		{"DECIMAL(20,0)", []string{"-12345678901234567890", "1000000000"}},
		{"DECIMAL(5,5)", []string{"0.00001", "-0.99999"}},
		{"DECIMAL(10,3) UNSIGNED ZEROFILL", []string{"42.5", "0", "0.001"}},
		{"FLOAT", []string{"0e0", "-0e0", "0.1", "16777217", "3.402823466e38", "-3.402823466e38", "1.17549e-38", "1e-45", "1.23456789", "8388608.5", "1e20", "123456.7"}},
		{"FLOAT(7,2)", []string{"0.1", "12345.67", "-0e0"}},
		{"FLOAT UNSIGNED", []string{"0.1", "1e10"}},
		{"DOUBLE", []string{"0e0", "-0e0", "0.1", "1e15", "123456789012345678", "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "-1e-7", "1e-300", "0.3e0+0.6e0"}},
		{"DOUBLE(20,4)", []string{"0.1", "1234567890123456.7891", "-0.0001"}},
		{"BIT(1)", []string{"0", "1"}},
		{"BIT(9)", []string{"0", "511", "256"}},
		{"BIT(30)", []string{"0", "1073741823", "31", "30"}},
		{"BIT(64)", []string{"0", "18446744073709551615", "9223372036854775808"}},
		{"CHAR(10) CHARACTER SET utf8mb4", []string{"''", "'a  '", nastyString("x"), "'日本😀'"}},
		{"CHAR(255) CHARACTER SET utf8mb4", []string{"''", "REPEAT('é',255)"}},
		{"CHAR(10) CHARACTER SET latin1", []string{"'é'", "''", "'a  '"}},
		{"VARCHAR(40) CHARACTER SET utf8mb4", []string{"''", "'a  '", nastyString("x"), "'日本😀'", "' '", "'NULL'", "'\\\\N'", "'\x1dN'"}},
		{"VARCHAR(300) CHARACTER SET latin1", []string{"REPEAT('é',300)"}},
		{"TINYTEXT", []string{"''", "'é'"}},
		{"TEXT", []string{"''", "REPEAT(" + nastyString("y") + ",100)", "REPEAT('plain ', 1000)"}},
		{"MEDIUMTEXT", []string{"REPEAT('日本',40000)"}},
		{"LONGTEXT", []string{"'x'"}},
		{"BINARY(5)", []string{"''", "'a'", "x'0000000000'", "x'6100620000'", "'ab  '"}},
		{"BINARY(255)", []string{"''", "x'00'", "REPEAT(x'ff00',127)"}},
		{"VARBINARY(300)", []string{"''", "x'00'", "x'6100'", "'a  '", allBytes()}},
		{"TINYBLOB", []string{"''", "x'00'"}},
		{"BLOB", []string{allBytes(), "REPEAT(" + allBytes() + ",200)"}},
		{"MEDIUMBLOB", []string{"x'1d1e1f'"}},
		{"LONGBLOB", []string{"''"}},
		{"ENUM('red','green','blue')", []string{"'red'", "'blue'", "'none'"}},
		{"ENUM('','a')", []string{"''", "'a'", "'none'"}},
		{"ENUM('2','1')", []string{"'2'", "'1'", "2"}},
		{"ENUM('it''s','a,b','é','日','back\\\\slash')", []string{"1", "2", "3", "4", "5"}},
		{"ENUM('u','v') CHARACTER SET latin1", []string{"1", "2"}},
		{manyMembers(300), []string{"1", "255", "256", "300"}},
		{"SET('a','b','c')", []string{"''", "'a,c'", "7"}},
		{"SET('1','2')", []string{"''", "1", "2", "3"}},
		{manySet(64), []string{"0", "18446744073709551615", "9223372036854775808", "1"}},
		{"DATE", []string{"'0000-00-00'", "'2020-00-00'", "'2020-02-00'", "'2020-02-31'", "'9999-12-31'", "'0001-01-01'"}},
		{"JSON", []string{
			`'{}'`, `'[]'`, `'null'`, `'"a\\\\b\\"c\\n\\u0001é😀<>&"'`, `'{"b": 1, "aa": [1, 2.5, -0.0, 1e20, 1e-7, 123456789012345678], "a": {"x": null}}'`,
			`'[18446744073709551615, -9223372036854775808, 1e15, 1e16, 123456789012345.6, 0.000001, 1.5e-10, 1e300, 5e-324, 100000000000000000000000]'`,
			`'"\\u2028\\u00e9\\ud83d\\ude00\\u007f"'`, `'{"": "", "a b": ":,{}[]"}'`, `'1.0'`, `'true'`, `'"base64:type252:"'`,
			`CONCAT('["', REPEAT('x', 70000), '", ', REPEAT('1.5, ', 5000), '0]')`,
		}},
		{"POINT", []string{"ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('POINT(-0.0 1e300)')"}},
		{"GEOMETRY", []string{"ST_GeomFromText('LINESTRING(0 0,1 1,2 5)')", "ST_GeomFromText('POINT(29 30)', 4326)",
			"ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),POLYGON((0 0,0 1,1 1,0 0)))')"}},
	}
	for fsp := 0; fsp <= 6; fsp++ {
		list = append(list,
			column{fmt.Sprintf("TIME(%d)", fsp), []string{"'00:00:00'", "'-838:59:59'", "'838:59:59'", "'12:00:00'", "'-00:00:00.5'", "'-00:00:00.000001'", "'-01:00:00.99'", "'01:02:03.123456'", "'-100:00:00.1'", "'00:00:00.000009'"}},
			column{fmt.Sprintf("DATETIME(%d)", fsp), []string{"'0000-00-00'", "'2020-00-00 01:02:03'", "'2020-02-31 23:59:59.999'", "'9999-12-31 23:59:59'", "'2020-01-01 00:00:00.123456'", "'0000-00-00 00:00:00.5'", "'1000-01-01'"}},
			column{fmt.Sprintf("TIMESTAMP(%d) NULL", fsp), []string{"'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2020-03-29 02:30:00.25'"}})
	}
	return list
}

// nastyString is a literal of everything that LOAD DATA and literals must escape, then s.
func nastyString(s string) string { return `'a\'\\"\0\Z\n\r\t` + "\x1d" + s + `'` }

func allBytes() string {
	var b strings.Builder
	for i := range 256 {
		fmt.Fprintf(&b, "%02x", i)
	}
	return "x'" + b.String() + "'"
}

func manyMembers(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("'m%d'", i))
	}
	return "ENUM(" + strings.Join(list, ",") + ")"
}

func manySet(n int) string { return "SET" + strings.TrimPrefix(manyMembers(n), "ENUM") }

// randomColumns has many values of the types whose text is easily misspelled.
func randomColumns(flavor server.Flavor) []column {
	r := rand.New(rand.NewPCG(5, 6))
	many := func(typ string, value func() string) column {
		c := column{typ: typ}
		for range 150 {
			c.values = append(c.values, value())
		}
		return c
	}
	double := func() string {
		f := math.Float64frombits(r.Uint64())
		for math.IsNaN(f) || math.IsInf(f, 0) {
			f = math.Float64frombits(r.Uint64())
		}
		if r.IntN(2) == 0 {
			f = math.Round(r.Float64()*1e6) * math.Pow10(r.IntN(40)-20)
		}
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	float := func() string {
		f := math.Float32frombits(r.Uint32())
		for f != f || math.IsInf(float64(f), 0) {
			f = math.Float32frombits(r.Uint32())
		}
		return strconv.FormatFloat(float64(f), 'e', -1, 64)
	}
	decimal := func() string { return fmt.Sprintf("%d.%0*d", r.IntN(1e6)-5e5, r.IntN(8)+1, r.IntN(10)) }
	list := []column{
		many("DOUBLE", double), many("FLOAT", float), many("DECIMAL(20,8)", decimal),
		many("TIME(6)", func() string {
			return fmt.Sprintf("'%s%d:%02d:%02d.%06d'", []string{"", "-"}[r.IntN(2)], r.IntN(838), r.IntN(60), r.IntN(60), r.IntN(1e6))
		}),
	}
	if flavor == server.MySQL {
		return append(list,
			many("JSON", func() string { return "'[" + double() + ", {\"a\": " + double() + "}]'" }),
			many("JSON", func() string {
				return "JSON_ARRAY(" + decimal() + ", JSON_OBJECT('a.b', " + decimal() + "), " + double() + ")"
			}))
	}
	address := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			if r.IntN(2) == 0 {
				b[i] = byte(r.Uint32())
			}
		}
		return fmt.Sprintf("%x", b)
	}
	return append(list,
		many("UUID", func() string { return "'" + address(16) + "'" }),
		many("INET6", func() string { return "CAST(x'" + address(16) + "' AS INET6)" }))
}

func columnsOf(flavor server.Flavor) []column {
	list := append(commonColumns(), randomColumns(flavor)...)
	if flavor == server.MySQL {
		return append(list,
			column{"VECTOR(3)", []string{"TO_VECTOR('[1,-0,3.5]')"}},
			column{"JSON", []string{
				`CONCAT(REPEAT('[', 90), '1', REPEAT(']', 90))`, `CONCAT(REPEAT('{"a.b\\"": [7, ', 45), '1', REPEAT(']}', 45))`,
				`JSON_INSERT('{"a.b\\"[]": [7, {"": [1.5]}], "é\\n": {"$": 1}}', '$."a.b\\"[]"[1].""[1]', 2.50, '$."é\\n"."$$"', 0.0)`,
				"CAST(12.50 AS JSON)", "JSON_OBJECT('price', 12.50, 'big', 123456789012345678901234567890.12, 'int', 12, 'd', 0.10)",
				"JSON_OBJECT('d', CAST('2020-01-02' AS DATE), 't', CAST('01:02:03.5' AS TIME(3)), 'dt', CAST('2020-01-02 03:04:05' AS DATETIME))",
				"JSON_ARRAY(x'00ff', b'101')", "JSON_ARRAY(CAST(123456789012345678901234567890 AS DECIMAL(40)), TRUE)",
			}})
	}
	return append(list,
		column{"UUID", []string{
			"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'123e4567-e89b-12d3-a456-426655440000'",
			"'123e4567-e89b-42d3-a456-426655440000'", "'0190163d-8694-739b-aea5-966c26f8ad91'", "'00112233-4455-8677-1899-aabbccddee00'",
			"'00112233-4455-0677-8899-aabbccddee00'", "'00112233-4455-1677-0899-aabbccddee00'", "'00112233-4455-5f77-c899-aabbccddee00'", "'00112233-4455-6077-8899-aabbccddee00'",
			"'00112233-4455-80ff-10aa-000000000000'", "'00112233-4455-8855-4466-990011220000'"}},
		column{"INET6", []string{"'::'", "'::1'", "'2001:db8::ff00:42:8329'", "'::ffff:192.168.0.1'", "'::192.168.0.1'", "'1:0:0:2:0:0:0:3'", "'1:2:3:4:5:6:7:8'", "'fe80::'", "'1:0:2::'", "'0:1:2:3:4:5:6:7'", "'::1:2'", "'::ffff'", "'1:2:3:4:5:6:7:0'"}},
		column{"INET4", []string{"'0.0.0.0'", "'255.255.255.255'", "'10.0.0.0'"}},
	)
}

// fillTypes makes one table for each type, with a row for each value and one of NULL.
func fillTypes(t *testing.T, l *lab, list []column) {
	for i, col := range list {
		exec(t, l.odd, fmt.Sprintf("CREATE TABLE %s.t%d (id INT PRIMARY KEY, v %s)", l.schema, i, col.typ))
		var rows []string
		for n, v := range append(col.values, "NULL") {
			rows = append(rows, fmt.Sprintf("(%d, %s)", n, v))
		}
		exec(t, l.odd, fmt.Sprintf("INSERT INTO %s.t%d VALUES %s", l.schema, i, strings.Join(rows, ", ")))
	}
}

// both returns each table's rows as the binlog and as a SELECT have them, in canonical form.
func both(t *testing.T, l *lab, events []event, tab *row.Table) (streamed, selected []row.Row) {
	t.Helper()
	for _, e := range events {
		if string(e.table.Table) != tab.Name {
			continue
		}
		d, err := row.NewDecoder(tab, e.table, l.flavor)
		if err != nil {
			t.Errorf("%s: %v", tab.Columns[1].ColumnType, err)
			return nil, nil
		}
		for _, image := range e.images {
			r, err := d.Row(image)
			if err != nil {
				t.Fatal(err)
			}
			streamed = append(streamed, r)
		}
	}
	return streamed, selectCanonical(t, l.src, tab, l.schema, "")
}

func selectCanonical(t *testing.T, db *sql.DB, tab *row.Table, schema, tail string) []row.Row {
	t.Helper()
	var list []byte
	for i := range tab.Columns {
		if i > 0 {
			list = append(list, ',')
		}
		list = tab.Columns[i].AppendKeySelect(list)
	}
	var out []row.Row
	for _, f := range texts(t, db, "SELECT "+string(list)+" FROM "+server.Name(schema, tab.Name)+" "+tail) {
		r := make(row.Row, len(f))
		for i, text := range f {
			v, err := tab.Columns[i].Canonical(text)
			if err != nil {
				t.Fatalf("%s: %v", tab.Columns[i].ColumnType, err)
			}
			r[i] = v
		}
		out = append(out, r)
	}
	return out
}

func sameRow(a, b row.Row) bool {
	return bytes.Equal(row.AppendKey(nil, a), row.AppendKey(nil, b))
}

func TestBinlogAndSelectGiveTheSameValueAndEveryWayOfWritingStoresIt(t *testing.T) {
	labs(t, func(t *testing.T, l *lab) {
		list := columnsOf(l.flavor)
		from := l.position(t)
		fillTypes(t, l, list)
		events := l.events(t, from, l.position(t))
		for i := range list {
			tab := load(t, l.src, l.schema, fmt.Sprintf("t%d", i))
			streamed, selected := both(t, l, events, tab)
			if streamed == nil {
				continue
			}
			if len(streamed) != len(selected) {
				t.Fatalf("%s: %d rows streamed, %d selected", list[i].typ, len(streamed), len(selected))
			}
			for n := range streamed {
				if !sameRow(streamed[n], selected[n]) {
					t.Errorf("%.60s row %d (%.80s): binlog %.300q, SELECT %.300q", list[i].typ, n,
						append(list[i].values, "NULL")[n], streamed[n][1], selected[n][1])
				}
			}
			writeAll(t, l, tab, streamed)
		}
	})
}

// writeAll copies the table in three ways and compares each copy with the source.
func writeAll(t *testing.T, l *lab, tab *row.Table, rows []row.Row) {
	t.Helper()
	want := contents(t, l.src, tab, l.schema)
	ddl := string(texts(t, l.odd, "SHOW CREATE TABLE "+server.Name(l.schema, tab.Name))[0][1])
	copyTab := *tab
	copyTab.Schema = l.copySchema
	exec(t, l.dst, "SET SESSION sql_mode='ALLOW_INVALID_DATES'")
	defer exec(t, l.dst, "SET SESSION sql_mode='"+server.ApplierMode+"'")
	exec(t, l.dst, strings.Replace(ddl, "CREATE TABLE ", "CREATE TABLE "+l.copySchema+".", 1))
	name := server.Name(l.copySchema, tab.Name)
	check := func(how string) {
		t.Helper()
		got := contents(t, l.dst, tab, l.copySchema)
		for n := range want {
			if n >= len(got) || got[n] != want[n] {
				g := "nothing"
				if n < len(got) {
					g = got[n]
				}
				t.Errorf("%.60s by %s: row %d\n got %.400s\nwant %.400s", tab.Columns[1].ColumnType, how, n, g, want[n])
			}
		}
	}
	strict := func(on bool) {
		mode := server.ApplierMode
		if !on {
			mode = "ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO"
		}
		exec(t, l.dst, "SET SESSION sql_mode='"+mode+"'")
	}

	// By literals, as apply does.
	for _, r := range rows {
		strict(!(tab.Columns[1].Kind == row.Enum && string(r[1]) == "0"))
		q := append([]byte("INSERT INTO "+name+" VALUES ("), r[0]...)
		q = append(tab.Columns[1].AppendLiteral(append(q, ','), r[1]), ')')
		if _, err := l.dst.Exec(string(q)); err != nil {
			t.Errorf("%.60s: %.200s: %v", tab.Columns[1].ColumnType, q, err)
		}
	}
	check("literals")
	strict(true)
	for n, r := range rows {
		matchSelf(t, l, &copyTab, rows, n, r)
	}

	// By LOAD DATA and INSERT, from the SELECT's texts, as the copy does.
	read := texts(t, l.src, "SELECT "+string(tab.AppendSelectList(nil))+" FROM "+server.Name(l.schema, tab.Name))
	exec(t, l.dst, "TRUNCATE "+name)
	var lines []byte
	for _, f := range read {
		if !tab.Loadable(f) {
			continue
		}
		lines = row.AppendLine(lines, f)
	}
	register(t, tab.Name+"-"+l.copySchema, lines)
	conn := string(copyTab.AppendLoad(nil, tab.Name+"-"+l.copySchema))
	if _, err := l.dst.Exec(conn); err != nil {
		t.Errorf("%.60s: %s: %v", tab.Columns[1].ColumnType, conn, err)
	} else if w := texts(t, l.dst, "SHOW WARNINGS"); len(w) > 0 {
		t.Errorf("%.60s: LOAD DATA warns %s", tab.Columns[1].ColumnType, w[0][2])
	}
	strict(false)
	for _, f := range read {
		if !tab.Loadable(f) {
			exec(t, l.dst, string(copyTab.AppendInsertValues(copyTab.AppendInsert(nil), f)))
		}
	}
	check("LOAD DATA")

	exec(t, l.dst, "TRUNCATE "+name)
	for _, f := range read {
		q := copyTab.AppendInsertValues(copyTab.AppendInsert(nil), f)
		if _, err := l.dst.Exec(string(q)); err != nil {
			t.Errorf("%.60s: %.200s: %v", tab.Columns[1].ColumnType, q, err)
		}
	}
	check("INSERT of texts")
}

// matchSelf looks for a row by all its values but the id: it must find the rows of the same bytes.
func matchSelf(t *testing.T, l *lab, tab *row.Table, rows []row.Row, n int, r row.Row) {
	t.Helper()
	noID := *tab
	noID.Columns = append([]row.Column{}, tab.Columns...)
	noID.Columns[0].Generated = true
	want := ""
	for _, other := range rows {
		if sameRow(other[1:], r[1:]) {
			want += "," + string(other[0])
		}
	}
	q := "SELECT GROUP_CONCAT(id ORDER BY id) FROM " + server.Name(tab.Schema, tab.Name) + " WHERE " + string(noID.AppendMatch(nil, r))
	if got := "," + one(t, l.dst, q); got != want {
		t.Errorf("%.60s: a match of row %d finds %s, want %s: %.300s", tab.Columns[1].ColumnType, n, got, want, q)
	}
}
