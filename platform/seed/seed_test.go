package seed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/migrations"
	"changeover/platform/curriculum"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// onBoth runs a test on both flavors, in a migrated database of its own.
func onBoth(t *testing.T, test func(t *testing.T, db *sql.DB)) {
	for _, f := range []struct {
		name   string
		server func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server
	}{{"MySQL", sandboxtest.MySQLSource}, {"MariaDB", sandboxtest.MariaDBSource}} {
		t.Run(f.name, func(t *testing.T) { test(t, migrated(t, f.server(t), 0)) })
	}
}

func migrated(t *testing.T, s *sandboxtest.Server, to uint) *sql.DB {
	t.Helper()
	db := s.DBIn(t, sandbox.App, s.Database(t))
	if err := migrations.Up(limited(t, time.Minute), db, to, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	return db
}

func limited(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func number(t *testing.T, db *sql.DB, query string, args ...any) (n int64) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func exec(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// lines are a query's rows as text.
func lines(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	values := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(values))
	}
	return all
}

func courses(t *testing.T, db *sql.DB) {
	t.Helper()
	if err := Curriculum(limited(t, time.Minute), db); err != nil {
		t.Fatal(err)
	}
}

const coursesQuery = "SELECT s.id, s.name, s.title, s.kind, s.`group`, s.position, l.id, l.position, l.title, l.instructions, l.definition " +
	"FROM scripts s JOIN levels l ON l.script_id = s.id ORDER BY s.id, l.id"

func TestCoursesAreBroughtInAndKeepTheirIDs(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sql.DB) {
		courses(t, db)
		levels, concepts := 0, 0
		for _, s := range curriculum.Scripts() {
			levels += len(s.Levels)
			for _, l := range s.Levels {
				concepts += len(l.Concepts)
			}
		}
		first := lines(t, db, coursesQuery)
		if len(first) != levels {
			t.Errorf("%d levels, want %d", len(first), levels)
		}
		next := number(t, db, "SELECT MAX(id) FROM levels")
		for range 3 {
			courses(t, db)
		}
		if again := lines(t, db, coursesQuery); !slices.Equal(again, first) {
			t.Errorf("the second time it is\n%s\nwas\n%s", strings.Join(again, "\n"), strings.Join(first, "\n"))
		}
		// Ids are SMALLINT, and this runs at every start of a server: it may use none up.
		exec(t, db, "INSERT INTO levels (script_id, position, title, instructions, definition) VALUES (1, 1000, '', '', '{}')")
		if got := number(t, db, "SELECT MAX(id) FROM levels"); got != next+1 {
			t.Errorf("the next level's id is %d, want %d", got, next+1)
		}
		exec(t, db, "DELETE FROM levels WHERE position = 1000")

		exec(t, db, "UPDATE levels SET title = 'old', definition = '{}' WHERE id = 3")
		exec(t, db, "UPDATE scripts SET title = 'old'")
		exec(t, db, "UPDATE scripts SET position = position + 100")
		exec(t, db, "UPDATE scripts SET position = 2 WHERE name = 'otter'") // its own place is 1, and this one lantern's
		exec(t, db, "INSERT INTO concepts_levels SELECT concept, level_id FROM concepts_levels")
		courses(t, db)
		if again := lines(t, db, coursesQuery); !slices.Equal(again, first) {
			t.Errorf("brought up to date it is\n%s\nwas\n%s", strings.Join(again, "\n"), strings.Join(first, "\n"))
		}
		if got := number(t, db, "SELECT COUNT(*) FROM concepts_levels"); got != int64(concepts) {
			t.Errorf("%d concepts, want %d", got, concepts)
		}
	})
}

func TestServersThatStartAtOnceBringTheCoursesInOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sql.DB) {
		done := make(chan error)
		for range 4 {
			go func() { done <- Curriculum(limited(t, time.Minute), db) }()
		}
		for range 4 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := number(t, db, "SELECT COUNT(*) FROM scripts"); n != int64(len(curriculum.Scripts())) {
			t.Errorf("%d scripts", n)
		}
	})
}

var small = Options{Students: 120, Guests: 60, Activities: 6000, Projects: 40, Events: 12, Seed: 7, Password: []byte("a long password")}

func TestASchoolIsConsistent(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sql.DB) {
		courses(t, db)
		if err := Students(limited(t, time.Minute), db, small); err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]int64{
			"SELECT COUNT(*) FROM activities":                                    6000,
			"SELECT COUNT(*) FROM users WHERE kind = 'student'":                  120,
			"SELECT COUNT(*) FROM users WHERE kind = 'guest'":                    60,
			"SELECT COUNT(*) FROM users WHERE kind = 'teacher'":                  5,
			"SELECT COUNT(*) FROM users WHERE kind = 'admin'":                    1,
			"SELECT COUNT(*) FROM sections":                                      5,
			"SELECT COUNT(*) FROM section_students":                              120,
			"SELECT COUNT(*) FROM hoc_activity":                                  60,
			"SELECT COUNT(*) FROM projects":                                      40,
			"SELECT COUNT(*) FROM hoc_events":                                    12,
			"SELECT COUNT(*) FROM users WHERE kind = 'guest' AND login IS NULL":  60,
			"SELECT COUNT(*) FROM users WHERE login LIKE 'student-%'":            120,
			"SELECT COUNT(DISTINCT code) FROM sections":                          5,
			"SELECT COUNT(DISTINCT teacher_id) FROM sections":                    5,
			"SELECT SUM(CHAR_LENGTH(code) = 6) FROM sections":                    5,
			"SELECT COUNT(DISTINCT op_id) FROM activities":                       6000,
			"SELECT COUNT(*) FROM activities WHERE passed <> (result >= 20)":     0,
			"SELECT COUNT(*) FROM users WHERE total_lines > 0 AND kind='admin'":  0,
			"SELECT COUNT(*) FROM activities a JOIN users u ON u.id = a.user_id": 6000,
			// What a person has done is what the activities say.
			`SELECT COUNT(*) FROM (SELECT user_id, script_id, level_id, COUNT(*) n, MAX(result) best, MAX(created_at) last, MAX(id) FROM activities GROUP BY 1, 2, 3) a
			 JOIN user_levels l USING (user_id, script_id, level_id) WHERE l.attempts = a.n AND l.best_result = a.best AND l.updated_at = a.last`: number(t, db, "SELECT COUNT(*) FROM user_levels"),
			"SELECT COUNT(DISTINCT user_id, script_id, level_id) FROM activities": number(t, db, "SELECT COUNT(*) FROM user_levels"),
			"SELECT SUM(attempts) FROM user_levels":                               6000,
			`SELECT COUNT(*) FROM users u LEFT JOIN (SELECT user_id, SUM(` + "`lines`" + `) n FROM activities GROUP BY 1) a ON a.user_id = u.id WHERE u.total_lines <> COALESCE(a.n, 0)`:          0,
			`SELECT COUNT(*) FROM user_levels l JOIN activities a ON a.user_id = l.user_id AND a.level_id = l.level_id AND a.created_at = l.updated_at AND a.level_source_id = l.level_source_id`: number(t, db, "SELECT COUNT(*) FROM user_levels"),
			// Whatever is referred to is there.
			"SELECT COUNT(*) FROM activities a JOIN level_sources s ON s.id = a.level_source_id AND s.level_id = a.level_id":    6000,
			"SELECT COUNT(*) FROM activities a JOIN levels l ON l.id = a.level_id AND l.script_id = a.script_id":                6000,
			"SELECT COUNT(*) FROM level_sources s WHERE NOT EXISTS (SELECT 1 FROM activities a WHERE a.level_source_id = s.id)": 0,
			`SELECT COUNT(*) FROM teacher_feedbacks f JOIN activities a ON a.id = f.activity_id AND a.user_id = f.student_id AND a.level_id = f.level_id
			 JOIN section_students m ON m.user_id = f.student_id JOIN sections s ON s.id = m.section_id AND s.teacher_id = f.teacher_id`: number(t, db, "SELECT COUNT(*) FROM teacher_feedbacks"),
			// A program is worth the same whoever runs it.
			"SELECT COUNT(*) FROM (SELECT level_source_id FROM activities GROUP BY 1 HAVING COUNT(DISTINCT result) > 1) two":              0,
			"SELECT COUNT(DISTINCT result) FROM activities":                                                                               3,
			"SELECT COUNT(*) FROM data_tables t WHERE last_id <> (SELECT COUNT(*) FROM data_records r WHERE r.project_id = t.project_id)": 0,
			"SELECT COUNT(*) FROM activities a JOIN users u ON u.id = a.user_id WHERE a.created_at < u.created_at":                        0,
			"SELECT COUNT(*) FROM activities WHERE created_at >= '2026-11-21'":                                                            0,
		} {
			if got := number(t, db, query); got != want {
				t.Errorf("%d, want %d: %s", got, want, query)
			}
		}
		for _, table := range []string{"teacher_feedbacks", "data_tables", "data_kvs", "libraries"} {
			if number(t, db, "SELECT COUNT(*) FROM "+table) == 0 {
				t.Errorf("%s is empty", table)
			}
		}
		var hash []byte
		if err := db.QueryRowContext(t.Context(), "SELECT password FROM users WHERE login = 'teacher-1'").Scan(&hash); err != nil {
			t.Fatal(err)
		}
		if err := bcrypt.CompareHashAndPassword(hash, small.Password); err != nil {
			t.Errorf("the teacher can't sign in: %v", err)
		}
		// The next one gets an id of its own.
		exec(t, db, "INSERT INTO users (op_id, op_digest, kind, name, created_at) VALUES ('new', '', 'guest', '', NOW())")
	})
}

func TestAStudentsNameSurvives(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sql.DB) {
		courses(t, db)
		if err := Students(limited(t, time.Minute), db, small); err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		for _, n := range names {
			for _, g := range n.given {
				known[g] = true
			}
		}
		for _, line := range lines(t, db, "SELECT DISTINCT name FROM users WHERE kind = 'student'") {
			found := false
			for g := range known {
				found = found || strings.Contains(line, g)
			}
			if !found {
				t.Errorf("%s is nobody's name", line)
			}
		}
	})
}

const everything = "SELECT 'a', id, HEX(op_id), user_id, level_id, level_source_id, result, created_at FROM activities UNION ALL " +
	"SELECT 'u', id, HEX(op_id), name, login, kind, total_lines, updated_at FROM users UNION ALL " +
	"SELECT 's', id, HEX(digest), level_id, program, 1, 1, created_at FROM level_sources UNION ALL " +
	"SELECT 'p', id, HEX(uuid), owner_id, title, source, 1, updated_at FROM projects UNION ALL " +
	"SELECT 'e', id, HEX(secret), name, city, latitude, hours, on_date FROM hoc_events ORDER BY 1, 2"

func TestTheSameOptionsAreTheSameSchool(t *testing.T) {
	onBoth(t, func(t *testing.T, one *sql.DB) {
		other := migrated(t, sandboxtest.MySQLSource(t), 0)
		for _, db := range []*sql.DB{one, other} {
			courses(t, db)
			o := small
			o.Password = nil
			if err := Students(limited(t, time.Minute), db, o); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := lines(t, one, everything), lines(t, other, everything); !slices.Equal(a, b) {
			t.Errorf("two schools of one seed differ, %d and %d rows", len(a), len(b))
		}
	})
}

func TestASchoolIsNotMixedWithAnother(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sql.DB) {
		refused := func(what string, o Options, want string) {
			t.Helper()
			if err := Students(limited(t, time.Minute), db, o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", what, err, want)
			}
		}
		refused("no courses", small, "bring the courses in first")
		courses(t, db)
		refused("a short password", Options{Password: []byte("secret")}, "8 to 72")
		refused("fewer than nobody", Options{Students: -1}, "must be from 0")
		exec(t, db, "INSERT INTO users (op_id, op_digest, kind, name, created_at) VALUES ('1', '', 'guest', '', NOW())")
		refused("people", small, "users has rows already")
		exec(t, db, "DELETE FROM users")

		// A seed that is stopped in the middle, at the first progress it reports.
		ctx, cancel := context.WithCancel(limited(t, time.Minute))
		stopped := small
		stopped.Progress = func(Progress) { cancel() }
		if err := Students(ctx, db, stopped); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped: %v", err)
		}
		refused("half full", small, "activities has rows already")

		for _, table := range []string{"activities", "user_levels", "level_sources"} {
			exec(t, db, "DELETE FROM "+table)
		}
		if err := Students(limited(t, time.Minute), db, small); err != nil {
			t.Fatal(err)
		}
		if err := Students(limited(t, time.Minute), db, small); !errors.Is(err, ErrThere) {
			t.Errorf("the same again: %v", err)
		}
		larger := small
		larger.Students++
		refused("another school", larger, "another school already")
	})
}

func TestASchoolFitsEverySchemaThatServes(t *testing.T) {
	onBoth(t, func(t *testing.T, newest *sql.DB) {
		server := sandboxtest.MySQLSource(t)
		if strings.HasSuffix(t.Name(), "MariaDB") {
			server = sandboxtest.MariaDBSource(t)
		}
		for to, want := range map[uint]string{7: "", 8: "", 9: "middle of a change", 10: "", 11: "middle of a change", 12: ""} {
			db := migrated(t, server, to)
			courses(t, db)
			err := Students(limited(t, time.Minute), db, small)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("at step %d: %v, want %q", to, err, want)
			}
		}
		empty := server.DBIn(t, sandbox.App, server.Database(t))
		if err := Students(t.Context(), empty, small); err == nil || !strings.Contains(err.Error(), "no tables yet") {
			t.Errorf("without tables: %v", err)
		}
		if err := Curriculum(t.Context(), empty); err == nil || !strings.Contains(err.Error(), "no tables yet") {
			t.Errorf("without tables: %v", err)
		}
	})
}

// TestAMillion measures: PLATFORM_SEED=1000000 go test ./platform/seed -run TestAMillion -v -timeout 10m
func TestAMillion(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("PLATFORM_SEED"))
	if err != nil {
		t.Skip("a measurement: PLATFORM_SEED says how many activities")
	}
	for _, s := range []*sandboxtest.Server{sandboxtest.MySQLSource(t, sandboxtest.Durable), sandboxtest.MariaDBSource(t, sandboxtest.Durable)} {
		db := migrated(t, s, 0)
		courses(t, db)
		began := time.Now()
		var at Progress
		o := Options{Students: n / 50, Activities: n, Progress: func(p Progress) {
			if p.Doing != at.Doing {
				t.Logf("%6.1fs %s, %d rows so far", time.Since(began).Seconds(), p.Doing, p.Rows)
			}
			at = p
		}}
		if err := Students(t.Context(), db, o); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		t.Logf("%s %s, durable: %d activities, about %d rows, in %.1f s", s.Flavor, s.Version, n, at.Rows, took.Seconds())
	}
}
