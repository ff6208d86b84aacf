package cdc

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

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

// odd is a table whose rows LOAD DATA would bend.
func odd(n int) []string {
	return []string{
		"CREATE TABLE odd (id INT PRIMARY KEY, e ENUM('a', 'b'), d DATE, dt DATETIME(3), ts TIMESTAMP NULL, n DECIMAL(5, 2))",
		"SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
		fmt.Sprintf(`INSERT IGNORE INTO odd SELECT seq, ELT(1 + seq %% 4, 'a', 'no member', 'b', NULL), ELT(1 + seq %% 3, '0000-00-00', '2021-02-31', '2020-00-10'),
			'0000-00-00 00:00:00', '2020-02-29 01:02:03', seq %% 100 FROM %s`, sequence(n)),
	}
}

// oddly is a transaction on odd, or on rows of two tables that exchange their unique values, or
// something adverse.
func oddly(n int) func(*rand.Rand, *sql.Tx) error {
	other := adverse(n)
	return func(rng *rand.Rand, tx *sql.Tx) error {
		switch rng.IntN(6) {
		case 0:
			if _, err := tx.Exec("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'"); err != nil {
				return err
			}
			defer func() { _, _ = tx.Exec("SET SESSION sql_mode = DEFAULT") }()
			_, err := tx.Exec("INSERT IGNORE INTO odd (id, e, d) VALUES (?, 'neither', '2022-02-30') ON DUPLICATE KEY UPDATE e = IF(e = 'a', 'b', 'none'), d = '0000-00-00'", rng.IntN(n))
			return err
		case 1:
			var i int
			var u, w sql.NullInt64
			if err := tx.QueryRow("SELECT id, u FROM a WHERE id >= ? ORDER BY id LIMIT 1 FOR UPDATE", rng.IntN(n*3)-1000).Scan(&i, &u); err != nil {
				return err
			}
			x := rng.IntN(50)
			var y string
			if err := tx.QueryRow("SELECT y, u FROM b WHERE x = ? ORDER BY y LIMIT 1 FOR UPDATE", x).Scan(&y, &w); err != nil {
				return err
			}
			if _, err := tx.Exec("UPDATE a SET u = ? WHERE id = ?", w, i); err != nil {
				return err
			}
			_, err := tx.Exec("UPDATE b SET u = ? WHERE x = ? AND y = ?", u, x, y)
			return err
		}
		return other(rng, tx)
	}
}

func TestACopyUnderHostileLoadEndsEqual(t *testing.T) {
	loading, inserting := sandboxtest.Target(t), sandboxtest.Target(t, sandboxtest.Options("--local-infile=OFF"))
	for name, src := range sources(t) {
		for seed := range 4 {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) {
				target := loading
				if seed == 3 {
					target = inserting
				}
				const n = 2000
				m := newMigration(t, src, target)
				m.on(m.from, append(hostile(n), odd(n)...)...)
				m.seed = uint64(seed)
				stop := m.load(3, oddly(n))
				x := m.start(Copied, nil, nil)
				for rng := rand.New(rand.NewPCG(m.seed, 1)); ; {
					select {
					case <-time.After(time.Duration(rng.IntN(50)) * time.Millisecond):
						x.Pause()
						if rng.IntN(2) == 0 {
							x.Resume()
						}
						continue
					case <-x.done:
					}
					break
				}
				stop()
				x.mustStop()
				m.mustRun(CaughtUp)
				m.equal()
			})
		}
	}
}

// The rows of a table without a key are read out of one view, but under its name: two that swap theirs
// meanwhile must not be taken for each other.
func TestKeylessTablesThatSwapNamesAreNotMixedUp(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t),
		"CREATE TABLE first (id INT, v VARCHAR(250))", fmt.Sprintf("INSERT INTO first SELECT seq, REPEAT('v', 200) FROM %s", sequence(30000)),
		"CREATE TABLE one (id INT, v VARCHAR(20))", "CREATE TABLE two (id INT, v VARCHAR(20))",
		"INSERT INTO one VALUES (1, 'one')", "INSERT INTO two VALUES (2, 'two')")
	x := m.start(CaughtUp, func(o *Options) { o.Chunk = 16 << 10 }, nil)
	eventually(t, "the first piece", func() bool {
		n := 0
		_ = m.to.QueryRow("SELECT COUNT(*) FROM " + m.name + ".first").Scan(&n)
		return n > 0
	})
	release := m.hold("first", "TRUE") // the copy waits in the middle of it
	m.waitHeld()
	m.exec("RENAME TABLE one TO tmp, two TO one, tmp TO two")
	release()
	<-x.done
	x.mustStop()
	m.equal()
}
