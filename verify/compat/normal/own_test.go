package normal_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat"
	"changeover/verify/compat/ddl"
)

// What only one vendor has is understood word by word, agrees with information_schema, and is the same as what
// comes of the definition that the server shows of it.
func TestWhatOnlyOneServerHasIsUnderstood(t *testing.T) {
	for name, start := range map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{"mysql": sandboxtest.MySQLSource, "mariadb": sandboxtest.MariaDBSource} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			text, err := os.ReadFile("testdata/own/" + name + ".sql")
			if err != nil {
				t.Fatal(err)
			}
			first, second := newBed(t, s), newBed(t, s)
			f := ddl.NewFile(name, string(text))
			for _, st := range ddl.Read(f, ddl.MariaDB, false) {
				if err := first.try(f.Text[st.Start:st.End]); err != nil {
					t.Errorf("%s: %v", f.Text[st.Start:st.End], err)
				}
			}
			p := first.look(t)
			second.exec(t, "SET foreign_key_checks = 0")
			for _, o := range slices.Backward(p.Objects) { // sequences before tables that count by them
				if o.Kind == "table" || o.Kind == "sequence" {
					second.exec(t, strings.ReplaceAll(o.SQL, first.name, second.name))
				}
			}
			for _, o := range p.Objects {
				if o.Kind == "view" {
					second.exec(t, strings.ReplaceAll(o.SQL, first.name, second.name))
				}
			}
			for _, d := range compat.Differences(p, second.look(t), nil) {
				t.Error(said(d))
			}
			if name == "mariadb" {
				second.exec(t, "ALTER SEQUENCE numbers INCREMENT BY 3")
				if d := between(t, first, second); len(d) != 1 || !strings.HasPrefix(d[0], "DIF1114 warning numbers: the definition of the sequence differs") {
					t.Error(d)
				}
			}
		})
	}
}
