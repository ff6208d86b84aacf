package cutover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"changeover/cdc/state"
	"changeover/cutover/gate"
	"changeover/cutover/helm"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

var errNotYet = errors.New("not yet")

// Whatever statement of an attempt "changeover run" is killed before, in or after, the next one settles what it
// left, by itself, and nothing is lost: one writer, and a student who was told "saved" is.
func TestACoordinatorMayDieAtAnyStatement(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	r := s.releases()
	command := s.command()
	p := command.run()
	p.ready()
	gates := s.application(nil, "one")
	leave := []func(){s.students(gates, 4, 5*time.Millisecond), s.quitter(gates, 5*time.Millisecond)}

	// A whole attempt each way tells which statements there are. The very first ones are not like all others:
	// a server that was never the writer has no events to be stopped.
	due := map[Kind][]string{}
	writer := helm.Source
	for _, kind := range []Kind{Cutover, Rollback, Rehearse, Cutover, Rollback} {
		p.ready()
		r.next(writer)
		if p.makes(kind, "") {
			t.Fatal("it died without being told to")
		}
		writer = p.status().Writer
		trace := p.trace()
		due[kind] = statements(trace)
		if missing := unmet(due[kind], kind); len(missing) > 0 {
			t.Fatalf("acts of the protocol that a %s does not have: %v\n%s", kind, missing, strings.Join(trace, "\n"))
		}
		if strange := strangers(due[kind]); len(strange) > 0 {
			t.Fatalf("a %s changes servers by what the protocol does not have: %v", kind, strange)
		}
		if os.Getenv("CHANGEOVER_LOG") != "" {
			t.Logf("%s:\n%s", kind, strings.Join(trace, "\n"))
		}
	}
	seed := rand.Uint64()
	if text := os.Getenv("CHANGEOVER_CHAOS_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("seed %d: %d statements in a cutover, %d in a rollback, %d in a rehearsal with its undo", seed, len(due[Cutover]), len(due[Rollback]), len(due[Rehearse]))
	random := rand.New(rand.NewPCG(seed, 1))
	due = chosen(due, random, os.Getenv("CHANGEOVER_CHAOS") == "all")
	var deaths []death
	missed := map[string]int{}
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
		p.ready()
		r.next(writer)
		next := []successor{another, another, standbyLater, standbyBefore}[random.IntN(4)]
		var waiting *process
		if at != "" && next == standbyBefore {
			waiting = command.run("--standby")
		}
		died := p.makes(kind, at)
		d := death{kind: kind, at: at, next: next, was: writer}
		if !died {
			if waiting != nil {
				waiting.kill()
			}
			writer = p.status().Writer
			if at == "" {
				continue
			}
			if missed[string(kind)+at]++; missed[string(kind)+at] == 3 {
				t.Errorf("no %s comes to %s; the last one:\n%s", kind, at, strings.Join(p.trace(), "\n"))
				continue
			}
			t.Logf("%s did not come to %s", kind, at)
			due[kind] = append(due[kind], at)
			continue
		}
		began := time.Now()
		trace := p.trace()
		switch next {
		case another:
			p = command.run()
		case standbyLater:
			p = command.run("--standby")
		case standbyBefore:
			p = waiting
		}
		writer, d.took = p.settled(began)
		r.runs(writer)
		d.writer = writer
		if want := outcome(kind, at, trace); want != "" && (want == Committed) != (writer != d.was) {
			t.Errorf("the register says %s, and the writer is the %s (it was the %s)", want, writer, d.was)
		}
		deaths = append(deaths, d)
		t.Logf("%s, dead at %s, then %s: the %s is the writer (it was the %s), settled after %v", kind, at, next, writer, d.was, d.took.Round(time.Millisecond))
	}
	p.ready()
	for _, f := range leave {
		f()
	}
	s.audit(s.on(writer))
	s.equal()
	if st := p.status(); st.Strays != 0 {
		t.Errorf("strays: %+v", st)
	}
	p.stop()
	if file := os.Getenv("CHANGEOVER_CHAOS_REPORT"); file != "" && !t.Failed() {
		if err := os.WriteFile(file, []byte(chaosReport(deaths, len(s.told))), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// successor is who comes after a coordinator that died.
type successor string

const (
	another       successor = "run"
	standbyLater  successor = "run --standby"
	standbyBefore successor = "a standby that waited"
)

// death is a coordinator's, and what came of it.
type death struct {
	kind        Kind
	at          string
	next        successor
	was, writer helm.Side
	took        time.Duration // from the death until the successor had settled
}

// outcome is what the register says by what a dead coordinator sent; empty: the statement that says it was
// under way.
func outcome(kind Kind, at string, trace []string) Outcome {
	if kind == Rehearse {
		return Undone
	}
	for _, line := range trace {
		point, _, _ := strings.Cut(line, " ")
		if !strings.Contains(point, "/"+string(RegisterCommit)+"/") {
			continue
		}
		switch when, here := strings.CutPrefix(at, point+"/"); {
		case !here || when == "after":
			return Committed
		case when == "in":
			return ""
		}
	}
	return Undone
}

func chaosReport(deaths []death, told int) string {
	var b strings.Builder
	slices.SortFunc(deaths, func(x, y death) int { return strings.Compare(string(x.kind)+x.at, string(y.kind)+y.at) })
	longest, nexts := time.Duration(0), map[successor]int{}
	for _, d := range deaths {
		longest = max(longest, d.took)
		nexts[d.next]++
	}
	fmt.Fprintf(&b, `# The coordinator dies

Made by `+"`make chaos`"+` on %s. `+"`changeover run`"+` was killed with -9 at %d points: before, in and after each statement by which
a rehearsal, a cutover and a rollback change a server, asked for by their commands, while four students wrote through a gate.
"In" means that the statement was sent and its answer never seen. The next one (`+"`changeover run`"+` %d times, `+"`run --standby`"+` %d
times, a standby that waited already %d times) settled by itself: one server took writes and the other refused
them, students wrote again, and every row of both was compared. %d writes were acknowledged in all; each is
on the writer, once. The longest time from a death until the successor had settled, its start included, was %v.

| attempt | dead at (side/act/statement of it/when) | next | the writer then | settled in |
|---|---|---|---|---|
`, time.Now().Format(time.DateOnly), len(deaths), nexts[another], nexts[standbyLater], nexts[standbyBefore], told, longest.Round(time.Millisecond))
	for _, d := range deaths {
		then := "the " + string(d.writer) + ", as before"
		if d.writer != d.was {
			then = "the " + string(d.writer)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %v |\n", d.kind, d.at, d.next, then, d.took.Round(time.Millisecond))
	}
	return b.String()
}

// chosen are the points at which to die: each statement of a cutover once, before, in or after it by
// chance, and of all the others a tenth; or all.
func chosen(statements map[Kind][]string, random *rand.Rand, all bool) map[Kind][]string {
	out := map[Kind][]string{}
	for _, kind := range []Kind{Rehearse, Cutover, Rollback} {
		for _, p := range statements[kind] {
			sure := random.IntN(3)
			for i, when := range []string{"before", "in", "after"} {
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

// unmet are the points of the protocol's table that an attempt of that kind did not come to.
func unmet(points []string, kind Kind) (missing []string) {
	old := helm.Source
	if kind == Rollback {
		old = helm.Target
	}
	var all []point
	if kind == Rehearse {
		all = undoing
	} else {
		for _, step := range protocol {
			all = append(all, step.points...)
		}
	}
	for _, p := range all {
		side := old
		if p.on == onNew {
			side = old.Other()
		}
		at := string(side) + "/" + string(p.act) + "/"
		if !slices.ContainsFunc(points, func(point string) bool { return strings.HasPrefix(point, at) }) {
			missing = append(missing, at)
		}
	}
	return missing
}

// strangers are the points whose act is not in the protocol's table, and changes more than an attempt's own
// record or the probe's account.
func strangers(points []string) (strange []string) {
	known := []Act{ProbeClose, RecordKeep}
	for _, p := range undoing {
		known = append(known, p.act)
	}
	for _, step := range protocol {
		for _, p := range step.points {
			known = append(known, p.act)
		}
	}
	for _, p := range points {
		if act := strings.Split(p, "/")[1]; !slices.Contains(known, Act(act)) {
			strange = append(strange, p)
		}
	}
	return strange
}

// releases are the application's new versions. Each has another view and an event of its own, so that every
// attempt has something of all kinds to carry.
type releases struct {
	s *school
	n int
}

func (s *school) releases() *releases {
	s.t.Helper()
	if _, err := s.src.DBIn(s.t, sandbox.App, s.name).Exec("CREATE TABLE tickets (id BIGINT AUTO_INCREMENT PRIMARY KEY, at DATETIME(6)) ENGINE=InnoDB"); err != nil {
		s.t.Fatal(err)
	}
	return &releases{s: s}
}

// next brings the next one out, on the writer.
func (r *releases) next(writer helm.Side) {
	r.s.t.Helper()
	db, err := r.s.on(writer).Open(sandbox.App, r.s.name)
	if err != nil {
		r.s.t.Fatal(err)
	}
	defer db.Close()
	r.n++
	for _, q := range []string{
		fmt.Sprintf("CREATE OR REPLACE VIEW best AS SELECT student, runs FROM totals WHERE runs > %d", r.n),
		fmt.Sprintf("DROP EVENT IF EXISTS release%d", r.n-1),
		fmt.Sprintf("CREATE EVENT release%d ON SCHEDULE EVERY 1 SECOND DO INSERT IGNORE INTO hours VALUES (NOW(6), 0)", r.n),
	} {
		if _, err := db.Exec(q); err != nil {
			r.s.t.Fatalf("%s: %v", q, err)
		}
	}
}

// runs sees that the events of the last release run on the writer, and none on the other server.
func (r *releases) runs(writer helm.Side) {
	r.s.t.Helper()
	for side, want := range map[helm.Side]string{writer: fmt.Sprintf("count_hours,release%d", r.n), writer.Other(): ""} {
		var run sql.NullString
		r.s.ask(r.s.on(side), &run, "SELECT GROUP_CONCAT(EVENT_NAME ORDER BY EVENT_NAME) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ? AND STATUS = 'ENABLED'"+
			" AND @@GLOBAL.event_scheduler = 'ON'", r.s.name)
		if run.String != want {
			r.s.t.Errorf("the writer is the %s; on the %s the events %q run, not %q", writer, side, run.String, want)
		}
	}
}

// quitter takes a number and rolls back, until the returned function is called: no row tells the other server
// of it, and it must not be given again.
func (s *school) quitter(g *gate.Gate, pause time.Duration) (leave func()) {
	gone := errors.New("never mind")
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for last := int64(0); ctx.Err() == nil; {
			var number int64
			err := g.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
				res, err := tx.ExecContext(ctx, "INSERT INTO "+s.name+".tickets (at) VALUES (NOW(6))")
				if err != nil {
					return err
				}
				number, err = res.LastInsertId()
				return errors.Join(gone, err)
			})
			switch {
			case ctx.Err() != nil:
			case !errors.Is(err, gone):
				s.t.Errorf("a ticket is answered with: %v", err)
				return
			case number <= last:
				s.t.Errorf("ticket %d came after %d", number, last)
				return
			}
			last = number
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	leave = sync.OnceFunc(func() { stop(); all.Wait() })
	s.t.Cleanup(leave)
	return leave
}

func (s *school) acknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.told)
}

// ask asks a server for one value, and keeps no connection: a test asks hundreds of times.
func (s *school) ask(on *sandboxtest.Server, into any, query string, args ...any) {
	s.t.Helper()
	db, err := on.Open(sandbox.Root, "")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query, args...).Scan(into); err != nil {
		s.t.Fatal(err)
	}
}

// oneWriter sees that an application's account can write to one server only.
func (s *school) oneWriter(writer helm.Side) {
	s.t.Helper()
	for side, on := range map[helm.Side]*sandboxtest.Server{helm.Source: s.src, helm.Target: s.dst} {
		var readOnly bool
		s.ask(on, &readOnly, "SELECT @@GLOBAL.read_only")
		if readOnly == (side == writer) {
			s.t.Errorf("the writer is the %s, and read_only of the %s is %v", writer, side, readOnly)
		}
		if err := s.plainWriteOn(on); (err == nil) != (side == writer) || side != writer && !slices.Contains([]uint16{1290, 3118, 4151}, state.Number(err)) {
			s.t.Errorf("the writer is the %s, and a write on the %s is answered with: %v", writer, side, err)
		}
	}
}
