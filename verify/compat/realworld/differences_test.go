package realworld

import (
	"slices"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat"
	"changeover/verify/compat/ddl"
	"changeover/verify/compat/normal"
)

// defining are the kinds of statements that make a schema.
var defining = []ddl.Kind{ddl.CreateTable, ddl.AlterTable, ddl.RenameTable, ddl.DropTable, ddl.CreateIndex, ddl.DropIndex, ddl.CreateView, ddl.CreateTrigger, ddl.CreateRoutine}

// MySQL and MariaDB come to one schema from the same text, but for what they do otherwise: the collation that
// utf8mb4 has if none is named, and the default of a text, which MySQL drops.
func TestTheseSchemasAreTheSameOnBothEngines(t *testing.T) {
	root := unpacked(t)
	objects := 0
	for i := range schemas {
		s := &schemas[i]
		t.Run(s.name, func(t *testing.T) {
			in := s.input(t, root)
			a, b := made(t, sandboxtest.MySQLSource(t), in), made(t, sandboxtest.MariaDBSource(t), in)
			objects += len(a.Objects)
			for _, d := range compat.Differences(a, b, nil) {
				if !theirs(&d) {
					t.Errorf("%+v", d)
				}
			}
		})
	}
	t.Logf("%d objects", objects)
}

// theirs tells whether a difference is the servers' own.
func theirs(d *normal.Difference) bool {
	return d.Rule == "DIF1106" && d.A == "utf8mb4_0900_ai_ci" && d.B == "utf8mb4_general_ci" || d.Rule == "DIF1105" && d.A == "NULL or none" && d.B == "''"
}

// made is a server with a schema in a database, as far as the server takes the text outside of strict mode.
func made(t *testing.T, s *sandboxtest.Server, in *compat.Input) *compat.Picture {
	t.Helper()
	name, pool := s.Database(t), s.DB(t, sandbox.Root)
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, q := range []string{"ALTER DATABASE " + name + " CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "USE " + name,
		"SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci", "SET foreign_key_checks = 0", "SET sql_mode = 'NO_ENGINE_SUBSTITUTION'"} {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	for _, f := range in.Files {
		for _, st := range ddl.Read(f, ddl.MySQL, false) {
			if slices.Contains(defining, st.Kind) {
				_, _ = conn.ExecContext(t.Context(), f.Text[st.Start:st.End]) // what one refuses and the other takes is a difference
			}
		}
	}
	p, err := compat.Look(t.Context(), pool, compat.LookOptions{Databases: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
