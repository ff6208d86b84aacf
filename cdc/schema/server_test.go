package schema

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// cases are the folders of testdata that have the file.
func cases(t *testing.T, file string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "*", file))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for i, p := range paths {
		paths[i] = filepath.Base(filepath.Dir(p))
	}
	return paths
}

// read is a case's file without its last line end; empty if the case doesn't have it.
func read(t *testing.T, name, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name, file))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

// golden compares with a case's file; UPDATE=1 writes it instead.
func golden(t *testing.T, name, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		path := filepath.Join("testdata", name, file)
		if got == "" {
			os.Remove(path)
		} else if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := read(t, name, file); got != want {
		t.Errorf("%s is\n%s\ninstead of\n%s", file, got, want)
	}
}

// Each case is a table as MariaDB prints it, what MySQL is given (expect.sql), what is said about
// that (notes.txt), or why the table is refused (refused.txt). MariaDB must print the very text of
// the case, and the target must take what comes out.
func TestMariaDBTablesBecomeMySQLTables(t *testing.T) {
	ctx := context.Background()
	maria, aurora := sandboxtest.MariaDBSource(t), sandboxtest.Target(t)
	src, admin := maria.DB(t, sandbox.Root), aurora.DB(t, sandbox.Admin)
	target, err := Inspect(ctx, admin)
	if err != nil {
		t.Fatal(err)
	}
	name := (&sandboxtest.Pair{Source: maria, Target: aurora}).Database(t)
	maria.Exec(t, "ALTER DATABASE "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
	for _, c := range cases(t, "mariadb.sql") {
		t.Run(c, func(t *testing.T) {
			create := read(t, c, "mariadb.sql")
			if c == "seq" {
				maria.Exec(t, "CREATE SEQUENCE "+name+".seq")
			} else {
				maria.Exec(t, "SET sql_mode = '', foreign_key_checks = 0", "USE "+name, strings.ReplaceAll(create, "`tt`.", "`"+name+"`."))
			}
			printed, err := CreateTable(ctx, src, name, c)
			if err != nil || strings.ReplaceAll(printed, name, "tt") != create {
				t.Fatalf("MariaDB prints %s (%v)", printed, err)
			}
			made, notes, err := TranslateTable(Table{name, c, printed}, server.MariaDB, target, TranslateOptions{Engines: ConvertEngines})
			golden(t, c, "notes.txt", lines(notes))
			if err != nil {
				golden(t, c, "refused.txt", strings.ReplaceAll(refusals(err), name, "tt"))
				return
			}
			golden(t, c, "expect.sql", strings.ReplaceAll(made.Create, name, "tt"))
			s := &Schema{Databases: []Database{{Name: name, Charset: "utf8mb4", Collation: "utf8mb4_general_ci", Tables: []Table{made}}}}
			if _, err := CreateTables(ctx, admin, s); err != nil {
				t.Fatal(err)
			}
			onTarget, err := CreateTable(ctx, admin, name, c)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c, "mysql.sql", strings.ReplaceAll(onTarget, name, "tt"))
		})
	}
}

func lines(notes []Note) string {
	var all []string
	for _, n := range notes {
		all = append(all, n.Text)
	}
	return strings.Join(all, "\n")
}

// refusals are the details of the joined faults, without codes and remedies.
func refusals(err error) string {
	var all []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var f *fault.Error
		if errors.As(e, &f) {
			all = append(all, f.Detail)
		}
	}
	return strings.Join(all, "\n")
}

// canonical is a definition with its keys in alphabetical order: indexes that are built later
// come last.
func canonical(t *testing.T, create string) string {
	t.Helper()
	d, err := Parse(create)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(d.Parts, func(a, b Part) int {
		if a.Kind != b.Kind || a.Kind == Column {
			return int(a.Kind) - int(b.Kind)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return d.SQL("", d.Name)
}

// script runs the statements of a testdata file, between lines of dashes, in a database.
func script(t *testing.T, s *sandboxtest.Server, database, file string) {
	t.Helper()
	statements := []string{"USE " + database, "SET NAMES utf8mb4"}
	for _, sql := range strings.Split(read(t, "", file), "\n---\n") {
		statements = append(statements, strings.ReplaceAll(sql, "DB", database))
	}
	s.Exec(t, statements...)
}

// copied reads a database of the source and puts it into the target's words.
func copied(t *testing.T, src, target *sql.DB, database string) (*Schema, *Target) {
	t.Helper()
	s, err := Read(t.Context(), src, []string{database}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at, err := Inspect(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := s.Translate(at, TranslateOptions{Engines: ConvertEngines})
	if err != nil {
		t.Fatal(err)
	}
	return made, at
}

func TestTablesOfEveryShapeAreTheSameOnTheTarget(t *testing.T) {
	ctx := t.Context()
	pair := sandboxtest.NewPair(t)
	name := pair.Database(t)
	script(t, pair.Source, name, "shapes.sql")
	src, admin := pair.Source.DB(t, sandbox.Changeover), pair.Target.DB(t, sandbox.Admin)
	s, _ := copied(t, src, admin, name)
	done, err := CreateTables(ctx, admin, s)
	if err != nil {
		t.Fatal(err)
	}
	deferred := 0
	for _, d := range done {
		if d.Action == Deferred {
			deferred++
		}
	}
	built := 0
	for _, table := range s.Tables() {
		built += buildTwice(t, admin, table)
		want, err := CreateTable(ctx, src, name, table.Name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := CreateTable(ctx, admin, name, table.Name)
		if err != nil {
			t.Fatal(err)
		}
		if canonical(t, got) != canonical(t, want) {
			t.Errorf("the target has\n%s\nthe source\n%s", got, want)
		}
		// Both sides would lose it alike.
		if emoji := table.Name == "every type" || table.Name == "indexes"; emoji && !strings.Contains(got, "😀") {
			t.Errorf("no emoji in %s", got)
		}
	}
	if built != deferred || built < 13 {
		t.Errorf("%d indexes deferred, %d built", deferred, built)
	}
	if again, err := CreateTables(ctx, admin, s); err != nil || again[1].Action != Present {
		t.Errorf("a second time: %v %v", again, err)
	}
}

// buildTwice builds what a table lacks; the second time there must be nothing to do.
func buildTwice(t *testing.T, target *sql.DB, table Table) int {
	t.Helper()
	made, err := CreateTable(t.Context(), target, table.Schema, table.Name)
	if err != nil {
		t.Fatal(err)
	}
	missing, err := Missing(table.Create, made)
	if err != nil {
		t.Fatal(err)
	}
	o := BuildOptions{Threads: 2, Buffer: 8 << 20}
	built, err := BuildIndexes(t.Context(), target, table.Schema, table.Name, missing, o)
	if err != nil || len(built) != len(missing) {
		t.Fatalf("built %v of %v: %v", built, missing, err)
	}
	if again, err := BuildIndexes(t.Context(), target, table.Schema, table.Name, missing, o); err != nil || len(again) > 0 {
		t.Fatalf("built %v again: %v", again, err)
	}
	return len(built)
}
