package cdc

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox/sandboxtest"
)

// family is parents with children and grandchildren, by every rule, and a tree of its own rows.
func family(n int) []string {
	return []string{
		"CREATE TABLE parent (id INT PRIMARY KEY, code VARCHAR(20) NOT NULL, note VARCHAR(200), UNIQUE KEY code (code)) DEFAULT CHARSET=utf8mb4",
		"CREATE TABLE child (id INT PRIMARY KEY, parent INT, v VARCHAR(200), KEY v (v)," +
			" FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE) DEFAULT CHARSET=utf8mb4",
		"CREATE TABLE tagged (id INT PRIMARY KEY, code VARCHAR(20), v VARCHAR(200)," +
			" FOREIGN KEY (code) REFERENCES parent (code) ON DELETE SET NULL ON UPDATE CASCADE) DEFAULT CHARSET=utf8mb4",
		"CREATE TABLE grandchild (id INT PRIMARY KEY, child INT, v VARCHAR(200), FOREIGN KEY (child) REFERENCES child (id) ON DELETE CASCADE)",
		"CREATE TABLE nokey (child INT, v VARCHAR(200), FOREIGN KEY (child) REFERENCES child (id) ON DELETE SET NULL)",
		"CREATE TABLE tree (id INT PRIMARY KEY, up INT, v VARCHAR(100), FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)",
		"CREATE TABLE vine (id INT PRIMARY KEY, up INT, v VARCHAR(100), FOREIGN KEY (up) REFERENCES vine (id) ON DELETE SET NULL)",
		"CREATE TABLE leaf (vine INT, n INT, PRIMARY KEY (vine, n), FOREIGN KEY (vine) REFERENCES vine (id) ON DELETE CASCADE)",
		"CREATE TABLE bystander (id INT PRIMARY KEY, v VARCHAR(250))",
		fmt.Sprintf("INSERT INTO bystander SELECT seq, REPEAT('b', 200) FROM %s", sequence(10*n)),
		fmt.Sprintf("INSERT INTO parent SELECT seq, CONCAT('c', seq), REPEAT('p', 100) FROM %s", sequence(n)),
		fmt.Sprintf("INSERT INTO child SELECT seq, 1 + seq %% %d, REPEAT('x', 150) FROM %s", n, sequence(3*n)),
		fmt.Sprintf("INSERT INTO tagged SELECT seq, CONCAT('c', 1 + seq * 7 %% %d), REPEAT('x', 150) FROM %s", n, sequence(3*n)),
		fmt.Sprintf("INSERT INTO grandchild SELECT seq, 1 + seq %% %d, REPEAT('y', 150) FROM %s", 3*n, sequence(4*n)),
		fmt.Sprintf("INSERT INTO nokey SELECT 1 + seq %% %d, 'k' FROM %s", n, sequence(n)),
		fmt.Sprintf("INSERT INTO tree SELECT seq, NULL, 't' FROM %s", sequence(n)),
		"UPDATE tree SET up = id DIV 3 WHERE id > 9",
		"INSERT INTO vine SELECT * FROM tree",
		fmt.Sprintf("INSERT INTO leaf SELECT 1 + seq %% %d, seq FROM %s", n, sequence(2*n)),
	}
}

// relative is one transaction in the family.
func relative(n int) func(*rand.Rand, *sql.Tx) error {
	return func(rng *rand.Rand, tx *sql.Tx) error {
		run := func(q string, args ...any) error {
			_, err := tx.Exec(q, args...)
			return err
		}
		id := func() int { return 1 + rng.IntN(n) }
		switch rng.IntN(7) {
		case 0: // a table that is no relative changes with it
			if err := run("UPDATE bystander SET v = ? WHERE id % 97 = ?", fmt.Sprint(rng.IntN(1e6)), rng.IntN(97)); err != nil {
				return err
			}
			return run("DELETE FROM parent WHERE id = ?", id())
		case 1: // a key that others refer to
			if err := run("UPDATE child SET v = 'before' WHERE parent = ?", id()); err != nil {
				return err
			}
			return run("UPDATE parent SET id = id + ? WHERE id = ?", 10*n, id())
		case 2:
			return run("UPDATE parent SET code = CONCAT(code, 'x') WHERE id = ? AND LENGTH(code) < 18", id())
		case 3: // other columns touch nobody
			return run("UPDATE parent SET note = ? WHERE id BETWEEN ? AND ?", fmt.Sprint(rng.IntN(1e6)), id(), id())
		case 4:
			p := id()
			if err := run("INSERT IGNORE INTO parent VALUES (?, ?, 'new')", p, fmt.Sprintf("n%d", rng.IntN(1e9))); err != nil {
				return err
			}
			if err := run("INSERT IGNORE INTO child VALUES (?, ?, 'new')", rng.IntN(1e9), p); err != nil {
				return err
			}
			return run("DELETE FROM child WHERE id = ?", id())
		case 5:
			if err := run("DELETE FROM vine WHERE id IN (?, ?)", id(), id()); err != nil {
				return err
			}
			return run("DELETE FROM tree WHERE id = ?", n/3+rng.IntN(n))
		default: // with the checks off nothing is cascaded
			if err := run("SET SESSION foreign_key_checks = 0"); err != nil {
				return err
			}
			defer func() { _ = run("SET SESSION foreign_key_checks = 1") }()
			return run("DELETE FROM parent WHERE id = ?", id())
		}
	}
}

// MySQL's own cascades leave a part out where one change reaches a table twice.
func TestForeignKeysThatTheTargetWouldNotCarryOutWholeAreRefused(t *testing.T) {
	t.Parallel()
	m := newMigration(t, sandboxtest.MariaDBSource(t), sandboxtest.Target(t), "CREATE TABLE p (id INT PRIMARY KEY, code INT UNIQUE)",
		"CREATE TABLE c (id INT PRIMARY KEY, p INT, code INT, CONSTRAINT one FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE,"+
			" CONSTRAINT two FOREIGN KEY (code) REFERENCES p (code) ON DELETE SET NULL)")
	m.wantError(m.run(CaughtUp), fault.Cascade, "by one and by two")
}

func TestForeignKeysThatChangeRowsEndEqual(t *testing.T) {
	t.Parallel()
	target := sandboxtest.Target(t)
	for name, src := range sources(t) {
		for seed := range 2 {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) {
				t.Parallel()
				const n = 600
				m := newMigration(t, src, target, family(n)...)
				m.seed = uint64(seed)
				// So many while the copy is under way: each may give up the chunks that are being read, so on a
				// machine that is slow enough a load without end would let none through.
				var begun atomic.Int64
				var copying atomic.Bool
				copied := make(chan struct{})
				release := sync.OnceFunc(func() { close(copied) })
				defer release()
				write := relative(n)
				stop := m.load(2, paced(t, 100, func(rng *rand.Rand, tx *sql.Tx) error {
					if copying.Load() && begun.Add(1) > 400 {
						<-copied
					}
					return write(rng, tx)
				}))
				x := m.start(Copied, func(o *Options) { o.Chunk = 16 << 10 }, nil)
				eventually(t, "the copy", func() bool {
					select {
					case <-x.done: // it may be over soon
						return true
					default:
						return x.Status().Phase == phaseCopying
					}
				})
				copying.Store(true)
				<-x.done
				release()
				x.mustStop()
				m.mustRun(CaughtUp)
				stop()
				m.mustRun(CaughtUp)
				m.equal()
			})
		}
	}
}

// Parent and child are in two databases of one migration; both ways of the key's actions are taken
// while the rows are being copied, and after.
func TestForeignKeysBetweenDatabasesEndEqual(t *testing.T) {
	t.Parallel()
	target := sandboxtest.Target(t)
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			const n = 400
			m := newMigration(t, src, target, "CREATE TABLE parent (id INT PRIMARY KEY, code INT NOT NULL, v VARCHAR(200), UNIQUE KEY (code))",
				fmt.Sprintf("INSERT INTO parent SELECT seq, seq * 10, REPEAT('p', 150) FROM %s", sequence(n)))
			other := newMigration(t, src, target) // after the parent's, so that it is dropped before it
			other.exec(fmt.Sprintf("CREATE TABLE child (id INT PRIMARY KEY, parent INT NULL, v VARCHAR(200), FOREIGN KEY (parent) REFERENCES %s.parent (id) ON DELETE CASCADE ON UPDATE CASCADE)", m.name))
			other.exec(fmt.Sprintf("CREATE TABLE note (id INT PRIMARY KEY, code INT NULL, FOREIGN KEY (code) REFERENCES %s.parent (code) ON DELETE SET NULL)", m.name))
			other.exec(fmt.Sprintf("INSERT INTO child SELECT seq, seq, REPEAT('c', 150) FROM %s", sequence(n)))
			// A change that reached one table by two keys would be refused; these reach two tables.
			other.exec(fmt.Sprintf("INSERT INTO note SELECT seq, seq * 10 FROM %s", sequence(n)))
			tick := time.NewTicker(20 * time.Millisecond)
			t.Cleanup(tick.Stop)
			var id atomic.Int64
			stop := m.load(1, func(rng *rand.Rand, tx *sql.Tx) error {
				<-tick.C
				i := id.Add(1)
				q := []string{"DELETE FROM parent WHERE id = %d", "UPDATE parent SET id = id + 10000 WHERE id = %d", "UPDATE parent SET v = 'others stay' WHERE id = %d", "DELETE FROM parent WHERE code = %d * 10"}[rng.IntN(4)]
				_, err := tx.Exec(fmt.Sprintf(q, i*2))
				return err
			})
			both := func(o *Options) { o.Databases, o.Chunk = []string{m.name, other.name}, 8<<10 }
			x := m.start(Forever, both, nil)
			x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
			eventually(t, "more of the load", func() bool { return id.Load() > 60 })
			stop()
			x.catchUp()
			x.mustStop()
			m.equal()
			other.equal()
		})
	}
}

// A parent's key that is ordered by weights changes while the parent is half copied: the change is split
// before it is placed, since there is nothing yet that it could cascade to.
func TestAParentOrderedByWeightsMovesWhileItIsCopied(t *testing.T) {
	t.Parallel()
	m := newMigration(t, sandboxtest.MariaDBSource(t), sandboxtest.Target(t),
		"CREATE TABLE parent (code VARCHAR(30) PRIMARY KEY, v VARCHAR(200)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci",
		"CREATE TABLE child (id INT PRIMARY KEY, parent VARCHAR(30), FOREIGN KEY (parent) REFERENCES parent (code) ON UPDATE CASCADE) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci",
		fmt.Sprintf("INSERT INTO parent SELECT CONCAT('Code', seq), REPEAT('p', 150) FROM %s", sequence(1000)),
		fmt.Sprintf("INSERT INTO child SELECT seq, CONCAT('code', seq) FROM %s", sequence(1000)))
	x := m.halfway("parent", func(o *Options) { o.Chunk, o.CopyWorkers, o.CopyRate = 4<<10, 1, 50<<10 })
	for i := 1; i < 1000; i += 90 {
		m.exec(fmt.Sprintf("UPDATE parent SET code = 'Moved%d' WHERE code = 'CODE%d'", 1000-i, i))
	}
	x.catchUp()
	x.Resume()
	x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
	m.exec("UPDATE parent SET code = 'last' WHERE code = 'code2'")
	x.catchUp()
	x.mustStop()
	m.equal()
}
