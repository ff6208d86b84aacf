package plan

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"changeover/internal/server"
)

// Grants is what an account may do, its active roles included.
type Grants struct {
	global   map[string]bool
	patterns []databaseGrant
	revoked  []databaseGrant // MySQL's partial revokes: taken away from the global ones
}

type databaseGrant struct {
	pattern string // a database, with _ and % as in LIKE unless escaped
	privs   map[string]bool
}

// allStatic is what ALL PRIVILEGES means. On MySQL dynamic privileges are listed apart from it.
const allStatic = "ALL PRIVILEGES"

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
	s.Grants = ParseGrants(lines)
	return rows.Err()
}

var grantLine = regexp.MustCompile("^(GRANT|REVOKE) (.+?) ON (\\*|`(?:[^`]|``)*`)\\.(\\*|`(?:[^`]|``)*`) (?:TO|FROM) ")

// ParseGrants reads the lines of SHOW GRANTS. Grants on single tables and columns are left out: no
// rule is content with them.
func ParseGrants(lines []string) Grants {
	g := Grants{global: map[string]bool{}}
	for _, line := range lines {
		m := grantLine.FindStringSubmatch(line)
		if m == nil || m[4] != "*" {
			continue // a role, a proxy, a routine, a table
		}
		privs := privileges(m[2])
		switch {
		case m[3] == "*":
			for p := range privs {
				g.global[p] = true
			}
		case m[1] == "REVOKE":
			g.revoked = append(g.revoked, databaseGrant{unquote(m[3]), privs})
		default:
			g.patterns = append(g.patterns, databaseGrant{unquote(m[3]), privs})
		}
	}
	return g
}

func unquote(name string) string {
	return strings.ReplaceAll(strings.Trim(name, "`"), "``", "`")
}

func privileges(list string) map[string]bool {
	privs := map[string]bool{}
	for p := range strings.SplitSeq(list, ",") {
		privs[strings.ToUpper(strings.TrimSpace(p))] = true
	}
	if privs["ALL"] {
		privs[allStatic] = true
	}
	return privs
}

// Global tells whether the account holds one of the privileges everywhere; several names are the
// names that one privilege has had.
func (g Grants) Global(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return g.global[n] })
}

// isStatic tells whether MySQL's ALL PRIVILEGES on a database includes the privilege.
func isStatic(name string) bool {
	return !strings.Contains(name, "_") // SELECT, LOCK TABLES; not CONNECTION_ADMIN
}

// On tells whether the account holds the privilege on the database. A server looks only at the
// most specific of the database grants that match.
func (g Grants) On(database, name string) bool {
	holds := func(privs map[string]bool) bool { return privs[name] || privs[allStatic] && isStatic(name) }
	for _, r := range g.revoked {
		if like(r.pattern, database) && holds(r.privs) {
			return false
		}
	}
	if holds(g.global) {
		return true
	}
	best := -1
	for i, p := range g.patterns {
		if like(p.pattern, database) && (best < 0 || specificity(p.pattern) > specificity(g.patterns[best].pattern)) {
			best = i
		}
	}
	return best >= 0 && holds(g.patterns[best].privs)
}

// Missing lists the privileges that the account lacks on the database.
func (g Grants) Missing(database string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return g.On(database, n) })
}

// specificity is how much of a pattern comes before its first wildcard, which is how servers sort.
func specificity(pattern string) int {
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '%', '_':
			return i
		}
	}
	return 1 << 20
}

// like matches as a database grant does: % is any characters, _ is one, a backslash takes both
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

// hasDynamic asks for a privilege that may be held as itself or through SUPER.
func (s *Server) hasDynamic(names ...string) bool {
	if s.Version.Flavor == server.MariaDB && s.Grants.Global(allStatic) {
		return true // MariaDB's ALL PRIVILEGES has them all
	}
	return s.Grants.Global(names...)
}

func grantRemedy(privs []string, on, account string) string {
	return fmt.Sprintf("GRANT %s ON %s TO %s;", strings.Join(privs, ", "), on, quoteAccount(account))
}

// quoteAccount writes user@host as SQL does.
func quoteAccount(account string) string {
	at := strings.LastIndexByte(account, '@')
	if at < 0 {
		return "'" + account + "'"
	}
	return "'" + account[:at] + "'@'" + account[at+1:] + "'"
}
