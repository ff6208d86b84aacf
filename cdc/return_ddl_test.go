package cdc

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// returned is a migration that was cut over at once, and the stream that goes back.
func returned(t *testing.T, src *sandboxtest.Server, schema ...string) (*migration, *running) {
	t.Helper()
	m := newMigration(t, src, sandboxtest.Target(t), schema...)
	x := m.start(Forever, nil, nil)
	x.wait("the copy's end", func(s Status) bool { return s.Phase == phaseStreaming })
	return m.cutover(x, nil)
}

// What an application does to its schema while the target is the writer comes back too: to a MariaDB in its
// own words.
func TestDDLComesBack(t *testing.T) {
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			back, y := returned(t, src, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40), n INT) DEFAULT CHARSET=utf8mb4", "INSERT INTO t VALUES (1, 'one', 1), (2, 'zwei', 2), (3, NULL, 3)",
				"CREATE TABLE old (id INT PRIMARY KEY)", "CREATE TABLE swap_a (id INT PRIMARY KEY, a INT)", "CREATE TABLE swap_b (id INT PRIMARY KEY, b INT)", "INSERT INTO swap_a VALUES (1, 1)")
			back.on(back.from, "USE "+back.name, "SET NAMES utf8mb4",
				"ALTER TABLE t ADD COLUMN j JSON, ADD COLUMN g INT GENERATED ALWAYS AS (n * 2) STORED, ADD KEY n (n) INVISIBLE, ALGORITHM=COPY",
				`UPDATE t SET j = '{"b": [1, 2.50, 1e100], "a": {"x": null, "ü": "\\u0000"}}' WHERE id < 3`,
				"CREATE TABLE fresh (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(30) NOT NULL, j JSON DEFAULT (JSON_ARRAY(1)), p POINT SRID 4326, UNIQUE KEY v (v)) DEFAULT CHARSET=utf8mb4",
				"INSERT INTO fresh (v, p) VALUES ('a', ST_GeomFromText('POINT(1 2)', 4326)), ('a ', NULL), ('ä', NULL) ON DUPLICATE KEY UPDATE v = CONCAT(fresh.v, '+')",
				"CREATE TABLE docs (j JSON, v INT)",
				"INSERT INTO docs VALUES ('{\"a\": 1}', 1), ('{\"a\": 1}', 1), (NULL, 2)",
				// Deeper than MariaDB's json_valid looks.
				fmt.Sprintf("INSERT INTO docs VALUES ('%s1%s', 40)", strings.Repeat("[", 60), strings.Repeat("]", 60)),
				"UPDATE docs SET v = v + 1 WHERE v = 1 LIMIT 1", "DELETE FROM docs WHERE v = 2",
				"RENAME TABLE swap_a TO swap_c, swap_b TO swap_a, swap_c TO swap_b", "INSERT INTO swap_b VALUES (2, 2)",
				"CREATE TABLE from_select AS SELECT id, v FROM t", "INSERT INTO from_select VALUES (9, 'nine')",
				"DROP TABLE old", "TRUNCATE TABLE swap_a", "INSERT INTO swap_a VALUES (5, 5)",
				"CREATE INDEX late ON t (v) VISIBLE", "ALTER TABLE t DROP KEY n, RENAME COLUMN v TO w", "INSERT INTO t (id, w) VALUES (4, 'vier')",
				"CREATE VIEW a_view AS SELECT 1 AS one", "DROP VIEW a_view")
			y.catchUp()
			back.sameBytes("after DDL")
			y.mustStop()
		})
	}
}

// What a DDL computes, or converts, is not the same on another server: the table is copied again, to the old
// writer.
func TestATableThatStartsOverIsCopiedBack(t *testing.T) {
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			back, y := returned(t, src, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40), e ENUM('a', 'b')) DEFAULT CHARSET=utf8mb4",
				"SET SESSION sql_mode = ''", fmt.Sprintf("INSERT INTO t SELECT seq, CONCAT('1', seq, 'x'), IF(seq %% 5, 'a', 'b') FROM %s", sequence(2000)))
			back.on(back.from, "USE "+back.name, "SET SESSION sql_mode = ''", "UPDATE IGNORE t SET e = 'none' WHERE id = 7",
				"ALTER TABLE t ADD u CHAR(36) DEFAULT (CONCAT('u', id)), ADD j JSON", "UPDATE t SET j = JSON_OBJECT('id', id)", "ALTER TABLE t MODIFY v DOUBLE", "UPDATE t SET v = v / 3 WHERE id % 2")
			y.catchUp()
			y.wait("the table is there again", func(s Status) bool { return len(s.Tables) == 1 && s.Tables[0].State == string(state.Complete) })
			back.sameBytes("after the copy back")
			back.exec("UPDATE t SET u = 'x' WHERE id = 1")
			y.catchUp()
			back.sameBytes("in the end")
			y.mustStop()
		})
	}
}

// What MySQL makes of rows that are there, and where it puts a column, is its own: the same comes out on the old
// writer.
func TestWhatMySQLMakesOfATableComesBack(t *testing.T) {
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			back, y := returned(t, src, "CREATE TABLE docs (id INT PRIMARY KEY)", "INSERT INTO docs VALUES (1), (2)",
				"CREATE TABLE dates (id INT PRIMARY KEY, d DATE, t DATETIME(2), v VARCHAR(9))", "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
				"INSERT INTO dates VALUES (1, '2021-02-31', NULL, 'a'), (2, NULL, '2021-04-31 01:02:03', 'b'), (3, '0000-00-00', '2021-00-00', 'c')",
				"CREATE TABLE days (d DATE PRIMARY KEY, v VARCHAR(9))", "INSERT INTO days VALUES ('2021-02-31', 'a'), ('0000-00-00', 'b')")
			back.on(back.from, "USE "+back.name, "ALTER TABLE docs ADD j JSON NOT NULL", "INSERT INTO docs VALUES (3, '[]')",
				"SET SESSION sql_mode = ''", "ALTER TABLE dates ADD n INT, ALGORITHM=COPY",
				"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE'", "ALTER TABLE days ADD n INT NOT NULL, ALGORITHM=INSTANT")
			back.on(back.from, "USE "+back.name, "SET SESSION sql_generate_invisible_primary_key = ON",
				"CREATE TABLE keyed (a INT, b INT)", "INSERT INTO keyed VALUES (1, 2)", "ALTER TABLE keyed ADD c GEOMETRY FIRST, ADD COLUMN d INT", "INSERT INTO keyed VALUES (NULL, 3, 4, 5)",
				"ALTER TABLE keyed MODIFY b BIGINT FIRST, CHANGE a e INT FIRST", "INSERT INTO keyed VALUES (1, 2, NULL, 5)")
			y.catchUp()
			y.wait("the tables are there again", func(s Status) bool {
				return !slices.ContainsFunc(s.Tables, func(t TableStatus) bool { return t.State != string(state.Complete) })
			})
			back.sameBytes("in the end")
			y.mustStop()
		})
	}
}

// Dates that are none, in a MariaDB that alters their tables in modes that forbid them: it leaves them alone, and
// MySQL would not.
func TestMariaDBLeavesDatesAlone(t *testing.T) {
	m := newMigration(t, sandboxtest.MariaDBSource(t), sandboxtest.Target(t), "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
		"CREATE TABLE dates (d DATE PRIMARY KEY, t DATETIME(2), v VARCHAR(9))",
		"INSERT INTO dates VALUES ('2021-02-31', NULL, 'a'), ('2021-02-30', '2021-04-31 01:02:03', 'b')")
	x := m.start(Forever, nil, nil)
	x.wait("the copy's end", func(s Status) bool { return s.Phase == phaseStreaming })
	for _, mode := range []string{"", "STRICT_ALL_TABLES"} {
		m.on(m.from, "USE "+m.name, "SET SESSION sql_mode = '"+mode+"'", "ALTER TABLE dates MODIFY v VARCHAR(9) CHARACTER SET utf16, ALGORITHM=COPY",
			"ALTER TABLE dates MODIFY v VARCHAR(10) CHARACTER SET latin1, ALGORITHM=COPY")
	}
	again := func(s Status) bool { return s.Tables[0].State == string(state.Complete) }
	x.catchUp()
	x.wait("the table is there again", again)
	// What MariaDB does at once MySQL does by copying.
	m.on(m.from, "USE "+m.name, "SET SESSION sql_mode = ''", "INSERT INTO dates VALUES ('0000-00-00', '2021-00-00', 'c')", "ALTER TABLE dates ADD w VARCHAR(100) CHARACTER SET latin1",
		"SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE'", "ALTER TABLE dates MODIFY w VARCHAR(300) CHARACTER SET latin1, ALGORITHM=INSTANT")
	x.catchUp()
	x.wait("the table is there again", again)
	m.sameBytes("after DDL")
	x.mustStop()
}

// A statement that MariaDB can't be told stops the stream before it, and an operator's decision gets it on.
func TestADDLThatCannotComeBackStopsUntilItIsDecided(t *testing.T) {
	back, y := returned(t, sandboxtest.MariaDBSource(t), "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
	back.exec("INSERT INTO t VALUES (2, 2)")
	back.exec("ALTER TABLE t ADD UNIQUE KEY e ((v + 1))")
	back.exec("INSERT INTO t VALUES (3, 3)")
	back.wantFault(y, fault.StreamDDL, "index over an expression")
	o := back.options(CaughtUp)
	o.Return = true
	refused, err := Refused(t.Context(), o.Target, o.Migration)
	back.must(err)
	if len(refused) != 1 {
		t.Fatalf("%+v", refused)
	}
	_, err = Decide(t.Context(), o, refused[0].ID, state.Skip, "")
	back.must(err)
	back.must(New(o).Run(t.Context()))
	back.equal()
}

// A row that the writer has taken is taken by the old writer too, whatever its CHECKs, which the writer has
// not, say of it; and a key is the same key however it is spelled.
func TestAMariaDBTakesBackWhatMySQLHasTaken(t *testing.T) {
	back, y := returned(t, sandboxtest.MariaDBSource(t), "CREATE TABLE docs (id INT PRIMARY KEY, j JSON)", "INSERT INTO docs VALUES (1, '[]'), (2, '[]')",
		"CREATE TABLE own (u UUID PRIMARY KEY, i6 INET6, i4 INET4, v INT)", "INSERT INTO own VALUES ('123e4567-e89b-12d3-a456-426655440000', '::1', '1.2.3.4', 1)")
	back.exec(fmt.Sprintf("UPDATE docs SET j = '%s1%s' WHERE id = 1", strings.Repeat("[", 60), strings.Repeat("]", 60)))
	back.exec("INSERT INTO docs VALUES (3, 'no JSON at all')")
	for range 30 { // each waits for the one before, or the two would be in one batch, or overtake
		back.exec("UPDATE own SET u = UPPER(u), v = v + 1")
		back.exec("UPDATE own SET u = LOWER(u), v = v + 1")
	}
	back.exec("INSERT INTO own VALUES ('FFFFFFFFE89B12D3A456426655440000', '2001:DB8:0:0::0001', '10.0.0.1', 7)")
	y.catchUp()
	y.mustStop()
	var rows, v int
	var text string
	back.must(back.to.QueryRow("SELECT COUNT(*), MAX(LENGTH(j)), MIN(j) FROM "+server.Name(back.name, "docs")).Scan(&rows, &v, &text))
	if rows != 3 || v != 121 {
		t.Errorf("%d documents, the longest of %d bytes", rows, v)
	}
	back.must(back.to.QueryRow("SELECT v FROM " + server.Name(back.name, "own") + " WHERE u = '123e4567-e89b-12d3-a456-426655440000'").Scan(&v))
	if v != 61 {
		t.Errorf("the row with a UUID was counted to %d", v)
	}
	back.must(back.to.QueryRow("SELECT CONCAT_WS(' ', u, i6, i4, v) FROM " + server.Name(back.name, "own") + " WHERE v = 7").Scan(&text))
	if text != "ffffffff-e89b-12d3-a456-426655440000 2001:db8::1 10.0.0.1 7" {
		t.Errorf("the new row is %s", text)
	}
}

// The old writer's fence lets Changeover's account in.
func TestAStreamGoesBackBehindAFence(t *testing.T) {
	for _, flavor := range []sandbox.Flavor{sandbox.MySQL, sandbox.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			t.Parallel()
			src := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source, Flavor: flavor})
			m := newMigration(t, src, sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
			x := m.start(Forever, nil, nil)
			x.wait("the copy's end", func(s Status) bool { return s.Phase == phaseStreaming })
			src.Exec(t, "SET GLOBAL read_only = 1")
			back, y := m.cutover(x, nil)
			back.exec("INSERT INTO t VALUES (2)")
			back.exec("ALTER TABLE t ADD v INT")
			y.catchUp()
			back.equal()
			y.mustStop()
		})
	}
}
