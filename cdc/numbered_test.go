package cdc

import (
	"fmt"
	"slices"
	"testing"

	"changeover/cdc/state"
	"changeover/internal/sandbox/sandboxtest"
)

// Numbers that a server would give are carried as they are, whatever they are: none is given anew, by the
// copy, the stream, or a table that starts over, and a counter that is at its end stops nobody.
func TestNumbersAtTheEndOfTheCounter(t *testing.T) {
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			m := newMigration(t, src, sandboxtest.Target(t),
				"SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
				"CREATE TABLE big (id BIGINT AUTO_INCREMENT PRIMARY KEY, e ENUM('a', 'b'), v INT)",
				"INSERT INTO big VALUES (9223372036854775807, 'a', 1), (0, 'b', 1), (-1, 'a', 1), (-9223372036854775808, 'b', 3), (5, NULL, 1)",
				"CREATE TABLE huge (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, e ENUM('a', 'b'), v INT)",
				"INSERT INTO huge VALUES (18446744073709551615, 'a', 1), (0, 'b', 1), (9223372036854775807, 'a', 1), (9223372036854775808, 'b', 3), (5, NULL, 1)",
				"CREATE TABLE tiny (id TINYINT AUTO_INCREMENT, k INT PRIMARY KEY, e ENUM('a', 'b'), v INT, KEY (id))",
				"INSERT INTO tiny VALUES (127, 1, 'a', 1), (0, 2, 'b', 1), (-1, 3, 'a', 1), (-128, 4, 'b', 3), (0, 5, NULL, 1)",
				"CREATE TABLE parts (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, e ENUM('a', 'b'), v INT) PARTITION BY HASH (id) PARTITIONS 3",
				"INSERT INTO parts VALUES (18446744073709551615, 'a', 1), (0, 'b', 1), (9223372036854775807, 'a', 1), (9223372036854775808, 'b', 3), (5, NULL, 1)")
			m.on(m.from, "USE "+m.name, "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
				"CREATE TABLE hidden (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE, e ENUM('a', 'b'), v INT, PRIMARY KEY (id))",
				"INSERT INTO hidden (id, e, v) VALUES (18446744073709551615, 'a', 1), (0, 'b', 1), (9223372036854775807, 'a', 1), (9223372036854775808, 'b', 3), (5, NULL, 1)",
				// What LOAD DATA must be told by an expression.
				"CREATE TABLE told (id BIGINT AUTO_INCREMENT PRIMARY KEY, e ENUM('', 'a', 'x,y'), v INT, j JSON)",
				"INSERT INTO told VALUES (7, 'a', 1, '[]'), (0, 'x,y', 1, '[1]'), (-1, '', 1, '{}')")
			x := m.start(Forever, nil, nil)
			x.wait("the copy's end", func(s Status) bool { return s.Phase == phaseStreaming })
			round := func(m *migration, x *running, column string) {
				t.Helper()
				for _, table := range []string{"big", "huge", "tiny", "parts", "hidden", "told"} {
					m.on(m.from, "USE "+m.name, "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
						"DELETE FROM "+table+" WHERE v = 3", "UPDATE "+table+" SET v = v + 10",
						"SET SESSION sql_mode = 'ALLOW_INVALID_DATES'", "UPDATE IGNORE "+table+" SET e = 'none' WHERE id = 0 AND '"+table+"' <> 'told'",
						fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s VARCHAR(40) DEFAULT (CONCAT('u', v))", table, column))
				}
				x.catchUp()
				x.wait("the tables are there again", func(s Status) bool {
					return !slices.ContainsFunc(s.Tables, func(t TableStatus) bool { return t.State != string(state.Complete) })
				})
				m.sameBytes("after " + column)
			}
			round(m, x, "forward")
			back, y := m.cutover(x, nil)
			round(back, y, "back")
			y.mustStop()
		})
	}
}
