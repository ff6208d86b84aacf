package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// privileges of the accounts, as the manuals of the services list them.
const (
	// Of Aurora MySQL's rds_superuser_role; the one for definers has another name since 8.2.
	auroraMaster = "ALTER, ALTER ROUTINE, APPLICATION_PASSWORD_ADMIN, CONNECTION_ADMIN, CREATE, CREATE ROLE, " +
		"CREATE ROUTINE, CREATE TEMPORARY TABLES, CREATE USER, CREATE VIEW, DELETE, DROP, DROP ROLE, EVENT, EXECUTE, " +
		"INDEX, INSERT, LOCK TABLES, PROCESS, REFERENCES, RELOAD, REPLICATION CLIENT, REPLICATION SLAVE, ROLE_ADMIN, " +
		"SELECT, SHOW DATABASES, SHOW VIEW, TRIGGER, UPDATE, XA_RECOVER_ADMIN, "

	rdsMariaDBMaster = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, " +
		"SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, BINLOG MONITOR, CREATE VIEW, " +
		"SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, REPLICA MONITOR"

	// What Changeover needs of a source: to read it, and after the flip to write it behind its
	// fence. The names differ by server only past the common ones.
	ownCommon = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES, " +
		"CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW, " +
		"CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, "
	ownMySQL = "CONNECTION_ADMIN, SYSTEM_VARIABLES_ADMIN, PERSIST_RO_VARIABLES_ADMIN, SHOW_ROUTINE, REPLICATION_APPLIER, " +
		"REPLICATION_SLAVE_ADMIN, BINLOG_ADMIN, XA_RECOVER_ADMIN, "
	ownMariaDB = "SUPER, CONNECTION ADMIN, READ_ONLY ADMIN, BINLOG ADMIN, BINLOG REPLAY, SET USER, " +
		"REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, REPLICA MONITOR"

	application = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, " +
		"LOCK TABLES, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, TRIGGER"
)

// accountsSQL makes the accounts of a new server, one statement a line, for its init file. It
// isn't written to the binlog: a stream must not begin with it.
func accountsSQL(b binary, role Role, password func(Account) (string, error)) (string, error) {
	var sql strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&sql, format+";\n", args...) }
	var firstErr error
	secret := func(a Account) string {
		p, err := password(a)
		if err != nil && firstErr == nil {
			firstErr = err
		}
		return p // letters and digits: nothing to quote
	}
	create := func(a Account, privileges string) {
		line("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", a, secret(a))
		line("GRANT %s ON *.* TO '%s'@'%%' WITH GRANT OPTION", privileges, a)
	}

	line("SET SESSION sql_log_bin = 0")
	line("ALTER USER 'root'@'localhost' IDENTIFIED BY '%s'", secret(Root))
	line("CREATE USER 'root'@'127.0.0.1' IDENTIFIED BY '%s'", secret(Root))
	line("GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION")

	definer := "SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER"
	if !b.atLeast(8, 2) {
		definer = "SET_USER_ID"
	}
	master, own := auroraMaster+definer, ownCommon+ownMySQL+definer
	if b.flavor == MariaDB {
		master, own = rdsMariaDBMaster, ownCommon+ownMariaDB
	}
	if role == Target {
		create(Admin, master)
		// Aurora's way to fence a server: who has CONNECTION_ADMIN passes, a restart forgets it.
		line("CREATE DEFINER='root'@'localhost' PROCEDURE mysql.rds_set_read_only(wanted TINYINT) SQL SECURITY DEFINER SET GLOBAL read_only = wanted")
		line("GRANT EXECUTE ON PROCEDURE mysql.rds_set_read_only TO '%s'@'%%'", Admin)
	} else {
		create(Changeover, own)
		create(RDSLike, master)
	}

	line("CREATE USER 'app'@'%%' IDENTIFIED BY '%s'", secret(App))
	line("GRANT %s ON `%%`.* TO 'app'@'%%'", application)
	// A server looks only at the most specific database grant that matches: these take the
	// system's databases away from the one above. A gate reads its route in `_changeover`.
	for _, db := range []string{"mysql", "sys"} {
		line("GRANT EXECUTE ON `%s`.* TO 'app'@'%%'", db)
	}
	line("GRANT SELECT ON `\\_changeover`.* TO 'app'@'%%'")
	return sql.String(), firstErr
}

// secrets is a folder of passwords, one 0600 file each.
type secrets string

// password returns the account's password; the first call makes it up.
func (s secrets) password(file string) (string, error) {
	path := filepath.Join(string(s), file)
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	p := rand.Text()
	return p, os.WriteFile(path, []byte(p+"\n"), 0o600)
}
