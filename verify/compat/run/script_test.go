package run

import (
	"slices"
	"testing"

	"changeover/verify/compat/ddl"
)

func TestWhatIsSentAtOnce(t *testing.T) {
	for _, c := range []struct {
		name, text   string
		script, dump []string
	}{
		{"statements without their delimiters", "DO 1; DO 2 ;\n-- end\n", []string{"DO 1", "DO 2"}, []string{"DO 1", "DO 2"}},
		{"a file without a statement as it is", "-- later\n", []string{"-- later\n"}, nil},
		{"an empty file as it is", "", []string{""}, nil},
		{"a DELIMITER line begins a statement of the server's", "DO 1;\nDELIMITER //\nDO 2//\n", []string{"DO 1", "DELIMITER //\nDO 2"}, []string{"DO 1", "DO 2"}},
		{"and is one by itself at the end", "DO 1;\nDELIMITER ;\n", []string{"DO 1", "DELIMITER ;"}, []string{"DO 1"}},
		{"what ends a statement for the client belongs to it", "DO 1\\G\nDO 2;\nDO 3\\g\n", []string{`DO 1\G`, "DO 2", `DO 3\g`}, []string{"DO 1", "DO 2", "DO 3"}},
		{"a program is one", "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET @a = 1; END; DO 1", []string{"CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET @a = 1; END", "DO 1"}, []string{"CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET @a = 1; END", "DO 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			texts := func(all []statement) (out []string) {
				for _, s := range all {
					out = append(out, s.text())
				}
				return out
			}
			f := ddl.NewFile("f.sql", c.text)
			if got := texts(script(f, ddl.MySQL, false)); !slices.Equal(got, c.script) {
				t.Errorf("migration: %q, want %q", got, c.script)
			}
			if got := texts(dump(f, ddl.MySQL, false)); !slices.Equal(got, c.dump) {
				t.Errorf("dump: %q, want %q", got, c.dump)
			}
		})
	}
}
