package plan

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"changeover/internal/server"
)

// Passer is an account that still writes when its server is fenced.
type Passer struct {
	Account string
	By      string // the privilege, or the role that has it
}

// passing is what lets an account write while read_only=1 (tried on MySQL 9.7, MariaDB 10.11).
func (s *Server) passing() []string {
	switch {
	case s.mariadbAtLeast(10, 11, 0):
		return []string{"READ_ONLY ADMIN", "READ ONLY ADMIN"}
	case s.Version.Flavor == server.MariaDB:
		return []string{"READ_ONLY ADMIN", "READ ONLY ADMIN", "SUPER"}
	case s.Version.AtLeast(8, 0, 0):
		return []string{"CONNECTION_ADMIN", "SUPER"}
	}
	return []string{"SUPER"}
}

// askPassers lists the accounts that hold such a privilege, themselves or through roles.
func (s *Server) askPassers(ctx context.Context, q *sql.Conn) error {
	in := "?" + strings.Repeat(", ?", len(s.passing())-1)
	var args []any
	for _, p := range s.passing() {
		args = append(args, p)
	}
	holders, err := records(ctx, q, `
		SELECT GRANTEE AS grantee, PRIVILEGE_TYPE AS privilege
		FROM information_schema.USER_PRIVILEGES
		WHERE PRIVILEGE_TYPE IN (`+in+`)
		ORDER BY GRANTEE`, args...)
	if err != nil {
		return err
	}
	by := map[string]string{}
	for _, h := range holders {
		by[plainAccount(h["grantee"])] = h["privilege"]
	}
	edges, err := s.askRoles(ctx, q)
	if err != nil {
		return err
	}
	spreadRoles(by, edges)
	for account, how := range by {
		if !s.systemAccount(account) && account != s.Account && !isRole(account) {
			s.Passers = append(s.Passers, Passer{Account: account, By: how})
		}
	}
	slices.SortFunc(s.Passers, func(a, b Passer) int { return strings.Compare(a.Account, b.Account) })
	return nil
}

// edge says that account may take the role.
type edge struct{ role, account string }

func (s *Server) askRoles(ctx context.Context, q *sql.Conn) ([]edge, error) {
	query := ""
	switch {
	case s.mysqlAtLeast(8, 0, 0):
		query = "SELECT CONCAT(FROM_USER, '@', FROM_HOST) AS role, CONCAT(TO_USER, '@', TO_HOST) AS account FROM mysql.role_edges"
	case s.Version.Flavor == server.MariaDB:
		query = "SELECT CONCAT(Role, '@') AS role, CONCAT(User, '@', Host) AS account FROM mysql.roles_mapping"
	default:
		return nil, nil // MySQL 5.7 has no roles
	}
	rows, err := records(ctx, q, query)
	edges := make([]edge, 0, len(rows))
	for _, r := range rows {
		edges = append(edges, edge{r["role"], r["account"]})
	}
	return edges, err
}

// spreadRoles adds the accounts that can take a role which passes, roles of roles included.
func spreadRoles(by map[string]string, edges []edge) {
	for grown := true; grown; {
		grown = false
		for _, e := range edges {
			_, passes := by[e.role]
			if _, known := by[e.account]; passes && !known {
				by[e.account] = "the role " + e.role
				grown = true
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

// isRole: on MariaDB a role has no host.
func isRole(account string) bool { return strings.HasSuffix(account, "@") }

// systemAccount is one that belongs to the server or to the cloud, and nobody logs in with.
func (s *Server) systemAccount(account string) bool {
	user, _, _ := strings.Cut(account, "@")
	return slices.Contains([]string{
		"mysql.session", "mysql.sys", "mysql.infoschema", "mariadb.sys", "rdsadmin", "rdsrepladmin", "rds_superuser_role",
	}, user)
}
