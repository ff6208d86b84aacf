package compat

import (
	"fmt"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// A schema of a thousand tables, with a few programs. What it takes is the answers of the server to a thousand
// SHOW CREATE TABLE.
func BenchmarkLookAtAThousandTables(b *testing.B) {
	for _, f := range []struct {
		name  string
		start func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server
	}{{"MySQL", sandboxtest.MySQLSource}, {"MariaDB", sandboxtest.MariaDBSource}} {
		b.Run(f.name, func(b *testing.B) {
			s := f.start(b)
			name := s.Database(b)
			statements := []string{"USE " + name}
			for i := range 1000 {
				statements = append(statements, fmt.Sprintf("CREATE TABLE t%d (id bigint AUTO_INCREMENT PRIMARY KEY, %sKEY (c1, c2))", i, columnsOf(12)))
				if i%50 == 0 {
					statements = append(statements, fmt.Sprintf("CREATE TRIGGER r%d BEFORE INSERT ON t%d FOR EACH ROW SET NEW.c1 = 'a'", i, i))
				}
			}
			s.Exec(b, statements...)
			db := s.DB(b, sandbox.Root)
			for b.Loop() {
				p, err := Look(b.Context(), db, LookOptions{Databases: []string{name}})
				if err != nil || len(p.Objects) != 1020 || len(p.Refused) > 0 {
					b.Fatal(err, len(p.Objects), p.Refused)
				}
			}
		})
	}
}

func columnsOf(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "c%d varchar(%d) NOT NULL DEFAULT 'x' COMMENT 'column %d', ", i, 20+i, i)
	}
	return s.String()
}
