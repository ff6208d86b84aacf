package run

import (
	"strings"
	"testing"
)

func TestWhereASyntaxErrorIs(t *testing.T) {
	long := strings.Repeat("a, ", 40)
	for _, c := range []struct {
		name, text, message string
		at                  int
	}{
		{"the rest of the text is quoted", "SELECT 1 FORM a", "syntax to use near 'FORM a' at line 1", 9},
		{"with what ends a quotation", "SELECT 1 FORM 'a' at line 2'", "syntax to use near 'FORM 'a' at line 2'' at line 1", 9},
		{"nothing is left", "SELECT 1 FROM", "syntax to use near '' at line 1", 13},
		{"a word that stands there twice", "SELECT FORM FORM", "syntax to use near 'FORM' at line 1", 12},
		{"a long rest is cut", "SELECT 1 FORM " + long, "syntax to use near 'FORM " + long[:75] + "' at line 1", 9},
		{"and MariaDB says so", "SELECT 1 FORM " + long, "syntax to use near 'FORM " + long[:72] + "...' at line 1", 9},
		{"of two the one on its line", "x " + long + "\nx " + long, "syntax to use near 'x " + long[:78] + "' at line 2", 123},
		{"of two on one line neither", "x " + long + "x " + long, "syntax to use near 'x " + long[:78] + "' at line 1", -1},
		{"what is not in the text", "SELECT 1", "syntax to use near 'FORM a' at line 1", -1},
		{"no quotation", "SELECT 1", "Query was empty", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if at := stoppedAt(c.text, c.message); at != c.at {
				t.Errorf("at %d, want %d", at, c.at)
			}
		})
	}
}
