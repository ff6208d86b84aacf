package source

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"pgregory.net/rapid"

	"changeover/internal/server"
)

const (
	uuidA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	uuidB = "9f11fa47-71ca-11e1-9e33-c80aa9429562"
)

func parse(t testing.TB, flavor server.Flavor, text string) Position {
	t.Helper()
	p, err := ParsePosition(flavor, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPositionHasOneCanonicalText(t *testing.T) {
	for _, c := range []struct {
		flavor   server.Flavor
		in, want string
	}{
		{server.MySQL, "", ""},
		{server.MySQL, uuidA + ":1", uuidA + ":1"},
		{server.MySQL, " " + strings.ToUpper(uuidA) + ":1-3:4 ,\n" + uuidB + ":9", uuidA + ":1-4," + uuidB + ":9"},
		{server.MySQL, uuidB + ":9," + uuidA + ":7:1-3:5", uuidA + ":1-3:5:7," + uuidB + ":9"},
		{server.MySQL, uuidA + ":1-3:5:Nightly:1-2:b:7", uuidA + ":1-3:5:b:7:nightly:1-2"},
		{server.MySQL, uuidA + ":x:1," + uuidA + ":2", uuidA + ":2:x:1"},
		{server.MySQL, uuidA + ":1-5:3-9", uuidA + ":1-9"},
		{server.MySQL, "mysql-bin.000007:5368709120", "mysql-bin.000007:5368709120"},
		{server.MySQL, uuidA + ".000001:4", uuidA + ".000001:4"},
		{server.MariaDB, "", ""},
		{server.MariaDB, "1-2-3,0-7-18446744073709551615", "0-7-18446744073709551615,1-2-3"},
		{server.MariaDB, "mariadb-bin.000001:4", "mariadb-bin.000001:4"},
	} {
		if got := parse(t, c.flavor, c.in).String(); got != c.want {
			t.Errorf("%q is %q, want %q", c.in, got, c.want)
		}
	}
}

func TestWhatIsNoPositionIsRefused(t *testing.T) {
	for _, c := range []struct {
		flavor server.Flavor
		text   string
	}{
		{server.MySQL, "x"},
		{server.MySQL, uuidA},
		{server.MySQL, uuidA + ":"},
		{server.MySQL, uuidA + ":0"},
		{server.MySQL, uuidA + ":5-3"},
		{server.MySQL, uuidA + ":1-2-3"},
		{server.MySQL, uuidA + ":01"},
		{server.MySQL, uuidA + ":tag"},
		{server.MySQL, uuidA + ":9223372036854775807"},
		{server.MySQL, uuidA + ":ta-g:1"},
		{server.MySQL, "3e11fa47-71ca-11e1-9e33-c80aa942956:1"},
		{server.MySQL, "0-1-2"},
		{server.MariaDB, "0-1"},
		{server.MariaDB, "0-1-2-3"},
		{server.MariaDB, "0-1-2,0-1-3"},
		{server.MariaDB, "0-1-2,"},
		{server.MariaDB, "4294967296-1-2"},
		{server.MariaDB, uuidA + ":1"},
		{"postgres", "0/16B3748"},
	} {
		if p, err := ParsePosition(c.flavor, c.text); err == nil {
			t.Errorf("%s %q is taken for %q", c.flavor, c.text, p)
		}
	}
}

func TestContainsAllNamesWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		flavor             server.Flavor
		has, asked, missed string
	}{
		{server.MySQL, uuidA + ":1-10", uuidA + ":1-10", ""},
		{server.MySQL, uuidA + ":1-10", "", ""},
		{server.MySQL, "", uuidA + ":1-10", uuidA + ":1-10"},
		{server.MySQL, uuidA + ":1-4:6-10", uuidA + ":1-12", uuidA + ":5:11-12"},
		{server.MySQL, uuidA + ":1-10", uuidA + ":5:t:3", uuidA + ":t:3"},
		{server.MySQL, uuidA + ":t:1-3", uuidA + ":1", uuidA + ":1"},
		{server.MySQL, uuidA + ":1," + uuidB + ":2-3", uuidB + ":1-4", uuidB + ":1:4"},
		{server.MySQL, "b.000002:4", "b.000001:900", ""},
		{server.MySQL, "b.000010:4", "b.000009:900", ""},
		{server.MySQL, "b.000001:899", "b.000001:900", "b.000001:900"},
		{server.MySQL, "b.000001:4", uuidA + ":1", uuidA + ":1"},
		{server.MariaDB, "0-1-5,1-1-7", "0-1-5", ""},
		{server.MariaDB, "0-2-6", "0-1-5", ""},
		{server.MariaDB, "0-1-5", "0-1-6,1-1-1", "0-1-6,1-1-1"},
	} {
		missing, ok := parse(t, c.flavor, c.has).ContainsAll(parse(t, c.flavor, c.asked))
		if missing != c.missed || ok != (c.missed == "") {
			t.Errorf("%q lacks %q of %q (%v), want %q", c.has, missing, c.asked, ok, c.missed)
		}
	}
}

func TestMariaDBsSequencesMayGoBack(t *testing.T) {
	p := parse(t, server.MariaDB, "0-1-200,7-1-1")
	p.advance("0-2-100")
	if p.String() != "0-2-100,7-1-1" {
		t.Errorf("the position is %s", p)
	}
	for id, want := range map[string]bool{"0-2-100": true, "0-1-100": false, "0-1-200": false, "7-1-1": true, "8-1-1": false, "x": false} {
		if p.Contains(id) != want {
			t.Errorf("Contains(%s) is %v", id, !want)
		}
	}
}

func TestACloneSharesNothing(t *testing.T) {
	for flavor, text := range map[server.Flavor]string{server.MySQL: uuidA + ":1-3", server.MariaDB: "0-1-3"} {
		p := parse(t, flavor, text)
		c := p.Clone()
		c.advance(map[server.Flavor]string{server.MySQL: uuidA + ":4", server.MariaDB: "0-1-4"}[flavor])
		if p.String() != text || c.String() == text {
			t.Errorf("%s: %s and its clone %s", flavor, p, c)
		}
	}
}

// ids in any order make the same set as a plain map would, and the set's text reads back, here and
// in go-mysql (which sends it to the server).
func TestASetIsWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, err := ParsePosition(server.MySQL, "")
		if err != nil {
			t.Fatal(err)
		}
		model := map[string]bool{}
		sid := rapid.SampledFrom([]string{uuidA, uuidB, uuidA + ":tag", uuidA + ":a", uuidB + ":z_9"})
		for range rapid.IntRange(0, 60).Draw(t, "n") {
			id := fmt.Sprintf("%s:%d", sid.Draw(t, "sid"), rapid.IntRange(1, 30).Draw(t, "gno"))
			p.Advance(&Tx{ID: id})
			model[id] = true
		}
		back, err := ParsePosition(server.MySQL, p.String())
		if err != nil {
			t.Fatal(err)
		}
		if back.String() != p.String() {
			t.Fatalf("%s reads back as %s", p, back)
		}
		for _, s := range []string{uuidA, uuidB, uuidA + ":tag", uuidA + ":a", uuidB + ":z_9"} {
			for gno := 1; gno <= 31; gno++ {
				id := fmt.Sprintf("%s:%d", s, gno)
				if p.Contains(id) != model[id] || back.Contains(id) != model[id] {
					t.Fatalf("%s in %s: %v, want %v", id, p, p.Contains(id), model[id])
				}
			}
		}
		if theirs, err := mysql.ParseMysqlGTIDSet(p.String()); err != nil || len(model) > 0 && theirs.IsEmpty() {
			t.Fatalf("go-mysql reads %s as %v, %v", p, theirs, err)
		}
	})
}

func TestADifferenceIsExact(t *testing.T) {
	set := func(t *rapid.T, name string) Position {
		p, _ := ParsePosition(server.MySQL, "")
		for _, n := range rapid.SliceOfN(rapid.IntRange(1, 40), 0, 40).Draw(t, name) {
			p.advance(fmt.Sprintf("%s:%d", uuidA, n))
		}
		return p
	}
	rapid.Check(t, func(t *rapid.T) {
		p, q := set(t, "p"), set(t, "q")
		text, _ := p.ContainsAll(q)
		missing, err := ParsePosition(server.MySQL, text)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= 40; n++ {
			id := fmt.Sprintf("%s:%d", uuidA, n)
			if want := q.Contains(id) && !p.Contains(id); missing.Contains(id) != want {
				t.Fatalf("%s − %s = %s: %d", q, p, missing, n)
			}
		}
	})
}

func TestListsAndOffsetsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := Position{flavor: server.MariaDB, last: map[uint32]mariaDBGTID{}}
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			g := mariaDBGTID{rapid.Uint32().Draw(t, "domain"), rapid.Uint32().Draw(t, "server"), rapid.Uint64().Draw(t, "seq")}
			list.last[g.domain] = g
		}
		offset := Position{flavor: server.MySQL, offset: rapid.Uint64().Draw(t, "offset"),
			file: rapid.StringMatching(`[a-z.:-]{1,12}\.[0-9]{6}`).Draw(t, "file")}
		for _, p := range []Position{list, offset} {
			back, err := ParsePosition(p.flavor, p.String())
			if err != nil || back.String() != p.String() || back.IsGTID() != p.IsGTID() {
				t.Fatalf("%s reads back as %s, %v", p, back, err)
			}
		}
	})
}

func FuzzParsePosition(f *testing.F) {
	f.Add(uuidA+":1-3:tag:5", false)
	f.Add("0-1-2,3-4-5", true)
	f.Add("binlog.000001:4", false)
	f.Fuzz(func(t *testing.T, text string, mariaDB bool) {
		flavor := server.MySQL
		if mariaDB {
			flavor = server.MariaDB
		}
		p, err := ParsePosition(flavor, text)
		if err != nil {
			return
		}
		if back, err := ParsePosition(flavor, p.String()); err != nil || back.String() != p.String() {
			t.Errorf("%q is %q, which reads back as %q, %v", text, p, back, err)
		}
	})
}

func BenchmarkAdvance(b *testing.B) {
	p, _ := ParsePosition(server.MySQL, uuidB+":1-100")
	txs := make([]*Tx, 1024)
	for i := range txs {
		txs[i] = &Tx{ID: fmt.Sprintf("%s:%d", uuidA, i+1)}
	}
	rand.Shuffle(8, func(i, j int) { txs[i], txs[j] = txs[j], txs[i] })
	for b.Loop() {
		for _, tx := range txs {
			p.Advance(tx)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/tx")
}
