package cutover

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"

	"changeover/cutover/gate"
	"changeover/cutover/helm"
	"changeover/internal/sandbox"
)

// natsVariable makes this test binary a NATS server that listens at this address, until it is killed or its
// standard input ends with the test's process.
const natsVariable = "CHANGEOVER_NATS"

// serveNATS is the process.
func serveNATS(at string) int {
	host, text, err := net.SplitHostPort(at)
	if err != nil {
		return 2
	}
	port, _ := strconv.Atoi(text)
	if port == 0 {
		port = nats.RANDOM_PORT
	}
	n, err := nats.NewServer(&nats.Options{Host: host, Port: port, NoSigs: true, NoLog: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	n.Start()
	if !n.ReadyForConnections(10 * time.Second) {
		return 3
	}
	fmt.Println(n.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// cluster is a NATS server that is somebody else's: a process of its own, which outlives a coordinator and
// dies without one.
type cluster struct {
	t    testing.TB
	at   string // host:port, the same after each start
	cmd  *exec.Cmd
	ends io.Closer
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, at: "127.0.0.1:0"}
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return c
}

func (c *cluster) url() string { return "nats://" + c.at }

// start starts the server, and returns when it listens.
func (c *cluster) start() error {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), natsVariable+"="+c.at)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		return fmt.Errorf("the NATS server does not come up at %s: %w, %w", c.at, err, cmd.Wait())
	}
	c.at, c.cmd, c.ends = strings.TrimSpace(line), cmd, in
	return nil
}

// kill is kill -9: nobody is told.
func (c *cluster) kill() {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	_ = c.ends.Close()
	c.cmd = nil
}

// back starts it again at its port, while the attempt goes on.
func (c *cluster) back() {
	if err := c.start(); err != nil {
		c.t.Error(err)
	}
}

// heard waits until the coordinator hears these gates over the bus, all at its epoch.
func (s *school) heard(c *office, names ...string) {
	s.t.Helper()
	s.within(20*time.Second, "the gates are heard over the bus", func() error {
		st := c.Status()
		var there []string
		for _, g := range st.Gates {
			if g.Epoch == st.Epoch && (g.State == gate.StateOpen || g.State == gate.StateFlipped) {
				there = append(there, g.Name)
			}
		}
		slices.Sort(there)
		if !slices.Equal(there, names) {
			return fmt.Errorf("heard at epoch %d: %v, of %+v", st.Epoch, there, st.Gates)
		}
		return nil
	})
}

// routed waits until gates go by the writer's epoch, by whatever way they have heard of it.
func (s *school) routed(c *office, gates ...*gate.Gate) {
	s.t.Helper()
	s.within(10*time.Second, "every gate goes to the writer", func() error {
		st := c.Status()
		for _, g := range gates {
			if r := g.Route(); string(r.Side) != string(st.Writer) || r.Epoch != st.Epoch || r.Held {
				return fmt.Errorf("a gate goes to the %s at epoch %d (held: %v); the writer is the %s at epoch %d", r.Side, r.Epoch, r.Held, st.Writer, st.Epoch)
			}
		}
		return nil
	})
}

// forward is the attempt by which the role passes from whoever has it.
func forward(c *office) (Kind, helm.Side) {
	if c.Status().Writer == helm.Target {
		return Rollback, helm.Source
	}
	return Cutover, helm.Target
}

// The operator's NATS server is killed in the middle of an attempt, and comes back at its port while the attempt goes
// on. The bus is never needed to be right: the attempt is undone or has committed, nobody's write fails, every
// gate finds the writer, and is heard again; the next attempt commits, and all gates hold in it.
func TestTheBusIsKilledAndComesBackDuringAnAttempt(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	n := newCluster(t)
	var now *at
	c := s.open(func(o *Options) {
		o.Bus = &Bus{Address: n.url(), Public: n.url(), Loopback: true}
		o.Tap = func(side helm.Side, act string, n int, q string) func(error) {
			if now == nil {
				return func(error) {}
			}
			return now.tap(side, act, n, q)
		}
	})
	c.ready()
	one, two := s.application(c, "one"), s.application(c, "two")
	leave := []func(){s.students(one, 3, 5*time.Millisecond), s.students(two, 3, 5*time.Millisecond)}
	s.heard(c, "one", "two")
	soon, forgotten, after := "soon", "when nobody is remembered", "after the attempt"
	for _, p := range []struct {
		when string
		act  Act
		back string
		want []Outcome
	}{
		{"before the hold", ObjectsAhead, soon, []Outcome{Committed}}, // preflight waits for it
		{"before the hold, for a long time", ObjectsAhead, forgotten, []Outcome{Committed}},
		{"as the hold begins", RegisterOpen, soon, []Outcome{Undone, Committed}},
		{"as the hold begins, for good", RegisterOpen, after, []Outcome{Undone}},
		{"in the hold, behind the fence", FenceNow, soon, []Outcome{Committed}}, // all have drained
		{"in the hold, before the commit, for good", RegisterCommit, after, []Outcome{Committed}},
		{"after the commit, before the flip", FenceLiftNew, soon, []Outcome{Committed}},
		{"after the commit, before the flip, for good", FenceLiftNew, after, []Outcome{Committed}},
	} {
		t.Run(p.when, func(t *testing.T) {
			s.in(t)
			c.ready()
			kind, writer := forward(c)
			back := make(chan struct{})
			comes := func() {
				defer close(back)
				if p.back == forgotten {
					s.within(10*time.Second, "the gates are forgotten", func() error {
						if n := len(c.Status().Gates); n > 0 {
							return fmt.Errorf("%d are known", n)
						}
						return nil
					})
				}
				n.back()
			}
			now = &at{act: p.act, before: func() {
				n.kill()
				if p.back != after {
					go comes() // ends with the server's start, which is waited for
				}
			}}
			began := time.Now()
			r, err := c.Attempt(t.Context(), Request{Kind: kind, Wait: 20 * time.Second})
			if p.back == after {
				s.goesOn(c, c.Status().Writer)
				s.routed(c, one, two) // by the route rows
				comes()
			}
			if <-back; err != nil || !slices.Contains(p.want, r.Outcome) {
				t.Fatalf("%v, %+v", err, r)
			}
			now = nil
			t.Logf("%s is %s after %v: hold %.1f ms, %v, gates %+v, notes %v, reasons %v", kind, r.Outcome, time.Since(began).Round(time.Millisecond), r.HoldMS, stepTimes(r), r.Gates, r.Notes, r.Reasons)
			if r.Outcome == Undone {
				writer = writer.Other()
			}
			if limit := millis(c.opts.Hold + 500*time.Millisecond); r.HoldMS > limit { // the budget ends with the commit
				t.Errorf("the hold was %.0f ms", r.HoldMS)
			}
			if p.act == ObjectsAhead && (len(r.Gates) != 2 || r.Present["gates"] != 2) {
				t.Errorf("the attempt began while not all gates were back: %v, %+v", r.Present, r.Gates)
			}
			s.goesOn(c, writer)
			s.routed(c, one, two)
			s.heard(c, "one", "two")
			c.ready()
			kind, writer = forward(c)
			r = c.make(kind, Committed)
			if len(r.Gates) != 2 || r.Gates[0].HeldMS == 0 || r.Gates[1].HeldMS == 0 {
				t.Errorf("not every gate has held in the next attempt: %+v", r.Gates)
			}
			s.goesOn(c, writer)
			s.routed(c, one, two)
		})
	}
	for _, f := range leave {
		f()
	}
	s.audit(s.on(c.Status().Writer))
	s.equal()
}
