package gate_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"changeover/cutover/gate"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// put is a write of one operation.
func put(ctx context.Context, g *gate.Gate, op string) error {
	return g.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO ops VALUES (?)", op)
		return err
	})
}

func (m *memory) has(op string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ops[op]
}

// once fails the first time.
func once(err error) func(string) error {
	done := false
	return func(string) error {
		if done {
			return nil
		}
		done = true
		return err
	}
}

func TestWhatSurelyWasNotAppliedIsRunAgainWhole(t *testing.T) {
	t.Parallel()
	for name, refuses := range map[string]error{
		"a deadlock":                        &serverError{1213, "Deadlock found"},
		"a lock wait timeout":               &serverError{1205, "Lock wait timeout exceeded"},
		"read-only, which was lifted since": errReadOnly,
		"read-only mode":                    &serverError{1836, "Running in read-only mode"},
		"offline mode":                      &serverError{3032, "The server is currently in offline mode"},
		"a shutdown":                        &serverError{1053, "Server shutdown in progress"},
		"a kill, on MariaDB":                &serverError{1927, "Connection was killed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair()
			p[gate.Source].refuses = once(refuses)
			g := p.gate(t, nil)
			tries := 0
			if err := g.Write(soon(t), func(ctx context.Context, tx *sql.Tx) error {
				tries++
				for _, op := range []string{"a", "b"} {
					if _, err := tx.ExecContext(ctx, "INSERT INTO ops VALUES (?)", op); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			if tries != 2 || p[gate.Source].has("a") != 1 || p[gate.Source].has("b") != 1 {
				t.Errorf("%d tries, %v", tries, p[gate.Source].ops)
			}
		})
	}
}

func TestWhatMayHaveBeenAppliedIsTheCallers(t *testing.T) {
	t.Parallel()
	other := &serverError{1290, "The server is running with the --secure-file-priv option so it cannot execute this statement"}
	for name, refuses := range map[string]error{
		"1290 of another option": other, "a duplicate": &serverError{1062, "Duplicate entry"}, "a KILL QUERY": &serverError{1317, "Query execution was interrupted"},
		"1792 of the caller's own": &serverError{1792, "Cannot execute statement in a READ ONLY transaction"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair()
			p[gate.Source].refuses = func(string) error { return refuses }
			g := p.gate(t, nil)
			if err := put(soon(t), g, "a"); !errors.Is(err, refuses) {
				t.Errorf("Write: %v", err)
			}
			if _, err := g.DB().ExecContext(soon(t), "INSERT INTO ops VALUES (?)", "a"); !errors.Is(err, refuses) {
				t.Errorf("DB: %v", err)
			}
			g.Refused(soon(t), refuses, g.Route().Epoch)
			if r := g.Route(); r.Held || r.Inside != 0 {
				t.Errorf("writes are held: %+v", r)
			}
		})
	}
}

func TestARefusalKeepsOthersOut(t *testing.T) {
	t.Parallel()
	p := newPair()
	g := p.gate(t, nil, func(c *gate.Config) { c.Follow = time.Hour })
	p[gate.Source].set(func() { p[gate.Source].readOnly = true })
	pass, err := g.Enter(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	pass.Leave()
	g.Refused(soon(t), errReadOnly, pass.Epoch+7) // of another epoch: nothing
	if g.Route().Held {
		t.Error("a refusal of another epoch counts")
	}
	g.Refused(soon(t), errReadOnly, pass.Epoch)
	if !g.Route().Held {
		t.Error("a refusal does not count")
	}
	entered := make(chan gate.Pass, 1)
	go func() {
		pass, err := g.Enter(soon(t))
		if err != nil {
			t.Error(err)
		}
		entered <- pass
	}()
	eventually(t, "it waits", func() bool { return g.Route().Waiting == 1 })
	p[gate.Target].set(func() { p[gate.Target].readOnly = false; p[gate.Target].route = &[3]any{"target", int64(2), int64(1)} })
	if pass := <-entered; pass.Epoch != 2 || g.Route().Side != gate.Target {
		t.Errorf("it entered epoch %d, the route is %+v", pass.Epoch, g.Route())
	}
}

func TestWhoHasSeenALaterEpochIsNotAnsweredByTheOldWriter(t *testing.T) {
	t.Parallel()
	p := newPair()
	g := p.gate(t, nil, func(c *gate.Config) { c.Follow = time.Hour })
	if err := g.Reach(soon(t), 1); err != nil {
		t.Error(err)
	}
	p[gate.Source].set(func() { p[gate.Source].readOnly = true })
	p[gate.Target].set(func() { p[gate.Target].readOnly = false; p[gate.Target].route = &[3]any{"target", int64(2), int64(1)} })
	if r := g.Route(); r.Epoch != 1 {
		t.Fatalf("it knows already: %+v", r)
	}
	if err := g.Reach(soon(t), 2); err != nil || g.Route().Side != gate.Target {
		t.Errorf("%v, the route is %+v", err, g.Route())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := g.Reach(ctx, 3); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an epoch that is none: %v", err)
	}
}

func TestASwallowedErrorOfANestedWriteIsNotCommitted(t *testing.T) {
	t.Parallel()
	p := newPair()
	p[gate.Source].refuses = once(&serverError{1213, "Deadlock found"})
	g := p.gate(t, nil)
	tries := 0
	if err := g.Write(soon(t), func(ctx context.Context, tx *sql.Tx) error {
		tries++
		_ = put(ctx, g, "inner") // the server has rolled back all
		_, err := tx.ExecContext(ctx, "INSERT INTO ops VALUES (?)", "outer")
		return err
	}); err != nil {
		t.Error(err)
	}
	if tries != 2 || p[gate.Source].has("inner") != 1 || p[gate.Source].has("outer") != 1 {
		t.Errorf("%d tries, %v", tries, p[gate.Source].ops)
	}
}

func TestALostCommitIsSettledByTheOperation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault fault
		tries int
	}{"it was not sent": {cut, 2}, "it was done": {swallowed, 1}, "it is done later": {late, 1}} {
		t.Run(name, func(t *testing.T) {
			p := newPair()
			lost := func() {
				done := false
				p[gate.Source].set(func() {
					p[gate.Source].fault = func(what string) fault {
						if what != "commit" || done {
							return fine
						}
						done = true
						return c.fault
					}
				})
			}
			g := p.gate(t, nil)
			lost()
			if err := put(soon(t), g, "unique without"); !errors.Is(err, gate.ErrUnknown) {
				t.Errorf("Write: %v", err)
			}
			lost()
			tries := 0
			if err := g.WriteOp(soon(t), gate.OperationIn("ops", "op", "unique with"), func(ctx context.Context, tx *sql.Tx) error {
				tries++
				_, err := tx.ExecContext(ctx, "INSERT INTO ops VALUES (?)", "unique with")
				return err
			}); err != nil {
				t.Errorf("WriteOp: %v", err)
			}
			if n := p[gate.Source].has("unique with"); n != 1 || tries != c.tries {
				t.Errorf("it is there %d times after %d tries", n, tries)
			}
			// A lock that does not hold the row's place: the second try meets the first one's row.
			lost()
			asked := 0
			blind := gate.Operation{Done: func(ctx context.Context, tx *sql.Tx) (bool, error) {
				if asked++; asked == 1 {
					return false, nil
				}
				return gate.OperationIn("ops", "op", "unique blind").Done(ctx, tx)
			}}
			if err := g.WriteOp(soon(t), blind, func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "INSERT INTO ops VALUES (?)", "unique blind")
				return err
			}); err != nil || p[gate.Source].has("unique blind") != 1 {
				t.Errorf("WriteOp: %v, %d times", err, p[gate.Source].has("unique blind"))
			}
		})
	}
}

func TestGivingUpSaysWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	p := newPair()
	g := p.gate(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	p[gate.Source].set(func() {
		p[gate.Source].fault = func(what string) fault {
			if what == "commit" {
				p[gate.Source].readOnly = true
				cancel()
				return swallowed
			}
			return fine
		}
	})
	err := g.WriteOp(ctx, gate.OperationIn("ops", "op", "a"), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO ops VALUES (?)", "a")
		return err
	})
	if !errors.Is(err, gate.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("it gave up with %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := put(ctx, g, "b"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, gate.ErrUnknown) {
		t.Errorf("it gave up with %v", err)
	}
}

func TestANewServerWithAnOldConfigurationAsksFirst(t *testing.T) {
	t.Parallel()
	p := newPair()
	p[gate.Source].readOnly, p[gate.Target].readOnly = true, false
	p[gate.Target].route = &[3]any{"target", int64(2), int64(1)} // the old one's row is as it was
	g := p.gate(t, nil, func(c *gate.Config) { c.First = gate.Source })
	if r := g.Route(); r.Side != gate.Target || r.Epoch != 2 || r.Address != "t:1" {
		t.Errorf("the route is %+v", r)
	}
	if err := put(soon(t), g, "a"); err != nil || p[gate.Target].has("a") != 1 {
		t.Errorf("%v", err)
	}
}

func TestWritesWaitWhileTheRowsDontSay(t *testing.T) {
	t.Parallel()
	denied := &serverError{1142, "SELECT command denied"}
	for name, c := range map[string]struct{ before, after func(p pair) }{
		"both are down":           {func(p pair) { p[gate.Source].down, p[gate.Target].down = true, true }, func(p pair) { p[gate.Source].down, p[gate.Target].down = false, false }},
		"no row, and one is down": {func(p pair) { p[gate.Source].route, p[gate.Target].down = nil, true }, func(p pair) { p[gate.Target].down = false; p[gate.Target].route = nil }},
		"the account may not":     {func(p pair) { p[gate.Source].noRoute, p[gate.Target].noRoute = denied, denied }, func(p pair) { p[gate.Source].noRoute = nil }},
		"the old one says who it is, but that is not to be had": {func(p pair) {
			p[gate.Source].route, p[gate.Target].down = &[3]any{"target", int64(2), int64(1)}, true
		}, func(p pair) {
			p[gate.Target].down, p[gate.Target].readOnly, p[gate.Target].route = false, false, p[gate.Source].route
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair()
			c.before(p)
			g := p.gate(t, nil)
			errs := make(chan error, 1)
			go func() { errs <- put(soon(t), g, "a") }()
			eventually(t, "it waits", func() bool { return g.Route().Waiting == 1 })
			for side := range p {
				p[side].mu.Lock()
			}
			c.after(p)
			for side := range p {
				p[side].mu.Unlock()
			}
			if err := <-errs; err != nil {
				t.Error(err)
			}
			if p[gate.Source].has("a")+p[gate.Target].has("a") != 1 {
				t.Error("it is not there")
			}
		})
	}
}

func TestNoConnectionIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(m *memory, on bool){
		"the account is locked": func(m *memory, on bool) { m.locked = on },
		"too many connections":  func(m *memory, on bool) { m.busy = on },
		"the server is down":    func(m *memory, on bool) { m.down = on },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair()
			m := p[gate.Source]
			g := p.gate(t, nil)
			m.set(func() { // the warm connections break, one by one
				change(m, true)
				m.fault = func(string) fault {
					if m.locked || m.busy || m.down {
						return cut
					}
					return fine
				}
			})
			errs := make(chan error, 2)
			go func() { errs <- put(soon(t), g, "a") }()
			go func() { _, err := g.DB().ExecContext(soon(t), "INSERT INTO ops VALUES (?)", "b"); errs <- err }()
			eventually(t, "no connection is left", func() bool { return m.refused.Load() > 0 && (g.Route().Held || !m.locked) })
			m.set(func() { change(m, false) })
			// A statement alone, lost on its way, is the caller's: it may have been applied.
			for range 2 {
				if err := <-errs; err != nil && !strings.Contains(err.Error(), errInvalid.Error()) {
					t.Error(err)
				}
			}
			if m.has("a") != 1 {
				t.Error("it is not there")
			}
		})
	}
}

// TestAServerThatHangsUpForLongIsWaitedFor: one that is starting takes connections, and ends them in go-sql-driver's own words.
func TestAServerThatHangsUpForLongIsWaitedFor(t *testing.T) {
	t.Parallel()
	p := newPair()
	g := p.gate(t, nil)
	begins := 0
	p[gate.Source].set(func() {
		p[gate.Source].fault = func(what string) fault {
			if what != "begin" {
				return fine
			}
			if begins++; begins > 15 {
				return fine
			}
			return cut
		}
	})
	if err := put(soon(t), g, "a"); err != nil || p[gate.Source].has("a") != 1 {
		t.Errorf("%v after %d tries", err, begins)
	}
}

func TestAWrongConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	p := newPair()
	s, o := gate.Server{Connector: p[gate.Source]}, gate.Server{Connector: p[gate.Target]}
	for name, c := range map[string]gate.Config{
		"name": {Source: s, Target: o}, "connector": {Migration: "m", Source: s}, "side": {Migration: "m", Source: s, Target: o, First: "left"},
		"mixed up": {Migration: "m", Source: o, Target: s}, "negative": {Migration: "m", Source: s, Target: o, Queue: -1},
	} {
		if g, err := gate.Open(t.Context(), c); err == nil {
			_ = g.Close()
			t.Errorf("opened with a wrong %s", name)
		}
	}
}

func TestTheServersOwnWordsForAnotherOption(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{"MySQL": sandboxtest.MySQLSource, "MariaDB": sandboxtest.MariaDBSource} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, err := gate.Open(t.Context(), gate.Config{Migration: "m", Source: connector(t, on(t), sandbox.Root, ""), Target: connector(t, sandboxtest.Target(t), sandbox.Root, ""), Connections: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = g.Close() }()
			err = g.Write(soon(t), func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "SELECT 1 INTO OUTFILE '/nowhere'")
				return err
			})
			if err == nil || !strings.Contains(err.Error(), "1290") || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Write: %v", err)
			}
			if _, err = g.DB().ExecContext(soon(t), "SELECT 1 INTO OUTFILE '/nowhere'"); err == nil || !strings.Contains(err.Error(), "1290") || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("DB: %v", err)
			}
		})
	}
}
