package fence

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"changeover/internal/accounts"
	"changeover/internal/server"
)

// writing are the privileges with which rows, or what they are in, can be changed.
var writing = []string{
	"INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "CREATE VIEW", "TRIGGER", "EVENT",
	"CREATE ROUTINE", "ALTER ROUTINE", "SUPER", "ALL PRIVILEGES", "DELETE HISTORY",
}

// administering are those with which a fence could be lifted, by intent or by mistake.
var administering = []string{
	"SUPER", "CREATE USER", "SYSTEM_VARIABLES_ADMIN", "CONNECTION_ADMIN", "CONNECTION ADMIN", "READ_ONLY ADMIN", "READ ONLY ADMIN",
}

// known is one account of the server, with what it may do that matters here.
type known struct {
	Account
	role      bool
	writes    string // the privilege by which it may write the migration's databases, or the role that has it
	passes    string // the privilege by which it passes read_only, or the role
	admin     string // the privilege by which it could lift a fence, or the role
	protected bool   // has SYSTEM_USER: only its like may lock or kill it
}

// accounts reads all accounts of the server. Too many may seem to write: a grant on a pattern counts
// wherever the pattern matches, though a server looks at the most specific one only. To lock one that
// could not have written anything is no harm.
func (f *facts) accounts(ctx context.Context) ([]*known, error) {
	set, err := accounts.Read(ctx, f.q, f.version)
	if err != nil {
		return nil, err
	}
	writes := map[string]string{}
	for _, a := range set.All() {
		mark(writes, a.String(), a.Holds(writing...))
	}
	if err := f.markLocal(ctx, writes); err != nil {
		return nil, fmt.Errorf("read privileges on databases: %w", err)
	}
	if err := f.markExecute(ctx, writes); err != nil {
		return nil, fmt.Errorf("read privileges on routines: %w", err)
	}
	set.Spread(writes)
	passes, admin, protected := set.Holders(accounts.Passing(f.version)...), set.Holders(administering...), map[string]string{}
	if f.version.Flavor == server.MySQL {
		protected = set.Holders("SYSTEM_USER")
	}
	var all []*known
	for _, a := range set.All() {
		name := a.String()
		all = append(all, &known{Account: Account{User: a.User, Host: a.Host, Locked: a.Locked}, role: a.Role,
			writes: writes[name], passes: passes[name], admin: admin[name], protected: protected[name] != ""})
	}
	return all, nil
}

// listAccounts reads the accounts without what they may do.
func (f *facts) listAccounts(ctx context.Context) ([]*known, error) {
	list, err := accounts.List(ctx, f.q, f.version.Flavor)
	all := make([]*known, 0, len(list))
	for _, a := range list {
		all = append(all, &known{Account: Account{User: a.User, Host: a.Host, Locked: a.Locked}, role: a.Role})
	}
	return all, err
}

// markLocal looks at grants on databases, tables and columns.
func (f *facts) markLocal(ctx context.Context, writes map[string]string) error {
	rows, err := ask(ctx, f.q, `
		SELECT GRANTEE AS grantee, TABLE_SCHEMA AS pattern, PRIVILEGE_TYPE AS privilege, 1 AS database_wide FROM information_schema.SCHEMA_PRIVILEGES
		UNION SELECT GRANTEE, TABLE_SCHEMA, PRIVILEGE_TYPE, 0 FROM information_schema.TABLE_PRIVILEGES
		UNION SELECT GRANTEE, TABLE_SCHEMA, PRIVILEGE_TYPE, 0 FROM information_schema.COLUMN_PRIVILEGES`)
	for _, r := range rows {
		if privilege := strings.ToUpper(r["privilege"]); slices.Contains(writing, privilege) && f.concerns(r["pattern"], r["database_wide"] == "1") {
			mark(writes, accounts.Plain(r["grantee"]), privilege)
		}
	}
	return err
}

// concerns tells whether a grant is about one of the migration's databases. Only a grant on a whole
// database is a pattern.
func (f *facts) concerns(pattern string, isPattern bool) bool {
	return slices.ContainsFunc(f.o.Databases, func(d string) bool {
		return strings.EqualFold(pattern, d) || isPattern && like(strings.ToLower(pattern), strings.ToLower(d))
	})
}

// markExecute: whoever may call a routine that runs as its definer writes what its definer may.
func (f *facts) markExecute(ctx context.Context, writes map[string]string) error {
	rows, err := ask(ctx, f.q, "SELECT DISTINCT ROUTINE_SCHEMA AS name FROM information_schema.ROUTINES WHERE SECURITY_TYPE = 'DEFINER'")
	if err != nil {
		return err
	}
	routines := slices.DeleteFunc(rows, func(r row) bool { return f.systemDatabase(r["name"]) })
	if len(routines) == 0 {
		return nil
	}
	grants, err := ask(ctx, f.q, `
		SELECT GRANTEE AS grantee, '%' AS pattern FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'EXECUTE'
		UNION SELECT GRANTEE, TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES WHERE PRIVILEGE_TYPE = 'EXECUTE'
		UNION SELECT CONCAT('''', User, '''@''', Host, ''''), Db FROM mysql.procs_priv`)
	for _, g := range grants {
		if slices.ContainsFunc(routines, func(r row) bool { return like(strings.ToLower(g["pattern"]), strings.ToLower(r["name"])) }) {
			mark(writes, accounts.Plain(g["grantee"]), "EXECUTE")
		}
	}
	return err
}

// mark notes by what an account writes, the first that is found.
func mark(writes map[string]string, account, privilege string) {
	if writes[account] == "" && privilege != "" {
		writes[account] = privilege
	}
}

// loopback tells whether an account can only come from the server's own machine.
func (a Account) loopback() bool {
	return slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, a.Host)
}

// like matches as a grant on a database does.
func like(pattern, s string) bool { return accounts.Like(pattern, s) }

// names lists what it is given, the first ten of it.
func names[T fmt.Stringer](all []T) string {
	text := make([]string, 0, len(all))
	for _, a := range all {
		text = append(text, a.String())
	}
	return list(text)
}

func list(all []string) string {
	const most = 10
	if len(all) > most {
		return strings.Join(all[:most], ", ") + fmt.Sprintf(" and %d more", len(all)-most)
	}
	return strings.Join(all, ", ")
}

// userNames are the names of accounts, without their hosts.
func userNames(accounts []Account) []string {
	users := map[string]bool{}
	for _, a := range accounts {
		users[a.User] = true
	}
	return slices.Sorted(maps.Keys(users))
}
