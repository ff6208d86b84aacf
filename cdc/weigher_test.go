package cdc

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"changeover/cdc/row"
	"changeover/cdc/state"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// weighedTables have keys that no bytes order; the composite ones have what bytes order beside it.
var weighedTables = map[string]string{
	"general":   "k VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, n INT NOT NULL DEFAULT 0, PRIMARY KEY (k)",
	"german":    "k VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_german2_ci, n INT NOT NULL DEFAULT 0, PRIMARY KEY (k)",
	"swedish":   "k CHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci, n INT NOT NULL DEFAULT 0, PRIMARY KEY (k)",
	"japanese":  "k VARCHAR(40) CHARACTER SET sjis COLLATE sjis_japanese_ci, n INT NOT NULL DEFAULT 0, PRIMARY KEY (k)",
	"wide":      "k VARCHAR(40) CHARACTER SET utf16 COLLATE utf16_bin, n INT NOT NULL DEFAULT 0, PRIMARY KEY (k)",
	"composite": "n INT NOT NULL DEFAULT 0, k VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, b VARBINARY(3) NOT NULL DEFAULT 'b', PRIMARY KEY (n, k, b)",
}

// word makes keys that a collation has its own mind about; x makes them many.
func word(rng *rand.Rand) string {
	letters := []string{"a", "A", "ä", "b", "ß", "ss", "SS", "z", "å", "é", "ch", "ソ", "表", "1", "_", "\t", " "}
	var b strings.Builder
	if rng.IntN(3) == 0 { // what is less than a blank, and so than nothing
		for b.WriteByte('p'); rng.IntN(8) > 0; {
			b.WriteByte("\t\t !"[rng.IntN(4)])
		}
		return b.String()
	}
	for range 1 + rng.IntN(5) {
		b.WriteString(letters[rng.IntN(len(letters))])
	}
	if rng.IntN(4) > 0 {
		fmt.Fprintf(&b, "%d", rng.IntN(3000))
	}
	return b.String()
}

// Tables whose keys are ordered by weights are cut and go on like others, while keys come, go, and
// change to what the server holds for the same, or nearly.
func TestTablesOrderedByWeightsAreCutAndGoOn(t *testing.T) {
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			m := newMigration(t, src, sandboxtest.Target(t))
			rng := rand.New(rand.NewPCG(9, 9))
			tables := []string{}
			for table, columns := range weighedTables {
				m.exec(fmt.Sprintf("CREATE TABLE %s (%s, v VARCHAR(200))", table, strings.Replace(columns, ", PRIMARY", ", v2 INT NULL, PRIMARY", 1)))
				tables = append(tables, table)
			}
			if name == "mysql" {
				m.exec("CREATE TABLE uca9 (k VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_as_cs, n INT NOT NULL DEFAULT 0, v2 INT NULL, v VARCHAR(200), PRIMARY KEY (k))")
				tables = append(tables, "uca9")
			}
			for _, table := range tables {
				var values []string
				for range 3000 {
					values = append(values, fmt.Sprintf("('%s', %d, REPEAT('v', %d))", word(rng), rng.IntN(3), rng.IntN(200)))
				}
				m.exec(fmt.Sprintf("INSERT IGNORE INTO %s (k, n, v) VALUES %s", table, strings.Join(values, ",")))
			}
			small := func(o *Options) { o.Chunk, o.CopyWorkers, o.CopyRate = 8<<10, 4, 1<<20 }
			stop := m.load(3, func(rng *rand.Rand, tx *sql.Tx) error {
				table := tables[rng.IntN(len(tables))]
				switch rng.IntN(4) {
				case 0:
					_, err := tx.Exec("INSERT IGNORE INTO "+table+" (k, v) VALUES (?, 'new')", word(rng))
					return err
				case 1:
					_, err := tx.Exec("DELETE FROM "+table+" WHERE k = ?", word(rng))
					return err
				case 2: // moves, or is spelled in another way
					_, err := tx.Exec("UPDATE IGNORE "+table+" SET k = IF(?, ?, UPPER(k)), v2 = 1 WHERE k = ?", rng.IntN(2), word(rng), word(rng))
					return err
				default:
					_, err := tx.Exec("UPDATE "+table+" SET v = ? WHERE k = ?", fmt.Sprint(rng.IntN(1000)), word(rng))
					return err
				}
			})
			// It is stopped again and again, so that every table is caught in the middle.
			store, halves := state.Open(m.to, m.name), map[string]int{}
			for streaming := false; !streaming; {
				x := m.start(Forever, small, nil)
				x.wait("another table is in the middle", func(s Status) bool {
					streaming = s.Phase == phaseStreaming
					return streaming || slices.ContainsFunc(s.Tables, func(t TableStatus) bool {
						return halves[t.Table] < 2 && t.Rows > 200 && t.State != string(state.Complete)
					})
				})
				x.mustStop()
				records, err := store.Tables(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range records {
					chunks, err := store.Chunks(t.Context(), r.ID)
					if err != nil {
						t.Fatal(err)
					}
					if r.State == state.Copying || r.State == state.Planned {
						halves[r.Name] = max(halves[r.Name], len(chunks))
					}
				}
			}
			t.Logf("chunks of tables that were stopped in the middle: %v", halves)
			for _, table := range tables {
				if halves[table] < 2 {
					t.Errorf("%s: %d chunks", table, halves[table])
				}
			}
			x := m.start(Copied, small, nil)
			<-x.done
			stop()
			x.mustStop()
			m.mustRun(CaughtUp)
			m.equal()
			for _, table := range x.Status().Tables {
				if total := len(m.rows(m.from, table.Table)); table.Rows == 0 || int(table.Rows) > total {
					t.Errorf("%s: %d rows copied in all, of %d", table.Table, table.Rows, total)
				}
			}
		})
	}
}

// The source is asked once for what is asked again and again, and what it has said is given up when
// it is too much.
func TestAWeigherRemembersWhatTheSourceSaid(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), "CREATE TABLE t (k VARCHAR(200) CHARACTER SET latin1 COLLATE latin1_swedish_ci PRIMARY KEY)")
	def, err := row.Load(t.Context(), m.from, m.name, "t")
	if err != nil {
		t.Fatal(err)
	}
	def.UseWeights(server.MySQL)
	db := m.src.DBIn(t, sandbox.Changeover, m.name)
	db.SetMaxOpenConns(1)
	w := newWeigher(db, zerolog.Nop())
	weigh := func(from, to int) []row.Row {
		t.Helper()
		var keys []row.Row
		var tables []*row.Table
		for i := from; i < to; i++ {
			keys, tables = append(keys, row.Row{row.Value(fmt.Sprintf("key %d%s", i, strings.Repeat(" x", 90)))}), append(tables, def)
		}
		if err := w.weighAll(t.Context(), tables, keys); err != nil {
			t.Fatal(err)
		}
		return keys
	}
	asked := func() (n int) {
		if err := db.QueryRow("SHOW SESSION STATUS LIKE 'Com_select'").Scan(new(string), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := weigh(0, 1200)
	if d := def.Compare(first[0], first[1]); d >= 0 {
		t.Errorf("key 0 against key 1: %d", d)
	}
	before := asked()
	again := weigh(0, 1200)
	if n := asked() - before; n != 0 {
		t.Errorf("what is known is asked %d times", n)
	}
	for i := range first {
		if def.Compare(first[i], again[i]) != 0 {
			t.Fatalf("key %d is elsewhere the second time", i)
		}
	}
	for from := 1200; from < 120000; from += 5000 {
		weigh(from, from+5000)
		weigh(0, 10) // hot
	}
	if held := w.held; held > weightBytes+1<<20 || len(w.young)+len(w.old) > 100000 {
		t.Errorf("%d bytes in the younger of %d and %d weights", held, len(w.young), len(w.old))
	}
	before = asked()
	weigh(0, 10)
	if n := asked() - before; n != 0 {
		t.Errorf("hot keys are asked for again: %d", n)
	}
}
