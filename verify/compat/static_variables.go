package compat

import (
	"maps"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"mode-missing":   modeMissing,
		"global-setting": globalSetting,
	})
}

// oldModes are sql_modes that MySQL 8 has no more, or never had.
var oldModes = []string{"NO_AUTO_CREATE_USER", "ORACLE", "MSSQL", "DB2", "MAXDB", "POSTGRESQL", "MYSQL323", "MYSQL40", "NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS",
	"EMPTY_STRING_IS_NULL", "SIMULTANEOUS_ASSIGNMENT", "TIME_ROUND_FRACTIONAL"}

// switches are parts of optimizer_switch that only MariaDB has.
var switches = []string{"condition_pushdown_for_derived", "condition_pushdown_for_subquery", "condition_pushdown_from_having", "derived_with_keys", "exists_to_in", "extended_keys", "in_to_exists",
	"index_merge_sort_intersection", "join_cache_bka", "join_cache_hashed", "join_cache_incremental", "mrr_sort_keys", "not_null_range_scan", "optimize_join_buffer_size", "orderby_uses_equalities",
	"outer_join_with_cache", "partial_match_rowid_merge", "partial_match_table_scan", "rowid_filter", "semijoin_with_cache", "split_materialized", "table_elimination"}

// assigned goes through the variables of the server that a statement sets: SET a = …, @@b = …, also in programs.
func assigned(st *ddl.Statement, fn func(name string, at, value int)) {
	set := false
	for i := 0; i < len(st.Tokens); i++ {
		t := st.Tokens[i]
		switch {
		case t.Is("SET") && (i == 0 || st.Body > 0 && i >= st.Body && (i == st.Body || st.Tokens[i-1].Is(";", "BEGIN", "THEN", "ELSE", "DO"))):
			set = true
		case t.Is(";"):
			set = false
		case set && i > 0 && (t.Is("=") || t.Is(":=")) && st.Tokens[max(i-2, 0)].Is("SET", ",", "SESSION", "GLOBAL", "LOCAL", "PERSIST", "PERSIST_ONLY"):
			fn(variableName(st.Tokens[i-1]), i-1, i+1)
		}
	}
}

// variableName is the name of a server's variable, in lower case, of @@session.a, @@a or a; empty for @a.
func variableName(t ddl.Token) string {
	name := strings.ToLower(t.Name())
	if rest, ok := strings.CutPrefix(name, "@@"); ok {
		for _, scope := range []string{"session.", "global.", "local.", "persist.", "persist_only."} {
			rest = strings.TrimPrefix(rest, scope)
		}
		return rest
	}
	if strings.HasPrefix(name, "@") {
		return ""
	}
	return name
}

// variables gives what the pattern finds in a statement that sets variables of the server.
func (p *Pattern) variables(st *ddl.Statement, emit func(hit)) {
	if st.Kind != ddl.Set && st.Body == 0 {
		return
	}
	locals := declared(st)
	assigned(st, func(name string, at, _ int) {
		// In a comment for MariaDB it is not executed.
		if !locals[name] && !forMariaDB(st.Tokens[at]) && slices.Contains(p.Variables, name) {
			emit(hit{st: st, from: at, to: at + 1, object: objectOf(st)})
		}
	})
}

// declared are the variables and parameters of a program, in lower case: whatever stands behind DECLARE, and in the
// parentheses behind its name.
func declared(st *ddl.Statement) map[string]bool {
	names := map[string]bool{}
	for i := 0; i+1 < len(st.Tokens); i++ {
		head := st.Body > 0 && i > st.NameAt && i < st.Body && st.Tokens[i].Is("(", ",", "IN", "OUT", "INOUT")
		if st.Tokens[i].Is("DECLARE") || head {
			names[strings.ToLower(st.Tokens[i+1].Name())] = true
		}
	}
	return names
}

// modeMissing looks at the values of sql_mode and of optimizer_switch.
func modeMissing(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		if st.Kind != ddl.Set && st.Body == 0 {
			return
		}
		assigned(st, func(name string, _, value int) {
			if value >= len(st.Tokens) || forMariaDB(st.Tokens[value]) {
				return
			}
			for part := range strings.SplitSeq(st.Tokens[value].Value(), ",") {
				part, _, _ = strings.Cut(strings.TrimSpace(part), "=")
				h := hit{st: st, from: value, to: value + 1, object: objectOf(st)}
				switch {
				case name == "sql_mode" && slices.Contains(oldModes, strings.ToUpper(part)):
					h.says = "MySQL 8 has no sql_mode " + strings.ToUpper(part)
				case name == "optimizer_switch" && slices.Contains(switches, strings.ToLower(part)):
					h.says = "only MariaDB has " + strings.ToLower(part) + " in optimizer_switch"
				default:
					continue
				}
				emit(h)
			}
		})
	})
}

// globalSetting finds variables that are set for the whole server, also in programs.
func globalSetting(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		if st.Kind != ddl.Set && st.Body == 0 {
			return
		}
		assigned(st, func(_ string, at, _ int) {
			from := at
			if at > 0 && st.Tokens[at-1].Is("GLOBAL", "PERSIST", "PERSIST_ONLY") {
				from = at - 1
			} else if scope, _, _ := strings.Cut(strings.ToLower(st.Tokens[at].Text), "."); scope != "@@global" && scope != "@@persist" && scope != "@@persist_only" {
				return
			}
			if !forMariaDB(st.Tokens[at]) {
				emit(hit{st: st, from: from, to: at + 1, object: objectOf(st)})
			}
		})
	})
}
