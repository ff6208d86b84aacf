package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/cdc"
	"changeover/cutover/bus"
	"changeover/cutover/bus/hub"
	"changeover/cutover/helm"
	"changeover/internal/config"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
	"changeover/verify"
)

var errNotYet = errors.New("not yet")

// childVariable makes this test binary a coordinator that makes one attempt, and dies where it is told.
const childVariable = "CHANGEOVER_COORDINATOR"

// childOrder is what the child is told.
type childOrder struct {
	Name           string
	Source, Target login
	Kind           Kind
	Point          string // side/act/n/when; empty: it lives
	Trace          string // a file for every statement that was met
	Application    bool   // it is no coordinator, but an application server
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

// child is the coordinator's process.
func child() int {
	var o childOrder
	if err := json.Unmarshal([]byte(os.Getenv(childVariable)), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if o.Application {
		return serveApplication(context.Background(), o)
	}
	log := zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true, TimeFormat: "15:04:05.000"}).With().Timestamp().Str("in", "child").Logger()
	h, err := hub.Listen(hub.Options{Address: "127.0.0.1:0"})
	if err != nil {
		log.Error().Err(err).Msg("bus")
		return 2
	}
	armed := false
	tap := func(side helm.Side, act string, n int, statement string) func(error) {
		at := strings.Join([]string{string(side), act, strconv.Itoa(n)}, "/")
		if !armed {
			return func(error) {} // what settles before the attempt is another test's
		}
		if f, err := os.OpenFile(o.Trace, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			fmt.Fprintf(f, "%s %.100q\n", at, statement)
			_ = f.Close()
		}
		switch o.Point {
		case at + "/before":
			die()
		case at + "/stop":
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		case at + "/during":
			time.AfterFunc(time.Duration(rand.IntN(600))*time.Microsecond, die)
		case at + "/after":
			return func(error) { die() }
		}
		return func(error) {}
	}
	stream := cdc.Options{Migration: o.Name, Source: o.Source.endpoint(), Target: o.Target.endpoint(), Databases: []string{o.Name}, CopyWorkers: 2, Chunk: 256 << 10, ApplyWorkers: 4, Memory: 64 << 20, Log: log}
	v := verify.New(verify.Config{Log: log})
	c := New(Options{Stream: stream, Verifier: v, Hold: time.Second, Fence: config.FenceAuto, Operators: operators, Standby: true, Log: log, Tap: tap,
		Bus: &Bus{Address: h.Address(), Public: bus.Public(h.Address()), Loopback: true}})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		if err := c.Run(ctx); err != nil {
			log.Error().Err(err).Msg("ended")
			os.Exit(3)
		}
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if r, ok := c.Runner(); ok && r.Status().Phase == "streaming" && v.State().Wholly {
			break
		}
		if time.Now().After(deadline) {
			log.Error().Msg("never ready")
			return 4
		}
	}
	armed = true
	var r *Record
	for range 10 { // a machine that does much else at the same time is refused now and then
		if r, err = c.Attempt(ctx, Request{Kind: o.Kind, Wait: 20 * time.Second}); err != nil || r.Outcome == Committed || r.Outcome == Rehearsed {
			break
		}
		log.Warn().Interface("record", r).Msg("once more")
	}
	log.Info().Err(err).Interface("record", r).Msg("the attempt ended")
	fmt.Println("ended", r.Outcome)
	select {} // until the test kills it
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// attemptBy has a process of its own make an attempt and die at a point, or after it if it has none.
func (s *school) attemptBy(kind Kind, point string) (trace []string) {
	s.t.Helper()
	o := childOrder{Name: s.name, Source: loginOf(endpoint(s.t, s.src, sandbox.Changeover)), Target: loginOf(endpoint(s.t, s.dst, sandbox.Admin)), Kind: kind, Point: point,
		Trace: filepath.Join(s.t.TempDir(), "trace")}
	order, err := json.Marshal(o)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childVariable+"="+string(order))
	var log, out strings.Builder
	cmd.Stderr, cmd.Stdout = &log, &watchFor{text: &out, word: "ended", then: func() { _ = cmd.Process.Kill() }}
	err = cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		s.t.Fatalf("the coordinator of %s at %s: %v\n%s", kind, point, err, log.String())
	}
	if os.Getenv("CHANGEOVER_LOG") != "" {
		s.t.Log(log.String())
	}
	text, err := os.ReadFile(o.Trace)
	if err != nil {
		s.t.Fatalf("the coordinator of %s at %s made no statement: %v\n%s", kind, point, err, log.String())
	}
	if out.Len() > 0 && !strings.Contains(out.String(), string(Committed)) && !strings.Contains(out.String(), string(Rehearsed)) {
		s.t.Fatalf("%s, to die at %q, did not go through:\n%s", kind, point, log.String())
	}
	if point != "" && out.Len() > 0 {
		s.t.Logf("%s did not meet %s", kind, point)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// watchFor calls then when the word has been written.
type watchFor struct {
	text *strings.Builder
	word string
	then func()
}

func (w *watchFor) Write(p []byte) (int, error) {
	w.text.Write(p)
	if strings.Contains(w.text.String(), w.word) {
		w.then()
	}
	return len(p), nil
}

// Whatever statement of an attempt a coordinator dies before, in or after, the next one settles what it
// left, by itself, and nothing is lost: one writer, and a student who was told "saved" is.
func TestACoordinatorMayDieAtAnyStatement(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	c := s.open()
	c.ready()
	gates := s.application(c, "one")
	leave := s.students(gates, 4, 5*time.Millisecond)
	c.close()

	// A whole attempt each way tells which statements there are.
	due := map[Kind][]string{}
	for _, kind := range []Kind{Rehearse, Cutover, Rollback} {
		trace := s.attemptBy(kind, "")
		points := statements(trace)
		if missing := unmet(points, kind); len(missing) > 0 {
			t.Fatalf("acts of the protocol that a %s does not have: %v\n%s", kind, missing, strings.Join(trace, "\n"))
		}
		due[kind] = points
		s.settled(map[Kind]helm.Side{Rehearse: helm.Source, Cutover: helm.Target, Rollback: helm.Source}[kind])
	}
	seed := rand.Uint64()
	if text := os.Getenv("CHANGEOVER_CHAOS_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("seed %d: %d statements in a cutover, %d in a rollback, %d in a rehearsal with its undo", seed, len(due[Cutover]), len(due[Rollback]), len(due[Rehearse]))
	due = chosen(due, rand.New(rand.NewPCG(seed, 1)), os.Getenv("CHANGEOVER_CHAOS") == "all")
	writer := helm.Source
	var deaths []death
	for len(due[Cutover])+len(due[Rollback])+len(due[Rehearse]) > 0 {
		kind := Cutover
		switch {
		case writer == helm.Target:
			kind = Rollback
		case len(due[Rehearse]) > 0:
			kind = Rehearse
		}
		at := "" // nothing is due in this direction: the role just passes
		if len(due[kind]) > 0 {
			at, due[kind] = due[kind][0], due[kind][1:]
		}
		s.attemptBy(kind, at)
		was, began := writer, time.Now()
		writer = s.settled("")
		if at != "" {
			deaths = append(deaths, death{kind, at, was, writer, time.Since(began)})
		}
		t.Logf("%s, dead at %s: the %s is the writer (it was the %s), settled and proven after %v", kind, at, writer, was, time.Since(began).Round(time.Millisecond))
	}
	leave()
	s.audit(map[helm.Side]*sandboxtest.Server{helm.Source: s.src, helm.Target: s.dst}[writer])
	last := s.open()
	last.ready()
	s.equal()
	if st := last.Status(); st.Strays != 0 {
		t.Errorf("strays: %+v", st)
	}
	if file := os.Getenv("CHANGEOVER_CHAOS_REPORT"); file != "" && !t.Failed() {
		if err := os.WriteFile(file, []byte(chaosReport(deaths, len(s.told))), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// death is a coordinator's, and what came of it.
type death struct {
	kind        Kind
	at          string
	was, writer helm.Side
	took        time.Duration // until the successor had settled, and students wrote again
}

func chaosReport(deaths []death, told int) string {
	var b strings.Builder
	slices.SortFunc(deaths, func(x, y death) int { return strings.Compare(string(x.kind)+x.at, string(y.kind)+y.at) })
	longest := time.Duration(0)
	for _, d := range deaths {
		longest = max(longest, d.took)
	}
	fmt.Fprintf(&b, `# The coordinator dies

Made by `+"`make chaos`"+` on %s. The coordinator's process was killed with -9 at %d points: before, during and after each
statement by which a cutover and a rollback change a server, while four students write through a gate. After
each death the next coordinator settled by itself, one server took writes and the other refused them, and every row of
both was compared. %d writes were acknowledged in all; each is on the writer, once. The longest time from the successor's
start until it had settled and students had written twenty times more was %v.

| attempt | dead at (side/act/statement of it/when) | the writer then | back in |
|---|---|---|---|
`, time.Now().Format(time.DateOnly), len(deaths), told, longest.Round(time.Millisecond))
	for _, d := range deaths {
		then := "the " + string(d.writer) + ", as before"
		if d.writer != d.was {
			then = "the " + string(d.writer)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %v |\n", d.kind, d.at, then, d.took.Round(time.Millisecond))
	}
	return b.String()
}

// chosen are the points at which to die: each statement of a cutover once, before, during or after it by
// chance, and of all the others a tenth; or all.
func chosen(statements map[Kind][]string, random *rand.Rand, all bool) map[Kind][]string {
	out := map[Kind][]string{}
	for kind, points := range statements {
		for _, p := range points {
			sure := random.IntN(3)
			for i, when := range []string{"before", "during", "after"} {
				if all || i == sure && kind == Cutover || random.IntN(10) == 0 {
					out[kind] = append(out[kind], p+"/"+when)
				}
			}
		}
		random.Shuffle(len(out[kind]), func(i, j int) { out[kind][i], out[kind][j] = out[kind][j], out[kind][i] })
	}
	return out
}

// statements are the points of a trace, without what only looks the same.
func statements(trace []string) (points []string) {
	for _, line := range trace {
		at, _, _ := strings.Cut(line, " ")
		if !slices.Contains(points, at) {
			points = append(points, at)
		}
	}
	return points
}

// unmet are the acts of the protocol's table that no point is of.
func unmet(points []string, kind Kind) (acts []Act) {
	all := undoing
	for _, step := range protocol {
		if kind != Rehearse {
			all = append(all, step.points...)
		}
	}
	for _, p := range all {
		if kind == Rehearse || !slices.Contains(undoing, p) {
			if !slices.ContainsFunc(points, func(at string) bool { return strings.Contains(at, "/"+string(p.act)+"/") }) {
				acts = append(acts, p.act)
			}
		}
	}
	return acts
}

// settled has a successor settle, sees students write again within five seconds, and gives the writer.
func (s *school) settled(want helm.Side) helm.Side {
	s.t.Helper()
	began := time.Now()
	c := s.open(func(o *Options) { o.Standby = true })
	defer c.close()
	s.within(5*time.Second, "the successor is in office", func() error {
		if c.Status().Writer == "" {
			return errNotYet
		}
		return nil
	})
	took := time.Since(began)
	before := s.acknowledged()
	s.within(5*time.Second, "students write again", func() error {
		if s.acknowledged() < before+20 {
			return errNotYet
		}
		return nil
	})
	writer := c.Status().Writer
	if want != "" && writer != want {
		s.t.Fatalf("the writer is %s, not %s", writer, want)
	}
	s.oneWriter(writer)
	if took > 5*time.Second {
		s.t.Errorf("settling took %v", took)
	}
	c.ready()
	return writer
}

func (s *school) acknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.told)
}

// oneWriter sees that an application's account can write to one server only.
func (s *school) oneWriter(writer helm.Side) {
	s.t.Helper()
	for side, on := range map[helm.Side]*sandboxtest.Server{helm.Source: s.src, helm.Target: s.dst} {
		var readOnly bool
		if err := on.DB(s.t, sandbox.Root).QueryRow("SELECT @@GLOBAL.read_only").Scan(&readOnly); err != nil {
			s.t.Fatal(err)
		}
		if readOnly == (side == writer) {
			s.t.Errorf("the writer is the %s, and read_only of the %s is %v", writer, side, readOnly)
		}
	}
}
