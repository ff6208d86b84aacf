package cdc

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"changeover/internal/sandbox"
)

// What the fuzzer knows of types: how to declare a column of any, and what to write into one, told by
// what information_schema says of it.

// collations are those that both flavors have, then MySQL's own.
var fuzzCollations = []string{
	"utf8mb4 COLLATE utf8mb4_general_ci", "utf8mb4 COLLATE utf8mb4_unicode_ci", "utf8mb4 COLLATE utf8mb4_bin", "utf8mb4 COLLATE utf8mb4_swedish_ci",
	"latin1 COLLATE latin1_swedish_ci", "latin1 COLLATE latin1_bin", "ascii COLLATE ascii_general_ci", "sjis COLLATE sjis_japanese_ci",
	"gbk COLLATE gbk_chinese_ci", "ucs2 COLLATE ucs2_general_ci", "utf16 COLLATE utf16_bin", "cp1251 COLLATE cp1251_general_ci", "big5 COLLATE big5_chinese_ci",
	"utf8mb4 COLLATE utf8mb4_0900_ai_ci", "utf8mb4 COLLATE utf8mb4_0900_as_cs", "utf8mb4 COLLATE utf8mb4_0900_bin",
}

func one[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// chance is true once in n times.
func chance(rng *rand.Rand, n int) bool { return rng.IntN(n) == 0 }

// charset is a character set with a collation.
func (f *fuzzer) charset(rng *rand.Rand) string {
	if f.m.src.Flavor == sandbox.MariaDB {
		return one(rng, fuzzCollations[:len(fuzzCollations)-3]...)
	}
	return one(rng, fuzzCollations...)
}

// keyType declares a column that may be part of a key.
func (f *fuzzer) keyType(rng *rand.Rand) string {
	switch rng.IntN(14) {
	case 0, 1, 2:
		return one(rng, "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT") + one(rng, "", "", " UNSIGNED")
	case 3, 4, 5:
		return fmt.Sprintf("%s(%d) CHARACTER SET %s", one(rng, "CHAR", "VARCHAR"), 4+rng.IntN(30), f.charset(rng))
	case 6:
		return one(rng, "DECIMAL(10,3)", "DECIMAL(5,0) UNSIGNED", "DECIMAL(65,30)")
	case 7:
		return fmt.Sprintf("%s(%d)", one(rng, "BINARY", "VARBINARY"), 1+rng.IntN(20))
	case 8:
		return one(rng, "DATE", "YEAR", "TIME", "TIME(3)", "DATETIME", "DATETIME(6)", "TIMESTAMP(2)")
	case 9:
		return "ENUM('', 'a', 'b''c', '\"', 'x,y')" // ASCII: converting others loses them on MySQL itself (error 1291, or worse)
	case 10:
		return fmt.Sprintf("BIT(%d)", 1+rng.IntN(64))
	case 11:
		return one(rng, "DOUBLE", "SET('a', 'b', 'c''d')", "DATE", "INT")
	default:
		return "INT"
	}
}

// columnType declares any column.
func (f *fuzzer) columnType(rng *rand.Rand) string {
	switch rng.IntN(9) {
	case 0:
		return one(rng, "FLOAT", "DOUBLE", "FLOAT UNSIGNED")
	case 1:
		return one(rng, "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT") + " CHARACTER SET " + f.charset(rng)
	case 2:
		return one(rng, "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB")
	case 3:
		return "JSON"
	case 4:
		if f.m.src.Flavor == sandbox.MariaDB {
			return one(rng, "UUID", "INET6", "GEOMETRY", "POINT", "LINESTRING")
		}
		return one(rng, "VECTOR(3)", "GEOMETRY", "POINT", "POINT SRID 4326")
	default:
		return f.keyType(rng)
	}
}

// fuzzColumn is a column as information_schema tells it.
type fuzzColumn struct {
	name, data, kind, charset string // kind is COLUMN_TYPE
	nullable, generated       bool
	key                       bool // of the primary key
	srid                      string
}

// value writes an expression for something that the column may hold, and now and then what it may not.
// Few values are many times as likely as all others, so that rows meet.
func (c *fuzzColumn) value(rng *rand.Rand) string {
	if c.nullable && chance(rng, 6) {
		return "NULL"
	}
	if chance(rng, 40) {
		return "DEFAULT"
	}
	switch c.data {
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		return c.integer(rng)
	case "decimal":
		return one(rng, strconv.Itoa(rng.IntN(60)-20), fmt.Sprintf("%d.%03d", rng.IntN(99999)-50000, rng.IntN(1000)), "0", "-0.001", "99999", "1.5")
	case "float", "double":
		return one(rng, "0", "-0e0", strconv.Itoa(rng.IntN(20)), "1.1", "3.4028234e38", "-3.4028234e38", "1.4e-45", "0.1e0", fmt.Sprint(rng.Float32()), fmt.Sprint(rng.Float64()), "1e-30")
	case "bit":
		return one(rng, "b'0'", "b'1'", strconv.Itoa(rng.IntN(2)), "b'1010'", "~0 >> 1")
	case "year":
		return one(rng, "0", "1901", "2155", "1970", strconv.Itoa(2000+rng.IntN(30)))
	case "date":
		return one(rng, "'0000-00-00'", "'2021-00-00'", "'2021-02-31'", "'9999-12-31'", fmt.Sprintf("'2020-01-%02d'", 1+rng.IntN(28)))
	case "time":
		return one(rng, "'-838:59:59'", "'838:59:59'", "'00:00:00'", fmt.Sprintf("'%d:00:%02d.%06d'", rng.IntN(40), rng.IntN(60), rng.IntN(1e6)), "'-00:00:01.5'")
	case "datetime":
		return one(rng, "'0000-00-00 00:00:00'", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "NOW(6)", fmt.Sprintf("'2020-01-%02d 00:00:%02d.%06d'", 1+rng.IntN(28), rng.IntN(60), rng.IntN(1e6)))
	case "timestamp":
		return one(rng, "'0000-00-00 00:00:00'", "'1970-01-02 00:00:01'", "'2038-01-18 03:14:07'", "NOW(6)", fmt.Sprintf("'2020-03-%02d 02:30:%02d.%06d'", 1+rng.IntN(31), rng.IntN(60), rng.IntN(1e6)))
	case "enum":
		return one(rng, "1", "2", "3", "4", "5", "'none of them'", "'a'")
	case "set":
		return one(rng, "0", "1", "7", "'a,b'", "4", "'no,such'")
	case "json":
		return c.json(rng)
	case "vector":
		return one(rng, "STRING_TO_VECTOR('[1,2,3]')", fmt.Sprintf("STRING_TO_VECTOR('[%g,%g,-0]')", rng.Float32(), rng.Float32()))
	case "uuid":
		return fmt.Sprintf("'%08x-1111-4111-8111-%012x'", rng.IntN(50), rng.IntN(3))
	case "inet6":
		return one(rng, "'::'", "'::1'", "'1.2.3.4'", fmt.Sprintf("'fe80::%x'", rng.IntN(20)))
	case "geometry", "point", "linestring", "geom", "multipoint", "polygon":
		return c.geometry(rng)
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return c.bytes(rng)
	}
	if strings.HasSuffix(c.data, "text") && chance(rng, 15) && c.kind == "longtext" {
		return c.json(rng) // MariaDB's JSON is a LONGTEXT with a CHECK
	}
	return c.text(rng)
}

func (c *fuzzColumn) integer(rng *rand.Rand) string {
	bits := map[string]int{"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}[c.data]
	unsigned := strings.Contains(c.kind, "unsigned")
	if rng.IntN(8) > 0 {
		n := rng.IntN(120)
		if !unsigned {
			n -= 20
		}
		return strconv.Itoa(n)
	}
	if unsigned {
		return one(rng, "0", strconv.FormatUint(1<<bits-1, 10), strconv.FormatUint(1<<(bits-1), 10))
	}
	return one(rng, "0", strconv.FormatInt(-1<<(bits-1), 10), strconv.FormatInt(1<<(bits-1)-1, 10))
}

func (c *fuzzColumn) text(rng *rand.Rand) string {
	words := []string{"", "a", "A", "a ", "b", "ab", "ss", "ß", "ä", "a\t", "\t", " ", "'", `\`, `"`, "\x00", "\x1a", "\n", "ソ", "表", "é", "Ж", "日本", "😀", "%", "_", "NULL", "0", "-1", "ch", "x,y"}
	var b strings.Builder
	for range rng.IntN(4) {
		b.WriteString(one(rng, words...))
	}
	if chance(rng, 3) {
		b.WriteString(strconv.Itoa(rng.IntN(60)))
	}
	s := fmt.Sprintf("_utf8mb4 x'%x'", b.String())
	if chance(rng, 25) && strings.HasSuffix(c.data, "text") {
		return fmt.Sprintf("REPEAT(%s, %d)", s, rng.IntN(3000))
	}
	return s
}

func (c *fuzzColumn) bytes(rng *rand.Rand) string {
	b := make([]byte, rng.IntN(5))
	for i := range b {
		b[i] = one[byte](rng, 0, 1, ' ', 'a', '\'', '\\', 0xff, 0x80)
	}
	s := fmt.Sprintf("x'%x'", b)
	if chance(rng, 20) && strings.HasSuffix(c.data, "blob") {
		return fmt.Sprintf("REPEAT(%s, %d)", s, rng.IntN(20000))
	}
	return s
}

func (c *fuzzColumn) json(rng *rand.Rand) string {
	return one(rng, `'{}'`, `'[]'`, `'null'`, `'"a"'`, `'1'`, `'-0.0'`, `'1e400'`, `'18446744073709551615'`, `'1.50'`, `'{"b": 1, "a": [1, 2.0, null, true]}'`, `'{"a": 1, "a": 2}'`,
		fmt.Sprintf(`'{"k%d": {"n": %d, "s": "é😀\\n"}}'`, rng.IntN(5), rng.IntN(1e9)), fmt.Sprintf("'[%g]'", rng.Float64()),
		`JSON_OBJECT('t', NOW(6), 'd', CURDATE(), 'n', 1.10, 'b', TRUE)`, `'"\\u0000\\u20ac"'`)
}

func (c *fuzzColumn) geometry(rng *rand.Rand) string {
	point := fmt.Sprintf("POINT(%d %d.5)", rng.IntN(80)-40, rng.IntN(80)-40)
	switch {
	case c.data == "linestring":
		return "ST_GeomFromText('LINESTRING(0 0, 1 1.5, 2 2)')"
	case c.srid != "":
		return fmt.Sprintf("ST_GeomFromText('%s', %s)", point, c.srid)
	case c.data == "point":
		return fmt.Sprintf("ST_GeomFromText('%s')", point)
	}
	return one(rng, "ST_GeomFromText('"+point+"')", "ST_GeomFromText('"+point+"', 4326)", "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 2 2))')", "ST_GeomFromText('POLYGON((0 0, 0 1, 1 1, 0 0))')")
}
