package cdc

import (
	"slices"
	"testing"

	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// refused is the one statement that stopped the migration.
func (m *migration) refused() state.Decision {
	m.t.Helper()
	all, err := Refused(m.t.Context(), endpoint(m.t, m.dst, sandbox.Admin), m.name)
	m.must(err)
	if len(all) != 1 || all[0].Action != state.Undecided {
		m.t.Fatalf("refused: %+v", all)
	}
	return all[0]
}

func (m *migration) decide(action state.Action, other string) error {
	m.t.Helper()
	_, err := Decide(m.t.Context(), m.options(Forever), m.refused().ID, action, other)
	return err
}

func (m *migration) nothingRefused() {
	m.t.Helper()
	if all, err := Refused(m.t.Context(), endpoint(m.t, m.dst, sandbox.Admin), m.name); err != nil || len(all) != 0 {
		m.t.Errorf("refused: %+v, %v", all, err)
	}
}

// forgottenOnlyOnceApplied runs until a decision is carried out. A crash just then must not bring the
// statement again: when its decision is gone, its id is in applied, or the position has passed it.
func (m *migration) forgottenOnlyOnceApplied() {
	m.t.Helper()
	to := endpoint(m.t, m.dst, sandbox.Admin)
	all, err := Refused(m.t.Context(), to, m.name)
	m.must(err)
	id := all[0].ID
	x := m.start(Forever, nil, nil)
	x.wait("the decision is carried out", func(Status) bool {
		all, err := Refused(m.t.Context(), to, m.name)
		return err == nil && len(all) == 0
	})
	store := state.Open(m.to, m.name)
	applied, err := store.Applied(m.t.Context())
	m.must(err)
	position, _, err := store.Position(m.t.Context())
	m.must(err)
	at, err := source.ParsePosition(server.MySQL, position.Text)
	m.must(err)
	one, err := source.ParsePosition(server.MySQL, id)
	m.must(err)
	if _, passed := at.ContainsAll(one); !passed && !slices.ContainsFunc(applied, func(a state.Applied) bool { return a.ID == id }) {
		m.t.Errorf("the decision about %s is forgotten, and nothing says that it was carried out", id)
	}
	x.mustStop()
}

func TestARefusedDDLIsDecidedAboutAndTheStreamGoesOn(t *testing.T) {
	t.Parallel()
	src, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	t.Run("another in its place", func(t *testing.T) {
		t.Parallel()
		m := newMigration(t, src, target, plainTable("t", 100)...)
		x := m.start(Forever, nil, nil)
		x.catchUp()
		m.on(m.from, "USE "+m.name, "CREATE TABLE my (id INT PRIMARY KEY) ENGINE=MyISAM", "ALTER TABLE my ENGINE=InnoDB",
			"INSERT INTO my VALUES (1)", "INSERT INTO t (id) VALUES (100001)")
		m.wantFault(x, fault.StreamDDL, "CREATE TABLE my", "MyISAM", "changeover ddl run", "changeover ddl skip")
		m.wantError(m.decide(state.RunOther, "CREATE TABLE t2 (id INT PRIMARY KEY)"), fault.Usage, ".t2")
		m.wantError(m.decide(state.RunOther, "DROP USER root"), fault.Usage, "one statement that changes tables")
		if _, err := Decide(t.Context(), m.options(Forever), "nothing:1", state.Skip, ""); !fault.Is(err, fault.Usage) {
			t.Error(err)
		}
		m.must(m.decide(state.RunOther, "CREATE TABLE my (id INT PRIMARY KEY) ENGINE=InnoDB"))
		m.mustRun(CaughtUp)
		m.equal()
		m.sameTables()
		m.nothingRefused()
	})
	t.Run("none in its place", func(t *testing.T) {
		t.Parallel()
		m := newMigration(t, src, target, plainTable("t", 100)...)
		x := m.start(Forever, nil, nil)
		x.catchUp()
		m.on(m.to, "ALTER TABLE "+server.Name(m.name, "t")+" ADD KEY made_by_hand (a)")
		m.on(m.from, "USE "+m.name, "ALTER TABLE t ADD KEY made_by_hand (a)", "INSERT INTO t (id) VALUES (100001)")
		m.wantFault(x, fault.StreamDDL, "made_by_hand")
		x = m.start(Forever, nil, nil) // undecided, it stops there again
		m.wantFault(x, fault.StreamDDL, "made_by_hand")
		m.must(m.decide(state.Skip, ""))
		m.forgottenOnlyOnceApplied()
		m.mustRun(CaughtUp)
		m.equal() // the definitions have the same indexes, in another order
		m.nothingRefused()
	})
	t.Run("not while a run lives", func(t *testing.T) {
		t.Parallel()
		m := newMigration(t, src, target, plainTable("t", 100)...)
		x := m.start(Forever, nil, nil)
		x.catchUp()
		m.must(x.store.Refuse(t.Context(), state.Decision{ID: "x:1", Statement: "CREATE TABLE a (id INT)", Schema: m.name}))
		m.wantError(m.decide(state.Skip, ""), fault.LeaseHeld, "is run by")
	})
}
