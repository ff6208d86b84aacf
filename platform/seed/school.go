package seed

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"changeover/platform/curriculum"
)

// school is the plan of what is written, and what has come of it so far.
type school struct {
	o          Options
	nameColumn string // of sections: name, or title
	courses    []course
	levels     []*level // of all courses
	dance, app int64    // the scripts in which projects are made

	teachers, organisers int
	learners             []learner // the students, then the guests
	groups               []group
	start                time.Time // the Monday of the first lessons
	rounds               int       // weeks; each group has a lesson in each
	apps                 []made    // the projects of App Lab
}

// course is a script whose levels are solved.
type course struct {
	id     int64
	kind   string
	levels []int // indices of school.levels, in their order
}

// learner is a student or a guest.
type learner struct {
	skill  float64 // the probability of being right
	course int     // index of school.courses
	at     int     // which of its levels, from 0
	opened int64   // when that was opened, ms
	done   []done
	lines  int64
}

// done is what a learner has done on a level: a row of user_levels.
type done struct {
	level       int
	attempts    int64
	best        int
	source      int64
	activity    int64 // the last one
	first, last int64 // ms
}

// group is learners who have their lessons together: a section, or the guests of an event.
type group struct {
	from, to int           // of school.learners
	section  int           // its id; 0: guests
	slot     time.Duration // from Monday to its lesson
}

const (
	groupSize   = 25
	lessonRuns  = 17  // of each learner in a lesson
	mostRounds  = 500 // then lessons get longer
	organisersN = 3   // events of each
)

// Streams of chance, so that a part of the school doesn't change when another one does.
const (
	streamPrograms = iota + 1
	streamLessons
	streamPeople
	streamSections
	streamFeedback
	streamHours
	streamProjects
	streamEvents
)

func newSchool(ctx context.Context, db *sql.DB, o Options) (*school, error) {
	s := &school{o: o, teachers: (o.Students + groupSize - 1) / groupSize, organisers: (o.Events + organisersN - 1) / organisersN}
	if err := s.readColumns(ctx, db); err != nil {
		return nil, err
	}
	if err := s.readCourses(ctx, db); err != nil {
		return nil, err
	}
	c := newChance(o.Seed, streamSections)
	s.learners = make([]learner, o.Students+o.Guests)
	for from := 0; from < len(s.learners); {
		g := group{from: from, to: min(from+groupSize, len(s.learners))}
		if from < o.Students {
			g.to = min(g.to, o.Students)
			g.section = len(s.groups) + 1
		}
		// Five days, eight hours, two lessons in an hour; and no two bells ring at the same second.
		g.slot = time.Duration(c.IntN(5))*24*time.Hour + time.Duration(8+c.IntN(8))*time.Hour + time.Duration(c.IntN(2))*30*time.Minute +
			time.Duration(c.IntN(240))*time.Second
		first := c.IntN(len(s.courses))
		for g.section == 0 && s.courses[first].kind != "hoc" {
			first = c.IntN(len(s.courses))
		}
		for i := g.from; i < g.to; i++ {
			s.learners[i] = learner{skill: 0.35 + 0.5*c.Float64(), course: first}
		}
		s.groups = append(s.groups, g)
		from = g.to
	}
	if len(s.learners) == 0 {
		return nil, fmt.Errorf("a school of nobody has no activities")
	}
	perLesson := max(lessonRuns, o.Activities/(mostRounds*len(s.learners)))
	s.rounds = max(1, (o.Activities+perLesson*len(s.learners)-1)/(perLesson*len(s.learners)))
	monday := o.Until.AddDate(0, 0, -(int(o.Until.Weekday())+6)%7).Truncate(24 * time.Hour)
	s.start = monday.AddDate(0, 0, -7*(s.rounds-1))
	return s, nil
}

func (s *school) readColumns(ctx context.Context, db *sql.DB) error {
	err := db.QueryRowContext(ctx, "SELECT LOWER(column_name) FROM information_schema.columns WHERE table_schema = DATABASE() "+
		"AND table_name = 'sections' AND column_name IN ('name', 'title')").Scan(&s.nameColumn)
	if err != nil {
		return fmt.Errorf("look at the columns of sections: %w", err)
	}
	return nil
}

// readCourses finds the ids that the database has given to scripts and levels.
func (s *school) readCourses(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT s.name, s.id, l.position, l.id FROM scripts s JOIN levels l ON l.script_id = s.id")
	if err != nil {
		return fmt.Errorf("read the courses: %w", err)
	}
	defer func() { _ = rows.Close() }()
	scripts, levels := map[string]int64{}, map[string]int64{}
	for rows.Next() {
		var name string
		var script, position, id int64
		if err := rows.Scan(&name, &script, &position, &id); err != nil {
			return err
		}
		scripts[name], levels[fmt.Sprint(name, position)] = script, id
	}
	if err := rows.Err(); err != nil {
		return err
	}
	c := newChance(s.o.Seed, streamPrograms)
	for _, script := range curriculum.Scripts() {
		id, there := scripts[script.Name]
		if !there {
			return fmt.Errorf("the course %s is not in the database: bring the courses in first", script.Name)
		}
		switch script.Kind {
		case "dance":
			s.dance = id
			continue
		case "applab":
			s.app = id
			continue
		}
		made := course{id: id, kind: script.Kind}
		for i, l := range script.Levels {
			next, err := newLevel(levels[fmt.Sprint(script.Name, i+1)], id, l, c)
			if err != nil {
				return err
			}
			made.levels = append(made.levels, len(s.levels))
			s.levels = append(s.levels, next)
		}
		s.courses = append(s.courses, made)
	}
	next := int64(1)
	for _, l := range s.levels {
		for _, p := range slices.Concat(l.right, l.wrong) {
			p.id = next
			next++
		}
	}
	return nil
}

// rows is about how many rows there will be.
func (s *school) rows() int {
	return s.o.Activities + s.o.Activities*2/5 + 3*len(s.learners)
}

// Ids of users: the admin, the teachers, the organisers, the learners.
func (s *school) teacher(section int) int64 { return adminID + int64(section) }
func (s *school) organiser(n int) int64     { return adminID + int64(s.teachers+1+n) }
func (s *school) learner(i int) int64       { return adminID + int64(s.teachers+s.organisers+1+i) }

// writeLessons writes the activities, lesson after lesson, and learns from them how far everybody is.
func (s *school) writeLessons(ctx context.Context, w *writer) error {
	t := w.table(ctx, "activities", "id, op_id, op_digest, user_id, script_id, level_id, level_source_id, result, score, `time`, `lines`, created_at")
	c := newChance(s.o.Seed, streamLessons)
	order := make([]int, len(s.groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.groups[a].slot, s.groups[b].slot) })
	// Each lesson has its share of all activities, some more and some less; the shares add up exactly.
	all := int64(s.rounds) * int64(len(s.learners))
	var before, id int64
	for round := range s.rounds {
		for _, g := range order {
			g := s.groups[g]
			upTo := before + int64(g.to-g.from)
			n := share(s.o.Activities, upTo, all) - share(s.o.Activities, before, all)
			before = upTo
			bell := s.start.AddDate(0, 0, 7*round).Add(g.slot).UnixMilli()
			for _, r := range s.lesson(c, g, n, bell) {
				id++
				if err := s.run(t, c, id, r); err != nil {
					return err
				}
			}
		}
	}
	return t.flush()
}

func share(n int, part, whole int64) int {
	return int(float64(n) * float64(part) / float64(whole))
}

// click is one click on Run.
type click struct {
	learner int
	at      int64 // ms
}

// lesson lets n clicks happen: everybody begins within two minutes of the bell.
func (s *school) lesson(c chance, g group, n int, bell int64) []click {
	next := make([]int64, g.to-g.from)
	for i := range next {
		next[i] = bell + c.Int64N(120_000)
		s.learners[g.from+i].opened = next[i]
	}
	clicks := make([]click, 0, n)
	for i := range n {
		who := i % len(next)
		if i >= len(next) && c.of(0.3) { // some are quicker
			who = c.IntN(len(next))
		}
		next[who] += c.thinking()
		clicks = append(clicks, click{g.from + who, next[who]})
	}
	slices.SortStableFunc(clicks, func(a, b click) int { return cmp.Compare(a.at, b.at) })
	return clicks
}

// run writes a click, and lets the learner go on if it was right.
func (s *school) run(t *table, c chance, id int64, r click) error {
	who := &s.learners[r.learner]
	n := s.courses[who.course].levels[who.at]
	on := s.levels[n]
	p := often(c, on.wrong)
	if c.of(who.skill) {
		p = often(c, on.right)
	}
	if !p.used || r.at < p.first {
		p.used, p.first = true, r.at
	}
	op := c.id(r.at)
	t.row().number(id).bytes(op[:]).bytes(c.bytes(16)).number(s.learner(r.learner)).number(on.script).number(on.id).number(p.id).
		number(int64(p.result)).decimal(score(p.result)).number(min(r.at-who.opened, 86_400_000)).number(int64(p.lines)).time(r.at)
	who.note(n, id, r.at, p)
	if p.result >= curriculum.Solved && c.of(0.9) { // else the same again
		s.forward(who)
		who.opened = r.at
	}
	return t.end()
}

// score is what the platform notes for a result, in hundredths.
func score(result int) int64 {
	return int64((float64(min(result, curriculum.Ideal))*100/curriculum.Ideal)*100 + 0.5)
}

// forward is the next level, or the next course.
func (s *school) forward(who *learner) {
	if who.at++; who.at == len(s.courses[who.course].levels) {
		who.at, who.course = 0, (who.course+1)%len(s.courses)
	}
}

func (l *learner) note(level int, activity, at int64, p *program) {
	l.lines += int64(p.lines)
	i := len(l.done) - 1
	for ; i >= 0 && l.done[i].level != level; i-- {
	}
	if i < 0 {
		l.done = append(l.done, done{level: level, first: at})
		i = len(l.done) - 1
	}
	d := &l.done[i]
	d.attempts++
	d.best = max(d.best, p.result)
	d.source, d.activity, d.last = p.id, activity, at
}

func (s *school) writePrograms(ctx context.Context, w *writer) error {
	t := w.table(ctx, "level_sources", "id, level_id, digest, program, created_at")
	for _, l := range s.levels {
		for _, p := range slices.Concat(l.right, l.wrong) {
			if !p.used {
				continue
			}
			t.row().number(p.id).number(l.id).bytes(p.digest[:]).string(p.text).time(whole(p.first))
			if err := t.end(); err != nil {
				return err
			}
		}
	}
	return t.flush()
}

func (s *school) writeProgress(ctx context.Context, w *writer) error {
	t := w.table(ctx, "user_levels", "user_id, script_id, level_id, attempts, best_result, level_source_id, state, created_at, updated_at")
	for i, who := range s.learners {
		for _, d := range who.done {
			on := s.levels[d.level]
			t.row().number(s.learner(i)).number(on.script).number(on.id).number(d.attempts).number(int64(d.best)).number(d.source).
				null().time(whole(d.first)).time(d.last)
			if err := t.end(); err != nil {
				return err
			}
		}
	}
	return t.flush()
}
