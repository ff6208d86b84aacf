package fence

import "testing"

func TestWhatAStatementWouldBeInTheWayWith(t *testing.T) {
	for statement, want := range map[string]string{
		"UPDATE t SET a = 1":                           blockStatement,
		"/* app:42 */ insert into t values (1)":        blockStatement,
		"-- why\n\tREPLACE t VALUES (1)":               blockStatement,
		"SELECT 1 FROM t FOR  UPDATE":                  blockStatement,
		"SELECT * FROM t INTO OUTFILE 'x'":             blockStatement,
		"WITH x AS (SELECT 1) DELETE FROM t":           blockStatement,
		"CALL p()":                                     blockStatement,
		"ALTER TABLE t ADD COLUMN a INT":               blockDDL,
		"(ALTER TABLE t FORCE)":                        blockDDL,
		"LOCK TABLES t WRITE":                          blockLock,
		"FLUSH TABLES WITH READ LOCK":                  blockLock,
		"FLUSH NO_WRITE_TO_BINLOG TABLES t FOR EXPORT": blockLock,
		"LOCK INSTANCE FOR BACKUP":                     blockBackup,
		"BACKUP STAGE START":                           blockBackup,
		"":                                             "",
		"SELECT * FROM t":                              "",
		"SELECT 'UPDATE' FROM t":                       "",
		"WITH x AS (SELECT 1) SELECT * FROM x":         "",
		"FLUSH STATUS":                                 "",
		"SHOW PROCESSLIST":                             "",
		"SET GLOBAL read_only = 1":                     "",
		"/* a comment that does not end UPDATE t":      "",
	} {
		if got := kindOf(statement); got != want {
			t.Errorf("%q: %q, want %q", statement, got, want)
		}
	}
}

func TestWhichAccountASessionMayHave(t *testing.T) {
	for _, c := range []struct {
		host, client string
		want         bool
	}{
		{"%", "10.1.2.3:4711", true},
		{"10.1.%", "10.1.2.3:4711", true},
		{"10.1.%", "10.2.2.3:4711", false},
		{"localhost", "localhost", true},
		{"localhost", "10.1.2.3:4711", false},
		{"127.0.0.1", "localhost:4711", true}, // the server resolves names
		{"::1", "[::1]:4711", true},
		{"web1.example.com", "10.1.2.3:4711", true}, // who knows
		{"10.0.0.0/255.0.0.0", "10.1.2.3:4711", true},
	} {
		if got := (Account{User: "app", Host: c.host}).admits(c.client); got != c.want {
			t.Errorf("%s from %s: %v", c.host, c.client, got)
		}
	}
}
