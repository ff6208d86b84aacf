package audit

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/platformtest"
	"changeover/platform/students"
	"changeover/platform/students/ledger"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// school is a platform on which a load has run, and its ledger. Tests change the database within a
// transaction that is rolled back, so all of them share it.
type school struct {
	platform *platformtest.Platform
	log      *ledger.Log
}

// newSchool runs a load that has every kind of operation.
func newSchool(t *testing.T, on *sandboxtest.Server) *school {
	t.Helper()
	s := &school{platform: platformtest.New(t, on)}
	s.load(t)
	return s
}

func (s *school) load(t *testing.T) {
	t.Helper()
	_, url := s.platform.Serve(t)
	path := filepath.Join(t.TempDir(), "run.ledger")
	w, err := ledger.Create(path, ledger.Header{Run: "audit", Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := students.New(students.Options{URLs: []string{url}, Pace: 200, Seed: 2, Ledger: w, Grace: time.Minute,
		Curve: students.Curve{Runs: 150, For: 4 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	report, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if len(report.Counts.Refused) > 0 || report.Counts.Stale > 0 || report.Counts.Ahead > 0 {
		t.Errorf("the load: %+v %v", report.Counts, report.Samples)
	}
	if s.log, err = ledger.Read(path); err != nil {
		t.Fatal(err)
	}
}

// first is an acknowledged operation of a kind which was not changed again.
func (s *school) first(t *testing.T, k ledger.Kind) *ledger.Operation {
	t.Helper()
	for _, o := range s.log.Operations {
		if o.Kind == k && o.Acknowledged() {
			return o
		}
	}
	t.Fatalf("the load did no %v", k)
	return nil
}

// last is the newest acknowledged operation of a kind.
func (s *school) last(t *testing.T, k ledger.Kind) *ledger.Operation {
	t.Helper()
	var found *ledger.Operation
	for _, o := range s.log.Operations {
		if o.Kind == k && o.Acknowledged() {
			found = o
		}
	}
	if found == nil {
		t.Fatalf("the load did no %v", k)
	}
	return found
}

// changed is the ledger with one operation changed.
func (s *school) changed(of *ledger.Operation, change func(*ledger.Operation)) *ledger.Log {
	log := *s.log
	log.Operations = nil
	for _, o := range s.log.Operations {
		if o == of {
			copied := *o
			change(&copied)
			o = &copied
		}
		log.Operations = append(log.Operations, o)
	}
	return &log
}

// without is the ledger without one operation.
func (s *school) without(of *ledger.Operation) *ledger.Log {
	log := *s.log
	log.Operations = nil
	for _, o := range s.log.Operations {
		if o != of {
			log.Operations = append(log.Operations, o)
		}
	}
	return &log
}

func (s *school) options() Options { return Options{Ledgers: []*ledger.Log{s.log}, Limit: 1000} }

// after compares once statements have changed the database, and rolls them back.
func (s *school) after(t *testing.T, o Options, statements ...statement) *Report {
	t.Helper()
	tx, err := s.platform.DB.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, x := range statements {
		res, err := tx.Exec(x.text, x.args...)
		if err != nil {
			t.Fatalf("%s: %v", x.text, err)
		}
		if n, _ := res.RowsAffected(); n == 0 {
			t.Fatalf("%s: no row", x.text)
		}
	}
	r, err := compare(t.Context(), tx, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type statement struct {
	text string
	args []any
}

func do(text string, args ...any) statement {
	for i, a := range args {
		if id, ok := a.(uuid.UUID); ok {
			args[i] = id[:]
		}
	}
	return statement{text, args}
}

// finds asserts that there is a finding of the verdict there.
func finds(t *testing.T, r *Report, v Verdict, where string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Verdict == v && f.Where == where {
			return
		}
	}
	t.Errorf("no %s at %s in %s", v, where, shown(r))
}

func shown(r *Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n  %s %s %s user %d: %s", f.Verdict, f.Where, f.Op, f.User, f.Text)
	}
	return b.String() + "."
}

func clean(t *testing.T, r *Report) {
	t.Helper()
	if !r.Clean() || len(r.Findings) > 0 {
		t.Errorf("not clean:%s", shown(r))
	}
}

// newOpID is an operation that no client knows, of now.
func newOpID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// copied inserts a row again: its columns are taken as they are but for those that are given.
func copied(table, where string, whereArgs []any, given map[string]any, columns string) statement {
	var selected []string
	var args []any
	for c := range strings.SplitSeq(columns, ", ") {
		if v, ok := given[c]; ok {
			selected = append(selected, "?")
			args = append(args, v)
			continue
		}
		selected = append(selected, c)
	}
	return do("INSERT INTO "+table+" ("+columns+") SELECT "+strings.Join(selected, ", ")+" FROM "+table+" WHERE "+where, append(args, whereArgs...)...)
}

func bytesOf(id uuid.UUID) []byte { return id[:] }

const activityColumns = "op_id, op_digest, user_id, script_id, level_id, level_source_id, result, score, `time`, `lines`, created_at"

func TestTheAuditCatchesWhatIsDoneToTheDatabase(t *testing.T) {
	for name, on := range map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{
		"MySQL": sandboxtest.MySQLSource, "MariaDB": sandboxtest.MariaDBSource} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSchool(t, on(t))
			t.Run("a run that nobody disturbed is clean", func(t *testing.T) {
				r, err := Run(t.Context(), Options{Ledgers: []*ledger.Log{s.log}, Writer: s.platform.DB})
				if err != nil {
					t.Fatal(err)
				}
				clean(t, r)
				for _, table := range []string{"users", "sessions", "activities", "level_sources", "hoc_activity", "sections", "section_students",
					"teacher_feedbacks", "projects", "data_records", "data_kvs", "hoc_events"} {
					if r.Rows[table] == 0 {
						t.Errorf("no row of %s was compared", table)
					}
				}
				for _, effect := range []string{"user_levels.attempts", "users.total_lines", "projects.version", "data_tables.last_id", "answers"} {
					if r.Effects[effect] == 0 {
						t.Errorf("%s was not compared", effect)
					}
				}
			})
			dropped(t, s)
			doubled(t, s)
			altered(t, s)
			ledgers(t, s)
		})
	}
}

// dropped: every kind of row, gone.
func dropped(t *testing.T, s *school) {
	run, guest, seen := s.first(t, ledger.Run), s.first(t, ledger.Guest), s.first(t, ledger.FeedbackSeen)
	save, pair, event := s.last(t, ledger.Save), s.last(t, ledger.Pair), s.last(t, ledger.Event)
	join := s.first(t, ledger.Join)
	for _, c := range []struct {
		name, where string
		statements  []statement
	}{
		{"an activity", "activities", []statement{do("DELETE FROM activities WHERE op_id = ?", run.Op)}},
		{"an activity with its effects", "activities", []statement{do("DELETE FROM activities WHERE op_id = ?", run.Op),
			do("UPDATE users SET total_lines = total_lines - ? WHERE id = ?", run.Lines, run.User),
			do("UPDATE user_levels SET attempts = attempts - 1 WHERE user_id = ? AND level_id = (SELECT id FROM levels WHERE position = ? AND script_id = (SELECT id FROM scripts WHERE name = ?))",
				run.User, run.Level, run.Script)}},
		{"a program", "level_sources", []statement{do("DELETE FROM level_sources WHERE digest = ?", run.Digest[:])}},
		{"progress", "user_levels", []statement{do("DELETE FROM user_levels WHERE user_id = ?", run.User)}},
		{"the effect of a run on attempts", "user_levels.attempts", []statement{do("UPDATE user_levels SET attempts = attempts - 1 WHERE user_id = ? ORDER BY level_id LIMIT 1", run.User)}},
		{"the effect of a run on lines", "users.total_lines", []statement{do("UPDATE users SET total_lines = total_lines - 1 WHERE id = ?", run.User)}},
		{"a user", "users", []statement{do("DELETE FROM users WHERE id = ?", guest.Outcome.User)}},
		{"a session", "sessions", []statement{do("DELETE FROM sessions WHERE LEFT(id, 20) = ?", guest.Digest[:])}},
		{"an hour", "hoc_activity", []statement{do("DELETE FROM hoc_activity WHERE op_id = ?", s.first(t, ledger.HocStart).Op)}},
		{"an hour's end", "hoc_activity.finish_op", []statement{do("UPDATE hoc_activity SET finish_op = NULL, certificate = NULL, finished_at = NULL WHERE finish_op = ?", s.first(t, ledger.HocFinish).Op)}},
		{"a section", "sections", []statement{do("DELETE FROM sections WHERE op_id = ?", s.first(t, ledger.Section).Op)}},
		{"a student's place in a section", "section_students", []statement{do("DELETE FROM section_students WHERE section_id = ? AND user_id = ?", join.Number, join.User)}},
		{"a feedback", "teacher_feedbacks", []statement{do("DELETE FROM teacher_feedbacks WHERE op_id = ?", s.first(t, ledger.Feedback).Op)}},
		{"that a feedback was seen", "teacher_feedbacks.seen_at", []statement{do("UPDATE teacher_feedbacks SET seen_at = NULL WHERE id = ?", seen.Number)}},
		{"a project", "projects", []statement{do("DELETE FROM projects WHERE uuid = ?", save.Object)}},
		{"a save", "projects", []statement{do("UPDATE projects SET version = version - 1, last_op = ? WHERE uuid = ?", s.before(t, save), save.Object)}},
		{"a save's version", "projects.version", []statement{do("UPDATE projects SET version = version - 1 WHERE uuid = ?", save.Object)}},
		{"a record", "data_records", []statement{do("DELETE FROM data_records WHERE op_id = ?", s.living(t).Op)}},
		{"a record's number", "data_tables.last_id", []statement{do("UPDATE data_tables SET last_id = last_id - 1 LIMIT 1")}},
		{"a key", "data_kvs", []statement{do("DELETE FROM data_kvs WHERE last_op = ?", pair.Op)}},
		{"an event", "hoc_events", []statement{do("DELETE FROM hoc_events WHERE op_id = ?", event.Op)}},
	} {
		t.Run("dropped: "+c.name, func(t *testing.T) { finds(t, s.after(t, s.options(), c.statements...), Lost, c.where) })
	}
	t.Run("dropped: a deletion", func(t *testing.T) {
		gone := s.first(t, ledger.RecordDelete)
		// The row as it was made; a save in between makes it a lost one all the same.
		r := s.after(t, s.options(), do("INSERT INTO data_records (project_id, table_name, id, op_id, op_digest, last_op, last_digest, version, value)"+
			" SELECT id, ?, ?, ?, op_digest, ?, op_digest, 1, '{}' FROM projects WHERE uuid = ?", gone.Name, gone.Number, s.maker(t, gone), s.maker(t, gone), gone.Object))
		finds(t, r, Lost, "data_records")
	})
}

// before is the operation that made the version which a save replaced.
func (s *school) before(t *testing.T, save *ledger.Operation) uuid.UUID {
	t.Helper()
	for _, o := range s.log.Operations {
		if o.Object == save.Object && (o.Kind == ledger.Save || o.Kind == ledger.Project) && o.Outcome.Version == save.Prior {
			return o.Op
		}
	}
	t.Fatal("nothing was there to be saved")
	return uuid.UUID{}
}

// maker is the operation that made a record.
func (s *school) maker(t *testing.T, of *ledger.Operation) uuid.UUID {
	t.Helper()
	for _, o := range s.log.Operations {
		if o.Kind == ledger.Record && o.Object == of.Object && o.Outcome.ID == of.Number {
			return o.Op
		}
	}
	t.Fatal("nobody made the record")
	return uuid.UUID{}
}

// living is the making of a record that is not deleted.
func (s *school) living(t *testing.T) *ledger.Operation {
	t.Helper()
	gone := map[string]bool{}
	for _, o := range s.log.Operations {
		if o.Kind == ledger.RecordDelete {
			gone[fmt.Sprint(o.Object, o.Number)] = true
		}
	}
	for _, o := range s.log.Operations {
		if o.Kind == ledger.Record && o.Acknowledged() && !gone[fmt.Sprint(o.Object, o.Outcome.ID)] {
			return o
		}
	}
	t.Fatal("no record is left")
	return nil
}

// doubled: the same content under another operation, and double executions that a unique key hides.
func doubled(t *testing.T, s *school) {
	run, hour, feedback := s.first(t, ledger.Run), s.first(t, ledger.HocStart), s.first(t, ledger.Feedback)
	section, record, event, save := s.first(t, ledger.Section), s.living(t), s.first(t, ledger.Event), s.last(t, ledger.Save)
	other := func() []byte { return bytesOf(newOpID()) }
	for _, c := range []struct {
		name, where string
		statements  []statement
	}{
		{"an activity under another operation", "activities", []statement{copied("activities", "op_id = ?", []any{bytesOf(run.Op)}, map[string]any{"op_id": other()}, activityColumns)}},
		{"an hour", "hoc_activity", []statement{copied("hoc_activity", "op_id = ?", []any{bytesOf(hour.Op)}, map[string]any{"op_id": other()}, "op_id, op_digest, user_id, script_id, ip, country, started_at")}},
		{"a feedback", "teacher_feedbacks", []statement{copied("teacher_feedbacks", "op_id = ?", []any{bytesOf(feedback.Op)}, map[string]any{"op_id": other()},
			"op_id, op_digest, teacher_id, student_id, script_id, level_id, activity_id, comment, rating, created_at")}},
		{"a section", "sections", []statement{copied("sections", "op_id = ?", []any{bytesOf(section.Op)}, map[string]any{"op_id": other(), "code": "QQQQQQ"},
			"op_id, op_digest, teacher_id, script_id, code, title, created_at")}},
		{"a record", "data_records", []statement{copied("data_records", "op_id = ?", []any{bytesOf(record.Op)}, map[string]any{"op_id": other(), "id": 999, "last_op": other()},
			"project_id, table_name, id, op_id, op_digest, last_op, last_digest, version, value")}},
		{"an event", "hoc_events", []statement{copied("hoc_events", "op_id = ?", []any{bytesOf(event.Op)}, map[string]any{"op_id": other(), "last_op": other()},
			"op_id, op_digest, last_op, last_digest, secret, version, name, description, country, city, latitude, longitude, on_date, at_time, hours, size, features, created_at, updated_at")}},
		{"a run's effect on attempts", "user_levels.attempts", []statement{do("UPDATE user_levels SET attempts = attempts + 1 WHERE user_id = ? ORDER BY level_id LIMIT 1", run.User)}},
		{"a run's effect on lines", "users.total_lines", []statement{do("UPDATE users SET total_lines = total_lines + ? WHERE id = ?", run.Lines, run.User)}},
		{"a save", "projects.version", []statement{do("UPDATE projects SET version = version + 1 WHERE uuid = ?", save.Object)}},
		{"a record's number", "data_tables.last_id", []statement{do("UPDATE data_tables SET last_id = last_id + 1 LIMIT 1")}},
		{"a key's setting", "data_kvs.version", []statement{do("UPDATE data_kvs SET version = version + 1 WHERE last_op = ?", s.last(t, ledger.Pair).Op)}},
		{"an event's", "hoc_events.version", []statement{do("UPDATE hoc_events SET version = version + 1 WHERE op_id = ?", event.Op)}},
	} {
		t.Run("doubled: "+c.name, func(t *testing.T) { finds(t, s.after(t, s.options(), c.statements...), Doubled, c.where) })
	}
}

// altered: a column at a time.
func altered(t *testing.T, s *school) {
	run, account, feedback := s.first(t, ledger.Run), s.first(t, ledger.Account), s.first(t, ledger.Feedback)
	save, record, pair, event := s.last(t, ledger.Save), s.living(t), s.last(t, ledger.Pair), s.last(t, ledger.Event)
	finish, section := s.first(t, ledger.HocFinish), s.first(t, ledger.Section)
	of := func(column string) statement {
		return do("UPDATE activities SET "+column+" = "+column+" + 1 WHERE op_id = ?", run.Op)
	}
	for _, c := range []struct {
		name, where string
		statement   statement
	}{
		{"an activity's lines", "activities.lines", of("`lines`")},
		{"an activity's time", "activities.time", of("`time`")},
		{"an activity's result", "activities.result", of("result")},
		{"an activity's user", "activities.user_id", of("user_id")},
		{"an activity's level", "activities.level_id", of("level_id")},
		{"an activity's number", "activities.id", do("UPDATE activities SET id = 1000000 WHERE op_id = ?", run.Op)},
		{"an activity's program", "activities.level_source_id", do("UPDATE activities SET level_source_id = (SELECT MAX(id) FROM level_sources WHERE digest <> ?) WHERE op_id = ?", run.Digest[:], run.Op)},
		{"a program's text", "level_sources.program", do("UPDATE level_sources SET program = CONCAT(program, ' ') WHERE digest = ?", run.Digest[:])},
		{"a best result", "user_levels.best_result", do("UPDATE user_levels SET best_result = best_result + 1 WHERE user_id = ? ORDER BY level_id LIMIT 1", run.User)},
		{"a login", "users.login", do("UPDATE users SET login = 'somebody' WHERE op_id = ?", account.Op)},
		{"whose a session is", "sessions.user_id", do("UPDATE sessions SET user_id = (SELECT MIN(id) FROM users WHERE id <> ?) WHERE LEFT(id, 20) = ?", account.Outcome.User, account.Digest[:])},
		{"a feedback's comment", "teacher_feedbacks", do("UPDATE teacher_feedbacks SET comment = 'no' WHERE op_id = ?", feedback.Op)},
		{"a feedback's rating", "teacher_feedbacks", do("UPDATE teacher_feedbacks SET rating = 'none' WHERE op_id = ?", feedback.Op)},
		{"a section's name", "sections", do("UPDATE sections SET title = 'another' WHERE op_id = ?", section.Op)},
		{"a section's code", "sections.code", do("UPDATE sections SET code = 'QQQQQQ' WHERE op_id = ?", section.Op)},
		{"a certificate", "hoc_activity", do("UPDATE hoc_activity SET certificate = ? WHERE finish_op = ?", newOpID(), finish.Op)},
		{"a certificate's name", "hoc_activity", do("UPDATE hoc_activity SET name = 'Nobody' WHERE finish_op = ?", finish.Op)},
		{"a project's source", "projects", do("UPDATE projects SET source = '{}' WHERE uuid = ?", save.Object)},
		{"a project's title", "projects.title", do("UPDATE projects SET title = 'x' WHERE uuid = ?", save.Object)},
		{"a record's value", "data_records", do("UPDATE data_records SET value = '{}' WHERE op_id = ?", record.Op)},
		{"a key's value", "data_kvs", do("UPDATE data_kvs SET value = '1' WHERE last_op = ?", pair.Op)},
		{"an event's city", "hoc_events", do("UPDATE hoc_events SET city = 'elsewhere' WHERE op_id = ?", event.Op)},
	} {
		t.Run("altered: "+c.name, func(t *testing.T) { finds(t, s.after(t, s.options(), c.statement), Wrong, c.where) })
	}
}

// ledgers: what only the ledger shows.
func ledgers(t *testing.T, s *school) {
	run := s.first(t, ledger.Run)
	with := func(log *ledger.Log) Options { return Options{Ledgers: []*ledger.Log{log}, Limit: 1000} }
	t.Run("a row that no client knows is unexpected", func(t *testing.T) {
		r := s.after(t, s.options(), copied("activities", "op_id = ?", []any{bytesOf(run.Op)},
			map[string]any{"op_id": bytesOf(newOpID()), "`time`": 7}, activityColumns))
		finds(t, r, Unexpected, "activities")
	})
	t.Run("a stranger's row in the run's time is unexpected, but not if only our own count", func(t *testing.T) {
		stranger := do("INSERT INTO users (op_id, op_digest, kind, name, created_at) SELECT ?, op_digest, 'guest', '', created_at FROM users WHERE kind = 'guest' ORDER BY id DESC LIMIT 1", newOpID())
		finds(t, s.after(t, s.options(), stranger), Unexpected, "users")
		o := s.options()
		o.OnlyOwn = true
		clean(t, s.after(t, o, stranger))
	})
	t.Run("an operation that is missing in the ledger is unexpected", func(t *testing.T) {
		finds(t, s.after(t, with(s.without(run))), Unexpected, "activities")
	})
	t.Run("a write that was refused, and is there, is unexpected", func(t *testing.T) {
		log := s.changed(run, func(o *ledger.Operation) { o.Outcome.Status, o.Outcome.Code = 422, "not-allowed" })
		finds(t, s.after(t, with(log)), Unexpected, "activities")
	})
	t.Run("a write that was acknowledged too early is lost", func(t *testing.T) {
		// The last operation of its user: acknowledged, while its transaction came to nothing.
		last := s.last(t, ledger.Run)
		log := *s.log
		early := *last
		early.Op, early.Outcome.ID = newOpID(), last.Outcome.ID+1
		early.Outcome.Attempts++
		early.Outcome.Lines += int64(early.Lines)
		early.Sent = early.Sent.Add(time.Millisecond)
		log.Operations = append(append([]*ledger.Operation{}, log.Operations...), &early)
		finds(t, s.after(t, with(&log)), Lost, "activities")
	})
	t.Run("an answer that says more than was done is wrong", func(t *testing.T) {
		log := s.changed(run, func(o *ledger.Operation) { o.Outcome.Attempts++ })
		finds(t, s.after(t, with(log)), Wrong, "the answer of a run")
	})
	t.Run("a stale read is said", func(t *testing.T) {
		log := *s.log
		log.Stale = []ledger.Stale{{Kind: ledger.Progress, User: run.User, Op: run.Op, Text: "missed"}}
		finds(t, s.after(t, with(&log)), Stale, "progress")
	})
	t.Run("a write that was not acknowledged, and is there, is recovered", func(t *testing.T) {
		for _, k := range []ledger.Kind{ledger.Run, ledger.Save, ledger.Pair, ledger.EventSave, ledger.HocFinish, ledger.RecordSave} {
			log := s.changed(s.last(t, k), func(o *ledger.Operation) { o.Outcome = ledger.Outcome{Tries: 2}; o.Settled = true })
			r := s.after(t, with(log))
			clean(t, r)
			if r.Recovered != 1 || r.Ledgers[0].Open != 1 {
				t.Errorf("%v: %d recovered, %d open", k, r.Recovered, r.Ledgers[0].Open)
			}
		}
	})
	t.Run("findings are limited, and all are counted", func(t *testing.T) {
		o := s.options()
		o.Limit = 3
		r := s.after(t, o, do("UPDATE users SET total_lines = total_lines + 1 WHERE total_lines > 0"))
		if len(r.Findings) != 3 || r.Counts[Doubled] <= 3 || r.Clean() {
			t.Errorf("%d findings, %v", len(r.Findings), r.Counts)
		}
	})
	t.Run("no ledger, or an empty one, is an error", func(t *testing.T) {
		for _, o := range []Options{{}, {Ledgers: []*ledger.Log{{}}}, {Ledgers: []*ledger.Log{s.log, s.log}}} {
			if r, err := compare(t.Context(), s.platform.DB, o); err == nil {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestWhatTheOldWriterHasIsAStrayWhenTheNewOneLacksIt(t *testing.T) {
	s := newSchool(t, sandboxtest.MySQLSource(t))
	// The same rows in another database: an old writer whose stream has carried everything.
	old := platformtest.New(t, sandboxtest.MySQLSource(t))
	for _, table := range []string{"users", "sessions", "sections", "level_sources", "activities", "user_levels", "hoc_activity", "projects", "data_tables", "data_records", "data_kvs", "hoc_events", "teacher_feedbacks"} {
		old.Exec(t, "INSERT INTO "+table+" ("+s.columns(t, table)+") SELECT "+s.columns(t, table)+" FROM "+s.platform.At.Database+"."+table)
	}
	compareWithOld := func(t *testing.T, fence time.Time, reversed bool) *Report {
		t.Helper()
		r, err := Run(context.Background(), Options{Ledgers: []*ledger.Log{s.log}, Writer: s.platform.DB, Old: old.DB, Fence: fence, Reversed: reversed, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	end := s.log.Operations[len(s.log.Operations)-1].Sent.Add(time.Minute)
	middle := s.log.Operations[len(s.log.Operations)/2].Sent
	run := s.last(t, ledger.Run)

	t.Run("an old writer that was left behind in time is clean", func(t *testing.T) {
		clean(t, compareWithOld(t, end, false))
		clean(t, compareWithOld(t, time.Time{}, false))
	})
	t.Run("rows that the reverse stream carried are no strays", func(t *testing.T) {
		clean(t, compareWithOld(t, middle, true))
	})
	t.Run("rows of after the fence are strays without a reverse stream", func(t *testing.T) {
		finds(t, compareWithOld(t, middle, false), Stray, "old writer: activities.op_id")
	})
	t.Run("a row that only the old writer has is a stray", func(t *testing.T) {
		id := newOpID()
		old.Exec(t, "INSERT INTO activities ("+activityColumns+") SELECT ?, "+strings.TrimPrefix(activityColumns, "op_id, ")+" FROM activities WHERE op_id = ?", id[:], run.Op[:])
		defer old.Exec(t, "DELETE FROM activities WHERE op_id = ?", id[:])
		for _, fence := range []time.Time{{}, middle} {
			finds(t, compareWithOld(t, fence, true), Stray, "old writer: activities.op_id")
		}
	})
	t.Run("a save that only the old writer has is a stray", func(t *testing.T) {
		save, id := s.last(t, ledger.Save), newOpID()
		old.Exec(t, "UPDATE projects SET last_op = ? WHERE uuid = ?", id[:], save.Object[:])
		defer old.Exec(t, "UPDATE projects SET last_op = ? WHERE uuid = ?", save.Op[:], save.Object[:])
		finds(t, compareWithOld(t, middle, true), Stray, "old writer: projects.last_op")
	})
}

// columns are those of a table that can be written.
func (s *school) columns(t *testing.T, table string) (list string) {
	t.Helper()
	if err := s.platform.DB.QueryRow("SELECT GROUP_CONCAT(CONCAT('`', COLUMN_NAME, '`') ORDER BY ORDINAL_POSITION) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND GENERATION_EXPRESSION = ''",
		table).Scan(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// Connections are killed in the middle of writes: what was acknowledged is there, what was repeated is
// there once.
func TestConnectionsThatAreKilledCostTriesOnly(t *testing.T) {
	on := sandboxtest.MySQLSource(t)
	s := &school{platform: platformtest.New(t, on)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var killing sync.WaitGroup
	killed := 0
	root := on.DB(t, sandbox.Root)
	killing.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			var id int64
			if err := root.QueryRow("SELECT ID FROM information_schema.PROCESSLIST WHERE DB = ? AND COMMAND <> 'Sleep' LIMIT 1", s.platform.At.Database).Scan(&id); err != nil {
				continue // nobody works just now
			}
			if _, err := root.Exec(fmt.Sprintf("KILL %d", id)); err == nil {
				killed++
			}
		}
	})
	s.load(t)
	cancel()
	killing.Wait()
	r, err := Run(t.Context(), Options{Ledgers: []*ledger.Log{s.log}, Writer: s.platform.DB})
	if err != nil {
		t.Fatal(err)
	}
	clean(t, r)
	if killed == 0 {
		t.Error("no connection was killed")
	}
}
