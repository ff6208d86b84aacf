package fence

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"changeover/internal/accounts"
	"changeover/internal/server"
)

// system are the databases that are nobody's: the server's own, the cloud's, and Changeover's.
var system = []string{
	"mysql", "sys", "information_schema", "performance_schema", "_changeover",
	"innodb", "tmp", "mysql_innodb_cluster_metadata",
}

// facts is what is known of a server while a fence is planned for it.
type facts struct {
	q         Session
	o         Options
	version   server.Version
	text      string // the version as the server says it
	account   string // the session's own: user@host
	grants    accounts.Grants
	procedure bool // mysql.rds_set_read_only is there, and may be called
}

func learn(ctx context.Context, q Session, o Options) (*facts, error) {
	f := &facts{q: q, o: o}
	if err := q.QueryRowContext(ctx, "SELECT VERSION(), CURRENT_USER()").Scan(&f.text, &f.account); err != nil {
		return nil, fmt.Errorf("ask who the server is: %w", err)
	}
	var err error
	if f.version, err = server.ParseVersion(f.text); err != nil {
		return nil, err
	}
	if err := f.askGrants(ctx); err != nil {
		return nil, fmt.Errorf("ask what %s may do: %w", f.account, err)
	}
	rows, err := ask(ctx, q, "SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'mysql' AND ROUTINE_NAME = 'rds_set_read_only'")
	f.procedure = len(rows) > 0
	if err != nil {
		return nil, fmt.Errorf("look for mysql.rds_set_read_only: %w", err)
	}
	return f, nil
}

// askGrants reads what the account may do with the roles that are active now.
func (f *facts) askGrants(ctx context.Context) error {
	query := "SHOW GRANTS"
	if f.mysql(8, 0, 0) {
		var roles string
		if err := f.q.QueryRowContext(ctx, "SELECT CURRENT_ROLE()").Scan(&roles); err != nil {
			return err
		}
		if roles != "" && roles != "NONE" {
			query = "SHOW GRANTS FOR CURRENT_USER() USING " + roles // quoted by the server itself
		}
	}
	lines, err := grantLines(ctx, f.q, query)
	f.grants = accounts.ParseGrants(lines)
	return err
}

func grantLines(ctx context.Context, q Session, query string) (lines []string, err error) {
	rows, err := ask(ctx, q, query)
	for _, r := range rows {
		for _, line := range r { // one column, whose name is the account
			lines = append(lines, line)
		}
	}
	return lines, err
}

func (f *facts) mysql(major, minor, patch int) bool {
	return f.version.Flavor == server.MySQL && f.version.AtLeast(major, minor, patch)
}

func (f *facts) maria(major, minor, patch int) bool {
	return f.version.Flavor == server.MariaDB && f.version.AtLeast(major, minor, patch)
}

// may tells whether the session's account holds one of the global privileges. ALL PRIVILEGES has every
// one on MariaDB; on MySQL dynamic ones are listed apart.
func (f *facts) may(names ...string) bool {
	if f.grants.Global("ALL PRIVILEGES") {
		if f.version.Flavor == server.MariaDB {
			return true
		}
		if slices.ContainsFunc(names, func(n string) bool { return !strings.Contains(n, "_") }) {
			return true
		}
	}
	return f.grants.Global(names...)
}

// passing is what lets an account write while read_only is on.
func (f *facts) passing() []string { return accounts.Passing(f.version) }

// setting is what it takes to set read_only.
func (f *facts) setting() []string {
	switch {
	case f.maria(10, 5, 2):
		return []string{"READ_ONLY ADMIN", "READ ONLY ADMIN", "SUPER"}
	case f.mysql(8, 0, 0):
		return []string{"SYSTEM_VARIABLES_ADMIN", "SUPER"}
	}
	return []string{"SUPER"}
}

// own tells whether an account is Changeover's.
func (f *facts) own(account string) bool {
	return account == f.account || slices.Contains(f.o.Own, account)
}

func (f *facts) systemAccount(a Account) bool { return accounts.System(a.User) }

// others lists the databases on the server that are not the migration's and hold something, or can't be
// seen not to: information_schema has only tables of databases on which the account holds something, while
// SHOW DATABASES tells of all.
func (f *facts) others(ctx context.Context) ([]string, error) {
	rows, err := ask(ctx, f.q, `
		SELECT DISTINCT d AS name FROM (
			SELECT TABLE_SCHEMA AS d FROM information_schema.TABLES
			UNION SELECT ROUTINE_SCHEMA FROM information_schema.ROUTINES
			UNION SELECT EVENT_SCHEMA FROM information_schema.EVENTS) x
		ORDER BY d`)
	if err != nil {
		return nil, fmt.Errorf("list the server's databases: %w", err)
	}
	var others []string
	for _, r := range rows {
		others = append(others, r["name"])
	}
	if rows, err = ask(ctx, f.q, "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME"); err != nil {
		return nil, fmt.Errorf("list the server's databases: %w", err)
	}
	for _, r := range rows {
		if name := r["name"]; !slices.Contains(others, name) && !f.grants.On(name, "SELECT") {
			others = append(others, name)
		}
	}
	return slices.DeleteFunc(others, func(name string) bool {
		return f.systemDatabase(name) || slices.Contains(f.o.Databases, name)
	}), nil
}

func (f *facts) systemDatabase(name string) bool {
	return slices.ContainsFunc(system, func(s string) bool { return strings.EqualFold(s, name) })
}

// writerOf lists the other migrations of which this server is the writer by its own route row.
func (f *facts) writerOf(ctx context.Context) ([]string, error) {
	rows, err := ask(ctx, f.q, "SELECT migration FROM `_changeover`.`route` WHERE side = writer AND migration <> ? ORDER BY migration", f.o.Migration)
	switch number(err) {
	case 1049, erNoTable, erAccessDenied, erTableDenied:
		return nil, nil // no Changeover has flipped here
	}
	var names []string
	for _, r := range rows {
		names = append(names, r["migration"])
	}
	return names, err
}

// variable reads a global variable; ok is false if the server has none of that name.
func variable(ctx context.Context, q Session, name string) (value string, ok bool, err error) {
	rows, err := ask(ctx, q, "SHOW GLOBAL VARIABLES WHERE Variable_name = ?", name)
	if err != nil || len(rows) == 0 {
		return "", false, err
	}
	return rows[0]["value"], true, nil
}

func on(value string) bool {
	switch strings.ToUpper(value) {
	case "ON", "1", "YES", "TRUE":
		return true
	}
	return false // MariaDB 12: read_only is OFF, ON, NO_LOCK…: see readOnly
}

// readOnly asks whether the server refuses writes now.
func readOnly(ctx context.Context, q Session) (bool, error) {
	value, _, err := variable(ctx, q, "read_only")
	if err != nil {
		return false, fmt.Errorf("ask whether the server is read only: %w", err)
	}
	return value != "" && !strings.EqualFold(value, "OFF") && value != "0", nil
}
