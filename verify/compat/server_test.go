package compat

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat/ddl"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// stock is a MySQL that refuses functions which don't say what they do, as one does by default.
func stock(t *testing.T) *sandboxtest.Server {
	return sandboxtest.Target(t, sandboxtest.Options("--log-bin-trust-function-creators=0"))
}

// scratch is a connection to an empty database.
func scratch(t *testing.T, server *sandboxtest.Server) *sql.Conn {
	t.Helper()
	conn, err := server.DBIn(t, sandbox.Root, server.Database(t)).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.ExecContext(t.Context(), "SET SESSION lock_wait_timeout = 5"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answerTo runs a statement and gives the number of the server's error; 0 if there is none.
func answerTo(t *testing.T, conn *sql.Conn, statement string) (int, error) {
	t.Helper()
	_, err := conn.ExecContext(t.Context(), statement)
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		return int(answer.Number), err
	}
	if err != nil && !strings.Contains(err.Error(), "is not registered") { // a file that the client does not send
		t.Fatalf("%s: %v", shorten(statement), err)
	}
	return 0, nil
}

// fixture is a statement of a family's fixtures with what is found in it.
type fixture struct {
	text  string
	found []Finding
}

// fixtures are the statements of a family's file; nil if there is none.
func fixtures(t *testing.T, family string) (all []fixture) {
	t.Helper()
	name := filepath.Join("testdata", strings.ToLower(family)+".sql")
	content, err := os.ReadFile(name)
	if err != nil {
		return nil // CUT and MIG are about files, others about servers
	}
	in := text(name, string(content))
	r := check(t, in)
	for _, st := range ddl.Read(in.Files[0], ddl.MySQL, false) {
		f := fixture{text: st.File.Text[st.Start:st.End]}
		for _, x := range r.Findings {
			if start := offset(in.Files[0].Text, x.Location); start >= st.Start && start < st.End {
				f.found = append(f.found, x)
			}
		}
		all = append(all, f)
	}
	return all
}

// answers are the errors one of which the server must give; nil if no rule says so as strictly as it can.
func (f *fixture) answers() (may []int) {
	for _, x := range f.found {
		if rule, _ := RuleByID(x.Rule); rule.Confirmed == "mysql" && x.Severity.AtLeast(rule.Severity) {
			may = append(may, rule.Errno...)
		}
	}
	return may
}

// means tells whether a rule of a family finds something.
func (f *fixture) means(family string) bool {
	return slices.ContainsFunc(f.found, func(x Finding) bool { return strings.HasPrefix(x.Rule, family) })
}

// expects tells whether a rule says that it will not work, or answers with this error.
func (f *fixture) expects(n int) bool {
	return slices.ContainsFunc(f.found, func(x Finding) bool {
		rule, _ := RuleByID(x.Rule)
		return x.Severity == Error || slices.Contains(rule.Errno, n)
	})
}

// What a rule says that a MySQL answers it does answer, to each statement of the fixtures that the rule means.
func TestAServerSaysWhatTheRulesSay(t *testing.T) {
	server := stock(t)
	confirmed := map[string]bool{}
	for _, f := range Families() {
		conn := scratch(t, server)
		for _, x := range fixtures(t, f.Name) {
			may := x.answers()
			if x.means("AUR") && may == nil {
				continue // these do to a whole server what they say
			}
			n, err := answerTo(t, conn, x.text)
			if len(may) > 0 && !slices.Contains(may, n) {
				t.Errorf("%s\n\tis answered with %v, not with one of %v", shorten(x.text), err, may)
			}
			for _, found := range x.found {
				if rule, _ := RuleByID(found.Rule); n > 0 && slices.Contains(rule.Errno, n) {
					confirmed[rule.ID] = true
				}
			}
		}
	}
	conn := scratch(t, server)
	for _, command := range []string{"DELIMITER //\nSELECT 1//\n", "SOURCE x.sql\n", "\\. x.sql\n", "SELECT 1\\G\n"} {
		in := folder(t, map[string]string{"1_a.up.sql": command})
		if r := check(t, in); !slices.ContainsFunc(r.Findings, func(x Finding) bool { return x.Rule == "MIG1002" }) {
			t.Errorf("MIG1002 does not find %q", command)
		}
		if n, err := answerTo(t, conn, command); n != 1064 {
			t.Errorf("%q is answered with %v", command, err)
		} else {
			confirmed["MIG1002"] = true
		}
	}
	for _, step := range []string{"", " \n"} {
		in := folder(t, map[string]string{"1_a.up.sql": step})
		if n, err := answerTo(t, conn, step); n != 1065 || !finds(check(t, in), "MIG1016") {
			t.Errorf("an empty file is answered with %v", err)
		}
	}
	confirmed["MIG1016"] = true
	confirmed["MIG1017"] = true // TestAServerMissesWhatStepsMiss
	for _, f := range Families() {
		for _, rule := range f.Rules {
			if rule.Confirmed == "mysql" && !confirmed[rule.ID] {
				t.Errorf("%s says that a server confirms it, and none of its fixtures is answered with %v", rule.ID, rule.Errno)
			}
		}
	}
	t.Logf("%d rules are confirmed", len(confirmed))
}

func finds(r *Report, rule string) bool {
	return slices.ContainsFunc(r.Findings, func(x Finding) bool { return x.Rule == rule })
}

// Of steps that follow one another MIG1017 finds just those statements that a server refuses.
func TestAServerMissesWhatStepsMiss(t *testing.T) {
	const first = "CREATE TABLE a (id INT PRIMARY KEY, b INT, c INT, d INT, KEY k (b))"
	for _, next := range []string{
		"ALTER TABLE nowhere ADD x INT", "DROP TABLE nowhere", "CREATE INDEX i ON nowhere (id)", "RENAME TABLE nowhere TO x", "DROP TABLE a, nowhere",
		"CREATE TRIGGER t BEFORE INSERT ON nowhere FOR EACH ROW SET @x = 1", "CREATE TABLE a (id INT PRIMARY KEY)", "ALTER TABLE a DROP COLUMN x",
		"ALTER TABLE a ADD b INT", "ALTER TABLE a ADD KEY k (c)", "ALTER TABLE a ADD KEY l (x)", "CREATE INDEX k ON a (c)", "CREATE INDEX l ON a (x)",
		"ALTER TABLE a MODIFY x INT", "ALTER TABLE a CHANGE x y INT", "ALTER TABLE a RENAME COLUMN x TO y", "ALTER TABLE a ALTER x SET DEFAULT 1",
		"DROP INDEX k ON nowhere", "ALTER TABLE a ADD x INT, ALTER x SET DEFAULT 1", "ALTER TABLE a ADD x INT, MODIFY x BIGINT", "ALTER TABLE a ADD x INT, DROP COLUMN x",
		"ALTER TABLE a RENAME COLUMN b TO x, DROP COLUMN x", "ALTER TABLE a CHANGE b x INT, RENAME COLUMN x TO y",
		// These it takes.
		"ALTER TABLE a ADD x INT, ADD KEY l (x)", "ALTER TABLE a DROP COLUMN d, ADD COLUMN d BIGINT", "ALTER TABLE a ADD b INT, DROP COLUMN b", "ALTER TABLE a RENAME COLUMN b TO x, RENAME COLUMN c TO b",
		"ALTER TABLE a DROP KEY k, ADD KEY k (c)", "ALTER TABLE a CHANGE b x INT, ADD KEY l (x)", "DROP TABLE IF EXISTS nowhere", "CREATE TABLE IF NOT EXISTS a (id INT)",
		"CREATE TEMPORARY TABLE a (id INT)", "DROP TABLE a", "RENAME TABLE a TO x", "RENAME TABLE a TO x, x TO y", "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.b = 1",
		"ALTER TABLE a RENAME KEY k TO l, ADD KEY k (c)", "ALTER TABLE a ADD x INT AFTER b, ALGORITHM=INSTANT", "ALTER TABLE a RENAME TO x", "CREATE TABLE x LIKE a",
	} {
		conn := scratch(t, stock(t))
		if _, err := answerTo(t, conn, first); err != nil {
			t.Fatal(err)
		}
		in := folder(t, map[string]string{"1_a.up.sql": first, "2_b.up.sql": next})
		n, err := answerTo(t, conn, next)
		rule, _ := RuleByID("MIG1017")
		if found := finds(check(t, in), "MIG1017"); found != (n > 0) || n > 0 && !slices.Contains(rule.Errno, n) {
			t.Errorf("%s is answered with %v, and found: %v", next, err, found)
		}
	}
}

// A MySQL refuses Aurora's master user, by its privileges, what the rules say that they don't suffice for.
func TestAurorasMasterUserMayNot(t *testing.T) {
	server := stock(t)
	root := scratch(t, server)
	var name string
	if err := root.QueryRowContext(t.Context(), "SELECT DATABASE()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	master, err := server.DBIn(t, sandbox.Admin, name).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = master.Close() }()
	asked := map[string]bool{}
	for _, x := range fixtures(t, "AUR") {
		if !x.means("AUR") {
			if _, err := answerTo(t, root, x.text); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for _, f := range x.found {
			// LOAD_FILE answers with NULL, and a program when it runs.
			if rule, _ := RuleByID(f.Rule); rule.Confirmed == "doc" && len(rule.Errno) > 0 && !strings.Contains(x.text, "LOAD_FILE") && !strings.Contains(x.text, "PROCEDURE") {
				asked[f.Rule] = true
				if n, err := answerTo(t, master, x.text); !slices.Contains(rule.Errno, n) {
					t.Errorf("%s: %s\n\tis answered with %v", f.Rule, shorten(x.text), err)
				}
			}
		}
	}
	if len(asked) < 5 {
		t.Errorf("only %v", asked)
	}
}

// What the target takes is not called an error: all statements of the fixtures in which no rule finds one.
func TestAServerTakesWhatNoRuleMeans(t *testing.T) {
	server := stock(t)
	for _, f := range Families() {
		conn := scratch(t, server)
		for _, x := range fixtures(t, f.Name) {
			if x.means("AUR") {
				continue
			}
			n, err := answerTo(t, conn, x.text)
			if n > 0 && !x.expects(n) {
				t.Errorf("%s: %s\n\tis refused, and no rule says so: %v", f.Name, shorten(x.text), err)
			}
		}
	}
}

// An error is the word of a server, or of its vendor.
func TestAnErrorIsConfirmed(t *testing.T) {
	for _, f := range Families() {
		for _, r := range f.Rules {
			switch {
			case r.Severity == Error && !slices.Contains([]string{"mysql", "doc", "live"}, r.Confirmed):
				t.Errorf("%s is an error, and nobody confirms it", r.ID)
			case r.Confirmed == "doc" && !strings.HasPrefix(r.Doc, "https://"):
				t.Errorf("%s is confirmed by a page that it does not name", r.ID)
			case r.Confirmed == "mysql" && (len(r.Errno) == 0 || !slices.Contains(r.Means, Static)):
				t.Errorf("%s is confirmed by a server, and no text or no error is known", r.ID)
			}
		}
	}
}

// What the rules call MariaDB's own, a MariaDB takes.
func TestAMariaDBTakesWhatOnlyItHas(t *testing.T) {
	conn := scratch(t, sandboxtest.MariaDBSource(t))
	for _, x := range fixtures(t, "MDB") {
		if n, err := answerTo(t, conn, x.text); n > 0 {
			t.Errorf("%s: %v", shorten(x.text), err)
		}
	}
}

// names of patterns are known to the servers as the rules say: what MySQL has no more, and what only MariaDB has.
func TestServersKnowTheFunctionsAndVariablesOfRules(t *testing.T) {
	target, source := scratch(t, stock(t)), scratch(t, sandboxtest.MariaDBSource(t))
	newer := map[string]string{ // than the MariaDB that is asked
		"UUID_V4": "11.7", "UUID_V7": "11.7", "KDF": "11.3",
	}
	ask := func(conn *sql.Conn, texts ...string) (int, error) {
		for _, text := range texts {
			if n, err := answerTo(t, conn, text); n != 1582 && n != 1064 { // another number of arguments
				return n, err
			}
		}
		return 1064, nil
	}
	for _, id := range []string{"MDB215", "PRG704"} {
		rule, _ := RuleByID(id)
		for _, name := range rule.Finds[0].Functions {
			if n, err := answerTo(t, target, "SELECT "+name+"(1)"); n != 1305 && n != 1064 {
				t.Errorf("%s: a MySQL answers to %s with %v", id, name, err)
			}
			if n, err := ask(source, "SELECT "+name+"(1)", "SELECT "+name+"(1, 1)", "SELECT "+name+"(1, 1, 1)"); id == "MDB215" && n == 1305 && newer[name] == "" {
				t.Errorf("%s: a MariaDB answers to %s with %v", id, name, err)
			}
		}
	}
	rule, _ := RuleByID("MDB206")
	for _, name := range rule.Finds[0].Types {
		if n, err := answerTo(t, target, "CREATE TABLE x (a "+name+")"); n != 1064 {
			t.Errorf("a MySQL answers to the type %s with %v", name, err)
		}
	}
	rule, _ = RuleByID("VAR807")
	for i, p := range rule.Finds {
		for _, name := range p.Variables {
			if n, err := answerTo(t, target, "SELECT @@"+name); n != 1193 {
				t.Errorf("a MySQL answers to @@%s with %v", name, err)
			}
			if n, err := answerTo(t, source, "SELECT @@"+name); i == 1 && n != 0 {
				t.Errorf("a MariaDB answers to @@%s with %v", name, err)
			}
		}
	}
	for _, word := range since8 {
		if n, err := answerTo(t, target, "SELECT 1 AS "+word); n != 1064 {
			t.Errorf("a MySQL answers to the alias %s with %v", word, err)
		}
	}
	for _, mode := range oldModes {
		if n, err := answerTo(t, target, "SET sql_mode = '"+mode+"'"); n != 1231 {
			t.Errorf("a MySQL answers to sql_mode %s with %v", mode, err)
		}
	}
}

// offset is a place's byte in a text.
func offset(text string, l *Location) int {
	if l == nil {
		return -1
	}
	at := 0
	for range l.Line - 1 {
		at += strings.IndexByte(text[at:], '\n') + 1
	}
	column := l.Column
	for n := range text[at:] {
		if column--; column == 0 {
			return at + n
		}
	}
	return len(text)
}
