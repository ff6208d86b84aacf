package cutover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/cutover/bus"
	"changeover/cutover/bus/hub"
	"changeover/cutover/gate"
	"changeover/cutover/helm"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// at is a tap that does something once, at the first statement of an act: before it is sent, or with
// its answer.
type at struct {
	act    Act
	before func()
	after  func()
	done   atomic.Bool
}

func (a *at) tap(_ helm.Side, act string, n int, _ string) func(error) {
	if act != string(a.act) || n != 1 || !a.done.CompareAndSwap(false, true) {
		return func(error) {}
	}
	if a.before != nil {
		a.before()
	}
	return func(error) {
		if a.after != nil {
			a.after()
		}
	}
}

// undone makes an attempt that must be undone for a reason, and sees that students noticed nothing but a
// pause, and that the source is the writer still.
func (s *school) undone(c *office, r Request, because string) *Record {
	s.t.Helper()
	r.Wait = 20 * time.Second
	record, err := c.Attempt(s.t.Context(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	if record.Outcome != Undone || !strings.Contains(strings.Join(record.Reasons, "; "), because) {
		s.t.Fatalf("the attempt is %s because %v; it should be undone because of %q\n%+v", record.Outcome, record.Reasons, because, record.Steps)
	}
	s.goesOn(c, helm.Source)
	return record
}

// goesOn sees that students write, to that side.
func (s *school) goesOn(c *office, writer helm.Side) {
	s.t.Helper()
	before := s.acknowledged()
	s.within(10*time.Second, "students write again", func() error {
		if s.acknowledged() < before+50 {
			return errNotYet
		}
		return nil
	})
	if st := c.Status(); st.Writer != writer {
		s.t.Errorf("the writer is %q, not the %s", st.Writer, writer)
	}
	s.oneWriter(writer)
}

func TestAnAttemptThatCantSucceedIsUndoneByItself(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	onSource, onTarget := s.src.DBIn(t, sandbox.App, s.name), s.dst.DB(t, sandbox.Root)
	var now *at // what is done to the attempt that is under way
	c := s.open(func(o *Options) {
		o.Tap = func(side helm.Side, act string, n int, q string) func(error) {
			if now == nil {
				return func(error) {}
			}
			return now.tap(side, act, n, q)
		}
	})
	c.ready()
	g := s.application(c, "one")
	leave := s.students(g, 4, 5*time.Millisecond)
	mend := func() {}

	t.Run("a row differs behind the fence", func(t *testing.T) {
		s.in(t)
		// Somebody without a gate writes a row while the gates hold, and somebody else changes it on the target.
		now = &at{act: FenceIntent, before: func() {
			res, err := onSource.Exec("INSERT INTO runs (op, student, lines_of_code) VALUES ('without a gate', 1, 7)")
			if err != nil {
				t.Error(err)
				return
			}
			id, _ := res.LastInsertId()
			s.mu.Lock()
			s.told["without a gate"] = true
			s.mu.Unlock()
			s.within(5*time.Second, "the row is on the target", func() error {
				res, err := onTarget.Exec("UPDATE "+s.name+".runs SET lines_of_code = 8 WHERE id = ?", id)
				if err != nil {
					return err
				}
				if n, _ := res.RowsAffected(); n != 1 {
					return errNotYet
				}
				return nil
			})
			mend = func() { _, _ = onTarget.Exec("UPDATE "+s.name+".runs SET lines_of_code = 7 WHERE id = ?", id) }
		}}
		s.undone(c, Request{Kind: Cutover}, "CO-2005")
		mend()
	})
	if _, err := c.opts.Verifier.Repair(); err != nil {
		t.Fatal(err)
	}
	s.within(20*time.Second, "nothing differs any more", func() error {
		if v := c.opts.Verifier.State(); v.Differences > 0 || v.ToRepair > 0 {
			return fmt.Errorf("%d differ", v.Differences)
		}
		return nil
	})

	t.Run("a statement is in the fence's way", func(t *testing.T) {
		s.in(t)
		var slow sync.WaitGroup
		now = &at{act: FenceIntent, before: func() {
			started := make(chan struct{})
			slow.Go(func() {
				conn, err := onSource.Conn(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				if _, err := conn.ExecContext(context.Background(), "LOCK TABLES hours WRITE"); err != nil {
					t.Error(err)
				}
				close(started)
				_, _ = conn.ExecContext(context.Background(), "SELECT SLEEP(1)")
				_, _ = conn.ExecContext(context.Background(), "UNLOCK TABLES")
			})
			<-started
		}}
		s.undone(c, Request{Kind: Cutover}, "CO-2010")
		slow.Wait()
	})

	t.Run("a transaction stays inside", func(t *testing.T) {
		s.in(t)
		now = nil
		stay, inside := make(chan struct{}), make(chan struct{})
		var once sync.Once
		var long sync.WaitGroup
		long.Go(func() {
			err := g.Write(context.Background(), func(ctx context.Context, tx *sql.Tx) error {
				once.Do(func() { close(inside) })
				if _, err := tx.ExecContext(ctx, "INSERT INTO "+s.name+".notes VALUES (1, 'a long story')"); err != nil {
					return err
				}
				select {
				case <-stay:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			})
			if err != nil {
				t.Errorf("the long write: %v", err)
			}
		})
		<-inside
		r := s.undone(c, Request{Kind: Cutover}, "CO-2033")
		if r.HoldMS > 1000 {
			t.Errorf("the hold was %.0f ms", r.HoldMS)
		}
		t.Run("and is cancelled if that is asked for", func(t *testing.T) {
			record, err := c.Attempt(t.Context(), Request{Kind: Rehearse, Wait: 20 * time.Second, CancelLong: true})
			if err != nil || record.Outcome != Rehearsed {
				t.Errorf("%v %+v", err, record)
			}
		})
		close(stay)
		long.Wait()
	})

	t.Run("the operator goes away", func(t *testing.T) {
		s.in(t)
		ctx, cancel := context.WithCancel(t.Context())
		now = &at{act: FenceRaise, after: cancel}
		r, err := c.Attempt(ctx, Request{Kind: Cutover, Wait: 20 * time.Second})
		if err != nil || r.Outcome != Undone {
			t.Fatalf("%v, %+v", err, r)
		}
		s.goesOn(c, helm.Source)
	})

	t.Run("and one that can succeeds after all of these", func(t *testing.T) {
		s.in(t)
		now = nil
		c.make(Cutover, Committed)
		s.goesOn(c, helm.Target)
	})
	leave()
	s.audit(s.dst)
	s.equal()
}

// The answer to the commit is lost, and nobody can tell from that which outcome stands: the register does,
// after the session is ended.
func TestAnUnknownCommitIsSettledEitherWay(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	root := s.src.DB(t, sandbox.Root)
	var c *office
	lose := func(wrote bool) func() {
		return func() {
			if wrote { // as if the server had done it, and the answer did not come
				if _, err := root.Exec("UPDATE _changeover.register SET outcome = 'commit' WHERE outcome = 'open'"); err != nil {
					t.Error(err)
				}
			}
			var id uint64
			if err := root.QueryRow("SELECT IS_USED_LOCK(CONCAT('changeover/', ?))", s.name).Scan(&id); err != nil {
				t.Error(err)
			}
			if err := helm.End(context.Background(), root, id); err != nil {
				t.Error(err)
			}
		}
	}
	now := &at{act: RegisterCommit, before: lose(false)}
	c = s.open(func(o *Options) {
		o.Tap = func(side helm.Side, act string, n int, q string) func(error) { return now.tap(side, act, n, q) }
	})
	c.ready()
	leave := s.students(s.application(c, "one"), 4, 5*time.Millisecond)
	s.undone(c, Request{Kind: Cutover}, "the commit did not take place")
	now = &at{act: RegisterCommit, before: lose(true)}
	c.ready()
	c.make(Cutover, Committed)
	s.goesOn(c, helm.Target)
	leave()
	s.audit(s.dst)
	s.equal()
}

// An application without a gate keeps to the old writer after the flip: it is refused there. Somebody whom no
// fence stops is seen by the watchman, with his rows, and nothing of it goes to the new writer.
func TestAWriterWithoutAGateIsRefusedAndAStrayIsReported(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	c := s.open()
	c.ready()
	old := s.src.DBIn(t, sandbox.App, s.name)
	if _, err := old.Exec("UPDATE totals SET runs = runs WHERE student = 1"); err != nil {
		t.Fatal(err)
	}
	r := c.make(Cutover, Committed)
	if r.Present["sessions_without_a_gate"] == 0 {
		t.Errorf("preflight did not see that session: %v", r.Present)
	}
	_, err := old.Exec("INSERT INTO runs (op, student, lines_of_code) VALUES ('late', 1, 1)")
	if err == nil || !strings.Contains(err.Error(), "1290") {
		t.Errorf("a plain account writes to the old writer: %v", err)
	}
	// A server that was started with an old configuration asks both, and goes to the new writer.
	late := s.application(c, "late")
	s.write(late, 9)
	if route := late.Route(); route.Side != gate.Target || route.Epoch != r.Epoch {
		t.Errorf("the late gate's route is %+v", route)
	}
	s.src.Exec(t, "INSERT INTO "+s.name+".runs (op, student, lines_of_code) VALUES ('a stray', 1, 99)")
	s.within(10*time.Second, "the stray is reported", func() error {
		st := c.Status()
		if st.Strays != 1 {
			return fmt.Errorf("%d strays, %s", st.Strays, st.Watch)
		}
		if !strings.Contains(fmt.Sprint(st.First[0].Rows), "a stray") {
			return fmt.Errorf("without its rows: %+v", st.First)
		}
		return nil
	})
	var n int
	if err := s.dst.DBIn(t, sandbox.Root, s.name).QueryRow("SELECT COUNT(*) FROM runs WHERE op = 'a stray'").Scan(&n); err != nil || n != 0 {
		t.Errorf("the stray is on the new writer %d times, %v", n, err)
	}
	s.audit(s.dst)
}

func TestASecondCoordinatorIsRefusedAndAStandbyWaits(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	c := s.open()
	c.ready()
	if err := New(s.options()).Run(t.Context()); !fault.Is(err, fault.LeaseHeld) {
		t.Errorf("a second run: %v", err)
	}
	if _, err := New(s.options()).Settle(t.Context()); !fault.Is(err, fault.LeaseHeld) {
		t.Errorf("settle beside a run: %v", err)
	}
	standby := s.open(func(o *Options) { o.Standby = true })
	c.make(Cutover, Committed)
	if w := standby.Status().Writer; w != "" {
		t.Errorf("the standby is in office beside the first: %s", w)
	}
	c.close()
	s.within(5*time.Second, "the standby takes over", func() error {
		if w := standby.Status().Writer; w != helm.Target {
			return fmt.Errorf("the writer is %q", w)
		}
		return nil
	})
}

// A server dies in the middle: before the commit everything is undone, whichever it is.
func TestAServerThatDiesInTheMiddleUndoesTheAttempt(t *testing.T) {
	for name, point := range map[string]Act{"the target while it is armed": ObjectsArm, "the source behind its fence": FenceNow} {
		t.Run(name, func(t *testing.T) {
			s := newSchool(t, sandbox.MySQL)
			victim := s.dst
			if point == FenceNow {
				victim = s.src
			}
			var back sync.WaitGroup
			now := &at{act: point, before: func() {
				if err := victim.Kill(); err != nil {
					t.Error(err)
				}
				back.Go(func() {
					if point == ObjectsArm {
						// The source is the writer again while the target is away: undo needs nobody.
						s.within(10*time.Second, "students write to the source", func() error { return s.plainWrite() })
					}
					if err := victim.Restart(context.Background()); err != nil {
						t.Error(err)
					}
				})
			}}
			c := s.open(func(o *Options) {
				o.Tap = func(side helm.Side, act string, n int, q string) func(error) { return now.tap(side, act, n, q) }
			})
			c.ready()
			leave := s.students(s.application(c, "one"), 4, 5*time.Millisecond)
			if r, err := c.Attempt(t.Context(), Request{Kind: Cutover, Wait: 20 * time.Second}); err == nil && r.Outcome == Committed {
				t.Fatalf("committed while a server was dead: %+v", r)
			}
			back.Wait()
			s.within(30*time.Second, "the coordinator is in office again", func() error {
				if c.Status().Writer == "" {
					return errNotYet
				}
				return nil
			})
			s.goesOn(c, helm.Source)
			c.ready()
			c.make(Cutover, Committed)
			s.goesOn(c, helm.Target)
			leave()
			s.audit(s.dst)
			s.equal()
		})
	}
}

// plainWrite is one write on the source by a plain account.
func (s *school) plainWrite() error { return s.plainWriteOn(s.src) }

// plainWriteOn is one on either server.
func (s *school) plainWriteOn(on *sandboxtest.Server) error {
	db, err := on.Open(sandbox.App, s.name)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err = db.ExecContext(ctx, "UPDATE totals SET runs = runs WHERE student = 1")
	return err
}

// The bus dies as the gates are to hold: none can be seen to have drained, so all is undone; and the route
// rows alone are enough for those that hear nothing.
func TestWithoutTheBusNothingIsLost(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	h, err := hub.Listen(hub.Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	now := &at{act: RegisterOpen, before: func() { h.Close() }}
	c := s.open(func(o *Options) {
		o.Bus = &Bus{Address: h.Address(), Public: bus.Public(h.Address()), Loopback: true}
		o.Tap = func(side helm.Side, act string, n int, q string) func(error) { return now.tap(side, act, n, q) }
	})
	c.ready()
	leave := s.students(s.application(c, "one"), 4, 5*time.Millisecond)
	s.goesOn(c, helm.Source)
	record, err := c.Attempt(t.Context(), Request{Kind: Cutover, Wait: 20 * time.Second})
	if err != nil || record.Outcome != Undone {
		t.Fatalf("%v %+v", err, record)
	}
	s.goesOn(c, helm.Source)
	c.close()
	// A coordinator that has no bus: gates meet the fence, wait for the route, and go over by it.
	quiet := s.open(func(o *Options) { o.Bus = nil })
	quiet.ready()
	quiet.make(Cutover, Committed)
	s.goesOn(quiet, helm.Target)
	leave()
	s.audit(s.dst)
	s.equal()
}

// What passes a read_only fence is found before anything is touched.
func TestWhatPassesTheFenceIsRefusedByPreflight(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	c := s.open()
	c.ready()
	s.src.Exec(t, "CREATE DEFINER=`root`@`localhost` PROCEDURE "+s.name+".sneak() SQL SECURITY DEFINER INSERT INTO "+s.name+".totals VALUES (-7, 0, 0)",
		"GRANT EXECUTE ON PROCEDURE "+s.name+".sneak TO app@'%'")
	refused := func(because string) {
		t.Helper()
		r, err := c.Attempt(t.Context(), Request{Kind: Cutover})
		if err != nil || r.Outcome != Refused || !strings.Contains(strings.Join(r.Reasons, "; "), because) {
			t.Errorf("%v, %+v; it should be refused because of %q", err, r, because)
		}
		if w := c.Status().Writer; w != helm.Source {
			t.Errorf("the writer is %q", w)
		}
	}
	refused("sneak")
	s.src.Exec(t, "DROP PROCEDURE "+s.name+".sneak")
	db, err := s.src.Open(sandbox.App, s.name)
	if err != nil {
		t.Fatal(err)
	}
	xa, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"XA START 'x'", "UPDATE totals SET runs = runs WHERE student = 1", "XA END 'x'", "XA PREPARE 'x'"} {
		if _, err := xa.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	refused("CO-2016")
	if _, err := xa.ExecContext(t.Context(), "XA ROLLBACK 'x'"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(xa.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	s.src.Exec(t, "CREATE DATABASE others")
	s.src.Exec(t, "CREATE TABLE others.t (id INT PRIMARY KEY)")
	r, err := c.Attempt(t.Context(), Request{Kind: Rehearse, Wait: 5 * time.Second})
	s.src.Exec(t, "DROP DATABASE others")
	if err != nil || !strings.Contains(strings.Join(append(r.Notes, r.Reasons...), "; "), "accounts") {
		t.Errorf("a server that others use is not fenced by its accounts: %v %+v", err, r)
	}
	c.make(Cutover, Committed)
}

// A way back that a person must mend is no reason to leave: the writer goes on, its gates have their bus, a rollback is
// refused, and whoever asks can finish.
func TestAWayBackThatStopsEndsNoTerm(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	c := s.open()
	c.ready()
	c.make(Cutover, Committed)
	g := s.application(c, "one")
	s.write(g, 1)
	s.src.Exec(t, "DELETE FROM "+s.name+".notes", "INSERT INTO "+s.name+".notes VALUES (77, 'of somebody else')")
	s.dst.Exec(t, "INSERT INTO "+s.name+".notes VALUES (77, 'of the writer')")
	s.within(20*time.Second, "the way back stops", func() error {
		if says := c.Status().Rollback; !strings.Contains(says, "CO-") {
			return fmt.Errorf("status says %s", says)
		}
		return nil
	})
	s.write(g, 1)
	r, err := c.Attempt(t.Context(), Request{Kind: Rollback, Wait: time.Second})
	if err != nil || r.Outcome != Refused || !strings.Contains(strings.Join(r.Reasons, "; "), "the stream has stopped: CO-") {
		t.Errorf("a rollback then: %v %+v", err, r)
	}
	s.write(g, 1)
	if err := c.Finish(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	<-c.done
	s.oneWriter(helm.Target)
}

// The role has passed, and the way back is ended: no run goes on, and the source stays fenced.
func TestFinishEndsTheWayBack(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	c := s.open()
	c.ready()
	if err := c.Finish(t.Context(), false); !fault.Is(err, fault.NothingToDo) {
		t.Errorf("finish before a cutover: %v", err)
	}
	c.make(Cutover, Committed)
	g := s.application(c, "one")
	s.write(g, 1)
	s.within(20*time.Second, "the gate is known", func() error { // it writes by the route row before the bus has heard of it
		if n := len(c.Status().Gates); n != 1 {
			return fmt.Errorf("%d gates are known", n)
		}
		return nil
	})
	if err := c.Finish(t.Context(), true); !fault.Is(err, fault.StillNamed) {
		t.Errorf("finish --forget while a gate begins with the source: %v", err)
	}
	if err := c.Finish(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	<-c.done
	s.oneWriter(helm.Target)
	if err := New(s.options()).Run(t.Context()); !fault.Is(err, fault.NothingToDo) {
		t.Errorf("a run after finish: %v", err)
	}
	s.write(g, 1)
	s.audit(s.dst)
}
