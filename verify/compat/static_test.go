package compat

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// rulesOf are the rules that find something, with the severities of what they find: "TYP301 error".
func rulesOf(r *Report) map[string]bool {
	rules := map[string]bool{}
	for _, f := range r.Findings {
		rules[f.Rule+" "+string(f.Severity)] = true
	}
	return rules
}

func toVersion(version string) func(*Options) {
	return func(o *Options) { o.To.Version = version }
}

func TestWhatIsNewerThanTheTargetIsSaid(t *testing.T) {
	for _, x := range []struct{ sql, before, since string }{
		{"SELECT 1 INTERSECT SELECT 1", "8.0.30", "8.0.31"},
		{"(SELECT 1) EXCEPT ALL (SELECT 2)", "8.0.28", "8.0.31"},
		{"CREATE TRIGGER IF NOT EXISTS a BEFORE INSERT ON b FOR EACH ROW SET NEW.c = 1", "8.0.28", "8.0.29"},
		{"CREATE FUNCTION IF NOT EXISTS a() RETURNS INT DETERMINISTIC RETURN 1", "8.0.28", "8.0.29"},
		{"ALTER TABLE a DROP COLUMN b, ALGORITHM=INSTANT", "8.0.28", "8.0.29"},
		{"ALTER TABLE a ADD COLUMN b INT FIRST, ALGORITHM=INSTANT", "8.0.28", "8.0.29"},
		{"CREATE TABLE a (b VECTOR(3))", "8.4.4", "9.0.0"},
		{"SELECT VECTOR_DIM(a) FROM b", "8.4.4", "9.0.0"},
		{"CREATE VIEW IF NOT EXISTS a AS SELECT 1", "9.0.1", "9.1.0"},
		{"CREATE LIBRARY a LANGUAGE JAVASCRIPT AS 'x'", "9.1.0", "9.2.0"},
		{"CREATE OR REPLACE JSON DUALITY VIEW a AS SELECT 1", "9.3.0", "9.4.0"},
	} {
		if !rulesOf(check(t, text("x.sql", x.sql), toVersion(x.before)))["AUR114 error"] {
			t.Errorf("nothing is said of %s to %s", x.sql, x.before)
		}
		if rulesOf(check(t, text("x.sql", x.sql), toVersion(x.since)))["AUR114 error"] {
			t.Errorf("%s is said to be newer than %s", x.sql, x.since)
		}
	}
	for _, sql := range []string{
		"SELECT intersect FROM a", "SELECT a.except, 1", "SELECT 1 except", "CREATE EVENT IF NOT EXISTS a ON SCHEDULE EVERY 1 DAY DO SELECT 1",
		"ALTER TABLE a ADD COLUMN b INT, ALGORITHM=INSTANT", "ALTER TABLE a DROP COLUMN b, ALGORITHM=INPLACE", "CREATE TABLE IF NOT EXISTS a (vector INT)",
	} {
		if rulesOf(check(t, text("x.sql", sql), toVersion("8.0.23")))["AUR114 error"] {
			t.Errorf("%s is said to be newer than 8.0.23", sql)
		}
	}
}

// What some targets only warn of, later ones refuse.
func TestLaterTargetsRefuseMore(t *testing.T) {
	for rule, sql := range map[string]string{
		"IDX507": "CREATE TABLE a (id INT, b VARCHAR(30), KEY (b(10))) PARTITION BY KEY (b)",
		"TYP306": "CREATE TABLE a (id DOUBLE AUTO_INCREMENT PRIMARY KEY)",
		"PRG713": "SHOW SLAVE STATUS",
		"FK601":  "CREATE TABLE a (id INT PRIMARY KEY, b INT, KEY (b));\nCREATE TABLE c (id INT PRIMARY KEY, b INT, FOREIGN KEY (b) REFERENCES a (b))",
	} {
		if !rulesOf(check(t, text("x.sql", sql), toVersion("8.0.39")))[rule+" warning"] {
			t.Errorf("%s does not warn of 8.0", rule)
		}
		if !rulesOf(check(t, text("x.sql", sql), toVersion("8.4.0")))[rule+" error"] {
			t.Errorf("%s does not say that 8.4 refuses it", rule)
		}
	}
	inline := "CREATE TABLE a (id BIGINT PRIMARY KEY);\nCREATE TABLE b (id INT PRIMARY KEY, a INT REFERENCES a (id))"
	if rules := rulesOf(check(t, text("x.sql", inline))); rules["FK602 error"] || !rules["MDB218 error"] {
		t.Errorf("8.0 passes over REFERENCES within a column: %v", rules)
	}
	if rules := rulesOf(check(t, text("x.sql", inline), toVersion("9.0.0"))); !rules["FK602 error"] || rules["MDB218 error"] {
		t.Errorf("9.0 makes a foreign key of it: %v", rules)
	}
	// Without columns it means the parent's primary key.
	fits, unfit := "CREATE TABLE c (id INT PRIMARY KEY, a BIGINT REFERENCES a)", "CREATE TABLE d (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES a)"
	rules := rulesOf(check(t, text("x.sql", "CREATE TABLE a (id BIGINT PRIMARY KEY);\n"+fits), toVersion("9.0.0")))
	if rules["FK601 error"] || rules["FK602 error"] {
		t.Errorf("%v", rules)
	}
	if rules = rulesOf(check(t, text("x.sql", "CREATE TABLE a (id BIGINT PRIMARY KEY);\n"+unfit), toVersion("9.0.0"))); !rules["FK602 error"] {
		t.Errorf("%v", rules)
	}
	conn := scratch(t, stock(t))
	for _, x := range []struct {
		sql  string
		want int
	}{{strings.Split(inline, ";\n")[0], 0}, {strings.Split(inline, ";\n")[1], 3780}, {fits, 0}, {unfit, 3780}} {
		if got, err := answerTo(t, conn, x.sql); got != x.want {
			t.Errorf("9.7 answers with %v", err)
		}
	}
}

// What depends on the source is said by what the source is.
func TestRulesGoByTheSource(t *testing.T) {
	from := func(flavor server.Flavor, version string, variables ...string) func(*Options) {
		p := &Picture{Flavor: flavor, Version: version, Variables: map[string]string{}}
		for _, v := range variables {
			name, value, _ := strings.Cut(v, "=")
			p.Variables[name] = value
		}
		return func(o *Options) { o.From, o.Source = flavor, p }
	}
	nobody := func(*Options) {}
	const (
		timestamp = "CREATE TABLE a (id INT PRIMARY KEY, t TIMESTAMP NOT NULL)"
		nullable  = "CREATE TABLE a (id INT PRIMARY KEY, t TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"
		down      = "CREATE TABLE a (id INT PRIMARY KEY, b INT, KEY (b DESC))"
		group     = "CREATE VIEW a AS SELECT b FROM c GROUP BY b"
		constrain = "CREATE TABLE a (id INT PRIMARY KEY, CHECK (id > 0))"
	)
	for _, x := range []struct {
		sql  string
		from func(*Options)
		want string // a rule with its severity; "!TYP301": nothing of it
	}{
		{timestamp, nobody, "TYP301 warning"},
		{timestamp, from(server.MariaDB, "10.6.1-MariaDB", "explicit_defaults_for_timestamp=OFF"), "TYP301 error"},
		{timestamp, from(server.MariaDB, "10.11.1-MariaDB", "explicit_defaults_for_timestamp=ON"), "!TYP301"},
		{nullable, nobody, "TYP301 info"},
		{nullable, from(server.MySQL, "5.7.44", "explicit_defaults_for_timestamp=OFF"), "TYP301 error"},
		{down, nobody, "IDX506 info"},
		{down, from(server.MariaDB, "10.7.8-MariaDB"), "IDX506 info"},
		{down, from(server.MariaDB, "10.8.1-MariaDB"), "!IDX506"},
		{down, from(server.MySQL, "8.0.36"), "!IDX506"},
		{group, nobody, "PRG709 info"},
		{group, from(server.MySQL, "5.7.44-log"), "PRG709 warning"},
		{group, from(server.MySQL, "8.0.36"), "!PRG709"},
		{constrain, from(server.MySQL, "5.7.44"), "TYP313 warning"},
		{constrain, from(server.MySQL, "8.0.16"), "!TYP313"},
		{constrain, from(server.MariaDB, "10.11.1-MariaDB", "check_constraint_checks=OFF"), "TYP313 warning"},
		{constrain, from(server.MariaDB, "10.11.1-MariaDB", "check_constraint_checks=ON"), "!TYP313"},
	} {
		rules := rulesOf(check(t, text("x.sql", x.sql), x.from))
		if not, ok := strings.CutPrefix(x.want, "!"); ok {
			for _, s := range []Severity{Error, Warning, Info} {
				if rules[not+" "+string(s)] {
					t.Errorf("%s: %v", x.sql, rules)
				}
			}
		} else if !rules[x.want] {
			t.Errorf("%s: %v, not %s", x.sql, rules, x.want)
		}
	}
}

// What a setting of the target decides is said by it, where it is known.
func TestRulesGoByTheTargetsSettings(t *testing.T) {
	const (
		function = "CREATE FUNCTION a() RETURNS INT RETURN 1"
		zero     = "CREATE TABLE a (id INT PRIMARY KEY, d DATE DEFAULT '0000-00-00')"
		parent   = "CREATE TABLE a (id INT PRIMARY KEY, b INT, KEY (b));\nCREATE TABLE c (id INT PRIMARY KEY, b INT, FOREIGN KEY (b) REFERENCES a (b))"
		text4    = "CREATE TABLE a (id VARCHAR(9) CHARACTER SET utf8mb4 PRIMARY KEY);\nCREATE TABLE b (id VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY, FOREIGN KEY (id) REFERENCES a (id))"
	)
	for _, x := range []struct{ sql, name, value, want string }{
		{function, "log_bin_trust_function_creators", "OFF", "PRG702 error"},
		{function, "log_bin_trust_function_creators", "ON", "!PRG702"},
		{zero, "sql_mode", "", "TYP303 warning"},
		{zero, "sql_mode", "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE", "TYP303 error"},
		{parent, "restrict_fk_on_non_standard_key", "ON", "FK601 error"},
		{parent, "restrict_fk_on_non_standard_key", "OFF", "FK601 warning"},
		{text4, "default_collation_for_utf8mb4", "utf8mb4_0900_ai_ci", "CHS407 error"},
		{text4, "default_collation_for_utf8mb4", "utf8mb4_general_ci", "!CHS407"},
	} {
		rules := rulesOf(check(t, text("x.sql", x.sql), toVersion("8.4.0"), func(o *Options) { o.To.Variables = map[string]string{x.name: x.value} }))
		if not, ok := strings.CutPrefix(x.want, "!"); ok && (rules[not+" error"] || rules[not+" warning"]) || !ok && !rules[x.want] {
			t.Errorf("with %s=%s: %v, not %s", x.name, x.value, rules, x.want)
		}
	}
}

// A server that has explicit_defaults_for_timestamp=OFF makes of a plain TIMESTAMP what the target does not.
func TestServersDifferAboutAPlainTimestamp(t *testing.T) {
	made := func(server *sandboxtest.Server, statements ...string) (definition string) {
		conn := scratch(t, server)
		for _, s := range append(statements, "CREATE TABLE a (id INT PRIMARY KEY, t TIMESTAMP NOT NULL)") {
			if _, err := answerTo(t, conn, s); err != nil {
				t.Fatal(err)
			}
		}
		var name string
		if err := conn.QueryRowContext(t.Context(), "SHOW CREATE TABLE a").Scan(&name, &definition); err != nil {
			t.Fatal(err)
		}
		return strings.ToUpper(definition)
	}
	if d := made(sandboxtest.MariaDBSource(t), "SET explicit_defaults_for_timestamp = OFF"); !strings.Contains(d, "ON UPDATE") {
		t.Errorf("a MariaDB makes %s", d)
	}
	if d := made(stock(t)); strings.Contains(d, "ON UPDATE") || strings.Contains(d, "DEFAULT CURRENT") {
		t.Errorf("a MySQL makes %s", d)
	}
}

// MIG1010 says of a clause that nobody writes meanwhile just if the server refuses to do it with LOCK=NONE.
func TestAServerBlocksWritersWhereTheRuleSaysSo(t *testing.T) {
	conn := scratch(t, stock(t))
	const table = `CREATE TABLE a (id INT NOT NULL PRIMARY KEY, v VARCHAR(50) CHARACTER SET latin1, w VARCHAR(50), i INT NOT NULL, e ENUM('a','b'), d DECIMAL(5,2),
		t DATETIME, b VARBINARY(10), s SET('a','b'), k INT, f FLOAT, x TEXT, KEY k (k), KEY w (w)) CHARSET=utf8mb4`
	for _, clause := range []string{
		"ADD n INT", "ADD n INT NOT NULL DEFAULT 1 FIRST", "ADD n INT AS (i + 1)", "ADD n INT AS (i + 1) STORED", "ADD KEY n (i)", "ADD UNIQUE KEY n (k)",
		"ADD FULLTEXT KEY n (x)", "ADD CONSTRAINT n CHECK (i > 0)", "ADD CONSTRAINT n FOREIGN KEY (k) REFERENCES a (id)", "ADD n INT NOT NULL AUTO_INCREMENT UNIQUE",
		"DROP COLUMN t", "DROP KEY k", "DROP PRIMARY KEY", "DROP PRIMARY KEY, ADD PRIMARY KEY (id, i)", "RENAME COLUMN v TO vv", "RENAME KEY k TO kk",
		"MODIFY v VARCHAR(60) CHARACTER SET latin1", "MODIFY v VARCHAR(40) CHARACTER SET latin1", "MODIFY v VARCHAR(256) CHARACTER SET latin1", "MODIFY v VARCHAR(255) CHARACTER SET latin1",
		"MODIFY w VARCHAR(63)", "MODIFY w VARCHAR(64)", "MODIFY v VARCHAR(50)", "MODIFY w VARCHAR(50) COLLATE utf8mb4_bin", "MODIFY b VARBINARY(20)", "MODIFY b VARBINARY(300)",
		"MODIFY i BIGINT NOT NULL", "MODIFY i INT", "MODIFY i INT UNSIGNED NOT NULL", "MODIFY k INT NOT NULL", "MODIFY i INT NOT NULL DEFAULT 5", "MODIFY i INT NOT NULL AFTER id",
		"MODIFY e ENUM('a','b','c')", "MODIFY e ENUM('b','a')", "MODIFY e ENUM('a')", "MODIFY s SET('a','b','c')", "MODIFY s SET('b')", "MODIFY d DECIMAL(6,2)", "MODIFY d DECIMAL(5,2) NOT NULL",
		"MODIFY t DATETIME(6)", "MODIFY t TIMESTAMP NULL", "MODIFY x MEDIUMTEXT", "MODIFY f DOUBLE", "CHANGE i j INT NOT NULL", "CHANGE i j BIGINT NOT NULL", "ALTER COLUMN i SET DEFAULT 7",
		"CONVERT TO CHARACTER SET utf8mb3", "ENGINE = InnoDB", "ROW_FORMAT = COMPACT", "COMMENT = 'x'", "PARTITION BY HASH (id) PARTITIONS 2", "ADD KEY n (i), ADD m INT",
	} {
		if _, err := answerTo(t, conn, "DROP TABLE IF EXISTS a"); err != nil {
			t.Fatal(err)
		}
		if _, err := answerTo(t, conn, table); err != nil {
			t.Fatal(err)
		}
		locked := ", LOCK=NONE"
		if strings.HasPrefix(clause, "PARTITION") {
			locked = ""
			clause = "LOCK=NONE " + clause
		}
		n, err := answerTo(t, conn, "ALTER TABLE a "+clause+locked)
		r := check(t, folder(t, map[string]string{"1_a.up.sql": table, "2_b.up.sql": "ALTER TABLE a " + strings.TrimPrefix(clause, "LOCK=NONE ")}))
		if said := rulesOf(r)["MIG1010 warning"]; said != (n == 1845 || n == 1846) {
			t.Errorf("%s: said %v, and the server answers %v", clause, said, err)
		}
	}
}

// The server refuses each function that the rules name in generated columns and CHECKs.
func TestAServerRefusesWhatIsNotTheSameEachTime(t *testing.T) {
	conn := scratch(t, stock(t))
	for i, name := range changing {
		call := name + "()"
		for _, args := range []string{"", "1", "1, 1", "'a', 1, 1"} {
			call = name + "(" + args + ")"
			if n, _ := answerTo(t, conn, "SELECT "+call); n != 1064 && n != 1582 {
				break
			}
		}
		if n, err := answerTo(t, conn, fmt.Sprintf("CREATE TABLE g%d (id INT PRIMARY KEY, a VARCHAR(200) AS (%s))", i, call)); n != 3763 && n != 1064 && n != 1582 {
			t.Errorf("%s in a generated column is answered with %v", call, err)
		}
		n, err := answerTo(t, conn, fmt.Sprintf("CREATE TABLE c%d (id INT PRIMARY KEY, a VARCHAR(200), CHECK (a <> %s))", i, call))
		if n != 3814 && n != 1064 && n != 1582 && !slices.Contains(inChecks, name) {
			t.Errorf("%s in a CHECK is answered with %v", call, err)
		}
	}
	for _, words := range gone {
		statement := strings.ReplaceAll(strings.ReplaceAll(strings.Join(words, " "), "MASTER|", ""), "START|", "")
		statement = strings.ReplaceAll(statement, "LOCAL|", "") + " STATUS"
		if n, err := answerTo(t, conn, statement); n != 1064 {
			t.Errorf("%s is answered with %v", statement, err)
		}
	}
}

// What the rules call PCRE's own, a MySQL refuses, or does not read so; a MariaDB takes it.
func TestServersDifferAboutRegularExpressions(t *testing.T) {
	target, source := scratch(t, stock(t)), scratch(t, sandboxtest.MariaDBSource(t))
	for part, pattern := range map[string]string{"(?P<": "(?P<n>a)", "(?P=": "(?P<n>a)(?P=n)?", "(?P>": "(?P<n>a)(?P>n)?", "(?R)": "a(?R)?", "(?&": "(?<n>a)(?&n)?", "(?(": "(a)(?(1)b|c)?", "(?|": "(?|(a)|(b))",
		"(?1)": "(a)(?1)?", "(?2)": "(a)(b)?(?2)?", "(*": "(*UTF8)a", "{,": "a{,3}", "[[:<:]]": "[[:<:]]a", "[[:>:]]": "a[[:>:]]"} {
		if !slices.Contains(perlOnly, part) {
			t.Errorf("no rule means %s", part)
		}
		statement := "SELECT 'a' REGEXP '" + pattern + "'"
		if !rulesOf(check(t, text("x.sql", statement)))["MDB216 warning"] {
			t.Errorf("nothing is said of %s", statement)
		}
		if n, _ := answerTo(t, target, statement); n < 3685 || n > 3700 {
			t.Errorf("a MySQL answers %d to %s", n, statement)
		}
		if _, err := answerTo(t, source, statement); err != nil {
			t.Errorf("a MariaDB answers to %s with %v", statement, err)
		}
	}
	for _, statement := range []string{`SELECT 'aa' REGEXP '^(a)\\g{1}$'`, `SELECT REGEXP_REPLACE('ab', 'a\\Kb', 'x') = 'ax'`} {
		if !rulesOf(check(t, text("x.sql", statement)))["MDB216 warning"] {
			t.Errorf("nothing is said of %s", statement)
		}
		for conn, want := range map[*sql.Conn]bool{target: false, source: true} {
			var matches bool
			if err := conn.QueryRowContext(t.Context(), statement).Scan(&matches); err != nil || matches != want {
				t.Errorf("%s is %v, %v", statement, matches, err)
			}
		}
	}
}

// A thousand and more columns are counted as InnoDB counts them: virtual ones too.
func TestColumnsAreCountedAsTheServerDoes(t *testing.T) {
	conn := scratch(t, stock(t))
	for n, refused := range map[int]bool{1015: false, 1016: true} {
		var b strings.Builder
		fmt.Fprintf(&b, "CREATE TABLE a%d (id INT PRIMARY KEY, v INT AS (id)", n)
		for i := range n {
			fmt.Fprintf(&b, ", c%d TINYINT", i)
		}
		b.WriteString(")")
		if got, err := answerTo(t, conn, b.String()); (got == 1117) != refused {
			t.Errorf("%d columns are answered with %v", n+2, err)
		}
		if rulesOf(check(t, text("x.sql", b.String())))["IDX503 error"] != refused {
			t.Errorf("%d columns: it is said otherwise", n+2)
		}
	}
}

// Whether a row is too long is said as the server says it, of any columns.
func TestRowsAreMeasuredAsTheServerDoes(t *testing.T) {
	conn := scratch(t, stock(t))
	random := rand.New(rand.NewPCG(1, 2))
	types := []func() string{
		func() string { return fmt.Sprintf("VARCHAR(%d)", 1+random.IntN(4000)) },
		func() string { return fmt.Sprintf("VARCHAR(%d) CHARACTER SET latin1", 1+random.IntN(20000)) },
		func() string { return fmt.Sprintf("CHAR(%d) CHARACTER SET utf8mb4", 1+random.IntN(255)) },
		func() string { return fmt.Sprintf("CHAR(%d) CHARACTER SET ascii", 1+random.IntN(255)) },
		func() string { return fmt.Sprintf("BINARY(%d)", 1+random.IntN(255)) },
		func() string { return fmt.Sprintf("VARBINARY(%d)", 1+random.IntN(300)) },
		func() string { return fmt.Sprintf("DECIMAL(%d,%d)", 31+random.IntN(35), random.IntN(30)) },
		func() string {
			return []string{"INT", "BIGINT", "DATETIME(3)", "TIMESTAMP(6)", "TIME", "DATE", "DOUBLE", "TEXT", "MEDIUMBLOB", "JSON", "TINYTEXT", "BIT(17)", "ENUM('a','b')", "SET('a','b')", "YEAR", "POINT"}[random.IntN(16)]
		},
	}
	long := 0
	for i := range 150 {
		var b strings.Builder
		fmt.Fprintf(&b, "CREATE TABLE a%d (id INT PRIMARY KEY", i)
		for c := range 1 + random.IntN(60) {
			fmt.Fprintf(&b, ", c%d %s%s", c, types[random.IntN(len(types))](), []string{"", " NOT NULL"}[random.IntN(2)])
		}
		b.WriteString(") DEFAULT CHARSET=utf8mb4")
		_, err := answerTo(t, conn, b.String())
		whole, inPage := err != nil && strings.Contains(err.Error(), "maximum row size"), err != nil && strings.Contains(err.Error(), "(> 8126)")
		if err != nil && !whole && !inPage {
			t.Fatal(err)
		}
		rules := rulesOf(check(t, text("x.sql", b.String())))
		if rules["IDX504 error"] != whole || rules["IDX504 warning"] != inPage {
			t.Errorf("the server answers %v, and %v is said:\n%s", err, rules, b.String())
		}
		long += btoi(whole || inPage)
	}
	if long < 20 || long > 130 {
		t.Errorf("%d of 150 are too long: they show little", long)
	}
}

// Whether a key is too long is said as the server says it.
func TestKeysAreMeasuredAsTheServerDoes(t *testing.T) {
	conn := scratch(t, stock(t))
	random := rand.New(rand.NewPCG(3, 4))
	types := []func() string{
		func() string { return fmt.Sprintf("VARCHAR(%d)", 1+random.IntN(500)) },
		func() string { return fmt.Sprintf("VARCHAR(%d) CHARACTER SET latin1", 1+random.IntN(1500)) },
		func() string { return fmt.Sprintf("CHAR(%d)", 1+random.IntN(255)) },
		func() string { return fmt.Sprintf("VARBINARY(%d)", 1+random.IntN(1500)) },
		func() string {
			return []string{"INT", "BIGINT", "DATETIME(3)", "DECIMAL(20,6)", "DATE", "DOUBLE", "BINARY(16)", "ENUM('a','b')"}[random.IntN(8)]
		},
	}
	long := 0
	for i := range 150 {
		var columns, parts []string
		for c := range 1 + random.IntN(6) {
			columns = append(columns, fmt.Sprintf("c%d %s NOT NULL", c, types[random.IntN(len(types))]()))
			parts = append(parts, fmt.Sprintf("c%d", c))
		}
		sql := fmt.Sprintf("CREATE TABLE a%d (id INT PRIMARY KEY, %s, KEY k (%s)) DEFAULT CHARSET=utf8mb4 ROW_FORMAT=%s", i, strings.Join(columns, ", "), strings.Join(parts, ", "), []string{"DYNAMIC", "COMPACT"}[random.IntN(2)])
		n, err := answerTo(t, conn, sql)
		if n != 0 && n != 1071 {
			t.Fatal(err)
		}
		if said := rulesOf(check(t, text("x.sql", sql)))["IDX502 error"]; said != (n == 1071) {
			t.Errorf("said %v, and the server answers %v:\n%s", said, err, sql)
		}
		long += btoi(n > 0)
	}
	if long < 20 || long > 130 {
		t.Errorf("%d of 150 are too long: they show little", long)
	}
}

// The schema in the end is what a server has after the same statements.
func TestTheSchemaFollowsTheStatements(t *testing.T) {
	const sql = `CREATE TABLE a (id INT PRIMARY KEY, b INT, c VARCHAR(10) CHARACTER SET latin1, KEY (b), UNIQUE KEY u (c), KEY d (c, b));
CREATE TABLE gone (id INT PRIMARY KEY);
DROP INDEX b ON a;
ALTER TABLE a RENAME KEY u TO v;
ALTER TABLE a DROP KEY v, ADD e INT;
ALTER TABLE a CONVERT TO CHARACTER SET utf8mb4;
CREATE INDEX f ON a (e);
RENAME TABLE a TO z, gone TO a;
DROP TABLE IF EXISTS a, nowhere;
ALTER TABLE z RENAME TO a;
CREATE TABLE IF NOT EXISTS a (other INT);
`
	c := &checker{ctx: t.Context(), input: text("x.sql", sql), opts: Options{To: target(t)}, state: &state{tables: map[string]*table{}}, report: &Report{}}
	if err := c.read(); err != nil {
		t.Fatal(err)
	}
	var got []string
	c.tables(func(tab *table) {
		got = append(got, tab.String())
		for i := range tab.columns {
			got = append(got, tab.columns[i].is.Name+" "+tab.charset(&tab.columns[i].is))
		}
		for _, k := range tab.keys {
			got = append(got, "key "+keyName(&k.is))
		}
	})
	want := []string{"a", "id utf8mb4", "b utf8mb4", "c utf8mb4", "e utf8mb4", "key PRIMARY", "key d", "key f"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	conn := scratch(t, stock(t))
	for _, s := range strings.SplitAfter(strings.TrimSpace(sql), ";\n") {
		if n, err := answerTo(t, conn, strings.TrimSpace(s)); n > 0 {
			t.Errorf("%s: %v", s, err)
		}
	}
	rows, err := conn.QueryContext(t.Context(), "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'a' ORDER BY INDEX_NAME = 'PRIMARY' DESC, INDEX_NAME")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var keys []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, "key "+name)
	}
	if !slices.Equal(keys, want[5:]) {
		t.Errorf("the server has %q", keys)
	}
}

// What the way down makes is small on purpose.
func TestNumbersOfTheWayDownAreLetBe(t *testing.T) {
	r := check(t, folder(t, map[string]string{"1_a.up.sql": "CREATE TABLE a (id BIGINT AUTO_INCREMENT PRIMARY KEY)", "1_a.down.sql": "CREATE TABLE b (id INT AUTO_INCREMENT PRIMARY KEY)"}))
	if rulesOf(r)["TYP316 warning"] {
		t.Errorf("%+v", r.Findings)
	}
}

// Circles of parents are found in any order of the tables, and in a time that grows with their number.
func TestCirclesOfParentsAreFound(t *testing.T) {
	key := func(a, b string) string {
		return fmt.Sprintf("ALTER TABLE %s ADD FOREIGN KEY (p) REFERENCES %s (id);\n", a, b)
	}
	var b strings.Builder
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		fmt.Fprintf(&b, "CREATE TABLE %s (id INT PRIMARY KEY, p INT);\n", name)
	}
	// a → b → c → a is one, with d above it and e below; f stands for itself.
	b.WriteString(key("a", "b") + key("b", "c") + key("c", "a") + key("c", "d") + key("e", "a") + key("f", "d") + key("d", "d"))
	var found []string
	for _, f := range check(t, text("x.sql", b.String())).Findings {
		if f.Rule == "FK607" {
			found = append(found, f.Object)
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, []string{"a", "b", "c", "d"}) {
		t.Errorf("%v", found)
	}
	b.Reset()
	for i := range 10_000 {
		fmt.Fprintf(&b, "CREATE TABLE t%d (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES t%d (id));\n", i, max(i-1, 0))
	}
	if n := len(check(t, text("x.sql", b.String()), func(o *Options) { o.Families = []string{"FK"} }).Findings); n != 1 {
		t.Errorf("%d findings in a chain whose first is its own parent", n)
	}
}

// Servers that take other words into their full-text keys are told apart, where there is such a key.
func TestServersThatFindOtherWords(t *testing.T) {
	source, target := sandboxtest.MySQLSource(t, sandboxtest.Options("--innodb-ft-min-token-size=2")), stock(t)
	database := source.Database(t)
	to := seen(t, target, target.Database(t))
	source.Exec(t, "CREATE TABLE "+database+".a (id INT PRIMARY KEY, t TEXT)")
	if found := foundBy(checkServers(t, seen(t, source, database), to), "IDX508", database); len(found) > 0 {
		t.Errorf("without a key: %v", found)
	}
	source.Exec(t, "CREATE FULLTEXT INDEX t ON "+database+".a (t)")
	if found := foundBy(checkServers(t, seen(t, source, database), to), "IDX508", database); !slices.Equal(found, []string{"warning innodb_ft_min_token_size"}) {
		t.Errorf("%v", found)
	}
}

// A dump that has the client read another file says so: that one was not looked at.
func TestAnotherFileIsNotChecked(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1;\nSOURCE more.sql\nSELECT 2;": "x.sql:2 reads another file, more.sql, which was not looked at",
		"\\. more.sql\nSELECT 2;":               "x.sql:1 reads another file, more.sql, which was not looked at",
		"SELECT 1 AS source;":                   "",
	} {
		got := ""
		for _, u := range check(t, text("x.sql", sql)).Unchecked {
			if u.Rule == "MIG1011" {
				got = u.Reason
			}
		}
		if got != want {
			t.Errorf("%q: %q is said", sql, got)
		}
	}
}

// An engine that MySQL lacks is refused, or becomes InnoDB where a text, or the target, leaves NO_ENGINE_SUBSTITUTION out;
// and a zero date and a name in double quotes are as bad as the sql_mode has them.
func TestTheModeOfATextCounts(t *testing.T) {
	for _, x := range []struct {
		sql, rule string
		mode      string // of the target
		want      Severity
	}{
		{"CREATE TABLE a (id INT PRIMARY KEY) ENGINE=Aria;", "MDB224", "NO_ENGINE_SUBSTITUTION", Error},
		{"CREATE TABLE a (id INT PRIMARY KEY) ENGINE=Aria;", "MDB224", "ANSI", Warning},
		{"SET sql_mode = '';\nCREATE TABLE a (id INT PRIMARY KEY) ENGINE=Aria;", "MDB224", "NO_ENGINE_SUBSTITUTION", Warning},
		{"CREATE TABLE a (id INT PRIMARY KEY, d DATE DEFAULT '0000-00-00');", "TYP303", "STRICT_TRANS_TABLES,NO_ZERO_DATE", Error},
		{"/*!40101 SET @a=@@sql_mode, sql_mode='' */;\nCREATE TABLE a (id INT PRIMARY KEY, d DATE DEFAULT '0000-00-00');", "TYP303", "STRICT_TRANS_TABLES,NO_ZERO_DATE", Warning},
		{"CREATE TABLE a (\"id\" INT);", "SYN1202", "STRICT_TRANS_TABLES", Error},
		{"CREATE TABLE a (\"id\" INT);", "SYN1202", "ANSI_QUOTES", Warning},
		{"SET sql_mode = 'ANSI';\nCREATE TABLE a (\"id\" INT);", "SYN1202", "STRICT_TRANS_TABLES", Warning},
		{"CREATE TABLE a (id INT PRIMARY KEY) ROW_FORMAT=FIXED;", "SYN1210", "", Warning},
	} {
		r := check(t, text("x.sql", x.sql), func(o *Options) { o.To.Variables = map[string]string{"sql_mode": x.mode} })
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Rule == x.rule })
		if i < 0 || r.Findings[i].Severity != x.want {
			t.Errorf("%+v: %+v", x, r.Findings)
		}
	}
}

// What a folder may not tell is left: from a statement on that may change tables unseen, none is called missing.
func TestWhatStepsHideIsNotCalledMissing(t *testing.T) {
	for hidden, line := range map[string]bool{"CALL make_tables();": true, "PREPARE s FROM @x;": true, "USE other;": true, "DROP DATABASE x;": true, "SHOW TABLES;": false} {
		in := folder(t, map[string]string{"1_a.up.sql": "SELECT 1;\n" + hidden + "\nALTER TABLE a ADD b INT;"})
		r := check(t, in)
		said := slices.ContainsFunc(r.Unchecked, func(u Unchecked) bool {
			return u.Rule == "MIG1017" && strings.HasPrefix(u.Reason, "from 1_a.up.sql:2 on")
		})
		if said != line || finds(r, "MIG1017") == line {
			t.Errorf("%s: %v", hidden, r.Unchecked)
		}
	}
}

func TestNativePasswordsByVersion(t *testing.T) {
	for version, want := range map[string]Severity{"8.0.39": Info, "8.4.4": Warning, "9.7.4": Error} {
		r := check(t, text("x.sql", "CREATE USER u IDENTIFIED WITH mysql_native_password BY 'x';"), func(o *Options) { o.To.Version = version })
		if i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Rule == "PRG714" }); i < 0 || r.Findings[i].Severity != want {
			t.Errorf("%s: %+v", version, r.Findings)
		}
	}
}

// What is torn is said once, where it begins.
func TestATornTextIsToldOnce(t *testing.T) {
	for _, sql := range []string{"CREATE TABLE t (a VARCHAR(5) DEFAULT 'x", "CREATE TABLE t (a INT /* b", "SELECT (1, 2"} {
		r := check(t, text("x.sql", sql))
		n := 0
		for _, f := range r.Findings {
			if f.Rule == "SYN1201" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: %d findings", sql, n)
		}
	}
}

func TestNumbersThatMayRunOutBySize(t *testing.T) {
	for kind, want := range map[string]Severity{"TINYINT": Warning, "SMALLINT": Warning, "INT": Info, "INTEGER": Info, "SMALLINT UNSIGNED": Info, "BIGINT": ""} {
		r := check(t, text("x.sql", "CREATE TABLE a (id "+kind+" AUTO_INCREMENT PRIMARY KEY);"))
		var got Severity
		for _, f := range r.Findings {
			if f.Rule == "TYP316" {
				got = f.Severity
			}
		}
		if got != want {
			t.Errorf("%s: %q", kind, got)
		}
	}
}
