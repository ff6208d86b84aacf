package cdc

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"changeover/internal/sandbox"
	"changeover/internal/server"
)

// newTable declares a random table.
func (f *fuzzer) newTable(rng *rand.Rand, name string) string {
	var parts []string
	keys := []string{}
	kind := rng.IntN(20)
	for i := range max(1, rng.IntN(3)) {
		if kind >= 17 {
			break
		}
		k := fmt.Sprintf("k%d", i)
		keys = append(keys, k)
		parts = append(parts, k+" "+f.keyType(rng)+" NOT NULL")
	}
	switch {
	case kind < 2: // numbered by the server
		parts, keys = []string{"k0 INT NOT NULL AUTO_INCREMENT"}, []string{"k0"}
	case kind == 16: // a unique key instead of a primary one
		parts = append(parts, "UNIQUE KEY named ("+strings.Join(keys, ",")+")")
		keys = nil
	}
	if kind < 16 {
		parts = append(parts, "PRIMARY KEY ("+strings.Join(keys, one(rng, ",", ",", ", ", ","))+")")
	}
	columns := 1 + rng.IntN(6)
	for i := range columns {
		c := fmt.Sprintf("c%d", i)
		text := f.columnType(rng)
		switch {
		case chance(rng, 5):
			text += " NOT NULL"
		case chance(rng, 12) && !strings.HasPrefix(text, "POINT SRID"):
			text += " INVISIBLE"
		}
		parts = append(parts, c+" "+text)
	}
	parts = append(parts, "n INT NOT NULL DEFAULT 7")
	unique := false
	if chance(rng, 3) {
		parts = append(parts, "u "+f.keyType(rng)+" NULL", "UNIQUE KEY u (u)")
		unique = true
	}
	if chance(rng, 5) {
		parts = append(parts, "u2 INT NULL", fmt.Sprintf("t2 VARCHAR(40) CHARACTER SET %s NULL", f.charset(rng)), "UNIQUE KEY u2 (u2, t2("+one(rng, "2", "5")+"))")
		unique = true
	}
	if chance(rng, 4) {
		parts = append(parts, "g INT AS (n % 5) "+one(rng, "VIRTUAL", "STORED"), "KEY g (g, n)")
	}
	if chance(rng, 6) {
		parts = append(parts, "CHECK (n <> 13)")
	}
	if f.m.src.Flavor == sandbox.MySQL && chance(rng, 6) {
		parts = append(parts, "KEY expr ((n * 2 + 1), n DESC)")
	}
	if chance(rng, 2) {
		parts = append(parts, "KEY n (n)")
	}
	text := fmt.Sprintf("CREATE TABLE %s (%s) DEFAULT CHARACTER SET %s", server.Name(name), strings.Join(parts, ", "), f.charset(rng))
	if kind < 16 && !unique && chance(rng, 8) {
		text += fmt.Sprintf(" PARTITION BY KEY (%s) PARTITIONS %d", keys[0], 2+rng.IntN(3))
	}
	return text
}

// write is one statement that changes rows, perhaps.
func (f *fuzzer) write(rng *rand.Rand, t *fuzzTable) string {
	name := server.Name(t.name)
	switch rng.IntN(12) {
	case 0, 1, 2, 3:
		return f.insert(rng, t, one(rng, "INSERT IGNORE", "INSERT IGNORE", "INSERT", "REPLACE"))
	case 4:
		c := t.written(rng)
		return f.insert(rng, t, "INSERT") + fmt.Sprintf(" ON DUPLICATE KEY UPDATE %s = %s", server.Name(c.name), c.value(rng))
	case 5: // a key, if it can be
		c := t.written(rng)
		for tries := 0; tries < 4 && !c.key; tries++ {
			c = t.written(rng)
		}
		return fmt.Sprintf("UPDATE %s%s SET %s = %s WHERE %s", one(rng, "", "IGNORE "), name, server.Name(c.name), c.value(rng), t.where(rng))
	case 6, 7, 8:
		a, b := t.written(rng), t.written(rng)
		if a == b {
			return fmt.Sprintf("UPDATE IGNORE %s SET %s = %s WHERE %s", name, server.Name(a.name), a.value(rng), t.where(rng))
		}
		return fmt.Sprintf("UPDATE %s%s SET %s = %s, %s = %s WHERE %s", one(rng, "", "IGNORE "), name, server.Name(a.name), a.value(rng), server.Name(b.name), b.value(rng), t.where(rng))
	case 9:
		return fmt.Sprintf("DELETE FROM %s WHERE %s", name, t.where(rng))
	case 10:
		var list []string
		for i := range t.columns {
			if !t.columns[i].generated {
				list = append(list, server.Name(t.columns[i].name))
			}
		}
		return fmt.Sprintf("REPLACE INTO %s (%s) SELECT %s FROM %s LIMIT %d", name, strings.Join(list, ","), strings.Join(list, ","), name, 1+rng.IntN(9))
	default:
		c := t.written(rng)
		return fmt.Sprintf("UPDATE IGNORE %s SET %s = %s ORDER BY %s LIMIT %d", name, server.Name(c.name), c.value(rng), server.Name(one(rng, t.columns...).name), 1+rng.IntN(5))
	}
}

func (f *fuzzer) insert(rng *rand.Rand, t *fuzzTable, verb string) string {
	var names []string
	var columns []*fuzzColumn
	for i := range t.columns {
		c := &t.columns[i]
		if !c.generated && (c.key || !chance(rng, 10)) {
			names, columns = append(names, server.Name(c.name)), append(columns, c)
		}
	}
	var rows []string
	for range 1 + rng.IntN(4) {
		var values []string
		for _, c := range columns {
			values = append(values, c.value(rng))
		}
		rows = append(rows, "("+strings.Join(values, ",")+")")
	}
	return fmt.Sprintf("%s INTO %s (%s) VALUES %s", verb, server.Name(t.name), strings.Join(names, ","), strings.Join(rows, ","))
}

// written is a column that may be written.
func (t *fuzzTable) written(rng *rand.Rand) *fuzzColumn {
	for {
		if c := &t.columns[rng.IntN(len(t.columns))]; !c.generated {
			return c
		}
	}
}

// where finds a few rows.
func (t *fuzzTable) where(rng *rand.Rand) string {
	c := &t.columns[0]
	if chance(rng, 3) {
		c = one(rng, t.pointers()...)
	}
	v := c.value(rng)
	if v == "NULL" || v == "DEFAULT" {
		return server.Name(c.name) + " IS NULL LIMIT 3"
	}
	return server.Name(c.name) + one(rng, " = ", " = ", " <= ", " >= ") + v + one(rng, "", " LIMIT 1", " LIMIT 2", " LIMIT 5")
}

func (t *fuzzTable) pointers() (out []*fuzzColumn) {
	for i := range t.columns {
		out = append(out, &t.columns[i])
	}
	return out
}

// define is a statement that changes a table's definition, or which tables there are.
func (f *fuzzer) define(rng *rand.Rand, t *fuzzTable) []string {
	name := server.Name(t.name)
	alter := func(format string, args ...any) []string {
		return []string{"ALTER TABLE " + name + " " + fmt.Sprintf(format, args...)}
	}
	f.fresh++
	fresh := fmt.Sprintf("x%d", f.fresh)
	plain := t.plain(rng)
	switch rng.IntN(24) {
	case 0, 1:
		return alter("ADD COLUMN %s %s%s%s", fresh, f.columnType(rng), one(rng, "", "", " NOT NULL"), one(rng, "", "", " FIRST", " AFTER "+server.Name(t.columns[0].name)))
	case 2:
		return alter("ADD COLUMN %s INT %s", fresh, one(rng, "NOT NULL DEFAULT 3", "DEFAULT (1 + 1)", "NULL", "AS (n % 3) VIRTUAL", "AS (n DIV 2) STORED"))
	case 3:
		if plain != nil {
			return alter("DROP COLUMN %s", server.Name(plain.name))
		}
	case 4, 5:
		if plain != nil {
			return alter("MODIFY %s %s", server.Name(plain.name), f.columnType(rng))
		}
	case 6:
		if plain != nil {
			return alter("CHANGE %s %s %s", server.Name(plain.name), fresh, f.columnType(rng))
		}
	case 7:
		c := one(rng, t.columns...)
		return alter("RENAME COLUMN %s TO %s", server.Name(c.name), fresh)
	case 8:
		return alter("ADD %sINDEX %s (n%s)", one(rng, "", "", "UNIQUE "), fresh, one(rng, "", "", ", "+server.Name(t.columns[0].name)))
	case 9:
		return alter("DROP INDEX %s", one(rng, "n", "g", "u", "u2", "named", "expr"))
	case 10:
		return []string{fmt.Sprintf("RENAME TABLE %s TO %s", name, fresh)}
	case 11: // two tables swap their names, as an online schema change does
		if other := one(rng, f.tables...); other != t {
			o := server.Name(other.name)
			return []string{fmt.Sprintf("RENAME TABLE %s TO %s, %s TO %s, %s TO %s", name, fresh, o, name, fresh, o)}
		}
	case 12:
		return []string{"TRUNCATE TABLE " + name}
	case 13:
		if len(f.tables) > 3 {
			return []string{"DROP TABLE " + name}
		}
	case 14:
		if len(f.tables) < 9 {
			return []string{f.newTable(rng, fresh)}
		}
	case 15:
		if len(f.tables) < 9 {
			return []string{fmt.Sprintf("CREATE TABLE %s LIKE %s", fresh, name)}
		}
	case 16:
		if len(f.tables) < 9 {
			return []string{fmt.Sprintf("CREATE TABLE %s %s SELECT * FROM %s", fresh, one(rng, "(extra INT NULL)", "(id BIGINT AUTO_INCREMENT PRIMARY KEY)"), name)}
		}
	case 17:
		return alter("%s", one(rng, "FORCE", "ENGINE = InnoDB", "COMMENT 'another'", "AUTO_INCREMENT = 1000", "ALTER COLUMN n SET DEFAULT 9"))
	case 18:
		// Not to one that has less: MySQL then shows members of ENUMs that it has lost, until it restarts.
		return alter("CONVERT TO CHARACTER SET %s", one(rng, fuzzCollations[:4]...))
	case 19:
		// While nobody writes: MySQL 9.7.4 dies of it now and then (signal 11) if there is an index over an expression.
		return alter("DROP PRIMARY KEY, ADD PRIMARY KEY (%s), LOCK=SHARED", strings.Join(t.otherKey(rng), ","))
	case 20:
		if chance(rng, 2) {
			x := server.Name(fresh)
			return []string{fmt.Sprintf("CREATE TABLE %s LIKE %s", x, name), "ALTER TABLE " + x + " REMOVE PARTITIONING", "ALTER TABLE " + name + " EXCHANGE PARTITION p0 WITH TABLE " + x}
		}
		return alter("%s", one(rng, "REMOVE PARTITIONING", "COALESCE PARTITION 1", "ADD PARTITION PARTITIONS 1", "TRUNCATE PARTITION p0"))
	case 21:
		return []string{fmt.Sprintf("CREATE TEMPORARY TABLE tmp%s SELECT * FROM %s LIMIT 3", fresh, name), "DROP TEMPORARY TABLE tmp" + fresh}
	case 22:
		return []string{one(rng, "OPTIMIZE", "ANALYZE", "CHECK") + " TABLE " + name}
	case 23: // a copy that takes the table's place
		o := server.Name(fresh + "_new")
		return []string{fmt.Sprintf("CREATE TABLE %s LIKE %s", o, name), fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s INT", o, fresh),
			fmt.Sprintf("RENAME TABLE %s TO %s, %s TO %s", name, server.Name(fresh+"_old"), o, name), "DROP TABLE " + server.Name(fresh+"_old")}
	}
	return alter("COMMENT '%s'", fresh)
}

// plain is a column that no key holds for sure, or nil.
func (t *fuzzTable) plain(rng *rand.Rand) *fuzzColumn {
	var list []*fuzzColumn
	for _, c := range t.pointers() {
		if !c.key && c.name != "n" && !strings.HasPrefix(c.name, "u") {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return one(rng, list...)
}

// otherKey is the primary key turned, or with a column more.
func (t *fuzzTable) otherKey(rng *rand.Rand) (out []string) {
	for _, c := range t.pointers() {
		if c.key {
			out = append(out, server.Name(c.name))
		}
	}
	if chance(rng, 2) {
		slices.Reverse(out)
	}
	if len(out) < 2 || chance(rng, 2) {
		out = append(out, "n")
	}
	return out
}
