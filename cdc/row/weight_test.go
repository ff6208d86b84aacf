package row_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// weighed asks the server for the weights of keys.
func weighed(t *testing.T, db *sql.DB, tab *row.Table, keys []row.Row) []row.Row {
	t.Helper()
	if !tab.Weighed() {
		return keys
	}
	var out []row.Row
	for _, k := range keys {
		out = append(out, tab.Weigh(k, func(c *row.Column, v row.Value) row.Value {
			said := texts(t, db, "SELECT "+string(c.AppendWeightOf(nil, v))+", "+string(c.AppendWeightOf(nil, c.BlankOf())))[0]
			if !c.PadSpace() {
				said[1] = nil
			}
			return row.Weight(said[0], said[1])
		}))
	}
	return out
}

// collated makes strings of what collations treat in a way of their own: letters that are two, two
// that are one, what is ignored, what is less than a blank, and blanks.
func collated(r *rand.Rand) string {
	alphabet := strings.Split("a A b B c C d e E f g h H i I j J k l L m n N o r s S t u v V w y z Z 0 1 9 - ' _ . \x01 \x1f \x7f \t \n "+
		"é É ß å ä ö ø Ж ж λ Λ א ก ท เ ไ İ ı か カ が ガ ー ソ 能 表 縗 日 한 😀 𝒜 \u200d \u0301 \u0308 ﬁ ² Ⅷ ŉ ǆ ĳ æ Æ œ þ ð đ ł", " ")
	n := len(alphabet)
	if r.IntN(3) == 0 {
		n = 36
	}
	var b strings.Builder
	for range r.IntN(12) {
		if r.IntN(6) == 0 {
			b.WriteByte(' ')
		} else {
			b.WriteString(alphabet[r.IntN(n)])
		}
	}
	return b.String()
}

// Each collation that is ordered by weights: the order of an index over it is the order of the
// weights, and what is equal to the server has equal weights.
func TestWeightsOrderAsIndexesDo(t *testing.T) {
	labs(t, func(t *testing.T, l *lab) {
		exec(t, l.odd, "SET SESSION sql_mode=''")
		r := rand.New(rand.NewPCG(5, 6))
		tried := 0
		for _, f := range texts(t, l.odd, "SELECT DISTINCT FULL_COLLATION_NAME, CHARACTER_SET_NAME FROM "+collationsOf(l)) {
			collation, charset := string(f[0]), string(f[1])
			exec(t, l.odd, "DROP TABLE IF EXISTS "+l.schema+".s")
			exec(t, l.odd, fmt.Sprintf("CREATE TABLE %s.s (v VARCHAR(30) CHARACTER SET %s COLLATE %s NOT NULL PRIMARY KEY)", l.schema, charset, collation))
			tab := load(t, l.src, l.schema, "s")
			tab.UseWeights(l.flavor)
			if !tab.Weighed() {
				continue
			}
			tried++
			var values []string
			for range 400 {
				values = append(values, fmt.Sprintf("(_utf8mb4 x'%x')", collated(r)))
			}
			exec(t, l.odd, "INSERT IGNORE INTO "+l.schema+".s VALUES "+strings.Join(values, ","))
			checkWeights(t, l, tab)
		}
		t.Logf("%d collations", tried)
		if tried < 150 {
			t.Errorf("only %d collations are ordered by weights", tried)
		}
	})
}

func checkWeights(t *testing.T, l *lab, tab *row.Table) {
	t.Helper()
	c := &tab.Columns[0]
	blank := texts(t, l.odd, "SELECT "+string(c.AppendWeightOf(nil, c.BlankOf())))[0][0]
	if !c.PadSpace() {
		blank = nil
	}
	var keys []row.Row
	for _, f := range texts(t, l.odd, "SELECT CAST(v AS BINARY), WEIGHT_STRING(v) FROM "+l.schema+".s FORCE INDEX (PRIMARY) ORDER BY v") {
		keys = append(keys, row.Row{f[0], row.Weight(f[1], blank)})
	}
	for i := 1; i < len(keys); i++ {
		if tab.Compare(keys[i-1], keys[i]) >= 0 {
			t.Errorf("%s: %x stands before %x, its weight %x after %x", c.Collation, keys[i-1][0], keys[i][0], keys[i-1][1], keys[i][1])
			return
		}
	}
	// A key may come back in another case, or with blanks: the same place.
	n := len(keys) / 2
	upper := fmt.Sprintf("CONCAT(UPPER(_%s x'%x'), _%s x'%x')", c.Charset, []byte(keys[n][0]), c.Charset, []byte(c.BlankOf()))
	f := texts(t, l.odd, fmt.Sprintf("SELECT WEIGHT_STRING(%s COLLATE %s), %s COLLATE %s = _%s x'%x'", upper, c.Collation, upper, c.Collation, c.Charset, []byte(keys[n][0])))[0]
	if same := bytes.Equal(row.Weight(f[0], blank), keys[n][1]); same != (string(f[1]) == "1") {
		t.Errorf("%s: the server says %s that %s is equal, its weights %v", c.Collation, f[1], upper, same)
	}
}

// Weights in the form of Weight order like what they are made of, with blanks behind it for ever.
func TestPaddedWeightsOrderAsIfFilledWithBlanks(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, blank := range []string{" ", "\x02\x09", "\x00\x00\x20"} {
		make := func() []byte {
			units := []string{blank, blank, strings.Repeat("\x01", len(blank)), strings.Repeat("\x7f", len(blank)), blank[:len(blank)-1] + "\x00"}
			var b []byte
			for range r.IntN(30) {
				b = append(b, units[r.IntN(2+r.IntN(4))%len(units)]...)
			}
			return b
		}
		for range 20000 {
			a, b := make(), make()
			if r.IntN(3) == 0 {
				b = append(slices.Clone(a), b[:len(b)/len(blank)/8*len(blank)]...)
			}
			n := max(len(a), len(b)) / len(blank)
			fill := func(w []byte) []byte {
				return append(slices.Clone(w), bytes.Repeat([]byte(blank), n-len(w)/len(blank))...)
			}
			if want, got := bytes.Compare(fill(a), fill(b)), bytes.Compare(row.Weight(a, []byte(blank)), row.Weight(b, []byte(blank))); want != got {
				t.Fatalf("%q and %q with blank %q: %d, want %d", a, b, blank, got, want)
			}
		}
	}
}

// What a MariaDB source and the target order differently, or may, is not ordered by weights.
func TestWeightsOfAnotherServerAreNotTrusted(t *testing.T) {
	for collation, want := range map[string][2]bool{ // from MySQL, from MariaDB
		"utf8mb4_general_ci": {true, true}, "utf8mb4_unicode_ci": {true, true}, "latin1_swedish_ci": {true, true}, "gbk_chinese_ci": {true, true},
		"utf8mb4_0900_ai_ci": {true, false}, "utf8mb4_unicode_520_ci": {true, false}, "utf8mb4_croatian_ci": {true, false},
		"big5_chinese_ci": {false, false}, "tis620_thai_ci": {false, false}, "latin2_czech_cs": {false, false},
	} {
		for i, from := range []server.Flavor{server.MySQL, server.MariaDB} {
			charset, _, _ := strings.Cut(collation, "_")
			tab := &row.Table{Columns: []row.Column{{Name: "v", Kind: row.String, Charset: charset, Collation: collation}}, Keys: []row.Key{{Parts: []row.KeyPart{{}}}}}
			tab.UseWeights(from)
			if tab.Ordered() != want[i] || tab.Weighed() != want[i] {
				t.Errorf("%s from %s: ordered %v, weighed %v", collation, from, tab.Ordered(), tab.Weighed())
			}
		}
	}
}
