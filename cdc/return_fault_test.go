package cdc

import (
	"context"
	"errors"
	"strings"
	"testing"

	"changeover/internal/fault"
	"changeover/internal/sandbox/sandboxtest"
)

// saysTheWayBack looks at the words of a fault that ended a stream that goes back: where the first copy may begin again
// from an empty target, here the target of then is the writer.
func saysTheWayBack(t *testing.T, err error, code fault.Code, says ...string) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("it ended with %v, not with %s", err, code)
	}
	entry, _ := fault.Lookup(code)
	if strings.Contains(err.Error(), entry.Remedy) {
		t.Errorf("it gives the remedy of the first copy: %v", err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("it does not say %q: %v", s, err)
		}
	}
}

// backAndForth passes the writer role, and returns the migration as it goes back, without a stream.
func backAndForth(t *testing.T, target *sandboxtest.Server) *migration {
	t.Helper()
	m := newMigration(t, sandboxtest.MySQLSource(t), target, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
	x := m.start(Forever, nil, nil)
	x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
	back, y := m.cutover(x, nil)
	y.streams()
	y.mustStop()
	return back
}

func (m *migration) runBack() error {
	m.t.Helper()
	o := m.options(CaughtUp)
	o.Return = true
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	return New(o).Run(ctx)
}

func TestAWayBackThatCanNotGoOnNeverSaysThatTheWriterIsToBeEmptied(t *testing.T) {
	t.Run("a row of somebody else is in the way", func(t *testing.T) {
		m := backAndForth(t, sandboxtest.Target(t))
		m.on(m.to, "INSERT INTO "+m.name+".t VALUES (2, 2)")
		m.exec("INSERT INTO t VALUES (2, 3)")
		saysTheWayBack(t, m.runBack(), fault.ApplyRow, "change nothing on the writer", m.name+".t")
		m.on(m.to, "DELETE FROM "+m.name+".t WHERE id = 2") // what it says helps
		m.must(m.runBack())
		m.equal()
	})
	t.Run("its state was changed by hand", func(t *testing.T) {
		m := backAndForth(t, sandboxtest.Target(t))
		m.on(m.to, "DROP TABLE "+m.name+".t")
		saysTheWayBack(t, m.runBack(), fault.StateBroken, "must never be emptied", "changeover finish")
	})
	t.Run("the writer has purged its binlog", func(t *testing.T) {
		m := backAndForth(t, freshTarget(t))
		m.on(m.from, "INSERT INTO t VALUES (2, 2)", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (3, 3)", "FLUSH BINARY LOGS")
		eventually(t, "the old files are purged", func() bool {
			_, err := m.from.Exec("PURGE BINARY LOGS BEFORE '2100-01-01'")
			var n int
			_ = m.from.QueryRow("SELECT @@GLOBAL.gtid_purged <> ''").Scan(&n)
			return err == nil && n == 1
		})
		saysTheWayBack(t, m.runBack(), fault.StreamPurged, "must never be emptied", "changeover finish")
	})
}

// The first copy, and what it says, stays as it was; so does the list of what a stream waits for.
func TestWhatAStreamWaitsForIsToldForItsDirection(t *testing.T) {
	for back, says := range map[bool]string{false: "Make room on the target", true: "Make room on the old writer"} {
		r := New(Options{Return: back})
		r.waiting(runWaits, fault.New(fault.ApplyFull, "worker 1"))
		if s := r.Status(); len(s.Waiting) != 1 || !strings.Contains(s.Waiting[0], says) {
			t.Errorf("going back %v: it waits for %v", back, s.Waiting)
		}
		plain := errors.New("plain")
		if err := r.told(plain); !errors.Is(err, plain) || err.Error() != "plain" {
			t.Errorf("an error without a code became %v", err)
		}
	}
}
