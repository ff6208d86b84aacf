package compat

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

// Whatever a text is, a check of it ends, says the same a second time, and names places that are in the text.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		"CREATE TABLE a (id INT(11) REFERENCES b (c), d TEXT DEFAULT '', KEY (d), FOREIGN KEY (id) REFERENCES a (id) ON DELETE CASCADE) ENGINE=MyISAM CHARSET=utf8",
		"ALTER TABLE a ADD COLUMN IF NOT EXISTS b INT, DROP KEY c, RENAME TO d, PARTITION BY KEY (a);\nDROP TABLE a, b; RENAME TABLE a TO b, c",
		"CREATE OR REPLACE DEFINER=a@b FUNCTION f() RETURNS INT RETURN 1;\nCREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN END",
		"SET sql_mode = ''; SET @@session.x = 1; SET GLOBAL a = 1; GRANT ALL ON *.* TO a IDENTIFIED BY 'b'; /*M!100301 x */ /*!100301 y */",
		"-- changeover:ignore IDX501 why\nCREATE TABLE a (b INT); -- changeover:ignore\n# changeover:ignore XXX1 until=2020-01-01 c",
		"DELIMITER //\nINSERT INTO a SELECT b FROM c RETURNING d//\nsource x\n\\. y\n",
		"CREATE TABLE rank (`select` TIMESTAMP DEFAULT 0, order YEAR(2), PRIMARY KEY (`select`(10) DESC)) COLLATE utf8mb4_uca1400_ai_ci; CREATE INDEX IF NOT EXISTS i ON rank",
		"CREATE TABLE a LIKE b; CREATE TABLE c SELECT 1; CREATE TABLE A (x INT CHECK (x > 0), CONSTRAINT x CHECK (1)); ALTER TABLE a DROP CONSTRAINT x",
	} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(31))
	}
	to, err := LoadProfile("mysql-9.7")
	if err != nil {
		f.Fatal(err)
	}
	aurora := *to
	aurora.Aurora, aurora.Version = true, "8.0.39"
	f.Fuzz(func(t *testing.T, text string, how uint8) {
		o := Options{To: to, From: server.MySQL, ANSIQuotes: how&4 != 0, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		if how&1 != 0 {
			o.To = &aurora
		}
		if how&2 != 0 {
			o.From = server.MariaDB
		}
		formats := []string{"json"}
		if how&16 != 0 {
			formats = Formats
		}
		var reports [2]string
		for i := range reports {
			in := fuzzed(text, how&8 != 0)
			r, err := Check(t.Context(), in, o)
			if err != nil {
				if !strings.Contains(text, "changeover:ignore") {
					t.Fatal(err)
				}
				return
			}
			inText(t, in, r)
			for _, format := range formats {
				var b strings.Builder
				if err := r.Write(&b, format, true); err != nil {
					t.Fatal(err)
				}
				reports[i] += b.String()
			}
		}
		if reports[0] != reports[1] {
			t.Fatalf("a second report differs:\n%s\n%s", reports[0], reports[1])
		}
	})
}

// fuzzed is a text as a dump, or, cut in the middle, as a way up and down.
func fuzzed(text string, steps bool) *Input {
	if !steps {
		return &Input{Files: []*ddl.File{ddl.NewFile("a.sql", text)}}
	}
	up, down := ddl.NewFile("1_a.up.sql", text[:len(text)/2]), ddl.NewFile("1_a.down.sql", text[len(text)/2:])
	return &Input{Files: []*ddl.File{up, down}, Steps: []Step{{Version: 1, Title: "a", Up: up, Down: down}}}
}

// inText fails the test if a finding's place is not one of its file.
func inText(t *testing.T, in *Input, r *Report) {
	t.Helper()
	for _, f := range slices.Concat(r.Findings, r.Suppressed) {
		if f.Location == nil {
			continue
		}
		i := slices.IndexFunc(in.Files, func(x *ddl.File) bool { return x.Name == f.Location.File })
		if i < 0 {
			t.Fatalf("%s is in %s, which is none of the files", f.Rule, f.Location.File)
		}
		endLine, endColumn := in.Files[i].At(len(in.Files[i].Text))
		l := f.Location
		if l.Line < 1 || l.Column < 1 || l.EndLine < l.Line || l.EndLine == l.Line && l.EndColumn < l.Column ||
			l.EndLine > endLine || l.EndLine == endLine && l.EndColumn > endColumn {
			t.Fatalf("%s is at %+v of a text that ends at %d:%d: %q", f.Rule, *l, endLine, endColumn, in.Files[i].Text)
		}
	}
}

// A dump may be compressed; what is not, or is too much, is told.
func TestACompressedDumpIsRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "dump.sql.gz")
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte("\nCREATE TABLE a (id INT);"))
	_ = z.Close()
	write(b.Bytes())
	in, err := ReadInput(name)
	if err != nil {
		t.Fatal(err)
	}
	r := check(t, in)
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Rule == "IDX501" })
	if i < 0 || r.Findings[i].Location.Line != 2 {
		t.Errorf("%+v", r.Findings)
	}
	for what, text := range map[string][]byte{"no gzip": []byte("CREATE TABLE a (id INT);"), "cut": b.Bytes()[:b.Len()-12]} {
		write(text)
		if _, err := ReadInput(name); err == nil || !strings.Contains(err.Error(), "dump.sql.gz: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
