package apply

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/internal/server"
)

// model is one table as it should be: the changes are made to it one by one.
type model struct {
	def  *row.Table
	rows []row.Row
	draw func(*rapid.T) row.Row // a row with values from so few that they collide
}

// folded is a value as its column's collation compares it, for the letters that the tests use.
func folded(c row.Column, v row.Value) string {
	if c.Kind == row.String && strings.HasSuffix(c.Collation, "_ci") {
		return strings.ToLower(string(v))
	}
	return string(v)
}

// fits tells whether r collides with no row but the one at except.
func (m *model) fits(r row.Row, except int) bool {
	for _, k := range m.def.Keys {
		mine, ok := m.project(k, r)
		for i, other := range m.rows {
			if theirs, has := m.project(k, other); i != except && ok && has && mine == theirs {
				return false
			}
		}
	}
	return true
}

// project gives r's value of a unique key; ok is false if it has NULL in it.
func (m *model) project(k row.Key, r row.Row) (key string, ok bool) {
	for _, p := range k.Parts {
		if r[p.Column] == nil {
			return "", false
		}
		key += folded(m.def.Columns[p.Column], r[p.Column]) + "\x00"
	}
	return key, true
}

// change makes one random change, or none if it would not be valid.
func (m *model) change(t *rapid.T) []row.Change {
	r := m.draw(t)
	kind := rapid.SampledFrom([]string{"insert", "update", "delete", "swap"}).Draw(t, "kind")
	if kind == "insert" || len(m.rows) == 0 {
		if !m.fits(r, -1) {
			return nil
		}
		m.rows = append(m.rows, r)
		return []row.Change{{Table: m.def, After: r}}
	}
	i := rapid.IntRange(0, len(m.rows)-1).Draw(t, "row")
	before := m.rows[i]
	switch kind {
	case "delete":
		m.rows = slices.Delete(slices.Clone(m.rows), i, i+1)
		return []row.Change{{Table: m.def, Before: before}}
	case "swap":
		return m.swap(t, i)
	}
	if rapid.Bool().Draw(t, "keep the key") {
		r = slices.Clone(r)
		if m.def.RowKey >= 0 {
			for _, p := range m.def.Keys[m.def.RowKey].Parts {
				r[p.Column] = before[p.Column]
			}
		}
	}
	if !m.fits(r, i) {
		return nil
	}
	m.rows = slices.Clone(m.rows)
	m.rows[i] = r
	return []row.Change{{Table: m.def, Before: before, After: r}}
}

// swap lets two rows exchange everything but their keys, by deleting the one, as an application
// must.
func (m *model) swap(t *rapid.T, i int) []row.Change {
	j := rapid.IntRange(0, len(m.rows)-1).Draw(t, "other")
	if i == j || m.def.RowKey < 0 {
		return nil
	}
	a, b := m.rows[i], m.rows[j]
	a2, b2 := slices.Clone(b), slices.Clone(a)
	for _, p := range m.def.Keys[m.def.RowKey].Parts {
		a2[p.Column], b2[p.Column] = a[p.Column], b[p.Column]
	}
	m.rows = slices.Clone(m.rows)
	m.rows[i], m.rows[j] = a2, b2
	return []row.Change{{Table: m.def, Before: a}, {Table: m.def, Before: b, After: b2}, {Table: m.def, After: a2}}
}

func (m *model) lines() []string {
	var all []string
	for _, r := range m.rows {
		var line []string
		for _, v := range r {
			if v == nil {
				line = append(line, "NULL")
				continue
			}
			line = append(line, string(v))
		}
		all = append(all, strings.Join(line, "|"))
	}
	slices.Sort(all)
	return all
}

// few draws one of n numbers, or NULL.
func few(t *rapid.T, n int, null bool) row.Value {
	if null && rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		return nil
	}
	return row.Value(fmt.Sprint(rapid.IntRange(0, n).Draw(t, "n")))
}

func word(t *rapid.T) row.Value {
	return row.Value(rapid.SampledFrom([]string{"a", "A", "b", "B", "c", "it's", `\`, ""}).Draw(t, "word"))
}

func (b *bench) models() []*model {
	return []*model{
		{def: b.table("plain", "id INT PRIMARY KEY, u INT UNIQUE, w VARCHAR(20) COLLATE utf8mb4_0900_ai_ci UNIQUE, v TEXT"),
			draw: func(t *rapid.T) row.Row {
				return row.Row{few(t, 8, false), few(t, 8, true), word(t), word(t)}
			}},
		{def: b.table("composite", "a VARCHAR(20) COLLATE utf8mb4_general_ci, b INT, v INT, g INT AS (v * 2) VIRTUAL UNIQUE, PRIMARY KEY (a, b)"),
			draw: func(t *rapid.T) row.Row {
				n := rapid.IntRange(0, 8).Draw(t, "v")
				return row.Row{word(t), few(t, 2, false), row.Value(fmt.Sprint(n)), row.Value(fmt.Sprint(2 * n))}
			}},
		{def: b.table("simple", "id INT PRIMARY KEY, v INT"),
			draw: func(t *rapid.T) row.Row { return row.Row{few(t, 8, false), few(t, 8, true)} }},
		{def: b.table("onlykey", "id INT PRIMARY KEY"),
			draw: func(t *rapid.T) row.Row { return row.Row{few(t, 8, false)} }},
		{def: b.table("nokey", "a INT, w VARCHAR(20) COLLATE utf8mb4_0900_ai_ci"),
			draw: func(t *rapid.T) row.Row { return row.Row{few(t, 2, true), word(t)} }},
	}
}

// A batch, merged, leaves the tables as its changes do one by one.
func TestAMergedBatchHasTheEffectOfItsChangesOneByOne(t *testing.T) {
	b := onTarget(t)
	models := b.models()
	w := b.writer()
	rapid.Check(t, func(t *rapid.T) {
		for _, m := range models {
			m.rows = nil
			b.exec("DELETE FROM " + server.Name(b.schema, m.def.Name))
		}
		for range rapid.IntRange(1, 3).Draw(t, "batches") {
			var txs []*schedule.Tx
			for range rapid.IntRange(1, 8).Draw(t, "transactions") {
				var changes []row.Change
				for range rapid.IntRange(1, 8).Draw(t, "changes") {
					changes = append(changes, rapid.SampledFrom(models).Draw(t, "table").change(t)...)
				}
				txs = append(txs, b.tx(changes...))
			}
			if _, err := w.Apply(b.Context(), txs); err != nil {
				t.Fatal(err)
			}
			for _, m := range models {
				if got, want := b.rows(m.def), m.lines(); !slices.Equal(got, want) {
					t.Fatalf("%s has %q, want %q", m.def.Name, got, want)
				}
			}
		}
	})
}
