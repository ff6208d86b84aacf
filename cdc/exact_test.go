package cdc

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// Each folder of testdata/exact is a case: schema.sql, load.sql with the rows that the snapshot
// takes, and perhaps stream.sql with statements that the stream carries afterwards. What is only for
// one flavor stands in a comment that the other skips: /*!80000 … */, /*M!100000 … */.
//
// Each table has a column touch. From it the test itself makes a stream of every value: the rows
// again as INSERTs into a twin of the table, an UPDATE of all, a DELETE of every third. Both sides
// must then hold the same bytes.
func TestEveryValueGoesBothWaysByteForByte(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/exact/*")
	if err != nil || len(cases) == 0 {
		t.Fatal(cases, err)
	}
	target := sandboxtest.Target(t)
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			for _, dir := range cases {
				t.Run(filepath.Base(dir), func(t *testing.T) {
					t.Parallel()
					newMigration(t, src, target).exactly(dir)
				})
			}
		})
	}
}

func (m *migration) exactly(dir string) {
	m.t.Helper()
	m.script(filepath.Join(dir, "schema.sql"))
	m.script(filepath.Join(dir, "load.sql"))
	if len(m.tables()) == 0 {
		return // the types of the other flavor
	}
	x := m.start(Forever, nil, nil)
	x.wait("the copy's end", func(s Status) bool { return s.Phase == phaseStreaming })
	m.sameBytes("after the copy")
	for _, table := range m.tables() {
		m.again(table)
	}
	x.catchUp()
	m.sameBytes("after the stream's own rows")
	m.script(filepath.Join(dir, "stream.sql"))
	x.catchUp()
	x.mustStop()
	m.sameBytes("at the end")
	m.sameTables()
}

// script runs a file of statements, each ended by a semicolon at the end of a line.
func (m *migration) script(path string) {
	m.t.Helper()
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return
	}
	m.must(err)
	if m.began != "" { // what is for the one flavor is for the one of these tables
		text = forFlavor(string(text), m.began)
	}
	statements := []string{"USE " + m.name, "SET NAMES utf8mb4"}
	for s := range strings.SplitSeq(string(text), ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			statements = append(statements, s)
		}
	}
	m.on(m.from, statements...)
}

// forFlavor leaves the comments out that are for another flavor, and makes statements of the others.
func forFlavor(text string, flavor sandbox.Flavor) []byte {
	mine, other := "/*!", "/*M!"
	if flavor == sandbox.MariaDB {
		mine, other = other, mine
	}
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, other) {
			continue
		}
		if rest, ok := strings.CutPrefix(line, mine); ok {
			line = strings.ReplaceAll(strings.TrimLeft(rest, "0123456789"), "*/;", ";")
		}
		out = append(out, line)
	}
	return []byte(strings.Join(out, "\n"))
}

// again sends a table's rows through the stream.
func (m *migration) again(table string) {
	m.t.Helper()
	var columns []string
	for _, c := range m.columns(table) {
		if !c.generated {
			columns = append(columns, server.Name(c.name))
		}
	}
	list := strings.Join(columns, ",")
	twin, name := server.Name("twin of "+table), server.Name(table)
	m.on(m.from, "USE "+m.name,
		// What a source accepted once it must accept again, odd dates and ENUM's error value too.
		"SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'", "SET SESSION foreign_key_checks = 0",
		fmt.Sprintf("CREATE TABLE %s LIKE %s", twin, name),
		fmt.Sprintf("INSERT IGNORE INTO %s (%s) SELECT %s FROM %s", twin, list, list, name),
		fmt.Sprintf("UPDATE %s SET touch = touch + 1000", twin),
		fmt.Sprintf("UPDATE %s SET touch = touch + 2000", name),
		fmt.Sprintf("DELETE FROM %s WHERE touch %% 3 = 0", name))
}

type columnType struct {
	name, kind string
	generated  bool
}

// columns lists a table's columns as the source has them, the invisible ones too.
func (m *migration) columns(table string) (out []columnType) {
	m.t.Helper()
	return m.columnsOn(m.from, table)
}

func (m *migration) columnsOn(db *sql.DB, table string) (out []columnType) {
	m.t.Helper()
	rows, err := db.Query("SELECT COLUMN_NAME, DATA_TYPE, COALESCE(GENERATION_EXPRESSION, '') <> '' FROM information_schema.COLUMNS"+
		" WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION", m.name, table)
	m.must(err)
	defer rows.Close()
	for rows.Next() {
		var c columnType
		m.must(rows.Scan(&c.name, &c.kind, &c.generated))
		out = append(out, c)
	}
	m.must(rows.Err())
	return out
}

// exactText is an expression that tells any two values of a column apart, alike on both flavors.
func (c columnType) exactText() string {
	name := server.Name(c.name)
	switch c.kind {
	case "float", "double":
		return name + " * 1e0" // all digits, and the sign of zero
	case "enum", "set":
		return "CONCAT(" + name + " + 0, ':', HEX(" + name + "))"
	case "uuid", "inet4", "inet6", "date", "time", "datetime", "timestamp", "year", "decimal", "tinyint", "smallint", "mediumint", "int", "bigint":
		return "HEX(CAST(" + name + " AS CHAR))"
	}
	return "HEX(" + name + ")"
}

// sameBytes compares every value of every table.
func (m *migration) sameBytes(when string) {
	m.t.Helper()
	for _, table := range m.tables() {
		want, got := m.exactRows(m.from, table, m.columns(table)), m.exactRows(m.to, table, m.columnsOn(m.to, table))
		if m.dst.Flavor == sandbox.MariaDB { // it stores no -0
			for i := range want {
				want[i] = strings.ReplaceAll(want[i], "=-0 ", "=0 ")
			}
			slices.Sort(want)
		}
		for i := range max(len(want), len(got)) {
			if i >= len(want) || i >= len(got) || want[i] != got[i] {
				m.t.Errorf("%s, %s: %d and %d rows; only on the source:\n%.900s\nonly on the target:\n%.900s", when, table, len(want), len(got), lacks(got, want), lacks(want, got))
				break
			}
		}
	}
}

// lacks are those of the rows that list has not, both sorted.
func lacks(list, rows []string) string {
	var out []string
	for _, r := range rows {
		if _, found := slices.BinarySearch(list, r); !found {
			out = append(out, r)
		}
	}
	return strings.Join(out, "\n")
}

func (m *migration) exactRows(db *sql.DB, table string, columns []columnType) (out []string) {
	m.t.Helper()
	var list []string
	for _, c := range columns {
		list = append(list, c.exactText())
	}
	rows, err := db.Query("SELECT " + strings.Join(list, ",") + " FROM " + server.Name(m.name, table))
	m.must(err)
	defer rows.Close()
	values, into := make([]sql.NullString, len(list)), make([]any, len(list))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		m.must(rows.Scan(into...))
		var b strings.Builder
		for i, v := range values {
			if v.Valid {
				fmt.Fprintf(&b, "%s=%s ", columns[i].name, v.String)
			} else {
				fmt.Fprintf(&b, "%s NULL ", columns[i].name)
			}
		}
		out = append(out, b.String())
	}
	m.must(rows.Err())
	slices.Sort(out)
	return out
}
