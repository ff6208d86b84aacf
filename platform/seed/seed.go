// Package seed fills a database of the platform: with the courses, which every one needs, and with a
// school that never was, to try things out and to measure.
//
// In: a migrated database. Out: its rows. The decision that matters: what is written is consistent, as
// if every row had come through the platform: attempts are counted from the activities there are, lines
// are their sums, a result is what the program really is worth on the level. And it is the same for the
// same options, so that two databases can be compared.
package seed

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Options say how large the school is. The zero value of each is its default.
type Options struct {
	Students   int       `json:"students"`   // in sections of 25; 2,000
	Guests     int       `json:"guests"`     // visitors of an Hour of Code without an account; half as many as students
	Activities int       `json:"activities"` // clicks on Run, by students and guests; 40 for each of them
	Projects   int       `json:"projects"`   // dances and apps; one for ten students
	Events     int       `json:"events"`     // Hours of Code that are announced; one for fifty students
	Seed       uint64    `json:"seed"`       // of chance: another number is another school
	Until      time.Time `json:"until"`      // the end of the last week of lessons; 2026-11-20 18:00 UTC

	// Password lets everybody sign in who isn't a guest: admin, teacher-1…, student-1…, organiser-1….
	// Without one nobody can.
	Password []byte `json:"-"`
	// Connections is how many connections write at once; 4.
	Connections int `json:"-"`
	// Progress, if there is one, is called now and then, by one goroutine at a time.
	Progress func(Progress) `json:"-"`
}

// Progress is how far a seed is.
type Progress struct {
	Doing string // the table
	Rows  int    // written, of all tables
	Total int    // of all tables, about
}

func (o Options) withDefaults() Options {
	def := func(n *int, otherwise int) {
		if *n == 0 {
			*n = otherwise
		}
	}
	def(&o.Students, 2000)
	def(&o.Guests, o.Students/2)
	def(&o.Activities, 40*(o.Students+o.Guests))
	def(&o.Projects, o.Students/10)
	def(&o.Events, o.Students/50+1)
	def(&o.Connections, 4)
	if o.Until.IsZero() {
		o.Until = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	}
	o.Until = o.Until.UTC().Truncate(time.Second)
	return o
}

func (o Options) check() error {
	for _, n := range []struct {
		name      string
		n, atMost int
	}{{"students", o.Students, 10_000_000}, {"guests", o.Guests, 10_000_000}, {"activities", o.Activities, 1_000_000_000},
		{"projects", o.Projects, 1_000_000}, {"events", o.Events, 1_000_000}, {"connections", o.Connections, 64}} {
		if n.n < 0 || n.n > n.atMost {
			return fmt.Errorf("%s: %d; it must be from 0 to %d", n.name, n.n, n.atMost)
		}
	}
	if len(o.Password) > 0 && (len(o.Password) < 8 || len(o.Password) > 72) {
		return errors.New("the password needs 8 to 72 bytes")
	}
	return nil
}

// ErrThere says that the database has this school already; nothing was written.
var ErrThere = errors.New("the database has these students and activities already")

var errNoTables = errors.New("the database has no tables yet: platform migrate makes them")

// Students makes the school: people, sections, what they have done and made, and events. It needs a
// database that has the courses (Curriculum) and nobody yet: one that has people, or that an earlier
// seed has left half full, is refused.
func Students(ctx context.Context, db *sql.DB, o Options) error {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return err
	}
	if err := empty(ctx, db, o); err != nil {
		return err
	}
	school, err := newSchool(ctx, db, o)
	if err != nil {
		return err
	}
	w := newWriter(db, o, school.rows())
	for _, part := range []func(context.Context, *writer) error{
		school.writeLessons, school.writePrograms, school.writeProgress, school.writePeople, school.writeSections, school.writeSectionStudents,
		school.writeFeedback, school.writeHours, school.writeProjects, school.writeAppTables, school.writeAppRecords, school.writeEvents,
		school.writeEnd,
	} {
		// One part after the other: rows of a later one refer to rows of an earlier one.
		if err := w.part(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// filled are the tables that a school has rows in.
var filled = []string{"activities", "level_sources", "user_levels", "users", "sections", "section_students", "teacher_feedbacks",
	"hoc_activity", "projects", "hoc_events"}

// empty makes sure that nothing is there that would be mixed with the school.
func empty(ctx context.Context, db *sql.DB, o Options) error {
	var columns int
	err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND
(table_name = 'sections' AND column_name IN ('name', 'title') OR table_name = 'activities_wide' AND column_name = 'id')`).Scan(&columns)
	if err != nil {
		return fmt.Errorf("look at the tables: %w", err)
	}
	if columns == 0 {
		return errNoTables
	}
	if columns > 1 {
		return errors.New("the schema is in the middle of a change that old rows are copied for: platform migrate finishes it")
	}
	if err := sameThere(ctx, db, o); err != nil {
		return err
	}
	for _, table := range filled {
		var some bool
		if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+table+")").Scan(&some); err != nil {
			return fmt.Errorf("look at %s: %w", table, err)
		}
		if some {
			return fmt.Errorf("%s has rows already: of people who use the platform, or of a seed that was stopped. A school needs "+
				"a database without any: platform migrate down --to 0 --yes and platform migrate empty this one", table)
		}
	}
	return nil
}

// adminID is the account that is written last: where it is, the school is complete. Its settings are
// the options that the school was made with.
const adminID = 1

func sameThere(ctx context.Context, db *sql.DB, o Options) error {
	var text sql.NullString
	err := db.QueryRowContext(ctx, "SELECT settings FROM users WHERE id = ? AND login = 'admin'", adminID).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for an earlier seed: %w", err)
	}
	var there struct{ Seed *Options }
	if json.Unmarshal([]byte(text.String), &there) != nil || there.Seed == nil {
		return nil
	}
	had, err := json.Marshal(there.Seed) // the server may have its own order, and spaces
	if err != nil {
		return err
	}
	wanted, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if bytes.Equal(had, wanted) {
		return ErrThere
	}
	return fmt.Errorf("the database has another school already, of %s", had)
}
