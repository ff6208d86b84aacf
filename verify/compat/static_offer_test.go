package compat

import (
	"testing"

	"changeover/internal/server"
)

// What a table may say of its text is what keeps its keys as they are: the parent's words, or the source's default. Where
// neither is known nothing is offered.
func TestWhatIsOfferedBreaksNoKey(t *testing.T) {
	const parent = "CREATE TABLE p (code VARCHAR(10) PRIMARY KEY) DEFAULT CHARSET=latin1 COLLATE=latin1_german1_ci;\n"
	const child = "CREATE TABLE c (id INT PRIMARY KEY, code VARCHAR(10), FOREIGN KEY (code) REFERENCES p (code));"
	for _, x := range []struct {
		sql    string
		from   server.Flavor
		source string
		want   string
	}{
		{sql: parent + child, want: "DEFAULT CHARSET=latin1 COLLATE=latin1_german1_ci"},
		{sql: child, want: ""},
		{sql: child, from: server.MariaDB, want: "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci"},
		{sql: child, from: server.MySQL, want: ""},
		{sql: child, source: "latin1_swedish_ci", want: "DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci"},
		{sql: child, from: server.MariaDB, source: "utf8mb4_uca1400_ai_ci", want: ""},
	} {
		r := check(t, text("x.sql", x.sql), func(o *Options) {
			o.From = x.from
			if x.source != "" {
				o.Source = &Picture{Flavor: x.from, Variables: map[string]string{"collation_server": x.source}}
			}
		})
		found := false
		for _, f := range r.Findings {
			if f.Rule == "CHS403" {
				found = true
				if f.Remedy.SQL != x.want {
					t.Errorf("%+v: %q is offered", x, f.Remedy.SQL)
				}
			}
		}
		if !found {
			t.Errorf("%+v: CHS403 finds nothing", x)
		}
	}
}
