package verify

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changeover/cdc"
)

// on runs statements on one connection of the source.
func (m *live) on(statements ...string) {
	m.t.Helper()
	conn, err := m.from.Conn(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close()
	for _, q := range statements {
		if _, err := conn.ExecContext(m.t.Context(), q); err != nil {
			m.t.Fatalf("%.90s: %v", q, err)
		}
	}
}

func TestEveryExactnessCaseVerifiesClean(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("../cdc/testdata/exact/*")
	if err != nil || len(cases) == 0 {
		t.Fatal(cases, err)
	}
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := source(t)
			for _, dir := range cases {
				t.Run(filepath.Base(dir), func(t *testing.T) {
					t.Parallel()
					m := newLive(t, src)
					m.script(filepath.Join(dir, "schema.sql"))
					m.script(filepath.Join(dir, "load.sql"))
					m.start()
					m.wait("known", func(s State) bool {
						return s.Wholly || m.run.Status().Phase == "streaming" && m.run.Status().Copy.Tables == 0
					})
					m.script(filepath.Join(dir, "stream.sql"))
					if m.run.Status().Copy.Tables > 0 {
						m.again()
						m.proven()
					}
					m.mustStop()
				})
			}
		})
	}
}

// script runs a file of statements, each ended by a semicolon at the end of a line.
func (m *live) script(path string) {
	m.t.Helper()
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	statements := []string{"USE " + m.name, "SET NAMES utf8mb4"}
	for s := range strings.SplitSeq(string(text), ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			statements = append(statements, s)
		}
	}
	m.on(statements...)
}

// A statement in the middle of everything: altered tables are compared from their beginning, renamed
// ones keep their proof, and nothing is said to differ for a moment.
func TestTablesThatAreAlteredUnderLoadAreNeverSaidToDiffer(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newLive(t, source(t), busy(4000)...)
			m.start()
			stop := m.load(2, write1(4000))
			m.wait("something is compared", func(s State) bool { return s.Rows > 4000 })
			calm := func(what string) {
				n := m.v.State().Keys
				m.wait(what, func(s State) bool {
					if s.Differences > 0 {
						d, err := m.v.Different(t.Context(), 3)
						t.Fatalf("%s: %+v %v; %+v", what, d, err, s)
					}
					for _, table := range s.Tables {
						if table.Problem != "" {
							t.Fatalf("%s: %+v", what, table)
						}
					}
					return s.Keys > n+100
				})
			}
			for _, q := range []string{
				"ALTER TABLE numbers ADD COLUMN extra VARCHAR(10) DEFAULT 'x'",
				"ALTER TABLE words MODIFY n BIGINT",
				"RENAME TABLE numbers TO t1, words TO numbers, t1 TO words",
				"RENAME TABLE numbers TO t1, words TO numbers, t1 TO words",
				"ALTER TABLE pairs DROP PRIMARY KEY, ADD PRIMARY KEY (b, c, a)",
				"CREATE TABLE fresh LIKE numbers",
				"INSERT INTO fresh SELECT * FROM numbers",
				"TRUNCATE TABLE loose",
				"DROP TABLE fresh",
				"ALTER TABLE loose ADD COLUMN c INT",
			} {
				m.write(q)
				calm(q)
			}
			stop()
			m.again()
			m.proven()
			m.mustStop()
			m.same("numbers", "words", "pairs", "loose")
		})
	}
}

func TestARenamedTableKeepsItsProof(t *testing.T) {
	t.Parallel()
	m := newLive(t, flavors["from MySQL"](t), busy(2000)...)
	m.start()
	before := m.wait("complete", complete)
	m.write("RENAME TABLE numbers TO digits")
	m.write("UPDATE digits SET hot = 9 WHERE id = 5")
	after := m.wait("the change is compared", func(s State) bool { return s.Complete && s.Keys > before.Keys })
	if after.Chunks != before.Chunks {
		t.Errorf("%d chunks compared again", after.Chunks-before.Chunks)
	}
	m.write("ALTER TABLE digits COMMENT = 'altered'")
	m.wait("an altered one is compared again", func(s State) bool { return s.Complete && s.Chunks > after.Chunks })
	m.mustStop()
}

// With memory for a hundred keys or so, whole chunks are due instead.
func TestMoreKeysThanMemoryHoldsMakeChunksDue(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newLive(t, source(t), busy(4000)...)
			m.cfg.Memory = 10_000
			m.start()
			first := m.wait("complete", complete)
			m.write("UPDATE numbers SET hot = hot + 1")
			m.vandalizeOnce("UPDATE %s.numbers SET v = 'vandal' WHERE id = 3999 AND hot = 1")
			m.write("UPDATE words SET n = n + 1")
			s := m.wait("all is compared again", func(s State) bool { return s.Differences == 1 && s.KeysDue == 0 && s.Wholly })
			if s.Chunks <= first.Chunks {
				t.Errorf("no chunk was due: %+v", s)
			}
			m.repair(1)
			m.proven()
			m.mustStop()
			m.same("numbers", "words")
		})
	}
}

// vandalizeOnce changes a row of the target as soon as it is as the condition of the statement wants.
func (m *live) vandalizeOnce(q string) {
	m.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		r, err := m.to.Exec(fmt.Sprintf(q, m.name))
		if err != nil {
			m.t.Fatal(err)
		}
		if n, _ := r.RowsAffected(); n == 1 {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatal("the row to vandalize did not come")
		}
	}
}

// What MariaDB's foreign keys change is not in its binlog: the rows are due nevertheless.
func TestRowsThatForeignKeysChangeAreCompared(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newLive(t, source(t),
				"CREATE TABLE parent (id INT PRIMARY KEY, v INT)",
				"CREATE TABLE child (p INT NOT NULL, n INT NOT NULL, v VARCHAR(20), PRIMARY KEY (p, n), FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
				"CREATE TABLE grandchild (id INT PRIMARY KEY, p INT, n INT, FOREIGN KEY (p, n) REFERENCES child (p, n) ON DELETE SET NULL)",
				fmt.Sprintf("INSERT INTO parent SELECT seq, seq FROM %s", sequence(300)),
				fmt.Sprintf("INSERT INTO child SELECT 1 + seq %% 300, seq, 'x' FROM %s", sequence(3000)),
				fmt.Sprintf("INSERT INTO grandchild SELECT seq, 1 + seq %% 300, seq FROM %s", sequence(3000)))
			m.start()
			whole := m.wait("complete", complete)
			stop := m.load(2, func(rng *rand.Rand, db *sql.DB) error {
				for m.run.Status().LagMS > 300 { // each of these is applied alone
					time.Sleep(time.Millisecond)
				}
				id := 1 + rng.IntN(300)
				if _, err := db.Exec("DELETE FROM parent WHERE id = ?", id); err != nil {
					return err
				}
				if _, err := db.Exec("INSERT INTO parent VALUES (?, 1)", id); err != nil {
					return err
				}
				_, err := db.Exec("INSERT INTO child VALUES (?, ?, 'again')", id, rng.IntN(1000))
				return err
			})
			m.wait("much is compared under load", func(s State) bool {
				if s.Differences > 0 {
					t.Fatalf("false alarm: %+v", s)
				}
				return s.Keys > 2000
			})
			stop()
			m.write("DELETE FROM parent WHERE id BETWEEN 100 AND 120")
			p := m.proven()
			s := m.v.State()
			if s.Chunks != whole.Chunks {
				t.Errorf("%d chunks were compared again for %d keys", s.Chunks-whole.Chunks, p.Keys)
			}
			m.again()
			m.proven()
			m.mustStop()
			m.same("parent", "child", "grandchild")
		})
	}
}

func TestRowsWithoutAKeyAreComparedAndRepairedUnderLoad(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newLive(t, source(t), "CREATE TABLE log (a INT, f FLOAT, t VARCHAR(20), d DATETIME(3), KEY (a))",
				fmt.Sprintf("INSERT INTO log SELECT seq %% 50, seq / 7, CONCAT('x', seq %% 30), '2020-01-01' FROM %s", sequence(3000)))
			m.start()
			stop := m.load(1, func(rng *rand.Rand, db *sql.DB) error {
				if rng.IntN(20) == 0 {
					_, err := db.Exec("DELETE FROM log WHERE a = ? LIMIT 1", rng.IntN(50))
					return err
				}
				_, err := db.Exec("INSERT INTO log VALUES (?, ?, 'y', NOW(3))", rng.IntN(50), rng.Float32())
				return err
			})
			m.wait("wholly compared under load", func(s State) bool {
				if s.Differences > 0 {
					t.Fatalf("false alarm: %+v", s)
				}
				return s.Wholly && s.Keys > 50
			})
			stop()
			m.proven()
			m.write("DELETE FROM log")
			m.write("INSERT INTO log (a) VALUES (1), (1), (2)")
			m.proven()
			m.vandalize("UPDATE %s.log SET a = 3 WHERE a = 1") // {1,1,2} against {3,3,2}
			m.again()
			m.wait("four rows differ", func(s State) bool { return s.Differences == 4 })
			m.repair(4)
			m.proven()
			m.mustStop()
			m.same("log")
		})
	}
}

// Repaired rows need unique values that other rows of the target have, which nobody has found yet.
func TestRowsThatHoldEachOthersUniqueValuesAreRepaired(t *testing.T) {
	t.Parallel()
	m := newLive(t, flavors["from MySQL"](t), "CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, s VARCHAR(9) COLLATE utf8mb4_general_ci UNIQUE)",
		fmt.Sprintf("INSERT INTO t SELECT seq, seq, CONCAT('s', seq) FROM %s", sequence(100)))
	m.start()
	m.wait("complete", complete)
	m.vandalize("UPDATE %s.t SET u = NULL, s = NULL WHERE id IN (1, 2)")
	m.vandalize("UPDATE %s.t SET u = 2, s = 'S2' WHERE id = 1")
	m.vandalize("UPDATE %s.t SET u = 1, s = 'S1' WHERE id = 2")
	m.vandalize("INSERT INTO %s.t VALUES (1000, 1000, 'stranger')")
	m.again()
	m.wait("three rows differ", func(s State) bool { return s.Differences == 3 && s.KeysDue == 0 })
	m.vandalize("UPDATE %s.t SET u = NULL WHERE id IN (50, 1)")
	m.vandalize("UPDATE %s.t SET u = 1 WHERE id = 2")
	m.vandalize("UPDATE %s.t SET u = 2 WHERE id = 50") // not known to differ, and in the way of row 2
	m.repair(3)
	m.wait("nothing differs", func(s State) bool { return s.Complete })
	m.again()
	m.proven()
	m.mustStop()
	m.same("t")
}

func TestRunUntilVerifiedEndsOrSaysWhatDiffers(t *testing.T) {
	t.Parallel()
	m := newLive(t, flavors["from MySQL"](t), busy(2000)...)
	m.until = cdc.Verified
	m.start()
	if err := m.end(); err != nil {
		t.Fatal(err)
	}
	m.until = cdc.Forever
	m.start()
	m.wait("known", complete)
	m.vandalize("UPDATE %s.numbers SET v = 'vandal' WHERE id = 8")
	m.again()
	m.wait("found", func(s State) bool { return s.Differences == 1 })
	m.mustStop()
	m.until = cdc.Verified
	m.start()
	if err := m.end(); err == nil || !strings.Contains(err.Error(), "CO-1901 1 rows of "+m.name+".numbers differ") {
		t.Fatal(err)
	}
}
