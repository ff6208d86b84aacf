package cdc

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestATableOfAThousandColumnsGoesBothWays(t *testing.T) {
	t.Parallel()
	target := sandboxtest.Target(t)
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var columns, values []string
			for i := range 1000 {
				columns = append(columns, fmt.Sprintf("c%d %s", i, []string{"INT", "TINYINT UNSIGNED", "DATE", "SMALLINT"}[i%4]))
				values = append(values, []string{"seq", "seq % 256", "'2020-02-29'", "NULL"}[i%4])
			}
			m := newMigration(t, src, target, "CREATE TABLE wide (id INT PRIMARY KEY, "+strings.Join(columns, ", ")+")",
				fmt.Sprintf("INSERT INTO wide SELECT seq, %s FROM %s", strings.Join(values, ", "), sequence(300)))
			x := m.start(Forever, nil, nil)
			x.wait("the copy's end", func(s Status) bool { return s.Phase == phaseStreaming })
			m.on(m.from, "USE "+m.name, "INSERT INTO wide (id, c999) VALUES (1000, 7)", "UPDATE wide SET c0 = 0, c998 = '1000-01-01', c999 = 1 WHERE id % 2",
				"DELETE FROM wide WHERE id % 3 = 0", "ALTER TABLE wide DROP COLUMN c500", "UPDATE wide SET c999 = 2 WHERE id = 1")
			x.catchUp()
			x.mustStop()
			m.equal()
			m.sameTables()
		})
	}
}

// A row of 64 MB is more than the whole budget for transactions: it is a large transaction of one row,
// and a chunk of its own.
func TestARowOf64MBGoesBothWays(t *testing.T) {
	t.Parallel()
	packets := sandboxtest.Options("--max-allowed-packet=1G")
	m := newMigration(t, sandboxtest.MySQLSource(t, packets), sandboxtest.Target(t, packets),
		"CREATE TABLE rows64 (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT)",
		"INSERT INTO rows64 VALUES (1, REPEAT(x'005c27ff', 16 << 20), NULL), (2, 'small', 'small')")
	x := m.start(Forever, nil, nil)
	x.wait("the copy's end", func(s Status) bool { return s.Phase == phaseStreaming })
	m.on(m.from, "USE "+m.name, "INSERT INTO rows64 SELECT 3, NULL, REPEAT('日', 64 << 18)", "UPDATE rows64 SET b = CONCAT(b, '!') WHERE id = 1", "DELETE FROM rows64 WHERE id = 2")
	x.catchUp()
	x.mustStop()
	m.mustRun(CaughtUp)
	sums := func(db *sql.DB) (out string) {
		m.must(db.QueryRow("SELECT GROUP_CONCAT(CONCAT_WS(':', id, LENGTH(b), SHA2(b, 256), LENGTH(t), SHA2(t, 256)) ORDER BY id) FROM " + server.Name(m.name, "rows64")).Scan(&out))
		return out
	}
	if want, got := sums(m.from), sums(m.to); want != got {
		t.Errorf("the source has %s\nthe target   %s", want, got)
	}
}
