package cutover

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/cutover/helm"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// A coordinator is stopped (a VM that is moved, a laptop's lid) with its fence on the way. The standby takes over
// when it has said nothing for three seconds; and when it wakes up, nothing of what it was about to do is done.
func TestACoordinatorThatWakesUpDoesNothingMore(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	first := s.open()
	first.ready()
	g := s.application(first, "one")
	leave := s.students(g, 4, 5*time.Millisecond)
	first.close()
	for _, point := range []string{"source/fence.raise/1/stop", "target/objects.arm/2/stop"} {
		frozen := s.startAttempt(Cutover, point)
		s.stopped(frozen)
		began := time.Now()
		standby := s.open(func(o *Options) { o.Standby = true })
		s.within(15*time.Second, "the standby has taken over", func() error {
			if standby.Status().Writer != helm.Source {
				return errNotYet
			}
			return nil
		})
		t.Logf("stopped at %s: taken over after %v", point, time.Since(began).Round(time.Millisecond))
		s.goesOn(standby, helm.Source)
		if err := frozen.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		s.goesOn(standby, helm.Source)
		standby.ready()
		standby.make(Rehearse, Rehearsed)
		s.goesOn(standby, helm.Source)
		_ = frozen.Process.Kill()
		_ = frozen.Wait()
		standby.close()
	}
	last := s.open()
	last.ready()
	last.make(Cutover, Committed)
	s.goesOn(last, helm.Target)
	leave()
	s.audit(s.dst)
	s.equal()
}

// A coordinator's machine is gone without a word, and its sessions live on: one of them stands in a read view
// of a table from which the next one must take the triggers.
func TestSessionsThatADeadCoordinatorLeftAreEnded(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	first := s.open()
	first.ready()
	leave := s.students(s.application(first, "one"), 4, 5*time.Millisecond)
	first.close()
	s.attemptBy(Cutover, "source/register.commit/1/before") // the target is armed
	left, err := s.dst.DB(t, sandbox.Admin).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer left.Close()
	for _, q := range []string{"START TRANSACTION", "SELECT COUNT(*) FROM " + s.name + ".runs"} {
		if _, err := left.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	next := s.command().run()
	if w, _ := next.settled(time.Now()); w != helm.Source {
		t.Errorf("the writer is the %s", w)
	}
	next.ready()
	if err := left.PingContext(t.Context()); err == nil {
		t.Error("the session lives")
	}
	leave()
	s.audit(s.src)
}

// attemptBy has "changeover run" make an attempt and die at a point, or after it if it has none.
func (s *school) attemptBy(kind Kind, point string) (trace []string) {
	s.t.Helper()
	p := s.command().run()
	p.ready()
	if !p.makes(kind, point) && point != "" {
		s.t.Fatalf("%s did not meet %s:\n%s", kind, point, strings.Join(p.trace(), "\n"))
	}
	p.kill()
	return p.trace()
}

// startAttempt has "changeover run" begin an attempt that comes to a point.
func (s *school) startAttempt(kind Kind, point string) *process {
	s.t.Helper()
	p := s.command().run()
	p.ready()
	ctx, stop := context.WithCancel(context.Background())
	asked := make(chan struct{})
	go func() { // ends with the attempt, the process, or the test
		defer close(asked)
		for a, err := (answer{code: exitNo}), error(nil); err == nil && a.code == exitNo && ctx.Err() == nil; {
			a, err = p.attempt(ctx, kind, point)
		}
	}()
	s.t.Cleanup(func() { stop(); <-asked })
	return p
}

// An application server dies in the middle of an attempt: before it has drained, nobody can know what it
// still does, and all is undone; behind the fence it can do nothing more, and the role passes.
func TestAnApplicationServerMayDieInTheMiddle(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	var now *at
	c := s.open(func(o *Options) {
		o.Tap = func(side helm.Side, act string, n int, q string) func(error) {
			if now == nil {
				return func(error) {}
			}
			return now.tap(side, act, n, q)
		}
	})
	c.ready()
	leave := s.students(s.application(c, "one"), 4, 5*time.Millisecond)
	for _, death := range []struct {
		at   Act
		want Outcome
	}{{RegisterOpen, Undone}, {FenceNow, Committed}} {
		server, told := s.applicationProcess()
		s.within(20*time.Second, "it writes, and has a gate", func() error {
			if len(told()) < 10 || len(c.Status().Gates) < 2 {
				return fmt.Errorf("%d writes, %d gates", len(told()), len(c.Status().Gates))
			}
			return nil
		})
		now = &at{act: death.at, before: func() { _ = server.Process.Kill() }}
		r, err := c.Attempt(t.Context(), Request{Kind: Cutover, Wait: 20 * time.Second})
		if err != nil || r.Outcome != death.want {
			t.Fatalf("dead at %s: %v, %+v", death.at, err, r)
		}
		_ = server.Wait()
		now = nil
		for _, op := range told() { // what it was told is saved is
			s.mu.Lock()
			s.told[op] = true
			s.mu.Unlock()
		}
		s.goesOn(c, map[Outcome]helm.Side{Undone: helm.Source, Committed: helm.Target}[death.want])
	}
	leave()
	s.died = true
	s.audit(s.dst)
	s.equal()
}

// childVariable makes this test binary an application server.
const childVariable = "CHANGEOVER_COORDINATOR"

// childOrder is what the application server is told.
type childOrder struct {
	Name           string
	Source, Target login
}

type login struct {
	Host, User, Password string
	Port                 int
}

func (l login) endpoint() server.Endpoint {
	return server.Endpoint{Host: l.Host, Port: l.Port, User: l.User, Password: l.Password}
}

func loginOf(e server.Endpoint) login {
	return login{Host: e.Host, Port: e.Port, User: e.User, Password: e.Password}
}

// child is the application server's process.
func child() int {
	var o childOrder
	if err := json.Unmarshal([]byte(os.Getenv(childVariable)), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return serveApplication(context.Background(), o)
}

// applicationProcess is an application server of its own, which prints each write that was acknowledged.
func (s *school) applicationProcess() (*exec.Cmd, func() []string) {
	s.t.Helper()
	order, err := json.Marshal(childOrder{Name: s.name, Source: loginOf(endpoint(s.t, s.src, sandbox.App)), Target: loginOf(endpoint(s.t, s.dst, sandbox.App))})
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childVariable+"="+string(order))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
	var lines lineList
	go func() { // ends with the process
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines.add(scan.Text())
		}
	}()
	return cmd, lines.all
}

// serveApplication is the process: it writes until it is killed.
func serveApplication(ctx context.Context, o childOrder) int {
	g, err := openGate(ctx, o.Name, "process", o.Source.endpoint(), o.Target.endpoint())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	for {
		op, err := writeRun(ctx, g, o.Name, 77)
		if err == nil {
			fmt.Println(op)
		}
	}
}

// A coordinator dies, and with it the server that is not to be the writer: the other one is opened again all
// the same, by its own rows alone.
func TestAServerIsSettledWhileTheOtherIsAway(t *testing.T) {
	for _, c := range []struct {
		name, point  string
		writer, away func(*school) *sandboxtest.Server
		side         helm.Side
	}{
		{"the target, before the commit", "source/fence.now/1/after", (*school).source, (*school).target, helm.Source},
		{"the source, after the new writer's route row", "target/fence.lift.new/1/before", (*school).target, (*school).source, helm.Target},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSchool(t, sandbox.MySQL)
			first := s.open()
			first.ready()
			first.close()
			s.attemptBy(Cutover, c.point)
			if err := c.away(s).Kill(); err != nil {
				t.Fatal(err)
			}
			if err := s.plainWriteOn(c.writer(s)); err == nil {
				t.Fatal("it is not fenced: the test shows nothing")
			}
			next := s.open(func(o *Options) { o.Standby = true })
			s.within(10*time.Second, "an application writes", func() error { return s.plainWriteOn(c.writer(s)) })
			if err := c.away(s).Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.within(30*time.Second, "both are settled", func() error {
				if next.Status().Writer != c.side {
					return errNotYet
				}
				return nil
			})
			s.oneWriter(c.side)
		})
	}
}

func (s *school) source() *sandboxtest.Server { return s.src }
func (s *school) target() *sandboxtest.Server { return s.dst }
