package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"changeover/cdc"
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
		Short: "Show a whole migration on this machine, under load",
		Long: `Demo starts a throwaway source and target, opens a school on the source (two servers of the
learning platform behind HAProxy, and students who click Run all the time), and migrates its database
meanwhile, with the same commands that you would use. Then the students leave, the target gets the
rest, every row of both sides is compared, and what each student was told is saved is looked for on
both sides.

It takes under three minutes once the servers have been downloaded, and leaves nothing behind.

Exit codes: 0 both sides are equal, and the students lost nothing; 1 they aren't, or they did; 2 the
demo could not be done.`,
		Example: `  changeover demo
  changeover demo --source mariadb
  changeover demo --keep        # leaves source and target running, for looking around`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.flavor = sandbox.Flavor(source)
			if d.flavor != sandbox.MySQL && d.flavor != sandbox.MariaDB {
				return fault.New(fault.Usage, "--source is mysql or mariadb, not %q", source)
			}
			if d.activities < 1000 || d.activities > 100_000_000 {
				return fault.New(fault.Usage, "--activities is 1000 to 100000000, not %d", d.activities)
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
	cmd.Flags().IntVar(&d.activities, "activities", 300_000, "clicks on Run that the school has seen before")
	return cmd
}

// demo is one telling of the story.
type demo struct {
	dir    string
	flavor sandbox.Flavor
	keep   bool
	// activities is how large the school's largest table is at the beginning.
	activities int

	screen   *screen
	download sandbox.Progress
	began    time.Time
	pair     *sandbox.Pair
	cfg      *config.Config
	self     string // this program

	last   cdc.Status // the last one that was seen
	maxLag time.Duration
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
	if err := d.migrate(ctx, s); err != nil {
		return err
	}
	results, err := d.compare(ctx)
	if err != nil {
		return err
	}
	clean, err := s.audit(ctx)
	if err != nil {
		return err
	}
	return d.summary(s.report, results, clean)
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

// Of the story: how long the load goes on after the copy, and how often the screen changes.
const (
	demoAfterCopy = 8 * time.Second
	demoRefresh   = 500 * time.Millisecond
)

// migrate runs `changeover run` under the students until the copy is done and has been followed for a
// while; then they leave, and a second run brings the rest.
func (d *demo) migrate(ctx context.Context, s *school) error {
	d.say("The school opens: %d servers of the platform behind HAProxy, and students who click Run %d times a second.", schoolServers, schoolRuns)
	if err := s.open(ctx); err != nil {
		return err
	}
	d.note("http://%s", s.balancer.Addr())
	if err := s.begin(ctx); err != nil {
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
	d.screen.settle()
	if err := d.tamper(ctx, log); err != nil {
		return err
	}
	d.say("The students leave, and the run stops: a second one goes on where the first was, until both sides are proven equal.")
	if err := errors.Join(s.leave(), run.stop()); err != nil {
		return err
	}
	d.say("$ changeover run --until verified")
	last, err := d.start("changeover run --until verified", log, d.command(ctx, "run", "--until", "verified"))
	if err != nil {
		return err
	}
	return last.wait()
}

// tamper changes rows on the target behind the run's back, under load, and has them found and repaired.
func (d *demo) tamper(ctx context.Context, log io.Writer) error {
	d.say("The run has compared both sides meanwhile. Somebody changes one row of the target, and deletes another.")
	if err := d.compared(ctx, func(s verify.State) bool { return s.Wholly }); err != nil {
		return err
	}
	target, err := d.pair.Target.Open(sandbox.Root, d.cfg.Databases[0])
	if err != nil {
		return err
	}
	defer target.Close()
	for _, q := range []string{"UPDATE user_levels SET best_result = 99 ORDER BY user_id, script_id, level_id LIMIT 1", "DELETE FROM activities ORDER BY id LIMIT 1"} {
		if _, err := target.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	if err := d.verify(ctx, log, "--again", "--wait", "2m"); err != nil {
		return err
	}
	return d.verify(ctx, log, "--repair")
}

// verify shows `changeover verify`, whose answer may well be no.
func (d *demo) verify(ctx context.Context, log io.Writer, args ...string) error {
	d.say("$ changeover verify %s", strings.Join(args, " "))
	text := &strings.Builder{}
	cmd := d.command(ctx, "verify", args...)
	cmd.Stderr = log
	cmd.Stdout = text
	err := cmd.Run()
	d.note("%s", strings.TrimSpace(text.String()))
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

// follow shows the run until its copy has been done for a while.
func (d *demo) follow(ctx context.Context, run *program, school *school) error {
	tick := time.NewTicker(demoRefresh)
	defer tick.Stop()
	var copied time.Time
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
		var s cdc.Status
		if err := control.Ask(ctx, d.cfg.StateDir, "GET", "/v1/status", &s); err != nil {
			continue // it isn't there yet; if it never comes, run ends
		}
		d.last = s
		d.maxLag = max(d.maxLag, time.Duration(s.Stream.LagMaxMS*float64(time.Millisecond)))
		d.show(school)
		if s.Phase != "streaming" {
			continue
		}
		if copied.IsZero() {
			copied = time.Now()
		}
		if time.Since(copied) > demoAfterCopy {
			return nil
		}
	}
}

// show draws the students and the run's own status.
func (d *demo) show(school *school) {
	text := school.text() + statusText(d.last)
	s, n := d.last, school.lines.now()
	plain := fmt.Sprintf("%5.1fs  %-9s copy %5.1f %%  %s rows/s  lag %s  stream %s changes/s  students %.0f Runs/s, p99 %s, %d refused",
		time.Since(d.began).Seconds(), s.Phase, s.Copy.Share*100, thousands(int64(s.Copy.RowsPerSecond)), millis(s.Stream.LagMS),
		thousands(int64(s.Stream.ChangesPerSecond)), n.runs, n.p99, n.refused)
	d.screen.redraw(text, plain)
}

// compare shows both sides table by table.
func (d *demo) compare(ctx context.Context) ([]verify.TableResult, error) {
	d.say("Every row of both sides is compared: a SHA-256 of each, computed in the servers.")
	src, err := d.pair.Source.Open(sandbox.Changeover, "")
	if err != nil {
		return nil, err
	}
	defer src.Close()
	dst, err := d.pair.Target.Open(sandbox.Admin, "")
	if err != nil {
		return nil, err
	}
	defer dst.Close()
	names, err := demoTableNames(ctx, src, d.cfg.Databases[0])
	if err != nil {
		return nil, err
	}
	results, err := verify.Compare(ctx, src, dst, names, verify.Options{})
	if err != nil {
		return nil, err
	}
	d.note("%-16s %14s %14s  %-18s %-18s", "table", "source rows", "target rows", "source digest", "target digest")
	for _, r := range results {
		verdict := "equal"
		if !r.Equal {
			verdict = "DIFFERENT " + r.Problem
		}
		d.note("%-16s %14s %14s  %-18.16s %-18.16s %s", r.Table, thousands(int64(r.Source.Rows)), thousands(int64(r.Target.Rows)),
			strings.ToLower(r.Source.Sum), strings.ToLower(r.Target.Sum), verdict)
	}
	return results, nil
}

func demoTableNames(ctx context.Context, db *sql.DB, database string) ([]verify.Name, error) {
	rows, err := db.QueryContext(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE' ORDER BY 1", database)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []verify.Name
	for rows.Next() {
		n := verify.Name{Schema: database}
		if err := rows.Scan(&n.Table); err != nil {
			return nil, err
		}
		names = append(names, n)
	}
	return names, rows.Err()
}

// summary says what came of it; anything but the promise is a "no".
func (d *demo) summary(r *students.Report, results []verify.TableResult, clean bool) error {
	equal := len(results) > 0 && verify.Equal(results)
	verdict := "both sides are equal"
	switch {
	case !equal:
		verdict = "THE SIDES DIFFER"
	case !clean:
		verdict = "both sides are equal, BUT THE STUDENTS HAVE LOST SOMETHING"
	case refused(r) > 0:
		verdict = "both sides are equal, BUT NOT EVERYTHING WAS SAVED: " + strings.Join(r.Complaints, "; ")
	}
	d.say("Done: %s.", verdict)
	d.note(`rows copied           %s
changes streamed      %s in %s transactions, while the students were there
lag                   p99 %s, at most %s
students              %s clicks on Run, %s writes acknowledged, %d retried, %d unanswered`,
		thousands(d.last.Copy.Rows), thousands(d.last.Stream.Changes), thousands(d.last.Stream.Transactions),
		millis(d.last.Stream.LagP99MS), millis(float64(d.maxLag)/1e6),
		thousands(int64(r.Counts.Runs)), thousands(int64(r.Counts.Acknowledged)), r.Counts.Retried, r.Counts.Unacknowledged)
	if !equal || !clean || refused(r) > 0 {
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
