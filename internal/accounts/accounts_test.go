package accounts_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"changeover/internal/accounts"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// who is an account with what it may take, and whether it writes behind a fence by that.
type who struct {
	name  string
	make  []string
	by    string // what is said of it; empty: it does not pass
	first string // before it writes; empty: it passes from the login on
}

// passing asks whether the accounts of a server pass, of the server itself and of Holders.
func passing(t *testing.T, s *sandboxtest.Server, all []who) {
	s.Exec(t, "CREATE DATABASE lesson", "CREATE TABLE lesson.pupil (id INT PRIMARY KEY AUTO_INCREMENT)")
	for _, w := range all {
		s.Exec(t, slices.Concat([]string{"CREATE USER " + w.name + "@`%` IDENTIFIED BY 'Some-Pass-1'", "GRANT INSERT ON lesson.* TO " + w.name + "@`%`"}, w.make)...)
	}
	set := read(t, s)
	how := set.Holders(accounts.Passing(version(t, s))...)
	s.Exec(t, "SET GLOBAL read_only = 1")
	defer s.Exec(t, "SET GLOBAL read_only = 0")
	for _, w := range all {
		if err := write(t, s, w.name, ""); w.first != "" && err == nil {
			t.Errorf("%s passes without %s", w.name, w.first)
		}
		if got := how[w.name+"@%"]; got != w.by {
			t.Errorf("%s passes by %q, not %q", w.name, got, w.by)
		}
		err := write(t, s, w.name, w.first)
		if passes := err == nil; passes != (w.by != "") {
			t.Errorf("%s passes by %q, and the server says %v", w.name, w.by, err)
		}
	}
}

// write writes as an account.
func write(t *testing.T, s *sandboxtest.Server, user, first string) error {
	t.Helper()
	db, err := server.Open(server.Endpoint{Host: s.Host, Port: s.Port, User: user, Password: "Some-Pass-1"}, server.Session{Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if first != "" {
		if _, err := db.Exec(first); err != nil {
			t.Errorf("%s: %s: %v", user, first, err)
		}
	}
	_, err = db.Exec("INSERT INTO lesson.pupil VALUES ()")
	return err
}

func version(t *testing.T, s *sandboxtest.Server) server.Version {
	t.Helper()
	var text string
	if err := s.DB(t, sandbox.Root).QueryRow("SELECT VERSION()").Scan(&text); err != nil {
		t.Fatal(err)
	}
	v, err := server.ParseVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// read reads by the account that Changeover has.
func read(t *testing.T, s *sandboxtest.Server) *accounts.Set {
	t.Helper()
	set, err := accounts.Read(t.Context(), s.DB(t, sandbox.Changeover), version(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestWhoPassesByARoleOnMySQL(t *testing.T) {
	s := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source})
	s.Exec(t, "CREATE ROLE boss, chief, idle", "GRANT CONNECTION_ADMIN ON *.* TO boss", "GRANT boss TO chief", "GRANT INSERT ON lesson.* TO idle")
	passing(t, s, []who{
		{name: "direct", make: []string{"GRANT CONNECTION_ADMIN ON *.* TO direct"}, by: "CONNECTION_ADMIN"},
		{name: "super", make: []string{"GRANT SUPER ON *.* TO super"}, by: "SUPER"},
		{name: "granted", make: []string{"GRANT boss TO granted"}, by: "the role boss@%", first: "SET ROLE boss"},
		{name: "byrole", make: []string{"GRANT boss TO byrole", "SET DEFAULT ROLE boss TO byrole"}, by: "the role boss@%"},
		{name: "byalter", make: []string{"GRANT chief TO byalter", "ALTER USER byalter DEFAULT ROLE chief"}, by: "the role chief@%"},
		{name: "roleofrole", make: []string{"GRANT chief TO roleofrole"}, by: "the role chief@%", first: "SET ROLE ALL"},
		{name: "idler", make: []string{"GRANT idle TO idler", "SET DEFAULT ROLE idle TO idler"}},
		{name: "plain", make: []string{"GRANT PROCESS ON *.* TO plain"}},
	})
	set := read(t, s)
	for name, role := range map[string]bool{"boss@%": true, "chief@%": true, "idle@%": true, "plain@%": false, "root@localhost": false} {
		if a := set.Account(name); a == nil || a.Role != role {
			t.Errorf("%s: %+v", name, a)
		}
	}

	// A mandatory role is everybody's, and active from the login on (seen on 9.7).
	s.Exec(t, "DROP DATABASE lesson", "DROP USER direct, super, granted, byrole, byalter, roleofrole, idler, plain")
	passing(t, s, []who{
		{name: "earlier", make: []string{"SET GLOBAL mandatory_roles = 'idle, `chief`@`%`'"}, by: "everybody's role chief@%"},
		{name: "later", by: "everybody's role chief@%"},
	})
	// Roles may all be active from the login on.
	s.Exec(t, "DROP DATABASE lesson", "SET GLOBAL mandatory_roles = ''", "SET GLOBAL activate_all_roles_on_login = ON")
	passing(t, s, []who{{name: "atlogin", make: []string{"GRANT chief TO atlogin"}, by: "the role chief@%"}, {name: "none"}})
}

func TestWhoPassesByARoleOnMariaDB(t *testing.T) {
	s := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source, Flavor: sandbox.MariaDB})
	s.Exec(t, "CREATE ROLE boss", "CREATE ROLE chief", "CREATE ROLE idle", "CREATE ROLE `all`", "GRANT READ_ONLY ADMIN ON *.* TO boss", "GRANT boss TO chief",
		"GRANT ALL ON *.* TO `all`", "CREATE DATABASE lesson", "GRANT INSERT ON lesson.* TO idle", "DROP DATABASE lesson")
	passing(t, s, []who{
		{name: "direct", make: []string{"GRANT READ_ONLY ADMIN ON *.* TO direct"}, by: "READ_ONLY ADMIN"},
		{name: "super", make: []string{"GRANT SUPER ON *.* TO super"}},
		{name: "granted", make: []string{"GRANT boss TO granted"}, by: "the role boss@", first: "SET ROLE boss"},
		{name: "byrole", make: []string{"GRANT boss TO byrole", "SET DEFAULT ROLE boss FOR byrole"}, by: "the role boss@"},
		{name: "roleofrole", make: []string{"GRANT chief TO roleofrole", "SET DEFAULT ROLE chief FOR roleofrole"}, by: "the role chief@"},
		{name: "byall", make: []string{"GRANT `all` TO byall"}, by: "the role all@", first: "SET ROLE `all`"},
		{name: "idler", make: []string{"GRANT idle TO idler", "SET DEFAULT ROLE idle FOR idler"}},
		{name: "plain", make: []string{"GRANT PROCESS ON *.* TO plain"}},
	})
	set := read(t, s)
	for name, role := range map[string]bool{"boss@": true, "chief@": true, "plain@%": false} {
		if a := set.Account(name); a == nil || a.Role != role {
			t.Errorf("%s: %+v", name, a)
		}
	}
	s.Exec(t, "DROP DATABASE lesson", "DROP USER direct, super, granted, byrole, roleofrole, byall, idler, plain", "GRANT READ_ONLY ADMIN ON *.* TO PUBLIC")
	passing(t, s, []who{{name: "anybody", by: "everybody's role PUBLIC@"}})
}

// Whoever may not read the server's own tables is told so: a list of one's own would seem complete.
func TestWhoMayNotReadTheAccountsIsToldSo(t *testing.T) {
	for _, s := range []*sandboxtest.Server{sandboxtest.MySQLSource(t), sandboxtest.MariaDBSource(t)} {
		conn, err := s.DB(t, sandbox.App).Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		set, err := accounts.Read(t.Context(), conn, version(t, s))
		if err == nil || !strings.Contains(err.Error(), "denied") {
			t.Errorf("%s: %v, %v", s.Flavor, set, err)
		}
		_ = conn.Close()
	}
}

func TestAnAccountThatIsARoleTooIsAnAccount(t *testing.T) {
	s := sandboxtest.MySQLSource(t)
	s.Exec(t, "CREATE USER c1, c2, c3 IDENTIFIED BY 'Some-Pass-1'", "GRANT c1 TO c2", "GRANT c2 TO c3", "GRANT CONNECTION_ADMIN ON *.* TO c1")
	t.Cleanup(func() { s.Exec(t, "DROP USER c1, c2, c3") })
	how := read(t, s).Holders("CONNECTION_ADMIN")
	if how["c2@%"] != "the role c1@%" || how["c3@%"] != "the role c2@%" {
		t.Errorf("%v", slices.Sorted(maps.Keys(how)))
	}
	if a := read(t, s).Account("c1@%"); a.Role {
		t.Error("an account that may log in is no mere role")
	}
}

func TestHowAnAccountLogsIn(t *testing.T) {
	plugins := map[sandbox.Flavor]string{sandbox.MySQL: "caching_sha2_password", sandbox.MariaDB: "mysql_native_password"}
	for _, s := range []*sandboxtest.Server{sandboxtest.MySQLSource(t), sandboxtest.MariaDBSource(t)} {
		s.Exec(t, "CREATE USER open_door", "CREATE USER shut_door IDENTIFIED BY 'Some-Pass-1'", "CREATE ROLE some_role")
		t.Cleanup(func() { s.Exec(t, "DROP USER open_door, shut_door", "DROP ROLE some_role") })
		set := read(t, s)
		for name, bare := range map[string]bool{"open_door@%": true, "shut_door@%": false} {
			if a := set.Account(name); a == nil || a.Plugin != plugins[s.Flavor] || a.NoPassword != bare {
				t.Errorf("%s: %s: %+v", s.Flavor, name, a)
			}
		}
		if a := set.Account("some_role@"); s.Flavor == sandbox.MariaDB && (a == nil || a.Plugin != "" || a.NoPassword) {
			t.Errorf("a role: %+v", a)
		}
	}
}
