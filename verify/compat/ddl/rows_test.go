package ddl

import (
	"strings"
	"testing"
)

// Rows of literals go but for the first; what says anything stays, and so does what is broken.
func TestAnInsertKeepsWhatSaysAnything(t *testing.T) {
	for _, x := range []struct{ text, kept string }{
		{"INSERT INTO t VALUES (1, 'a'), (2, NULL), (-3, x'61') ON DUPLICATE KEY UPDATE a = 1", "INSERT INTO t VALUES ( 1 , 'a' ) ON DUPLICATE KEY UPDATE a = 1"},
		{"INSERT INTO t (a) VALUES (1), (NOW()), (2), (@a), (3), (4)", "INSERT INTO t ( a ) VALUES ( 1 ) , ( NOW ( ) ) , ( @a )"},
		{"REPLACE t VALUE (1),(2) RETURNING a", "REPLACE t VALUE ( 1 ) RETURNING a"},
		{"INSERT INTO t VALUES (1), (2,), (3), (4", "INSERT INTO t VALUES ( 1 ) , ( 2 , ) , ( 4"},
		{"INSERT INTO t VALUES (1), (,2), (), (3)), (4)", "INSERT INTO t VALUES ( 1 ) , ( , 2 ) , ( ) ) , ( 4 )"},
		{"INSERT INTO t VALUES (1), /*!80000 (2), */ (3)", "INSERT INTO t VALUES ( 1 ) , ( 2 ) , ( 3 )"},
		{"INSERT INTO t VALUES (1), (1 + 2), (a), (IGNORE)", "INSERT INTO t VALUES ( 1 ) , ( a ) , ( IGNORE )"},
		{"SELECT (1), (2), (3)", "SELECT ( 1 ) , ( 2 ) , ( 3 )"},
		{"INSERT INTO t SELECT (1), (2) FROM u WHERE a IN ((1), (2))", "INSERT INTO t SELECT ( 1 ) , ( 2 ) FROM u WHERE a IN ( ( 1 ) , ( 2 ) )"},
	} {
		all := Read(NewFile("x.sql", x.text+"; SELECT 1"), MySQL, false)
		if len(all) != 2 {
			t.Fatalf("%s: %d statements", x.text, len(all))
		}
		var kept []string
		for _, token := range all[0].Tokens {
			kept = append(kept, token.Text)
		}
		if got := strings.Join(kept, " "); got != x.kept {
			t.Errorf("%s\nkeeps %s\n  not %s", x.text, got, x.kept)
		}
		if got := all[0].File.Text[all[0].Start:all[0].End]; got != x.text {
			t.Errorf("%s is cut to %s", x.text, got)
		}
	}
}

func TestWhatNothingClosesIsKnown(t *testing.T) {
	for text, want := range map[string]int{
		"SELECT 1": -1, "SELECT 'it''s', \"a\\\"b\", `c``d` /* e */ -- '": -1, "/*!50000 SELECT 1 */": -1, "": -1,
		"SELECT 'a": 7, "SELECT 1; /* b": 10, "SELECT `a": 7, "SELECT \"a'": 7, "SELECT 1 /*!50000 + 1": 9, "/*/": 0, "SELECT x'61": 8,
		"CREATE PROCEDURE p() BEGIN SELECT 1;\nCREATE TABLE t (a INT);\nSELECT 'a": 68,
	} {
		f := NewFile("x.sql", text)
		if got := f.Torn(); got != want {
			t.Errorf("%s: %d, not %d", text, got, want)
		}
	}
}
