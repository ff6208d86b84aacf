package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"changeover/cdc/state"
	"changeover/cutover"
	"changeover/cutover/report"
	"changeover/internal/sandbox"
	"changeover/platform/students"
	"changeover/platform/students/audit"
)

// demoAfterPass is how long the students go on between two passes of the role.
const demoAfterPass = 4 * time.Second

// demoTries is how often the demo asks for a pass that is refused: a machine that does everything at once
// is too late now and then, and that is what the preflight is for.
const demoTries = 5

// pass has the role passed, or rehearsed, by the same command that an operator gives.
func (d *demo) pass(ctx context.Context, kind cutover.Kind) error {
	d.screen.settle()
	d.say("$ changeover %s --confirm %s", kind, d.cfg.Migration)
	for try := 1; ; try++ {
		var out, problems strings.Builder
		cmd := d.command(ctx, string(kind), "--confirm", d.cfg.Migration, "--wait", "60s", "--json")
		cmd.Stdout, cmd.Stderr = &out, &problems
		err := cmd.Run()
		r := new(cutover.Record)
		if e := json.Unmarshal([]byte(out.String()), r); e != nil {
			return errors.Join(fmt.Errorf("changeover %s: %w", kind, e), err, errors.New(lastLines(problems.String(), 5)))
		}
		d.note("%s", strings.TrimSpace(recordText(r)))
		if r.Attempt > 0 {
			d.records = append(d.records, r)
		}
		switch {
		case r.Outcome == cutover.Committed || r.Outcome == cutover.Rehearsed:
			return nil
		case try == demoTries:
			return fmt.Errorf("the %s was %s: %s", kind, r.Outcome, strings.Join(r.Reasons, "; "))
		}
		d.note("It is asked for again: what was in the way passes.")
	}
}

// goOn has the students go on for a while, with the screen showing how they are.
func (d *demo) goOn(ctx context.Context, run *program, s *school, how time.Duration) error {
	tick := time.NewTicker(demoRefresh)
	defer tick.Stop()
	end := time.After(how)
	for {
		select {
		case <-end:
			d.screen.settle()
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-run.done:
			return errors.Join(errors.New("changeover run ended while it should go on"), run.err)
		case <-s.load.done:
			return errors.Join(fmt.Errorf("the students left while they should stay\n%s", lastLines(s.lines.all(), 8)), s.load.err)
		case <-tick.C:
			d.look(ctx)
			d.show(s)
		}
	}
}

// job is what is in the way of a cutover in real life: a program without a gate that writes to the source,
// rows whose deletion leaves a gap in AUTO_INCREMENT, a trigger, an event.
type job struct {
	d    *demo
	stop context.CancelFunc
	done sync.WaitGroup

	mu           sync.Mutex
	acknowledged map[int64]bool
	refused      int // with the fence's own error, or a locked account's
	lost         int // connections that were ended
}

var jobSchema = []string{
	"CREATE TABLE nightly (id BIGINT AUTO_INCREMENT PRIMARY KEY, at DATETIME(6) NOT NULL, note VARCHAR(60) NOT NULL) ENGINE=InnoDB",
	"CREATE TABLE nightly_count (id INT PRIMARY KEY, n BIGINT NOT NULL) ENGINE=InnoDB",
	"INSERT INTO nightly_count VALUES (1, 0)",
	"CREATE TRIGGER nightly_counts AFTER INSERT ON nightly FOR EACH ROW UPDATE nightly_count SET n = n + 1 WHERE id = 1",
	"CREATE TABLE minutes (at DATETIME(6) PRIMARY KEY, rows_then BIGINT NOT NULL) ENGINE=InnoDB",
	"CREATE EVENT count_minutes ON SCHEDULE EVERY 1 SECOND DO INSERT IGNORE INTO minutes SELECT NOW(6), COUNT(*) FROM nightly",
}

// prepare makes what the job needs, by the application's account.
func (j *job) prepare(ctx context.Context) error {
	db, err := j.open(j.d.pair.Source)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, q := range jobSchema {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%.60s: %w", q, err)
		}
	}
	return nil
}

func (j *job) open(s *sandbox.Server) (*sql.DB, error) {
	return s.Open(sandbox.App, j.d.cfg.Databases[0])
}

// begin has the job write twenty times a second to the source, whoever is the writer.
func (j *job) begin(ctx context.Context) error {
	db, err := j.open(j.d.pair.Source)
	if err != nil {
		return err
	}
	j.acknowledged = map[int64]bool{}
	ctx, j.stop = context.WithCancel(ctx)
	j.done.Go(func() {
		defer db.Close()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			j.write(ctx, db, n)
		}
	})
	return nil
}

func (j *job) write(ctx context.Context, db *sql.DB, n int) {
	res, err := db.ExecContext(ctx, "INSERT INTO nightly (at, note) VALUES (NOW(6), ?)", "line "+strconv.Itoa(n))
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		if code := state.Number(err); code == 1290 || code == 3118 || code == 4151 {
			j.refused++
		} else {
			j.lost++
		}
		return
	}
	id, _ := res.LastInsertId()
	j.acknowledged[id] = true
	if n%10 == 0 { // the newest is deleted: AUTO_INCREMENT is further than MAX(id)
		if _, err := db.ExecContext(ctx, "DELETE FROM nightly WHERE id = ?", id); err == nil {
			delete(j.acknowledged, id)
		}
	}
}

// leave ends it.
func (j *job) leave() {
	if j.stop != nil {
		j.stop()
		j.done.Wait()
	}
}

// audit looks for its rows on the writer.
func (j *job) audit(ctx context.Context, writer *sandbox.Server) (lost int, err error) {
	db, err := j.open(writer)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT id FROM nightly")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	there := map[int64]bool{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return 0, err
		}
		there[id] = true
	}
	for id := range j.acknowledged {
		if !there[id] {
			lost++
		}
	}
	return lost, rows.Err()
}

// heldFrom is when the application's writes began to be held in an attempt.
func heldFrom(r *cutover.Record) time.Time {
	for _, s := range r.Steps {
		if s.Name == cutover.Hold.String() {
			return r.Began.Add(time.Duration(s.StartMS * float64(time.Millisecond)))
		}
	}
	return r.Began
}

// page writes the report as HTML, and gives what the students saw of each pass.
func (d *demo) page(r *students.Report, a report.Audit) ([]report.Seen, error) {
	story := report.Story{Migration: d.cfg.Migration, Title: "A school changes its database", Made: time.Now(), Audit: &a,
		About: fmt.Sprintf("%d platform servers behind HAProxy, students who click Run %d times a second, a job without a gate, all on this machine.", schoolServers, d.runs)}
	for _, record := range d.records {
		document, err := json.Marshal(record)
		if err != nil {
			return nil, err
		}
		one, err := report.ReadRecord(document)
		if err != nil {
			return nil, err
		}
		story.Attempts = append(story.Attempts, one)
		story.Seen = append(story.Seen, seen(record, r))
		if one.Proof.Complete {
			story.Proof = &one.Proof
		}
	}
	if r.Timeline != nil {
		for _, w := range r.Timeline.Windows {
			l := w.WriteLatency.Latency()
			story.Latency = append(story.Latency, report.Point{At: r.Timeline.Start.Add(time.Duration(w.At) * time.Millisecond),
				P50: l.P50, P99: l.P99, Max: l.Max, Writes: w.Writes, Runs: w.Runs, Failed: w.Failed, Stale: w.Stale})
		}
	}
	file, err := os.Create(d.html)
	if err != nil {
		return nil, err
	}
	return story.Seen, errors.Join(report.HTML(file, story), file.Close())
}

// seen is what the students saw of an attempt.
func seen(record *cutover.Record, r *students.Report) report.Seen {
	s := report.Seen{Attempt: record.Attempt}
	if r.Timeline == nil {
		return s
	}
	at := r.Timeline.Around(heldFrom(record))
	for _, f := range r.Flips {
		if record.Outcome == cutover.Committed && f.Epoch == int64(record.Epoch) {
			s.HoldMS = f.Hold
		}
	}
	stretch := func(x students.Stretch) report.Stretch {
		return report.Stretch{Pause: x.Pause, P50: x.WriteLatency.P50, P99: x.WriteLatency.P99, Max: x.WriteLatency.Max, ReadP99: x.ReadLatency.P99, ReadMax: x.ReadLatency.Max,
			Writes: x.Writes, Failed: x.Failed, Stale: x.Stale}
	}
	s.Before, s.During, s.After = stretch(at.Before), stretch(at.During), stretch(at.After)
	return s
}

// kinds are the passes that are asked for: there, back, there again, …
func (d *demo) kinds() (all []cutover.Kind) {
	for i := range d.passes {
		all = append(all, []cutover.Kind{cutover.Cutover, cutover.Rollback}[i%2])
	}
	return all
}

// writer is the server that is the writer after all passes.
func (d *demo) writer() (writer, other *sandbox.Server) {
	if d.passes%2 == 1 {
		return d.pair.Target, d.pair.Source
	}
	return d.pair.Source, d.pair.Target
}

// auditAll looks for everything that a student was told is saved, on the writer, for strays on the other
// server, and compares both.
func (s *school) auditAll(ctx context.Context) (a report.Audit, clean bool, err error) {
	d := s.demo
	path, err := d.tool("hourofcode")
	if err != nil {
		return a, false, err
	}
	writer, other := d.writer()
	args := []string{"audit", s.ledger(), "--database", d.cfg.Databases[0], "--equal", "--within", "30s", "--json"}
	for flag, side := range map[string]*sandbox.Server{"writer": writer, "old": other} {
		account := sandbox.Changeover // where the fence is by accounts, the application's can't look at the old writer
		if side.Role == sandbox.Target {
			account = sandbox.Admin
		}
		secret, err := filepath.Abs(side.PasswordFile(account))
		if err != nil {
			return a, false, err
		}
		args = append(args, "--"+flag, fmt.Sprintf("%s@%s", account, net.JoinHostPort(side.Host, strconv.Itoa(side.Port))), "--"+flag+"-password-file", secret)
	}
	args = append(args, "--fence", heldFrom(d.records[len(d.records)-1]).Format(time.RFC3339Nano), "--reversed")
	d.say("$ hourofcode audit students.ledger --writer the-%s --old the-%s --equal", writer.Role, other.Role)
	var out, problems strings.Builder
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == exitNo) {
		return a, false, fmt.Errorf("hourofcode audit: %w: %s", err, lastLines(problems.String(), 5))
	}
	return readAudit(out.String(), err == nil)
}

// readAudit reads the answer of `hourofcode audit --json`.
func readAudit(text string, clean bool) (a report.Audit, _ bool, err error) {
	var r audit.Report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return a, false, fmt.Errorf("read the audit's answer: %w", err)
	}
	a = report.Audit{Lost: r.Counts[audit.Lost], Doubled: r.Counts[audit.Doubled], Wrong: r.Counts[audit.Wrong], Stray: r.Counts[audit.Stray],
		Different: r.Counts[audit.Different], Unexpected: r.Counts[audit.Unexpected], Recovered: r.Recovered}
	for _, l := range r.Ledgers {
		a.Acknowledged += int64(l.Acknowledged)
	}
	if r.Sides != nil {
		for _, n := range r.Sides.Rows {
			a.SameRows += n
		}
	}
	return a, clean, nil
}
