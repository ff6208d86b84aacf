package normal_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat"
)

// random is a table that both servers can make, and that means the same to both.
type random struct {
	columns []randomColumn
	keys    []string
	checks  []string
	options string
}

type randomColumn struct {
	name, kind, collate, value, comment string
	null, keyed                         bool
}

// randomKinds are types, each with defaults that it may have.
var randomKinds = []struct {
	kinds, values []string
	text          bool
}{
	{[]string{"INT", "BIGINT", "SMALLINT UNSIGNED", "MEDIUMINT", "INT UNSIGNED", "INT(7) ZEROFILL"}, []string{"0", "1", "'17'", "(1 + 2)"}, false},
	{[]string{"TINYINT", "TINYINT(1)", "BOOL"}, []string{"0", "TRUE", "FALSE"}, false},
	{[]string{"DECIMAL(10,2)", "DECIMAL(20,10)", "NUMERIC(5)", "DECIMAL(6,3) UNSIGNED"}, []string{"0", "1.5", "'12.25'"}, false},
	{[]string{"FLOAT", "DOUBLE", "REAL"}, []string{"0", "0.1", "1e10", "-2.5"}, false},
	{[]string{"BIT(8)", "BIT(1)", "BIT(64)"}, []string{"b'1'", "0"}, false},
	{[]string{"CHAR(10)", "VARCHAR(20)", "VARCHAR(255)"}, []string{"''", "'a'", "'it''s'", `'a\\b'`, "'NULL'", "'ü '", "(UPPER('x'))", "(CONCAT('a', 'b'))"}, true},
	{[]string{"TEXT", "MEDIUMTEXT", "TINYTEXT"}, nil, true},
	{[]string{"ENUM('a','b','it''s')", "SET('a','b')"}, []string{"'a'", "'b'"}, true},
	{[]string{"BINARY(4)", "VARBINARY(16)"}, []string{"'ab'", "''"}, false},
	{[]string{"BLOB", "LONGBLOB", "JSON"}, nil, false},
	{[]string{"DATE"}, []string{"'2020-01-31'", "(CURRENT_DATE)"}, false},
	{[]string{"DATETIME", "TIMESTAMP"}, []string{"CURRENT_TIMESTAMP", "'2020-01-31 10:00:00'", "CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"}, false},
	{[]string{"DATETIME(6)"}, []string{"NOW(6)", "'2020-01-31 10:00:00.5'"}, false},
	{[]string{"TIME", "TIME(3)"}, []string{"'10:11:12'"}, false},
	{[]string{"YEAR"}, []string{"2020", "'1999'"}, false},
}

var collations = []string{"", "COLLATE utf8mb4_bin", "COLLATE utf8mb4_general_ci", "CHARACTER SET latin1", "CHARACTER SET ascii COLLATE ascii_bin", "CHARACTER SET utf8mb3"}

func drawColumn(r *rapid.T, name string) randomColumn {
	k := rapid.SampledFrom(randomKinds).Draw(r, "kinds")
	c := randomColumn{name: name, kind: rapid.SampledFrom(k.kinds).Draw(r, "kind"), null: rapid.Bool().Draw(r, "null"), comment: rapid.SampledFrom([]string{"", "", "c", "it's"}).Draw(r, "comment")}
	if k.text && !strings.Contains(c.kind, "ü") {
		c.collate = rapid.SampledFrom(collations).Draw(r, "collate")
	}
	if len(k.values) > 0 && rapid.Bool().Draw(r, "valued") {
		c.value = rapid.SampledFrom(k.values).Draw(r, "value")
		if strings.Contains(c.value, "ü") && strings.Contains(c.collate, "ascii") {
			c.collate = ""
		}
	}
	return c
}

// sql is the column's definition. A TIMESTAMP that is to have a value says so, since what it gets otherwise is the
// server's.
func (c randomColumn) sql() string {
	s := "`" + c.name + "` " + c.kind + " " + c.collate
	if !c.null {
		s += " NOT"
	}
	s += " NULL"
	if c.value != "" {
		s += " DEFAULT " + c.value
	}
	if c.comment != "" {
		s += " COMMENT '" + strings.ReplaceAll(c.comment, "'", "''") + "'"
	}
	return s
}

func drawTable(r *rapid.T) random {
	t := random{options: rapid.SampledFrom([]string{"", "COMMENT 'x'", "DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin", "DEFAULT CHARSET = latin1", "ROW_FORMAT = COMPACT"}).Draw(r, "options")}
	for i := range rapid.IntRange(1, 6).Draw(r, "columns") {
		t.columns = append(t.columns, drawColumn(r, fmt.Sprint("c", i)))
	}
	for i := range rapid.IntRange(0, 3).Draw(r, "keys") {
		c := &t.columns[rapid.IntRange(0, len(t.columns)-1).Draw(r, "of")]
		if strings.Contains(c.kind, "JSON") {
			continue
		}
		part := "`" + c.name + "`"
		if strings.Contains(c.kind, "TEXT") || strings.Contains(c.kind, "BLOB") || strings.HasPrefix(c.kind, "VARCHAR") {
			part += "(5)"
		}
		c.keyed = true
		t.keys = append(t.keys, rapid.SampledFrom([]string{"UNIQUE KEY", "KEY"}).Draw(r, "unique")+fmt.Sprintf(" k%d (%s%s)", i, part, rapid.SampledFrom([]string{"", " DESC"}).Draw(r, "desc")))
	}
	for i := range rapid.IntRange(0, 2).Draw(r, "checks") {
		c := t.columns[rapid.IntRange(0, len(t.columns)-1).Draw(r, "checked")].name
		t.checks = append(t.checks, fmt.Sprintf("CONSTRAINT @_ck%d CHECK (%s)", i, rapid.SampledFrom([]string{"%s IS NOT NULL", "%[1]s IS NULL OR LENGTH(%[1]s) > 0", "NOT (%s IS NULL AND 1 = 2)", "COALESCE(LENGTH(%s), 1) * 2 + 1 > 0"}).Draw(r, "check")))
		t.checks[i] = fmt.Sprintf(t.checks[i], "`"+c+"`")
	}
	return t
}

func (t random) sql(name string) string {
	var parts []string
	for _, c := range t.columns {
		parts = append(parts, c.sql())
	}
	parts = slices.Concat(parts, t.keys, t.checks)
	return "CREATE TABLE " + name + " (" + strings.ReplaceAll(strings.Join(parts, ", "), "@", name) + ") " + t.options
}

// mutate changes one thing that matters.
func (t random) mutate(r *rapid.T) random {
	m := random{slices.Clone(t.columns), slices.Clone(t.keys), slices.Clone(t.checks), t.options}
	c := &m.columns[rapid.IntRange(0, len(m.columns)-1).Draw(r, "changed")]
	switch rapid.IntRange(0, 8).Draw(r, "mutation") {
	case 0:
		c.null = !c.null
	case 1:
		m.columns = append(m.columns, randomColumn{name: "more", kind: "INT", null: true})
	case 2:
		m.columns = slices.Insert(m.columns, 0, randomColumn{name: "more", kind: "INT", null: true})
	case 3:
		c.comment += "!"
	case 4:
		m.keys = append(m.keys, "KEY more (`"+plainColumn(&m)+"`)")
	case 5:
		m.checks = append(m.checks, "CONSTRAINT @_more CHECK (1 = 1)")
	case 6:
		m.options = map[string]string{"": "COMMENT 'y'"}[m.options]
	case 7:
		if len(m.keys) > 0 {
			m.keys = m.keys[1:]
			break
		}
		c.comment += "!"
	case 8:
		if len(m.checks) > 0 {
			m.checks = m.checks[:len(m.checks)-1]
			break
		}
		c.null = !c.null
	}
	return m
}

// plainColumn is one that a key can have as it is; it is made if there is none.
func plainColumn(t *random) string {
	for _, c := range t.columns {
		if strings.HasPrefix(c.kind, "INT") {
			return c.name
		}
	}
	t.columns = append(t.columns, randomColumn{name: "more", kind: "INT", null: true})
	return "more"
}

// rounds is how many times a test draws tables: each time asks three databases of two servers.
const rounds, batch = 8, 8

// A table that was drawn is the same on both servers, and never the same as one with a change.
func TestRandomTablesAreTheSameAndChangesAreSeen(t *testing.T) {
	servers := []*sandboxtest.Server{sandboxtest.MySQLSource(t), sandboxtest.MariaDBSource(t)}
	a, b, c := newBed(t, servers[0]), newBed(t, servers[1]), newBed(t, servers[1])
	passed := 0
	rapid.Check(t, func(r *rapid.T) {
		if passed == rounds {
			return
		}
		var names, was, is []string
		for i := range batch {
			table := drawTable(r)
			other := table.mutate(r)
			name := fmt.Sprint("t", i)
			names, was, is = append(names, name), append(was, table.sql(name)), append(is, other.sql(name))
			for _, m := range []struct {
				bed *bed
				sql string
			}{{a, was[i]}, {b, was[i]}, {c, is[i]}} {
				if err := m.bed.try("DROP TABLE IF EXISTS " + name); err != nil {
					r.Fatal(err)
				}
				if err := m.bed.try(m.sql); err != nil {
					r.Fatalf("%s: %v", m.sql, err)
				}
			}
		}
		x, y, z := a.look(t), b.look(t), c.look(t)
		for _, d := range compat.Differences(x, y, nil) {
			r.Errorf("%s\n\t%s", was[slices.Index(names, d.Name)], said(d))
		}
		for _, changed := range []*compat.Picture{x, y} {
			seen := map[string]bool{}
			for _, d := range compat.Differences(changed, z, nil) {
				seen[d.Name] = true
			}
			for i, n := range names {
				if !seen[n] && was[i] != is[i] {
					r.Errorf("no difference between\n\t%s\n\t%s", was[i], is[i])
				}
			}
		}
		passed++
	})
}
