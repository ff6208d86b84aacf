package compat

import (
	"strings"
	"testing"

	"changeover/verify/compat/ddl"
)

func TestEvidenceHasNoPasswords(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE TABLE f (id int COMMENT 'seen') ENGINE=FEDERATED CONNECTION='mysql://root:hidden@h/d/t' COMMENT='seen'": "CREATE TABLE f (id int COMMENT 'seen') ENGINE=FEDERATED CONNECTION='…' COMMENT='seen'",
		"CREATE USER 'seen'@'%' IDENTIFIED BY 'hidden', b IDENTIFIED WITH x AS 'hidden' COMMENT 'seen'":                 "CREATE USER 'seen'@'%' IDENTIFIED BY '…', b IDENTIFIED WITH x AS '…' COMMENT 'seen'",
		"CREATE USER b IDENTIFIED VIA ed25519 USING PASSWORD('hidden') OR y USING 'hidden'":                             "CREATE USER b IDENTIFIED VIA ed25519 USING PASSWORD('…') OR y USING '…'",
		"SET PASSWORD FOR 'seen'@'%' = 'hidden'":                                                                        "SET PASSWORD FOR 'seen'@'%' = '…'",
		"SET PASSWORD = PASSWORD('hidden')":                                                                             "SET PASSWORD = PASSWORD('…')",
		"ALTER USER a IDENTIFIED BY 'hidden' REPLACE 'hidden'":                                                          "ALTER USER a IDENTIFIED BY '…' REPLACE '…'",
		"GRANT SELECT ON *.* TO x IDENTIFIED BY PASSWORD '*hidden'":                                                     "GRANT SELECT ON *.* TO x IDENTIFIED BY PASSWORD '…'",
		"CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER 'seen', PASSWORD 'hidden')":                           "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER 'seen', PASSWORD '…')",
		"CHANGE MASTER TO MASTER_HOST='seen', MASTER_PASSWORD='hidden'":                                                 "CHANGE MASTER TO MASTER_HOST='seen', MASTER_PASSWORD='…'",
		"CREATE VIEW v AS SELECT 'seen' AS 'seen', a = 'seen' FROM t":                                                   "CREATE VIEW v AS SELECT 'seen' AS 'seen', a = 'seen' FROM t",
	} {
		st := ddl.Read(ddl.NewFile("a.sql", sql), ddl.MariaDB, false)[0]
		if got := evidence(&st, st.Start, st.End); got != want || strings.Contains(got, "hidden") {
			t.Errorf("\t%s\nshows\n\t%s\ninstead of\n\t%s", sql, got, want)
		}
	}
	st := ddl.Read(ddl.NewFile("a.sql", "SELECT 1, 'seen'"), ddl.MySQL, false)[0]
	if got := evidence(&st, 7, 8); got != "1" {
		t.Errorf("a part is %q", got)
	}
}
