package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// The results of a run from which a level counts as passed, and as passed in the best way.
const (
	Passed = 20
	Best   = 30
)

// Run is one click on Run.
type Run struct {
	Script  string
	Level   int
	Program string // at most 32 KiB
	Result  int    // 0 to 100
	TimeMs  int    // from the level's opening to the click, up to a day
	Lines   int    // up to 5,000
	State   json.RawMessage
}

// Ran is what a run led to. attempts and the like are of when it is asked: a replay may say more.
type Ran struct {
	Activity   int64  `json:"activity"`
	Attempts   uint32 `json:"attempts"`
	BestResult uint8  `json:"bestResult"`
	TotalLines uint32 `json:"totalLines"`
	Passed     bool   `json:"passed"`
}

func (r *Run) check() error {
	if err := verbatim("program", r.Program, 32<<10); err != nil {
		return err
	}
	if r.Program == "" {
		return badValue("program", "is missing")
	}
	if err := within("result", r.Result, 0, 100); err != nil {
		return err
	}
	if err := within("timeMs", r.TimeMs, 0, 24*60*60*1000); err != nil {
		return err
	}
	if err := within("lines", r.Lines, 0, 5000); err != nil {
		return err
	}
	if len(r.State) > 0 && string(r.State) != "null" {
		return object("state", r.State, 2<<10)
	}
	r.State = nil
	return nil
}

// Run records one click on Run: the program if it is new to the level, the activity, the student's
// progress, and the lines written so far. The last two are exactly-once because they are in one
// transaction with the activity, whose operation id is unique.
func (s *Store) Run(ctx context.Context, op Op, user User, r Run) (Ran, Answer, error) {
	var ran Ran
	var a Answer
	if err := r.check(); err != nil {
		return ran, a, err
	}
	script, level, err := s.level(ctx, r.Script, r.Level)
	if err != nil {
		return ran, a, err
	}
	digest := programDigest(r.Program)
	known, err := s.knownProgram(ctx, level.ID, digest)
	if err != nil {
		return ran, a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		ran, a.Replayed = Ran{Passed: r.Result >= Passed}, false
		at := stamp(now())
		source := known
		if source == 0 {
			// The program's row may stay behind when the activity turns out to be a replay: harmless.
			source, err = t.insert("INSERT INTO level_sources (level_id, digest, program, created_at) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
				level.ID, digest, r.Program, at)
			if err != nil {
				return err
			}
		}
		ran.Activity, err = t.insert(insertActivity("activities", false), op.id(), op.digest(), user.ID, script.ID, level.ID, source,
			r.Result, score(r), r.TimeMs, r.Lines, at)
		if isDuplicateOp(err) {
			a.Replayed = true
			return t.ranBefore(op, user, script.ID, level.ID, &ran)
		}
		if err != nil {
			return err
		}
		if t.shape.wide {
			if _, err := t.exec(insertActivity("activities_wide", true), op.id(), op.digest(), user.ID, script.ID, level.ID, source,
				r.Result, score(r), r.TimeMs, r.Lines, at, ran.Activity); err != nil {
				return err
			}
		}
		if _, err := t.exec(`INSERT INTO user_levels (user_id, script_id, level_id, attempts, best_result, level_source_id, state, created_at, updated_at)
VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE attempts = attempts + 1, best_result = GREATEST(best_result, VALUES(best_result)),
level_source_id = VALUES(level_source_id), state = COALESCE(VALUES(state), state), updated_at = VALUES(updated_at)`,
			user.ID, script.ID, level.ID, r.Result, source, nullable(r.State), at, at); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE users SET total_lines = total_lines + ? WHERE id = ?", r.Lines, user.ID); err != nil {
			return err
		}
		return t.counters(user, script.ID, level.ID, &ran)
	})
	return ran, a, err
}

func insertActivity(table string, withID bool) string {
	id, value := "", ""
	if withID {
		id, value = ", id", ", ?"
	}
	return "INSERT INTO " + table + " (op_id, op_digest, user_id, script_id, level_id, level_source_id, result, score, `time`, `lines`, created_at" +
		id + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?" + value + ")"
}

func programDigest(program string) []byte {
	sum := sha256.Sum256([]byte(program))
	return sum[:20]
}

// score is how good the result is, in hundredths of what could be had.
func score(r Run) float64 { return float64(min(r.Result, Best)) * 100 / Best }

func nullable(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return string(raw)
}

// knownProgram finds the row of a program outside the transaction: most clicks of a class run what
// somebody has run before, and need no lock for it. Rows are never deleted.
func (s *Store) knownProgram(ctx context.Context, level uint16, digest []byte) (id int64, err error) {
	err = s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "SELECT id FROM level_sources WHERE level_id = ? AND digest = ?", level, digest).Scan(&id)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

func (t *tx) ranBefore(op Op, user User, script, level uint16, ran *Ran) error {
	var digest []byte
	var by uint32
	if err := t.row("SELECT id, user_id, op_digest FROM activities WHERE op_id = ?", op.id()).Scan(&ran.Activity, &by, &digest); err != nil {
		return err
	}
	if by != user.ID {
		return op.reused()
	}
	if err := op.replayed(digest); err != nil {
		return err
	}
	return t.counters(user, script, level, ran)
}

func (t *tx) counters(user User, script, level uint16, ran *Ran) error {
	return t.row(`SELECT l.attempts, l.best_result, u.total_lines FROM user_levels l JOIN users u ON u.id = l.user_id
WHERE l.user_id = ? AND l.script_id = ? AND l.level_id = ?`, user.ID, script, level).Scan(&ran.Attempts, &ran.BestResult, &ran.TotalLines)
}

// LevelProgress is how far somebody is on a level.
type LevelProgress struct {
	Level      int       `json:"level"`
	Attempts   uint32    `json:"attempts"`
	BestResult uint8     `json:"bestResult"`
	UpdatedAt  time.Time `json:"updatedAt"`
}

// Progress is how far somebody is in a course, by level.
func (s *Store) Progress(ctx context.Context, user User, script string) ([]LevelProgress, error) {
	found, err := s.Script(ctx, script)
	if err != nil {
		return nil, err
	}
	c, err := s.curriculum(ctx)
	if err != nil {
		return nil, err
	}
	progress := []LevelProgress{}
	err = s.read(ctx, func(db *sql.DB) error {
		progress = progress[:0]
		return each(ctx, db, func(scan func(...any) error) error {
			var p LevelProgress
			var level uint16
			err := scan(&level, &p.Attempts, &p.BestResult, &p.UpdatedAt)
			if at, ok := c.byLevel[level]; ok && err == nil {
				p.Level = at.level.Number
				progress = append(progress, p)
			}
			return err
		}, "SELECT level_id, attempts, best_result, updated_at FROM user_levels WHERE user_id = ? AND script_id = ? ORDER BY level_id", user.ID, found.ID)
	})
	return progress, err
}

// each calls fn for each row of a query.
func each(ctx context.Context, db querier, fn func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Attempt is one run, as a teacher or the student looks at it later.
type Attempt struct {
	Activity  int64     `json:"activity"`
	Op        string    `json:"op"`
	Student   *Person   `json:"student,omitempty"`
	Script    string    `json:"script,omitempty"`
	Level     int       `json:"level,omitempty"`
	Program   string    `json:"program,omitempty"`
	Result    uint8     `json:"result"`
	Lines     uint16    `json:"lines"`
	TimeMs    uint32    `json:"timeMs"`
	CreatedAt time.Time `json:"createdAt"`
}

// Person is somebody, as others see them.
type Person struct {
	ID   uint32 `json:"id"`
	Name string `json:"name"`
}

// attemptsShown bounds a list of attempts.
const attemptsShown = 200

// Attempts are the runs of a student on a level, newest first; of oneself or of one's own student.
func (s *Store) Attempts(ctx context.Context, user User, student uint32, script string, number int) ([]Attempt, error) {
	_, level, err := s.level(ctx, script, number)
	if err != nil {
		return nil, err
	}
	if err := s.mayLookAt(ctx, user, student); err != nil {
		return nil, err
	}
	all := []Attempt{}
	err = s.read(ctx, func(db *sql.DB) error {
		all = all[:0]
		return each(ctx, db, func(scan func(...any) error) error {
			var a Attempt
			var op []byte
			err := scan(&a.Activity, &op, &a.Result, &a.Lines, &a.TimeMs, &a.CreatedAt)
			a.Op = uuidText(op)
			all = append(all, a)
			return err
		}, "SELECT id, op_id, result, `lines`, `time`, created_at FROM activities WHERE user_id = ? AND level_id = ? ORDER BY id DESC LIMIT ?",
			student, level.ID, attemptsShown)
	})
	return all, err
}

// Attempt is one run with its program.
func (s *Store) Attempt(ctx context.Context, user User, activity int64) (Attempt, error) {
	a := Attempt{Activity: activity, Student: &Person{}}
	var op []byte
	var level uint16
	err := s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "SELECT a.op_id, a.user_id, u.name, a.level_id, p.program, a.result, a.`lines`, a.`time`, a.created_at"+
			" FROM activities a JOIN users u ON u.id = a.user_id JOIN level_sources p ON p.id = a.level_source_id WHERE a.id = ?", activity).
			Scan(&op, &a.Student.ID, &a.Student.Name, &level, &a.Program, &a.Result, &a.Lines, &a.TimeMs, &a.CreatedAt)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return a, refuse(NotFound, "there is no such attempt")
	}
	if err != nil {
		return a, err
	}
	if err := s.mayLookAt(ctx, user, a.Student.ID); err != nil {
		return Attempt{}, err
	}
	a.Op = uuidText(op)
	a.Script, a.Level, _, err = s.place(ctx, level)
	return a, err
}

// mayLookAt lets a person see their own work, and a teacher that of the students in their sections.
func (s *Store) mayLookAt(ctx context.Context, user User, student uint32) error {
	if user.ID == student {
		return nil
	}
	var is bool
	err := s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM section_students ss JOIN sections s ON s.id = ss.section_id
WHERE s.teacher_id = ? AND ss.user_id = ?)`, user.ID, student).Scan(&is)
	})
	if err == nil && !is {
		return refuse(NotYours, "this is the work of somebody who is in none of your sections")
	}
	return err
}
