package lang

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/rangetable"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// hard are texts that a student may type and that a database, a driver or a connection's character
// set has been known to lose: most are four bytes to a character, which utf8mb3 drops, or change
// under normalization, which nobody here may do to a student's program.
func hard() map[string]string {
	texts := map[string]string{
		"family joined by ZWJ":         "👩\u200d👩\u200d👧\u200d👦",
		"flag of regional indicators":  "🇺🇳",
		"flag of tags":                 "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
		"skin tone":                    "👋🏽",
		"keycap":                       "1️⃣",
		"text and emoji presentation":  "❤\ufe0e ❤\ufe0f",
		"newest emoji planes":          "🫠🪿🩷",
		"composed and decomposed":      "\u00e9 e\u0301 \u212b \u00c5 A\u030a",
		"many combining marks":         "Z\u0351\u036b\u0343a\u0346l\u0357g\u0323o\u0332",
		"Hangul syllable and jamo":     "\ud55c \u1112\u1161\u11ab",
		"CJK extension B and later":    "𠜎𠮷𪚥 \U00030000 \U00031350",
		"CJK compatibility":            "\uf900 \U0002f800",
		"mathematical letters":         "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘",
		"music, cuneiform, hieroglyph": "𝄞 𒀀 𓀀",
		"right-to-left with marks":     "שלום\u200f (\u200eHTML\u200f) \u202bעברית\u202c \u2067א\u2069",
		"Arabic with ligature and nun": "\ufdfd ﷺ الله ١٢٣",
		"Persian non-joiner":           "می\u200cشود",
		"Indic conjuncts":              "क्ष क्\u200dष ক্ষ ജ്ഞ ක්\u200dෂ",
		"Thai without spaces":          "เขียนโปรแกรมน้ำ",
		"Turkish i":                    "İıIi",
		"sharp s, final sigma":         "ẞß Σσς",
		"invisible ones":               "a\u00adb\u200bc\u2060d\ufeffe\u2028f\u2029g",
		"a byte order mark in front":   "\ufefftext",
		"controls that are text":       "tab\there\nnew line\r\n\u0001\u001f\u007f\u0085",
		"quotes and escapes":           `'"` + "`" + ` \ \' \0 %_ -- /* */ ; {0}`,
		"trailing spaces":              "ends in spaces   ",
		"private use, noncharacters":   "\ue000 \U000f0000 \U0010fffd \ufffe\uffff \U0010ffff",
		"edges of the lengths":         "\u007f\u0080\u07ff\u0800\uffff\U00010000\U0010ffff",
		"replacement character":        "\ufffd",
	}
	for block, letters := range blocks() {
		texts["letters of "+block] = letters
	}
	return texts
}

// blocks are all characters of every script that Unicode has, some thousand bytes to a text.
func blocks() map[string]string {
	all := map[string]string{}
	for script, table := range unicode.Scripts {
		var b strings.Builder
		rangetable.Visit(table, func(r rune) {
			if r == 0 {
				return // refused before it comes to a database
			}
			b.WriteRune(r)
			if b.Len() > 4000 {
				all[fmt.Sprintf("%s to %U", script, r)] = b.String()
				b.Reset()
			}
		})
		all[script+", its end"] = b.String()
	}
	return all
}

func TestEveryTextComesBackFromTheDatabase(t *testing.T) {
	for _, s := range []struct {
		name   string
		server func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server
	}{
		{"MySQL", sandboxtest.MySQLSource},
		{"MariaDB", sandboxtest.MariaDBSource},
	} {
		t.Run(s.name, func(t *testing.T) {
			server := s.server(t)
			name := server.Database(t)
			db := server.DBIn(t, sandbox.App, name)
			server.Exec(t, "CREATE TABLE `"+name+"`.texts (id INT PRIMARY KEY AUTO_INCREMENT, tag VARCHAR(80) CHARACTER SET utf8mb4 NOT NULL, "+
				"text MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL, INDEX (tag)) ENGINE=InnoDB")
			sets := map[string][]string{"hard": slices.Sorted(maps.Values(hard()))}
			for _, l := range All() {
				sets[l.Tag] = append(slices.Sorted(maps.Values(For(l.Tag).own)), l.Name)
			}
			for tag, texts := range sets {
				insert := "INSERT INTO texts (tag, text) VALUES " + strings.TrimSuffix(strings.Repeat("(?, ?), ", len(texts)), ", ")
				args := make([]any, 0, 2*len(texts))
				for _, text := range texts {
					args = append(args, tag, text)
				}
				if _, err := db.ExecContext(t.Context(), insert, args...); err != nil {
					t.Fatalf("%s: %v", tag, err)
				}
				got := readTexts(t.Context(), t, server, name, tag)
				if len(got) != len(texts) {
					t.Fatalf("%s: %d texts came back of %d", tag, len(got), len(texts))
				}
				for i, text := range texts {
					if got[i] != text {
						t.Errorf("%s: wrote %q (%x), read %q (%x)", tag, text, text, got[i], got[i])
					}
				}
			}
		})
	}
}

// readTexts reads through a connection of its own: what the session that wrote has in its own
// character set proves nothing about the row.
func readTexts(ctx context.Context, t *testing.T, server *sandboxtest.Server, name, tag string) []string {
	t.Helper()
	rows, err := server.DBIn(t, sandbox.App, name).QueryContext(ctx, "SELECT text FROM texts WHERE tag = ? ORDER BY id", tag)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var texts []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return texts
}
