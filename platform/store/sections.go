package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"
)

// Section is a class.
type Section struct {
	ID       uint32 `json:"id"`
	Code     string `json:"code,omitempty"` // by which students join
	Name     string `json:"name"`
	Script   string `json:"script"` // may be empty
	Students int    `json:"students"`
}

// NewSection makes a class of a teacher's.
func (s *Store) NewSection(ctx context.Context, op Op, teacher User, name, script string) (Section, Answer, error) {
	section := Section{Script: script}
	var a Answer
	if teacher.Kind != Teacher && teacher.Kind != Admin {
		return section, a, refuse(NotAllowed, "only a teacher has sections")
	}
	name, err := text("name", name, 1, 100)
	if err != nil {
		return section, a, err
	}
	var scriptID any
	if script != "" {
		found, err := s.Script(ctx, script)
		if err != nil {
			return section, a, err
		}
		scriptID = found.ID
	}
	section.Name = name
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		section.Code = joinCode()
		column, values, err := t.shape.sectionNameValues(name)
		if err != nil {
			return err
		}
		args := append([]any{op.id(), op.digest(), teacher.ID, scriptID, section.Code, stamp(now())}, values...)
		id, err := t.insert("INSERT INTO sections (op_id, op_digest, teacher_id, script_id, code, created_at"+column+") VALUES (?, ?, ?, ?, ?, ?"+marks(len(values))+")", args...)
		if isDuplicateOp(err) {
			a.Replayed = true
			var digest []byte
			if err := t.row("SELECT id, code, op_digest FROM sections WHERE op_id = ?", op.id()).Scan(&section.ID, &section.Code, &digest); err != nil {
				return err
			}
			return op.replayed(digest)
		}
		if key, _ := duplicate(err); key == "sections_code" {
			return errRetry("the join code was somebody else's")
		}
		section.ID = uint32(id)
		return err
	})
	return section, a, err
}

func marks(n int) (s string) {
	for range n {
		s += ", ?"
	}
	return s
}

// sectionNameValues are the columns that hold a section's name, at whichever step they are.
func (t *tableShape) sectionNameValues(name string) (columns string, values []any, err error) {
	if t.sectionName {
		old := name
		if !isUTF8MB3(name) {
			if !t.sectionTitle {
				return "", nil, badValue("name", "has an emoji or another character that a section's name can't have yet")
			}
			old = onlyUTF8MB3(name)
		}
		columns, values = ", name", append(values, old)
	}
	if t.sectionTitle {
		columns, values = columns+", title", append(values, name)
	}
	return columns, values, nil
}

func isUTF8MB3(s string) bool { return onlyUTF8MB3(s) == s }

func onlyUTF8MB3(s string) string {
	out := []rune(s)
	for i, r := range out {
		if r > 0xFFFF {
			out[i] = '?'
		}
	}
	return string(out)
}

// joinCode is six letters that can't be taken for one another when read aloud or copied by a child:
// no vowels either, so that they make no words.
func joinCode() string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	raw := make([]byte, 0, 6)
	for len(raw) < cap(raw) {
		var b [1]byte
		_, _ = rand.Read(b[:])
		if int(b[0]) < 256/len(letters)*len(letters) { // else some letters would be likelier
			raw = append(raw, letters[int(b[0])%len(letters)])
		}
	}
	return string(raw)
}

// Join puts a student into the section of that code; being there already is no error. A guest who has
// no name yet gets the one that is given, so that the teacher knows whose work it is.
func (s *Store) Join(ctx context.Context, user User, code, name string) (Section, Answer, error) {
	var section Section
	var a Answer
	name, err := text("name", name, 0, 80)
	if err != nil {
		return section, a, err
	}
	if len(code) != 6 || !ascii(code, "") {
		return section, a, badValue("code", "is not six letters")
	}
	c, err := s.curriculum(ctx)
	if err != nil {
		return section, a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		var script sql.NullInt64
		err := t.row("SELECT s.id, "+t.shape.sectionNameColumn()+", s.script_id FROM sections s WHERE s.code = UPPER(?)", code).
			Scan(&section.ID, &section.Name, &script)
		if errors.Is(err, sql.ErrNoRows) {
			return &Refusal{Code: NotFound, Field: "code", Message: "no section has this code"}
		}
		if err != nil {
			return err
		}
		section.Script = c.scriptName(script)
		if name != "" {
			if _, err := t.exec("UPDATE users SET name = ? WHERE id = ? AND kind = 'guest' AND name = ''", name, user.ID); err != nil {
				return err
			}
		}
		_, err = t.exec("INSERT INTO section_students (section_id, user_id, joined_at) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE joined_at = joined_at",
			section.ID, user.ID, stamp(now()))
		return err
	})
	return section, a, err
}

// Sections are a teacher's classes, newest first.
func (s *Store) Sections(ctx context.Context, teacher User) ([]Section, error) {
	c, err := s.curriculum(ctx)
	if err != nil {
		return nil, err
	}
	all := []Section{}
	err = s.read(ctx, func(db *sql.DB) error {
		all = all[:0]
		shape, err := s.currentShape(ctx)
		if err != nil {
			return err
		}
		return each(ctx, db, func(scan func(...any) error) error {
			var x Section
			var script sql.NullInt64
			err := scan(&x.ID, &x.Code, &x.Name, &script, &x.Students)
			x.Script = c.scriptName(script)
			all = append(all, x)
			return err
		}, "SELECT s.id, s.code, "+shape.sectionNameColumn()+`, s.script_id,
(SELECT COUNT(*) FROM section_students ss WHERE ss.section_id = s.id) FROM sections s WHERE s.teacher_id = ? ORDER BY s.id DESC LIMIT 500`, teacher.ID)
	})
	return all, err
}

// Grid is how far the students of a section are in its course.
type Grid struct {
	Section  Section       `json:"section"`
	Levels   []Level       `json:"levels"`
	Students []GridStudent `json:"students"`
}

// GridStudent is a line of the grid.
type GridStudent struct {
	ID         uint32          `json:"id"`
	Name       string          `json:"name"`
	TotalLines uint32          `json:"totalLines"`
	Levels     []LevelProgress `json:"levels"`
}

// ownSection finds a section of the teacher's.
func (s *Store) ownSection(ctx context.Context, teacher User, id uint32) (section Section, scriptID sql.NullInt64, err error) {
	var owner uint32
	err = s.read(ctx, func(db *sql.DB) error {
		shape, err := s.currentShape(ctx)
		if err != nil {
			return err
		}
		return db.QueryRowContext(ctx, "SELECT s.id, s.code, "+shape.sectionNameColumn()+", s.script_id, s.teacher_id FROM sections s WHERE s.id = ?", id).
			Scan(&section.ID, &section.Code, &section.Name, &scriptID, &owner)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return section, scriptID, refuse(NotFound, "there is no such section")
	case err != nil:
		return section, scriptID, err
	case owner != teacher.ID:
		return Section{}, scriptID, refuse(NotYours, "this is another teacher's section")
	}
	return section, scriptID, nil
}

// Grid reads it, through the view that the database has for it.
func (s *Store) Grid(ctx context.Context, teacher User, id uint32) (Grid, error) {
	g := Grid{Levels: []Level{}, Students: []GridStudent{}}
	section, script, err := s.ownSection(ctx, teacher, id)
	if err != nil {
		return g, err
	}
	c, err := s.curriculum(ctx)
	if err != nil {
		return g, err
	}
	section.Script = c.scriptName(script)
	if found := c.byName[section.Script]; found != nil {
		g.Levels = found.Levels
	}
	err = s.read(ctx, func(db *sql.DB) error {
		g.Students = g.Students[:0]
		return each(ctx, db, func(scan func(...any) error) error {
			var who GridStudent
			var level, attempts, best, of sql.NullInt64
			var updated sql.NullTime
			if err := scan(&who.ID, &who.Name, &who.TotalLines, &of, &level, &attempts, &best, &updated); err != nil {
				return err
			}
			if n := len(g.Students); n == 0 || g.Students[n-1].ID != who.ID {
				who.Levels = []LevelProgress{}
				g.Students = append(g.Students, who)
			}
			last := &g.Students[len(g.Students)-1]
			if at, ok := c.byLevel[uint16(level.Int64)]; level.Valid && ok && of.Int64 == script.Int64 {
				last.Levels = append(last.Levels, LevelProgress{Level: at.level.Number, Attempts: uint32(attempts.Int64), BestResult: uint8(best.Int64), UpdatedAt: updated.Time})
			}
			return nil
		}, `SELECT v.user_id, v.name, u.total_lines, v.script_id, v.level_id, v.attempts, v.best_result, v.updated_at
FROM section_progress v JOIN users u ON u.id = v.user_id WHERE v.section_id = ? ORDER BY v.user_id, v.level_id`, id)
	})
	section.Students = len(g.Students)
	g.Section = section
	return g, err
}

// RemoveStudent takes a student out of a section; the work stays.
func (s *Store) RemoveStudent(ctx context.Context, teacher User, section, student uint32) (a Answer, err error) {
	if _, _, err := s.ownSection(ctx, teacher, section); err != nil {
		return a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM section_students WHERE section_id = ? AND user_id = ?", section, student)
		return err
	})
	return a, err
}

// Feedback is what a teacher says of a student's work.
type Feedback struct {
	ID         uint32     `json:"id"`
	Teacher    string     `json:"teacher"`
	Script     string     `json:"script"`
	Level      int        `json:"level"`
	LevelTitle string     `json:"levelTitle"`
	Comment    string     `json:"comment"`
	Rating     string     `json:"rating"`
	CreatedAt  time.Time  `json:"createdAt"`
	SeenAt     *time.Time `json:"seenAt"`
}

// NewFeedback is what a teacher asks to be said.
type NewFeedback struct {
	Student  uint32
	Script   string
	Level    int
	Activity int64 // 0: of no particular attempt
	Comment  string
	Rating   string
}

var ratings = map[string]bool{"none": true, "begun": true, "nearly": true, "there": true, "beyond": true}

// GiveFeedback says it to a student of one of the teacher's sections.
func (s *Store) GiveFeedback(ctx context.Context, op Op, teacher User, f NewFeedback) (id uint32, a Answer, err error) {
	if f.Rating == "" {
		f.Rating = "none"
	}
	if !ratings[f.Rating] {
		return 0, a, badValue("rating", "is %q; it can be none, begun, nearly, there or beyond", f.Rating)
	}
	least := 1
	if f.Rating != "none" {
		least = 0
	}
	if f.Comment, err = text("comment", f.Comment, least, 2000); err != nil {
		return 0, a, err
	}
	script, level, err := s.level(ctx, f.Script, f.Level)
	if err != nil {
		return 0, a, err
	}
	if f.Student == teacher.ID {
		return 0, a, refuse(NotYours, "feedback is for students")
	}
	if err := s.mayLookAt(ctx, teacher, f.Student); err != nil {
		return 0, a, err
	}
	var activity any
	if f.Activity != 0 {
		activity = f.Activity
		var by uint32
		err := s.read(ctx, func(db *sql.DB) error {
			return db.QueryRowContext(ctx, "SELECT user_id FROM activities WHERE id = ?", f.Activity).Scan(&by)
		})
		if errors.Is(err, sql.ErrNoRows) || err == nil && by != f.Student {
			return 0, a, badValue("activity", "is no attempt of this student's")
		}
		if err != nil {
			return 0, a, err
		}
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		made, err := t.insert(`INSERT INTO teacher_feedbacks (op_id, op_digest, teacher_id, student_id, script_id, level_id, activity_id, comment, rating, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, op.id(), op.digest(), teacher.ID, f.Student, script.ID, level.ID, activity, f.Comment, f.Rating, stamp(now()))
		if isDuplicateOp(err) {
			a.Replayed = true
			var digest []byte
			if err := t.row("SELECT id, op_digest FROM teacher_feedbacks WHERE op_id = ?", op.id()).Scan(&id, &digest); err != nil {
				return err
			}
			return op.replayed(digest)
		}
		id = uint32(made)
		return err
	})
	return id, a, err
}

// Feedback is what a student was told, newest first.
func (s *Store) Feedback(ctx context.Context, student User) ([]Feedback, error) {
	c, err := s.curriculum(ctx)
	if err != nil {
		return nil, err
	}
	all := []Feedback{}
	err = s.read(ctx, func(db *sql.DB) error {
		all = all[:0]
		return each(ctx, db, func(scan func(...any) error) error {
			var f Feedback
			var level uint16
			var seen sql.NullTime
			err := scan(&f.ID, &f.Teacher, &level, &f.Comment, &f.Rating, &f.CreatedAt, &seen)
			if seen.Valid {
				f.SeenAt = &seen.Time
			}
			if p, ok := c.byLevel[level]; ok {
				f.Script, f.Level, f.LevelTitle = p.script.Name, p.level.Number, p.level.Title
			}
			all = append(all, f)
			return err
		}, `SELECT f.id, u.name, f.level_id, f.comment, f.rating, f.created_at, f.seen_at FROM teacher_feedbacks f
JOIN users u ON u.id = f.teacher_id WHERE f.student_id = ? ORDER BY f.id DESC LIMIT 200`, student.ID)
	})
	return all, err
}

// Unseen counts the feedback that a student hasn't looked at.
func (s *Store) Unseen(ctx context.Context, student User) (n int, err error) {
	err = s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "SELECT COUNT(*) FROM teacher_feedbacks WHERE student_id = ? AND seen_at IS NULL", student.ID).Scan(&n)
	})
	return n, err
}

// SawFeedback notes that the student has looked at it; the first time counts.
func (s *Store) SawFeedback(ctx context.Context, student User, id uint32) (a Answer, err error) {
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		n, err := t.change("UPDATE teacher_feedbacks SET seen_at = COALESCE(seen_at, ?) WHERE id = ? AND student_id = ?", stamp(now()), id, student.ID)
		if err == nil && n == 0 {
			return refuse(NotFound, "there is no such feedback for you")
		}
		return err
	})
	return a, err
}
