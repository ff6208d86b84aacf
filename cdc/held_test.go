package cdc

import (
	"database/sql"
	"errors"
	"sync/atomic"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// Who has lost the helm while the runner waited for its lease must not apply a thing: another may be at work by then. So
// it is asked once the lease is held, and before anything is read or written for the migration.
func TestARunThatMayNotGoOnOnceItHasItsLeaseDoesNothing(t *testing.T) {
	target := sandboxtest.Target(t)
	m := newMigration(t, sandboxtest.MySQLSource(t), target, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
	displaced := errors.New("the helm is another's")
	refused := func() {
		t.Helper()
		asked, leased := 0, false
		o := m.options(CaughtUp)
		o.Held = func() error {
			asked++
			var token sql.NullString
			err := m.to.QueryRow("SELECT token FROM `_changeover`.lease WHERE migration = ?", m.name).Scan(&token)
			leased = err == nil && token.String != ""
			if err != nil {
				t.Errorf("the lease: %v", err)
			}
			return displaced
		}
		if err := New(o).Run(t.Context()); !errors.Is(err, displaced) {
			t.Errorf("the run ended with %v", err)
		}
		if asked != 1 || !leased {
			t.Errorf("it asked %d times, with its lease: %v", asked, leased)
		}
	}
	rows := func() (n int) {
		t.Helper()
		var there bool
		m.must(m.to.QueryRow("SELECT EXISTS (SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?)", m.name).Scan(&there))
		if there {
			m.must(m.to.QueryRow("SELECT COUNT(*) FROM " + m.name + ".t").Scan(&n))
		}
		return n
	}
	refused()
	if n := rows(); n != 0 {
		t.Errorf("%d rows were copied", n)
	}
	m.mustRun(CaughtUp)
	m.exec("INSERT INTO t VALUES (2, 2)")
	refused()
	if n := rows(); n != 1 {
		t.Errorf("the target has %d rows", n)
	}
	m.mustRun(CaughtUp) // the lease was given back
	m.equal()
}

// A run that starts over takes its lease anew, and so it asks anew.
func TestARunThatStartsOverAsksAgainWhetherItMayGoOn(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), freshTarget(t), "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
	displaced := errors.New("the helm is another's")
	var asked atomic.Int32
	x := m.start(Forever, func(o *Options) {
		o.Held = func() error {
			if asked.Add(1) > 1 {
				return displaced
			}
			return nil
		}
	}, nil)
	x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
	x.catchUp()
	m.must(m.dst.Kill())
	m.exec("INSERT INTO t VALUES (2, 2)")
	m.must(m.dst.Restart(t.Context()))
	eventually(t, "the run ends", func() bool {
		select {
		case <-x.done:
			return true
		default:
			return false
		}
	})
	if err := x.stop(); !errors.Is(err, displaced) || asked.Load() != 2 {
		t.Errorf("it asked %d times, and ended with %v", asked.Load(), err)
	}
	m.to = m.dst.DB(t, sandbox.Root)
	var n int
	m.must(m.to.QueryRow("SELECT COUNT(*) FROM " + m.name + ".t").Scan(&n))
	if n != 1 {
		t.Errorf("the target has %d rows: it went on", n)
	}
}
