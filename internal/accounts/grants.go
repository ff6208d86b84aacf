package accounts

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Grants is what one account may do, as SHOW GRANTS tells it. The zero value may do nothing.
type Grants struct {
	global   map[string]bool
	patterns []databaseGrant
	revoked  []databaseGrant            // MySQL's partial revokes: taken away from the global ones
	objects  map[string]map[string]bool // by "database.table" and "database.routine()"
}

type databaseGrant struct {
	pattern string // a database, with _ and % as in LIKE unless escaped
	privs   map[string]bool
}

// AllStatic is what ALL PRIVILEGES means. On MySQL dynamic privileges are listed apart from it.
const AllStatic = "ALL PRIVILEGES"

// GrantOption is the privilege to pass others on, on the same place.
const GrantOption = "GRANT OPTION"

var grantLine = regexp.MustCompile("^(GRANT|REVOKE) (.+?) ON (?:(PROCEDURE|FUNCTION) )?(\\*|`(?:[^`]|``)*`)\\.(\\*|`(?:[^`]|``)*`) (?:TO|FROM) ")

var withGrantOption = regexp.MustCompile(` WITH (?:[A-Z_ 0-9]+ )?GRANT OPTION`)

// ParseGrants reads the lines of SHOW GRANTS. Grants on single columns, of roles and of proxies are left
// out: no rule is content with them.
func ParseGrants(lines []string) Grants {
	g := Grants{global: map[string]bool{}, objects: map[string]map[string]bool{}}
	for _, line := range lines {
		m := grantLine.FindStringSubmatch(line)
		if m == nil || strings.Contains(m[2], "(") {
			continue // a role, a proxy, columns
		}
		privs := privileges(m[2])
		// Dynamic privileges are on lines of their own, and so is the option to pass them on.
		if withGrantOption.MatchString(line[len(m[0]):]) && slices.ContainsFunc(slices.Collect(maps.Keys(privs)), IsStatic) {
			privs[GrantOption] = true
		}
		database, object := unquote(m[4]), unquote(m[5])
		switch {
		case m[3] != "":
			g.objects[database+"."+object+"()"] = privs
		case m[5] != "*":
			g.objects[database+"."+object] = privs
		case m[4] == "*":
			for p := range privs {
				g.global[p] = true
			}
		case m[1] == "REVOKE":
			g.revoked = append(g.revoked, databaseGrant{database, privs})
		default:
			g.patterns = append(g.patterns, databaseGrant{database, privs})
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
		privs[AllStatic] = true
	}
	return privs
}

// Global tells whether the account holds one of the privileges everywhere; several names are the
// names that one privilege has had.
func (g Grants) Global(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return g.global[n] })
}

// IsStatic tells whether MySQL's ALL PRIVILEGES includes the privilege.
func IsStatic(name string) bool {
	return !strings.Contains(name, "_") && name != GrantOption // SELECT, LOCK TABLES; not CONNECTION_ADMIN
}

func holds(privs map[string]bool, name string) bool {
	return privs[name] || privs[AllStatic] && IsStatic(name)
}

// On tells whether the account holds the privilege on all of the database. A server looks only at the
// most specific of the database grants that match.
func (g Grants) On(database, name string) bool {
	for _, r := range g.revoked {
		if Like(r.pattern, database) && holds(r.privs, name) {
			return false
		}
	}
	if holds(g.global, name) {
		return true
	}
	best := -1
	for i, p := range g.patterns {
		if Like(p.pattern, database) && (best < 0 || specificity(p.pattern) > specificity(g.patterns[best].pattern)) {
			best = i
		}
	}
	return best >= 0 && holds(g.patterns[best].privs, name)
}

// OnTable tells whether the account holds the privilege on the table, or on more than that.
func (g Grants) OnTable(database, table, name string) bool {
	return holds(g.objects[database+"."+table], name) || g.On(database, name)
}

// OnRoutine tells whether the account holds the privilege on the routine, or on more than that.
func (g Grants) OnRoutine(database, routine, name string) bool {
	return holds(g.objects[database+"."+routine+"()"], name) || g.On(database, name)
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

// Like matches as a database grant does: % is any characters, _ is one, a backslash takes both
// their meaning.
func Like(pattern, s string) bool {
	for pattern != "" {
		c, literal := pattern[0], false
		if c == '\\' && len(pattern) > 1 {
			pattern = pattern[1:]
			c, literal = pattern[0], true
		}
		pattern = pattern[1:]
		if c == '%' && !literal {
			for i := range len(s) + 1 {
				if Like(pattern, s[i:]) {
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
