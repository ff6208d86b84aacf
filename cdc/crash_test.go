package cdc

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/sandbox/sandboxtest"
)

// crashSchema is the hostile tables, with indexes that are built late, and tables without a key, in
// which a transaction that is applied twice, or not at all, is seen.
func crashSchema(n int) []string {
	return append(hostile(n),
		"CREATE TABLE numbers (n BIGINT NOT NULL, writer INT NOT NULL)",
		"CREATE TABLE late (id INT PRIMARY KEY, x INT, y VARCHAR(100), z VARCHAR(100), KEY x (x), KEY y (y), KEY z (z), KEY zyx (z, y, x))",
		fmt.Sprintf("INSERT INTO numbers SELECT -seq, seq %% 10 FROM %s", sequence(n)),
		fmt.Sprintf("INSERT INTO late SELECT seq, seq %% 1000, SHA2(seq, 256), SHA2(seq + 1, 256) FROM %s", sequence(n)),
	)
}

// counted makes of write one that also inserts its number into the table without a key, and now and
// then takes a number out again.
func counted(n int, write func(*rand.Rand, *sql.Tx) error) func(*rand.Rand, *sql.Tx) error {
	var number atomic.Int64
	return func(rng *rand.Rand, tx *sql.Tx) error {
		if err := write(rng, tx); err != nil && !strings.Contains(err.Error(), "no rows") {
			return err
		}
		if rng.IntN(10) == 0 {
			if _, err := tx.Exec("UPDATE numbers SET writer = writer + 1 WHERE n = ? LIMIT 1", -rng.IntN(n)); err != nil {
				return err
			}
		}
		if _, err := tx.Exec("UPDATE late SET x = x + 1 WHERE id = ?", rng.IntN(n)); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO numbers VALUES (?, ?)", number.Add(1), rng.IntN(100))
		return err
	}
}

// paced lets about so many transactions through in a second: a load that the target keeps up with.
func paced(t testing.TB, perSecond int, write func(*rand.Rand, *sql.Tx) error) func(*rand.Rand, *sql.Tx) error {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	t.Cleanup(tick.Stop)
	return func(rng *rand.Rand, tx *sql.Tx) error {
		<-tick.C
		return write(rng, tx)
	}
}

// crashOptions are a runner's whose copy takes long enough to be killed in, and that takes over at
// once: the one before it is known to be dead.
func (m *migration) crashOptions(until Until) Options {
	o := m.options(until)
	o.CopyWorkers, o.Chunk, o.LeaseTTL = 2, 8<<10, time.Millisecond
	return o
}

// finish brings the target up to the source, after a runner that was killed.
func (m *migration) finish() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	if err := New(m.crashOptions(CaughtUp)).Run(ctx); err != nil {
		m.t.Fatal(err)
	}
}

// killPlan is how often a run is killed once it has reached a stage.
type killPlan struct {
	stage string
	kills int
	after time.Duration // at most so long after that
}

func TestARunThatIsKilledAgainAndAgainEndsEqual(t *testing.T) {
	target := sandboxtest.Target(t)
	for _, c := range []struct {
		name   string
		source *sandboxtest.Server
		plan   []killPlan
	}{
		{"mysql", sandboxtest.MySQLSource(t, sandboxtest.Options("--max-binlog-size=4096")), []killPlan{
			{stageStarting, 4, 150 * time.Millisecond},
			{stageKeyless, 7, 100 * time.Millisecond},
			{stageCopying, 20, 300 * time.Millisecond},
			{stageIndexing, 8, 40 * time.Millisecond},
			{stageStream, 12, 400 * time.Millisecond},
		}},
		{"mariadb", sandboxtest.MariaDBSource(t, sandboxtest.Options("--max-binlog-size=4096")), []killPlan{
			{stageKeyless, 3, 100 * time.Millisecond},
			{stageCopying, 5, 300 * time.Millisecond},
			{stageIndexing, 2, 40 * time.Millisecond},
			{stageStream, 4, 500 * time.Millisecond},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 6000
			m := newMigration(t, c.source, target, crashSchema(n)...)
			stop := m.load(2, paced(t, 150, counted(n, adverse(n))))
			m.killAndKill(c.plan)
			stop()
			m.finish()
			m.equal()
		})
	}
}

// killAndKill runs the migration and kills it, as often as plan says, at random moments of its
// stages. A run that passes a stage by, since nothing of it is left, is killed where it is.
func (m *migration) killAndKill(plan []killPlan) {
	m.t.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	reached := map[string]int{}
	for _, k := range plan {
		for range k.kills {
			o := m.crashOptions(Forever)
			if k.stage == stageCopying {
				o.CopyRate = 200 << 10 // or a fast machine is through with it before all kills are
			}
			p := m.spawn(o)
			line := p.saw(30*time.Second, signsOf(k.stage)...)
			if line == "" {
				m.t.Fatalf("the run ended by itself:\n%s", p.output())
			}
			reached[stageIn(line)]++
			select {
			case <-time.After(time.Duration(rng.Int64N(int64(k.after)))):
			case <-p.ended:
				m.t.Fatalf("the run ended by itself:\n%s", p.output())
			}
			p.kill()
		}
	}
	m.t.Logf("killed at %v", reached)
	for _, k := range plan {
		if reached[k.stage] == 0 {
			m.t.Errorf("no kill hit the stage %s", k.stage)
		}
	}
}

// lockedLine is what a run logs at the beginning of the copy of tables without a key.
const lockedLine = "tables without a key are locked"

// signsOf are the lines that say that a stage, or a later one, is reached.
func signsOf(stage string) []string {
	all := []string{childStage + " " + stageStarting, childStage + " " + stageSchema, lockedLine, childStage + " " + stageCopying,
		childStage + " " + stageIndexing, childStage + " " + stageStream}
	for i, s := range []string{stageStarting, stageSchema, stageKeyless, stageCopying, stageIndexing, stageStream} {
		if s == stage {
			return all[i:]
		}
	}
	return nil
}

func stageIn(line string) string {
	if strings.Contains(line, lockedLine) {
		return stageKeyless
	}
	_, stage, _ := strings.Cut(line, childStage+" ")
	return stage
}
