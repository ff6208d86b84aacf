package verify

import (
	"context"
	"testing"
	"time"

	"changeover/cdc"
	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// cutover passes the writer role, with nobody writing, and starts the stream that goes back, with what has
// been proven carried over to it or not.
func (m *live) cutover(carried bool) *live {
	m.t.Helper()
	back := *m
	back.src, back.dst = m.dst, m.src
	back.from, back.to = m.dst.DBIn(m.t, sandbox.Root, m.name), m.src.DB(m.t, sandbox.Root)
	back.from.SetMaxOpenConns(16)
	o := back.options()
	if carried {
		o.Proven = m.v.Proven
	}
	p, err := cdc.NewReturn(m.t.Context(), o)
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.run.CatchUp(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	m.proven()
	if _, err := p.Arm(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	m.mustStop()
	if err := p.Close(); err != nil {
		m.t.Fatal(err)
	}
	back.returns = true
	back.start()
	return &back
}

func TestWhatWasProvenIsProvenForTheWayBack(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 3000
			m := newLive(t, source(t), busy(rows)...)
			m.start()
			m.wait("complete", complete)
			for range 2 { // there, and back again
				stop := m.load(2, write1(rows))
				m.wait("some keys were compared", func(r State) bool { return r.Keys > 100 })
				stop()
				m = m.cutover(true)
				// A rollback is possible at once: nothing has to be read again for a proof.
				m.wait("all is compared from the beginning", func(r State) bool { return r.Complete })
				p := m.proven()
				if s := m.v.State(); s.Chunks != 0 || p.Rows < rows/2 {
					t.Errorf("%d chunks were compared for a proof of %d rows", s.Chunks, p.Rows)
				}
				// And the proof is one: what somebody changes behind everybody's back is found by the next look.
				m.vandalize("UPDATE %s.words SET n = n + 1000 LIMIT 3")
				m.write("UPDATE words SET n = n + 1") // touched, and carried, so they are equal again
				m.vandalize("DELETE FROM %s.pairs LIMIT 2")
				m.again()
				m.wait("2 rows differ", func(r State) bool { return r.Differences == 2 && r.KeysDue == 0 })
				m.repair(2)
				m.wait("nothing differs", func(r State) bool { return r.Differences == 0 && r.ToRepair == 0 })
			}
			m.proven()
			m.mustStop()
			m.same("numbers", "words", "pairs", "loose")
		})
	}
}

// What is due, or differs, is not proven.
func TestOnlyWhatIsEqualIsProvenForTheWayBack(t *testing.T) {
	m := newLive(t, sandboxtest.MySQLSource(t), busy(500)...)
	m.start()
	m.proven()
	m.mustStop()
	l := m.v.book()
	table := func(n string) *entry { return l.tables[Name{m.name, n}] }
	if p := m.v.Proven(); len(p) != 4 {
		t.Fatalf("%d tables are proven", len(p))
	}
	l.makeDue(table("numbers"), "key")
	table("words").different["key"] = &Finding{Source: 1}
	table("pairs").ranges = []row.Range{{}}
	if p := m.v.Proven(); len(p) != 1 || p[schedule.Name{Schema: m.name, Table: "loose"}] == nil {
		t.Errorf("proven are %v", p)
	}
	table("loose").problem = "can't be compared"
	if p := m.v.Proven(); len(p) != 0 {
		t.Errorf("proven are %v", p)
	}
}

func TestWithoutAProofTheWayBackIsComparedFromItsBeginning(t *testing.T) {
	m := newLive(t, sandboxtest.MySQLSource(t), busy(2000)...)
	m.start()
	m.wait("complete", complete)
	m = m.cutover(false)
	m.proven()
	if s := m.v.State(); s.Chunks < 3 {
		t.Errorf("%d chunks were compared", s.Chunks)
	}
	m.mustStop()
}

// What was touched before a crash of the run that goes back is due after it.
func TestAReturnThatWasKilledKnowsWhatIsDue(t *testing.T) {
	m := newLive(t, sandboxtest.MySQLSource(t), busy(2000)...)
	m.start()
	m.wait("complete", complete)
	m = m.cutover(true)
	m.wait("complete", complete)
	m.mustStop()
	// Nobody streams, and then somebody who looks at nothing.
	m.write("UPDATE numbers SET hot = 5 WHERE id <= 300")
	o := m.options()
	o.Return, o.Until = true, cdc.CaughtUp
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := cdc.New(o).Run(ctx); err != nil {
		t.Fatal(err)
	}
	m.vandalize("UPDATE %s.numbers SET hot = 6 WHERE id = 7")
	m.start()
	m.wait("the row differs", func(r State) bool { return r.Differences == 1 })
	m.mustStop()
}
