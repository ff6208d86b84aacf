package schema

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func fingerprints(t *testing.T, db *sql.DB, database string) Fingerprint {
	t.Helper()
	f, err := Fingerprints(t.Context(), db, []string{database}, func(string, string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAFingerprintShowsWhatADDLStatementChanged(t *testing.T) {
	target := sandboxtest.Target(t)
	name, admin := target.Database(t), target.DB(t, sandbox.Admin)
	target.Exec(t, "USE "+name, "CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY)", "CREATE TABLE A (id int PRIMARY KEY)",
		"CREATE TABLE `ä #p#日/` (id int PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION `P é` VALUES LESS THAN (5), PARTITION q VALUES LESS THAN (9))",
		"CREATE TABLE aux (id int PRIMARY KEY)", "CREATE VIEW v AS SELECT 1")
	steps := []struct {
		sql     string
		changed []string
	}{
		{"DO 0", nil},
		{"INSERT INTO a VALUES ()", nil},
		{"ALTER TABLE a AUTO_INCREMENT = 100", nil},
		{"CREATE TABLE b (id int)", []string{"b"}},
		{"RENAME TABLE b TO c", []string{"b", "c"}},
		{"ALTER TABLE c ADD KEY (id)", []string{"c"}},
		{"ALTER TABLE c COMMENT 'x'", []string{"c"}},
		{"TRUNCATE TABLE A", []string{"A"}},
		{"TRUNCATE TABLE a", []string{"a"}},
		{"TRUNCATE TABLE aux", []string{"aux"}},
		{"ALTER TABLE `ä #p#日/` TRUNCATE PARTITION q", []string{"ä #p#日/"}},
		{"ALTER TABLE `ä #p#日/` ADD PARTITION (PARTITION r VALUES LESS THAN (20))", []string{"ä #p#日/"}},
		{"DROP TABLE c, a", []string{"a", "c"}},
	}
	before := fingerprints(t, admin, name)
	for _, f := range before {
		if len(f.Partitions) == 0 {
			t.Fatalf("%s has no id", f.Name)
		}
	}
	for _, s := range steps {
		target.Exec(t, "USE "+name, s.sql)
		after := fingerprints(t, admin, name)
		var want []string
		for _, n := range s.changed {
			want = append(want, name+"."+n)
		}
		if got := before.Diff(after); !slices.Equal(got, want) {
			t.Errorf("%s: changed %q, not %q", s.sql, got, want)
		}
		kept, err := json.Marshal(after)
		if err != nil {
			t.Fatal(err)
		}
		before = nil
		if err := json.Unmarshal(kept, &before); err != nil || !before.Equal(after) {
			t.Fatalf("kept as JSON it is another: %v", err)
		}
	}
}

func TestTableIDIsKeptByRenameAndNewAfterTruncate(t *testing.T) {
	target := sandboxtest.Target(t)
	name, admin := target.Database(t), target.DB(t, sandbox.Admin)
	id := func(table string) uint64 {
		n, err := TableID(t.Context(), admin, name, table)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	target.Exec(t, "USE "+name, "CREATE TABLE `ö` (id int)", "CREATE TABLE `öx` (id int)")
	was := id("ö")
	target.Exec(t, "USE "+name, "RENAME TABLE `ö` TO `select`")
	if now := id("select"); now != was {
		t.Errorf("RENAME made %d of %d", now, was)
	}
	target.Exec(t, "TRUNCATE TABLE "+name+".`select`")
	if now := id("select"); now == was {
		t.Error("TRUNCATE kept the id")
	}
	if _, err := TableID(t.Context(), admin, name, "ö"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("a table that isn't there: %v", err)
	}
}

// Every character that an identifier may have: the dictionary must say what filenames says.
func TestNamesAreEncodedAsTheDictionaryHasThem(t *testing.T) {
	target := sandboxtest.Target(t)
	name, admin := target.Database(t), target.DB(t, sandbox.Root)
	codes := newFilenames()
	want := map[string]bool{}
	add := func(from, to rune) {
		for r := from; r < to; r += 40 {
			table := "t"
			for c := r; c < min(r+40, to); c++ {
				table += string(c)
			}
			want[codes.encode(name)+"/"+codes.encode(table)] = true
			target.Exec(t, "CREATE TABLE "+name+"."+quoteName(table)+" (id int)")
		}
	}
	add(0x21, 0x7f)
	add(0x80, 0x600)
	add(0x1e00, 0x2000)
	add(0x2140, 0x2180)
	add(0x24b0, 0x24f0)
	add(0xff20, 0xff60)
	got, err := set(t.Context(), admin, "SELECT NAME FROM information_schema.INNODB_TABLES WHERE NAME LIKE CONCAT(REPLACE(?, '_', '\\_'), '/%')", name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range want {
		if !got[n] {
			t.Errorf("the dictionary has no %s", n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d entries, not %d", len(got), len(want))
	}
}

// An ALTER TABLE outlives the client that sent it. Who builds the indexes after it waits until it
// is through, and finds them there.
func TestIndexesWhoseClientDiedAreNotBuiltTwice(t *testing.T) {
	target := sandboxtest.Target(t)
	name, admin, root := target.Database(t), target.DB(t, sandbox.Admin), target.DB(t, sandbox.Root)
	target.Exec(t, "USE "+name, "CREATE TABLE t (id int PRIMARY KEY, a int)", "INSERT INTO t VALUES (1, 1)")
	indexes := []Index{{"a", "KEY `a` (`a`)"}, {"b", "KEY `b` (`a` DESC,`id`)"}}
	blocker, err := root.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close()
	must := func(sql string) {
		if _, err := blocker.ExecContext(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	must("START TRANSACTION")
	must("UPDATE " + name + ".t SET a = 2") // the ALTER waits for its metadata lock
	ctx, die := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := BuildIndexes(ctx, admin, name, "t", indexes, BuildOptions{})
		first <- err
	}()
	waitFor(t, root, "ALTER TABLE%"+name)
	die() // the client closes its connection; the server goes on waiting
	if err := <-first; err == nil {
		t.Fatal("the first client didn't die")
	}
	second := make(chan []Index, 1)
	go func() {
		built, err := BuildIndexes(t.Context(), admin, name, "t", indexes, BuildOptions{})
		if err != nil {
			t.Error(err)
		}
		second <- built
	}()
	waitFor(t, root, "GET_LOCK")
	must("COMMIT")
	if built := <-second; len(built) > 0 {
		t.Errorf("built again: %v", built)
	}
	create, err := CreateTable(t.Context(), admin, name, "t")
	if err != nil || strings.Count(create, "KEY `") != 2 {
		t.Errorf("%s (%v)", create, err)
	}
}

// waitFor waits until some session's statement has the text.
func waitFor(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var n int
		query := "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND INFO LIKE '%" + text + "%'"
		if err := db.QueryRow(query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
	t.Fatal(fmt.Errorf("no session runs %s", text))
}

func TestEmptyListsWhatIsThere(t *testing.T) {
	target := sandboxtest.Target(t)
	name, admin := target.Database(t), target.DB(t, sandbox.Admin)
	target.Exec(t, "USE "+name, "CREATE TABLE b (id int)", "CREATE VIEW a AS SELECT 1")
	found, err := Empty(t.Context(), admin, []string{name, "no such database"})
	if err != nil || !slices.Equal(found, []string{name + ".a", name + ".b"}) {
		t.Errorf("found %v, %v", found, err)
	}
}
