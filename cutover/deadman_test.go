package cutover

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/cutover/helm"
	"changeover/internal/sandbox"
)

// A coordinator dies, or hangs, with its fence up, and nobody comes: the old writer undoes the attempt by
// itself, and takes writes again.
func TestTheOldWriterUndoesWhatADeadCoordinatorLeft(t *testing.T) {
	for _, flavor := range []sandbox.Flavor{sandbox.MySQL, sandbox.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			s := newSchool(t, flavor)
			first := s.open()
			first.ready()
			leave := s.students(s.application(first, "one"), 4, 5*time.Millisecond)
			first.close()
			found := s.writerAsItIs()
			for _, point := range []string{"fence.now/1/after", "register.commit/1/before", "fence.now/1/stop", "fence.lasting/1/stop"} {
				s.in(t)
				t.Logf("at %s", point)
				hangs := strings.HasSuffix(point, "stop")
				var frozen *process
				if hangs {
					frozen = s.startAttempt(Cutover, "source/"+point)
					s.stopped(frozen)
				} else {
					s.attemptBy(Cutover, "source/"+point)
				}
				began := time.Now()
				if err := s.plainWrite(); err == nil {
					t.Fatal("it is not fenced: the test shows nothing")
				}
				s.within(10*time.Second, "an application writes", s.plainWrite)
				took := time.Since(began)
				t.Logf("%s: writes again after %v", point, took.Round(time.Millisecond))
				s.within(5*time.Second, "the event is through", func() error {
					if now := s.writerAsItIs(); now != found {
						return fmt.Errorf("the source is not as it was found:\n%s\nnow:\n%s", found, now)
					}
					return nil
				})
				if o := s.registered(); o != helm.Abort {
					t.Errorf("the register says %s", o)
				}
				if hangs { // it wakes up, and finds that it has lost the helm
					if err := frozen.Process.Signal(syscall.SIGCONT); err != nil {
						t.Fatal(err)
					}
					_, _ = frozen.settled(time.Now())
					if err := s.plainWrite(); err != nil {
						t.Errorf("it woke up, and a write is answered with: %v", err)
					}
					_ = frozen.Process.Kill()
					_ = frozen.Wait()
				}
				next := s.open(func(o *Options) { o.Standby = true })
				s.within(10*time.Second, "the next one has settled", func() error {
					if next.Status().Writer != helm.Source {
						return errNotYet
					}
					return nil
				})
				if left := s.leftEvents(); left != "" {
					t.Errorf("left in _changeover: %s", left)
				}
				s.goesOn(next, helm.Source)
				next.close()
			}
			last := s.open()
			last.ready()
			last.make(Cutover, Committed)
			s.writesOn(helm.Target)
			if left := s.leftEvents(); left != "" {
				t.Errorf("left in _changeover after an attempt: %s", left)
			}
			leave()
			s.audit(s.dst)
			s.equal()
		})
	}
}

// What is committed stands: the event of a coordinator that died behind its commit leaves the fence alone.
func TestTheOldWriterLeavesACommitAlone(t *testing.T) {
	for _, flavor := range []sandbox.Flavor{sandbox.MySQL, sandbox.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			s := newSchool(t, flavor)
			first := s.open()
			first.ready()
			first.close()
			s.attemptBy(Cutover, "source/register.commit/1/after")
			// Two runs that began when the silence was long enough: one of them is through.
			silent, runs := 0, map[string]bool{}
			db := s.src.DB(t, sandbox.Root)
			s.within(20*time.Second, "the event has run", func() error {
				var last sql.NullString
				if err := errors.Join(db.QueryRow("SELECT TIMESTAMPDIFF(SECOND, beat, UTC_TIMESTAMP(6)) FROM _changeover.helm WHERE migration = ?", s.name).Scan(&silent),
					db.QueryRow("SELECT LAST_EXECUTED FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '_changeover'").Scan(&last)); err != nil {
					return err
				}
				if silent >= 4 {
					runs[last.String] = true
				}
				if len(runs) < 3 {
					return fmt.Errorf("silent for %d s, %d runs", silent, len(runs))
				}
				return nil
			})
			if o := s.registered(); o != helm.Commit {
				t.Errorf("the register says %s", o)
			}
			if err := s.plainWrite(); err == nil {
				t.Error("the old writer takes writes behind the commit")
			}
			next := s.open()
			s.within(10*time.Second, "the next one has settled", func() error {
				if next.Status().Writer != helm.Target {
					return errNotYet
				}
				return nil
			})
			s.writesOn(helm.Target)
			if left := s.leftEvents(); left != "" {
				t.Errorf("left in _changeover: %s", left)
			}
		})
	}
}

// Without a scheduler there is no such event: the attempt is made all the same, and says so.
func TestWithoutASchedulerTheAttemptSaysThatNobodyUndoesIt(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	s.src.Exec(t, "SET GLOBAL event_scheduler = OFF")
	c := s.open()
	c.ready()
	r := c.make(Rehearse, Rehearsed)
	if notes := strings.Join(r.Notes, "; "); !strings.Contains(notes, "no dead-man's event on the source: event_scheduler is OFF") {
		t.Errorf("notes: %s", notes)
	}
	s.src.Exec(t, "SET GLOBAL event_scheduler = ON")
	if r = c.make(Rehearse, Rehearsed); strings.Contains(strings.Join(r.Notes, "; "), "dead-man") {
		t.Errorf("notes: %v", r.Notes)
	}
}

// writesOn sees that an application's account writes on one side only, by whatever fence the other has.
func (s *school) writesOn(writer helm.Side) {
	s.t.Helper()
	for side, want := range map[helm.Side]bool{writer: true, writer.Other(): false} {
		if err := s.plainWriteOn(s.on(side)); (err == nil) != want {
			s.t.Errorf("the writer is the %s, and a write on the %s is answered with: %v", writer, side, err)
		}
	}
}

// writerAsItIs is what a fence touches on the source, as text.
func (s *school) writerAsItIs() (text string) {
	s.t.Helper()
	queries := []string{"SELECT @@GLOBAL.read_only", "SELECT @@GLOBAL.event_scheduler",
		"SELECT COALESCE(GROUP_CONCAT(CONCAT_WS(' ', EVENT_NAME, STATUS, DEFINER, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, EVENT_DEFINITION) ORDER BY EVENT_NAME), '') FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '" + s.name + "'",
		"SELECT COALESCE(GROUP_CONCAT(state), '') FROM _changeover.fence WHERE state <> 'none'"}
	locked := "SELECT COALESCE(GROUP_CONCAT(User), '') FROM mysql.user WHERE account_locked = 'Y' AND User NOT LIKE 'mysql.%'"
	if s.src.Flavor == sandbox.MariaDB {
		locked = "SELECT COALESCE(GROUP_CONCAT(User), '') FROM mysql.global_priv WHERE JSON_VALUE(Priv, '$.account_locked') IN ('true', '1') AND User <> 'mariadb.sys'"
	} else {
		queries = append(queries, "SELECT COALESCE(GROUP_CONCAT(VARIABLE_NAME), '') FROM performance_schema.persisted_variables")
	}
	db := s.src.DB(s.t, sandbox.Root)
	for _, q := range append(queries, locked) {
		var v string
		if err := db.QueryRow(q).Scan(&v); err != nil {
			s.t.Fatalf("%s: %v", q, err)
		}
		text += q + ": " + v + "\n"
	}
	return text
}

// registered is what the source's register says of its newest attempt.
func (s *school) registered() (o helm.Outcome) {
	s.t.Helper()
	if err := s.src.DB(s.t, sandbox.Root).QueryRow("SELECT outcome FROM _changeover.register WHERE migration = ? ORDER BY attempt DESC LIMIT 1", s.name).Scan(&o); err != nil {
		s.t.Fatal(err)
	}
	return o
}

// leftEvents are the events in `_changeover` of both servers.
func (s *school) leftEvents() (left string) {
	s.t.Helper()
	for _, side := range []helm.Side{helm.Source, helm.Target} {
		var names sql.NullString
		if err := s.on(side).DB(s.t, sandbox.Root).QueryRow("SELECT GROUP_CONCAT(EVENT_NAME) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '_changeover'").Scan(&names); err != nil {
			s.t.Fatal(err)
		}
		left += names.String
	}
	return left
}
