package verify

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestAProofSurvivesARestart(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newLive(t, source(t), busy(3000)...)
			m.start()
			before := m.wait("complete", complete)
			m.mustStop()
			m.write("UPDATE numbers SET v = 'while nobody ran' WHERE id < 100")
			m.start()
			after := m.wait("complete again", func(r State) bool { return r.Complete && r.Keys >= 90 })
			if after.Chunks != 0 || after.Rows != before.Rows {
				t.Errorf("compared again: %+v, before %+v", after, before)
			}
			m.mustStop()
		})
	}
}

// asleep is a share with which a verifier looks once and then not for a long time.
const asleep = 1e-6

// A key that is due when the process dies must be due in the next one: the row is vandalized after it
// was touched, and nothing else would lead anybody there.
func TestNoKeyThatIsDueDiesWithTheProcess(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newLive(t, source(t), busy(3000)...)
			m.start()
			m.wait("complete", complete)
			m.mustStop()
			rng := rand.New(rand.NewPCG(7, 7))
			for round := range 6 {
				// Every other child writes down nothing of what it knows: the stream is read again then.
				c := m.spawn(asleep, false, time.Duration(round%2)*time.Hour)
				c.wait("the child knows the proof", func(r State) bool { return r.Wholly })
				m.write("UPDATE numbers SET hot = hot + 1 WHERE id = 1") // the child's one look
				c.wait("it sleeps", func(r State) bool { return r.Keys > 0 })
				id := 10 + round
				m.write("UPDATE numbers SET hot = -5 WHERE id = ?", id)
				m.onTarget("the change has arrived", fmt.Sprintf("SELECT COUNT(*) FROM %s.numbers WHERE id = %d AND hot = -5", m.name, id))
				m.vandalize("UPDATE %s.numbers SET v = 'vandal' WHERE hot = -5 AND id = " + fmt.Sprint(id))
				if round%2 == 1 {
					m.passed()
				}
				// Between the change and the crash: nothing, or a checkpoint, or more than one.
				deadline := time.Now().Add(time.Duration(rng.IntN(2500)) * time.Millisecond)
				c.wait("some time passed", func(State) bool { return time.Now().After(deadline) })
				c.kill()
				m.start()
				r := m.wait("the vandal's row is found", func(r State) bool { return r.Differences == 1 && r.KeysDue == 0 })
				if r.Chunks != 0 {
					t.Errorf("round %d: found by comparing everything again: %+v", round, r)
				}
				m.repair(1)
				m.wait("complete", complete)
				m.mustStop()
			}
		})
	}
}

// passed waits until the next run would begin to read the stream behind what is applied by now.
func (m *live) passed() {
	m.t.Helper()
	var seq uint64
	position := fmt.Sprintf("FROM _changeover.stream WHERE migration = '%s'", m.name)
	if err := m.to.QueryRow("SELECT seq " + position).Scan(&seq); err != nil {
		m.t.Fatal(err)
	}
	m.onTarget("the position has passed", fmt.Sprintf("SELECT seq > %d + 2 %s", seq, position))
}

// onTarget waits until a query on the target gives 1.
func (m *live) onTarget(what, query string) {
	m.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		var n int
		if err := m.to.QueryRow(query).Scan(&n); err == nil && n == 1 {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatal("not " + what)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-m.t.Context().Done():
			return
		}
	}
}

func TestARepairThatIsKilledAgainAndAgainLeavesBothSidesEqual(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newLive(t, source(t), busy(6000)...)
			m.start()
			m.wait("complete", complete)
			m.mustStop()
			m.vandalize("UPDATE %s.numbers SET v = CONCAT(v, '!') WHERE id %% 2 = 0")
			m.vandalize("DELETE FROM %s.words WHERE n %% 3 = 0")
			m.vandalize("UPDATE %s.pairs SET t = NULL WHERE b LIKE '%%1'")
			m.start()
			m.again()
			m.wait("thousands differ", func(r State) bool { return r.Differences > 3000 })
			m.mustStop()
			stop := m.load(2, write1(6000))
			for range 5 {
				c := m.spawn(4, true, 0)
				c.wait("some is repaired", func(r State) bool { return r.Repaired > 100 })
				c.kill()
			}
			m.cfg.Repair = true
			m.start()
			m.wait("all is repaired", func(r State) bool { return r.Differences == 0 && r.ToRepair == 0 })
			stop()
			m.again()
			m.proven()
			m.mustStop()
			m.same("numbers", "words", "pairs")
		})
	}
}

func TestAProofThatIsKilledAgainAndAgainLeavesNothingWrong(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newLive(t, source(t), busy(3000)...)
			m.proves = true
			m.start()
			m.wait("complete", complete)
			m.mustStop()
			stop := m.load(2, write1(3000))
			for range 4 {
				c := m.spawn(4, false, 0)
				c.wait("the child knows the proof", func(r State) bool { return r.Rows > 3000 })
				c.kill()
			}
			stop()
			m.start()
			m.proven()
			m.mustStop()
			m.same("numbers", "words", "pairs", "loose")
		})
	}
}

// A connection that is lost in the middle of a look costs another look, nothing else.
func TestConnectionsThatAreKilledCostOnlyTime(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Servers of its own: others' connections are not to be killed.
			m := newLive(t, source(t, sandboxtest.Options("--max-connections=100")), busy(4000)...)
			m.start()
			stop := m.load(2, write1(4000))
			m.wait("known", func(s State) bool { return s.Rows > 4000 })
			for range 20 {
				before := m.v.State()
				m.kill(m.from, string(sandbox.Changeover))
				m.wait("it goes on", func(s State) bool {
					if s.Differences > 0 {
						t.Fatalf("false alarm: %+v", s)
					}
					return s.Keys > before.Keys
				})
			}
			stop()
			m.again()
			m.proven()
			m.mustStop()
			m.same("numbers", "words", "pairs", "loose")
		})
	}
}

// kill ends an account's connections, but for the one that reads the binlog.
func (m *live) kill(on *sql.DB, account string) {
	m.t.Helper()
	rows, err := on.Query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = ? AND COMMAND NOT LIKE 'Binlog%'", account)
	if err != nil {
		m.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			m.t.Fatal(err)
		}
		_, _ = on.Exec(fmt.Sprintf("KILL %d", id)) // it may have ended meanwhile
	}
}
