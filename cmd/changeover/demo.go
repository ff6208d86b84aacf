package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"changeover/cutover"
	"changeover/cutover/report"
	"changeover/internal/config"
	"changeover/internal/control"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/platform/students"
	"changeover/verify"
)

// demoDir is where the demo's sandbox is: not where a user's own is.
const demoDir = ".changeover-demo"

// newDemoCommand makes `changeover demo`.
func newDemoCommand() *cobra.Command {
	d := &demo{}
	source := ""
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole story on this machine, under load",
		Long: `Demo starts a throwaway source and target, opens a school on the source (two servers of the
learning platform behind HAProxy, students who click Run all the time, and a nightly job that knows
nothing of it all), and moves its database meanwhile, with the same commands that you would use: plan,
run until both sides are proven equal, rehearse, cutover, rollback, cutover. The students go on through
all of it. In the end what each of them was told is saved is looked for, and both servers are compared.

It takes under four minutes once the servers have been downloaded, and leaves a report in HTML and
nothing else.

Exit codes: 0 no student noticed more than a pause; 1 something was refused, lost, doubled or stale; 2 the
demo could not be done.`,
		Example: `  changeover demo
  changeover demo --source mariadb
  changeover demo --keep           # leaves source and target running, for looking around
  changeover demo --passes 20      # there and back ten times`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.flavor = sandbox.Flavor(source)
			if d.flavor != sandbox.MySQL && d.flavor != sandbox.MariaDB {
				return fault.New(fault.Usage, "--source is mysql or mariadb, not %q", source)
			}
			if d.activities < 1000 || d.activities > 100_000_000 {
				return fault.New(fault.Usage, "--activities is 1000 to 100000000, not %d", d.activities)
			}
			if d.runs < 1 || d.runs > 10_000 || d.passes < 1 || d.passes > 1000 {
				return fault.New(fault.Usage, "--runs is 1 to 10000, --passes 1 to 1000")
			}
			d.screen = newScreen(cmd.OutOrStdout())
			d.download = showProgress(cmd.ErrOrStderr())
			err := d.run(cmd.Context())
			if cmd.Context().Err() != nil && err != nil {
				// The children's ends, with their exit codes, are its consequence.
				return fmt.Errorf("%w: %v", context.Canceled, err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&source, "source", string(sandbox.MySQL), "the source's kind: mysql or mariadb")
	cmd.Flags().StringVar(&d.dir, "dir", demoDir, "folder for the servers; it is removed at the end")
	cmd.Flags().BoolVar(&d.keep, "keep", false, "leave source and target running")
	cmd.Flags().IntVar(&d.runs, "runs", 100, "clicks on Run a second")
	cmd.Flags().IntVar(&d.passes, "passes", 3, "how often the writer role passes: there, back, there, …")
	cmd.Flags().StringVar(&d.html, "report", "changeover-demo.html", "the report's `FILE`")
	cmd.Flags().StringVar(&d.figures, "figures", "", "a `FILE` for the figures, in JSON")
	cmd.Flags().IntVar(&d.activities, "activities", 200_000, "clicks on Run that the school has seen before")
	return cmd
}

// demo is one telling of the story.
type demo struct {
	dir    string
	flavor sandbox.Flavor
	keep   bool
	// activities is how large the school's largest table is at the beginning.
	activities, runs, passes int
	html, figures            string // files

	screen   *screen
	download sandbox.Progress
	began    time.Time
	pair     *sandbox.Pair
	cfg      *config.Config
	self     string // this program

	last    liveStatus // the last one that was seen
	copied  int64      // rows
	maxLag  time.Duration
	records []*cutover.Record
}

// run tells the story, and takes everything down however it ends.
func (d *demo) run(ctx context.Context) (err error) {
	d.began = time.Now()
	if d.self, err = os.Executable(); err != nil {
		return err
	}
	if err := d.up(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.down(ctx, err)) }()
	s := &school{demo: d}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.found(ctx); err != nil {
		return err
	}
	if err := d.plan(ctx); err != nil {
		return err
	}
	j := &job{d: d}
	defer j.leave()
	if err := j.prepare(ctx); err != nil {
		return err
	}
	return d.migrate(ctx, s, j)
}

// say begins a chapter.
func (d *demo) say(format string, args ...any) {
	d.screen.print(fmt.Sprintf("\n%5.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...)))
}

// note adds to a chapter.
func (d *demo) note(format string, args ...any) {
	d.screen.print("        " + strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n        ") + "\n")
}

func (d *demo) up(ctx context.Context) error {
	if err := d.clear(ctx); err == nil {
		d.say("The sandbox of an earlier demo is taken down.")
	} else if !errors.Is(err, sandbox.ErrNoPair) {
		return err
	}
	d.say("Two real servers come up: a source, and a target that refuses what Aurora MySQL refuses.")
	var err error
	if d.pair, err = sandbox.Up(ctx, d.dir, d.flavor, d.download); err != nil {
		return err
	}
	d.note("source  %s\ntarget  %s", address(d.pair.Source), address(d.pair.Target))
	if err := errors.Join(d.smallChunks(), os.MkdirAll(d.runFiles(), 0o700)); err != nil {
		return err
	}
	d.cfg, err = config.Load(d.pair.ConfigFile())
	return err
}

// smallChunks cuts these small tables into pieces, as the default does with large ones.
func (d *demo) smallChunks() error {
	f, err := os.OpenFile(d.pair.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("copy: {chunk: 2MiB}\n")
	return errors.Join(err, f.Close())
}

// down takes the servers away, or says how to go on with them.
func (d *demo) down(ctx context.Context, failed error) error {
	d.screen.settle()
	if d.keep {
		d.say("Left running:")
		d.note("changeover run -c %[2]s\nchangeover sandbox sql source --dir %[1]s\nchangeover sandbox down --dir %[1]s", d.dir, d.pair.ConfigFile())
		return nil
	}
	// The log is among what goes: what it says of a failure goes to the screen.
	if failed != nil {
		if text, err := os.ReadFile(d.logFile()); err == nil && len(text) > 0 {
			d.say("The log of changeover run ends with:")
			d.note("%s", lastLines(string(text), 12))
		}
	}
	return d.clear(context.WithoutCancel(ctx))
}

// clear removes the sandbox, and what run left beside it. It returns sandbox.ErrNoPair if there is
// none.
func (d *demo) clear(ctx context.Context) error {
	err := os.RemoveAll(d.runFiles())
	return errors.Join(err, sandbox.Down(ctx, d.dir))
}

func firstLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > n {
		lines = append(lines[:n], "…")
	}
	return strings.Join(lines, "\n")
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (d *demo) plan(ctx context.Context) error {
	d.say("$ changeover plan")
	text := &strings.Builder{}
	c, err := d.start("changeover plan", text, d.command(ctx, "plan"))
	if err != nil {
		return err
	}
	err = c.wait()
	d.note("%s", strings.TrimSpace(text.String()))
	return err
}

// demoRefresh is how often the screen changes.
const demoRefresh = 500 * time.Millisecond

// migrate runs `changeover run` under the students until both sides are proven equal, and has the writer
// role passed meanwhile.
func (d *demo) migrate(ctx context.Context, s *school, j *job) error {
	d.say("The school opens: %d servers of the platform behind HAProxy, and students who click Run %d times a second.", schoolServers, d.runs)
	if err := s.open(ctx); err != nil {
		return err
	}
	d.note("http://%s", s.balancer.Addr())
	if err := errors.Join(s.begin(ctx), j.begin(ctx)); err != nil {
		return err
	}
	log, err := os.OpenFile(d.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	d.say("$ changeover run")
	run, err := d.start("changeover run", log, d.command(ctx, "run"))
	if err != nil {
		return err
	}
	defer run.stop()
	if err := d.follow(ctx, run, s); err != nil {
		return err
	}
	d.copied = d.last.Copy.Rows
	if err := d.verify(ctx, log); err != nil {
		return err
	}
	for _, kind := range append([]cutover.Kind{cutover.Rehearse}, d.kinds()...) {
		if err := d.pass(ctx, kind); err != nil {
			return err
		}
		if err := d.goOn(ctx, run, s, demoAfterPass); err != nil {
			return err
		}
		if err := d.compared(ctx, func(s verify.State) bool { return s.Wholly }); err != nil {
			return err
		}
	}
	d.say("$ changeover status")
	d.look(ctx)
	d.note("%s", strings.TrimSpace(runText(d.last)))
	d.say("The students send what they have, and leave. The job ends.")
	j.leave()
	if err := s.leave(); err != nil {
		return err
	}
	return d.tell(ctx, s, j)
}

// tell looks whether the school lost anything, and says what the students noticed.
func (d *demo) tell(ctx context.Context, s *school, j *job) error {
	writer, _ := d.writer()
	db, err := j.open(writer)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "DROP EVENT count_minutes") // it would never let both servers stand still
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	a, clean, err := s.auditAll(ctx)
	if err != nil {
		return err
	}
	lost, err := j.audit(ctx, writer)
	if err != nil {
		return err
	}
	a.Lost += lost
	a.Stale, a.Failed = s.report.Counts.Stale, s.report.Counts.FailedRequests
	saw, err := d.page(s.report, a)
	if err != nil {
		return err
	}
	return d.summary(s.report, a, saw, j, clean && lost == 0)
}

// verify shows `changeover verify`, whose answer may well be no.
func (d *demo) verify(ctx context.Context, log io.Writer, args ...string) error {
	d.say("$ changeover verify")
	text := &strings.Builder{}
	cmd := d.command(ctx, "verify", args...)
	cmd.Stderr = log
	cmd.Stdout = text
	err := cmd.Run()
	d.note("%s", firstLines(text.String(), 6))
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitNo {
		return nil
	}
	return err
}

// compared waits until the verifier's state is as wanted.
func (d *demo) compared(ctx context.Context, is func(verify.State) bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for {
		var s verify.State
		if err := control.Ask(ctx, d.cfg.StateDir, "GET", "/v1/verify", &s); err == nil && is(s) {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("both sides are not compared after two minutes: %s", s)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look asks the run how it is.
func (d *demo) look(ctx context.Context) {
	var s liveStatus
	if err := control.Ask(ctx, d.cfg.StateDir, "GET", "/v1/status", &s); err != nil {
		return // it isn't there yet; if it never comes, run ends
	}
	d.last = s
	d.maxLag = max(d.maxLag, time.Duration(s.Stream.LagMaxMS*float64(time.Millisecond)))
}

// follow shows the run until every row has been copied and compared.
func (d *demo) follow(ctx context.Context, run *program, school *school) error {
	tick := time.NewTicker(demoRefresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-run.done:
			return errors.Join(fmt.Errorf("changeover run ended while it should go on"), run.err)
		case <-school.load.done:
			return errors.Join(fmt.Errorf("the students left while they should stay\n%s", lastLines(school.lines.all(), 8)), school.load.err)
		case <-tick.C:
		}
		d.look(ctx)
		d.show(school)
		var v verify.State
		if err := control.Ask(ctx, d.cfg.StateDir, "GET", "/v1/verify", &v); err == nil && v.Wholly && d.last.Phase == "streaming" {
			d.screen.settle()
			return nil
		}
	}
}

// show draws the students and the run's own status.
func (d *demo) show(school *school) {
	text := school.text() + runText(d.last)
	s, n := d.last, school.lines.now()
	plain := fmt.Sprintf("%5.1fs  %-9s copy %5.1f %%  %s rows/s  lag %s  stream %s changes/s  students %.0f Runs/s, p99 %s, %d refused",
		time.Since(d.began).Seconds(), s.Phase, s.Copy.Share*100, thousands(int64(s.Copy.RowsPerSecond)), millis(s.Stream.LagMS),
		thousands(int64(s.Stream.ChangesPerSecond)), n.runs, n.p99, n.refused)
	d.screen.redraw(text, plain)
}

// figures are what a bench takes from a demo.
type figures struct {
	Passes []passFigures `json:"passes"`
	Failed, Lost, Doubled, Stray, Stale, Different,
	Unexpected, Wrong int64
	Runs, Acknowledged int64
	JobRefused         int `json:"job_refused"`
}

// passFigures are those of one pass of the role. Milliseconds.
type passFigures struct {
	Kind          cutover.Kind   `json:"kind"`
	HoldMS        float64        `json:"hold_ms"`          // by the coordinator's clock
	GatesMS       float64        `json:"gates_ms"`         // from the hold to the first write on the new writer, the slowest gate's
	ClientsMS     float64        `json:"clients_ms"`       // the students'
	PauseMS       float64        `json:"pause_ms"`         // between two acknowledged writes, over all students
	BeforeP99     float64        `json:"before_p99"`       // of a student's write
	DuringP99     float64        `json:"during_p99"`       // in the second of the pass
	AfterP99      float64        `json:"after_p99"`        // after it
	ReadsDuring99 float64        `json:"reads_during_p99"` // reads don't wait
	ReadsBefore99 float64        `json:"reads_before_p99"`
	Present       map[string]int `json:"present"`
}

// summary is the one screen at the end; anything but the promise is a "no".
func (d *demo) summary(r *students.Report, a report.Audit, saw []report.Seen, j *job, clean bool) error {
	f := figures{Failed: a.Failed, Lost: int64(a.Lost), Doubled: int64(a.Doubled), Stray: int64(a.Stray), Stale: a.Stale, Different: int64(a.Different),
		Unexpected: int64(a.Unexpected), Wrong: int64(a.Wrong), Runs: r.Counts.Runs, Acknowledged: r.Counts.Acknowledged, JobRefused: j.refused}
	verdict := "no student noticed more than a pause"
	if !clean || !a.Clean() || refused(r) > 0 {
		verdict = "SOMETHING WENT WRONG: " + strings.Join(append(r.Complaints, fmt.Sprintf("%+v", a)), "; ")
	}
	d.say("Done: %s.", verdict)
	d.note("%-10s %9s %9s %9s   %s", "", "hold", "gates", "pause", "a student's write, p99: before, in the second of, after")
	for i, record := range d.records {
		s := saw[i]
		p := passFigures{Kind: record.Kind, HoldMS: record.HoldMS, ClientsMS: s.HoldMS, PauseMS: s.During.Pause, BeforeP99: s.Before.P99, DuringP99: s.During.P99,
			AfterP99: s.After.P99, ReadsDuring99: s.During.ReadP99, ReadsBefore99: s.Before.ReadP99, Present: record.Present}
		for _, g := range record.Gates {
			p.GatesMS = max(p.GatesMS, g.FirstWriteMS)
		}
		if record.Outcome == cutover.Committed {
			f.Passes = append(f.Passes, p)
		}
		gates := "-"
		if p.GatesMS > 0 {
			gates = millis(p.GatesMS)
		}
		d.note("%-10s %9s %9s %9s   %s, %s, %s", record.Kind, millis(p.HoldMS), gates, millis(p.PauseMS), millis(p.BeforeP99), millis(p.DuringP99), millis(p.AfterP99))
	}
	proof := d.records[len(d.records)-1].Proof
	d.note(`
failed requests       %d of %s clicks on Run (any 5xx, refused or reset connection, even if a retry saved it)
writes                %s acknowledged: %d lost, %d doubled, %d stray, %d stale
a job without a gate  %s writes acknowledged, %d refused by the fence, %d connections ended
rows                  %s copied, %s proven equal, %s the same on both servers in the end
lag                   at most %s
report                %s`,
		a.Failed, thousands(r.Counts.Runs), thousands(r.Counts.Acknowledged), a.Lost, a.Doubled, a.Stray, a.Stale,
		thousands(int64(len(j.acknowledged))), j.refused, j.lost, thousands(d.copied), thousands(int64(proof.Rows)), thousands(int64(a.SameRows)),
		millis(float64(d.maxLag)/1e6), d.html)
	if d.figures != "" {
		text, err := json.MarshalIndent(f, "", "  ")
		if err := errors.Join(err, os.WriteFile(d.figures, text, 0o644)); err != nil {
			return err
		}
	}
	if !clean || !a.Clean() || refused(r) > 0 {
		return &answerNo{}
	}
	return nil
}

// refused counts what the students had to complain of. That their own program was late, on a machine
// that does everything at once, is not among it.
func refused(r *students.Report) int64 {
	n := r.Counts.Unacknowledged + r.Counts.Stale
	for _, times := range r.Counts.Refused {
		n += times
	}
	return n
}

// runFiles is the folder that a run makes beside its configuration, unless that says otherwise.
func (d *demo) runFiles() string { return filepath.Join(d.dir, ".changeover") }

func (d *demo) logFile() string { return filepath.Join(d.runFiles(), "run.log") }
