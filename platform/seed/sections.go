package seed

import (
	"context"
	"fmt"
)

// sectionNames are followed by a number; a schema of before step 10 can't hold what is after the bar.
var sectionNames = []struct{ plain, more string }{
	{"Grade 5", " 🦦"}, {"Klasse 7b", ""}, {"6e B", ""}, {"Класс 4", " 🚀"}, {"第三班", ""}, {"कक्षा 6", ""}, {"الصف الخامس", " ⭐"},
	{"Clase de Ciencias", ""}, {"Computer Club", " 🤖"}, {"반 2", ""}, {"Τάξη Ε", ""}, {"Lớp 4A", ""},
}

// code is the n-th join code: six letters of twenty, all different. The step is prime to twenty, so that
// it comes to every one of the 64 million before it comes back.
func code(n int) string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	v := (uint64(n)*48_271_003 + 12_345_678) % 64_000_000
	var b [6]byte
	for i := range b {
		b[i] = letters[v%20]
		v /= 20
	}
	return string(b[:])
}

func (s *school) writeSections(ctx context.Context, w *writer) error {
	sections := w.table(ctx, "sections", "id, op_id, op_digest, teacher_id, script_id, code, "+s.nameColumn+", created_at")
	c := newChance(s.o.Seed, streamSections)
	made := s.start.AddDate(0, 0, -3).UnixMilli()
	for _, g := range s.groups {
		if g.section == 0 {
			continue
		}
		name := pick(c, sectionNames)
		called := fmt.Sprint(name.plain, " ", g.section)
		if s.nameColumn == "title" {
			called += name.more
		}
		at := made + c.Int64N(24*3600)*1000
		op := c.id(at)
		sections.row().number(int64(g.section)).bytes(op[:]).bytes(c.bytes(16)).number(s.teacher(g.section)).
			number(s.firstCourse(g).id).string(code(g.section)).string(called).time(at)
		if err := sections.end(); err != nil {
			return err
		}
	}
	return sections.flush()
}

// firstCourse is the course that a group began with.
func (s *school) firstCourse(g group) course {
	if d := s.learners[g.from].done; len(d) > 0 {
		for _, c := range s.courses {
			if c.id == s.levels[d[0].level].script {
				return c
			}
		}
	}
	return s.courses[s.learners[g.from].course]
}

func (s *school) writeSectionStudents(ctx context.Context, w *writer) error {
	t := w.table(ctx, "section_students", "section_id, user_id, joined_at")
	c := newChance(s.o.Seed, streamSections)
	made := s.start.AddDate(0, 0, -1).UnixMilli()
	for _, g := range s.groups {
		for i := g.from; i < g.to && g.section > 0; i++ {
			t.row().number(int64(g.section)).number(s.learner(i)).time(made + c.Int64N(12*3600_000))
			if err := t.end(); err != nil {
				return err
			}
		}
	}
	return t.flush()
}

var comments = []struct{ text, rating string }{
	{"Well done! 👏", "beyond"}, {"Nearly there. What comes again and again?", "nearly"}, {"Schau dir die dritte Drehung an.", "begun"},
	{"Très bien 🌟", "there"}, {"Попробуй цикл!", "nearly"}, {"もう一回やってみよう", "begun"}, {"أحسنت يا بطل 🏆", "there"},
	{"Can you do it with fewer blocks?", "none"}, {"बहुत बढ़िया!", "beyond"}, {"¡Casi! Cuenta los pasos otra vez.", "nearly"},
}

func (s *school) writeFeedback(ctx context.Context, w *writer) error {
	t := w.table(ctx, "teacher_feedbacks", "id, op_id, op_digest, teacher_id, student_id, script_id, level_id, activity_id, comment, rating, created_at, seen_at")
	c := newChance(s.o.Seed, streamFeedback)
	id := int64(0)
	for _, g := range s.groups {
		for i := g.from; i < g.to && g.section > 0; i++ {
			if len(s.learners[i].done) == 0 || !c.of(0.3) {
				continue
			}
			d := pick(c, s.learners[i].done)
			says := pick(c, comments)
			at := whole(d.last + 60_000 + c.Int64N(24*3600_000))
			op := c.id(at)
			id++
			t.row().number(id).bytes(op[:]).bytes(c.bytes(16)).number(s.teacher(g.section)).number(s.learner(i)).
				number(s.levels[d.level].script).number(s.levels[d.level].id).number(d.activity).string(says.text).string(says.rating).time(at)
			if c.of(0.6) {
				t.time(at + 1000*c.Int64N(3*24*3600))
			} else {
				t.null()
			}
			if err := t.end(); err != nil {
				return err
			}
		}
	}
	return t.flush()
}
