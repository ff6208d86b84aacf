package cdc

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// turned is the migration with its sides changed: what was the target is the writer.
func (m *migration) turned() *migration {
	m.t.Helper()
	back := *m
	if m.began == "" {
		back.began = m.src.Flavor
	}
	back.src, back.dst = m.dst, m.src
	back.from, back.to = m.dst.DBIn(m.t, sandbox.Root, m.name), m.src.DB(m.t, sandbox.Root)
	back.from.SetMaxOpenConns(32)
	return &back
}

// prepare makes the way ready on which m's stream will go: m is the migration as it will be.
func (m *migration) prepare(edit func(*Options)) *Return {
	m.t.Helper()
	o := m.options(Forever)
	if edit != nil {
		edit(&o)
	}
	p, err := NewReturn(m.t.Context(), o)
	m.must(err)
	m.t.Cleanup(func() { _ = p.Close() })
	return p
}

// cutover passes the writer role from the one side of x to the other: x's load must have been stopped. It
// returns the stream that goes back.
func (m *migration) cutover(x *running, edit func(*Options)) (*migration, *running) {
	m.t.Helper()
	back := m.turned()
	p := back.prepare(edit)
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	drained, err := x.CatchUp(ctx)
	m.must(err)
	began := time.Now()
	armed, err := p.Arm(ctx)
	m.must(err)
	m.t.Logf("drained at %s, armed in %v at %s", drained, time.Since(began), armed)
	x.mustStop()
	m.must(p.Close())
	return back, back.start(Forever, func(o *Options) {
		o.Return = true
		if edit != nil {
			edit(o)
		}
	}, nil)
}

func TestTheStreamGoesThereAndBackAndThereAgain(t *testing.T) {
	all, plain := sources(t), sandboxtest.Options("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")
	all["mysql without gtid"] = sandboxtest.MySQLSource(t, plain)
	for name, src := range all {
		t.Run(name, func(t *testing.T) {
			const n = 1500
			target := sandboxtest.Target(t)
			if strings.Contains(name, "without") {
				target = sandboxtest.Target(t, plain)
			}
			m := newMigration(t, src, target, crashSchema(n)...)
			x := m.start(Forever, nil, nil)
			x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
			for turn := range 3 {
				m.seed = uint64(turn)
				stop := m.load(4, paced(t, 400, counted(n, adverse(n))))
				before := x.Status().Stream.Transactions
				x.wait("some load is applied", func(s Status) bool { return s.Stream.Transactions > before+400 })
				stop()
				x.catchUp()
				m.equal()
				m, x = m.cutover(x, nil)
			}
			x.mustStop()
		})
	}
}

// Nothing that the stream of the one direction brings may be carried back by the other: else each change
// would go round for ever, and an old value would come back over a new one.
func TestTwoStreamsThatPointAtEachOtherCarryNothingBack(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t),
		"CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)", "CREATE TABLE nokey (v INT NOT NULL)",
		"CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB)",
		fmt.Sprintf("INSERT INTO t SELECT seq, 0 FROM %s", sequence(500)))
	x := m.start(Forever, nil, nil)
	x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
	x.catchUp()
	back := m.turned()
	p := back.prepare(nil)
	_, err := p.Arm(t.Context())
	m.must(err)
	m.must(p.Close())
	y := back.start(Forever, func(o *Options) { o.Return = true }, nil)
	y.streams()
	// On both sides, each on rows of its own; one transaction is over the byte budget of a reader.
	for i := range 200 {
		m.exec(fmt.Sprintf("UPDATE t SET v = v + 1 WHERE id = %d", 1+i))
		back.exec(fmt.Sprintf("UPDATE t SET v = v + 1 WHERE id = %d", 251+i))
		m.exec(fmt.Sprintf("INSERT INTO nokey VALUES (%d)", i))
		back.exec(fmt.Sprintf("INSERT INTO nokey VALUES (%d)", 1000+i))
	}
	m.exec("INSERT INTO big VALUES (1, REPEAT('x', 10000000))")
	m.exec("ALTER TABLE t ADD w INT NOT NULL DEFAULT 7")
	x.catchUp()
	y.catchUp()
	x.catchUp()
	m.equal()
	if n := x.Status().Stream.Changes + y.Status().Stream.Changes; n != 801 {
		t.Errorf("%d changes were applied, 801 were made", n)
	}
	y.mustStop()
	x.mustStop()
	m.equal()
}

func TestAReturnThatNobodyArmedDoesNotRun(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	x := m.start(Forever, nil, nil)
	x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
	back := m.turned()
	refused := func(when string) {
		t.Helper()
		for _, is := range []bool{true, false} {
			o := back.options(CaughtUp)
			if o.Return = is; !is && when == "never prepared" {
				continue // that is a migration of its own, into a database that is not empty
			}
			if err := New(o).Run(t.Context()); !fault.Is(err, fault.ReturnNotArmed) {
				t.Errorf("%s, return %v: %v", when, is, err)
			}
		}
	}
	refused("never prepared")
	p := back.prepare(nil)
	m.must(p.Close())
	refused("prepared")
	p = back.prepare(nil)
	_, err := p.Arm(t.Context())
	m.must(err)
	m.must(p.Disarm(t.Context()))
	m.must(p.Close())
	refused("disarmed")
	// The forward stream has gone on all the while.
	m.exec("INSERT INTO t VALUES (2)")
	x.catchUp()
	m.equal()
	x.mustStop()
}

func TestAReturnKeepsOthersOutUntilItIsClosed(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY)")
	m.mustRun(CaughtUp)
	back := m.turned()
	p := back.prepare(nil)
	o := back.options(CaughtUp)
	o.Return = true
	if err := New(o).Run(t.Context()); !fault.Is(err, fault.LeaseHeld) {
		t.Errorf("a run beside it: %v", err)
	}
	_, err := p.Arm(t.Context())
	m.must(err)
	m.must(p.Close())
	m.must(New(o).Run(t.Context()))

	// Somebody who knows that it is dead takes the lease from it however fresh its heartbeat is.
	p = back.prepare(nil)
	q := back.prepare(func(o *Options) { o.LeaseTTL = state.AtOnce })
	if _, err := p.Arm(t.Context()); !fault.Is(err, fault.LeaseLost) {
		t.Errorf("the first one arms: %v", err)
	}
	_, err = q.Arm(t.Context())
	m.must(err)
}

func TestAReturnRefusesTablesThatAreNotTheSame(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY)")
	m.mustRun(CaughtUp)
	back := m.turned()
	for _, c := range []struct{ do, undo string }{
		{"CREATE TABLE more (id INT PRIMARY KEY)", "DROP TABLE more"},
		{"ALTER TABLE t ADD v INT", "ALTER TABLE t DROP v"},
	} {
		m.exec(c.do)
		if _, err := NewReturn(t.Context(), back.options(Forever)); !fault.Is(err, fault.ReturnTables) {
			t.Errorf("%s: %v", c.do, err)
		}
		m.exec(c.undo)
	}
}

// A DDL between preparing and arming makes another table of the recorded one. And what is written once it is
// armed comes back whenever the stream starts.
func TestAReturnIsArmedAfterADDL(t *testing.T) {
	for _, ddl := range []string{"ALTER TABLE t ADD v INT, ALGORITHM=COPY", "CREATE TABLE born (id INT PRIMARY KEY)", "DROP TABLE gone", "RENAME TABLE gone TO t2", "TRUNCATE gone"} {
		t.Run(ddl, func(t *testing.T) {
			m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE gone (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
			x := m.start(Forever, nil, nil)
			x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
			back := m.turned()
			p := back.prepare(nil)
			m.exec(ddl)
			x.catchUp()
			_, err := p.Arm(t.Context())
			m.must(err)
			m.must(p.Close())
			x.mustStop()
			back.exec("INSERT INTO t (id) VALUES (2)")
			y := back.start(Forever, func(o *Options) { o.Return = true }, nil)
			y.catchUp()
			back.equal()
			y.mustStop()
		})
	}
}

func TestCatchingUpIsQuickAndEndsWithItsContext(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY)")
	r := New(m.options(Forever))
	if _, running := r.Stream(); running {
		t.Error("it streams before it runs")
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.CatchUp(short); err != context.DeadlineExceeded {
		t.Errorf("nothing runs: %v", err)
	}
	x := m.start(Forever, nil, nil)
	_, err := x.CatchUp(t.Context()) // waits until it streams
	m.must(err)
	if _, running := x.Stream(); !running {
		t.Error("it runs and does not stream")
	}
	best := time.Hour
	for range 20 {
		began := time.Now()
		_, err := x.CatchUp(t.Context())
		m.must(err)
		best = min(best, time.Since(began))
	}
	t.Logf("the quickest of 20 took %v", best)
	m.exec("INSERT INTO t VALUES (1)")
	release := m.hold("t", "id > 0")
	m.exec("INSERT INTO t VALUES (2)")
	short, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := x.CatchUp(short); err != context.DeadlineExceeded {
		t.Errorf("a transaction can't be applied: %v", err)
	}
	release()
	_, err = x.CatchUp(t.Context())
	m.must(err)
	m.equal()
	x.mustStop()
	if _, running := x.Stream(); running {
		t.Error("it streams after its end")
	}
}
