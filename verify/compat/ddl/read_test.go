package ddl

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func read(t testing.TB, text string, d Dialect) []Statement {
	t.Helper()
	sts := Read(NewFile("a.sql", text), d, false)
	sound(t, text, sts, false)
	return sts
}

// sound fails the test if the statements do not have every token of the text, once, in order and in its place.
func sound(t testing.TB, text string, sts []Statement, quotes bool) {
	t.Helper()
	all := splitter{lexer: newLexer(text, quotes)}
	var want []Token // without a cut there is no program to follow, so every token but delimiters
	for {
		all.lexer.fresh = false
		tok, what := all.lexer.next()
		if what == theEnd {
			break
		}
		want = append(want, tok)
	}
	at, had := 0, map[int]bool{}
	for i := range sts {
		s := &sts[i]
		if s.Start < at || s.End < s.Start || s.End > len(text) || len(s.Tokens) == 0 || s.Tokens[0].Start < s.Start || s.Tokens[len(s.Tokens)-1].End > s.End {
			t.Fatalf("statement %d is bytes %d to %d, behind byte %d, of %q", i, s.Start, s.End, at, text)
		}
		for _, tok := range s.Tokens {
			if tok.Start < at || tok.End <= tok.Start || text[tok.Start:tok.End] != tok.Text || tok.Kind == EndToken {
				t.Fatalf("token %+v behind byte %d of %q", tok, at, text)
			}
			at, had[tok.Start] = tok.End, true
		}
		within(t, s)
		at = s.End
	}
	if !commands(text, quotes) { // they are the client's only where a statement begins
		for _, tok := range want {
			if tok.Text == ";" {
				continue
			}
			if !had[tok.Start] {
				t.Fatalf("no statement has token %q at byte %d of %q", tok.Text, tok.Start, text)
			}
		}
	}
}

func commands(text string, quotes bool) bool {
	s := splitter{lexer: newLexer(text, quotes)}
	s.lexer.keep = true
	s.run()
	return len(s.lexer.commands) > 0
}

// within fails the test if something points outside of its statement.
func within(t testing.TB, s *Statement) {
	t.Helper()
	check := func(what string, r Range) {
		if r.From < 0 || r.To < r.From || r.To > len(s.Tokens) {
			t.Fatalf("%s is tokens %d to %d of %d of %q", what, r.From, r.To, len(s.Tokens), s.File.Text)
		}
		s.Between(r)
	}
	table := func(d *Table) {
		for _, c := range d.Columns {
			for _, r := range []Range{c.At, {c.At.From, c.At.From + 1}, {c.TypeAt, c.TypeAt}, c.Default, c.OnUpdate, c.Generated, c.SRID, c.References} {
				check("column "+c.Name, r)
			}
			for _, i := range c.Rest {
				check("rest of "+c.Name, Range{i, i + 1})
			}
		}
		for _, k := range d.Keys {
			check("key "+k.Name, k.At)
		}
		for _, k := range d.Checks {
			check("check "+k.Name, k.At)
			check("check "+k.Name, k.Expr)
		}
		for _, o := range d.Options {
			check("option "+o.Name, o.At)
		}
		check("partition", Range{d.Partition, max(d.Partition, d.PartitionEnd)})
	}
	if s.NameAt >= len(s.Tokens) || s.Body < 0 || s.Body >= len(s.Tokens) {
		t.Fatalf("name at %d, body at %d of %d of %q", s.NameAt, s.Body, len(s.Tokens), s.File.Text)
	}
	if s.Table != nil {
		table(s.Table)
	}
	for _, c := range s.Clauses {
		check("clause", Range{c.At.From, c.At.To})
		if c.At.To == c.At.From {
			t.Fatalf("an empty clause of %q", s.File.Text)
		}
		if c.Table != nil {
			table(c.Table)
		}
	}
	for _, i := range []int{-1, 0, len(s.Tokens)} {
		if line, column := s.Pos(i); line < 1 || column < 1 {
			t.Fatalf("token %d at %d:%d", i, line, column)
		}
	}
}

var splits = []struct {
	name, text string
	dialect    Dialect
	want       []string // … stands for the rest of the statement
}{
	{"Semicolons end statements, and the last needs none", "SELECT 1;\n\n; SET @a := 'x;y' ; SELECT `a;b`", MySQL, []string{"SELECT 1", "SET @a := 'x;y'", "SELECT `a;b`"}},
	{"DELIMITER", "DELIMITER $$\nCREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = 1; END$$\nDELIMITER ;\nDROP TABLE t;", MySQL,
		[]string{"CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = 1; END", "DROP TABLE t"}},
	{"A column may be called delimiter", "CREATE TABLE t (\ndelimiter CHAR(1)\n); SELECT 1", MySQL, []string{"CREATE TABLE t (\ndelimiter CHAR(1)\n)", "SELECT 1"}},
	{"A statement without its delimiter ends at a DELIMITER line", "DELIMITER //\nCREATE PROCEDURE p() BEGIN END\nDELIMITER ;\nSELECT 1;", MySQL, []string{"CREATE PROCEDURE p() BEGIN END", "SELECT 1"}},
	{"The blocks of a trigger without DELIMITER", `CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW
l: BEGIN
  DECLARE CONTINUE HANDLER FOR NOT FOUND BEGIN SET @done = IF(1, 2, 3); END;
  IF NEW.a > CASE WHEN NEW.end = 1 THEN 1 ELSE 2 END THEN SET NEW.a = 1; ELSEIF 1 THEN SET @c = 1; END IF;
  CASE NEW.a WHEN 1 THEN SET @b = 1; ELSE BEGIN END; END CASE;
  WHILE @i < 3 DO SET @i = @i + 1; END WHILE;
  REPEAT SET @i = REPEAT('a', 3); UNTIL @i > 2 END REPEAT;
  m: LOOP LEAVE m; END LOOP m;
  SELECT end, begin FROM x WHERE end > 3;
END l;
SELECT 1;`, MySQL, []string{"CREATE TRIGGER a …", "SELECT 1"}},
	{"A routine without blocks ends at its semicolon", "CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC RETURN CASE a WHEN 1 THEN 2 END; SELECT 1", MySQL, []string{"CREATE FUNCTION f(a INT) …", "SELECT 1"}},
	{"Events", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM a; DELETE FROM b; END; SELECT 1", MySQL, []string{"CREATE EVENT e …", "SELECT 1"}},
	{"BEGIN begins a transaction", "BEGIN; UPDATE a SET b = 1; COMMIT", MariaDB, []string{"BEGIN", "UPDATE a SET b = 1", "COMMIT"}},
	{"MariaDB's blocks outside of programs", "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END; SELECT 3", MariaDB, []string{"BEGIN NOT ATOMIC …", "SELECT 3"}},
	{"MariaDB's packages and declarations behind AS", "CREATE PACKAGE BODY p AS FUNCTION f RETURN INT AS x INT; BEGIN RETURN x; END; END; SELECT 1", MariaDB, []string{"CREATE PACKAGE BODY …", "SELECT 1"}},
	{"Text of another language", "CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $$ return 1; $$; SELECT 1", MySQL, []string{"CREATE FUNCTION f() …", "SELECT 1"}},
	{"Comments", "# a;\n-- b;\n/* c; */ SELECT 1--1 /*+ d; */;--\nSELECT 2", MySQL, []string{"SELECT 1--1", "SELECT 2"}},
	{"Executable comments belong to their statement", "/*!40101 SET NAMES utf8 */;\n/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`%`*/ /*!50003 TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET @a = 1 */;", MySQL,
		[]string{"/*!40101 SET NAMES utf8 */", "/*!50003 CREATE*/ /*!50017 …"}},
	{"The first line of MariaDB's dumps is the client's", "/*M!999999\\- enable the sandbox mode */ \nSELECT 1;", MariaDB, []string{"SELECT 1"}},
	{"Two statements on a line", "SELECT 1;SELECT 2", MySQL, []string{"SELECT 1", "SELECT 2"}},
	{"The client's ends of statements", "SELECT 1\\g SELECT '\\g'\\G\nSELECT \\N", MySQL, []string{"SELECT 1", "SELECT '\\g'", "SELECT \\N"}},
	{"SOURCE and its like are a line", "source /a/b.sql\nSELECT 1;\n\\. c d.sql\n SOURCE e.sql;\nSELECT\nsource FROM t;\n\\! rm -f x", MySQL,
		[]string{"source /a/b.sql", "SELECT 1", "\\. c d.sql", "SOURCE e.sql", "SELECT\nsource FROM t", "\\! rm -f x"}},
	{"A table may be called source", "SELECT 1; INSERT INTO\nsource VALUES (1); SOURCE", MySQL, []string{"SELECT 1", "INSERT INTO\nsource VALUES (1)", "SOURCE"}},
	{"DELIMITER in short", "\\d //\nCREATE PROCEDURE p() BEGIN SELECT 1; END//\n\\d ;\nSELECT 2;", MySQL, []string{"CREATE PROCEDURE p() BEGIN SELECT 1; END", "SELECT 2"}},
	{"A client drops a backslash at the end of a line", "SELECT 1, \\\n2;\\\nSELECT 3", MySQL, []string{"SELECT 1, \\\n2", "SELECT 3"}},
	{"Semicolons within another delimiter", "DELIMITER //\n/*!50003 DROP TRIGGER a */;\nCREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = 1; END;\n//\nSELECT 1; SELECT 2;//", MySQL,
		[]string{"/*!50003 DROP TRIGGER a */", "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = 1; END;", "SELECT 1", "SELECT 2"}},
	{"Labels of Oracle", "CREATE PROCEDURE p AS BEGIN <<o>> LOOP <<i>> FOR x IN 1..2 LOOP SELECT a << b; END LOOP i; END LOOP; END; SELECT 1", MariaDB, []string{"CREATE PROCEDURE p …", "SELECT 1"}},
	{"MariaDB's blocks are one statement whosever SQL it is", "BEGIN NOT ATOMIC SELECT 1; END; SELECT 2", MySQL, []string{"BEGIN NOT ATOMIC SELECT 1; END", "SELECT 2"}},
	{"A program that nothing closes ends where another one is made", "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = 1; IF @a THEN SET @b = 1; CREATE DEFINER=`a`@`%` PROCEDURE p() BEGIN SELECT 1; END; SELECT 2", MySQL,
		[]string{"CREATE TRIGGER a …", "CREATE DEFINER=`a`@`%` PROCEDURE p() BEGIN SELECT 1; END", "SELECT 2"}},
	{"Or where a line begins that seldom stands in one", "CREATE PROCEDURE p() BEGIN SELECT 1;\n  CREATE TABLE a (b INT);\n-- c\nCREATE TABLE d (e INT); SELECT 2", MySQL,
		[]string{"CREATE PROCEDURE p() BEGIN SELECT 1;\n  CREATE TABLE a (b INT)", "CREATE TABLE d (e INT)", "SELECT 2"}},
	{"A procedure may make tables, and name what others make", "CREATE PROCEDURE p() BEGIN\n  CREATE TABLE a (event INT);\nCREATE TABLE b (c INT); DROP PROCEDURE q; SELECT 1; END; SELECT 2", MySQL, []string{"CREATE PROCEDURE p() …", "SELECT 2"}},
	{"A dump's trigger", "DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`%`*/ /*!50003 TRIGGER a BEFORE INSERT ON t FOR EACH ROW BEGIN\n  SET @a = 1;\nEND */;;\nDELIMITER ;\n/*!50003 SET sql_mode = @b */ ;", MySQL,
		[]string{"/*!50003 CREATE*/ …", "/*!50003 SET sql_mode = @b */"}},
	{"What is not terminated ends with the text", "SELECT 'a; b", MySQL, []string{"SELECT 'a; b"}},
}

func TestStatementsAreCut(t *testing.T) {
	for _, tt := range splits {
		t.Run(tt.name, func(t *testing.T) {
			sts := read(t, tt.text, tt.dialect)
			var got []string
			for i, s := range sts {
				text := tt.text[s.Start:s.End]
				if i < len(tt.want) {
					if begin, ok := strings.CutSuffix(tt.want[i], "…"); ok && strings.HasPrefix(text, begin) {
						text = tt.want[i]
					}
				}
				got = append(got, text)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestCommandsOfTheClient(t *testing.T) {
	const text = "DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 'a\\g', \\\n 1; END //\nDELIMITER ;\nSOURCE x;\n-- \\g\nSELECT 1\\G\n\\. y\nSELECT source, `DELIMITER` FROM t;"
	var got []string
	f := NewFile("a.sql", text)
	for _, c := range f.Commands() {
		got = append(got, c.Text)
		if text[c.Start:c.End] != c.Text {
			t.Errorf("%+v", c)
		}
	}
	if want := []string{"DELIMITER //", "\\", "DELIMITER ;", "SOURCE x", "\\G", "\\. y"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	if n := len(f.Comments()); n != 1 {
		t.Errorf("%d comments", n)
	}
}

func TestTokens(t *testing.T) {
	const text = "a.1b 0x1F 0xZ 1.5e-3 1e5 1e x'4a' N'é' _utf8mb4'a''b\\'c' \"d\" @a @@global.b @'c d' r@`h` <=> ->> -> != := a||b -- c\n/*!80013 z*/ /*M!100301 y*/ .5 `a``b`"
	const want = "W:a S:. W:1b N:0x1F W:0xZ N:1.5e-3 N:1e5 W:1e T:x'4a' W:N T:'é' W:_utf8mb4 T:'a''b\\'c' T:\"d\" V:@a V:@@global.b V:@'c d' W:r V:@`h` S:<=> S:->> S:-> S:!= S::= W:a S:|| W:b W:z80013 W:y100301M N:.5 Q:`a``b`"
	var got []string
	for _, s := range read(t, text, MySQL) {
		for _, tok := range s.Tokens {
			gate := ""
			if g := tok.Gate; g != nil {
				gate = fmt.Sprint(g.Version)
				if g.MariaDB {
					gate += "M"
				}
			}
			got = append(got, string("WQTNVS"[tok.Kind])+":"+tok.Text+gate)
		}
	}
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	if s := Read(NewFile("", `"a\"; x`), MySQL, true); len(s) != 2 || s[0].Tokens[0].Kind != Quoted {
		t.Errorf("under ANSI_QUOTES: %+v", s)
	}
}

func TestPlaces(t *testing.T) {
	f := NewFile("", "\ufeffé x\r\ny\rz\n\nq")
	for _, want := range []struct {
		of           string
		line, column int
	}{{"é", 1, 1}, {"x", 1, 3}, {"y", 2, 1}, {"z", 3, 1}, {"q", 5, 1}} {
		if line, column := f.At(strings.Index(f.Text, want.of)); line != want.line || column != want.column {
			t.Errorf("%s is at %d:%d, want %d:%d", want.of, line, column, want.line, want.column)
		}
	}
	for _, offset := range []int{-1, 1 << 20} {
		if line, column := f.At(offset); line < 1 || column < 1 {
			t.Errorf("byte %d is at %d:%d", offset, line, column)
		}
	}
	comments := NewFile("", "-- a\r\nSELECT '# no' /*! x */ /* b\n */; # c").Comments()
	var got []string
	for _, c := range comments {
		got = append(got, c.Text)
	}
	if want := []string{"-- a", "/* b\n */", "# c"}; !slices.Equal(got, want) {
		t.Errorf("comments %q, want %q", got, want)
	}
}

func TestColumnsAndKeys(t *testing.T) {
	s := &read(t, "CREATE OR REPLACE TABLE IF NOT EXISTS `d`.`t` (\n"+
		"  id INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,\n"+
		"  kind ENUM('a,b', 'c') CHARACTER SET latin1 COLLATE latin1_bin DEFAULT 'c' COMMENT 'it''s' INVISIBLE,\n"+
		"  at TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE now(6),\n"+
		"  u VARCHAR(36) DEFAULT (uuid()) UNIQUE,\n"+
		"  n BIGINT DEFAULT NEXT VALUE FOR d.s,\n"+
		"  g INT GENERATED ALWAYS AS (IF(id > 1, 2, 3)) PERSISTENT,\n"+
		"  d DOUBLE PRECISION(8, 2) CHECK (d > 0) NOT ENFORCED,\n"+
		"  p POINT NOT NULL SRID 4326 /*!80016 INVISIBLE */,\n"+
		"  r INT REFERENCES o (id) ON DELETE CASCADE ON UPDATE SET NULL,\n"+
		"  z BLOB COMPRESSED WITHOUT SYSTEM VERSIONING,\n"+
		"  rs TIMESTAMP(6) GENERATED ALWAYS AS ROW START,\n"+
		"  PERIOD FOR SYSTEM_TIME (rs, re),\n"+
		"  KEY k (kind(10) DESC, (lower(u))) USING BTREE COMMENT 'x' INVISIBLE,\n"+
		"  CONSTRAINT uq UNIQUE (u),\n"+
		"  FULLTEXT INDEX ft (u) WITH PARSER ngram,\n"+
		"  CONSTRAINT fk FOREIGN KEY ix (r) REFERENCES x.y (a, b) MATCH FULL ON DELETE NO ACTION ON UPDATE SET DEFAULT,\n"+
		"  CONSTRAINT c CHECK (id > 1) NOT ENFORCED\n"+
		") ENGINE=InnoDB ROW_FORMAT DYNAMIC, DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_bin COMMENT='a;b' WITH SYSTEM VERSIONING\n"+
		"PARTITION BY HASH (id) PARTITIONS 4 AS SELECT 1", MariaDB)[0]
	if s.Kind != CreateTable || s.Schema != "d" || s.Name != "t" || !s.OrReplace || !s.IfExists || !s.Table.Select {
		t.Errorf("%+v", *s)
	}
	var got []string
	for i, c := range s.Table.Columns {
		rest := ""
		for _, j := range c.Rest {
			rest += " " + s.Tokens[j].Text
		}
		line, column := s.Pos(c.At.From)
		if line != i+2 || column != 3 {
			t.Errorf("%s is at %d:%d", c.Name, line, column)
		}
		got = append(got, fmt.Sprint(c.Name, " ", c.Type, c.Args, " ", c.Null, c.Unsigned, c.Auto, c.Primary, c.Unique, c.Invisible, c.Stored, " ", c.Charset, c.Collation, " D=", s.Between(c.Default),
			" U=", s.Between(c.OnUpdate), " G=", s.Between(c.Generated), " S=", s.Between(c.SRID), " R=", s.Between(c.References), " ", c.Comment, len(c.Checks), rest))
	}
	for _, k := range s.Table.Keys {
		parts := ""
		for _, p := range k.Parts {
			parts += fmt.Sprint(p.Column, p.Prefix, p.Desc, s.Between(p.Expr), ";")
		}
		got = append(got, fmt.Sprint(k.Kind, " ", k.Name, " ", k.Constraint, " ", k.IndexName, " ", parts, " ", k.Using, k.Parser, k.Invisible, " ", k.RefSchema, ".", k.RefTable, k.RefColumns, k.OnDelete, ",", k.OnUpdate, len(k.Options)))
	}
	for _, c := range s.Table.Checks {
		got = append(got, fmt.Sprint(c.Name, s.Between(c.Expr), c.NotEnforced, " ", s.Between(c.At)))
	}
	for _, o := range s.Table.Options {
		got = append(got, o.Name+"="+o.Value)
	}
	got = append(got, s.Between(s.Table.Periods[0]), s.Between(Range{s.Table.Partition, s.Table.PartitionEnd}))
	want := []string{
		"id INT[10] 2 true true true false false false  D= U= G= S= R= 0",
		"kind ENUM['a,b' 'c'] 0 false false false false true false latin1latin1_bin D='c' U= G= S= R= it's0",
		"at TIMESTAMP[6] 1 false false false false false false  D=CURRENT_TIMESTAMP(6) U=now(6) G= S= R= 0",
		"u VARCHAR[36] 0 false false false true false false  D=(uuid()) U= G= S= R= 0",
		"n BIGINT[] 0 false false false false false false  D=NEXT VALUE FOR d.s U= G= S= R= 0",
		"g INT[] 0 false false false false false true  D= U= G=(IF(id > 1, 2, 3)) S= R= 0 PERSISTENT",
		"d DOUBLE PRECISION[8 2] 0 false false false false false false  D= U= G= S= R= 1",
		"p POINT[] 2 false false false false true false  D= U= G= S=SRID 4326 R= 0",
		"r INT[] 0 false false false false false false  D= U= G= S= R=REFERENCES o (id) ON DELETE CASCADE ON UPDATE SET NULL 0",
		"z BLOB[] 0 false false false false false false  D= U= G= S= R= 0 COMPRESSED WITHOUT SYSTEM VERSIONING",
		"rs TIMESTAMP[6] 0 false false false false false false  D= U= G= S= R= 0 ROW START",
		"0 k   kind10 true;0 false(lower(u)); BTREEtrue .[],1",
		"2 uq uq  u0 false; false .[],0",
		"3 ft   u0 false; ngramfalse .[],0",
		"5 fk fk ix r0 false; false x.y[a b]NO ACTION,SET DEFAULT0",
		"c(id > 1)true CONSTRAINT c CHECK (id > 1) NOT ENFORCED",
		"ENGINE=InnoDB", "ROW_FORMAT=DYNAMIC", "CHARSET=utf8mb4", "COLLATE=utf8mb4_bin", "COMMENT=a;b", "SYSTEM VERSIONING=",
		"PERIOD FOR SYSTEM_TIME (rs, re)", "PARTITION BY HASH (id) PARTITIONS 4",
	}
	same(t, got, want)
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%d:\ngot  %s\nwant %s", i, g, w)
		}
	}
}

func TestClauses(t *testing.T) {
	s := &read(t, "ALTER ONLINE TABLE IF EXISTS a.b WAIT 5 ADD COLUMN IF NOT EXISTS c INT NOT NULL AFTER d, ADD (e INT, f INT), ADD UNIQUE KEY g (h), ADD CONSTRAINT i CHECK (j > 0), "+
		"MODIFY k INT FIRST, CHANGE COLUMN l m INT, RENAME COLUMN n TO o, ALTER p SET DEFAULT (1 + 2), DROP COLUMN IF EXISTS q, DROP FOREIGN KEY r, DROP PRIMARY KEY, DROP INDEX s, RENAME KEY t TO u, RENAME TO v.w, "+
		"ENGINE=InnoDB ROW_FORMAT=DYNAMIC, CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, ALTER INDEX x NOT IGNORED, ADD SYSTEM VERSIONING, ORDER BY a, b", MariaDB)[0]
	var got []string
	for _, c := range s.Clauses {
		table := ""
		if c.Table != nil {
			for _, col := range c.Table.Columns {
				table += " " + col.Name + ":" + col.Type
			}
			for _, o := range c.Table.Options {
				table += " " + o.Name + "=" + o.Value
			}
			table += fmt.Sprint(" ", len(c.Table.Keys), len(c.Table.Checks))
		}
		got = append(got, fmt.Sprint(c.Verb, c.IfExists, " ", c.Name, "|", c.NewSchema, "|", c.NewName, "|", c.What, "|", c.First, c.After, "|", s.Between(c.Default), table))
	}
	want := []string{
		"14 false 5|||WAIT|false|",
		"1 true ||||falsed| c:INT 0 0",
		"1 false ||||false| e:INT f:INT 0 0",
		"2 false ||||false| 1 0",
		"2 false ||||false| 0 1",
		"3 false ||||true| k:INT 0 0",
		"4 false l||||false| m:INT 0 0",
		"5 false n||o||false|",
		"6 false p||||false|(1 + 2)",
		"7 true q||||false|",
		"8 false r|||FOREIGN KEY|false|",
		"8 false |||PRIMARY KEY|false|",
		"8 false s|||INDEX|false|",
		"9 false t||u||false|",
		"10 false |v|w||false|",
		"11 false ||||false| ENGINE=InnoDB ROW_FORMAT=DYNAMIC 0 0",
		"12 false ||||false| CHARSET=utf8mb4 COLLATE=utf8mb4_bin 0 0",
		"0 false x|||INDEX|false|",
		"11 false ||||false| SYSTEM VERSIONING= 0 0",
		"0 false |||ORDER|false|",
	}
	same(t, got, want)
	if !s.IfExists || s.Schema != "a" || s.Name != "b" {
		t.Errorf("%q.%q %t", s.Schema, s.Name, s.IfExists)
	}
	p := &read(t, "ALTER TABLE a ADD b INT PARTITION BY HASH (b); ALTER TABLE a DROP PARTITION p, q; ALTER TABLE a ADD b INT, ALGORITHM=INSTANT, LOCK NONE", MySQL)[0]
	if w := &read(t, "ALTER TABLE a WAIT 1 REMOVE PARTITIONING", MariaDB)[0]; len(w.Clauses) != 2 || w.Clauses[1].Verb != Partitioning {
		t.Errorf("%+v", w.Clauses)
	}
	if len(p.Clauses) != 2 || p.Clauses[1].Verb != Partitioning || p.Clauses[0].Table.Columns[0].Type != "INT" {
		t.Errorf("%+v", p.Clauses)
	}
}

func TestKindsAndNames(t *testing.T) {
	for text, want := range map[string]string{
		"DROP TABLE IF EXISTS a.b, c":      fmt.Sprint(DropTable, "a.b", 2),
		"RENAME TABLE a TO b.c, d TO e":    fmt.Sprint(RenameTable, ".a", 4),
		"TRUNCATE x":                       fmt.Sprint(TruncateTable, ".x", 1),
		"CREATE UNIQUE INDEX i ON d.t (a)": fmt.Sprint(CreateIndex, "d.t", 0),
		"DROP INDEX i ON t":                fmt.Sprint(DropIndex, ".t", 0),
		"CREATE ALGORITHM=MERGE DEFINER=`a`@`b` SQL SECURITY INVOKER VIEW v AS SELECT 1": fmt.Sprint(CreateView, ".v", 0),
		"CREATE DEFINER=CURRENT_USER() PROCEDURE d.p() SELECT 1":                         fmt.Sprint(CreateRoutine, "d.p", 0),
		"CREATE SEQUENCE s START WITH 1":                                                 fmt.Sprint(CreateSequence, ".s", 0),
		"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `d` CHARACTER SET utf8":                fmt.Sprint(CreateDatabase, ".d", 0),
		"ALTER DATABASE d COLLATE utf8mb4_bin":                                           fmt.Sprint(AlterDatabase, ".d", 0),
		"GRANT ALL ON *.* TO a":                                                          fmt.Sprint(Account, ".", 0),
		"SET PASSWORD = 'a'":                                                             fmt.Sprint(Account, ".", 0),
		"SET NAMES utf8":                                                                 fmt.Sprint(Set, ".", 0),
		"(SELECT 1) UNION SELECT 2":                                                      fmt.Sprint(Query, ".", 0),
		"WITH a AS (SELECT 1) DELETE FROM b":                                             fmt.Sprint(Change, ".b", 0),
		"INSERT IGNORE INTO a.b VALUES (1)":                                              fmt.Sprint(Change, "a.b", 0),
		"CREATE TABLE a LIKE b":                                                          fmt.Sprint(CreateTable, ".a", 0),
		"FLUSH TABLES":                                                                   fmt.Sprint(Other, ".", 0),
	} {
		s := read(t, text, MySQL)[0]
		if got := fmt.Sprint(s.Kind, s.Schema+"."+s.Name, len(s.Names)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestShowCreate(t *testing.T) {
	mysql := "CREATE TABLE `a` (\n  `id` bigint unsigned NOT NULL AUTO_INCREMENT,\n  `n` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT _utf8mb4'x',\n  `h` int GENERATED ALWAYS AS ((`id` * 2)) STORED /*!80023 INVISIBLE */,\n" +
		"  `g` geometry NOT NULL /*!80003 SRID 4326 */,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` ((lower(`n`))) /*!80000 INVISIBLE */,\n  CONSTRAINT `c` CHECK ((`id` > 0)) /*!80016 NOT ENFORCED */\n" +
		") ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci\n/*!50100 PARTITION BY RANGE (`id`)\n(PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB) */"
	s := read(t, mysql, MySQL)[0]
	if d := s.Table; len(d.Columns) != 4 || len(d.Keys) != 2 || len(d.Checks) != 1 || len(d.Options) != 4 || d.Partition == 0 || d.PartitionEnd != len(s.Tokens) || !d.Checks[0].NotEnforced ||
		!d.Keys[1].Invisible || !d.Columns[2].Invisible || s.Between(d.Columns[1].Default) != "_utf8mb4'x'" || s.End != len(mysql) {
		t.Errorf("%+v", *d)
	}
	maria := "CREATE TABLE `a` (\n  `id` uuid NOT NULL DEFAULT uuid(),\n  `n` int(11) DEFAULT nextval(`d`.`s`),\n  `j` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`j`)),\n" +
		"  `z` varchar(9) /*M!100301 COMPRESSED*/ DEFAULT 'it''s',\n  `rs` timestamp(6) GENERATED ALWAYS AS ROW START,\n  `re` timestamp(6) GENERATED ALWAYS AS ROW END,\n  PRIMARY KEY (`id`,`re`),\n  KEY `k` (`n`) IGNORED,\n" +
		"  PERIOD FOR SYSTEM_TIME (`rs`, `re`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_uca1400_ai_ci `ENCRYPTED`=YES WITH SYSTEM VERSIONING"
	s = read(t, maria, MariaDB)[0]
	if d := s.Table; len(d.Columns) != 6 || len(d.Keys) != 2 || len(d.Columns[2].Checks) != 1 || len(d.Options) != 5 || len(d.Periods) != 1 || !d.Keys[1].Invisible ||
		s.Between(d.Columns[0].Default) != "uuid()" || s.Between(d.Columns[1].Default) != "nextval(`d`.`s`)" || d.Columns[3].Rest == nil || d.Columns[3].Type != "VARCHAR" || s.Between(d.Columns[3].Default) != "'it''s'" {
		t.Errorf("%+v", *d)
	}
}

// Every migration of ours is of statements that are understood whole.
func TestOwnMigrations(t *testing.T) {
	files, err := filepath.Glob("../../../migrations/sql/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	known := []Kind{CreateTable, AlterTable, DropTable, RenameTable, CreateIndex, DropIndex, CreateTrigger, CreateView, Change}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sts := read(t, string(text), MySQL)
		made := 0
		for i := range sts {
			s := &sts[i]
			if !slices.Contains(known, s.Kind) && !strings.HasPrefix(string(text[s.Start:s.End]), "DROP VIEW") || s.Name == "" {
				t.Errorf("%s: %d %q: %s", name, s.Kind, s.Name, text[s.Start:s.End])
			}
			if s.Kind == CreateTable {
				made++
				for _, c := range s.Table.Columns {
					if c.Type == "" || len(c.Rest) > 0 {
						t.Errorf("%s: column %+v", name, c)
					}
				}
				if len(s.Table.Options) != 3 {
					t.Errorf("%s: options %+v", name, s.Table.Options)
				}
			}
			for _, c := range s.Clauses {
				if c.Verb == OtherClause {
					t.Errorf("%s: clause %s", name, s.Between(c.At))
				}
			}
		}
		if want := strings.Count(string(text), "CREATE TABLE"); made != want || len(sts) == 0 {
			t.Errorf("%s: %d of %d tables", name, made, want)
		}
	}
}

func TestReadAtTheSameTime(t *testing.T) {
	f := NewFile("", splits[4].text)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := range Read(f, MySQL, false) {
				f.At(i)
			}
			f.Comments()
		})
	}
	wait.Wait()
}

func FuzzRead(f *testing.F) {
	for _, s := range splits {
		f.Add(s.text, true)
	}
	for _, s := range []string{"CREATE TABLE t (a INT DEFAULT", "ALTER TABLE t ADD (", "CREATE INDEX i ON", "/*!", "/*!50000 a /*! b */ */ c", "@", "@@", "$$", "1e", "'\\", "DELIMITER ", "delimiter\n;", "x'", "CREATE", "ALTER TABLE t WAIT",
		"CREATE TABLE t (PERIOD FOR", "CREATE TABLE t (a INT SRID", "ALTER TABLE t , ) x", "DELIMITER ''\na''b", "CREATE FUNCTION f() RETURNS INT AS $a$ x $a$", "ALTER TABLE t ORDER", "CREATE TABLE t (a b.", "CREATE TABLE t (a b.c"} {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, quotes bool) {
		file := NewFile("", text)
		for _, d := range []Dialect{MySQL, MariaDB} {
			sound(t, text, Read(file, d, quotes), quotes)
		}
		file.Comments()
	})
}

func BenchmarkRead(b *testing.B) {
	var table strings.Builder
	table.WriteString("CREATE TABLE `t` (\n  `id` bigint unsigned NOT NULL AUTO_INCREMENT,\n")
	for i := range 19 {
		fmt.Fprintf(&table, "  `column_%d` varchar(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '' COMMENT 'what it is',\n", i)
	}
	table.WriteString("  PRIMARY KEY (`id`),\n  KEY `k` (`column_1`,`column_2`(10))\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n")
	text := strings.Repeat(table.String(), 2) // of each of 500 files
	b.SetBytes(int64(500 * len(text)))
	for b.Loop() {
		for range 500 {
			if n := len(Read(NewFile("", text), MySQL, false)); n != 2 {
				b.Fatal(n)
			}
		}
	}
}

func TestWordsBetween(t *testing.T) {
	s := &read(t, "ALTER TABLE a ADD INDEX IF NOT EXISTS i (b)", MariaDB)[0]
	if c := s.Clauses[0]; !c.IfExists || c.IfAt != 5 || c.Table.Keys[0].Name != "i" {
		t.Errorf("%+v", c)
	}
	s = &read(t, "CREATE TRIGGER a AFTER INSERT ON t FOR EACH ROW FOLLOWS b SET @a = 1", MySQL)[0]
	if !s.Tokens[s.Body].Is("SET") {
		t.Errorf("the body begins at %q", s.Tokens[s.Body].Text)
	}
	if n := len(read(t, "DELIMITER go\nSELECT gone FROM gos go SELECT 2 go", MySQL)); n != 2 {
		t.Errorf("%d statements between delimiters that are words", n)
	}
}
