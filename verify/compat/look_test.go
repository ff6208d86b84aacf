package compat

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// lookAt are servers that tests look at.
func lookAt() map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server {
	return map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{
		"MySQL target": sandboxtest.Target, "MySQL source": sandboxtest.MySQLSource, "MariaDB source": sandboxtest.MariaDBSource,
	}
}

// onEach runs a test on each server, with a database of its own.
func onEach(t *testing.T, test func(t *testing.T, s *sandboxtest.Server, database string)) {
	for name, start := range lookAt() {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			test(t, s, s.Database(t))
		})
	}
}

// in runs statements in a database, as root, in one session.
func in(t *testing.T, s *sandboxtest.Server, database string, statements ...string) {
	t.Helper()
	s.Exec(t, append([]string{"USE " + database, "SET NAMES utf8mb4"}, statements...)...)
}

func looked(t *testing.T, s *sandboxtest.Server, a sandbox.Account, o LookOptions) *Picture {
	t.Helper()
	p, err := Look(t.Context(), s.DB(t, a), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// everything has an object of each kind.
var everything = []string{
	"CREATE TABLE parents (id int AUTO_INCREMENT PRIMARY KEY, name varchar(9) CHARACTER SET utf8mb4 DEFAULT 'a' NOT NULL) DEFAULT CHARSET=utf8mb4 AUTO_INCREMENT=17 ROW_FORMAT=COMPACT",
	"CREATE TABLE children (id int PRIMARY KEY, parent int, more int AS (parent + 1) STORED, said varchar(9) CHARACTER SET utf8mb4, CHECK (said <> '😀ä'), FOREIGN KEY (parent) REFERENCES parents (id)) DEFAULT CHARSET=utf8mb4",
	"CREATE TABLE others (id int) ENGINE=MEMORY",
	"CREATE DEFINER=root@localhost SQL SECURITY INVOKER VIEW both_of AS SELECT p.name, '😀ä' AS said FROM parents p JOIN children c ON c.parent = p.id",
	"SET SESSION sql_mode = 'ANSI_QUOTES,NO_ENGINE_SUBSTITUTION'",
	"CREATE DEFINER=root@localhost PROCEDURE tidy(IN n int) SQL SECURITY INVOKER MODIFIES SQL DATA BEGIN DECLARE i int DEFAULT 0; WHILE i < n DO DELETE FROM \"others\"; SET i = i + 1; END WHILE; SELECT '😀ä'; END",
	"SET SESSION sql_mode = DEFAULT",
	"CREATE DEFINER=root@localhost FUNCTION twice(n int) RETURNS int DETERMINISTIC NO SQL BEGIN IF n IS NULL THEN RETURN 0; END IF; RETURN CASE WHEN n > 0 THEN 2 * n ELSE 0 END; END",
	"CREATE DEFINER=root@localhost TRIGGER counted BEFORE INSERT ON children FOR EACH ROW BEGIN SET NEW.said = '😀ä'; SET NEW.parent = 1; END",
	"CREATE DEFINER=root@localhost EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 00:00:00' DISABLE DO BEGIN DELETE FROM others; DELETE FROM children; END",
	"SET NAMES latin1",
	"CREATE DEFINER=root@localhost PROCEDURE old() SELECT '\xe4'",
}

var everythingOfMariaDB = []string{
	"CREATE SEQUENCE numbers START WITH 5",
	"CREATE TABLE versions (id int PRIMARY KEY) WITH SYSTEM VERSIONING",
	"SET SESSION sql_mode = 'ORACLE'",
	"CREATE DEFINER=root@localhost PACKAGE tools AS PROCEDURE one(); PROCEDURE two(); END",
	"CREATE DEFINER=root@localhost PACKAGE BODY tools AS PROCEDURE one() AS BEGIN SELECT 1; END; PROCEDURE two() AS BEGIN SELECT 2; END; END",
	"SET SESSION sql_mode = DEFAULT",
}

// named finds an object.
func named(t *testing.T, p *Picture, kind, name string) *Object {
	t.Helper()
	for i := range p.Objects {
		if o := &p.Objects[i]; o.Kind == kind && o.Name == name {
			return o
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}

func TestAPictureHasAllThatAServerHas(t *testing.T) {
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		maria := s.Flavor == sandbox.MariaDB
		in(t, s, database, everything...)
		if maria {
			in(t, s, database, everythingOfMariaDB...)
		}
		p := looked(t, s, sandbox.Root, LookOptions{Databases: []string{database}, Data: true})

		if want := server.Flavor(s.Flavor); p.Flavor != want || !strings.Contains(p.Version, ".") || p.Probe == nil || len(p.Refused) > 0 {
			t.Errorf("flavor %q, version %q, probe %v, refused %v", p.Flavor, p.Version, p.Probe, p.Refused)
		}
		if p.Variables["log_bin"] != "ON" || p.Variables["innodb_page_size"] != "16384" {
			t.Errorf("variables: %d, log_bin=%q", len(p.Variables), p.Variables["log_bin"])
		}
		if want := map[bool]string{false: "utf8mb4_0900_ai_ci", true: "utf8mb4_general_ci"}[maria]; p.Collations["utf8mb4"] != want || p.Collations["latin1"] != "latin1_swedish_ci" {
			t.Errorf("default collations: %v", p.Collations)
		}
		if len(p.Databases) != 1 || p.Databases[0].Name != database || p.Databases[0].Charset == "" || p.Databases[0].Collation == "" {
			t.Errorf("databases: %v", p.Databases)
		}
		if !slices.ContainsFunc(p.Accounts, func(a Account) bool {
			return a.User == "app" && a.Host == "%" && a.Plugin != "" && !a.Locked && !a.NoPassword
		}) {
			t.Errorf("accounts: %v", p.Accounts)
		}
		if len(p.Grants) == 0 || !strings.HasPrefix(p.Grants[0], "GRANT ") || strings.Contains(strings.Join(p.Grants, " "), "IDENTIFIED") {
			t.Errorf("grants: %v", p.Grants)
		}

		var order []string
		for _, o := range p.Objects {
			order = append(order, o.Kind+" "+o.Name)
		}
		want := []string{"table children", "table others", "table parents", "view both_of", "procedure old", "procedure tidy", "function twice", "trigger counted", "event nightly"}
		if maria {
			want = []string{"table children", "table others", "table parents", "table versions", "sequence numbers", "view both_of",
				"procedure old", "procedure tidy", "package tools", "package body tools", "function twice", "trigger counted", "event nightly"}
		}
		if !slices.Equal(order, want) {
			t.Errorf("objects\n\t%q\ninstead of\n\t%q", order, want)
		}

		for _, c := range []struct{ kind, name, says string }{
			{"table", "children", "'😀ä'"}, {"view", "both_of", "'😀ä'"}, {"procedure", "tidy", "'😀ä'"}, {"trigger", "counted", "'😀ä'"},
			{"procedure", "old", "'ä'"}, {"table", "parents", "`name` varchar(9)"}, {"event", "nightly", "DISABLE"}, {"procedure", "tidy", `"others"`},
			{"function", "twice", "CREATE DEFINER=`root`@`localhost` FUNCTION"}, {"view", "both_of", "from (`parents` `p` join"},
		} {
			if o := named(t, p, c.kind, c.name); !strings.Contains(o.SQL, c.says) || o.Schema != database {
				t.Errorf("%s %s.%s is %q, without %s", o.Kind, o.Schema, o.Name, o.SQL, c.says)
			}
		}
		facts := func(o *Object) string {
			return fmt.Sprint(o.Table, "|", o.Definer, "|", o.Security, "|", o.SQLMode, "|", o.Charset, "|", o.Connection, "|", o.DatabaseCollation, "|", o.Status, "|", o.Deterministic, "|", o.DataAccess)
		}
		utf8mb4, of, mode := p.Collations["utf8mb4"], p.Databases[0].Collation, p.Variables["sql_mode"]
		for _, c := range []struct{ kind, name, want string }{
			{"view", "both_of", "|root@localhost|INVOKER||utf8mb4|" + utf8mb4 + "|||false|"},
			{"procedure", "tidy", "|root@localhost|INVOKER|ANSI_QUOTES,NO_ENGINE_SUBSTITUTION|utf8mb4|" + utf8mb4 + "|" + of + "||false|MODIFIES SQL DATA"},
			{"procedure", "old", "|root@localhost|DEFINER|" + mode + "|latin1|latin1_swedish_ci|" + of + "||false|CONTAINS SQL"},
			{"function", "twice", "|root@localhost|DEFINER|" + mode + "|utf8mb4|" + utf8mb4 + "|" + of + "||true|NO SQL"},
			{"trigger", "counted", "children|root@localhost||" + mode + "|utf8mb4|" + utf8mb4 + "|" + of + "||false|"},
			{"event", "nightly", "|root@localhost||" + mode + "|utf8mb4|" + utf8mb4 + "|" + of + "|DISABLED|false|"},
		} {
			if got := facts(named(t, p, c.kind, c.name)); got != c.want {
				t.Errorf("%s %s is\n\t%s\ninstead of\n\t%s", c.kind, c.name, got, c.want)
			}
		}
		parents, children := named(t, p, "table", "parents"), named(t, p, "table", "children")
		if parents.Engine != "InnoDB" || parents.RowFormat != "Compact" || !strings.Contains(strings.ToUpper(parents.Options), "ROW_FORMAT=COMPACT") ||
			parents.Collation != utf8mb4 || parents.AutoIncrement != 17 || children.AutoIncrement != 0 || named(t, p, "table", "others").Engine != "MEMORY" {
			t.Errorf("tables: %+v %+v", parents, children)
		}
		if len(children.Columns) != 4 || children.Columns[2].Generation == "" || !strings.Contains(children.Columns[2].Extra, "STORED GENERATED") ||
			children.Columns[3].Collation != utf8mb4 || !children.Columns[1].Nullable || parents.Columns[1].Nullable || !parents.Columns[1].Default.Valid {
			t.Errorf("columns: %+v %+v", children.Columns, parents.Columns)
		}
		if maria {
			if seq, v := named(t, p, "sequence", "numbers"), named(t, p, "table", "versions"); !strings.HasPrefix(seq.SQL, "CREATE SEQUENCE") || !strings.Contains(v.SQL, "WITH SYSTEM VERSIONING") {
				t.Errorf("%q %q", seq.SQL, v.SQL)
			}
		}
		if again := looked(t, s, sandbox.Root, LookOptions{Databases: []string{database}}); !same(p, again) {
			t.Errorf("a second look sees something else")
		}
	})
}

// same tells whether two pictures are the same, but for leave to ask about rows and for what counts on.
func same(a, b *Picture) bool {
	x, y := *a, *b
	x.Probe, y.Probe, x.Variables, y.Variables = nil, nil, nil, nil
	return reflect.DeepEqual(x, y)
}

// A server's own databases, and Changeover's, are looked at only if they are asked for.
func TestWithoutNamesAllDatabasesAreLookedAt(t *testing.T) {
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		other := s.Database(t)
		p := looked(t, s, sandbox.Root, LookOptions{})
		var names []string
		for _, d := range p.Databases {
			names = append(names, d.Name)
		}
		if !slices.Contains(names, database) || !slices.Contains(names, other) || slices.Contains(names, "mysql") || slices.Contains(names, "sys") || !slices.IsSorted(names) {
			t.Errorf("databases: %v", names)
		}
		if p := looked(t, s, sandbox.Root, LookOptions{Databases: []string{"mysql"}}); len(p.Objects) < 10 {
			t.Errorf("mysql has %d objects", len(p.Objects))
		}
		_, err := Look(t.Context(), s.DB(t, sandbox.Root), LookOptions{Databases: []string{database, "nowhere"}})
		if !fault.Is(err, fault.NoDatabase) {
			t.Errorf("a database that isn't there: %v", err)
		}
		p = looked(t, s, sandbox.Root, LookOptions{Databases: []string{database, "nowhere"}, MayLack: true})
		if len(p.Databases) != 1 || len(p.Refused) > 0 {
			t.Errorf("a database that may lack: %v, refused %v", p.Databases, p.Refused)
		}
	})
}

// as is a pool of a new account that has these grants.
func as(t *testing.T, s *sandboxtest.Server, grants ...string) *sql.DB {
	t.Helper()
	user := "look_" + strings.ToLower(rand.Text()[:8])
	s.Exec(t, "CREATE USER "+user+" IDENTIFIED BY 'Secret-1'")
	t.Cleanup(func() { s.Exec(t, "DROP USER "+user) })
	for _, g := range grants {
		s.Exec(t, "GRANT "+g+" TO "+user)
	}
	db, err := server.Open(server.Endpoint{Host: "127.0.0.1", Port: s.Port, User: user, Password: "Secret-1"}, server.Session{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestWhatAnAccountMayNotSeeIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		in(t, s, database, everything...)
		hidden := s.Database(t)
		in(t, s, hidden, "CREATE TABLE t (id int)")
		routines := []string{"function " + database + ".twice", "procedure " + database + ".old", "procedure " + database + ".tidy"}
		for _, c := range []struct {
			name          string
			grants        []string
			refused       []string // besides the accounts
			databases     []string // of the options
			objects, text int      // how many are listed, and how many of those with their texts
		}{
			{"nothing but a database's rows", []string{"SELECT ON " + database + ".*"},
				[]string{"databases", "events of " + database, "routines of " + database, "triggers of " + database, "view " + database + ".both_of"}, nil, 4, 3},
			{"all of a database", []string{"ALL ON " + database + ".*"}, append([]string{"databases"}, routines...), nil, 9, 6},
			{"one that may not be seen is asked for", []string{"ALL ON " + database + ".*"}, append([]string{"database " + hidden}, routines...), []string{database, hidden}, 9, 6},
			{"one table", []string{"SELECT ON " + database + ".others"},
				[]string{"events of " + database, "routines of " + database, "tables of " + database, "triggers of " + database}, []string{database}, 1, 1},
		} {
			t.Run(c.name, func(t *testing.T) {
				p, err := Look(t.Context(), as(t, s, c.grants...), LookOptions{Databases: c.databases})
				if err != nil {
					t.Fatal(err)
				}
				var refused []string
				for _, r := range p.Refused {
					refused = append(refused, r.What)
					if r.Reason == "" {
						t.Errorf("no reason for %s", r.What)
					}
				}
				if want := append([]string{"accounts"}, c.refused...); !slices.Equal(refused, slices.Sorted(slices.Values(want))) {
					t.Errorf("refused\n\t%q\ninstead of\n\t%q", p.Refused, want)
				}
				text := 0
				for _, o := range p.Objects {
					if o.SQL != "" {
						text++
					}
				}
				if len(p.Databases) != 1 || len(p.Objects) != c.objects || text != c.text || len(p.Accounts) != 0 || len(p.Variables) < 100 {
					t.Errorf("%v: %d objects, %d with their texts; %d accounts, %d variables", p.Databases, len(p.Objects), text, len(p.Accounts), len(p.Variables))
				}
			})
		}
	})
}

func TestGrantsAreShownWithoutSecrets(t *testing.T) {
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		p, err := Look(t.Context(), as(t, s, "SELECT ON "+database+".*"), LookOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(p.Grants, "\n"); !strings.Contains(text, "GRANT SELECT ON `"+database) || strings.Contains(text, "IDENTIFIED") || strings.Contains(text, "*") && strings.Contains(text, "'*") {
			t.Errorf("grants: %s", text)
		}
	})
	for grant, want := range map[string]string{
		"GRANT SELECT ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*AB' WITH GRANT OPTION":                           "GRANT SELECT ON *.* TO `a`@`%` WITH GRANT OPTION",
		"GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED VIA ed25519 USING 'x WITH y' OR unix_socket REQUIRE SSL":        "GRANT USAGE ON *.* TO `a`@`%`",
		"GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED VIA ed25519 USING 'it''s \\' WITH' WITH MAX_USER_CONNECTIONS 3": "GRANT USAGE ON *.* TO `a`@`%` WITH MAX_USER_CONNECTIONS 3",
		"GRANT SELECT ON `d`.* TO `a`@`%`": "GRANT SELECT ON `d`.* TO `a`@`%`",
	} {
		if got := withoutSecret(grant); got != want {
			t.Errorf("%q becomes %q", grant, got)
		}
	}
}

// What is dropped between the list and the look at its text is left out.
func TestWhatIsGoneIsLeftOut(t *testing.T) {
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		in(t, s, database, "CREATE TABLE t (id int)")
		l := &look{db: s.DB(t, sandbox.Root), Picture: &Picture{Objects: []Object{
			{Kind: "table", Schema: database, Name: "gone"}, {Kind: "table", Schema: database, Name: "t"}, {Kind: "table", Schema: "gone_" + database, Name: "t"},
			{Kind: "view", Schema: database, Name: "gone"}, {Kind: "view", Schema: database, Name: "t"}, {Kind: "view", Schema: "gone_" + database, Name: "v"},
			{Kind: "procedure", Schema: database, Name: "gone"}, {Kind: "function", Schema: database, Name: "gone"},
			{Kind: "trigger", Schema: database, Name: "gone"}, {Kind: "event", Schema: database, Name: "gone"},
		}}}
		if s.Flavor == sandbox.MariaDB {
			l.Objects = append(l.Objects, Object{Kind: "sequence", Schema: database, Name: "gone"}, Object{Kind: "package", Schema: database, Name: "gone"})
		}
		if err := l.texts(t.Context()); err != nil || len(l.Objects) != 1 || l.Objects[0].Name != "t" || l.Objects[0].SQL == "" || len(l.Refused) > 0 {
			t.Errorf("%v: %v, refused %v", err, l.Objects, l.Refused)
		}
	})
}

// A pool of one connection is enough, and one that gets lost is an error and no picture.
func TestALookNeedsOneConnection(t *testing.T) {
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		in(t, s, database, everything...)
		db := s.DB(t, sandbox.Root)
		db.SetMaxOpenConns(1)
		one, err := Look(t.Context(), db, LookOptions{Databases: []string{database}})
		if err != nil {
			t.Fatal(err)
		}
		if all := looked(t, s, sandbox.Root, LookOptions{Databases: []string{database}}); !same(one, all) {
			t.Errorf("one connection sees\n%v\nfour see\n%v", one, all)
		}
		l := &look{db: db, Picture: one}
		err = l.each(t.Context(), "DO 0", 1, func(ctx context.Context, conn *sql.Conn, _ int) error {
			var id int
			if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
				return err
			}
			s.Exec(t, fmt.Sprintf("KILL %d", id))
			_, err := l.text(ctx, conn, &l.Objects[0])
			return err
		})
		if err == nil || len(one.Refused) > 0 {
			t.Errorf("the connection is lost: %v, refused %v", err, one.Refused)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Look(ctx, db, LookOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}

// A server on which names have cases may have two databases whose names differ by that only.
func TestDatabasesThatDifferByCaseAreTwo(t *testing.T) {
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		upper := strings.ToUpper(database)
		s.Exec(t, "CREATE DATABASE "+upper)
		t.Cleanup(func() { s.Exec(t, "DROP DATABASE "+upper) })
		for _, name := range []string{database, upper} {
			in(t, s, name, "CREATE TABLE t (id int, n int)", "CREATE VIEW v AS SELECT 1", "CREATE PROCEDURE p() SELECT 1",
				"CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.id = 1", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1")
		}
		for _, name := range []string{database, upper} {
			p := looked(t, s, sandbox.Root, LookOptions{Databases: []string{name}})
			if len(p.Databases) != 1 || len(p.Objects) != 5 || len(p.Objects[0].Columns) != 2 || slices.ContainsFunc(p.Objects, func(o Object) bool { return o.Schema != name }) {
				t.Errorf("%s has %d databases and %d objects", name, len(p.Databases), len(p.Objects))
			}
		}
	})
}

func TestAServerWithoutCasesFindsADatabaseByAny(t *testing.T) {
	s := sandboxtest.MariaDBSource(t, sandboxtest.Options("--lower-case-table-names=1"))
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE t (id int)")
	p := looked(t, s, sandbox.Root, LookOptions{Databases: []string{strings.ToUpper(database)}})
	if len(p.Databases) != 1 || p.Databases[0].Name != database || len(p.Objects) != 1 || p.Objects[0].SQL == "" {
		t.Errorf("%v: %v", p.Databases, p.Objects)
	}
}

func TestADefaultCollationMayBeOverridden(t *testing.T) {
	db := sandboxtest.MySQLSource(t).DB(t, sandbox.Root)
	for _, c := range []struct{ variable, value, utf8mb4, latin2 string }{
		{"default_collation_for_utf8mb4", "utf8mb4_general_ci", "utf8mb4_general_ci", "latin2_general_ci"},
		{"character_set_collations", "latin2=latin2_bin, utf8mb4=utf8mb4_uca1400_ai_ci", "utf8mb4_uca1400_ai_ci", "latin2_bin"},
		{"character_set_collations", "", "utf8mb4_0900_ai_ci", "latin2_general_ci"},
	} {
		l := &look{db: db, Picture: &Picture{Variables: map[string]string{c.variable: c.value}}}
		err := l.each(t.Context(), "DO 0", 1, func(ctx context.Context, conn *sql.Conn, _ int) error { return l.collations(ctx, conn) })
		if err != nil || l.Collations["utf8mb4"] != c.utf8mb4 || l.Collations["latin2"] != c.latin2 {
			t.Errorf("%s = %s: %v %v", c.variable, c.value, err, l.Collations)
		}
	}
}

// pool is one whose sessions have variables of their own.
func pool(t *testing.T, s *sandboxtest.Server, vars map[string]string) *sql.DB {
	t.Helper()
	password, err := s.Password(sandbox.Root)
	if err != nil {
		t.Fatal(err)
	}
	db, err := server.Open(server.Endpoint{Host: "127.0.0.1", Port: s.Port, User: string(sandbox.Root), Password: password}, server.Session{Vars: vars})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// The pool's sessions may print definitions otherwise: names in double quotes, or without the key that a server
// made by itself. A look has its own way.
func TestALookDoesNotGoByThePoolsSessions(t *testing.T) {
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		vars := map[string]string{"sql_mode": "'ANSI'", "sql_quote_show_create": "0", "autocommit": "0"}
		if s.Flavor == sandbox.MySQL {
			in(t, s, database, "SET SESSION sql_generate_invisible_primary_key = ON", "CREATE TABLE keyless (a int)")
			vars["show_gipk_in_create_table_and_information_schema"] = "OFF"
		}
		in(t, s, database, everything...)
		p, err := Look(t.Context(), pool(t, s, vars), LookOptions{Databases: []string{database}})
		if err != nil {
			t.Fatal(err)
		}
		if again := looked(t, s, sandbox.Root, LookOptions{Databases: []string{database}}); !same(p, again) {
			t.Errorf("it is\n%v\ninstead of\n%v", p.Objects, again.Objects)
		}
		if s.Flavor == sandbox.MySQL {
			if o := named(t, p, "table", "keyless"); !strings.Contains(o.SQL, "my_row_id") || len(o.Columns) != 2 {
				t.Errorf("the key is not seen: %+v", o)
			}
		}
	})
}

// A view whose tables are gone, or are in two databases, is seen like another.
func TestOddViewsAreSeen(t *testing.T) {
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		other := s.Database(t)
		in(t, s, other, "CREATE TABLE t (id int)")
		in(t, s, database, "CREATE TABLE gone (id int)", "CREATE TABLE t (id int)", "CREATE VIEW broken AS SELECT id FROM gone", "DROP TABLE gone",
			"CREATE VIEW near AS SELECT id FROM t", "CREATE VIEW far AS SELECT a.id FROM t a JOIN "+other+".t b ON a.id = b.id")
		db := s.DBIn(t, sandbox.Root, other) // what a pool's own database is makes no difference
		p, err := Look(t.Context(), db, LookOptions{Databases: []string{database}})
		if err != nil || len(p.Refused) > 0 {
			t.Fatal(err, p.Refused)
		}
		for name, says := range map[string]string{"broken": "VIEW `broken` AS select", "near": "from `t`", "far": "`t` `a` join `" + other + "`.`t` `b`"} {
			if o := named(t, p, "view", name); !strings.Contains(o.SQL, says) {
				t.Errorf("%s is %s, without %s", name, o.SQL, says)
			}
		}
	})
}

// The accounts that a migration is run with see all that root does.
func TestTheProductsAccountsSeeAll(t *testing.T) {
	onEach(t, func(t *testing.T, s *sandboxtest.Server, database string) {
		in(t, s, database, everything...)
		all := looked(t, s, sandbox.Root, LookOptions{Databases: []string{database}})
		for _, a := range []sandbox.Account{sandbox.Changeover, sandbox.RDSLike, sandbox.Admin} {
			if !s.Has(a) {
				continue
			}
			p := looked(t, s, a, LookOptions{Databases: []string{database}})
			if p.Grants = all.Grants; len(p.Refused) > 0 || !same(p, all) {
				t.Errorf("%s sees\n%v\nrefused %v\nroot sees\n%v", a, p.Objects, p.Refused, all.Objects)
			}
		}
	})
}
