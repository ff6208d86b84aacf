package migrations

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/internal/sandbox"
)

// fill writes n activities that are there before a test begins.
func (d *testbed) fill(t *testing.T, n int) map[string]string {
	t.Helper()
	told := map[string]string{}
	for from := 1; from <= n; from += 1000 {
		var values []string
		for id := from; id < min(from+1000, n+1); id++ {
			values = append(values, fmt.Sprintf("(%d, UNHEX('%032X'), '', 1, 2, 3, 4, %d, 1.25, 3, 4, '2026-11-26 07:00:00.5')", id, id, id%2*20))
			told[fmt.Sprintf("%032X", id)] = fmt.Sprint(id)
		}
		d.exec(t, "INSERT INTO activities ("+activityColumns+") VALUES "+strings.Join(values, ","))
	}
	return told
}

func TestTheIDIsWidenedAndNarrowedWhileServersWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 10)
		before := d.fill(t, 3000)
		l := d.start(t, writeActivity)
		m := d.migrator(t)
		m.Notice, m.Batch = 50*time.Millisecond, 200
		l.more(100)
		for v := uint(11); v <= 13; v++ {
			if err := m.Up(limited(t), v); err != nil {
				t.Fatal(err)
			}
			l.more(100)
		}
		d.at(t, 13)
		for range 3 {
			if err := m.Down(limited(t), 1); err != nil {
				t.Fatal(err)
			}
			l.more(100)
		}
		d.at(t, 10)
		if err := m.Up(limited(t), 0); err != nil {
			t.Fatal(err)
		}
		l.more(100)
		l.stop()
		t.Logf("%d activities written meanwhile", l.ledger.size())
		for op, id := range before {
			l.ledger.note(op, id)
		}
		d.sameActivities(t, "activities", l.ledger.entries)
	})
}

func TestASwapTakesEveryRowAlongAlsoOfLateServers(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 11)
		before := d.fill(t, 500) // into the narrow table alone
		l := d.start(t, writeActivity)
		l.more(50)
		d.up(t, 12)
		// Whatever was acknowledged so far is in the new table already, not only at the end: an
		// operation that is sent again must be found.
		l.stop()
		for op, id := range before {
			l.ledger.note(op, id)
		}
		d.sameActivities(t, "activities", l.ledger.entries)
		d.exec(t, "DELETE FROM activities WHERE id <= 10") // as if a lock had been lost
		d.up(t, 13)
		d.sameActivities(t, "activities", l.ledger.entries)
	})
}

func TestTheNameOfASectionChangesItsColumnWhileServersWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 8)
		d.teacher(t)
		l := d.start(t, writeSection(names))
		m := d.migrator(t)
		m.Notice, m.Batch = 20*time.Millisecond, 20
		l.more(50)
		for v := uint(9); v <= 10; v++ {
			if err := m.Up(limited(t), v); err != nil {
				t.Fatal(err)
			}
			l.more(50)
		}
		l.stop()
		d.sameSections(t, "title", l.ledger.entries)
	})
}

func TestTheNameOfASectionComesBackWhileServersWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 10)
		d.teacher(t)
		plain := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n != inUTF8MB3(n) })
		l := d.start(t, writeSection(plain))
		m := d.migrator(t)
		m.Notice, m.Batch = 20*time.Millisecond, 20
		l.more(50)
		for range 2 {
			if err := m.Down(limited(t), 1); err != nil {
				t.Fatal(err)
			}
			l.more(50)
		}
		d.at(t, 8)
		l.stop()
		d.sameSections(t, "name", l.ledger.entries)
	})
}

func TestATitleThatWouldBeLostKeepsTheWayDownClosed(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 10)
		d.teacher(t)
		d.exec(t, "INSERT INTO sections (id, op_id, op_digest, teacher_id, code, title, created_at) VALUES (7, '7', '', 1, 'ABCDEF', 'Otters 🦦', '2026-11-26')")
		err := d.migrator(t).Down(t.Context(), 2)
		if err == nil || !strings.Contains(err.Error(), "sections [7]") {
			t.Errorf("%v, want the section in it", err)
		}
		d.at(t, 9)
		if err := d.migrator(t).Down(t.Context(), 1); err == nil {
			t.Error("the way down is open")
		}
		d.exec(t, "UPDATE sections SET title = 'Otters'")
		d.down(t, 1)
		if n := d.number(t, "SELECT COUNT(*) FROM sections WHERE name = 'Otters'"); n != 1 {
			t.Errorf("the name is not the title")
		}
	})
}

func TestAnEmptyDatabaseIsAlwaysWithinReach(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 0)
		d.teacher(t)
		d.exec(t, "INSERT INTO sections (op_id, op_digest, teacher_id, code, title, created_at) VALUES ('7', '', 1, 'ABCDEF', '🦦', '2026-11-26')")
		d.fill(t, 1)
		d.exec(t, "UPDATE activities SET id = 5000000000")
		d.down(t, len(Steps()))
		d.at(t, 0)
	})
}

func TestAnIDBeyondINTKeepsTheWayDownClosed(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 0)
		d.fill(t, 3)
		d.exec(t, "UPDATE activities SET id = 2147483648 WHERE id = 3")
		err := d.migrator(t).Down(t.Context(), 2)
		if err == nil || !strings.Contains(err.Error(), "id 2147483648") {
			t.Errorf("%v, want the id in it", err)
		}
		d.at(t, 12)
		d.exec(t, "UPDATE activities SET id = 2147483647 WHERE id = 2147483648")
		d.down(t, 2)
		if n := d.number(t, "SELECT MAX(id) FROM activities"); n != 2147483647 {
			t.Errorf("the newest id is %d", n)
		}
	})
}

// TestDataStaysFromEveryStepOn has a row in each table that there is, goes to the newest step and back.
func TestDataStaysFromEveryStepOn(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		for _, from := range []uint{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} {
			d.up(t, from)
			d.everything(t)
			tables := slices.DeleteFunc(d.tables(t), func(n string) bool { return strings.HasPrefix(n, "activities_") })
			// What steps add or replace is looked at by other tests.
			state := func() (all []string) {
				for _, table := range tables {
					all = append(all, d.rows(t, table, "name", "title", "locale", "description")...)
				}
				return all
			}
			before := state()
			d.up(t, 0)
			if after := state(); !slices.Equal(after, before) {
				t.Errorf("from step %d to the newest:\n%q\nwas\n%q", from, after, before)
			}
			d.down(t, len(Steps())-int(from))
			if after := state(); !slices.Equal(after, before) {
				t.Errorf("to the newest and back to step %d:\n%q\nwas\n%q", from, after, before)
			}
			d.down(t, len(Steps()))
		}
	})
}

// everything puts a row into each table that there is.
func (d *testbed) everything(t *testing.T) {
	t.Helper()
	tables := d.tables(t)
	insert := func(table, statement string) {
		if slices.Contains(tables, table) {
			d.exec(t, "INSERT INTO "+statement)
		}
	}
	d.exec(t, "INSERT INTO users (id, op_id, op_digest, kind, name, login, email_hash, password, birth_year, flags, settings, total_lines, created_at, deleted_at) VALUES "+
		`(1, '1', '1', 'teacher', 'Ana', 'ana', 'h', 'p', 1980, b'101', '{"calm": true}', 0, '2026-11-26 08:00:00.123456', NULL), `+
		`(2, '2', '2', 'student', '李小龙🐉', NULL, NULL, NULL, NULL, b'0', NULL, 7, '2026-11-26 08:00:00', '2026-11-26')`)
	insert("sessions", "sessions VALUES ('s', 1, '{}', '2026-11-26', '2026-11-26')")
	insert("scripts", "scripts VALUES (2, 'otter', 'River Otter', 'hoc', 'hour', 1)")
	insert("levels", `levels VALUES (3, 2, 1, 'One step', 'Move', '{"type": "maze"}')`)
	insert("concepts_levels", "concepts_levels VALUES ('loops', 3), ('loops', 3)")
	if slices.Contains(tables, "sections") {
		column := "name"
		if d.number(t, "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'sections' AND column_name = 'name'") == 0 {
			column = "title"
		}
		d.exec(t, "INSERT INTO sections (id, op_id, op_digest, teacher_id, code, "+column+", created_at) VALUES (5, '5', '5', 1, 'ABCDEF', 'Класс', '2026-11-26')")
	}
	insert("section_students", "section_students VALUES (5, 2, '2026-11-26 08:00:00.123')")
	insert("level_sources", "level_sources VALUES (4, 3, 'd', 'move 🦦', '2026-11-26')")
	if slices.Contains(tables, "activities") {
		d.fill(t, 25)
	}
	insert("user_levels", "user_levels VALUES (2, 2, 3, 25, 20, 4, NULL, '2026-11-26', '2026-11-26 08:00:00.123')")
	insert("teacher_feedbacks", "teacher_feedbacks VALUES (1, 'f', 'f', 1, 2, 2, 3, 25, 'gut 👍', 'there', NULL, '2026-11-26', NULL)")
	insert("hoc_activity", "hoc_activity (op_id, op_digest, user_id, script_id, ip, started_at) VALUES ('h', 'h', 2, 2, INET6_ATON('::1'), '2026-11-26 08:00:00.5')")
	insert("projects", "projects (id, uuid, op_id, op_digest, last_op, last_digest, owner_id, kind, title, source, version, remixed_from, created_at, updated_at) VALUES "+
		"(1, 'a', 'a', '', '', '', 2, 'applab', '🎉', '{}', 1, NULL, '2026-11-26', '2026-11-26'), (2, 'b', 'b', '', '', '', 2, 'dance', '', '{}', 1, 1, '2026-11-26', '2026-11-26')")
	insert("project_assets", "project_assets VALUES (1, 'cat.png', 'c', 'c', 'image/png', 3, 'd', 'k', 'xyz', '2026-11-26')")
	insert("libraries", "libraries VALUES (1, 1, 'l', 'l', 'maths', 'adds', 'x', '[\"add\"]', '2026-11-26')")
	insert("data_tables", "data_tables VALUES (1, 'scores', '[\"a\"]', 1, '2026-11-26')")
	insert("data_records", "data_records VALUES (1, 'scores', 1, 'r', 'r', '', '', 1, '{\"a\": 1}')")
	insert("data_kvs", "data_kvs VALUES (1, 'ключ', '1', 1, '', '', '2026-11-26')")
	insert("hoc_events", "hoc_events VALUES (1, 'e', 'e', '', '', 's', 1, 'Hour', 'of code', 'DE', 'Köln', 50.9, 6.9, '2026-12-07', '09:30', 1.5, 20, 'online,girls', NULL, '2026-11-26', '2026-11-26')")
}

func TestAnEmptyDatabaseNeedsNobodyToNotice(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		said := &diary{}
		m := New(d.DB, zerolog.New(said))
		m.Notice = time.Hour
		if err := m.Up(limited(t), 0); err != nil {
			t.Fatal(err)
		}
		if said.says("giving the servers time") {
			t.Error("it waited for servers that can't be there")
		}
	})
}

// The database of a child, a process that a test may kill.
const childDSN = "MIGRATIONS_TEST_CHILD_DSN"

// migrateAsChild is the child: small batches, so that it is killed in the middle.
func migrateAsChild(dsn string) int {
	db, err := sql.Open("mysql", dsn)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // should the test not end it
		defer cancel()
		m := New(db, zerolog.Nop())
		m.Notice, m.Batch = 0, 5
		err = m.Up(ctx, 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child starts a migrator in a process of its own; kill ends that, and fails if it had ended by itself.
func (d *testbed) child(t *testing.T) (kill func()) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDSN+"="+d.server.DSN(sandbox.App, d.name))
	var said bytes.Buffer
	child.Stderr = &said
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	return sync.OnceFunc(func() {
		t.Helper()
		_ = child.Process.Kill()
		if err := <-ended; err == nil || said.Len() > 0 {
			t.Fatalf("the child ended before it was killed: %v %s", err, &said)
		}
	})
}

func TestAKilledBackfillIsResumed(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 11)
		told := d.fill(t, 20_000)
		for _, want := range []int64{1, 500, 1500} {
			kill := d.child(t)
			eventually(t, "rows that the child has copied", func() bool {
				return d.number(t, "SELECT COUNT(*) FROM activities_wide") >= want
			})
			kill()
			d.at(t, 11)
		}
		d.up(t, 0)
		d.sameActivities(t, "activities", told)
	})
}

// TestAMigratorThatIsKilledInAStepLeavesAClearError kills one while its statement waits for a table. The
// server goes on with the statement, or gives it up: nobody is told.
func TestAMigratorThatIsKilledInAStepLeavesAClearError(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 8)
		tx, err := d.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(t.Context(), "SELECT COUNT(*) FROM sections"); err != nil {
			t.Fatal(err)
		}
		kill := d.child(t)
		alters := func() bool {
			for _, p := range d.rows(t, "information_schema.processlist") {
				if strings.Contains(p, "ALTER TABLE sections") {
					return true
				}
			}
			return false
		}
		eventually(t, "the step's statement waits", alters)
		kill()
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the statement ends", func() bool { return !alters() })
		var dirty *DirtyError
		if err := d.migrator(t).Up(limited(t), 0); !errors.As(err, &dirty) || dirty.Version != 9 || !strings.Contains(err.Error(), "force") {
			t.Fatalf("%v, want that step 9 is open", err)
		}
		at := uint(8 + d.number(t, "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'sections' AND column_name = 'title'"))
		if err := d.migrator(t).Force(limited(t), at); err != nil {
			t.Fatal(err)
		}
		d.up(t, 0)
	})
}

// TestALargeTable measures what writers notice of the widening:
// MIGRATIONS_ROWS=1000000 go test ./migrations -run TestALargeTable -v
func TestALargeTable(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("MIGRATIONS_ROWS"))
	if err != nil {
		t.Skip("a measurement: MIGRATIONS_ROWS says how many rows")
	}
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 10)
		d.fill(t, n)
		l := d.start(t, writeActivity)
		m := d.migrator(t)
		l.more(2000)
		t.Logf("before: the slowest of %d writes took %v", l.ledger.size(), l.ledger.worst())
		for _, to := range []uint{11, 12, 13} {
			was, began := l.ledger.size(), time.Now()
			if err := m.Up(t.Context(), to); err != nil {
				t.Fatal(err)
			}
			l.more(10)
			t.Logf("step %s: %v; the slowest of %d writes took %v", named(to), time.Since(began).Round(time.Millisecond), l.ledger.size()-was, l.ledger.worst())
		}
	})
}
