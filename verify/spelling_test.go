package verify

import (
	"slices"
	"testing"

	"changeover/cdc/row"
	"changeover/internal/sandbox/sandboxtest"
)

// Types of MariaDB's own keep less than what stands for them on MySQL: one spelling of a UUID or an address, one
// zero. What an application writes there while MySQL is the writer is carried right, and so is equal, in keys and
// in other columns, on the way back and on the way there again; what really differs is found.
func TestWhatMariaDBCanNotTellApartIsEqual(t *testing.T) {
	t.Parallel()
	m := newLive(t, sandboxtest.MariaDBSource(t),
		"CREATE TABLE ids (u UUID PRIMARY KEY, n INT, v UUID, a INET6, b INET4 NOT NULL DEFAULT '0.0.0.0')",
		"CREATE TABLE pairs (n INT, a INET6, d DOUBLE, x INT, PRIMARY KEY (n, a, d))",
		"CREATE TABLE numbers (k DOUBLE PRIMARY KEY, f FLOAT NOT NULL, d DOUBLE, n INT)",
		"CREATE TABLE loose (u UUID, a INET6, f FLOAT, n INT)",
		"INSERT INTO ids VALUES ('0a0a0a0a-0000-1000-8000-00000000000a', 1, '0b0b0b0b-0000-4000-8000-00000000000b', '::a', '1.2.3.4')",
		"INSERT INTO pairs VALUES (1, 'fe80::a', 0, 1)",
		"INSERT INTO numbers VALUES (0, 0, 0, 0), (1, 1, 1, 1)",
		"INSERT INTO loose VALUES ('0a0a0a0a-0000-1000-8000-00000000000a', '::a', 0, 1)")
	m.start()
	m.wait("complete", complete)
	m = m.cutover(true)
	for _, q := range []string{
		"INSERT INTO ids VALUES ('C0C0C0C0-0000-1000-8000-00000000000C', 2, 'D0D0D0D0-0000-4000-8000-00000000000D', 'FE80:0::C', '1.2.3.5')",
		"INSERT INTO ids VALUES ('E0E0E0E0-0000-4000-8000-00000000000E', 3, 'F0F0F0F0000040008000000000000F0F', '::FFFF:1.2.3.4', '1.2.3.5'), ('00000000-0000-0000-0000-0000000000FF', 4, NULL, NULL, '1.2.3.5')",
		"UPDATE ids SET u = UPPER(u), v = UPPER(v), a = UPPER(a) WHERE n = 1",
		"INSERT INTO pairs VALUES (2, 'FE80::B', -0e0, 2)",
		"UPDATE pairs SET a = UPPER(a), d = -0e0 WHERE n = 1",
		"UPDATE numbers SET k = -0e0, f = -0e0, d = -0e0 WHERE k = 0",
		"INSERT INTO numbers VALUES (2, -0e0, -0e0, 2), (3, -0e0, NULL, 3)",
		"INSERT INTO loose VALUES ('C0C0C0C0-0000-1000-8000-00000000000C', 'FE80::C', -0e0, 2), ('C0C0C0C0-0000-1000-8000-00000000000C', 'FE80::C', -0e0, 2)",
	} {
		m.write(q)
	}
	m.proven() // by keys, and by all values
	m.again()
	m.wait("complete", complete) // by ranges
	m.proven()
	m.counted("loose", row.Row{row.Value("c0c0c0c0-0000-1000-8000-00000000000c"), row.Value("fe80::c"), row.Value("0"), row.Value("2")}, 2)

	// Each of these is one row that really differs, under a key that the two servers spell in two ways, or of all its values.
	for _, q := range []string{
		"UPDATE %s.ids SET n = 99 WHERE n = 2",
		"UPDATE %s.ids SET v = 'd0d0d0d0-0000-4000-8000-00000000000e' WHERE n = 3",
		"UPDATE %s.ids SET a = '::1' WHERE n = 4",
		"UPDATE %s.pairs SET x = 99 WHERE n = 2",
		"UPDATE %s.numbers SET n = 99 WHERE k = 0",
		"UPDATE %s.numbers SET f = 1e-30 WHERE k = 2",
		"UPDATE %s.numbers SET d = 0 WHERE k = 3",
	} {
		m.vandalize(q)
	}
	m.again()
	r := m.wait("7 rows differ", func(r State) bool { return r.Differences >= 7 && r.KeysDue == 0 && !r.Again })
	if r.Differences != 7 {
		t.Errorf("%d rows differ", r.Differences)
	}
	var columns []string
	for _, f := range m.v.book().found() {
		columns = append(columns, f.Columns...)
	}
	slices.Sort(columns)
	if want := []string{"a", "d", "f", "n", "n", "v", "x"}; !slices.Equal(columns, want) {
		t.Errorf("they differ in %v, not in %v", columns, want)
	}
	m.foundBy("ids", string(row.AppendKey(nil, row.Row{row.Value("C0C0C0C0-0000-1000-8000-00000000000C")})), "n")
	m.foundBy("numbers", string(row.AppendKey(nil, row.Row{row.Value("-0")})), "n")
	// A row that differs and is touched under another spelling of its key is one row still.
	m.write("UPDATE numbers SET n = n + 1 WHERE k = 0")
	m.write("UPDATE ids SET n = n + 1 WHERE n = 2")
	m.wait("5 rows differ", func(r State) bool { return r.Differences == 5 && r.KeysDue == 0 })
	m.repair(5)
	m.wait("nothing differs", func(r State) bool { return r.Differences == 0 && r.ToRepair == 0 })
	m.proven()

	m.vandalize("DELETE FROM %s.loose WHERE n = 2 LIMIT 1")
	m.again()
	m.wait("a row without a name differs", func(r State) bool { return r.Differences == 1 && r.KeysDue == 0 })
	m.repair(1)
	m.wait("nothing differs", func(r State) bool { return r.Differences == 0 && r.ToRepair == 0 })
	m.proven()

	m = m.cutover(true) // MariaDB is the writer again, and MySQL still has what was written there
	m.write("UPDATE ids SET n = n + 10 WHERE n < 4")
	m.again()
	m.wait("complete", complete)
	m.proven()
	m.vandalize("UPDATE %s.ids SET v = 'D0D0D0D0-0000-4000-8000-00000000000E' WHERE n = 11")
	m.vandalize("UPDATE %s.numbers SET n = 99 WHERE k = 0")
	m.again()
	m.wait("2 rows differ", func(r State) bool { return r.Differences == 2 && r.KeysDue == 0 })
	m.mustStop()
}

// counted sees that both sides have so many rows without a name that have the values of an image of the stream.
func (m *live) counted(name string, image row.Row, want int) {
	m.t.Helper()
	_, k := m.v.present()
	p, err := k.comparer.pair(m.t.Context(), Name{m.name, name})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, side := range []*table{p.source, p.target} {
		n, err := p.countImages(m.t.Context(), side, []row.Row{image})
		if err != nil || n[0] != want {
			m.t.Errorf("the %s has %d rows %q, not %d: %v", side.name, n[0], image, want, err)
		}
	}
}

// foundBy sees that a row that differs in one column is found by a key that is not spelled as both sides give it: what
// foreign keys change is named as one of them has it.
func (m *live) foundBy(name, key, column string) {
	m.t.Helper()
	_, k := m.v.present()
	p, err := k.comparer.pair(m.t.Context(), Name{m.name, name})
	if err != nil {
		m.t.Fatal(err)
	}
	different, err := k.compareKeys(m.t.Context(), p, []string{key})
	if err == nil {
		err = p.columns(m.t.Context(), different)
	}
	if f := different[key]; err != nil || f == nil || f.Source != 1 || f.Target != 1 || !slices.Equal(f.Columns, []string{column}) {
		m.t.Errorf("%s, key %q: %+v, %v", name, key, f, err)
	}
}

// found are the rows that are known to differ.
func (l *ledger) found() (all []*Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.tables {
		for _, f := range e.different {
			all = append(all, f)
		}
	}
	return all
}

// Keys that an earlier run has written down in another spelling are those that both sides give.
func TestAKeyIsOneHoweverItIsSpelled(t *testing.T) {
	uuid, double, text := row.Column{Name: "u", Kind: row.UUID, Type: "uuid"}, row.Column{Name: "d", Kind: row.Double}, row.Column{Name: "s", Kind: row.String}
	key := []row.Key{{Parts: []row.KeyPart{{Column: 0}, {Column: 1}, {Column: 2}}}}
	mine := &table{Table: &row.Table{Columns: []row.Column{uuid, double, text}, Keys: key}}
	uuid.Kind = row.String
	theirs := &table{Table: &row.Table{Columns: []row.Column{uuid, double, text}, Keys: key}}
	mine.flavor, theirs.flavor = "mariadb", "mysql"
	encode(theirs, mine)
	p := &pair{source: theirs, target: mine, key: mine.Table}
	of := func(v ...string) string {
		r := make(row.Row, len(v))
		for i := range v {
			r[i] = row.Value(v[i])
		}
		return string(row.AppendKey(nil, r))
	}
	got := p.spelled([]string{of("C0C0C0C000001000800000000000000C", "-0", "-0"), of("-0"), of("no uuid", "0.5", "A")})
	if want := []string{of("c0c0c0c0-0000-1000-8000-00000000000c", "0", "-0"), of("-0"), of("no uuid", "0.5", "A")}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}
