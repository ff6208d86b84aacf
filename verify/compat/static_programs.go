package compat

import (
	"maps"
	"slices"
	"strings"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"implicit-sort":      implicitSort,
		"regular-expression": regularExpression,
		"gone-with-8.4":      goneWith84,
		"native-password":    nativePassword,
	})
}

// implicitSort finds GROUP BY without ORDER BY in what is stored, or runs, where the source may sort by it. MySQL
// 8 does not; 5.7 and MariaDB do in general.
func implicitSort(c *checker, emit func(hit)) {
	severity := Info
	if s := c.opts.Source; s != nil {
		if v := parseVersion(s.Version); s.Flavor == server.MySQL && v[0] >= 8 {
			return
		}
		severity = Warning
	}
	c.each(func(st *ddl.Statement) {
		for i := 0; i+1 < len(st.Tokens); i++ {
			if st.Tokens[i].Is("GROUP") && st.Tokens[i+1].Is("BY") && !ordered(st, i) {
				emit(hit{st: st, from: i, to: i + 2, object: objectOf(st), severity: severity})
			}
		}
	})
}

// ordered tells whether an ORDER BY follows in the same query; within GROUP_CONCAT( … ) is another place.
func ordered(st *ddl.Statement, from int) bool {
	for i, depth := from, 0; i < len(st.Tokens) && depth >= 0; i++ {
		switch t := st.Tokens[i]; {
		case t.Is("("):
			depth++
		case t.Is(")"):
			depth--
		case depth == 0 && t.Is(";"):
			return false
		case depth == 0 && t.Is("ORDER"):
			return true
		}
	}
	return false
}

// perlOnly are parts of regular expressions that PCRE (MariaDB) reads, and ICU (MySQL) refuses or reads otherwise.
var perlOnly = []string{"(?P<", "(?P=", "(?P>", "(?R)", "(?&", "(?(", "(?|", "(?1)", "(?2)", "(*", `\K`, `\g{`, "{,", "[[:<:]]", "[[:>:]]"}

func regularExpression(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		for i := 0; i+1 < len(st.Tokens); i++ {
			at := i + 1
			switch {
			case st.Tokens[i].Is("REGEXP", "RLIKE"):
			case st.Tokens[i].Is("REGEXP_LIKE", "REGEXP_REPLACE", "REGEXP_INSTR", "REGEXP_SUBSTR") && st.Tokens[at].Is("("):
				at = secondArgument(st, at)
			default:
				continue
			}
			if at >= len(st.Tokens) || st.Tokens[at].Kind != ddl.String {
				continue
			}
			pattern := st.Tokens[at].Value()
			if n := slices.IndexFunc(perlOnly, func(s string) bool { return strings.Contains(pattern, s) }); n >= 0 {
				emit(hit{st: st, from: at, to: at + 1, object: objectOf(st), says: "the regular expression has " + perlOnly[n] + ", which MariaDB's PCRE reads and MySQL's ICU refuses or reads otherwise"})
			}
		}
	})
}

// secondArgument is where the second argument of a function begins whose parenthesis opens here.
func secondArgument(st *ddl.Statement, at int) int {
	for i, depth := at, 0; i < len(st.Tokens); i++ {
		switch t := st.Tokens[i]; {
		case t.Is("("):
			depth++
		case t.Is(")"):
			depth--
		case t.Is(",") && depth == 1:
			return i + 1
		}
	}
	return len(st.Tokens)
}

// gone are beginnings of statements that MySQL 8.4 knows by other words only.
var gone = [][]string{{"SHOW", "MASTER|SLAVE"}, {"START|STOP", "SLAVE"}, {"CHANGE", "MASTER", "TO"}, {"RESET", "MASTER|SLAVE"}, {"PURGE", "MASTER", "LOGS"}, {"FLUSH", "HOSTS"},
	{"FLUSH", "LOCAL|NO_WRITE_TO_BINLOG", "HOSTS"}}

func goneWith84(c *checker, emit func(hit)) {
	severity := Warning
	if c.opts.To.meets(">=8.4") {
		severity = Error
	}
	c.each(func(st *ddl.Statement) {
		for _, words := range gone {
			if n := sequence(st.Tokens, 0, words); n > 0 {
				emit(hit{st: st, from: 0, to: n, severity: severity})
			}
		}
	})
}

func nativePassword(c *checker, emit func(hit)) {
	severity := Info
	switch {
	case c.opts.To.meets(">=9.0"):
		severity = Error
	case c.opts.To.meets(">=8.4"):
		severity = Warning
	}
	c.each(func(st *ddl.Statement) {
		for i := 2; i < len(st.Tokens) && st.Kind == ddl.Account; i++ {
			if st.Tokens[i-2].Is("IDENTIFIED") && st.Tokens[i-1].Is("WITH", "VIA") && strings.EqualFold(st.Tokens[i].Value(), "mysql_native_password") {
				emit(hit{st: st, from: i - 2, to: i + 1, severity: severity})
			}
		}
	})
}
