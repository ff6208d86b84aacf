package config

// CheckSides lists what is impossible in source, target, databases and tables, by the names that they
// have in a file: for a command that is told them by flags.
func (c *Config) CheckSides() Problems {
	r := reader{lines: map[string]int{}}
	r.checkServer("source", c.Source)
	r.checkServer("target", c.Target)
	r.checkDatabases(c.Databases)
	r.checkPatterns("tables.include", c.Tables.Include, c.Databases)
	r.checkPatterns("tables.exclude", c.Tables.Exclude, c.Databases)
	return r.sorted()
}
