package schema

import (
	"slices"
	"strings"
	"testing"
)

const awkward = "CREATE TABLE `a(,``b` (\n" +
	"  `i``d` bigint unsigned NOT NULL AUTO_INCREMENT COMMENT 'it''s, (x\\'',\n" +
	"  `e` enum('a,b','c)','''','\\\\') COLLATE utf8mb4_bin NOT NULL,\n" +
	"  `g` int GENERATED ALWAYS AS ((length(`e`) + 1)) VIRTUAL /*!80023 INVISIBLE */,\n" +
	"  `KEY` decimal(10,2) DEFAULT '0.00',\n" +
	"  PRIMARY KEY (`i``d`),\n" +
	"  UNIQUE KEY `u,` (`e`,`KEY`),\n" +
	"  KEY `k` (`e`(3) DESC,((`KEY` + 1))) /*!80000 INVISIBLE */,\n" +
	"  FULLTEXT KEY `ft` (`e`) /*!50100 WITH PARSER `ngram` */ ,\n" +
	"  CONSTRAINT `f` FOREIGN KEY (`KEY`, `e`) REFERENCES `other db`.`p` (`x`, `y`) ON DELETE CASCADE,\n" +
	"  CONSTRAINT `c` CHECK ((`e` <> _utf8mb4'),('))\n" +
	") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='tab, (le'\n" +
	"/*!50100 PARTITION BY HASH (`i``d`)\nPARTITIONS 2 */"

func TestParseCutsADefinitionIntoItsParts(t *testing.T) {
	d, err := Parse(awkward)
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "a(,`b" {
		t.Errorf("name %q", d.Name)
	}
	want := []struct {
		kind    PartKind
		name    string
		columns []string
	}{
		{Column, "i`d", nil}, {Column, "e", nil}, {Column, "g", nil}, {Column, "KEY", nil},
		{PrimaryKey, "", []string{"i`d"}}, {UniqueKey, "u,", []string{"e", "KEY"}}, {PlainKey, "k", []string{"e", ""}},
		{FullTextKey, "ft", []string{"e"}}, {ForeignKey, "f", []string{"KEY", "e"}}, {Check, "c", nil},
	}
	if len(d.Parts) != len(want) {
		t.Fatalf("%d parts instead of %d", len(d.Parts), len(want))
	}
	for i, w := range want {
		p := d.Parts[i]
		if p.Kind != w.kind || p.Name != w.name || !slices.Equal(p.Columns, w.columns) {
			t.Errorf("part %d is %+v, not %+v", i, p, w)
		}
	}
	f := d.Parts[8]
	if f.RefSchema != "other db" || f.RefTable != "p" || !slices.Equal(f.RefColumns, []string{"x", "y"}) {
		t.Errorf("the foreign key refers to %s.%s %v", f.RefSchema, f.RefTable, f.RefColumns)
	}
	if !d.Parts[6].Prefixed[0] || d.Parts[6].Prefixed[1] {
		t.Errorf("prefixes %v", d.Parts[6].Prefixed)
	}
	if again := d.SQL("s", "t"); !strings.Contains(again, d.Parts[6].Text) || !strings.HasSuffix(again, "PARTITIONS 2 */") {
		t.Errorf("printed again: %s", again)
	}
	if d.changes(awkward) {
		t.Error("a definition that wasn't touched counts as changed")
	}
}

func TestParseRefusesWhatIsNoTable(t *testing.T) {
	for _, sql := range []string{"", "SELECT 1", "CREATE VIEW v AS SELECT 1", "CREATE TABLE `t` (`a` int", "CREATE TABLE", "(", "CREATE TABLE `t` LIKE `u`"} {
		if _, err := Parse(sql); err == nil {
			t.Errorf("%q is taken for a table", sql)
		}
	}
}

func TestIndexesThatSomethingNeedsAreNotDeferred(t *testing.T) {
	table := func(name, create string) Table { return Table{"d", name, create} }
	s := &Schema{Databases: []Database{{Name: "d", Tables: []Table{
		table("plain", "CREATE TABLE `plain` (`id` int NOT NULL, `a` int, `b` text, PRIMARY KEY (`id`), UNIQUE KEY `u` (`a`), KEY `ka` (`a`), KEY `kx` ((`a` + 1)), FULLTEXT KEY `ft` (`b`)) ENGINE=InnoDB"),
		table("auto", "CREATE TABLE `auto` (`id` int NOT NULL AUTO_INCREMENT, `a` int NOT NULL, PRIMARY KEY (`a`), KEY `auto` (`id`), KEY `later` (`a`)) ENGINE=InnoDB"),
		table("child", "CREATE TABLE `child` (`id` int NOT NULL, `p` int, `q` int, UNIQUE KEY `id` (`id`), KEY `fk` (`p`), KEY `wide` (`p`,`q`), KEY `later` (`q`), CONSTRAINT `c` FOREIGN KEY (`p`) REFERENCES `parent` (`code`)) ENGINE=InnoDB"),
		table("parent", "CREATE TABLE `parent` (`id` int NOT NULL, `code` int, PRIMARY KEY (`id`), KEY `code` (`code`), KEY `later` (`id`,`code`)) ENGINE=InnoDB"),
		table("keyless", "CREATE TABLE `keyless` (`a` int, `b` text NOT NULL, KEY `a` (`a`), UNIQUE KEY `null` (`a`), UNIQUE KEY `prefix` (`b`(3))) ENGINE=InnoDB"),
	}}}}
	want := map[string][]string{"plain": {"ka", "kx"}, "auto": {"later"}, "child": {"later"}, "parent": {"later"}, "keyless": nil}
	defs, err := s.definitions()
	if err != nil {
		t.Fatal(err)
	}
	r := keysInUse(defs)
	for _, d := range defs {
		var got []string
		for name := range r.deferrable(d) {
			got = append(got, name)
		}
		slices.Sort(got)
		if !slices.Equal(got, want[d.Name]) {
			t.Errorf("%s: deferred %v, not %v", d.Name, got, want[d.Name])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(awkward)
	f.Add("CREATE TABLE `t` (`a` int /* ) */, `b` varchar(3) DEFAULT \"x)\") ENGINE=x # y")
	f.Add("CREATE TABLE t (CONSTRAINT `c`")
	f.Add("CREATE TABLE t (FOREIGN KEY (a) REFERENCES x.")
	f.Fuzz(func(t *testing.T, sql string) {
		d, err := Parse(sql)
		if err != nil {
			return
		}
		again, err := Parse(d.SQL("s", d.Name))
		if err != nil {
			t.Skip() // an executable comment or a quote that is never closed
		}
		for i, p := range again.Parts {
			if i < len(d.Parts) && p.Text != d.Parts[i].Text {
				t.Errorf("part %d is %q when printed again, not %q", i, p.Text, d.Parts[i].Text)
			}
		}
		tr := &translator{target: &Target{}, mariaDB: true, checks: map[string]bool{}}
		tr.table(Table{"s", "t", sql})
	})
}
