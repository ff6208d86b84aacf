package cutover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/cutover/helm"
	"changeover/internal/sandbox"
)

// A coordinator is killed while its SET GLOBAL read_only waits in the server behind somebody's long UPDATE. It goes on
// waiting there, for as long as lock_wait_timeout of the helm's session, and takes effect if the UPDATE ends meanwhile, after
// its coordinator's death. Whichever comes first, that or the next coordinator: the source takes writes as before.
func TestALateFenceOfADeadCoordinatorFencesNobody(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	first := s.open()
	first.ready()
	leave := s.students(s.application(first, "one"), 4, 5*time.Millisecond)
	first.close()
	root, app := s.src.DB(t, sandbox.Root), s.src.DBIn(t, sandbox.App, s.name)
	keeper, err := root.Conn(t.Context()) // the long UPDATE lasts for as long as it has the lock
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = keeper.Close() }()
	long, err := app.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = long.Close() }()
	if _, err := long.ExecContext(t.Context(), "INSERT INTO notes VALUES (1, 'short')"); err != nil {
		t.Fatal(err)
	}
	there := func(statement, state string) error {
		var n int
		err := root.QueryRow("SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_INFO LIKE ? AND PROCESSLIST_STATE LIKE ?", statement, state).Scan(&n)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d statements %s are in the state %s", n, statement, state)
		}
		return err
	}
	ended := make(chan error, 1)
	// goes lets the long UPDATE end.
	goes := func() error {
		if _, err := keeper.ExecContext(t.Context(), "DO RELEASE_LOCK('long')"); err != nil {
			return err
		}
		err := <-ended
		_, unlocked := long.ExecContext(t.Context(), "DO RELEASE_LOCK('long')")
		return errors.Join(err, unlocked)
	}
	for _, takesEffect := range []bool{true, false} {
		t.Run(map[bool]string{true: "it takes effect", false: "the next coordinator is before it"}[takesEffect], func(t *testing.T) {
			s.in(t)
			dying := s.startAttempt(Cutover, "source/fence.intent/1/stop") // the act before: a process goes on for a moment when it is stopped
			waits := false
			for range 5 { // the coordinator ends its statement by itself after 150 ms, and its hold after 1 s: a busy machine may be too late
				s.stopped(dying)
				if _, err := keeper.ExecContext(t.Context(), "DO GET_LOCK('long', 0)"); err != nil {
					t.Fatal(err)
				}
				go func() { // ends with the lock, or is refused
					_, err := long.ExecContext(context.Background(), "UPDATE notes SET text = IF(GET_LOCK('long', 60), 'long', 'never') WHERE id = 1")
					ended <- err
				}()
				s.within(10*time.Second, "the long UPDATE runs", func() error {
					if len(ended) > 0 {
						return nil // refused: not all of the process was stopped before it had raised its fence
					}
					return there("UPDATE notes%", "User lock")
				})
				if err := dying.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				for deadline := time.Now().Add(2 * time.Second); !waits && len(ended) == 0 && time.Now().Before(deadline); {
					waits = there("SET GLOBAL read_only%", "Waiting%") == nil
				}
				if waits {
					break
				}
				t.Logf("not yet: %v", goes())
			}
			_ = dying.Process.Kill()
			_ = dying.Wait()
			if err := there("SET GLOBAL read_only%", "Waiting%"); !waits || err != nil {
				t.Fatalf("the fence of a dead coordinator does not wait, so the test shows nothing: %v", err)
			}
			if takesEffect {
				if err := goes(); err != nil {
					t.Errorf("the long UPDATE: %v", err)
				}
				s.within(2*time.Second, "a dead coordinator's fence takes effect", func() error {
					var on bool
					if err := root.QueryRow("SELECT @@GLOBAL.read_only").Scan(&on); err != nil || !on {
						return errors.Join(errNotYet, err)
					}
					return nil
				})
			}
			next := s.open(func(o *Options) { o.Standby = true })
			s.within(10*time.Second, "the next coordinator is in office", func() error {
				if next.Status().Writer == "" {
					return errNotYet
				}
				return nil
			})
			s.goesOn(next, helm.Source)
			if !takesEffect {
				if err := goes(); err != nil {
					t.Errorf("the long UPDATE: %v", err)
				}
				s.goesOn(next, helm.Source)
			}
		})
	}
	next := s.open()
	next.ready()
	if r := next.make(Cutover, Committed); len(r.Gates) != 1 {
		t.Errorf("the gate has not found the next coordinator's bus: %+v", r.Gates)
	}
	s.goesOn(next, helm.Target)
	var text string
	if err := s.dst.DBIn(t, sandbox.Root, s.name).QueryRow("SELECT text FROM notes WHERE id = 1").Scan(&text); err != nil || text != "long" {
		t.Errorf("what the long UPDATE wrote is %q on the new writer, %v", text, err)
	}
	leave()
	s.audit(s.dst)
	s.equal()
}

// stopped waits until a process is stopped.
func (s *school) stopped(p *process) {
	s.t.Helper()
	s.within(time.Minute, "the coordinator is stopped", func() error {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		if err != nil {
			return err
		}
		if state := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[0]; state != "T" {
			return fmt.Errorf("it is %s", state)
		}
		return nil
	})
}
