package migrations

import (
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestStepsAreNumberedAndHaveAWayDown(t *testing.T) {
	for i, s := range Steps() {
		if s.Number != uint(i+1) {
			t.Errorf("step %s comes as number %d", s, i+1)
		}
	}
	names, _ := fs.Glob(files, "sql/*")
	if len(names) != 2*len(Steps()) {
		t.Errorf("%d files for %d steps", len(names), len(Steps()))
	}
	for _, name := range names {
		text, _ := files.ReadFile(name)
		all := statements(text)
		if len(all) == 0 {
			t.Errorf("%s has no statement", name)
		}
		// One statement happens or doesn't; so a step on a living system is never half done.
		if name >= "sql/0009" && len(all) != 1 {
			t.Errorf("%s has %d statements: one is what a step of a living system may have", name, len(all))
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(strings.TrimSpace(line), "--") && !strings.HasPrefix(line, "--") {
				t.Errorf("%s: a comment begins its line: %s", name, line)
			}
		}
	}
}

func TestStatementsEndWithTheirSemicolon(t *testing.T) {
	got := statements([]byte("-- a; comment;\nCREATE TABLE a (\n    b CHAR(1) DEFAULT ';'\n);\n\n-- c\nDROP TABLE a; \nSELECT 1"))
	want := []string{"CREATE TABLE a (\n    b CHAR(1) DEFAULT ';'\n)", "DROP TABLE a", "SELECT 1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestEveryStepGoesUpAndDownAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.at(t, 0)
		var before []string
		for _, s := range Steps() {
			before = append(before, d.schema(t))
			d.up(t, s.Number)
			d.at(t, s.Number)
		}
		for i, s := range slices.Backward(Steps()) {
			d.down(t, 1)
			d.at(t, s.Number-1)
			want := before[i]
			if s.Number == 10 { // the column is back, and has a default for servers that haven't noticed it
				want = strings.Replace(want, "`name` varchar(100) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL,",
					"`name` varchar(100) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '',", 1)
			}
			if got := d.schema(t); got != want {
				t.Errorf("step %s leaves after up and down:\n%s\nwant\n%s", s, got, want)
			}
		}
		d.up(t, 0)
		d.at(t, uint(len(Steps())))
		d.down(t, 1000)
		d.at(t, 0)
	})
}

func TestTheDeliberateFlawsAreThereAndThenAreMended(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		types := func() string {
			var all []string
			for _, c := range [][2]string{{"activities", "id"}, {"sections", "name"}, {"sections", "title"}} {
				var typ, set string
				err := d.QueryRowContext(t.Context(), "SELECT column_type, COALESCE(character_set_name, '') FROM information_schema.columns "+
					"WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ?", c[0], c[1]).Scan(&typ, &set)
				if err == nil {
					typ = regexp.MustCompile(`int\(\d+\)`).ReplaceAllString(typ, "int") // MariaDB says how wide it shows it
					all = append(all, strings.TrimSpace(c[0]+"."+c[1]+" "+typ+" "+set))
				}
			}
			return strings.Join(all, ", ")
		}
		d.up(t, 8)
		if got, want := types(), "activities.id int, sections.name varchar(100) utf8mb3"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if n := d.number(t, "SELECT COUNT(*) FROM information_schema.table_constraints WHERE table_schema = DATABASE() "+
			"AND table_name = 'concepts_levels' AND constraint_type = 'PRIMARY KEY'"); n != 0 {
			t.Errorf("concepts_levels has a primary key")
		}
		d.up(t, 0)
		if got, want := types(), "activities.id bigint unsigned, sections.title varchar(100) utf8mb4"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestVersionsThatAreNot(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		m := d.migrator(t)
		refused := func(what string, err error, want string) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", what, err, want)
			}
		}
		refused("up to a step of the future", m.Up(t.Context(), 99), "there is no step 99")
		refused("down by nothing", m.Down(t.Context(), 0), "one at least")
		d.up(t, 3)
		refused("up to below", m.Up(t.Context(), 2), "use down")
		d.exec(t, "UPDATE schema_migrations SET version = 99")
		refused("up from the future", m.Up(t.Context(), 0), "newer program")
		refused("down from the future", m.Down(t.Context(), 1), "newer program")
		refused("force the future", m.Force(t.Context(), 99), "there is no step 99")
		d.exec(t, "UPDATE schema_migrations SET version = 3, dirty = 1")
		var dirty *DirtyError
		if err := m.Up(t.Context(), 0); !errors.As(err, &dirty) || dirty.Version != 3 {
			t.Errorf("up from a dirty database: %v", err)
		}
		refused("down from a dirty database", m.Down(t.Context(), 1), "force")
		if err := m.Force(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		d.down(t, 3)
		if err := m.Force(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		d.at(t, 0)
	})
}

func TestAStepThatTheServerRefusesIsNotLeftHalfDone(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 8)
		d.exec(t, "ALTER TABLE sections ADD COLUMN title INT") // somebody was here
		err := d.migrator(t).Up(t.Context(), 9)
		if err == nil || !strings.Contains(err.Error(), "step 9 (section_title_expand), up") {
			t.Errorf("%v, want the step in it", err)
		}
		d.at(t, 8)
		d.exec(t, "ALTER TABLE sections DROP COLUMN title")
		d.up(t, 0)
	})
}

func TestASecondMigratorWaitsForTheFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		first := d.migrator(t)
		s, err := first.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		said := &diary{}
		done := make(chan error, 1)
		go func() { done <- New(d.DB, zerolog.New(said)).Up(limited(t), 0) }()
		eventually(t, "the second says that it waits", func() bool { return said.says("another migrator is at work") })
		d.at(t, 0)
		s.close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		d.at(t, uint(len(Steps())))
	})
}

func TestAStepLetsATransactionEndThatUsesItsTable(t *testing.T) {
	onBoth(t, func(t *testing.T, d *testbed) {
		d.up(t, 7)
		tx, err := d.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(t.Context(), "SELECT COUNT(*) FROM hoc_activity"); err != nil {
			t.Fatal(err)
		}
		said := &diary{}
		m := New(d.DB, zerolog.New(said))
		m.Notice, m.LockWait = 0, 1e9
		done := make(chan error, 1)
		go func() { done <- m.Up(limited(t), 8) }()
		eventually(t, "the step finds its table in use", func() bool { return said.says("the table is in use") })
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		d.at(t, 8)
	})
}
