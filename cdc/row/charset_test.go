package row_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"changeover/cdc/row"
)

// sample has characters whose bytes in some charset contain quotes, backslashes and the like.
const sample = "é ß ñ Ж λ א ソ能表 縗 誠 許 日本語 한국어 ก 😀 \u2028"

// inCharset is an expression for s in the charset.
func inCharset(s, charset string) string {
	return fmt.Sprintf("CONVERT(_utf8mb4 x'%x' USING %s)", s, charset)
}

func TestStringsKeepTheirBytesInEveryCharset(t *testing.T) {
	labs(t, func(t *testing.T, l *lab) {
		var charsets []string
		for _, f := range texts(t, l.odd, "SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME <> 'binary' ORDER BY 1") {
			charsets = append(charsets, string(f[0]))
		}
		var list []column
		for _, charset := range charsets {
			values := []string{"''", "' '", inCharset(sample, charset), inCharset("a'b\\\"\x00\x1a\n\t\x1d\x1e\x1f `\\", charset), "'plain  '"}
			for _, typ := range []string{"VARCHAR(80)", "CHAR(80)", "TEXT", "ENUM('a','é','ソ')"} {
				if typ[0] == 'E' {
					values = []string{"1", "2", "3"}
				}
				list = append(list, column{typ + " CHARACTER SET " + charset, values})
			}
		}
		exec(t, l.odd, "SET SESSION sql_mode=''")
		from := l.position(t)
		fillTypes(t, l, list)
		events := l.events(t, from, l.position(t))
		for i := range list {
			tab := load(t, l.src, l.schema, fmt.Sprintf("t%d", i))
			streamed, selected := both(t, l, events, tab)
			for n := range streamed {
				if !sameRow(streamed[n], selected[n]) {
					t.Errorf("%s row %d: binlog %q, SELECT %q", list[i].typ, n, streamed[n][1], selected[n][1])
				}
			}
			writeAll(t, l, tab, streamed)
		}
	})
}

// oddText makes short strings that are likely to be equal in some collation.
func oddText(r *rand.Rand) string {
	alphabet := []string{"a", "A", "b", "B", "c", "s", "v", "w", "V", "u", "i", "I", "j", "y", "k", "K", "l", "d", "z", "n", "e", "t", "h",
		" ", "\x01", "\x1f", "\x7f", "\t", "-", "'", "0", "_", "é", "ß", "å", "ä", "ö", "Ж", "İ", "ı", "か", "カ", "😀", "\u200d", "\u0301", "ﬁ", "²"}
	if r.IntN(10) > 0 {
		alphabet = alphabet[:32] // ASCII only
	}
	var b strings.Builder
	for range r.IntN(4) {
		b.WriteString(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// words are digraphs and the like that tailored collations treat as one letter.
var words = []string{"ccs", "cscs", "ddz", "dzdz", "ggy", "gygy", "lly", "lyly", "nny", "nyny", "ssz", "szsz", "tty", "tyty", "zzs", "zszs", "ddzs", "dzsdzs",
	"ch", "CH", "cH", "ll", "lj", "nj", "dz", "aa", "AA", "Aa", "ae", "oe", "ue", "ss", "ij", "ng", "th", "rh", "ph", "dd", "ff", "æ", "Æ", "ö", "ü", "ĳ", "ǆ", "ǉ"}

func TestWhatACollationHoldsEqualConflicts(t *testing.T) {
	labs(t, func(t *testing.T, l *lab) {
		r := rand.New(rand.NewPCG(1, 2))
		seen := map[string]bool{}
		for _, w := range words {
			seen[w] = true
		}
		for len(seen) < 260 {
			seen[oddText(r)] = true
		}
		insert := "INSERT IGNORE INTO " + l.schema + ".s (v) VALUES "
		sep := ""
		for s := range seen {
			insert += fmt.Sprintf("%s(_utf8mb4 x'%x')", sep, s)
			sep = ","
		}
		exec(t, l.odd, "SET SESSION sql_mode=''")
		pairs, wild := 0, 0
		for _, f := range texts(t, l.odd, "SELECT DISTINCT FULL_COLLATION_NAME, CHARACTER_SET_NAME FROM "+collationsOf(l)) {
			collation, charset := string(f[0]), string(f[1])
			if charset == "utf8mb3" || strings.HasPrefix(charset, "utf16") || charset == "utf32" || charset == "ucs2" {
				continue // the first has the same collations again, the others are always wild
			}
			exec(t, l.odd, "DROP TABLE IF EXISTS "+l.schema+".s")
			exec(t, l.odd, fmt.Sprintf("CREATE TABLE %s.s (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20) CHARACTER SET %s COLLATE %s, UNIQUE KEY whole (id, v))", l.schema, charset, collation))
			exec(t, l.odd, insert)
			tab := load(t, l.src, l.schema, "s")
			// The key is over the string alone as far as hashes go; in the table it may not be unique.
			tab.Keys = []row.Key{{Name: "v", Nullable: true, Parts: []row.KeyPart{{Column: 1}}}, {Name: "p", Nullable: true, Parts: []row.KeyPart{{Column: 1, Prefix: 2}}}}
			byID := map[string][]row.ConflictKey{}
			for _, row := range selectCanonical(t, l.src, tab, l.schema, "") {
				byID[string(row[0])] = tab.AppendConflicts(nil, row)
			}
			for k, cond := range []string{"a.v=b.v", "LEFT(a.v,2)=LEFT(b.v,2)"} {
				for _, p := range texts(t, l.src, fmt.Sprintf("SELECT a.id, b.id, HEX(a.v), HEX(b.v) FROM %s.s a JOIN %s.s b ON %s AND a.id < b.id", l.schema, l.schema, cond)) {
					x, y := byID[string(p[0])][k], byID[string(p[1])][k]
					pairs++
					if x.Wild || y.Wild {
						wild++
					} else if x.Hash != y.Hash {
						t.Errorf("%s: %s and %s are equal (%s), their conflict keys differ", collation, p[2], p[3], cond)
					}
				}
			}
		}
		t.Logf("%d pairs of equal strings, %d with a wild one", pairs, wild)
	})
}

func collationsOf(l *lab) string {
	if l.flavor == "mysql" {
		return "(SELECT COLLATION_NAME AS FULL_COLLATION_NAME, CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE CHARACTER_SET_NAME <> 'binary') c"
	}
	return "information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE CHARACTER_SET_NAME <> 'binary'"
}
