// Package accounts says who may do what on a server.
//
// In: a session that may read the server's own tables. Out: its accounts with what they hold everywhere,
// and who comes by it through a role. The decision that matters: whether a role is active does not
// matter. Who may take one is taken to have what it has, since SET ROLE is one statement away.
package accounts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"changeover/internal/server"
)

// Account is an account of a server, or a role.
type Account struct {
	User, Host string
	Locked     bool
	// Role: nobody logs in with it. On MySQL that is a locked account which somebody may take as a role.
	Role   bool
	Plugin string // by which it logs in, the first of several
	// NoPassword: it logs in by an empty password.
	NoPassword bool

	global map[string]bool // what it holds on *.* by itself
}

func (a *Account) String() string { return a.User + "@" + a.Host }

// Holds tells which of the privileges the account holds on *.* by itself, the first that it does; empty:
// none.
func (a *Account) Holds(names ...string) string {
	for _, n := range names {
		if a.global[n] {
			return n
		}
	}
	if a.global[AllStatic] {
		return AllStatic // only of a role of MariaDB's, where it has every one: others are listed one by one
	}
	return ""
}

// edge says that the account may take the role, or become the account that is its proxy's.
type edge struct{ role, account, how string }

// Set is all accounts of a server. It does not change any more.
type Set struct {
	all   []*Account
	by    map[string]*Account
	edges []edge
}

// All lists the accounts and roles by name.
func (s *Set) All() []*Account { return s.all }

// Account is the one of that name, user@host; nil if there is none. A role of MariaDB has no host.
func (s *Set) Account(name string) *Account { return s.by[name] }

// byPassword are the plugins to which an empty secret is an empty password. To the others, such as sockets,
// it says nothing.
var byPassword = []string{"mysql_native_password", "caching_sha2_password", "sha256_password", "mysql_old_password"}

// List reads the accounts of a server, without what they may do. It takes SELECT on mysql.
func List(ctx context.Context, q server.Queryer, flavor server.Flavor) ([]*Account, error) {
	query := `
		SELECT User AS user, Host AS host, account_locked = 'Y' AS locked, 0 AS role, plugin, COALESCE(authentication_string, '') = '' AS bare
		FROM mysql.user`
	if flavor == server.MariaDB {
		query = `
			SELECT User AS user, Host AS host, COALESCE(JSON_VALUE(Priv, '$.account_locked') IN ('true', '1'), 0) AS locked,
				COALESCE(JSON_VALUE(Priv, '$.is_role') IN ('true', '1'), 0) AS role,
				JSON_VALUE(Priv, '$.plugin') AS plugin, COALESCE(JSON_VALUE(Priv, '$.authentication_string'), '') = '' AS bare
			FROM mysql.global_priv`
	}
	rows, err := ask(ctx, q, query)
	if err != nil {
		return nil, fmt.Errorf("list the accounts: %w", err)
	}
	all := make([]*Account, 0, len(rows))
	for _, r := range rows {
		all = append(all, &Account{User: r[0], Host: r[1], Locked: r[2] == "1", Role: r[3] == "1", Plugin: r[4],
			NoPassword: r[5] == "1" && slices.Contains(byPassword, r[4]), global: map[string]bool{}})
	}
	slices.SortFunc(all, func(a, b *Account) int { return strings.Compare(a.String(), b.String()) })
	return all, nil
}

// Read reads a server's accounts, what they hold on *.* and which roles they may take. It takes SELECT
// on mysql: without, the server's error.
func Read(ctx context.Context, q server.Queryer, v server.Version) (*Set, error) {
	all, err := List(ctx, q, v.Flavor)
	if err != nil {
		return nil, err
	}
	s := &Set{all: all, by: map[string]*Account{}}
	for _, a := range all {
		s.by[a.String()] = a
	}
	if err := s.readGlobal(ctx, q); err != nil {
		return nil, fmt.Errorf("read global privileges: %w", err)
	}
	if v.Flavor == server.MariaDB {
		if err := s.readRoles(ctx, q); err != nil {
			return nil, fmt.Errorf("read the privileges of roles: %w", err)
		}
	}
	if err := s.readEdges(ctx, q, v); err != nil {
		return nil, fmt.Errorf("read who may take which role: %w", err)
	}
	return s, nil
}

func (s *Set) readGlobal(ctx context.Context, q server.Queryer) error {
	rows, err := ask(ctx, q, "SELECT GRANTEE, PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES")
	for _, r := range rows {
		if a := s.by[Plain(r[0])]; a != nil {
			a.global[strings.ToUpper(r[1])] = true
		}
	}
	return err
}

// readRoles: MariaDB leaves the roles out of USER_PRIVILEGES (seen on 10.11).
func (s *Set) readRoles(ctx context.Context, q server.Queryer) error {
	for _, a := range s.all {
		if !a.Role {
			continue
		}
		name := server.Name(a.User)
		if strings.EqualFold(a.User, "PUBLIC") {
			name = a.User // a keyword there
		}
		rows, err := ask(ctx, q, "SHOW GRANTS FOR "+name)
		if err != nil {
			return fmt.Errorf("%s: %w", a.User, err)
		}
		var lines []string // those of the roles that it has are among them
		for _, r := range rows {
			lines = append(lines, r[0])
		}
		a.global = ParseGrants(lines).global
	}
	return nil
}

// readEdges reads who may take which role.
func (s *Set) readEdges(ctx context.Context, q server.Queryer, v server.Version) error {
	query, everybody := "", ""
	switch {
	case v.Flavor == server.MariaDB:
		query, everybody = "SELECT CONCAT(Role, '@'), CONCAT(User, '@', Host) FROM mysql.roles_mapping", "PUBLIC@"
	case v.AtLeast(8, 0, 0):
		query = "SELECT CONCAT(FROM_USER, '@', FROM_HOST), CONCAT(TO_USER, '@', TO_HOST) FROM mysql.role_edges"
		mandatory, err := ask(ctx, q, "SELECT @@GLOBAL.mandatory_roles")
		if err != nil {
			return err
		}
		everybody = mandatory[0][0]
	}
	if query != "" { // MySQL 5.7 has no roles
		if err := s.readEdge(ctx, q, "the role ", query); err != nil {
			return err
		}
	}
	if err := s.readEdge(ctx, q, "as a proxy of ",
		"SELECT CONCAT(Proxied_user, '@', Proxied_host), CONCAT(User, '@', Host) FROM mysql.proxies_priv WHERE Proxied_user <> ''"); err != nil {
		return err
	}
	for _, role := range roleNames(everybody) {
		for _, a := range s.all {
			s.edges = append(s.edges, edge{role, a.String(), "everybody's role "})
		}
	}
	for _, e := range s.edges {
		if role := s.by[e.role]; role != nil && role.Locked && !strings.Contains(e.how, "proxy") {
			role.Role = true
		}
	}
	return nil
}

func (s *Set) readEdge(ctx context.Context, q server.Queryer, how, query string) error {
	rows, err := ask(ctx, q, query)
	for _, r := range rows {
		s.edges = append(s.edges, edge{r[0], r[1], how})
	}
	return err
}

// roleNames reads a list of roles as mandatory_roles has it: role, `role`@`%`, …
func roleNames(list string) (names []string) {
	for role := range strings.SplitSeq(list, ",") {
		role = strings.NewReplacer("`", "", "'", "").Replace(strings.TrimSpace(role))
		if role == "" {
			continue
		}
		if !strings.Contains(role, "@") {
			role += "@%"
		}
		names = append(names, role)
	}
	return names
}

// Holders tells who holds one of the privileges on *.*, and by what: itself, a role, a role of a role, or
// the account that it is a proxy of. Roles are among them.
func (s *Set) Holders(names ...string) map[string]string {
	how := map[string]string{}
	for _, a := range s.all {
		if p := a.Holds(names...); p != "" {
			how[a.String()] = p
		}
	}
	s.Spread(how)
	return how
}

// Spread adds to how, by accounts, those that come by the same through a role.
func (s *Set) Spread(how map[string]string) {
	for grown := true; grown; {
		grown = false
		for _, e := range s.edges {
			if s.by[e.role] == nil || s.by[e.account] == nil || e.role == e.account {
				continue
			}
			if how[e.role] != "" && how[e.account] == "" {
				how[e.account] = e.how + e.role
				grown = true
			}
		}
	}
}

// Passing is what lets an account write while read_only is on (tried on MySQL 9.7, MariaDB 10.11).
func Passing(v server.Version) []string {
	switch {
	case v.Flavor == server.MariaDB && v.AtLeast(10, 11, 0):
		return []string{"READ_ONLY ADMIN", "READ ONLY ADMIN"}
	case v.Flavor == server.MariaDB:
		return []string{"READ_ONLY ADMIN", "READ ONLY ADMIN", "SUPER"}
	case v.AtLeast(8, 0, 0):
		return []string{"CONNECTION_ADMIN", "SUPER"}
	}
	return []string{"SUPER"}
}

// System tells whether an account belongs to the server or to the cloud, and nobody logs in with it.
func System(user string) bool {
	return slices.Contains([]string{
		"mysql.session", "mysql.sys", "mysql.infoschema", "mariadb.sys", "rdsadmin", "rdsrepladmin", "rds_superuser_role",
	}, user)
}

// Plain turns 'user'@'host', as information_schema writes it, into user@host.
func Plain(grantee string) string {
	user, host, ok := strings.Cut(grantee, "'@'")
	if !ok {
		return strings.Trim(grantee, "'") + "@"
	}
	return strings.TrimPrefix(user, "'") + "@" + strings.TrimSuffix(host, "'")
}

// ask reads all rows of a query, NULL as empty.
func ask(ctx context.Context, q server.Queryer, query string) ([][]string, error) {
	_, rows, err := server.Rows(ctx, q, query)
	all := make([][]string, len(rows))
	for i, values := range rows {
		for _, v := range values {
			all[i] = append(all[i], v.String)
		}
	}
	return all, err
}
