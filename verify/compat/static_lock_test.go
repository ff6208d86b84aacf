package compat

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database/mysql"
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"changeover/internal/sandbox"
)

// What the lock says is what golang-migrate does: an edited version, and a new one behind the newest, never run where
// the newest has; and what MIG1001 says of names.
func TestALockSaysWhatGolangMigrateDoes(t *testing.T) {
	in := folder(t, map[string]string{"2_a.up.sql": "CREATE TABLE a (id INT PRIMARY KEY)", "4_b.up.sql": "CREATE TABLE b (id INT PRIMARY KEY)"})
	server := stock(t)
	db := server.DBIn(t, sandbox.Root, server.Database(t))
	up := func() error {
		files, err := iofs.New(os.DirFS("m"), ".")
		if err != nil {
			return err
		}
		driver, err := mysql.WithInstance(db, &mysql.Config{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := migrate.NewWithInstance("iofs", files, "mysql", driver)
		if err != nil {
			t.Fatal(err)
		}
		return m.Up()
	}
	if err := up(); err != nil {
		t.Fatal(err)
	}
	lock, err := ReadLock("migrations.lock", LockOf(in))
	if err != nil {
		t.Fatal(err)
	}
	found := func() (found []string) {
		t.Helper()
		in, err := ReadInput("m")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range check(t, in, func(o *Options) { o.Lock = lock }).Findings {
			if f.Rule == "MIG1007" || f.Rule == "MIG1001" {
				found = append(found, f.Rule+" "+f.Evidence)
			}
		}
		return found
	}
	if f := found(); f != nil {
		t.Errorf("nothing has changed, and %q is said", f)
	}
	write := func(name, sql string) {
		if err := os.WriteFile("m/"+name, []byte(sql), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("2_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY, edited INT)")
	write("3_c.up.sql", "CREATE TABLE c (id INT PRIMARY KEY)")
	write("notes.sql", "CREATE TABLE d (id INT PRIMARY KEY)")
	if err := up(); !errors.Is(err, migrate.ErrNoChange) {
		t.Errorf("golang-migrate says %v", err)
	}
	if f := found(); !slices.Equal(f, []string{"MIG1001 notes.sql", "MIG1007 2_a.up.sql", "MIG1007 3_c.up.sql"}) {
		t.Errorf("%q is said", f)
	}
	if err := os.Remove("m/3_c.up.sql"); err != nil {
		t.Fatal(err)
	}
	write("5_e.up.sql", "CREATE TABLE e (id INT PRIMARY KEY)") // a new version is no change
	write("5_f.up.sql", "CREATE TABLE f (id INT PRIMARY KEY)")
	if err := up(); err == nil || !strings.Contains(err.Error(), "duplicate") {
		t.Errorf("golang-migrate says %v to a version that is there twice", err)
	}
	if err := os.Remove("m/4_b.up.sql"); err != nil {
		t.Fatal(err)
	}
	if f := found(); !slices.Equal(f, []string{"MIG1001 notes.sql", "MIG1001 e, f", "MIG1007 4_b.up.sql", "MIG1007 2_a.up.sql"}) {
		t.Errorf("%q is said", f)
	}
}

func TestALockIsGivenOrSaidToBeMissing(t *testing.T) {
	in := folder(t, map[string]string{"1_a.up.sql": "CREATE TABLE a (id INT PRIMARY KEY)"})
	if r := check(t, in); !slices.ContainsFunc(r.Unchecked, func(u Unchecked) bool { return u.Rule == "MIG1007" && strings.Contains(u.Reason, "--write-lock") }) {
		t.Errorf("%v", r.Unchecked)
	}
	for _, bad := range []string{"1_a.up.sql", "abc  1_a.up.sql", strings.Repeat("g", 64) + "  a"} {
		if _, err := ReadLock("l", []byte("# why\n"+bad)); err == nil || !strings.HasPrefix(err.Error(), "l:2: ") {
			t.Errorf("%q is taken: %v", bad, err)
		}
	}
}
