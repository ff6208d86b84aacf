package normal

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

func formOf(sql string) string {
	var tokens []ddl.Token
	for _, st := range ddl.Read(ddl.NewFile("t", sql), ddl.MySQL, false) {
		tokens = append(tokens, st.Tokens...)
	}
	return names{own: "here", as: map[string]string{"there": "elsewhere"}}.form(tokens)
}

// The same expression as MySQL and as MariaDB print it has one form.
func TestBothPrintsOfAnExpressionHaveOneForm(t *testing.T) {
	for _, pair := range [][2]string{
		{"(((`a` + `b`) * 2) > 1)", "(`a` + `b`) * 2 > 1"},
		{"((`a` = 1) and (`b` = 2) and (`c` = 3))", "`a` = 1 and (`b` = 2 and `c` = 3)"},
		{"((`a` = 1) or ((`b` = 2) and (`c` = 3)))", "`a` = 1 or `b` = 2 and `c` = 3"},
		{"(not((`a` like _utf8mb4'x%')))", "`a` not like 'x%'"},
		{"(`a` <> 1)", "!(`a` = 1)"},
		{"(not((`a` in (1,2))))", "`a` not in (1,2)"},
		{"regexp_like(`a`,_utf8mb4'^x')", "`a` regexp '^x'"},
		{"lower(`a`)", "LCASE(`a`)"},
		{"substr(`a`,1,2)", "mid(`a`, 1, 2)"},
		{"(`a` % 3)", "`a` MOD 3"},
		{"(`a` % 3)", "mod(`a`,3)"},
		{"now()", "current_timestamp()"},
		{"CURRENT_TIMESTAMP(6)", "current_timestamp(6)"},
		{"curdate()", "CURRENT_DATE"},
		{"(`d` + interval 1 day)", "DATE_ADD(`d`, INTERVAL 1 DAY)"},
		{"(case when (`a` > 0) then 'x' else 'y' end)", "case when `a` > 0 then 'x' else 'y' end"},
		{"(0 <> `a`) and (`b` = 1)", "`a` and `b` = 1"},
		{"cast(`a` as char charset utf8mb3)", "CAST(`a` AS char charset utf8)"},
		{"`here`.`t`.`a`", "`t`.`a`"},
		{"`there`.`t`.`a`", "`elsewhere`.`t`.`a`"},
		{"json_unquote(json_extract(`j`,_utf8mb4'$.a'))", "`j`->>'$.a'"},
		{"(`a` between 1 and (2 + 3))", "`a` between 1 and 2 + 3"},
		{"((`a` is null) = 1)", "(`a` is null) = 1"},
		{"-(`a`)", "-`a`"},
		{"1.50", "1.5"},
		{"(`a` << (1 + 2))", "`a` << 1 + 2"},
		{"(`a` | (`b` & (`c` ^ 1)))", "`a` | `b` & `c` ^ 1"},
		{"exists(select 1 from `t`)", "exists(select 1 from `t` limit 1)"},
		{"(`a` collate utf8mb3_bin)", "`a` collate utf8_bin"},
	} {
		if a, b := formOf(pair[0]), formOf(pair[1]); a != b {
			t.Errorf("%s\n\t%s\n%s\n\t%s", pair[0], a, pair[1], b)
		}
	}
}

// What is not the same has two forms.
func TestExpressionsThatDifferHaveTwoForms(t *testing.T) {
	for _, pair := range [][2]string{
		{"(a + b) * 2", "a + b * 2"},
		{"a - (b - c)", "a - b - c"},
		{"a = 1 or b = 2 and c = 3", "(a = 1 or b = 2) and c = 3"},
		{"not a = b", "not (a) = c"},
		{"a in (1, 2)", "a in (1, 3)"},
		{"a like 'x'", "a like 'X'"},
		{"a > 1", "a >= 1"},
		{"a is null", "a is not null"},
		{"'a'", "a"},
		{"f(a, b)", "f(b, a)"},
		{"case when a then b end", "case when a then b else c end"},
		{"interval 1 day", "interval 1 hour"},
		{"`A`", "`a`"},
		{"there.a.b", "there.a.c"},
		{"a between 1 and 2", "a between 2 and 1"},
		{"count(distinct a)", "count(a)"},
		{"select a from t order by a", "select a from t order by a desc"},
		{"select a from t join u on t.a = u.a", "select a from t left join u on t.a = u.a"},
		{"x'41' = 'B'", "'A' = 'C'"},
		{"a)", "a"},
		{"1", "-1"},
		{"a collate x", "a collate y"},
		{"((a)) b", "a c"},
	} {
		if a, b := formOf(pair[0]), formOf(pair[1]); a == b {
			t.Errorf("%s and %s are both %s", pair[0], pair[1], a)
		}
	}
}

// Numbers and strings have one spelling within a column of their type.
func TestDefaultsHaveOneSpelling(t *testing.T) {
	for _, x := range []struct{ kind, a, b string }{
		{"int", "'1'", "1"}, {"int", "'-3'", "-3"}, {"decimal(6,2)", "'1.50'", "1.5"}, {"double", "'1e3'", "1000"}, {"float", "'0.10'", "0.1"},
		{"bit(8)", "b'00000101'", "5"}, {"bit(8)", "b'0'", "0"}, {"varchar(9)", "5", "'5'"}, {"year", "'1999'", "1999"}, {"bigint", "'0'", "0"},
	} {
		c := &column{kind: x.kind}
		a, ok := literal(c, formOf(x.a))
		if b, also := literal(c, formOf(x.b)); a != b || !ok || !also {
			t.Errorf("%s: %s is %s, %s is %s", x.kind, x.a, a, x.b, b)
		}
	}
}

// A server of before 8.0, or a MariaDB of before its dumps named collations, leaves the default of its own time out.
func TestACollationThatIsNotShownIsTheServersDefault(t *testing.T) {
	for _, x := range []struct {
		flavor             server.Flavor
		version, sql, want string
	}{
		{server.MySQL, "8.0.36", "utf8mb4", "utf8mb4_0900_ai_ci"},
		{server.MySQL, "5.7.44", "utf8mb4", "utf8mb4_general_ci"},
		{server.MariaDB, "10.4.1-MariaDB", "utf8mb4", "utf8mb4_general_ci"},
		{server.MySQL, "8.0.36", "utf8", "utf8mb3_general_ci"},
		{server.MySQL, "8.0.36", "latin1", "latin1_swedish_ci"},
		{server.MariaDB, "10.4.1-MariaDB", "gbk", "gbk_chinese_ci"},
	} {
		o := Object{Kind: "table", Schema: "d", Name: "t", SQL: "CREATE TABLE `t` (`a` char(1) CHARACTER SET " + x.sql + ") ENGINE=InnoDB DEFAULT CHARSET=" + x.sql}
		s := Read(&Server{Flavor: x.flavor, Version: x.version, Objects: []Object{o}}, nil)
		if got := s.tables["table d.t"]; got.collation != x.want || got.columns[0].collation != x.want {
			t.Errorf("%s %s: %s is %s", x.flavor, x.version, x.sql, got.collation)
		}
	}
}

// Whatever a text is, it is read to its end, in time, without a panic; and it is the same as itself.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"CREATE TABLE `t` (`a` int DEFAULT (1 + 2), KEY `k` (`a`), CONSTRAINT `c` CHECK ((`a` > 1))) ENGINE=InnoDB\n/*!50100 PARTITION BY HASH (`a`) */",
		"CREATE VIEW `v` (`x`) AS select `a`.`b` AS `b` from (`t` `a` join `u` on(`a`.`b` between 1 and 2)) where not exists(select 1 limit 1)",
		"CREATE FUNCTION `f`(n INT(11)) RETURNS varchar(9) CHARSET latin1 DETERMINISTIC COMMENT 'x' BEGIN CASE n WHEN 1 THEN RETURN 'a'; END CASE; END",
		"CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01' ON COMPLETION PRESERVE DISABLE ON SLAVE COMMENT 'x' DO SET @a = -(1)",
		"CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW FOLLOWS y SET NEW.a = match (a, b) against ('x' in boolean mode) over (w)",
		"a between a between not like - ~ ! binary interval ((", "case when then ( end", "x'4", "_utf8mb4", "n'x' -> ->> collate is member of .5e .", "match against (",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		formOf(s)
		for _, flavor := range []server.Flavor{server.MySQL, server.MariaDB} {
			for _, kind := range []string{"table", "view", "function", "trigger", "event", "sequence"} {
				o := Object{Kind: kind, Schema: "d", Name: "o", SQL: s, Columns: []Facts{{Name: "a", Type: s, Generation: s}}}
				x := Read(&Server{Flavor: flavor, Objects: []Object{o}}, nil)
				for _, d := range Compare(x, x) {
					if d.Rule != "DIF1115" {
						t.Errorf("differs from itself: %+v", d)
					}
				}
			}
		}
	})
}

// An expression that is very deep, or of many tokens that fit nowhere, takes no long time and no stack.
func TestOddTextsAreReadInTime(t *testing.T) {
	for _, s := range []string{"(", "a between ", "not ", "- ", "case when ", "f(", "a like ", "interval ", "binary ", "a in (", "a + ("} {
		formOf(strings.Repeat(s, 20_000))
	}
}

// BenchmarkCompare is the whole way for a thousand tables: both sides read, checked against information_schema's
// words for them, and compared.
func BenchmarkCompare(b *testing.B) {
	const columns = 20
	side := func(flavor server.Flavor) *Server {
		s := &Server{Flavor: flavor, Version: "9.7.0"}
		for i := range 1000 {
			o := Object{Kind: "table", Schema: "d", Name: fmt.Sprint("t", i), Collation: "utf8mb4_bin", Engine: "InnoDB"}
			o.SQL = "CREATE TABLE `" + o.Name + "` (\n"
			for j := range columns {
				o.SQL += fmt.Sprintf("  `c%d` varchar(20) COLLATE utf8mb4_bin NOT NULL DEFAULT 'x' COMMENT 'a column',\n", j)
				o.Columns = append(o.Columns, Facts{Name: fmt.Sprint("c", j), Type: "varchar(20)", Collation: "utf8mb4_bin", Default: sql.NullString{String: map[server.Flavor]string{server.MySQL: "x", server.MariaDB: "'x'"}[flavor], Valid: true}})
			}
			o.SQL += "  PRIMARY KEY (`c0`),\n  KEY `k` (`c1`,`c2`),\n  CONSTRAINT `k` CHECK (((`c1` > 1) and (`c2` < 2)))\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
			s.Objects = append(s.Objects, o)
		}
		return s
	}
	x, y := side(server.MySQL), side(server.MariaDB)
	for b.Loop() {
		if d := Compare(Read(x, nil), Read(y, nil)); len(d) > 0 {
			b.Fatal(d[0])
		}
	}
}
