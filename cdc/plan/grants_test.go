package plan

import "testing"

func TestGrantsAsServersPrintThem(t *testing.T) {
	g := ParseGrants([]string{
		"GRANT SELECT, REPLICATION SLAVE ON *.* TO `c`@`%`",
		"GRANT CONNECTION_ADMIN,SYSTEM_VARIABLES_ADMIN ON *.* TO `c`@`%` WITH GRANT OPTION",
		"GRANT ALL PRIVILEGES ON `school`.* TO `c`@`%`",
		"GRANT INSERT ON `sch%`.* TO `c`@`%`",
		"GRANT UPDATE ON `a\\_b`.* TO `c`@`%`",
		"GRANT DELETE ON `one`.`table` TO `c`@`%`",
		"GRANT `role`@`%` TO `c`@`%`",
		"GRANT PROXY ON ``@`` TO `c`@`%`",
		"REVOKE SELECT ON `secret`.* FROM `c`@`%`",
		"nonsense",
	})
	for _, c := range []struct {
		database, priv string
		want           bool
	}{
		{"any", "SELECT", true}, {"secret", "SELECT", false}, {"school", "LOCK TABLES", true}, {"school", "CREATE VIEW", true},
		{"schools", "INSERT", true}, {"schools", "LOCK TABLES", false}, {"a_b", "UPDATE", true}, {"axb", "UPDATE", false},
		{"one", "DELETE", false}, {"school", "CONNECTION_ADMIN", true}, // held globally
	} {
		if g.On(c.database, c.priv) != c.want {
			t.Errorf("%s on %s is not %v", c.priv, c.database, c.want)
		}
	}
	if !g.Global("BINLOG MONITOR", "REPLICATION SLAVE") || g.Global("SUPER") {
		t.Error("global privileges")
	}
	if missing := g.Missing("schools", "INSERT", "DELETE", "SELECT"); len(missing) != 1 || missing[0] != "DELETE" {
		t.Error(missing)
	}
}

func TestRolesOfRolesPass(t *testing.T) {
	by := map[string]string{"boss@%": "SUPER"}
	spreadRoles(by, []edge{{"lead@%", "clerk@%"}, {"boss@%", "lead@%"}, {"other@%", "guest@%"}, {"clerk@%", "lead@%"}})
	if by["clerk@%"] != "the role lead@%" || by["lead@%"] != "the role boss@%" || by["guest@%"] != "" {
		t.Error(by)
	}
}

func FuzzGrantPatternsNeverPanic(f *testing.F) {
	f.Add("GRANT SELECT ON `a\\_%`.* TO `x`@`%`", "a_b")
	f.Fuzz(func(_ *testing.T, line, database string) {
		if len(line) < 64 && len(database) < 16 { // % is matched by trying
			ParseGrants([]string{line}).On(database, "SELECT")
		}
	})
}
