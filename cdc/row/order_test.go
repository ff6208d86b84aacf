package row_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// keyed is a table's columns, its key, and how to make values for it.
type keyed struct {
	columns, key string
	ordered      bool
	value        func(*rand.Rand) string
}

func pick(values ...string) func(*rand.Rand) string {
	return func(r *rand.Rand) string { return values[r.IntN(len(values))] }
}

func number(format string, n, shift int) func(*rand.Rand) string {
	return func(r *rand.Rand) string { return fmt.Sprintf(format, r.IntN(n)-shift) }
}

func bytesOf(alphabet string) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		var b []byte
		for range r.IntN(5) {
			b = append(b, alphabet[r.IntN(len(alphabet))])
		}
		return fmt.Sprintf("x'%x'", b)
	}
}

func keyedTables() []keyed {
	return []keyed{
		{"k INT", "k", true, number("%d", 4000, 2000)},
		{"k BIGINT UNSIGNED", "k", true, pick("0", "1", "9", "10", "9223372036854775807", "9223372036854775808", "18446744073709551615", "99")},
		{"k DECIMAL(8,3)", "k", true, func(r *rand.Rand) string { return fmt.Sprintf("%.3f", float64(r.IntN(40000)-20000)/7) }},
		{"k DOUBLE", "k", true, func(r *rand.Rand) string { return fmt.Sprintf("%ge0", (r.Float64()-0.5)*float64(r.IntN(1e6))) }},
		{"k FLOAT", "k", true, func(r *rand.Rand) string { return fmt.Sprintf("%g", float32((r.Float64()-0.5)*1000)) }},
		{"k BIT(20)", "k", true, number("%d", 1<<20, 0)},
		{"k YEAR", "k", true, pick("'0000'", "1901", "1970", "2000", "2024", "2155")},
		{"k DATE", "k", true, func(r *rand.Rand) string {
			return fmt.Sprintf("'%04d-%02d-%02d'", r.IntN(3000), r.IntN(13), r.IntN(32))
		}},
		{"k DATETIME(3)", "k", true, func(r *rand.Rand) string {
			return fmt.Sprintf("'%04d-%02d-01 00:00:%02d.%03d'", r.IntN(3000), r.IntN(13), r.IntN(60), r.IntN(1000))
		}},
		{"k TIMESTAMP(1)", "k", true, func(r *rand.Rand) string { return fmt.Sprintf("'%04d-01-01 00:00:01.%d'", 1970+r.IntN(60), r.IntN(10)) }},
		{"k TIME(2)", "k", true, func(r *rand.Rand) string {
			return fmt.Sprintf("'%s%d:%02d:%02d.%02d'", []string{"", "-"}[r.IntN(2)], r.IntN(838), r.IntN(3), r.IntN(60), r.IntN(100))
		}},
		{"k ENUM('z','m','a','b')", "k", true, pick("1", "2", "3", "4")},
		{"k SET('z','m','a')", "k", false, number("%d", 8, 0)},
		{"k BINARY(3)", "k", true, func(r *rand.Rand) string { return fmt.Sprintf("x'%06x'", r.IntN(1<<24)&0xff00ff) }},
		{"k VARBINARY(8)", "k", true, bytesOf("\x00\x01 aAz\xff\x80'\\")},
		{"k VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "k", true, bytesOf("\x00\x01\x1f !aAz~'\\\t")},
		{"k CHAR(8) CHARACTER SET latin1 COLLATE latin1_bin", "k", true, bytesOf("\x00\x01\x1f !aAz~'\\\t\xe9\xff\x80")},
		{"k VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin", "k", true, bytesOf("\x00\x01\x1f !aAz~'\\\t")},
		{"k VARCHAR(8) CHARACTER SET cp1251 COLLATE cp1251_bin", "k", true, bytesOf("\x00\x01 aA\xe9\xff\x80")},
		{"k VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "k", true, bytesOf("aAbB'\\\t !")},
		{"k CHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "k", true, pick("'a'", "'ä'", "'ss'", "'ß'", "'a\t'", "''", "'\t'", "'日本'", "'😀'", "'ch'", "'cz'", "'æ'", "'af'")},
		{"k VARCHAR(8) CHARACTER SET ucs2 COLLATE ucs2_bin", "k", true, pick("'a'", "'b'", "'é'", "''")},
		{"k VARCHAR(8) CHARACTER SET sjis COLLATE sjis_japanese_ci", "k", true, pick("x'835c'", "'b'", "x'955c'", "''")},
		{"a SMALLINT, b VARCHAR(5) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, c DATE", "a,b,c", true, func(r *rand.Rand) string {
			return fmt.Sprintf("%d, '%c', '2020-01-%02d'", r.IntN(6), "ab c"[r.IntN(4)], r.IntN(29)+1)
		}},
		{"a ENUM('z','m','a'), b INT", "a,b", true, func(r *rand.Rand) string { return fmt.Sprintf("%d, %d", r.IntN(3)+1, r.IntN(1000)) }},
		{"a INT, b BIGINT, pad CHAR(200) DEFAULT ''", "a,b", true, func(r *rand.Rand) string { return fmt.Sprintf("%d, %d, ''", r.IntN(30), r.IntN(1000)-500) }},
	}
}

func TestKeysAreOrderedComparedAndFoundAsTheServerDoes(t *testing.T) {
	labs(t, func(t *testing.T, l *lab) {
		list := keyedTables()
		if l.flavor == server.MySQL {
			list = append(list, keyed{"k VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin", "k", true, bytesOf("\x00\x01 aA~")},
				keyed{"k VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci", "k", true, bytesOf("abcABC'")})
		} else {
			list = append(list, keyed{"k VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin", "k", true, bytesOf("\x00\x01 aA~")},
				keyed{"k UUID", "k", false, func(r *rand.Rand) string {
					return fmt.Sprintf("'%08x-1111-%04x-8888-%012x'", r.Uint32(), r.IntN(1<<16), r.Uint32())
				}},
				keyed{"k INET6", "k", false, func(r *rand.Rand) string { return fmt.Sprintf("'%x::%x'", r.IntN(3000), r.IntN(3000)) }})
		}
		for _, k := range slices.Clone(list) {
			if k.key == "k" {
				// The same as the first and as the last part of a composite key.
				list = append(list, keyed{k.columns + ", n INT", "k,n", k.ordered, func(r *rand.Rand) string { return k.value(r) + fmt.Sprintf(", %d", r.IntN(9)) }},
					keyed{"n INT, " + k.columns, "n,k", k.ordered, func(r *rand.Rand) string { return fmt.Sprintf("%d, ", r.IntN(9)) + k.value(r) }})
			}
		}
		r := rand.New(rand.NewPCG(3, 4))
		for i, k := range list {
			name := fmt.Sprintf("k%d", i)
			exec(t, l.odd, fmt.Sprintf("CREATE TABLE %s.%s (%s, PRIMARY KEY (%s))", l.schema, name, k.columns, k.key))
			var values []string
			for range 400 {
				values = append(values, "("+k.value(r)+")")
			}
			exec(t, l.odd, fmt.Sprintf("INSERT IGNORE INTO %s.%s VALUES %s", l.schema, name, strings.Join(values, ",")))
			exec(t, l.odd, "ANALYZE TABLE "+l.schema+"."+name)
			tab := load(t, l.src, l.schema, name)
			tab.UseWeights(l.flavor)
			if tab.Ordered() != k.ordered {
				t.Errorf("%s: ordered is %v", k.columns, tab.Ordered())
			}
			if tab.Ordered() {
				checkOrder(t, l, tab, k.columns, r)
			}
			checkKeyIn(t, l, tab, k.columns, r)
		}
	})
}

func keysOf(tab *row.Table, rows []row.Row) []row.Row {
	var keys []row.Row
	for _, r := range rows {
		keys = append(keys, tab.Key(r))
	}
	return keys
}

func checkOrder(t *testing.T, l *lab, tab *row.Table, what string, r *rand.Rand) {
	t.Helper()
	keys := weighed(t, l.src, tab, keysOf(tab, selectCanonical(t, l.src, tab, l.schema, "ORDER BY "+string(tab.AppendOrder(nil)))))
	for i := 1; i < len(keys); i++ {
		if tab.Compare(keys[i-1], keys[i]) >= 0 || tab.Compare(keys[i], keys[i-1]) <= 0 {
			t.Errorf("%s: %q before %q to the server, not to Compare", what, keys[i-1], keys[i])
			return
		}
	}
	for range 6 {
		low, high := r.IntN(len(keys)), r.IntN(len(keys))
		if low > high {
			low, high = high, low
		}
		for _, rg := range []row.Range{{}, {Low: keys[low]}, {High: keys[high]}, {Low: keys[low], High: keys[high]}} {
			checkRange(t, l, tab, what, keys, rg)
		}
	}
}

func checkRange(t *testing.T, l *lab, tab *row.Table, what string, keys []row.Row, rg row.Range) {
	t.Helper()
	cond := string(tab.AppendRange(nil, rg))
	got := keysOf(tab, selectCanonical(t, l.src, tab, l.schema, "WHERE "+cond+" ORDER BY "+string(tab.AppendOrder(nil))))
	var want []row.Row
	for _, k := range keys {
		if rg.Contains(tab, k) {
			want = append(want, k)
		}
	}
	if !slices.EqualFunc(got, want, func(a, b row.Row) bool { return sameRow(a, tab.Values(b)) }) {
		t.Errorf("%s: %s finds %d rows, %d are in the range", what, cond, len(got), len(want))
	}
	if rg.Low != nil && rg.High != nil && len(want) < len(keys)/4 && !strings.Contains(cond, "CAST") {
		explainRange(t, l, tab, what, cond)
	}
}

// explainRange wants a range of the primary key, not a scan of the table or the index.
func explainRange(t *testing.T, l *lab, tab *row.Table, what, cond string) {
	t.Helper()
	q := "SELECT * FROM " + server.Name(l.schema, tab.Name) + " FORCE INDEX (PRIMARY) WHERE " + cond
	plan := ""
	format := "EXPLAIN "
	if l.flavor == server.MySQL {
		format = "EXPLAIN FORMAT=TRADITIONAL "
	}
	for _, f := range texts(t, l.src, format+q) {
		plan += string(slices.Concat(f...))
		for _, cell := range f {
			if s := string(cell); s == "range" || s == "const" || s == "eq_ref" || s == "ref" || strings.Contains(s, "Impossible") || strings.Contains(s, "no matching row") {
				return
			}
		}
	}
	t.Errorf("%s: no range access for %s: %s", what, cond, plan)
}

func checkKeyIn(t *testing.T, l *lab, tab *row.Table, what string, r *rand.Rand) {
	t.Helper()
	keys := keysOf(tab, selectCanonical(t, l.src, tab, l.schema, ""))
	for _, n := range []int{0, 1, 2, 20, len(keys)} {
		n = min(n, len(keys))
		r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		cond := string(tab.AppendKeyIn(nil, keys[:n]))
		got := keysOf(tab, selectCanonical(t, l.src, tab, l.schema, "WHERE "+cond))
		sorted := func(list []row.Row) (out []string) {
			for _, k := range list {
				out = append(out, string(row.AppendKey(nil, k)))
			}
			slices.Sort(out)
			return out
		}
		if !slices.Equal(sorted(got), sorted(keys[:n])) {
			t.Errorf("%s: %.300s finds %d rows, want %d", what, cond, len(got), n)
		}
		if n == 2 && len(keys) > 50 && !strings.Contains(cond, "CAST") {
			explainRange(t, l, tab, what, cond)
		}
	}
}
