package config

import (
	"slices"
	"strings"
)

// Tables narrows the databases down. Patterns are database.table, with * for any characters; they
// are compared as written, upper and lower case apart.
type Tables struct {
	Include []string `yaml:"include"` // empty: all
	Exclude []string `yaml:"exclude"` // wins over Include
}

// InScope tells whether the table, or view, is part of the migration.
func (c *Config) InScope(database, table string) bool {
	return slices.Contains(c.Databases, database) && c.Tables.Match(database, table)
}

// Match tells whether the patterns let the table through. It does not look at Config.Databases.
func (t Tables) Match(database, table string) bool {
	match := func(pattern string) bool {
		db, name, _ := strings.Cut(pattern, ".")
		return glob(db, database) && glob(name, table)
	}
	if len(t.Include) > 0 && !slices.ContainsFunc(t.Include, match) {
		return false
	}
	return !slices.ContainsFunc(t.Exclude, match)
}

// glob matches with * for any characters, none included. It takes each literal part at its first
// place after the last one, which is enough when * is the only wildcard.
func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, last) && len(s) >= len(last)
}
