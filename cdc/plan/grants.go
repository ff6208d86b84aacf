package plan

import (
	"context"
	"database/sql"
	"strings"

	"changeover/internal/accounts"
	"changeover/internal/server"
)

// Grants is what an account may do, its active roles included.
type Grants = accounts.Grants

// ParseGrants reads the lines of SHOW GRANTS.
func ParseGrants(lines []string) Grants { return accounts.ParseGrants(lines) }

func (s *Server) askGrants(ctx context.Context, q *sql.Conn) error {
	if err := q.QueryRowContext(ctx, "SELECT CURRENT_USER()").Scan(&s.Account); err != nil {
		return err
	}
	query := "SHOW GRANTS"
	if s.mysqlAtLeast(8, 0, 0) {
		var roles string
		if err := q.QueryRowContext(ctx, "SELECT CURRENT_ROLE()").Scan(&roles); err != nil {
			return err
		}
		if roles != "" && roles != "NONE" {
			query = "SHOW GRANTS FOR CURRENT_USER() USING " + roles // quoted by the server itself
		}
	}
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		lines = append(lines, line)
	}
	s.Grants = accounts.ParseGrants(lines)
	return rows.Err()
}

// hasDynamic asks for a privilege that may be held as itself or through SUPER.
func (s *Server) hasDynamic(names ...string) bool {
	if s.Version.Flavor == server.MariaDB && s.Grants.Global(accounts.AllStatic) {
		return true // MariaDB's ALL PRIVILEGES has them all
	}
	return s.Grants.Global(names...)
}

// quoteAccount writes user@host as SQL does.
func quoteAccount(account string) string {
	at := strings.LastIndexByte(account, '@')
	if at < 0 {
		return "'" + account + "'"
	}
	return "'" + account[:at] + "'@'" + account[at+1:] + "'"
}
