package cdc

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"changeover/internal/sandbox/sandboxtest"
)

// sequence is a derived table of the numbers from 1 to n, in a column seq.
func sequence(n int) string {
	digits := "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	from, value, scale := "", "1", 1
	for i := 0; scale < n; i++ {
		from += fmt.Sprintf("%s t%d,", digits, i)
		value += fmt.Sprintf(" + t%d.d * %d", i, scale)
		scale *= 10
	}
	return fmt.Sprintf("(SELECT * FROM (SELECT %s AS seq FROM %s) q WHERE seq <= %d) s", value, strings.TrimSuffix(from, ","), n)
}

// hostile makes a table whose rows are few, hot and full of unique values.
func hostile(n int) []string {
	return []string{
		"CREATE TABLE a (id BIGINT PRIMARY KEY, u INT NULL, v VARCHAR(200) NOT NULL, UNIQUE KEY u (u), KEY v (v))",
		"CREATE TABLE b (x INT NOT NULL, y VARCHAR(20) NOT NULL, u INT NULL, v VARCHAR(200), PRIMARY KEY (x, y), UNIQUE KEY u (u)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
		"CREATE TABLE w (name VARCHAR(30) PRIMARY KEY, v VARCHAR(200)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci",
		fmt.Sprintf("INSERT INTO a SELECT seq * 3 - 1000, seq * 2, REPEAT('x', seq %% 180) FROM %s", sequence(n)),
		fmt.Sprintf("INSERT INTO b SELECT seq %% 50, CONCAT('k', seq), seq, REPEAT('y', seq %% 150) FROM %s", sequence(n)),
		fmt.Sprintf("INSERT INTO w SELECT CONCAT('Näme', seq), REPEAT('z', seq %% 150) FROM %s", sequence(n)),
	}
}

// adverse is one transaction of the kinds that lose rows when a rule is missing.
func adverse(n int) func(*rand.Rand, *sql.Tx) error {
	return func(rng *rand.Rand, tx *sql.Tx) error {
		id := func() int { return rng.IntN(n*3) - 1000 }
		run := func(q string, args ...any) error {
			_, err := tx.Exec(q, args...)
			return err
		}
		switch rng.IntN(8) {
		case 0: // hot keys
			return run("UPDATE a SET v = ? WHERE id = ?", fmt.Sprint(rng.IntN(1e9)), rng.IntN(5)*3-1000)
		case 1: // a key moves
			return run("UPDATE a SET id = ? WHERE id = ?", id(), id())
		case 2: // two rows swap their unique values
			var i, j int
			var u, w sql.NullInt64
			if err := tx.QueryRow("SELECT id, u FROM a WHERE id >= ? ORDER BY id LIMIT 1 FOR UPDATE", id()).Scan(&i, &u); err != nil {
				return err
			}
			if err := tx.QueryRow("SELECT id, u FROM a WHERE id >= ? ORDER BY id LIMIT 1 FOR UPDATE", id()).Scan(&j, &w); err != nil || i == j {
				return err
			}
			if err := run("UPDATE a SET u = NULL WHERE id = ?", i); err != nil {
				return err
			}
			if err := run("UPDATE a SET u = ? WHERE id = ?", u, j); err != nil {
				return err
			}
			return run("UPDATE a SET u = ? WHERE id = ?", w, i)
		case 3: // insert, delete, insert
			k := id()
			if err := run("INSERT INTO a VALUES (?, NULL, 'one')", k); err != nil {
				return err
			}
			if err := run("DELETE FROM a WHERE id = ?", k); err != nil {
				return err
			}
			return run("INSERT INTO a VALUES (?, NULL, 'two')", k)
		case 4:
			return run("DELETE FROM a WHERE id BETWEEN ? AND ?", id(), id()%7)
		case 5: // a unique value moves from table b's row to another
			x := rng.IntN(50)
			if err := run("DELETE FROM b WHERE x = ? ORDER BY y LIMIT 1", x); err != nil {
				return err
			}
			return run("INSERT INTO b VALUES (?, ?, ?, 'moved')", x, fmt.Sprintf("k%d", rng.IntN(2*n)), n+rng.IntN(n))
		case 6:
			if err := run("INSERT INTO w VALUES (?, 'new') ON DUPLICATE KEY UPDATE v = CONCAT('again', ?)", fmt.Sprintf("NAME%d", rng.IntN(2*n)), rng.IntN(1000)); err != nil {
				return err
			}
			return run("DELETE FROM w WHERE name = ?", fmt.Sprintf("näme%d", rng.IntN(2*n)))
		default:
			if err := run("UPDATE b SET v = ?, u = NULL WHERE x = ? LIMIT 3", fmt.Sprint(rng.IntN(1e9)), rng.IntN(50)); err != nil {
				return err
			}
			return run("UPDATE a SET v = CONCAT(v, 'x') WHERE id = ? AND LENGTH(v) < 180", id())
		}
	}
}

func TestACopyUnderHostileLoadEndsEqual(t *testing.T) {
	sources := map[string]*sandboxtest.Server{
		"mysql":   sandboxtest.MySQLSource(t, sandboxtest.Options("--max-binlog-size=4096")),
		"mariadb": sandboxtest.MariaDBSource(t, sandboxtest.Options("--max-binlog-size=4096")),
	}
	target := sandboxtest.Target(t)
	for name, src := range sources {
		t.Run(name, func(t *testing.T) {
			const n = 4000
			m := newMigration(t, src, target, hostile(n)...)
			stop := m.load(4, adverse(n))
			m.mustRun(Copied)
			stop()
			m.mustRun(CaughtUp)
			m.equal()
		})
	}
}
