package fence

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"changeover/cdc/plan"
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
	all, err := f.listAccounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the accounts: %w", err)
	}
	by := map[string]*known{}
	for _, k := range all {
		by[k.String()] = k
	}
	if err := f.markGlobal(ctx, by); err != nil {
		return nil, fmt.Errorf("read global privileges: %w", err)
	}
	if err := f.markLocal(ctx, by); err != nil {
		return nil, fmt.Errorf("read privileges on databases: %w", err)
	}
	if err := f.markExecute(ctx, by); err != nil {
		return nil, fmt.Errorf("read privileges on routines: %w", err)
	}
	edges, err := f.edges(ctx, all)
	if err != nil {
		return nil, fmt.Errorf("read roles: %w", err)
	}
	spread(by, edges)
	slices.SortFunc(all, func(a, b *known) int { return cmp.Compare(a.String(), b.String()) })
	return all, nil
}

func (f *facts) listAccounts(ctx context.Context) ([]*known, error) {
	query := "SELECT User, Host, account_locked = 'Y' AS locked, 0 AS role FROM mysql.user"
	if f.version.Flavor == server.MariaDB {
		query = `
			SELECT User, Host, COALESCE(JSON_VALUE(Priv, '$.account_locked') IN ('true', '1'), 0) AS locked,
				COALESCE(JSON_VALUE(Priv, '$.is_role') IN ('true', '1'), 0) AS role
			FROM mysql.global_priv`
	}
	rows, err := ask(ctx, f.q, query)
	all := make([]*known, 0, len(rows))
	for _, r := range rows {
		all = append(all, &known{Account: Account{User: r["user"], Host: r["host"], Locked: r["locked"] == "1"}, role: r["role"] == "1"})
	}
	return all, err
}

func (f *facts) markGlobal(ctx context.Context, by map[string]*known) error {
	rows, err := ask(ctx, f.q, "SELECT GRANTEE AS grantee, PRIVILEGE_TYPE AS privilege FROM information_schema.USER_PRIVILEGES")
	for _, r := range rows {
		k, privilege := by[plainAccount(r["grantee"])], r["privilege"]
		if k == nil {
			continue
		}
		mark(&k.writes, privilege, writing)
		mark(&k.passes, privilege, f.passing())
		mark(&k.admin, privilege, administering)
		k.protected = k.protected || privilege == "SYSTEM_USER"
	}
	if err != nil || f.version.Flavor != server.MariaDB {
		return err
	}
	return f.markRoles(ctx, by)
}

// markRoles: MariaDB leaves the roles out of USER_PRIVILEGES (seen on 10.11).
func (f *facts) markRoles(ctx context.Context, by map[string]*known) error {
	for _, k := range by {
		if !k.role {
			continue
		}
		name := server.Name(k.User)
		if strings.EqualFold(k.User, "PUBLIC") {
			name = k.User // a keyword there
		}
		lines, err := grantLines(ctx, f.q, "SHOW GRANTS FOR "+name)
		if err != nil {
			return fmt.Errorf("of the role %s: %w", k.User, err)
		}
		grants := plan.ParseGrants(lines)
		for _, p := range []struct {
			how   *string
			among []string
		}{{&k.writes, writing}, {&k.passes, append(f.passing(), "ALL PRIVILEGES")}, {&k.admin, append([]string{"ALL PRIVILEGES"}, administering...)}} {
			for _, privilege := range p.among {
				if grants.Global(privilege) {
					mark(p.how, privilege, p.among)
				}
			}
		}
	}
	return nil
}

// markLocal looks at grants on databases, tables and columns.
func (f *facts) markLocal(ctx context.Context, by map[string]*known) error {
	rows, err := ask(ctx, f.q, `
		SELECT GRANTEE AS grantee, TABLE_SCHEMA AS pattern, PRIVILEGE_TYPE AS privilege, 1 AS database_wide FROM information_schema.SCHEMA_PRIVILEGES
		UNION SELECT GRANTEE, TABLE_SCHEMA, PRIVILEGE_TYPE, 0 FROM information_schema.TABLE_PRIVILEGES
		UNION SELECT GRANTEE, TABLE_SCHEMA, PRIVILEGE_TYPE, 0 FROM information_schema.COLUMN_PRIVILEGES`)
	for _, r := range rows {
		k := by[plainAccount(r["grantee"])]
		if k == nil || !f.concerns(r["pattern"], r["database_wide"] == "1") {
			continue
		}
		mark(&k.writes, r["privilege"], writing)
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
func (f *facts) markExecute(ctx context.Context, by map[string]*known) error {
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
		k := by[plainAccount(g["grantee"])]
		if k != nil && slices.ContainsFunc(routines, func(r row) bool {
			return like(strings.ToLower(g["pattern"]), strings.ToLower(r["name"]))
		}) {
			mark(&k.writes, "EXECUTE", []string{"EXECUTE"})
		}
	}
	return err
}

func mark(how *string, privilege string, among []string) {
	if *how == "" && slices.Contains(among, strings.ToUpper(privilege)) {
		*how = strings.ToUpper(privilege)
	}
}

// edge says that the account may take the role, or become the account that is its proxy's.
type edge struct{ role, account, how string }

func (f *facts) edges(ctx context.Context, all []*known) ([]edge, error) {
	query, everybody := "", ""
	switch {
	case f.mysql(8, 0, 0):
		query = "SELECT CONCAT(FROM_USER, '@', FROM_HOST) AS role, CONCAT(TO_USER, '@', TO_HOST) AS account FROM mysql.role_edges"
		mandatory, _, err := variable(ctx, f.q, "mandatory_roles")
		if err != nil {
			return nil, err
		}
		everybody = mandatory
	case f.version.Flavor == server.MariaDB:
		query = "SELECT CONCAT(Role, '@') AS role, CONCAT(User, '@', Host) AS account FROM mysql.roles_mapping"
		everybody = "PUBLIC@"
	default:
		return nil, nil // MySQL 5.7 has no roles
	}
	rows, err := ask(ctx, f.q, query)
	if err != nil {
		return nil, err
	}
	proxies, err := ask(ctx, f.q, "SELECT CONCAT(Proxied_user, '@', Proxied_host) AS role, CONCAT(User, '@', Host) AS account FROM mysql.proxies_priv WHERE Proxied_user <> ''")
	if err != nil {
		return nil, err
	}
	var edges []edge
	for _, r := range rows {
		edges = append(edges, edge{r["role"], r["account"], "the role "})
	}
	for _, r := range proxies {
		edges = append(edges, edge{r["role"], r["account"], "as a proxy of "})
	}
	for role := range strings.SplitSeq(everybody, ",") {
		role = strings.NewReplacer("`", "", "'", "").Replace(strings.TrimSpace(role))
		if role == "" {
			continue
		}
		if !strings.Contains(role, "@") {
			role += "@%"
		}
		for _, k := range all {
			edges = append(edges, edge{role, k.String(), "everybody's role "})
		}
	}
	return edges, nil
}

// spread gives the accounts what their roles have, roles of roles included. It does not matter whether
// a role is active by default: it can be taken at any time.
func spread(by map[string]*known, edges []edge) {
	for grown := true; grown; {
		grown = false
		for _, e := range edges {
			role, account := by[e.role], by[e.account]
			if role == nil || account == nil || role == account {
				continue
			}
			for _, p := range [][2]*string{
				{&role.writes, &account.writes}, {&role.passes, &account.passes}, {&role.admin, &account.admin},
			} {
				if *p[0] != "" && *p[1] == "" {
					*p[1] = e.how + e.role
					grown = true
				}
			}
			if role.protected && !account.protected {
				account.protected, grown = true, true
			}
		}
	}
}

// plainAccount turns 'user'@'host', as information_schema writes it, into user@host.
func plainAccount(grantee string) string {
	user, host, ok := strings.Cut(grantee, "'@'")
	if !ok {
		return strings.Trim(grantee, "'") + "@"
	}
	return strings.TrimPrefix(user, "'") + "@" + strings.TrimSuffix(host, "'")
}

// loopback tells whether an account can only come from the server's own machine.
func (a Account) loopback() bool {
	return slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, a.Host)
}

// like matches as a grant on a database does: % is any characters, _ is one, a backslash takes both
// their meaning.
func like(pattern, s string) bool {
	for pattern != "" {
		c, literal := pattern[0], false
		if c == '\\' && len(pattern) > 1 {
			pattern = pattern[1:]
			c, literal = pattern[0], true
		}
		pattern = pattern[1:]
		if c == '%' && !literal {
			for i := range len(s) + 1 {
				if like(pattern, s[i:]) {
					return true
				}
			}
			return false
		}
		if s == "" || s[0] != c && (c != '_' || literal) {
			return false
		}
		s = s[1:]
	}
	return s == ""
}

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
