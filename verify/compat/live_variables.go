package compat

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"changeover/internal/server"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"sql-mode":       sqlMode,
		"time-zone":      timeZone,
		"charset-server": serverCharset,
		"limits":         limits,
		"transactions":   transactions,
		"connections":    connections,
		"transport":      transport,
		"authentication": authentication,
	})
}

// formerNames are names of variables that servers have for the same thing.
var formerNames = map[string]string{"transaction_isolation": "tx_isolation"}

// variable is a server's; ok is false if it has none of that name.
func (p *Picture) variable(name string) (value string, ok bool) {
	if value, ok = p.Variables[name]; !ok && formerNames[name] != "" {
		value, ok = p.Variables[formerNames[name]]
	}
	return value, ok
}

// targetVariable is the target's: of the server if it was looked at, or else what the profile says.
func (c *checker) targetVariable(name string) (value string, ok bool) {
	if c.opts.Target != nil {
		return c.opts.Target.variable(name)
	}
	value, ok = c.opts.To.Variables[name]
	return value, ok
}

// compared goes through variables that both servers have. One that the source has and the target is not known to
// have is not checked; one that only the target's version has is nothing to compare.
func (c *checker) compared(fn func(name, source, target string), names ...string) {
	if !c.sourceSeen() {
		return
	}
	if len(c.opts.Source.Variables) == 0 {
		c.unchecked("the source's variables could not be read")
		return
	}
	var unknown []string
	for _, name := range names {
		source, ok := c.opts.Source.variable(name)
		if !ok {
			continue
		}
		if target, ok := c.targetVariable(name); ok {
			fn(name, source, target)
			continue
		}
		unknown = append(unknown, name)
	}
	c.unknownOfTarget(unknown)
}

// unknownOfTarget says which of the target's variables are not known.
func (c *checker) unknownOfTarget(names []string) {
	switch {
	case len(names) == 0:
	case c.opts.Target == nil:
		c.unchecked("the profile %s does not say %s: look at the target, or capture one", c.opts.To.Name, strings.Join(names, ", "))
	case len(c.opts.Target.Variables) == 0:
		c.unchecked("the target's variables could not be read")
	}
}

// differing emits a finding for each variable that differs; says tells what that means.
func (c *checker) differing(emit func(hit), says map[string]string) {
	c.compared(func(name, source, target string) {
		if !strings.EqualFold(source, target) {
			emit(variableHit(name, source, target, says[name]))
		}
	}, slices.Sorted(maps.Keys(says))...)
}

// variableHit is a finding about a variable of both.
func variableHit(name, source, target, says string) hit {
	return hit{by: Live, object: name, evidence: fmt.Sprintf("source %s, target %s", shown(source), shown(target)), says: name + " differs: " + says}
}

// shown is a variable's value as findings show it.
func shown(value string) string {
	if value == "" {
		return "''"
	}
	return shorten(value)
}

// Modes of sql_mode with which a statement means something else, or fails where it did not.
var (
	strictModes  = []string{"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"}
	readingModes = []string{"ANSI_QUOTES", "PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES"}
	// mariaModes are those that no MySQL 8 can be set to, but for what it has dropped without a loss.
	mariaModes = []string{"ORACLE", "MSSQL", "DB2", "MAXDB", "POSTGRESQL", "EMPTY_STRING_IS_NULL", "SIMULTANEOUS_ASSIGNMENT", "TIME_ROUND_FRACTIONAL"}
	// combined are names of several modes, which are there too.
	combined = []string{"ANSI", "TRADITIONAL"}
	// droppedModes are gone from MySQL 8, and with them what they did.
	droppedModes = []string{"NO_AUTO_CREATE_USER", "NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS", "MYSQL323", "MYSQL40"}
)

func sqlMode(c *checker, emit func(hit)) {
	c.compared(func(_, source, target string) {
		from, to := modes(source), modes(target)
		strict := func(m []string) bool {
			return slices.ContainsFunc(strictModes, func(s string) bool { return slices.Contains(m, s) })
		}
		if a, b := strict(from), strict(to); a != b {
			says := "values that do not fit are refused there"
			if a {
				says = "values that do not fit are cut on the target in silence"
			}
			emit(modeHit("STRICT_TRANS_TABLES", a, says, Error))
		}
		for _, m := range slices.Sorted(maps.Keys(union(from, to))) {
			here := slices.Contains(from, m)
			if here == slices.Contains(to, m) || slices.Contains(strictModes, m) || slices.Contains(combined, m) {
				continue
			}
			switch {
			case slices.Contains(readingModes, m):
				emit(modeHit(m, here, "statements are read otherwise", Error))
			case slices.Contains(mariaModes, m):
				emit(modeHit(m, here, "MySQL 8 has no such mode", Error))
			case slices.Contains(droppedModes, m):
				emit(modeHit(m, here, "MySQL 8 has no such mode, and does without", Info))
			default:
				emit(modeHit(m, here, modeSays(m, here), Warning))
			}
		}
	}, "sql_mode")
}

// modeSays tells what a mode of one side only comes to on the target.
func modeSays(mode string, onSource bool) string {
	says, ok := map[string]string{
		"ONLY_FULL_GROUP_BY":         "queries that select what GROUP BY does not decide are refused there (1055)",
		"NO_ZERO_DATE":               "'0000-00-00' is refused there in strict mode (1292)",
		"NO_ZERO_IN_DATE":            "dates without a month or a day are refused there in strict mode (1292)",
		"ERROR_FOR_DIVISION_BY_ZERO": "an INSERT or UPDATE that divides by zero is refused there in strict mode (1365)",
	}[mode]
	switch {
	case !ok:
		return "statements may do otherwise there"
	case onSource:
		return "what the source refuses is taken on the target"
	}
	return says
}

func modeHit(mode string, onSource bool, says string, s Severity) hit {
	side := "target"
	if onSource {
		side = "source"
	}
	return hit{by: Live, object: "sql_mode." + mode, severity: s, evidence: mode + ": " + side + " only", says: "only the " + side + " has " + mode + ": " + says}
}

func modes(value string) []string {
	return strings.FieldsFunc(strings.ToUpper(value), func(r rune) bool { return r == ',' || r == ' ' })
}

func union(a, b []string) map[string]bool {
	all := map[string]bool{}
	for _, m := range slices.Concat(a, b) {
		all[m] = true
	}
	return all
}

func timeZone(c *checker, emit func(hit)) {
	c.compared(func(_, source, target string) {
		from, named := zone(source, func() (string, bool) { return c.opts.Source.variable("system_time_zone") })
		to, _ := zone(target, func() (string, bool) { return c.targetVariable("system_time_zone") })
		if to == "" {
			c.unknownOfTarget([]string{"system_time_zone"})
			return
		}
		if from != to {
			emit(variableHit("time_zone", from, to, "NOW(), CURRENT_TIMESTAMP in a DATETIME, and events go by it"))
		}
		if named {
			c.zoneKnown(source, emit)
		}
	}, "time_zone")
}

// zone is the zone by which a server's sessions go, with one name for UTC; named tells whether it needs the tables of
// zones.
func zone(value string, system func() (string, bool)) (name string, named bool) {
	if strings.EqualFold(value, "SYSTEM") {
		value, _ = system()
	} else {
		named = strings.Contains(value, "/")
	}
	switch strings.ToUpper(value) {
	case "UTC", "GMT", "ETC/UTC", "+00:00", "-00:00", "UCT", "ZULU":
		return "UTC", named
	}
	return value, named
}

// zoneKnown asks the target whether it has the zone that the source's sessions go by.
func (c *checker) zoneKnown(name string, emit func(hit)) {
	if !c.mayAsk(c.opts.Target, "target", "whether the target knows the time zone "+name) {
		return
	}
	rows, err := c.ask(c.opts.Target, "SELECT CONVERT_TZ('2020-01-01 00:00:00', '+00:00', ?)", name)
	switch {
	case err != nil:
		c.unchecked("ask the target for its time zones: %v", err)
	case len(rows) > 0 && !rows[0][0].Valid:
		emit(hit{by: Live, object: "time_zone." + name, severity: Error, evidence: name,
			says: "the target does not know the time zone " + name, remedy: "Load the tables of time zones, or use an offset."})
	}
}

func serverCharset(c *checker, emit func(hit)) {
	c.compared(func(name, source, target string) {
		if a, b := utf8Name(strings.ToLower(source)), utf8Name(strings.ToLower(target)); a != b {
			emit(variableHit(name, a, b, "new databases get it"))
		}
	}, "character_set_server", "collation_server")
	c.defaultCollation(emit)
	c.compared(func(name, source, target string) {
		if source == target {
			return
		}
		// Its text is not shown: it is SQL that somebody wrote, with whatever is in it.
		says := map[[2]bool]string{{true, true}: "both have one, and they differ", {false, true}: "only the source has one", {true, false}: "only the target has one"}
		emit(hit{by: Live, object: name, evidence: name, says: name + " differs: " + says[[2]bool{source == "", target == ""}]})
	}, "init_connect")
}

// defaultCollation compares what utf8mb4 alone stands for: a variable on MySQL, a table or another variable on MariaDB.
func (c *checker) defaultCollation(emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	from := c.opts.Source.Collations["utf8mb4"]
	to, known := c.targetVariable("default_collation_for_utf8mb4")
	if c.opts.Target != nil && c.opts.Target.Collations["utf8mb4"] != "" {
		to, known = c.opts.Target.Collations["utf8mb4"], true
	}
	switch {
	case from == "":
		c.unchecked("the source's default collation of utf8mb4 is not known")
	case !known:
		c.unknownOfTarget([]string{"default_collation_for_utf8mb4"})
	case !strings.EqualFold(from, to):
		emit(variableHit("default_collation_for_utf8mb4", from, to, "utf8mb4 without COLLATE means it"))
	}
}

func limits(c *checker, emit func(hit)) {
	c.smaller(emit, map[string]string{
		"max_allowed_packet":   "larger statements and values are refused (1153)",
		"group_concat_max_len": "GROUP_CONCAT is cut there",
		"tmp_table_size":       "temporary tables go to disk earlier; on an Aurora reader they fail when they are full",
		"max_heap_table_size":  "temporary tables go to disk earlier; on an Aurora reader they fail when they are full",
		"max_sort_length":      "longer values are ordered by their beginning",
	})
	c.compared(func(name, source, target string) {
		if a, b := on(source), on(target); a != b {
			says := "the target is strict about definitions: what was warned of is refused there (1031, 1071)"
			if a {
				says = "the target is not strict about definitions: it changes what the source refused"
			}
			emit(variableHit(name, source, target, says))
		}
	}, "innodb_strict_mode")
}

// count is a variable's number; what is none is 0.
func count(value string) uint64 {
	n, _ := strconv.ParseUint(value, 10, 64)
	return n
}

func on(value string) bool { return strings.EqualFold(value, "ON") || value == "1" }

// smaller emits a finding for each number that is smaller on the target.
func (c *checker) smaller(emit func(hit), says map[string]string) {
	c.compared(func(name, source, target string) {
		a, err := strconv.ParseUint(source, 10, 64)
		b, err2 := strconv.ParseUint(target, 10, 64)
		if err == nil && err2 == nil && b < a {
			h := variableHit(name, source, target, says[name])
			h.says = name + " is smaller on the target: " + says[name]
			emit(h)
		}
	}, slices.Sorted(maps.Keys(says))...)
}

func transactions(c *checker, emit func(hit)) {
	c.differing(emit, map[string]string{
		"transaction_isolation":      "transactions see and lock otherwise",
		"autocommit":                 "sessions that do not set it themselves keep transactions open, or do not",
		"completion_type":            "COMMIT begins another transaction, or does not",
		"innodb_lock_wait_timeout":   "statements wait for locks otherwise (1205)",
		"innodb_rollback_on_timeout": "after 1205 the whole transaction is undone, or the statement only",
		"innodb_autoinc_lock_mode":   "numbers of one INSERT of many rows may have gaps, or may not",
		"auto_increment_increment":   "new numbers have other steps",
		"auto_increment_offset":      "new numbers begin otherwise",
	})
}

func connections(c *checker, emit func(hit)) {
	c.smaller(emit, map[string]string{
		"wait_timeout":        "idle connections are closed earlier: a pool must know (2006)",
		"interactive_timeout": "idle connections are closed earlier",
	})
	c.compared(func(name, source, target string) {
		if a, b := count(source), count(target); b > 0 && (a == 0 || b < a) { // 0 is no limit
			h := variableHit(name, source, target, "")
			h.says = name + " is smaller on the target: accounts are refused earlier (1203)"
			emit(h)
		}
	}, "max_user_connections")
	c.compared(func(name, source, target string) { c.maxConnections(source, target, emit) }, "max_connections")
}

// maxConnections compares what the target allows with what the source has needed, if it may be asked. That grows, so it
// is said and is no evidence: the finding stays the same.
func (c *checker) maxConnections(source, target string, emit func(hit)) {
	need, has := count(source), count(target)
	h := variableHit("max_connections", source, target, "")
	h.says = "max_connections is smaller on the target (1040)"
	if c.mayAsk(c.opts.Source, "source", "how many connections there have been at once") {
		rows, err := c.ask(c.opts.Source, "SHOW GLOBAL STATUS LIKE 'Max_used_connections'")
		switch {
		case err != nil:
			c.unchecked("ask the source how many connections there have been: %v", err)
		case len(rows) > 0:
			need = count(rows[0][1].String)
			h.says = fmt.Sprintf("the source has had %d connections at once, and the target allows %d (1040)", need, has)
		}
	}
	if has < need {
		emit(h)
	}
}

func transport(c *checker, emit func(hit)) {
	c.compared(func(name, source, target string) {
		if on(target) && !on(source) {
			emit(variableHit(name, source, target, "the target refuses connections without TLS (3159)"))
		}
	}, "require_secure_transport")
	c.compared(func(name, source, target string) {
		var gone []string
		has := modes(target)
		for _, v := range modes(source) {
			if !slices.Contains(has, v) {
				gone = append(gone, strings.Replace(v, "TLSV", "TLSv", 1))
			}
		}
		if len(gone) > 0 {
			emit(variableHit(name, source, target, "clients that speak only "+strings.Join(gone, ", ")+" can't connect"))
		}
	}, "tls_version")
}

func authentication(c *checker, emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	to, known := defaultPlugin(c.targetVariable)
	if !known {
		c.unknownOfTarget([]string{"default_authentication_plugin or authentication_policy"})
		return
	}
	from, known := defaultPlugin(c.opts.Source.variable)
	if c.opts.Source.Flavor == server.MariaDB {
		from, known = "mysql_native_password", true
	}
	if known && from != to {
		emit(hit{by: Live, object: "authentication", evidence: fmt.Sprintf("source %s, target %s", from, to),
			says: "accounts that are made without saying how get " + to + " on the target, which old drivers do not speak"})
	}
}

// defaultPlugin is how an account logs in that is made without saying it: authentication_policy has it first since
// MySQL 8.0.27, where * and nothing leave it to default_authentication_plugin, or to caching_sha2_password where that
// is gone.
func defaultPlugin(variable func(string) (string, bool)) (plugin string, known bool) {
	if policy, ok := variable("authentication_policy"); ok {
		first, _, _ := strings.Cut(policy, ",")
		if _, named, ok := strings.Cut(first, ":"); ok {
			return strings.TrimSpace(named), true
		}
		if first = strings.TrimSpace(first); first != "*" && first != "" {
			return first, true
		}
		if plugin, ok := variable("default_authentication_plugin"); ok {
			return plugin, true
		}
		return "caching_sha2_password", true
	}
	return variable("default_authentication_plugin")
}
